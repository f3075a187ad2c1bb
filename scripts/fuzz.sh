#!/usr/bin/env bash
# Runs every fuzz target of the module for a while, one after another.
# usage: scripts/fuzz.sh DURATION [PACKAGE...]
set -euo pipefail

duration=${1:?usage: scripts/fuzz.sh DURATION [PACKAGE...]}
shift
go=${GO:-go}
output=$(mktemp)
trap 'rm -f "$output"' EXIT

# A target that runs out of its time while the coordinator of go test looks away is reported as failed, with nothing
# but "context deadline exceeded" and no failing input (https://go.dev/issue/75804, mended in Go 1.27). It ran for its
# whole time and found nothing, so it passed.
ran_out_of_time() {
  local failure
  failure=$(sed -n '/^--- FAIL: /,/^FAIL$/p' "$output" | sed '1d;$d')
  [ "$failure" = "    context deadline exceeded" ]
}

for package in $("$go" list "${@:-./...}"); do
  for target in $("$go" test -list '^Fuzz' "$package" | grep '^Fuzz' || true); do
    echo "fuzz $package $target"
    if ! "$go" test -run '^$' -fuzz "^$target\$" -fuzztime "$duration" -fuzzminimizetime 10x "$package" 2>&1 | tee "$output"; then
      ran_out_of_time || exit 1
      echo "ran out of its time and found nothing: passed"
    fi
  done
done
