package storage_test

import (
	"context"
	"database/sql"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/statehouse/statehouse/storage"
)

func TestMain(m *testing.M) {
	if path := os.Getenv("STATEHOUSE_TEST_HOLD"); path != "" {
		hold(path)
		return
	}
	goleak.VerifyTestMain(m)
}

// hold is what the second process of TestSecondProcess does: it opens the database and waits to be killed.
func hold(path string) {
	db, err := storage.Open(context.Background(), path, storage.Options{})
	if err == nil {
		err = db.Announce("http://127.0.0.1:1")
	}
	if err != nil {
		_, _ = os.Stdout.WriteString(err.Error() + "\n")
		os.Exit(1)
	}
	_, _ = os.Stdout.WriteString("open\n")
	select {}
}

func open(t *testing.T, path string) *storage.DB {
	t.Helper()
	db, err := storage.Open(t.Context(), path, storage.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db
}

// Every connection of both pools is as durable as the first. (Defects: pragmas set on one pooled connection;
// synchronous=NORMAL.)
func TestPragmasOnEveryConnection(t *testing.T) {
	db := open(t, filepath.Join(t.TempDir(), "home.db"))
	if err := db.Reopen(t.Context()); err != nil {
		t.Fatal(err)
	}
	var conns []*sql.Conn
	for range 4 {
		c, err := db.Reader().Conn(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = c.Close() }()
		conns = append(conns, c)
	}
	w, err := db.Writer().Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = w.Close() }()
	for i, c := range append(conns, w) {
		for pragma, want := range map[string]string{
			"synchronous": "2", "journal_mode": "wal", "mmap_size": "0", "busy_timeout": "10000", "foreign_keys": "1",
			"page_size": "2048",
		} {
			var got string
			err := c.QueryRowContext(t.Context(), "PRAGMA "+pragma).Scan(&got)
			if errors.Is(err, sql.ErrNoRows) { // what mmap_size answers where there is no mmap at all
				got = "0"
			} else if err != nil {
				t.Fatal(err)
			}
			if got != want {
				t.Errorf("connection %d: %s is %s, want %s", i, pragma, got, want)
			}
		}
	}
}

func TestReadersCannotWrite(t *testing.T) {
	db := open(t, filepath.Join(t.TempDir(), "home.db"))
	if _, err := db.Reader().ExecContext(t.Context(), `DELETE FROM meta`); err == nil {
		t.Error("a reader wrote")
	}
}

// A commit writes one row with no index on it. (Defect: five indexes on a row per event.)
func TestSegmentsHaveNoIndex(t *testing.T) {
	db := open(t, filepath.Join(t.TempDir(), "home.db"))
	var n int
	if err := db.Reader().QueryRowContext(t.Context(), `SELECT count(*) FROM sqlite_schema
		WHERE type = 'index' AND tbl_name = 'segments'`).Scan(&n); err != nil || n != 0 {
		t.Errorf("%d indexes, %v", n, err)
	}
}

func TestFileModes(t *testing.T) {
	path := filepath.Join(t.TempDir(), "new", "home.db")
	db := open(t, path)
	if _, err := db.Writer().ExecContext(t.Context(), `INSERT INTO meta (key, value) VALUES ('k', x'00')`); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]fs.FileMode{
		"": fs.ModeDir | 0o700, "home.db": 0o600, "home.db-wal": 0o600, "home.db-shm": 0o600, "home.db.lock": 0o600,
	} {
		info, err := os.Stat(filepath.Join(filepath.Dir(path), name))
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode() != want {
			t.Errorf("%q has mode %v, want %v", name, info.Mode(), want)
		}
	}
}

// What cannot be opened gets an error that says why, and is left as it was.
func TestRefusedFiles(t *testing.T) {
	dir := t.TempDir()
	foreign := filepath.Join(dir, "foreign.db")
	makeDB(t, foreign, `CREATE TABLE theirs (x)`)
	newer := filepath.Join(dir, "newer.db")
	db, err := storage.Open(t.Context(), newer, storage.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	makeDB(t, newer, `INSERT INTO goose_db_version (version_id, is_applied) VALUES (999, 1)`)
	text := filepath.Join(dir, "text.db")
	if err := os.WriteFile(text, []byte(strings.Repeat("Dear diary, ", 1000)), 0o600); err != nil {
		t.Fatal(err)
	}
	short := filepath.Join(dir, "short.db")
	if err := os.WriteFile(short, []byte("milk, eggs"), 0o600); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]error{
		short: storage.ErrNotOurs, foreign: storage.ErrNotOurs, newer: storage.ErrNewerFormat, text: storage.ErrNotOurs, dir: storage.ErrNotOurs,
	} {
		before, _ := os.ReadFile(path)
		db, err := storage.Open(t.Context(), path, storage.Options{})
		if err == nil {
			_ = db.Close()
		}
		if !errors.Is(err, want) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v, want %v", filepath.Base(path), err, want)
		}
		if after, _ := os.ReadFile(path); string(after) != string(before) {
			t.Errorf("%s was changed", filepath.Base(path))
		}
	}
}

