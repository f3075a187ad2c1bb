package eventstore

import (
	"bytes"
	"database/sql"
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	entityv1 "github.com/statehouse/statehouse/gen/statehouse/entity/v1"
	eventv1 "github.com/statehouse/statehouse/gen/statehouse/event/v1"
	"github.com/statehouse/statehouse/storage"
)

// What somebody changes who knows the format, and makes every checksum fit again, is found all the same.
func TestInspectFindsWhatFits(t *testing.T) {
	change := func(s *Store, at Position, change func(*segment)) {
		t.Helper()
		row, err := segmentWith(t.Context(), s.db.Reader(), at)
		if err != nil {
			t.Fatal(err)
		}
		change(&row)
		row.sum()
		if _, err := s.db.Writer().ExecContext(t.Context(), `UPDATE segments SET body = ?, chain = ? WHERE last_position = ?`,
			row.body, row.chain[:], int64(at)); err != nil {
			t.Fatal(err)
		}
	}
	// rechain makes the chain values of unsealed segments fit again.
	rechain := func(s *Store, from, until Position) {
		t.Helper()
		for at := from; at <= until; at++ {
			change(s, at, func(row *segment) {
				r := newRun()
				before, err := chainBefore(t.Context(), s.db.Reader(), row.first)
				if err := errors.Join(err, r.open(row, nil)); err != nil {
					t.Fatal(err)
				}
				_ = r.chainFrom(before, func(_ int, c chain) { row.chain = c })
			})
		}
	}
	swap := func(old, now string) func(*segment) {
		return func(row *segment) {
			if !bytes.Contains(row.body, []byte(old)) {
				t.Fatalf("%q is not in the segment", old)
			}
			row.body = bytes.Replace(row.body, []byte(old), []byte(now), 1)
		}
	}
	for name, c := range map[string]struct {
		do   func(s *Store)
		want string
	}{
		"another source": {func(s *Store) { change(s, 4, swap("alice", "mallo")) },
			"segment with position 4, recorded 1970-01-01T00:00:01Z, about light.b: its chain value does not follow"},
		"another event": {func(s *Store) {
			change(s, 4, swap("alice", "mallo"))
			rechain(s, 4, 4)
		}, "segment with position 5, recorded 1970-01-01T00:00:01Z, about light.a: its chain value does not follow"},
		"no payload": {func(s *Store) {
			change(s, 4, func(row *segment) { row.body[len(row.body)-1] = 0xff })
			rechain(s, 4, 6)
		}, "event at position 4, recorded 1970-01-01T00:00:01Z, about light.b: a record is not as it was written"},
		"a filter that denies": {func(s *Store) {
			if _, err := s.db.Writer().ExecContext(t.Context(), `UPDATE segment_filters SET filter = ? WHERE last_position = 3`,
				[]byte(newFilter(3, nil))); err != nil {
				t.Fatal(err)
			}
		}, "filter of the segment with positions 1 to 3, recorded 1970-01-01T00:00:01Z, about light.a, light.c: it says that they are not in the segment"},
	} {
		t.Run(name, func(t *testing.T) {
			db, err := storage.Open(t.Context(), filepath.Join(t.TempDir(), "log.db"), storage.Options{})
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = db.Close() }()
			s, err := Open(t.Context(), db, Options{SealAfter: -1, Clock: func() time.Time { return time.Unix(1, 0) }})
			if err == nil {
				err = s.Start(t.Context())
			}
			if err != nil {
				t.Fatal(err)
			}
			for i, id := range []string{"light.a", "light.c", "light.a", "light.b", "light.a", "light.b"} {
				on := true
				_, err := s.Append(t.Context(), Batch{Events: []Event{{Entity: id, Source: "alice", Payload: &eventv1.Payload{
					Kind: &eventv1.Payload_StateChanged{StateChanged: &eventv1.StateChanged{Attributes: &entityv1.Attributes{
						Domain: &entityv1.Attributes_Light{Light: &entityv1.Light{On: &on}}}}}}}}})
				if i == 2 {
					err = errors.Join(err, s.Seal(t.Context()))
				}
				if err != nil {
					t.Fatal(err)
				}
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			if err := s.Verify(t.Context()); err != nil {
				t.Fatalf("before anything was changed: %v", err)
			}
			c.do(s)
			var found []Finding
			if _, err := s.Inspect(t.Context(), InspectOptions{Found: func(f Finding) { found = append(found, f) }}); err != nil {
				t.Fatal(err)
			}
			if len(found) != 1 || !strings.HasPrefix(found[0].String(), c.want) {
				t.Errorf("found %v\nwant  %s", found, c.want)
			}
			if err := db.Close(); err != nil {
				t.Fatal(err)
			}
			if err := s.Verify(t.Context()); !errors.Is(err, ErrClosed) || errors.Is(err, sql.ErrConnDone) {
				t.Errorf("without a database: %v", err)
			}
		})
	}
}
