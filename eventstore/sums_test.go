package eventstore

import (
	"context"
	"errors"
	"path/filepath"
	"testing"

	"github.com/statehouse/statehouse/storage"
)

// change changes the file behind the back of the store.
func (a anchored) change(statement string) {
	a.t.Helper()
	db, err := storage.Open(a.t.Context(), a.path, storage.Options{})
	if err != nil {
		a.t.Fatal(err)
	}
	_, err = db.Writer().ExecContext(a.t.Context(), statement)
	if err := errors.Join(err, db.Close()); err != nil {
		a.t.Fatal(err)
	}
}

// notices is the number of notices of a start.
func (a anchored) notices(do func(s *Store)) (n int) {
	a.t.Helper()
	err := a.with(Options{}, func(s *Store) {
		n = len(s.Recovered().Notices)
		if do != nil {
			do(s)
		}
	})
	if err != nil {
		a.t.Fatal(err)
	}
	return n
}

// A cursor that is not what was written, or that is hidden, is no beginning: its consumer is told so, others go on, and who
// deletes it accepts that.
func TestDamagedCursors(t *testing.T) {
	for name, statement := range map[string]string{
		"changed": `UPDATE cursors SET position = 1 WHERE name = 'a'`,
		"hidden":  `DELETE FROM cursors WHERE name = 'a'`,
	} {
		t.Run(name, func(t *testing.T) {
			a := anchored{t, filepath.Join(t.TempDir(), "log.db")}
			open := func(s *Store, name string) (Position, error) {
				c, err := s.Consumer(t.Context(), name, Query{After: FromNow})
				if err != nil {
					return 0, err
				}
				defer c.Close()
				return c.Acked(), c.Ack(s.Head())
			}
			if n := a.notices(func(s *Store) {
				for range 2 {
					appendOne(t, s)
				}
				for _, name := range []string{"a", "b"} {
					if _, err := open(s, name); err != nil {
						t.Fatal(err)
					}
				}
				appendOne(t, s)
			}); n != 0 {
				t.Errorf("%d notices of a new log", n)
			}
			if a.notices(nil) != 0 {
				t.Error("a notice of a healthy log")
			}
			a.change(statement)
			if n := a.notices(func(s *Store) {
				for name, want := range map[string]Position{"b": 2, "a": 0} {
					if at, err := open(s, name); at != want || errors.Is(err, ErrCorrupt) != (want == 0) {
						t.Errorf("consumer %s is at %d, %v", name, at, err)
					}
				}
				if err := s.Verify(t.Context()); !errors.Is(err, ErrCorrupt) {
					t.Errorf("a verification: %v", err)
				}
				appendOne(t, s) // goes on
				if err := s.DeleteCursor(t.Context(), "a"); err != nil {
					t.Error(err)
				}
				if at, err := open(s, "a"); at != 4 || err != nil {
					t.Errorf("begun anew it is at %d, %v", at, err)
				}
			}); n != 1 {
				t.Errorf("%d notices", n)
			}
			if n := a.notices(func(s *Store) {
				if err := s.Verify(t.Context()); err != nil {
					t.Error(err)
				}
			}); n != 0 {
				t.Errorf("%d notices of what was accepted", n)
			}
		})
	}
}

// A key that is not what was written, or that cannot be found, does not let its append be done again.
func TestDamagedKeys(t *testing.T) {
	for name, statement := range map[string]string{
		"changed":          `UPDATE append_keys SET first_position = 2, last_position = 2 WHERE key = 'a'`,
		"under a new name": `UPDATE append_keys SET key = 'c' WHERE key = 'a'`,
	} {
		t.Run(name, func(t *testing.T) {
			a := anchored{t, filepath.Join(t.TempDir(), "log.db")}
			appendKey := func(ctx context.Context, s *Store, key string) (Span, error) {
				return s.Append(ctx, Batch{Key: Key{ID: key}, Events: []Event{systemEvent(1)}})
			}
			a.notices(func(s *Store) {
				for _, key := range []string{"a", "b"} {
					if _, err := appendKey(t.Context(), s, key); err != nil {
						t.Fatal(err)
					}
				}
			})
			a.change(statement)
			if n := a.notices(func(s *Store) {
				if span, err := appendKey(t.Context(), s, "a"); !errors.Is(err, ErrCorrupt) {
					t.Errorf("the damaged one: %+v, %v", span, err)
				}
				if span, err := appendKey(t.Context(), s, "b"); err != nil || span.First != 2 {
					t.Errorf("the other one: %+v, %v", span, err)
				}
				if s.Head() != 2 {
					t.Errorf("the log ends at %d", s.Head())
				}
				appendOne(t, s) // who has no key goes on
			}); n != 1 {
				t.Errorf("%d notices", n)
			}
		})
	}
}
