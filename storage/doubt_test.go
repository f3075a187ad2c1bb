package storage_test

import (
	"os"
	"path/filepath"
	"testing"
)

// TestDoubtedWAL: after a commit that failed the WAL is not moved into the database at the end, nor by who opens it next and
// does not make it durable before; after that it is.
func TestDoubtedWAL(t *testing.T) {
	path := filepath.Join(t.TempDir(), "home.db")
	wal := func() int64 {
		info, err := os.Stat(path + "-wal")
		if err != nil {
			return 0
		}
		return info.Size()
	}
	db := open(t, path)
	if _, err := db.Writer().ExecContext(t.Context(), `CREATE TABLE kept (n)`); err != nil {
		t.Fatal(err)
	}
	if err := db.Reopen(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil || wal() == 0 {
		t.Fatalf("the WAL has %d bytes after the end: %v", wal(), err)
	}
	db = open(t, path)
	if err := db.Close(); err != nil || !db.InheritedWAL() || wal() == 0 {
		t.Fatalf("the WAL has %d bytes after it was only looked at: %v", wal(), err)
	}
	db = open(t, path)
	if err := db.MoveWAL(t.Context(), db.Writer()); err != nil || wal() != 0 {
		t.Fatalf("the WAL has %d bytes after it was moved: %v", wal(), err)
	}
	var n int
	if err := db.Writer().QueryRowContext(t.Context(), `SELECT count(*) FROM kept`).Scan(&n); err != nil {
		t.Error(err)
	}
	if err := db.Close(); err != nil || wal() != 0 {
		t.Errorf("the WAL has %d bytes in the end: %v", wal(), err)
	}
}
