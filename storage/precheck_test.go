package storage

import (
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// damagedWAL is a database whose WAL has lost transactions that were synced.
func damagedWAL(t *testing.T) (path string, wal []byte) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "home.db")
	db, err := Open(t.Context(), path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.Writer().ExecContext(t.Context(), `PRAGMA wal_checkpoint(TRUNCATE)`); err != nil {
		t.Fatal(err)
	}
	for i := range 5 {
		if _, err := db.Writer().ExecContext(t.Context(), `INSERT INTO segment_filters VALUES (?, x'00')`, i+1); err != nil {
			t.Fatal(err)
		}
	}
	db.Preserve()
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if wal, err = os.ReadFile(path + "-wal"); err != nil || len(wal) < 5*pageSize {
		t.Fatalf("a WAL of %d bytes: %v", len(wal), err)
	}
	wal[walHeaderSize+frameHeaderSize+pageSize+frameHeaderSize+100] ^= 1 // in the second transaction
	if err := os.WriteFile(path+"-wal", wal, 0o600); err != nil {
		t.Fatal(err)
	}
	return path, wal
}

// A WAL that has lost what was synced keeps a database from being opened, or has it opened for reading what is before the
// damage; it stays as it is, and a copy of it lies beside it.
func TestDamagedWAL(t *testing.T) {
	path, wal := damagedWAL(t)
	for range 2 {
		if _, err := Open(t.Context(), path, Options{}); !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), "frame 2, at byte 2104") {
			t.Errorf("%v", err)
		}
	}
	db, err := Open(t.Context(), path, Options{ReadOnlyIfDamaged: true})
	if err != nil {
		t.Fatal(err)
	}
	var n int
	if err := db.Reader().QueryRowContext(t.Context(), `SELECT count(*) FROM segment_filters`).Scan(&n); err != nil || n != 1 {
		t.Errorf("%d rows can be read, want that of the transaction before the damage: %v", n, err)
	}
	if _, err := db.Writer().ExecContext(t.Context(), `DELETE FROM segment_filters`); err == nil {
		t.Error("it can be written")
	}
	if err := errors.Join(db.Damage(), db.Close()); !errors.Is(err, ErrDamaged) {
		t.Error(err)
	}
	if now, err := os.ReadFile(path + "-wal"); err != nil || string(now) != string(wal) {
		t.Errorf("the WAL was changed: %v", err)
	}
	copies, err := filepath.Glob(path + "-wal.damaged-*")
	if err != nil || len(copies) != 1 {
		t.Fatalf("copies %v, %v", copies, err)
	}
	if kept, err := os.ReadFile(copies[0]); err != nil || string(kept) != string(wal) {
		t.Errorf("the copy is not the WAL: %v", err)
	}
}

// A size in the header that is not that of the file would make SQLite give pages that are in use to others.
func TestDamagedSize(t *testing.T) {
	path := filepath.Join(t.TempDir(), "home.db")
	db, err := Open(t.Context(), path, Options{})
	if err == nil {
		err = db.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	binary.BigEndian.PutUint32(content[28:], binary.BigEndian.Uint32(content[28:])-1)
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), path, Options{}); !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), "the header of") {
		t.Errorf("%v", err)
	}
}
