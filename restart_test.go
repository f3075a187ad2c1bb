package statehouse_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/statehouse/statehouse"
	"github.com/statehouse/statehouse/eventstore"
	entityv1 "github.com/statehouse/statehouse/gen/statehouse/entity/v1"
	"github.com/statehouse/statehouse/internal/check"
	"github.com/statehouse/statehouse/registry"
	"github.com/statehouse/statehouse/state"
	"github.com/statehouse/statehouse/storage"
)

// I7: a restart replays what follows the snapshot, gives the same present, timestamps included, and appends nothing.
func TestRestartIsTheSameBitForBit(t *testing.T) {
	path := tempDB(t)
	h := openHouse(t, path, statehouse.Options{})
	at := time.Date(2024, 2, 29, 12, 0, 0, 123456789, time.FixedZone("here", 3600))
	for i := range 50 {
		e := check.SensorEvent(fmt.Sprintf("sensor.s%d", i%7), float64(i/11))
		e.Timestamp = at.Add(time.Duration(i) * time.Millisecond)
		mustAppend(t, h, e, check.ReportEvent("sensor.s1"),
			check.RegisterEvent(&entityv1.Entity{Id: fmt.Sprintf("light.l%d", i%5), UniqueId: fmt.Sprint(i % 5), DeviceId: "d"}))
		if i == 30 {
			if err := h.Snapshot(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	}
	before := h.Now()
	h = reopen(t, h, path)
	r := h.Recovered()
	if r.Snapshot != 93 || r.Position != 150 || r.Replayed != 57 || len(r.Faults) != 0 {
		t.Errorf("recovered %+v", r)
	}
	sameMoments(t, h, before.State)
	if h.Now().Position() != before.Position() {
		t.Errorf("the restart moved the log from %d to %d", before.Position(), h.Now().Position())
	}
}

// manyEvents are the states of n sensors.
func manyEvents(n int) (events []eventstore.Event) {
	for i := range n {
		events = append(events, check.SensorEvent(fmt.Sprintf("sensor.s%d", i), float64(i)))
	}
	return events
}

// manyStates appends the state of n sensors, and saves a full snapshot.
func manyStates(t *testing.T, h *statehouse.House, n int) {
	t.Helper()
	var events []eventstore.Event
	for i := range n {
		events = append(events, check.SensorEvent(fmt.Sprintf("sensor.s%d", i), float64(i)),
			check.RegisterEvent(&entityv1.Entity{Id: fmt.Sprintf("sensor.s%d", i), UniqueId: fmt.Sprint(i), DeviceId: "d"}))
	}
	mustAppend(t, h, events...)
	if err := h.Snapshot(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// I7, with deltas: what they change, add and remove is there again after a restart, bit for bit; and so after one from the
// last of many, and after one in which a full one had taken their place. At the end what is left to save is a delta too.
func TestRestartFromDeltas(t *testing.T) {
	path := tempDB(t)
	h := openHouse(t, path, statehouse.Options{SnapshotEvery: 1 << 20})
	manyStates(t, h, 20)
	for i := range 20 {
		id := fmt.Sprintf("sensor.s%d", i)
		mustAppend(t, h, check.SensorEvent("sensor.s1", float64(1000+i)), check.SensorEvent(fmt.Sprintf("sensor.new%d", i%3), 1),
			check.UnregisterEvent(fmt.Sprintf("sensor.s%d", 15+i%5)), check.RegisterEvent(&entityv1.Entity{Id: id, UniqueId: "other" + id}))
		if err := h.Snapshot(t.Context()); err != nil {
			t.Fatal(err)
		}
		if i%9 == 1 {
			before := h.Now().State
			again := filepath.Join(t.TempDir(), "copy.db")
			copyHouse(t, h, path, again)
			c := openHouse(t, again, statehouse.Options{SnapshotEvery: 1 << 20})
			if r := c.Recovered(); r.Snapshot != before.Position || len(r.Faults) > 0 {
				t.Errorf("recovered %+v, want the snapshot at %d", r, before.Position)
			}
			sameMoments(t, c, before)
		}
	}
	all, err := h.Snapshots(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	kinds := map[bool]int{}
	for _, s := range all {
		if s.Owner == "state" {
			kinds[s.Delta]++
		}
	}
	if kinds[true] == 0 || kinds[false] == 0 {
		t.Errorf("%d deltas and %d full snapshots are left", kinds[true], kinds[false])
	}
}

// copyHouse copies the files of an open house, in a turn of its writer.
func copyHouse(t *testing.T, h *statehouse.House, path, to string) {
	t.Helper()
	_, err := h.Decide(t.Context(), func(statehouse.Pending) ([]eventstore.Event, error) {
		for _, suffix := range []string{"", "-wal"} {
			content, err := os.ReadFile(path + suffix)
			if err == nil {
				err = os.WriteFile(to+suffix, content, 0o600)
			}
			if err != nil {
				return nil, err
			}
		}
		return nil, nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// sameMoments fails the test unless the present is, bit for bit, a revision from before.
func sameMoments(t *testing.T, h *statehouse.House, before state.Revision) {
	t.Helper()
	now := h.Now().State
	if now.Position != before.Position || now.Entities.Len() != before.Entities.Len() {
		t.Fatalf("position %d with %d entities, before %d with %d", now.Position, now.Entities.Len(),
			before.Position, before.Entities.Len())
	}
	for id, want := range before.Entities.All() {
		got, _ := now.Get(id)
		if err := check.SameState(got, want); err != nil {
			t.Errorf("%s: %v", id, err)
		}
	}
}

// Snapshots are taken while others write; each, loaded on its own, is the fold of the log at its position.
// (Defects: a view taken before the position; no snapshot succeeds under continuous writes; owners that overwrite
// each other's snapshot.)
func TestSnapshotsUnderWrites(t *testing.T) {
	path := tempDB(t)
	h := openHouse(t, path, statehouse.Options{})
	ctx, stop := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for w := range 4 {
		wg.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				_, err := h.Append(t.Context(), check.SensorEvent(fmt.Sprintf("sensor.w%d_%d", w, i%50), float64(i)),
					check.RegisterEvent(&entityv1.Entity{Id: fmt.Sprintf("light.w%d", w), Name: fmt.Sprint(i)}))
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	mustAppend(t, h, manyEvents(1000)...) // so that most of what there is does not change, and deltas are taken
	for range 10 {
		for at := h.Store().Stats().Snapshot; h.Now().Position() <= at; {
			runtime.Gosched() // each one is at another position
		}
		if err := h.Snapshot(ctx); err != nil {
			t.Errorf("snapshot under writes: %v", err)
		}
	}
	stop()
	wg.Wait()
	if all, err := h.Snapshots(t.Context()); err != nil || !slices.ContainsFunc(all, func(s eventstore.SnapshotInfo) bool { return s.Delta && s.Records > 0 }) {
		t.Errorf("no snapshot was a delta: %v, %v", all, err)
	}
	events := readAll(t, h, eventstore.Query{})
	if err := h.Close(); err != nil {
		t.Fatal(err)
	}
	for deleted, both := 0, 0; ; deleted++ {
		at := restoredPosition(t, path)
		if at == 0 {
			if deleted < 8 || both < 8 { // those before are not needed any more
				t.Errorf("%d snapshots of states, %d of the registry, want at least 8", deleted, both)
			}
			return
		}
		both += compareSnapshots(t, path, events[:at])
		deleteSnapshots(t, path, at)
	}
}

func readAll(t *testing.T, h *statehouse.House, q eventstore.Query) []eventstore.Event {
	t.Helper()
	var events []eventstore.Event
	for e, err := range h.Read(t.Context(), q) {
		if err != nil {
			t.Fatal(err)
		}
		events = append(events, e)
	}
	return events
}

// withDB runs f on the database at path, which nobody has open.
func withDB(t *testing.T, path string, f func(db *storage.DB)) {
	t.Helper()
	db, err := storage.Open(t.Context(), path, storage.Options{})
	if err != nil {
		t.Fatal(err)
	}
	f(db)
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
}

func restoredPosition(t *testing.T, path string) (at uint64) {
	withDB(t, path, func(db *storage.DB) {
		var err error
		c := state.New()
		if at, err = c.Restore(t.Context(), db.Writer()); err != nil || len(c.SnapshotFaults()) > 0 {
			t.Fatal(err, c.SnapshotFaults())
		}
	})
	return at
}

// compareSnapshots compares the newest snapshot of states with the fold of the events up to it, and that of the registry if
// there is one at the same position: what one of them starts from is kept for that one alone. It answers how many of the
// registry it has compared.
func compareSnapshots(t *testing.T, path string, events []eventstore.Event) (registries int) {
	t.Helper()
	fold := check.NewFold()
	for _, e := range events {
		if err := fold.Add(e); err != nil {
			t.Fatal(err)
		}
	}
	withDB(t, path, func(db *storage.DB) {
		cache, reg := state.New(), registry.New()
		if at, err := cache.Restore(t.Context(), db.Writer()); err != nil || at != uint64(len(events)) {
			t.Fatalf("states restored at %d of %d: %v", at, len(events), err)
		}
		if err := fold.CompareStates(cache.Revision()); err != nil {
			t.Errorf("snapshot at %d: %v", len(events), err)
		}
		at, err := reg.Restore(t.Context(), db.Writer())
		if err != nil || len(reg.SnapshotFaults()) > 0 {
			t.Fatalf("the registry at %d: %v, %v", len(events), err, reg.SnapshotFaults())
		}
		if at == uint64(len(events)) {
			registries++
			if err := fold.CompareRegistry(reg.Revision()); err != nil {
				t.Errorf("snapshot at %d: %v", len(events), err)
			}
		}
	})
	return registries
}

func deleteSnapshots(t *testing.T, path string, at uint64) {
	t.Helper()
	withDB(t, path, func(db *storage.DB) {
		if _, err := db.Writer().ExecContext(t.Context(), `DELETE FROM snapshots WHERE position = ?`, int64(at)); err != nil {
			t.Fatal(err)
		}
	})
}

// A snapshot of an empty log is one at position 0, and event 1 is not skipped after it.
func TestSnapshotOfAnEmptyLog(t *testing.T) {
	path := tempDB(t)
	h := openHouse(t, path, statehouse.Options{})
	if err := h.Snapshot(t.Context()); err != nil {
		t.Fatal(err)
	}
	h = reopen(t, h, path)
	mustAppend(t, h, check.SensorEvent("sensor.first", 1))
	h = reopen(t, h, path)
	if s, ok := h.Now().State.Get("sensor.first"); !ok || s.Position != 1 {
		t.Errorf("event 1 after a snapshot of nothing: %v %v", s, ok)
	}
}

// A damaged snapshot is reported and skipped: the one before it is used, and at worst none. A good one is made in place
// of it, and of the damaged ones nothing is left.
func TestDamagedSnapshotIsSkipped(t *testing.T) {
	damage := []string{
		// A body that decodes, of another snapshot: only the checksum can tell.
		`UPDATE snapshot_parts SET body = (SELECT body FROM snapshot_parts WHERE position = 2 AND owner = 'state')
			WHERE position = 6 AND owner = 'state'`,
		`UPDATE snapshots SET chain = zeroblob(32) WHERE position = 4 AND owner = 'state'`,
		`UPDATE snapshots SET count = count + 1 WHERE position = 2 AND owner = 'state'`,
	}
	for i := range damage {
		path := tempDB(t)
		h := openHouse(t, path, statehouse.Options{})
		for i := range 3 {
			mustAppend(t, h, check.SensorEvent("sensor.a", float64(i)), check.SensorEvent("sensor.b", float64(i)))
			if err := h.Snapshot(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		before := h.Now().State
		if err := h.Close(); err != nil {
			t.Fatal(err)
		}
		change(t, path, damage[:i+1]...)
		h, err := statehouse.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		r := h.Recovered()
		if want := eventstore.Position(4 - 2*i); r.Snapshot != want || len(r.Faults) != i+1 {
			t.Errorf("damage %d: recovered %+v, want the snapshot at %d and %d faults", i, r, want, i+1)
		}
		sameMoments(t, h, before)
		if err := errors.Join(check.House(t.Context(), h), h.Close()); err != nil {
			t.Fatal(err)
		}
		h = openHouse(t, path, statehouse.Options{})
		if r := h.Recovered(); r.Snapshot != 6 || len(r.Faults) != 0 {
			t.Errorf("damage %d: after it was mended, recovered %+v", i, r)
		}
		sameMoments(t, h, before)
		all, err := h.Snapshots(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		var at []eventstore.Position
		for _, s := range all {
			if s.Owner == "state" {
				at = append(at, s.Position)
			}
			if v, err := h.VerifySnapshot(t.Context(), s.Owner, s.Position); v.Fault != nil || err != nil {
				t.Errorf("damage %d: %v is left: %v, %v", i, s.SnapshotHeader, v.Fault, err)
			}
		}
		if want := [][]eventstore.Position{{2, 4, 6}, {2, 6}, {6}}[i]; !slices.Equal(at, want) {
			t.Errorf("damage %d: snapshots at %v are left, want %v", i, at, want)
		}
	}
}

// Whatever byte of a delta, or of what it starts from, is another one: a start reports it and uses what is left, or
// nothing is different; the present is the same, and the next start finds nothing wrong.
func TestDamagedDeltasAreSkipped(t *testing.T) {
	path := tempDB(t)
	h := openHouse(t, path, statehouse.Options{})
	manyStates(t, h, 10)
	for i := range 2 {
		mustAppend(t, h, check.SensorEvent("sensor.s1", float64(100+i)), check.UnregisterEvent(fmt.Sprintf("sensor.s%d", 5+i)))
		if err := h.Snapshot(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	before := h.Now().State
	if err := h.Close(); err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	type place struct{ table, column, change string }
	places := []place{
		{"snapshots", "owner", "'elsewhere'"}, {"snapshots", "position", "position + 1000"},
		{"snapshots", "base_position", "NULL"}, {"snapshots", "base_checksum", "NULL"}, {"snapshots", "base_position", "base_position - 1"},
		{"snapshots", "base_position", "NULL, base_checksum = NULL"},
		{"snapshot_parts", "part", "part + 1"}, {"snapshot_parts", "body", "x''"}, {"snapshot_parts", "position", "position + 1000"},
	}
	for _, column := range []string{"fold_version", "encoding", "count", "parts"} {
		places = append(places, place{"snapshots", column, column + " + 1"})
	}
	for _, at := range []int{1, 16, 32} {
		for _, column := range []string{"file_uuid", "chain", "checksum", "base_checksum"} {
			if at <= 16 || column != "file_uuid" {
				places = append(places, place{"snapshots", column, flipped(column, at)})
			}
		}
		places = append(places, place{"snapshot_parts", "body", flipped("body", at)})
	}
	const base, last = 20, 24
	used := map[eventstore.Position]int{}
	for _, p := range places {
		for _, at := range []eventstore.Position{base, last} {
			if at == base && strings.HasPrefix(p.column, "base") || testing.Short() && p.change != flipped(p.column, 1) {
				continue
			}
			if err := os.WriteFile(path, content, 0o600); err != nil {
				t.Fatal(err)
			}
			what := fmt.Sprintf("%s.%s at %d = %s", p.table, p.column, at, p.change)
			change(t, path, fmt.Sprintf(`UPDATE OR REPLACE %s SET %s = %s WHERE owner = 'state' AND position = %d`, p.table, p.column, p.change, at))
			h := openUnchecked(t, path)
			r := h.Recovered()
			used[r.Snapshot]++
			// What is not there is no fault, and neither the number of parts nor where one is in the order is part of what is read.
			silent := p.column == "owner" || p.column == "parts" || p.column == "part"
			if r.Snapshot != last && len(r.Faults) == 0 && (!silent || at != last) {
				t.Errorf("%s: recovered %+v without a fault", what, r)
			}
			if r.Snapshot == last && len(r.Faults) == 0 && !silent {
				t.Errorf("%s: it was used", what)
			}
			sameMoments(t, h, before)
			if err := errors.Join(check.House(t.Context(), h), h.Close()); err != nil && !silent && p.column != "position" {
				t.Fatal(what, err)
			}
			h = openUnchecked(t, path)
			// Of another version is not damaged, and what is elsewhere nobody looks at.
			mended := p.column != "owner" && p.column != "position" && p.column != "fold_version"
			if r := h.Recovered(); r.Position != before.Position || mended && len(r.Faults) > 0 {
				t.Errorf("%s: the next start recovered %+v", what, r)
			}
			sameMoments(t, h, before)
			if err := h.Close(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if !testing.Short() && (used[0] == 0 || used[22] == 0 || used[last] == 0) {
		t.Errorf("snapshots were used so often: %v", used)
	}
}

// flipped is a byte column with another byte at an index, from 1.
func flipped(column string, at int) string {
	return fmt.Sprintf(`CAST(substr(%[1]s, 1, %[2]d - 1) || CASE hex(substr(%[1]s, %[2]d, 1)) WHEN '55' THEN x'56' ELSE x'55' END || substr(%[1]s, %[2]d + 1) AS BLOB)`, column, at)
}

func openUnchecked(t *testing.T, path string) *statehouse.House {
	t.Helper()
	h, err := statehouse.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// change changes the database at path, which nobody has open.
func change(t *testing.T, path string, statements ...string) {
	t.Helper()
	withDB(t, path, func(db *storage.DB) {
		for _, s := range statements {
			done, err := db.Writer().ExecContext(t.Context(), s)
			if err != nil {
				t.Fatalf("%s: %v", s, err)
			}
			if n, err := done.RowsAffected(); n == 0 || err != nil {
				t.Fatalf("%s: it changes nothing, %v", s, err)
			}
		}
	})
}

// A page of the snapshots' tables that SQLite cannot read costs the snapshots and not the start.
func TestUnreadableSnapshotsAreSkipped(t *testing.T) {
	for _, table := range []string{"snapshots", "snapshot_parts"} {
		path := tempDB(t)
		h := openHouse(t, path, statehouse.Options{})
		mustAppend(t, h, check.SensorEvent("sensor.a", 1))
		before := h.Now().State
		if err := errors.Join(h.Snapshot(t.Context()), h.Close()); err != nil {
			t.Fatal(err)
		}
		var page, size int64
		withDB(t, path, func(db *storage.DB) {
			if err := db.Writer().QueryRowContext(t.Context(), `SELECT rootpage FROM sqlite_schema WHERE name = ?`,
				table).Scan(&page); err != nil {
				t.Fatal(err)
			}
			if err := db.Writer().QueryRowContext(t.Context(), `PRAGMA page_size`).Scan(&size); err != nil {
				t.Fatal(err)
			}
		})
		f, err := os.OpenFile(path, os.O_RDWR, 0)
		if err == nil {
			_, err = f.WriteAt([]byte{0xff}, (page-1)*size)
			err = errors.Join(err, f.Close())
		}
		if err != nil {
			t.Fatal(err)
		}
		h = openHouse(t, path, statehouse.Options{})
		// The registry's has no records, and so no parts.
		want := map[string]int{"snapshots": 2, "snapshot_parts": 1}[table]
		if r := h.Recovered(); len(r.Faults) != want || r.Replayed != 1 {
			t.Errorf("%s: recovered %+v, want %d faults", table, r, want)
		}
		sameMoments(t, h, before)
	}
}

// A snapshot of another file is not believed, nor one whose log is not the one that it was made from: here a copy of
// the file that went another way since.
func TestForeignSnapshotIsSkipped(t *testing.T) {
	for name, related := range map[string]bool{"another file": false, "a copy": true} {
		t.Run(name, func(t *testing.T) {
			path, other := tempDB(t), tempDB(t)
			h := openHouse(t, path, statehouse.Options{})
			mustAppend(t, h, check.SensorEvent("sensor.common", 1))
			if err := h.Close(); err != nil {
				t.Fatal(err)
			}
			if related {
				content, err := os.ReadFile(path)
				if err == nil {
					err = os.WriteFile(other, content, 0o600)
				}
				if err != nil {
					t.Fatal(err)
				}
			}
			h = openHouse(t, path, statehouse.Options{})
			mustAppend(t, h, check.SensorEvent("sensor.a", 1))
			if err := errors.Join(h.Snapshot(t.Context()), h.Close()); err != nil {
				t.Fatal(err)
			}
			o := openHouse(t, other, statehouse.Options{})
			mustAppend(t, o, check.SensorEvent("sensor.b", 2), check.SensorEvent("sensor.c", 2))
			if err := o.Close(); err != nil {
				t.Fatal(err)
			}
			withDB(t, other, func(db *storage.DB) { stealSnapshots(t, db, path) })
			o = openHouse(t, other, statehouse.Options{})
			if r := o.Recovered(); len(r.Faults) != 2 || r.Snapshot != 0 {
				t.Errorf("recovered %+v, want two faults", r)
			}
			if _, ok := o.Now().State.Get("sensor.a"); ok {
				t.Error("the state of another house was restored")
			}
		})
	}
}

// stealSnapshots copies the snapshots of the database at path into db.
func stealSnapshots(t *testing.T, db *storage.DB, path string) {
	t.Helper()
	for _, s := range []string{
		`ATTACH DATABASE '` + path + `' AS theirs`,
		`INSERT INTO snapshots SELECT * FROM theirs.snapshots`,
		`INSERT INTO snapshot_parts SELECT * FROM theirs.snapshot_parts`,
		`DETACH DATABASE theirs`,
	} {
		if _, err := db.Writer().ExecContext(t.Context(), s); err != nil {
			t.Fatal(err)
		}
	}
}
