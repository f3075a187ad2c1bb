package powercut_test

import (
	"errors"
	"math/rand/v2"
	"testing"

	"go.uber.org/goleak"

	"github.com/statehouse/statehouse/internal/faults"
	"github.com/statehouse/statehouse/internal/faults/powercut"
	"github.com/statehouse/statehouse/internal/faults/trace"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestPowerCuts: whatever a power cut leaves of what was not synced, everything that the program had acknowledged is there
// afterwards, nothing is there in part, and the past is what it was.
func TestPowerCuts(t *testing.T) {
	if err := trace.Supported(); err != nil {
		t.Skipf("NOT TESTED: %v", err)
	}
	images := 5000
	if testing.Short() {
		images = 100
	}
	binary, err := faults.Build(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	seed := rand.Uint64()
	report, err := powercut.Run(t.Context(), seed, faults.Budget{Rounds: images, Dir: t.TempDir(), Binary: binary})
	if errors.Is(err, trace.ErrUnsupported) {
		t.Skipf("NOT TESTED: %v", err)
	}
	t.Logf("seed %d: %s", seed, report)
	if err != nil {
		t.Fatal(err)
	}
	if report.Rounds != images {
		t.Errorf("%d images instead of %d", report.Rounds, images)
	}
	for _, what := range powercut.Activities {
		if images == 5000 && report.Counts["while "+what] == 0 {
			t.Errorf("the power was never cut while %s", what)
		}
	}
}
