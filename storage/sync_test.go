package storage

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// Every name that an opening makes is made durable, or was made by one that ended before it could do that: a file whose
// name a power cut takes is lost with all that was synced in it, and so is a directory.
func TestNewNamesAreSynced(t *testing.T) {
	top := t.TempDir()
	a := filepath.Join(top, "a")
	b := filepath.Join(a, "b")
	path := filepath.Join(b, "home.db")
	var synced []string
	sync := func(dir string) error {
		if _, err := os.Stat(path); err != nil {
			t.Errorf("%s was synced before all new names were there: %v", dir, err)
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
		if len(synced) < len(want) || !slices.Equal(synced[:len(want)], want) {
			t.Errorf("synced %q, want %q first", synced, want)
		}
	}
	prepare(b, a, top)
	if last := synced[len(synced)-1]; filepath.Dir(last) != last {
		t.Errorf("the last that was synced is %s", last)
	}
	prepare(b, a, top) // the file is still empty: whoever made it may have been killed before the sync
	db, err := Open(context.Background(), path, Options{})
	if err == nil {
		err = db.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	if prepare(); len(synced) > 0 { // SQLite syncs the directory with the journal of its first transaction
		t.Errorf("synced %q for a database that is there", synced)
	}
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
