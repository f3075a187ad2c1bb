#!/usr/bin/env bash
# Runs every fuzz target of the module for a while, two at a time with one worker each: most of a short run is the start.
# usage: scripts/fuzz.sh DURATION [PACKAGE...]
set -euo pipefail

duration=${1:?usage: scripts/fuzz.sh DURATION [PACKAGE...]}
shift
go=${GO:-go}
outputs=$(mktemp -d)
trap 'rm -rf "$outputs"' EXIT

# A target that runs out of its time while the coordinator of go test looks away is reported as failed, with nothing
# but "context deadline exceeded" and no failing input (https://go.dev/issue/75804, mended in Go 1.27). It ran for its
# whole time and found nothing, so it passed.
ran_out_of_time() {
  local failure
  failure=$(sed -n '/^--- FAIL: /,/^FAIL$/p' "$1" | sed '1d;$d')
  [ "$failure" = "    context deadline exceeded" ]
}

# target PACKAGE NAME runs a target and says what came of it, all at once.
target() {
  local output="$outputs/$2"
  if "$go" test -run '^$' -fuzz "^$2\$" -fuzztime "$duration" -fuzzminimizetime 10x -parallel 1 "$1" >"$output" 2>&1; then
    echo "fuzz $1 $2: $(grep '^fuzz: elapsed' "$output" | tail -1 | cut -d, -f2-)"
  elif ran_out_of_time "$output"; then
    echo "fuzz $1 $2: ran out of its time and found nothing: passed"
  else
    echo "fuzz $1 $2: FAILED"
    cat "$output"
    touch "$outputs/failed"
  fi
}

for package in $("$go" list "${@:-./...}"); do
  for name in $("$go" test -list '^Fuzz' "$package" | grep '^Fuzz' || true); do
    while [ "$(jobs -rp | wc -l)" -ge 2 ]; do wait -n; done
    target "$package" "$name" &
  done
done
wait
[ ! -e "$outputs/failed" ]
