package rot_test

import (
	"flag"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/statehouse/statehouse/internal/faults"
	"github.com/statehouse/statehouse/internal/faults/rot"
)

var (
	seed   = flag.Uint64("seed", 1, "which house is damaged, and how")
	every  = flag.Int("every", 0, "damage one byte of so many")
	budget = flag.Duration("budget", 0, "end after that time")
	bits   = flag.Bool("bits", false, "flip every bit instead of every byte")
	page   = flag.Int("page", 0, "page size of the database")
	from   = flag.Int("from", 0, "the number of the first flip")
)

// I11: a flipped byte anywhere is reported, or no answer differs.
func TestRot(t *testing.T) {
	opts := rot.Options{
		Dir: fastDir(t), Seed: *seed, Every: *every, Budget: *budget, Bits: *bits, PageSize: *page, From: *from,
	}
	if opts.Every == 0 && (testing.Short() || strconv.IntSize == 32) {
		opts.Every = 211
	}
	began := time.Now()
	r, err := rot.Flip(t.Context(), opts)
	t.Logf("%+v, in %s", r, time.Since(began).Round(time.Second))
	if err != nil {
		t.Error(err)
	}
}

// fastDir is a directory in memory, where there is one: nothing of this needs a disk.
func fastDir(t *testing.T) string {
	dir, err := os.MkdirTemp("/dev/shm", "statehouse-rot-")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// Bits are flipped in an order that reaches every file, and each once.
func TestRun(t *testing.T) {
	for seed := range uint64(2) { // each page size
		r, err := rot.Run(t.Context(), seed, faults.Budget{Rounds: 16, Dir: fastDir(t)})
		if err != nil || r.Rounds != 16 || r.Counts["refused"] == 0 || r.Counts["unchanged"] == 0 {
			t.Errorf("seed %d: %+v, %v", seed, r, err)
		}
	}
}
