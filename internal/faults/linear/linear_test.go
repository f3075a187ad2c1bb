package linear_test

import (
	"context"
	"math/rand/v2"
	"os"
	"testing"

	"go.uber.org/goleak"

	"github.com/statehouse/statehouse/internal/faults/linear"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// tested fails unless a history is explained, and had some of everything.
func tested(t *testing.T, record func(context.Context, uint64, string) (map[string]int, error), wanted ...string) {
	t.Helper()
	dir, err := os.MkdirTemp("", "lin") // a short path, for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	seed := rand.Uint64()
	counts, err := record(t.Context(), seed, dir)
	t.Logf("seed %d: %v", seed, counts)
	if err != nil {
		t.Fatal(err)
	}
	for _, what := range wanted {
		if counts[what] == 0 {
			t.Errorf("no %s: not all was tested", what)
		}
	}
}

// Appends, with conditions and keys, and reads of the present are linearizable.
func TestLinearizable(t *testing.T) {
	tested(t, linear.Store, "reads", "conflicts", "repeats", "appends")
}

// So are edits through the unix socket, appends beside them, and reads over TCP.
func TestLinearizableHTTP(t *testing.T) {
	tested(t, linear.HTTP, "HTTP put", "HTTP delete", "HTTP append", "HTTP get", "HTTP states", "HTTP registry")
}
