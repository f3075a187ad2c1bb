package diskerror

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/statehouse/statehouse/internal/faults"
	"github.com/statehouse/statehouse/internal/faults/powercut"
	"github.com/statehouse/statehouse/internal/faults/trace"
)

// TestLostPagesOfTheWAL: commits whose sync fails leave pages that read back and are not on the disk. When the disk is good again
// they are moved into the database; a power cut at any moment of that, and after it, must not lay the older part of the WAL,
// which alone is on the disk, over what was acknowledged since.
func TestLostPagesOfTheWAL(t *testing.T) {
	if err := trace.Supported(); err != nil {
		t.Skipf("NOT TESTED: %v", err)
	}
	binary, err := faults.Build(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp(powercut.Scratch(), "statehouse-wal")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	images, tried := 60, 0
	if testing.Short() {
		images = 10
	}
	seed := rand.Uint64()
	rng := rand.New(rand.NewPCG(seed, 0))
	for at := 26; at < 42; at++ { // about the first commits
		tr := &trial{
			fault:  &fault{class: syncs, at: at, errno: syscall.EIO, lasting: true},
			binary: binary, base: &base{name: "a new database", first: 1, last: 6},
			dir: filepath.Join(dir, "trial"),
		}
		if err := os.Mkdir(tr.dir, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := tr.run(t.Context(), rng, images); err != nil {
			t.Fatalf("seed %d: %s: %v", seed, tr.name(), err)
		}
		if strings.HasSuffix(tr.what(), "-wal") {
			tried++
		}
		if err := os.RemoveAll(tr.dir); err != nil {
			t.Fatal(err)
		}
	}
	if tried == 0 {
		t.Error("no sync of a WAL was the first that failed")
	}
}