func makeDB(t *testing.T, path, statement string) {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.ExecContext(t.Context(), statement); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
}

// A damaged file is called damaged.
func TestDamagedFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "home.db")
	db, err := storage.Open(t.Context(), path, storage.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for i := 100; i < 4096; i++ { // the schema's page, behind the header
		content[i] = 0x5a
	}
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := storage.Open(t.Context(), path, storage.Options{}); !errors.Is(err, storage.ErrDamaged) {
		t.Errorf("%v, want ErrDamaged", err)
	}
}

// A file that may not be written is said to be so before anything is made beside it, which would have its mode for good.
func TestReadOnlyFiles(t *testing.T) {
	path := filepath.Join(t.TempDir(), "home.db")
	if err := open(t, path).Close(); err != nil {
		t.Fatal(err)
	}
	suffixes := []string{"", "-wal", "-shm"}
	protect := func(file string) error {
		f, err := os.OpenFile(file, os.O_RDONLY|os.O_CREATE, 0o600)
		return errors.Join(err, f.Close(), os.Chmod(file, 0o400))
	}
	unprotect := func(file string) error { return os.Chmod(file, 0o600) }
	if os.Getuid() == 0 {
		// Permissions do not bind root: a directory in the place of a file is as unwritable for everybody.
		suffixes, protect, unprotect = []string{"-shm"}, func(file string) error { return os.Mkdir(file, 0o700) }, os.Remove
	}
	for _, suffix := range suffixes {
		if err := protect(path + suffix); err != nil {
			t.Fatal(err)
		}
		_, err := storage.Open(t.Context(), path, storage.Options{ReadOnlyIfDamaged: true})
		if !errors.Is(err, storage.ErrNotWritable) || !strings.Contains(err.Error(), path+suffix+":") {
			t.Errorf("%q: %v, want ErrNotWritable", suffix, err)
		}
		if err := unprotect(path + suffix); err != nil {
			t.Fatal(err)
		}
	}
	if err := open(t, path).Close(); err != nil {
		t.Error(err)
	}
}

func TestReadOnlyDirectory(t *testing.T) {
	if os.Getuid() == 0 {
		// Permissions do not bind root: a path below a file is as unwritable for everybody.
		file := filepath.Join(t.TempDir(), "file")
		if err := os.WriteFile(file, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := storage.Open(t.Context(), filepath.Join(file, "home.db"), storage.Options{})
		if !errors.Is(err, storage.ErrNotWritable) {
			t.Errorf("%v, want ErrNotWritable", err)
		}
		return
	}
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o500); err != nil {
		t.Fatal(err)
	}
	_, err := storage.Open(t.Context(), filepath.Join(dir, "home.db"), storage.Options{})
	if !errors.Is(err, storage.ErrNotWritable) || !strings.Contains(err.Error(), dir) {
		t.Errorf("%v, want ErrNotWritable", err)
	}
}

// A second process is refused and told who has the file; when the first one is killed the lock is gone.
func TestSecondProcess(t *testing.T) {
	path := filepath.Join(t.TempDir(), "home.db")
	cmd := exec.CommandContext(t.Context(), os.Args[0]) //nolint:gosec // this very test
	cmd.Env = append(os.Environ(), "STATEHOUSE_TEST_HOLD="+path)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line := make([]byte, 5)
	if _, err := out.Read(line); err != nil || string(line) != "open\n" {
		t.Fatalf("%q %v", line, err)
	}
	if _, err := storage.Open(t.Context(), path, storage.Options{}); !errors.Is(err, storage.ErrLocked) {
		t.Errorf("%v, want ErrLocked", err)
	}
	if h, err := storage.ReadHolder(path); err != nil || h.PID != cmd.Process.Pid || h.URL != "http://127.0.0.1:1" {
		t.Errorf("holder %+v, %v", h, err)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	db := open(t, path)
	if h, err := storage.ReadHolder(path); err != nil || h.PID != os.Getpid() {
		t.Errorf("holder %+v, %v", h, err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if h, err := storage.ReadHolder(path); err != nil || h != (storage.Holder{}) {
		t.Errorf("holder of a closed database: %+v, %v", h, err)
	}
}

// A path is a path, whatever characters are in it.
func TestOddPaths(t *testing.T) {
	for _, name := range []string{"a b.db", "a?b=c.db", "a#b.db", "100%.db", "ä.db", "a&_pragma=synchronous(0).db"} {
		path := filepath.Join(t.TempDir(), name)
		open(t, path)
		if _, err := os.Stat(path); err != nil {
			t.Errorf("%q: %v", name, err)
		}
		entries, err := os.ReadDir(filepath.Dir(path))
		if err != nil || len(entries) > 4 {
			t.Errorf("%q: %v %v", name, entries, err)
		}
	}
}
