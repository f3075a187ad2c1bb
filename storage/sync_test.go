package storage

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// Every name that an opening makes is made durable: a file whose name a power cut takes is lost with all that was
// synced in it.
func TestNewNamesAreSynced(t *testing.T) {
	top := t.TempDir()
	a := filepath.Join(top, "a")
	b := filepath.Join(a, "b")
	path := filepath.Join(b, "home.db")
	names := map[string]string{top: "a", a: "b", b: "home.db"}
	var synced []string
	sync := func(dir string) error {
		if _, err := os.Stat(filepath.Join(dir, names[dir])); err != nil {
			t.Errorf("%s was synced before there was a new name in it: %v", dir, err)
		}
		synced = append(synced, dir)
		return SyncDir(dir)
	}
	prepare := func(want ...string) {
		t.Helper()
		synced = nil
		if err := prepareFiles(path, sync); err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(synced, want) {
			t.Errorf("synced %q, want %q", synced, want)
		}
	}
	prepare(top, a, b)
	prepare(b) // the file is still empty: whoever made it may have been killed before the sync
	db, err := Open(context.Background(), path, Options{})
	if err == nil {
		err = db.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	prepare() // SQLite syncs the directory with the journal of its first transaction
}

// A directory that cannot be synced is an error: what is acknowledged could be lost.
func TestFailedSyncOfADirectory(t *testing.T) {
	broken := errors.New("I/O error")
	for _, path := range []string{filepath.Join(t.TempDir(), "home.db"), filepath.Join(t.TempDir(), "new", "home.db")} {
		err := prepareFiles(path, func(string) error { return broken })
		if !errors.Is(err, broken) || !errors.Is(err, ErrNotWritable) {
			t.Errorf("%s: %v", path, err)
		}
	}
}
