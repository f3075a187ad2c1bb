package eventstore_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"os"
	"testing"

	"github.com/statehouse/statehouse/eventstore"
	"github.com/statehouse/statehouse/internal/check"
	"github.com/statehouse/statehouse/storage"
)

// damagedLog is a log of one segment for each of five events, the third of which fills pages of its own, and its file.
func damagedLog(t *testing.T) (path string, content []byte) {
	t.Helper()
	path = tempDB(t)
	s, db := open(t, path, eventstore.Options{SealAfter: -1})
	for n := range 5 {
		value := []byte("small")
		if n == 2 {
			value = bytes.Repeat([]byte("large"), 4000)
		}
		mustAppend(t, s, check.CustomEvent("sensor.a", "acme.test", value))
	}
	if err := errors.Join(s.Close(), db.Close()); err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return path, content
}

// cutOff has a large row end before its end, so that SQLite cannot read it, and writes the file.
func cutOff(t *testing.T, path string, content []byte) {
	t.Helper()
	size := int(binary.BigEndian.Uint16(content[16:])) // of a page, as the file's header has it
	page := bytes.Index(content, bytes.Repeat([]byte("large"), size/5-2)) / size
	copy(content[page*size:], []byte{0xff, 0xff, 0xff, 0xff}) // the number of the page that goes on
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
}

// alter runs statements on one connection.
func alter(t *testing.T, path string, statements ...string) {
	t.Helper()
	db, err := storage.Open(t.Context(), path, storage.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range statements {
		if _, err := db.Writer().ExecContext(t.Context(), s); err != nil {
			t.Errorf("%s: %v", s, err)
		}
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
}

// A read that comes to a damage has everything before it, from the beginning as from the end, and says that it is one.
func TestReadsGoUpToADamage(t *testing.T) {
	for name, damage := range map[string]func(path string, content []byte){
		"a row that is gone": func(path string, _ []byte) {
			alter(t, path, `DELETE FROM segments WHERE last_position = 3`)
		},
		"a row that says nonsense": func(path string, _ []byte) {
			alter(t, path, `PRAGMA ignore_check_constraints = ON`, `UPDATE segments SET first_position = -92 WHERE last_position = 3`)
		},
		"a row that SQLite cannot read": func(path string, content []byte) { cutOff(t, path, content) },
	} {
		t.Run(name, func(t *testing.T) {
			path, content := damagedLog(t)
			damage(path, content)
			db, err := storage.Open(t.Context(), path, storage.Options{})
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = db.Close() }()
			s, err := eventstore.Open(t.Context(), db, eventstore.Options{ReadOnlyIfDamaged: true, SealAfter: -1})
			if err == nil {
				err = s.Start(t.Context())
			}
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = s.Close() }()
			for _, backward := range []bool{false, true} {
				var got []eventstore.Position
				var failed error
				for e, err := range s.Read(context.Background(), eventstore.Query{Backward: backward}) {
					if failed = err; err == nil {
						got = append(got, e.Position)
					}
				}
				want := []eventstore.Position{1, 2}
				if backward {
					want = []eventstore.Position{5, 4}
				}
				if len(got) != 2 || got[0] != want[0] || got[1] != want[1] || !errors.Is(failed, eventstore.ErrCorrupt) {
					t.Errorf("backward %t: positions %d, then %v; want %d and a damage", backward, got, failed, want)
				}
			}
		})
	}
}

// What a row says of itself that cannot be read costs nothing of what is behind it.
func TestInspectGoesOnBehindNonsense(t *testing.T) {
	path, _ := damagedLog(t)
	alter(t, path, `PRAGMA ignore_check_constraints = ON`, `UPDATE segments SET first_position = 86 WHERE last_position = 3`)
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	cutOff(t, path, content)
	result, found := inspect(t, path)
	if len(found) == 0 || found[0].First != 3 || found[0].Last != 3 || result.Events != 4 {
		t.Errorf("%d events are whole: %v", result.Events, found)
	}
}

// A constraint that SQLite does not understand any more is damage, and keeps nobody from looking at the rest.
func TestInspectADamagedConstraint(t *testing.T) {
	path := inspectedLog(t)
	alter(t, path, `PRAGMA writable_schema = ON`,
		`UPDATE sqlite_schema SET sql = replace(sql, 'length(file_uuid)', 'lxngth(file_uuid)') WHERE name = 'snapshots'`)
	result, found := inspect(t, path)
	if len(found) != 1 || found[0].Kind != eventstore.FindingFile || result.Events != 130 {
		t.Errorf("%d events are whole: %v", result.Events, found)
	}
}
