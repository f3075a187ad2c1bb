package diskerror_test

import (
	"errors"
	"math/rand/v2"
	"testing"

	"go.uber.org/goleak"

	"github.com/statehouse/statehouse/internal/faults"
	"github.com/statehouse/statehouse/internal/faults/diskerror"
	"github.com/statehouse/statehouse/internal/faults/trace"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// build builds the program, where it can be traced.
func build(t *testing.T) string {
	t.Helper()
	if err := trace.Supported(); err != nil {
		t.Skipf("NOT TESTED: %v", err)
	}
	binary, err := faults.Build(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return binary
}

// run runs a harness for some rounds.
func run(t *testing.T, harness faults.Run, binary string, rounds int) {
	t.Helper()
	seed := rand.Uint64()
	report, err := harness(t.Context(), seed, faults.Budget{Rounds: rounds, Dir: t.TempDir(), Binary: binary})
	if errors.Is(err, trace.ErrUnsupported) || errors.Is(err, diskerror.ErrNoMount) {
		t.Skipf("NOT TESTED: %v", err)
	}
	t.Logf("seed %d: %s", seed, report)
	if err != nil {
		t.Fatal(err)
	}
	if report.Rounds != rounds {
		t.Errorf("%d rounds instead of %d", report.Rounds, rounds)
	}
}

// TestDiskErrors: whichever write or sync fails, once or for good, everybody is told, readers go on, nothing that was
// acknowledged is lost, and the program goes on when the disk does.
func TestDiskErrors(t *testing.T) {
	rounds := 40
	if testing.Short() {
		rounds = 4
	}
	run(t, diskerror.Run, build(t), rounds)
}

// TestFills: the same of a real disk that is filled, and gets space again.
func TestFills(t *testing.T) {
	rounds := 8
	if testing.Short() {
		rounds = 2
	}
	run(t, diskerror.RunFills, build(t), rounds)
}
