package storage

import (
	"encoding/binary"
	"errors"
	"fmt"
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

// linked is a place for a database in a directory of its own, and the names of links in other ones that lead there.
func linked(t *testing.T) (path string, links map[string]string) {
	t.Helper()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	path = filepath.Join(dir, "disk", "data", "home.db")
	for _, made := range []string{filepath.Dir(path), filepath.Join(dir, "deep", "er")} {
		if err := os.MkdirAll(made, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for _, l := range []struct{ from, to string }{
		{"absolute.db", path},
		{"relative.db", "disk/data/home.db"},
		{"chain.db", "relative.db"},
		{"deep/chain.db", filepath.Join(dir, "chain.db")},
		{"across", "deep/er"}, // behind it, ".." is not the directory that the link is in
		{"across/up.db", "../../absolute.db"},
		{"above.db", "across/../../disk/data/home.db"},
		{"data", "disk/data"},
		{"through.db", "data/home.db"},
	} {
		if err := os.Symlink(filepath.FromSlash(l.to), filepath.Join(dir, l.from)); err != nil {
			t.Fatal(err)
		}
	}
	links = map[string]string{}
	for _, name := range []string{"absolute.db", "relative.db", "chain.db", "deep/chain.db", "across/up.db", "above.db", "through.db", "data/home.db"} {
		links[name] = filepath.Join(dir, name)
	}
	return path, links
}

// listed is what is in the directories of the paths, and how large.
func listed(t *testing.T, paths ...string) string {
	t.Helper()
	var list strings.Builder
	for _, path := range paths {
		entries, err := os.ReadDir(filepath.Dir(path))
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			info, err := e.Info()
			if err != nil {
				t.Fatal(err)
			}
			fmt.Fprintln(&list, e.Name(), info.Mode(), info.Size())
		}
	}
	return list.String()
}

// Where what is beside a database says that there was one, no new one is begun, whatever link leads there: SQLite would make
// it there, and remove the WAL.
func TestMissingBehindALink(t *testing.T) {
	path, links := linked(t)
	links["no link"] = path
	for _, suffix := range []string{"-wal", AnchorSuffix} {
		left := strings.Repeat("what was acknowledged ", 10)
		if err := os.WriteFile(path+suffix, []byte(left), 0o600); err != nil {
			t.Fatal(err)
		}
		for name, link := range links {
			before := listed(t, path, link)
			db, err := Open(t.Context(), link, Options{})
			if err == nil {
				_ = db.Close()
			}
			if !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), path+" is missing, and home.db"+suffix) {
				t.Errorf("%s, with %s: %v", name, suffix, err)
			}
			if after := listed(t, path, link); after != before {
				t.Errorf("%s, with %s: there was\n%s and there is\n%s", name, suffix, before, after)
			}
			if now, err := os.ReadFile(path + suffix); err != nil || string(now) != left {
				t.Fatalf("%s: %s was changed: %v", name, suffix, err)
			}
		}
		if err := os.Remove(path + suffix); err != nil {
			t.Fatal(err)
		}
	}
}

// A database has its files beside itself and nothing beside the link that it was opened by, whether it was there before, is
// made through the link, or has been removed meanwhile.
func TestFilesBesideALink(t *testing.T) {
	path, links := linked(t)
	for name, link := range links {
		before := listed(t, link)
		for range 2 { // the second time it is there
			if at := realPath(link); at != path {
				t.Errorf("%s: its file is %s, want %s", name, at, path)
			}
			db, err := Open(t.Context(), link, Options{})
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if _, err := db.Writer().ExecContext(t.Context(), `INSERT OR REPLACE INTO segment_filters VALUES (1, x'00')`); err != nil {
				t.Error(err)
			}
			for _, suffix := range []string{"", "-wal", "-shm", ".lock"} {
				if at, err := os.Lstat(db.Beside(suffix)); err != nil || db.Beside(suffix) != path+suffix || !at.Mode().IsRegular() {
					t.Errorf("%s: %s is at %s: %v", name, suffix, db.Beside(suffix), err)
				}
			}
			if after := listed(t, link); after != before && name != "data/home.db" {
				t.Errorf("%s: beside the link there was\n%s and there is\n%s", name, before, after)
			}
			if h, err := ReadHolder(link); err != nil || h.PID != os.Getpid() {
				t.Errorf("%s: the holder is %+v, %v", name, h, err)
			}
			if err := db.Close(); err != nil {
				t.Error(err)
			}
		}
		for _, suffix := range []string{"", ".lock"} {
			if err := os.Remove(path + suffix); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// Links that lead nowhere are an error that says so, and nothing is made.
func TestLinksToNowhere(t *testing.T) {
	dir := t.TempDir()
	for from, to := range map[string]string{"self.db": "self.db", "a.db": "b.db", "b.db": "./a.db", "gone.db": "gone/home.db"} {
		if err := os.Symlink(to, filepath.Join(dir, from)); err != nil {
			t.Fatal(err)
		}
	}
	for i := range maxLinks + 2 { // a chain that ends behind what anybody follows
		if err := os.Symlink(fmt.Sprintf("%d.db", i+1), filepath.Join(dir, fmt.Sprintf("%d.db", i))); err != nil {
			t.Fatal(err)
		}
	}
	before := listed(t, filepath.Join(dir, "self.db"))
	for _, name := range []string{"self.db", "a.db", "0.db", "gone.db"} {
		path := filepath.Join(dir, name)
		db, err := Open(t.Context(), path, Options{})
		if err == nil {
			_ = db.Close()
		}
		if err == nil || !strings.Contains(err.Error(), path) || errors.Is(err, ErrDamaged) {
			t.Errorf("%s: %v", name, err)
		}
		if h, err := ReadHolder(path); h != (Holder{}) || err != nil {
			t.Errorf("%s: the holder is %+v, %v", name, h, err)
		}
	}
	if after := listed(t, filepath.Join(dir, "self.db")); after != before {
		t.Errorf("there was\n%s and there is\n%s", before, after)
	}
}
