//go:build unix

package storage

import (
	"context"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// A database that was closed can be opened again at once, also while a process is being started that has copies of all
// descriptors for a moment.
func TestLockEndsWithClose(t *testing.T) {
	path := filepath.Join(t.TempDir(), "home.db")
	db, err := Open(context.Background(), path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	duplicate, err := unix.Dup(int(db.lock.file.Fd()))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = unix.Close(duplicate) }()
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if db, err = Open(context.Background(), path, Options{}); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Error(err)
	}
}
