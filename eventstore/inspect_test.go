package eventstore_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/statehouse/statehouse/eventstore"
	entityv1 "github.com/statehouse/statehouse/gen/statehouse/entity/v1"
	"github.com/statehouse/statehouse/internal/check"
	"github.com/statehouse/statehouse/registry"
	"github.com/statehouse/statehouse/state"
	"github.com/statehouse/statehouse/storage"
)

// second is the time at which the n-th batch of a log with a ticking clock is recorded.
func second(n int) time.Time { return time.Date(2025, 1, 1, 0, 0, n, 0, time.UTC) }

// inspectedLog makes a log of 130 events: two sealed segments, 1 to 100 and 101 to 120, and one for each event behind them;
// with snapshots at 50, 110 and 125. Positions 1 to 50 are recorded at second 1, 51 to 100 at 2, 101 to 110 at 3, 111 to
// 120 at 4, and then each a second later.
func inspectedLog(t *testing.T) (path string) {
	t.Helper()
	path = tempDB(t)
	tick := 0
	s, db := open(t, path, eventstore.Options{SealAfter: -1, Clock: func() time.Time { tick++; return second(tick) }},
		state.New(), registry.New())
	next := 0
	add := func(n int) {
		var events []eventstore.Event
		for range n {
			next++
			switch id := "sensor." + string("abc"[next%3]); {
			case next <= 3:
				events = append(events, check.RegisterEvent(&entityv1.Entity{Id: id, UniqueId: id}))
			default:
				events = append(events, check.SensorEvent(id, float64(next)))
			}
		}
		mustAppend(t, s, events...)
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	add(50)
	must(s.Snapshot(t.Context()))
	add(50)
	must(s.Seal(t.Context()))
	add(10)
	must(s.Snapshot(t.Context()))
	add(10)
	must(s.Seal(t.Context()))
	for range 10 {
		add(1)
		if next == 125 {
			must(s.Snapshot(t.Context()))
		}
	}
	must(errors.Join(s.Close(), db.Close()))
	return path
}

// inspect inspects the log at path, which nobody has open, without starting it.
func inspect(t *testing.T, path string) (eventstore.Inspection, []eventstore.Finding) {
	t.Helper()
	db, err := storage.Open(t.Context(), path, storage.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	s, err := eventstore.Open(t.Context(), db, eventstore.Options{})
	if err != nil {
		t.Fatal(err)
	}
	var found []eventstore.Finding
	last := eventstore.FromStart
	result, err := s.Inspect(t.Context(), eventstore.InspectOptions{
		Projectors: []eventstore.Projector{state.New(), registry.New()},
		Found:      func(f eventstore.Finding) { found = append(found, f) },
		Progress: func(done, until eventstore.Position) {
			if done < last || done > until {
				t.Errorf("progress went from %d to %d of %d", last, done, until)
			}
			last = done
		},
	})
	if err := errors.Join(err, s.Close()); err != nil {
		t.Fatal(err)
	}
	if result.Findings != len(found) {
		t.Errorf("it counts %d findings and tells %d", result.Findings, len(found))
	}
	return result, found
}

// change changes the closed database at path.
func change(t *testing.T, path string, statements ...string) {
	t.Helper()
	db, err := storage.Open(t.Context(), path, storage.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range statements {
		done, err := db.Writer().ExecContext(t.Context(), s)
		if err != nil {
			t.Fatalf("%s: %v", s, err)
		}
		if n, err := done.RowsAffected(); n == 0 || err != nil {
			t.Fatalf("%s: it changes nothing, %v", s, err)
		}
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestInspectGoodLog(t *testing.T) {
	result, found := inspect(t, inspectedLog(t))
	for _, f := range found {
		t.Error(f)
	}
	result.Took = 0
	if want := (eventstore.Inspection{Last: 130, Events: 130, Sealed: 2, Unsealed: 10, Snapshots: 6, Compared: 6}); result != want {
		t.Errorf("%+v, want %+v", result, want)
	}
}

// flip is a statement that changes the last byte of a column.
func flip(table, column, where string) string {
	return fmt.Sprintf(`UPDATE %[1]s SET %[2]s = CAST(substr(%[2]s, 1, length(%[2]s) - 1) ||
		CASE substr(%[2]s, -1) WHEN x'01' THEN x'02' ELSE x'01' END AS BLOB) WHERE %[3]s`, table, column, where)
}

// Whatever is changed, each finding says what it is about, where, when, and which entity, and nothing else is found.
func TestInspectFindsDamage(t *testing.T) {
	const sealed, first = "last_position = 100", "2025-01-01T00:00:01Z to 2025-01-01T00:00:02Z"
	for name, c := range map[string]struct {
		statements []string
		want       []string
		compared   int
	}{
		"body": {
			[]string{flip("segments", "body", "last_position = 123")},
			[]string{"segment with position 123, recorded 2025-01-01T00:00:07Z, about sensor.a: its checksum does not fit"}, 4,
		},
		"chain": {
			[]string{flip("segments", "chain", "last_position = 123")},
			[]string{"segment with position 123, recorded 2025-01-01T00:00:07Z, about sensor.a: its checksum does not fit"}, 4,
		},
		"time": {
			[]string{`UPDATE segments SET first_recorded = 0, last_recorded = 0 WHERE last_position = 123`},
			[]string{"segment with position 123, recorded 1970-01-01T00:00:00Z, about sensor.a: its checksum does not fit"}, 4,
		},
		"time to come": {
			[]string{`UPDATE segments SET first_recorded = 4102444800000000000, last_recorded = 4102444800000000000 WHERE last_position = 123`},
			[]string{"segment with position 123, recorded 2100-01-01T00:00:00Z, about sensor.a: its checksum does not fit"}, 4,
		},
		"sealed body": {
			[]string{flip("segments", "body", sealed)},
			[]string{"segment with positions 1 to 100, recorded " + first + ": its checksum does not fit"}, 0,
		},
		"empty body": {
			[]string{`UPDATE segments SET body = x'' WHERE last_position = 123`},
			[]string{"segment with position 123, recorded 2025-01-01T00:00:07Z: its checksum does not fit"}, 4,
		},
		"deleted": {
			[]string{`DELETE FROM segments WHERE last_position IN (122, 123)`},
			[]string{"positions 122 to 123, recorded 2025-01-01T00:00:05Z to 2025-01-01T00:00:08Z: they are missing"}, 4,
		},
		"deleted at the beginning": {
			[]string{`DELETE FROM segments WHERE ` + sealed, `DELETE FROM segment_filters WHERE ` + sealed},
			[]string{"positions 1 to 100, recorded before 2025-01-01T00:00:03Z: they are missing"}, 0,
		},
		"deleted at the end": {
			[]string{`DELETE FROM segments WHERE last_position > 120`},
			[]string{
				"snapshot of registry at position 125: the log ends at position 120, before it",
				"snapshot of state at position 125: the log ends at position 120, before it",
				"file: the log is damaged: positions 121 to 130 are missing: they were acknowledged",
			}, 4,
		},
		"deleted sealed": {
			[]string{`DELETE FROM segments WHERE last_position = 120`},
			[]string{
				"filter of the segment with position 120: there is no segment that ends there",
				"positions 101 to 120, recorded 2025-01-01T00:00:02Z to 2025-01-01T00:00:05Z: they are missing",
			}, 2,
		},
		"overlap": {
			[]string{`INSERT INTO segments SELECT 119, 101, first_recorded, last_recorded, encoding, chain, body FROM segments WHERE last_position = 120`},
			[]string{
				"segment with positions 101 to 119, recorded 2025-01-01T00:00:03Z to 2025-01-01T00:00:04Z: its checksum does not fit",
				"positions 101 to 120, recorded 2025-01-01T00:00:03Z to 2025-01-01T00:00:04Z: it overlaps the segment before it, which ends at position 119",
			}, 2,
		},
		"no filter": {
			[]string{`DELETE FROM segment_filters WHERE ` + sealed},
			[]string{"filter of the segment with positions 1 to 100, recorded " + first + ": it is missing"}, 6,
		},
		"swapped filters": {
			[]string{`UPDATE segment_filters SET filter = (SELECT filter FROM segment_filters WHERE last_position = 120) WHERE ` + sealed},
			[]string{"filter of the segment with positions 1 to 100, recorded " + first + ": its checksum does not fit"}, 6,
		},
		"filters of nothing": {
			[]string{`INSERT INTO segment_filters SELECT 99, filter FROM segment_filters WHERE ` + sealed,
				`INSERT INTO segment_filters SELECT 123, filter FROM segment_filters WHERE ` + sealed,
				`INSERT INTO segment_filters SELECT 5000, filter FROM segment_filters WHERE ` + sealed},
			[]string{
				"filter of the segment with position 99: there is no segment that ends there",
				"filter of the segment with position 123, recorded 2025-01-01T00:00:07Z: the segment is not sealed and should have none",
				"filter of the segment with position 5000: there is no segment that ends there",
			}, 6,
		},
		"snapshot part": {
			[]string{flip("snapshot_parts", "body", "owner = 'state' AND position = 50")},
			[]string{"snapshot of state at position 50, recorded 2025-01-01T00:00:01Z: its checksum does not fit"}, 5,
		},
		"snapshot without parts": {
			[]string{`DELETE FROM snapshot_parts WHERE owner = 'state' AND position = 110`},
			[]string{"snapshot of state at position 110, recorded 2025-01-01T00:00:03Z: it has 0 parts instead of 1"}, 5,
		},
		"snapshot count": {
			[]string{`UPDATE snapshots SET count = 2 WHERE owner = 'state' AND position = 125`},
			[]string{"snapshot of state at position 125, recorded 2025-01-01T00:00:09Z: its checksum does not fit"}, 5,
		},
		"snapshot of another file": {
			[]string{`UPDATE snapshots SET file_uuid = zeroblob(16) WHERE owner = 'state' AND position = 125`},
			[]string{"snapshot of state at position 125, recorded 2025-01-01T00:00:09Z: it belongs to another file"}, 5,
		},
		"snapshot of another version": {
			[]string{`UPDATE snapshots SET fold_version = 99 WHERE owner = 'state' AND position = 125`},
			[]string{"snapshot of state at position 125, recorded 2025-01-01T00:00:09Z: its checksum does not fit"}, 5,
		},
		"several": {
			[]string{flip("segments", "body", "last_position = 123"), flip("segments", "body", "last_position = 129"),
				flip("snapshot_parts", "body", "owner = 'state' AND position = 125")},
			[]string{
				"segment with position 123, recorded 2025-01-01T00:00:07Z, about sensor.a: its checksum does not fit",
				"snapshot of state at position 125, recorded 2025-01-01T00:00:09Z: its checksum does not fit",
				"segment with position 129, recorded 2025-01-01T00:00:13Z, about sensor.a: its checksum does not fit",
			}, 4,
		},
	} {
		t.Run(name, func(t *testing.T) {
			path := inspectedLog(t)
			change(t, path, c.statements...)
			result, found := inspect(t, path)
			if result.Compared != c.compared {
				t.Errorf("%d snapshots were compared, want %d", result.Compared, c.compared)
			}
			for i, f := range found {
				if !errors.Is(f.Err(), eventstore.ErrCorrupt) {
					t.Errorf("%v is not ErrCorrupt", f.Err())
				}
				if i >= len(c.want) || !strings.HasPrefix(f.String(), c.want[i]) {
					t.Errorf("found %s", f)
				}
			}
			if len(found) < len(c.want) {
				t.Errorf("%d findings, want %v", len(found), c.want)
			}
		})
	}
}

// A snapshot that is whole, and not what the log makes of it, is found by folding the log.
func TestInspectComparesSnapshots(t *testing.T) {
	records := func(s eventstore.SnapshotSource, path string) []proto.Message {
		db, err := storage.Open(t.Context(), path, storage.Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = db.Close() }()
		if _, err := s.Restore(t.Context(), db.Writer()); err != nil {
			t.Fatal(err)
		}
		return slices.Collect(s.Capture().Records(runtime.Gosched).Messages())
	}
	for name, c := range map[string]struct {
		source eventstore.SnapshotSource
		change func([]proto.Message) []proto.Message
		want   string
	}{
		"value": {state.New(), func(r []proto.Message) []proto.Message {
			r[1].(*entityv1.StateRecord).UpdatedBy = "somebody"
			return r
		}, "snapshot of state at position 125, recorded 2025-01-01T00:00:09Z, about sensor.b: record 2 is not what the log makes of it"},
		"less": {state.New(), func(r []proto.Message) []proto.Message { return r[:2] },
			"snapshot of state at position 125, recorded 2025-01-01T00:00:09Z, about sensor.c: it ends after 2 records"},
		"more": {state.New(), func(r []proto.Message) []proto.Message { return append(r, r[0]) },
			"snapshot of state at position 125, recorded 2025-01-01T00:00:09Z: it has more records than the fold of the log, which has 3"},
		"registry": {registry.New(), func(r []proto.Message) []proto.Message {
			e := proto.CloneOf(r[2].(*entityv1.RegistryRecord))
			e.GetEntity().Name = "another"
			return append(r[:2], e)
		}, "snapshot of registry at position 125, recorded 2025-01-01T00:00:09Z, about sensor.c: record 3 is not what the log makes of it"},
	} {
		t.Run(name, func(t *testing.T) {
			path := inspectedLog(t)
			changed := c.change(records(c.source, path))
			db, err := storage.Open(t.Context(), path, storage.Options{})
			if err != nil {
				t.Fatal(err)
			}
			h := c.source.Capture().Header()
			if err := errors.Join(eventstore.WriteSnapshot(t.Context(), db.Writer(), h, slices.Values(changed)), db.Close()); err != nil {
				t.Fatal(err)
			}
			result, found := inspect(t, path)
			if len(found) != 1 || !strings.HasPrefix(found[0].String(), c.want) || result.Compared != 6 {
				t.Errorf("%+v\nfound %v\nwant  %s", result, found, c.want)
			}
		})
	}
}

// A snapshot of a copy of the file that went another way since is not one of this log.
func TestInspectForeignSnapshot(t *testing.T) {
	path, other := inspectedLog(t), tempDB(t)
	content, err := os.ReadFile(path)
	if err == nil {
		err = os.WriteFile(other, content, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	for p, n := range map[string]int{path: 1, other: 2} {
		s, db := open(t, p, eventstore.Options{Clock: func() time.Time { return second(60) }}, state.New(), registry.New())
		mustAppend(t, s, sensor(n))
		if n == 2 {
			err = s.Snapshot(t.Context())
		}
		if err := errors.Join(err, s.Close(), db.Close()); err != nil {
			t.Fatal(err)
		}
	}
	db, err := storage.Open(t.Context(), path, storage.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []string{
		`ATTACH DATABASE '` + other + `' AS theirs`,
		`INSERT INTO snapshots SELECT * FROM theirs.snapshots WHERE position = 131 AND owner = 'registry'`,
		`INSERT INTO snapshot_parts SELECT * FROM theirs.snapshot_parts WHERE position = 131 AND owner = 'registry'`,
		`DETACH DATABASE theirs`,
	} {
		if _, err := db.Writer().ExecContext(t.Context(), s); err != nil {
			t.Fatal(err)
		}
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	_, found := inspect(t, path)
	const want = "snapshot of registry at position 131, recorded 2025-01-01T00:01:00Z: the log up to it is not the one that it was made from"
	if len(found) != 1 || found[0].String() != want {
		t.Errorf("found %v", found)
	}
}

// Whichever page of the file SQLite cannot read, the rest of the log is walked: what was read and what was reported make
// up all of it.
func TestInspectUnreadablePages(t *testing.T) {
	path := tempDB(t)
	s, db := open(t, path, eventstore.Options{SealAfter: -1}, state.New())
	const events = 300
	for i := range events {
		mustAppend(t, s, sensor(i))
		if i == events/3 {
			if err := errors.Join(s.Seal(t.Context()), s.Snapshot(t.Context())); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := errors.Join(s.Close(), db.Close()); err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	walked, costs, endless, unfiltered := 0, 0, false, false
	size := int(binary.BigEndian.Uint16(content[16:])) // of a page, as the file's header has it
	for page := 1; page < len(content)/size; page++ {
		damaged := slices.Clone(content)
		if damaged[page*size] == 0 {
			continue // it is free, or the continuation of a large row
		}
		damaged[page*size] = 0xff
		copied := tempDB(t)
		if err := os.WriteFile(copied, damaged, 0o600); err != nil {
			t.Fatal(err)
		}
		db, err := storage.Open(t.Context(), copied, storage.Options{})
		if err != nil {
			continue // what is damaged is not the log
		}
		s, err := eventstore.Open(t.Context(), db, eventstore.Options{})
		if err != nil {
			_ = db.Close()
			continue
		}
		covered, filters := eventstore.Position(0), 0
		result, err := s.Inspect(t.Context(), eventstore.InspectOptions{
			Projectors: []eventstore.Projector{state.New()},
			Found: func(f eventstore.Finding) {
				if f.Kind == eventstore.FindingFilter {
					filters++
				}
				if f.Kind == eventstore.FindingSegment || f.Kind == eventstore.FindingGap {
					endless = endless || f.Last == eventstore.MaxPosition && strings.Contains(f.String(), " on")
					covered += min(f.Last, events) - f.First + 1
				}
			},
		})
		if err != nil {
			t.Errorf("page %d: %v", page, err)
		}
		if result.Events+uint64(covered) != events || result.Last > events {
			t.Errorf("page %d: %d events were read and %d reported, %+v", page, result.Events, covered, result)
		}
		if covered > 0 {
			walked++
		}
		if covered < events {
			costs += int(covered)
		}
		if filters > 1 {
			t.Errorf("page %d: %d findings about filters", page, filters)
		}
		unfiltered = unfiltered || filters == 1 && covered == 0
		if err := errors.Join(s.Close(), db.Close()); err != nil {
			t.Error(err)
		}
	}
	if costs != events { // but for the root of the tree, each costs the events that are on it
		t.Errorf("the pages cost %d events, and there are %d on them", costs, events)
	}
	if walked < 4 || !endless || !unfiltered {
		t.Errorf("only %d pages cost events; the end was unreadable: %v, the filters: %v", walked, endless, unfiltered)
	}
}

// What is sealed between two pages of an inspection is no finding, although the next page begins in the middle of it.
func TestInspectWhileSealing(t *testing.T) {
	s, _ := open(t, tempDB(t), eventstore.Options{SealAfter: -1}, state.New())
	const events = 700 // more than a page of segments
	for i := range events {
		mustAppend(t, s, sensor(i))
		if i == 100 {
			if err := s.Snapshot(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	}
	sealed := false
	result, err := s.Inspect(t.Context(), eventstore.InspectOptions{
		Projectors: []eventstore.Projector{state.New()},
		Found:      func(f eventstore.Finding) { t.Error(f) },
		Progress: func(done, _ eventstore.Position) {
			if done == 300 && !sealed {
				sealed = true
				mustAppend(t, s, sensor(events))
				if err := errors.Join(s.Seal(t.Context()), s.Snapshot(t.Context())); err != nil {
					t.Error(err)
				}
				mustAppend(t, s, sensor(events+1)) // behind the end, and so not looked at
			}
		},
	})
	if err != nil || result.Last != events || result.Sealed != 1 || result.Unsealed != 512 || result.Events != events+1 || result.Compared != 2 {
		t.Errorf("%+v, %v", result, err)
	}
}

// Inspections beside appends, sealing and snapshots find nothing.
func TestInspectBesideEverything(t *testing.T) {
	s, _ := open(t, tempDB(t), eventstore.Options{SealAfter: 50, SnapshotEvery: 70}, state.New(), registry.New())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for i := range 500 {
			id := "sensor." + string("abcdefgh"[i%8])
			events := []eventstore.Event{check.SensorEvent(id, float64(i))}
			if i%10 == 0 {
				events = append(events, check.RegisterEvent(&entityv1.Entity{Id: id, UniqueId: id, Name: fmt.Sprint(i)}))
			}
			if _, err := s.Append(context.Background(), eventstore.Batch{Events: events}); err != nil {
				t.Error(err)
			}
		}
	}()
	compared := 0
	for going := true; going; {
		select {
		case <-done:
			going = false
		default:
		}
		result, err := s.Inspect(t.Context(), eventstore.InspectOptions{
			Projectors: []eventstore.Projector{state.New(), registry.New()},
			Found:      func(f eventstore.Finding) { t.Error(f) },
		})
		if err != nil {
			t.Error(err)
		}
		compared += result.Compared
	}
	if compared == 0 {
		t.Error("no snapshot was compared")
	}
}

// An inspection that rests ends at once when its context does.
func TestInspectIsCancelled(t *testing.T) {
	s, _ := open(t, tempDB(t), eventstore.Options{}, state.New())
	for i := range 3 {
		mustAppend(t, s, sensor(i))
	}
	ctx, cancel := context.WithCancel(t.Context())
	result, err := s.Inspect(ctx, eventstore.InspectOptions{
		Rest: 1 << 30,
		Progress: func(eventstore.Position, eventstore.Position) {
			for began := time.Now(); time.Since(began) < 10*time.Millisecond; { // it has worked enough to rest
			}
			time.AfterFunc(time.Millisecond, cancel)
		},
	})
	if !errors.Is(err, context.Canceled) || result.Events != 1 {
		t.Errorf("%+v, %v", result, err)
	}
}

// Verify joins what is found into one error.
func TestVerifyIsAnError(t *testing.T) {
	path := inspectedLog(t)
	change(t, path, flip("segments", "body", "last_position = 123"), `DELETE FROM segment_filters WHERE last_position = 120`)
	db, err := storage.Open(t.Context(), path, storage.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	s, err := eventstore.Open(t.Context(), db, eventstore.Options{})
	if err != nil {
		t.Fatal(err)
	}
	err = s.Verify(t.Context())
	if !errors.Is(err, eventstore.ErrCorrupt) || strings.Count(err.Error(), "\n") != 1 ||
		!strings.Contains(err.Error(), "position 123") || !strings.Contains(err.Error(), "positions 101 to 120") {
		t.Errorf("%v", err)
	}
}
