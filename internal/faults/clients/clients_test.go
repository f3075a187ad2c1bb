package clients_test

import (
	"math/rand/v2"
	"testing"

	"go.uber.org/goleak"

	"github.com/statehouse/statehouse/internal/faults"
	"github.com/statehouse/statehouse/internal/faults/clients"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestHostileClients: whoever comes to the doors, devices and readers do not notice, memory is bounded, and nothing is left.
func TestHostileClients(t *testing.T) {
	rounds := 400
	if testing.Short() {
		rounds = 100
	}
	binary, err := faults.Build(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	seed := rand.Uint64()
	report, err := clients.Run(t.Context(), seed, faults.Budget{Rounds: rounds, Dir: t.TempDir(), Binary: binary})
	t.Logf("seed %d: %s", seed, report)
	if err != nil {
		t.Fatal(err)
	}
}
