package kills_test

import (
	"math/rand/v2"
	"strconv"
	"testing"

	"go.uber.org/goleak"

	"github.com/statehouse/statehouse/internal/faults"
	"github.com/statehouse/statehouse/internal/faults/kills"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestKills: kill -9 of the shipped program at random moments loses nothing that it had acknowledged, over MQTT or HTTP,
// and leaves no gap, no repeat, no half of a message and nothing that nobody sent.
func TestKills(t *testing.T) {
	rounds := 300
	switch {
	case testing.Short():
		rounds = 10
	case strconv.IntSize == 32:
		rounds = 40
	}
	binary, err := faults.Build(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	seed := rand.Uint64()
	report, err := kills.Run(t.Context(), seed, faults.Budget{Rounds: rounds, Dir: t.TempDir(), Binary: binary})
	t.Logf("seed %d: %s", seed, report)
	if err != nil {
		t.Fatal(err)
	}
	if report.Rounds != rounds {
		t.Errorf("%d kills instead of %d", report.Rounds, rounds)
	}
	for _, what := range []string{"acknowledged messages", "acknowledged edits"} {
		if report.Counts[what] == 0 {
			t.Errorf("no %s: nothing could be lost", what)
		}
	}
}
