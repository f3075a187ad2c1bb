package eventstore

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/statehouse/statehouse/storage"
)

// anchored is a log in a directory, opened again and again.
type anchored struct {
	t    *testing.T
	path string
}

// with opens the log, does something, and closes it. It returns the error of the start.
func (a anchored) with(opts Options, do func(s *Store)) error {
	a.t.Helper()
	db, err := storage.Open(a.t.Context(), a.path, storage.Options{ReadOnlyIfDamaged: opts.ReadOnlyIfDamaged})
	if err != nil {
		return err
	}
	s, err := Open(a.t.Context(), db, opts)
	if err == nil {
		if err = s.Start(a.t.Context()); err == nil && do != nil {
			do(s)
		}
		err = errors.Join(err, s.Close())
	}
	return errors.Join(err, db.Close())
}

func (a anchored) append(n int) {
	a.t.Helper()
	if err := a.with(Options{}, func(s *Store) {
		for range n {
			appendOne(a.t, s)
		}
	}); err != nil {
		a.t.Fatal(err)
	}
}

func appendOne(t *testing.T, s *Store) {
	t.Helper()
	if _, err := s.Append(t.Context(), Batch{Events: []Event{systemEvent(1)}}); err != nil {
		t.Fatal(err)
	}
}

func (a anchored) copy(from, to string) {
	a.t.Helper()
	content, err := os.ReadFile(a.path + from)
	if err == nil {
		err = os.WriteFile(a.path+to, content, 0o600)
	}
	if err != nil {
		a.t.Fatal(err)
	}
}

// An older copy of the database beside a newer anchor has lost what was acknowledged: it is not started, or for reading only,
// and says which positions are missing. It stays as it is, also when that is tried again.
func TestAnOlderCopyIsNoticed(t *testing.T) {
	a := anchored{t, filepath.Join(t.TempDir(), "log.db")}
	a.append(3)
	a.copy("", ".backup")
	a.append(2)
	a.copy("", ".now")
	a.copy(".backup", "")
	for range 2 {
		err := a.with(Options{}, nil)
		if !errors.Is(err, ErrCorrupt) || !strings.Contains(err.Error(), "positions 4 to 5 are missing") {
			t.Errorf("it starts: %v", err)
		}
	}
	err := a.with(Options{ReadOnlyIfDamaged: true}, func(s *Store) {
		if err := s.Damage(); !errors.Is(err, ErrCorrupt) || !strings.Contains(err.Error(), "positions 4 to 5 are missing") {
			t.Errorf("damage: %v", err)
		}
		if s.Head() != 3 || s.Stats().Fault == nil {
			t.Errorf("head %d, fault %v", s.Head(), s.Stats().Fault)
		}
		_, err := s.Append(t.Context(), Batch{Events: []Event{systemEvent(1)}})
		if !errors.Is(err, ErrReadOnly) || !errors.Is(err, ErrCorrupt) {
			t.Errorf("append: %v", err)
		}
		if err := s.Verify(t.Context()); !errors.Is(err, ErrCorrupt) || !strings.Contains(err.Error(), "positions 4 to 5 are missing") {
			t.Errorf("verification: %v", err)
		}
	})
	if err != nil {
		t.Error(err)
	}
	before, err1 := os.ReadFile(a.path + ".backup")
	after, err2 := os.ReadFile(a.path)
	if err := errors.Join(err1, err2); err != nil || !bytes.Equal(before, after) {
		t.Errorf("it was changed: %v", err)
	}
	// The right file fits again, and one that has gone on from an older one does not.
	a.copy(".now", "")
	a.append(1)
	a.copy(storage.AnchorSuffix, ".kept")
	a.copy(".backup", "")
	if err := os.Remove(a.path + storage.AnchorSuffix); err != nil {
		t.Fatal(err)
	}
	a.append(4)
	a.copy(".kept", storage.AnchorSuffix)
	if err := a.with(Options{}, nil); !errors.Is(err, ErrCorrupt) || !strings.Contains(err.Error(), "the log up to position 6 is not the one") {
		t.Errorf("a log that went another way: %v", err)
	}
}

