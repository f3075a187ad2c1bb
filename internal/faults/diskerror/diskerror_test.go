package diskerror_test

import (
	"errors"
	"math/rand/v2"
	"testing"

	"go.uber.org/goleak"

	"github.com/statehouse/statehouse/internal/faults"
	"github.com/statehouse/statehouse/internal/faults/diskerror"
	"github.com/statehouse/statehouse/internal/faults/load"
	"github.com/statehouse/statehouse/internal/faults/trace"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestDiskErrors: whichever write or sync fails, once or for good, everybody is told, readers go on, nothing that was
// acknowledged is lost, and the program goes on when the disk does.
func TestDiskErrors(t *testing.T) {
	rounds := 40
	if testing.Short() {
		rounds = 4
	}
	binary, err := load.Build(t.Context(), t.TempDir(), load.Shipped)
	if err != nil {
		t.Fatal(err)
	}
	seed := rand.Uint64()
	report, err := diskerror.Run(t.Context(), seed, faults.Budget{Rounds: rounds, Dir: t.TempDir(), Binary: binary})
	if errors.Is(err, trace.ErrUnsupported) {
		t.Skipf("NOT TESTED: %v", err)
	}
	t.Logf("seed %d: %s", seed, report)
	if err != nil {
		t.Fatal(err)
	}
}
