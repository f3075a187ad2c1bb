package check_test

import (
	"context"
	"database/sql"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"path/filepath"
	"strings"
	"testing"

	"github.com/statehouse/statehouse"
	"github.com/statehouse/statehouse/eventstore"
	"github.com/statehouse/statehouse/internal/check"
	"github.com/statehouse/statehouse/storage"
)

// The check of a house that is as it should be finds nothing; the check of one against events that are not its own finds
// each difference.
func TestReadsSayWhatIsWrong(t *testing.T) {
	h, err := statehouse.Open(filepath.Join(t.TempDir(), "home.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = h.Close() }()
	if err := check.House(t.Context(), h); err != nil {
		t.Errorf("an empty house: %v", err)
	}
	for i := range 30 {
		if _, err := h.Append(t.Context(), check.SensorEvent([]string{"sensor.a", "sensor.b"}[i%2], float64(i)), check.ReportEvent("sensor.a")); err != nil {
			t.Fatal(err)
		}
	}
	if err := check.House(t.Context(), h); err != nil {
		t.Errorf("a house: %v", err)
	}
	var events []eventstore.Event
	for e, err := range h.Read(t.Context(), eventstore.Query{}) {
		if err != nil {
			t.Fatal(err)
		}
		events = append(events, e)
	}
	for name, change := range map[string]func([]eventstore.Event) []eventstore.Event{
		"another entity":  func(all []eventstore.Event) []eventstore.Event { all[7].Entity = "sensor.b"; return all },
		"another kind":    func(all []eventstore.Event) []eventstore.Event { all[7].Kind = eventstore.KindSystem; return all },
		"one more event":  func(all []eventstore.Event) []eventstore.Event { e := all[7]; e.Position = 61; return append(all, e) },
		"a repeated one":  func(all []eventstore.Event) []eventstore.Event { all[8] = all[7]; return all },
		"an unknown kind": func(all []eventstore.Event) []eventstore.Event { all[7].Kind = "acme.none"; return all },
	} {
		changed := change(append([]eventstore.Event(nil), events...))
		if err := check.Reads(t.Context(), h.Store(), changed); err == nil {
			t.Errorf("%s is not found", name)
		}
	}
}

// Of a log that is larger than the effort, some of the reads are compared all the same.
func TestReadsOfALargeLog(t *testing.T) {
	h, err := statehouse.Open(filepath.Join(t.TempDir(), "home.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = h.Close() }()
	for range 6 {
		batch := make([]eventstore.Event, 1000)
		for i := range batch {
			batch[i] = check.SensorEvent("sensor.a", float64(i))
		}
		if _, err := h.Append(t.Context(), batch...); err != nil {
			t.Fatal(err)
		}
	}
	var events []eventstore.Event
	for e, err := range h.Read(t.Context(), eventstore.Query{}) {
		if err != nil {
			t.Fatal(err)
		}
		events = append(events, e)
	}
	if err := check.Reads(t.Context(), h.Store(), events); err != nil {
		t.Error(err)
	}
	for name, change := range map[string]func(e *eventstore.Event){
		"another entity": func(e *eventstore.Event) { e.Entity = "sensor.b" },
		"another kind":   func(e *eventstore.Event) { e.Kind = eventstore.KindSystem },
	} {
		changed := append([]eventstore.Event(nil), events...)
		change(&changed[7])
		if err := check.Reads(t.Context(), h.Store(), changed); err == nil {
			t.Errorf("%s is not found", name)
		}
	}
}

// The check of a store reads each entity's events: it finds that some are left out.
func TestStoreIsRead(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log.db")
	db, err := storage.Open(t.Context(), path, storage.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	s, err := eventstore.Open(t.Context(), db, eventstore.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	if err = s.Start(t.Context()); err == nil {
		_, err = s.Append(t.Context(), eventstore.Batch{Events: []eventstore.Event{check.ReportEvent("sensor.a")}})
	}
	if err = errors.Join(err, s.Seal(context.Background())); err != nil {
		t.Fatal(err)
	}
	// A filter with the right checksum that claims no entity, so that whoever looks for one skips the segment.
	castagnoli := crc32.MakeTable(crc32.Castagnoli)
	filter := make([]byte, 5)
	binary.LittleEndian.PutUint32(filter, crc32.Update(crc32.Checksum(binary.LittleEndian.AppendUint64(nil, 1), castagnoli), castagnoli, filter[4:]))
	other, err := sql.Open("sqlite", path+"?_pragma=busy_timeout(10000)")
	if err == nil {
		_, err = other.Exec(`UPDATE segment_filters SET filter = ? WHERE last_position = 1`, filter)
	}
	if err = errors.Join(err, other.Close()); err != nil {
		t.Fatal(err)
	}
	if err := check.Store(t.Context(), s); err == nil || !strings.Contains(err.Error(), "yields 0 events, and 1 match") {
		t.Errorf("an event that no read finds: %v", err)
	}
}