// A missing, torn or behind anchor is a notice at most, and there is one again.
func TestAnAnchorIsOnlyANotice(t *testing.T) {
	a := anchored{t, filepath.Join(t.TempDir(), "log.db")}
	a.append(2)
	a.copy(storage.AnchorSuffix, ".old")
	a.append(2)
	for _, c := range []struct {
		name   string
		do     func() error
		notice string
	}{
		{"behind", func() error { return os.Rename(a.path+".old", a.path+storage.AnchorSuffix) }, ""},
		{"missing", func() error { return os.Remove(a.path + storage.AnchorSuffix) }, "there is no log.db.anchor"},
		{"torn", func() error { return os.Truncate(a.path+storage.AnchorSuffix, 40) }, "log.db.anchor is torn"},
		{"longer", func() error { return os.Truncate(a.path+storage.AnchorSuffix, 65) }, "log.db.anchor is torn"},
	} {
		if err := c.do(); err != nil {
			t.Fatal(err)
		}
		err := a.with(Options{}, func(s *Store) {
			notices := s.Recovered().Notices
			if s.Damage() != nil || (c.notice == "") != (len(notices) == 0) || len(notices) > 0 && !strings.Contains(notices[0].Error(), c.notice) {
				t.Errorf("%s: damage %v, notices %v", c.name, s.Damage(), notices)
			}
		})
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
		if at, found, _, err := readAnchor(a.path + storage.AnchorSuffix); !found || err != nil || at.position != 4 {
			t.Errorf("%s: then there is %+v, %t, %v", c.name, at, found, err)
		}
	}
}

// No new log is begun in the place of one that was there.
func TestALostFileIsNotReplaced(t *testing.T) {
	a := anchored{t, filepath.Join(t.TempDir(), "log.db")}
	a.append(1)
	for _, lose := range []func() error{
		func() error { return os.Truncate(a.path, 0) },
		func() error { return os.Remove(a.path) },
	} {
		if err := lose(); err != nil {
			t.Fatal(err)
		}
		if err := a.with(Options{ReadOnlyIfDamaged: true}, nil); !errors.Is(err, storage.ErrDamaged) || !strings.Contains(err.Error(), "log.db.anchor") {
			t.Errorf("%v", err)
		}
	}
	if _, err := os.Stat(a.path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("there is a new one: %v", err)
	}
}

// An anchor that is written is read again, and nothing else is one.
func FuzzAnchor(f *testing.F) {
	f.Add((&anchor{uuid: make([]byte, uuidSize), position: 7}).encode())
	f.Add([]byte(anchorMagic))
	f.Fuzz(func(t *testing.T, b []byte) {
		if a, ok := decodeAnchor(b); ok && !bytes.Equal(a.encode(), b) {
			t.Errorf("%x is read as %+v", b, a)
		}
	})
}

// The anchor costs a commit next to nothing.
func BenchmarkAnchor(b *testing.B) {
	f, err := os.Create(filepath.Join(b.TempDir(), "log.db.anchor"))
	if err != nil {
		b.Fatal(err)
	}
	s := &Store{uuid: make([]byte, uuidSize)}
	s.opts.setDefaults()
	s.anchor.file = f
	for b.Loop() {
		s.dropAnchor(head{position: 1})
	}
	if err := s.anchor.close(); err != nil {
		b.Fatal(err)
	}
}

// A verification finds what is wrong with pages that hold nothing.
func TestInspectFindsDisorder(t *testing.T) {
	a := anchored{t, filepath.Join(t.TempDir(), "log.db")}
	a.append(150)
	err := a.with(Options{SealAfter: -1}, func(s *Store) {
		if err := s.Seal(t.Context()); err != nil { // which frees pages
			t.Fatal(err)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(a.path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	free := make([]byte, 4) // the number of free pages
	if _, err := f.ReadAt(free, 36); err != nil || free[3] == 0 {
		t.Fatalf("%v free pages, %v", free, err)
	}
	free[3]++
	_, err = f.WriteAt(free, 36)
	if err := errors.Join(err, f.Close()); err != nil {
		t.Fatal(err)
	}
	err = a.with(Options{}, func(s *Store) {
		if err := s.Verify(t.Context()); !errors.Is(err, ErrCorrupt) || !strings.Contains(err.Error(), "its pages are not in order") {
			t.Errorf("it finds %v", err)
		}
	})
	if err != nil {
		t.Error(err)
	}
}
