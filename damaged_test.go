package statehouse_test

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/binary"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/statehouse/statehouse"
	"github.com/statehouse/statehouse/eventstore"
	"github.com/statehouse/statehouse/internal/check"
	"github.com/statehouse/statehouse/storage"
)

// damagedHouse is a house of 40 events in segments of one, with a snapshot at 20, of which one segment is damaged.
func damagedHouse(t *testing.T, at eventstore.Position) (path string, fold []*check.Fold) {
	t.Helper()
	path = tempDB(t)
	h := openHouse(t, path, statehouse.Options{})
	for i := range 40 {
		mustAppend(t, h, check.SensorEvent("sensor."+string(rune('a'+i%3)), float64(i)))
		if i == 19 {
			if err := h.Snapshot(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	}
	f := check.NewFold()
	fold = append(fold, f.Clone())
	for e, err := range h.Read(t.Context(), eventstore.Query{}) {
		if err := errors.Join(err, f.Add(e)); err != nil {
			t.Fatal(err)
		}
		fold = append(fold, f.Clone())
	}
	if err := h.Close(); err != nil {
		t.Fatal(err)
	}
	withDB(t, path, func(db *storage.DB) {
		if _, err := db.Writer().ExecContext(t.Context(), `UPDATE segments SET body = zeroblob(length(body)) WHERE last_position = ?`,
			int64(at)); err != nil {
			t.Fatal(err)
		}
	})
	return path, fold
}

// A damage behind the last snapshot leaves a house that can be read: its present is the fold up to the damage, and what is
// behind that can be read as well. Nothing of it changes.
func TestADamagedHouseCanBeRead(t *testing.T) {
	path, fold := damagedHouse(t, 30)
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	const where = "segment with positions 30 to 30, recorded "
	if _, err := statehouse.Open(path); !errors.Is(err, eventstore.ErrCorrupt) || !strings.Contains(err.Error(), where) {
		t.Errorf("without the option: %v", err)
	}
	h, err := statehouse.OpenContext(t.Context(), path, statehouse.Options{ReadOnlyIfDamaged: true})
	if err != nil {
		t.Fatal(err)
	}
	if err := h.Damage(); !errors.Is(err, eventstore.ErrCorrupt) || !strings.Contains(err.Error(), where) {
		t.Errorf("damage: %v", err)
	}
	if err := fold[29].CompareStates(h.Now().State); err != nil {
		t.Errorf("the present: %v", err)
	}
	if head := h.Store().Head(); head != 40 {
		t.Errorf("the head is %d", head)
	}
	read := func(q eventstore.Query) (n int, failed error) {
		for _, err := range h.Read(t.Context(), q) {
			if err != nil {
				return n, err
			}
			n++
		}
		return n, nil
	}
	for _, c := range []struct {
		q    eventstore.Query
		want int
		ends bool
	}{
		{eventstore.Query{Until: 29}, 29, true}, {eventstore.Query{After: 30}, 10, true}, {eventstore.Query{}, 29, false},
		{eventstore.Query{Backward: true}, 10, false},
	} {
		n, err := read(c.q)
		if n != c.want || c.ends != (err == nil) || !c.ends && (!errors.Is(err, eventstore.ErrCorrupt) || !strings.Contains(err.Error(), where)) {
			t.Errorf("%+v: %d events, %v", c.q, n, err)
		}
	}
	for at, ok := range map[eventstore.Position]bool{0: true, 15: true, 29: true, 30: false, 40: false} {
		m, err := h.AsOf(t.Context(), at)
		if ok && (err != nil || fold[at].CompareStates(m.State) != nil) || !ok && (!errors.Is(err, eventstore.ErrCorrupt) || !strings.Contains(err.Error(), where)) {
			t.Errorf("as of %d: %v", at, err)
		}
	}
	for at, want := range map[eventstore.Position]error{35: eventstore.ErrCorrupt, 41: eventstore.ErrInvalid} {
		if _, err := h.AsOf(t.Context(), at); !errors.Is(err, want) {
			t.Errorf("as of %d: %v", at, err)
		}
		for _, err := range h.ChangesSince(t.Context(), at) {
			if !errors.Is(err, want) {
				t.Errorf("changes since %d: %v", at, err)
			}
		}
	}
	_, err = h.Append(t.Context(), check.SensorEvent("sensor.a", 1))
	for _, err := range []error{err, h.Snapshot(t.Context()), h.Store().Seal(t.Context())} {
		if !errors.Is(err, eventstore.ErrReadOnly) {
			t.Errorf("a write: %v", err)
		}
	}
	if err := h.Close(); err != nil {
		t.Error(err)
	}
	if after, err := os.ReadFile(path); err != nil || string(after) != string(before) {
		t.Errorf("it was changed, %v", err)
	}
}

// A damage before a snapshot that is whole keeps no house from starting and going on: only what needs the damaged segment fails.
func TestADamageOfThePastIsNoDamageOfThePresent(t *testing.T) {
	path, fold := damagedHouse(t, 10)
	h, err := statehouse.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(h.Damage(), fold[40].CompareStates(h.Now().State)); err != nil {
		t.Error(err)
	}
	mustAppend(t, h, check.SensorEvent("sensor.a", 1))
	if _, err := h.AsOf(t.Context(), 12); !errors.Is(err, eventstore.ErrCorrupt) {
		t.Errorf("as of 12: %v", err)
	}
	if _, err := h.AsOf(t.Context(), 25); err != nil {
		t.Errorf("as of 25: %v", err)
	}
	if err := h.Close(); err != nil {
		t.Error(err)
	}
}

// A repair saves every event but the damaged one, in whose place is one that says so, under another name.
func TestRepair(t *testing.T) {
	path, _ := damagedHouse(t, 30)
	to := filepath.Join(t.TempDir(), "repaired.db")
	done := eventstore.Position(0)
	result, err := statehouse.Repair(t.Context(), path, to, statehouse.RepairOptions{Inspect: eventstore.InspectOptions{
		Progress: func(at, _ eventstore.Position) { done = at },
	}})
	if err != nil {
		t.Fatal(err)
	}
	if result.Events != 39 || result.Last != 40 || len(result.Lost) != 1 || result.Lost[0].First != 30 || result.Lost[0].Last != 30 || done != 40 {
		t.Errorf("%+v, progress %d", result, done)
	}
	h, err := statehouse.Open(to)
	if err != nil {
		t.Fatal(err)
	}
	if err := check.House(t.Context(), h); err != nil {
		t.Error(err)
	}
	for at, want := range map[eventstore.Position]string{30: "lost", 41: "repaired"} {
		e, err := h.Store().Event(t.Context(), at)
		if err != nil || e.Payload.GetSystem().GetWhat() != want {
			t.Errorf("position %d: %v, %v", at, e.Payload, err)
		}
	}
	if err := h.Close(); err != nil {
		t.Error(err)
	}
	if _, err := statehouse.Repair(t.Context(), path, to, statehouse.RepairOptions{}); !errors.Is(err, fs.ErrExist) {
		t.Errorf("over a file: %v", err)
	}
}

// onLook does something when somebody first asks whether it is cancelled.
type onLook struct {
	context.Context
	once sync.Once
	do   func()
}

func (c *onLook) Done() <-chan struct{} {
	c.once.Do(c.do)
	return c.Context.Done()
}

// What comes to be at the output after a repair has looked is not the repair's to remove.
func TestRepairsToOneOutput(t *testing.T) {
	path, _ := damagedHouse(t, 30)
	to := filepath.Join(t.TempDir(), "repaired.db")
	ctx := &onLook{Context: t.Context(), do: func() {
		if err := os.WriteFile(to, []byte("another's"), 0o600); err != nil {
			t.Error(err)
		}
	}}
	if _, err := statehouse.Repair(ctx, path, to, statehouse.RepairOptions{}); !errors.Is(err, fs.ErrExist) {
		t.Errorf("over a file that has just been made: %v", err)
	}
	if text, err := os.ReadFile(to); err != nil || string(text) != "another's" {
		t.Errorf("it is now %q, %v", text, err)
	}
}

// What a repair has made is verified: where anything does not fit, it fails, and leaves nothing.
func TestRepairVerifiesWhatItMade(t *testing.T) {
	path, _ := damagedHouse(t, 30)
	to := filepath.Join(t.TempDir(), "repaired.db")
	_, err := statehouse.Repair(t.Context(), path, to, statehouse.RepairOptions{Inspect: eventstore.InspectOptions{
		Progress: func(done, last eventstore.Position) {
			if done != last {
				return
			}
			db, err := sql.Open("sqlite", to+"?_pragma=busy_timeout(10000)")
			if err == nil {
				_, err = db.Exec(`INSERT INTO segment_filters VALUES (40, x'00')`)
			}
			if err := errors.Join(err, db.Close()); err != nil {
				t.Error(err)
			}
		},
	}})
	if !errors.Is(err, eventstore.ErrCorrupt) {
		t.Errorf("a repair whose result is damaged: %v", err)
	}
	if left, err := filepath.Glob(to + "*"); err != nil || len(left) > 0 {
		t.Errorf("it leaves %v, %v", left, err)
	}
}

// What is missing at the end is given up only by who says so. A consumer that was there goes on with what comes next.
func TestRepairOfALostEnd(t *testing.T) {
	path := tempDB(t)
	h := openHouse(t, path, statehouse.Options{})
	mustAppend(t, h, check.SensorEvent("sensor.a", 1))
	if err := h.Close(); err != nil {
		t.Fatal(err)
	}
	h = openHouse(t, path, statehouse.Options{})
	mustAppend(t, h, check.SensorEvent("sensor.a", 2), check.SensorEvent("sensor.a", 3))
	c, err := h.Consumer(t.Context(), "mirror", eventstore.Query{})
	if err == nil {
		err = c.Ack(3)
		c.Close()
	}
	uuid := h.Store().UUID()
	if err := errors.Join(err, h.Close()); err != nil {
		t.Fatal(err)
	}
	withDB(t, path, func(db *storage.DB) {
		if _, err := db.Writer().ExecContext(t.Context(), `DELETE FROM segments WHERE last_position > 1`); err != nil {
			t.Fatal(err)
		}
	})
	to := filepath.Join(t.TempDir(), "repaired.db")
	if _, err := statehouse.Repair(t.Context(), path, to, statehouse.RepairOptions{}); !errors.Is(err, statehouse.ErrLoss) ||
		!strings.Contains(err.Error(), "positions 2 to 3 are missing") {
		t.Errorf("without a word: %v", err)
	}
	if _, err := os.Stat(to); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("there is something: %v", err)
	}
	result, err := statehouse.Repair(t.Context(), path, to, statehouse.RepairOptions{AcceptLoss: true})
	if err != nil {
		t.Fatal(err)
	}
	if result.Events != 1 || result.Last != 1 || len(result.Lost) != 1 || result.Lost[0].First != 2 || result.Lost[0].Last != 3 ||
		len(result.SetBack) != 1 {
		t.Errorf("%+v", result)
	}
	h = openHouse(t, to, statehouse.Options{})
	if h.Store().UUID() == uuid {
		t.Error("positions mean something else, and the log has the same name")
	}
	if c, err = h.Consumer(t.Context(), "mirror", eventstore.Query{}); err != nil || c.Acked() != 1 {
		t.Fatalf("consumer: %v", err)
	}
	for e, err := range c.Events(t.Context()) {
		if err != nil || e.Position != 2 || e.Payload.GetSystem().GetWhat() != "repaired" {
			t.Errorf("what comes next is %v, %v", e, err)
		}
		break
	}
	c.Close()
}

// Whatever else fails, a healthy file is not taken for a damaged one, and stays where it is.
func TestOtherErrorsAreNoDamage(t *testing.T) {
	path := tempDB(t)
	h := openHouse(t, path, statehouse.Options{})
	mustAppend(t, h, check.SensorEvent("sensor.a", 1))
	opts := statehouse.Options{ReadOnlyIfDamaged: true}
	if _, err := statehouse.OpenContext(t.Context(), path, opts); !errors.Is(err, storage.ErrLocked) || errors.Is(err, storage.ErrDamaged) {
		t.Errorf("in use: %v", err)
	}
	if err := h.Close(); err != nil {
		t.Fatal(err)
	}
	before, err := os.ReadDir(filepath.Dir(path))
	if err != nil {
		t.Fatal(err)
	}
	other := path + ".other"
	if err := os.Mkdir(other, 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := statehouse.OpenContext(t.Context(), other, opts); err == nil || errors.Is(err, storage.ErrDamaged) {
		t.Errorf("a directory: %v", err)
	}
	if err := os.Remove(other); err != nil {
		t.Fatal(err)
	}
	after, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(after) != len(before) {
		t.Errorf("there are %v and were %v: %v", after, before, err)
	}
}

// A log of which events have been removed is repaired from where it begins.
func TestRepairOfWhatIsLeft(t *testing.T) {
	path, fold := damagedHouse(t, 0)
	h, err := statehouse.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	compacted, err := h.Store().Compact(t.Context(), 20, eventstore.CompactOptions{})
	if err := errors.Join(err, h.Close()); err != nil {
		t.Fatal(err)
	}
	withDB(t, path, func(db *storage.DB) {
		if _, err := db.Writer().ExecContext(t.Context(), `UPDATE segments SET body = zeroblob(length(body)) WHERE last_position = 38`); err != nil {
			t.Fatal(err)
		}
	})
	to := filepath.Join(t.TempDir(), "repaired.db")
	result, err := statehouse.Repair(t.Context(), path, to, statehouse.RepairOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if result.Last != 41 || len(result.Lost) != 1 || result.Lost[0].First != 38 {
		t.Errorf("%+v after %+v", result, compacted)
	}
	if h, err = statehouse.Open(to); err != nil {
		t.Fatal(err)
	}
	if at, _ := h.Store().Base(); at != 20 {
		t.Errorf("events are removed up to %d", at)
	}
	m, err := h.AsOf(t.Context(), 37)
	if err := errors.Join(err, fold[37].CompareStates(m.State)); err != nil {
		t.Error(err)
	}
	if _, err := h.AsOf(t.Context(), 10); !errors.Is(err, eventstore.ErrCompacted) {
		t.Errorf("as of 10: %v", err)
	}
	if _, err := h.Verify(t.Context(), eventstore.InspectOptions{Found: func(f eventstore.Finding) { t.Errorf("found %s", f) }}); err != nil {
		t.Error(err)
	}
	if err := h.Close(); err != nil {
		t.Error(err)
	}
}

// pagedHouse is a house of 200 events, one of them about sensor.on_the_page, with a snapshot.
func pagedHouse(t *testing.T) (path string) {
	t.Helper()
	path = tempDB(t)
	h := openHouse(t, path, statehouse.Options{})
	for i := range 200 {
		id := "sensor.a"
		if i == 99 {
			id = "sensor.on_the_page"
		}
		mustAppend(t, h, check.SensorEvent(id, float64(i)))
	}
	if err := errors.Join(h.Snapshot(t.Context()), h.Close()); err != nil {
		t.Fatal(err)
	}
	return path
}

// spoilPage makes a page of a database one that SQLite cannot read.
func spoilPage(t *testing.T, path string, page func(file []byte, pageSize int) int) {
	t.Helper()
	file, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	pageSize := int(binary.BigEndian.Uint16(file[16:]))
	file[page(file, pageSize)*pageSize] = 0xff // which is no kind of page
	if err := os.WriteFile(path, file, 0o600); err != nil {
		t.Fatal(err)
	}
}

// I11: a page of the log that SQLite cannot read is damage of the log for who needs it, and for nobody else.
func TestAPageThatCannotBeRead(t *testing.T) {
	path := pagedHouse(t)
	spoilPage(t, path, func(file []byte, pageSize int) int { return bytes.Index(file, []byte("sensor.on_the_page")) / pageSize })
	h, err := statehouse.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = h.Close() }()
	read := func(q eventstore.Query) (n int, err error) {
		for _, err = range h.Read(t.Context(), q) {
			if err == nil {
				n++
			}
		}
		return n, err
	}
	forward, errForward := read(eventstore.Query{})
	backward, errBackward := read(eventstore.Query{Backward: true})
	if forward < 50 || backward < 50 || forward+backward > 199 {
		t.Errorf("%d events can be read forward, and %d backward", forward, backward)
	}
	_, errHistory := read(eventstore.Query{Entities: []string{"sensor.a"}})
	_, errEvent := h.Store().Event(t.Context(), 100)
	_, errPast := h.AsOf(t.Context(), 150)
	for name, err := range map[string]error{
		"forward": errForward, "backward": errBackward, "history": errHistory, "event": errEvent, "as of": errPast,
	} {
		if !errors.Is(err, eventstore.ErrCorrupt) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, at := range []eventstore.Position{50, 200} {
		if m, err := h.AsOf(t.Context(), at); err != nil || m.Position() != at {
			t.Errorf("as of %d: %d, %v", at, m.Position(), err)
		}
	}
}

// I11: so is a table that cannot be read at all.
func TestATableThatCannotBeRead(t *testing.T) {
	whole, err := os.ReadFile(pagedHouse(t))
	if err != nil {
		t.Fatal(err)
	}
	for table, open := range map[string]bool{
		"meta": false, "segments": false, "segment_filters": true, "snapshots": true, "snapshot_parts": true, "append_keys": true, "cursors": true,
	} {
		path := tempDB(t)
		if err := os.WriteFile(path, whole, 0o600); err != nil {
			t.Fatal(err)
		}
		var root int
		withDB(t, path, func(db *storage.DB) {
			if err := db.Reader().QueryRow(`SELECT rootpage FROM sqlite_schema WHERE name = ?`, table).Scan(&root); err != nil {
				t.Fatal(err)
			}
		})
		spoilPage(t, path, func([]byte, int) int { return root - 1 })
		h, err := statehouse.Open(path)
		if err != nil {
			if open || !errors.Is(err, eventstore.ErrCorrupt) {
				t.Errorf("%s: %v", table, err)
			}
			continue
		}
		if !open {
			t.Errorf("%s: the house is open", table)
		}
		for _, at := range []eventstore.Position{0, 100, 200} {
			if m, err := h.AsOf(t.Context(), at); err != nil || m.Position() != at {
				t.Fatalf("%s: as of %d: %d, %v", table, at, m.Position(), err)
			}
		}
		if all, err := h.Snapshots(t.Context()); len(all) == 0 && !errors.Is(err, eventstore.ErrCorrupt) {
			t.Errorf("%s: %d snapshots, %v", table, len(all), err)
		}
		_ = h.Close() // which may not be able to take a snapshot
	}
}

// I11: a house that has lost its uuid can be read.
func TestAHouseThatLostItsUUIDCanBeRead(t *testing.T) {
	whole, err := os.ReadFile(pagedHouse(t))
	if err != nil {
		t.Fatal(err)
	}
	for _, damage := range []string{`DELETE FROM meta`, `UPDATE meta SET value = zeroblob(16)`, `UPDATE meta SET checksum = 1`} {
		path := tempDB(t)
		if err := os.WriteFile(path, whole, 0o600); err != nil {
			t.Fatal(err)
		}
		withDB(t, path, func(db *storage.DB) {
			if _, err := db.Writer().ExecContext(t.Context(), damage); err != nil {
				t.Fatal(err)
			}
		})
		h, err := statehouse.OpenContext(t.Context(), path, statehouse.Options{ReadOnlyIfDamaged: true})
		if err != nil {
			t.Errorf("%s: %v", damage, err)
			continue
		}
		if err := h.Damage(); !errors.Is(err, eventstore.ErrCorrupt) || !strings.Contains(err.Error(), "uuid") {
			t.Errorf("%s: the damage is %v", damage, err)
		}
		n := 0
		for _, err := range h.Read(t.Context(), eventstore.Query{}) {
			if err != nil {
				t.Fatalf("%s: %v", damage, err)
			}
			n++
		}
		if now := h.Now().Position(); n != 200 || now != 200 {
			t.Errorf("%s: %d events, and the present is at %d", damage, n, now)
		}
		if m, err := h.AsOf(t.Context(), 100); err != nil || m.Position() != 100 {
			t.Errorf("%s: as of 100: %d, %v", damage, m.Position(), err)
		}
		if err := h.Close(); err != nil {
			t.Error(err)
		}
	}
}
