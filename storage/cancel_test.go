package storage_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/statehouse/statehouse/internal/check"
	"github.com/statehouse/statehouse/storage"
)

// An opening that is cancelled, wherever it is, says so, and leaves a file that can be opened.
func TestCancelledOpen(t *testing.T) {
	path := filepath.Join(t.TempDir(), "home.db")
	for n := int64(1); ; n++ {
		ctx := check.NewCountdown(t.Context(), n)
		db, err := storage.Open(ctx, path, storage.Options{})
		ended := ctx.Ended()
		ctx.Cancel()
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
