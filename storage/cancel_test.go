package storage_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"

	"github.com/statehouse/statehouse/storage"
)

// countdown is a context that is cancelled the n-th time that somebody looks at it.
type countdown struct {
	context.Context
	cancel context.CancelFunc
	left   atomic.Int64
}

func newCountdown(ctx context.Context, n int64) *countdown {
	c := &countdown{}
	c.Context, c.cancel = context.WithCancel(ctx)
	c.left.Store(n)
	return c
}

func (c *countdown) look() {
	if c.left.Add(-1) == 0 {
		c.cancel()
	}
}

func (c *countdown) Done() <-chan struct{} { c.look(); return c.Context.Done() }

func (c *countdown) Err() error { c.look(); return c.Context.Err() }

// An opening that is cancelled, wherever it is, says so, and leaves a file that can be opened.
func TestCancelledOpen(t *testing.T) {
	path := filepath.Join(t.TempDir(), "home.db")
	for n := int64(1); ; n++ {
		ctx := newCountdown(t.Context(), n)
		db, err := storage.Open(ctx, path, storage.Options{})
		ended := ctx.left.Load() <= 0
		ctx.cancel()
		if err == nil {
			if err := db.Close(); err != nil {
				t.Fatal(err)
			}
			if !ended {
				break // it was through before it could be cancelled
			}
			continue
		}
		if !errors.Is(err, context.Canceled) {
			t.Errorf("cancelled at %d: %v", n, err)
		}
		if _, err := os.Stat(path); n == 1 && !errors.Is(err, os.ErrNotExist) {
			t.Errorf("cancelled before it began, and yet there is a file: %v", err)
		}
	}
	open(t, path)
}
