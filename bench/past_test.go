package main

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/statehouse/statehouse/eventstore"
	"github.com/statehouse/statehouse/state"
)

// Small logs of the past are like the big one, and all that is measured of it can be measured of them.
func TestPastIsMeasured(t *testing.T) {
	dir := t.TempDir()
	p := &pastLog{filepath.Join(dir, "past.db"), logSize{events: 24_000, tail: 3_000, singles: 200}, 10, 2, 20}
	big := filepath.Join(dir, "log.db")
	built, err := buildBigLog(big, p.size)
	if err != nil {
		t.Fatal(err)
	}
	total := 0
	for _, n := range built.counts {
		total += n
	}
	if total != p.size.events-p.size.singles || len(built.counts) != fleetSize {
		t.Errorf("%d events about %d entities were built", total, len(built.counts))
	}
	if err := copyDatabase(p.path, big); err != nil {
		t.Fatal(err)
	}
	if err := p.finish(built.end); err != nil {
		t.Fatal(err)
	}
	house, err := p.open()
	if err != nil {
		t.Fatal(err)
	}
	if m := house.Now(); m.Registry.Entities.Len() != fleetSize || m.State.Entities.Len() != fleetSize {
		t.Errorf("%d entities are registered, and %d have states", m.Registry.Entities.Len(), m.State.Entities.Len())
	}
	if s := house.Store().Stats(); int(s.Sealed) != p.size.events-p.size.singles {
		t.Errorf("it is sealed up to %d", s.Sealed)
	}
	if _, err := ask(house, eventstore.Position(p.size.events+1)); err == nil {
		t.Error("a moment that is still to come was answered")
	}
	if err := house.Close(); err != nil {
		t.Fatal(err)
	}
	for name, measure := range map[string]func(*pastLog, string) ([]Figure, error){
		"start": startPast, "random": asOfRandom, "step": asOfStep,
	} {
		figures, err := measure(p, t.TempDir())
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		for i, f := range figures {
			if f.Ours <= 0 || f.ReferenceValue <= 0 || (f.Goal != nil) != (i == 0) {
				t.Errorf("%s: %+v", name, f)
			}
		}
	}
	// One that is not as it should be is not measured.
	if err := p.finish(built.end); err == nil || !strings.Contains(err.Error(), "not as it should be") {
		t.Errorf("a log with too many events: %v", err)
	}
}

func TestFoldFlatFoldsSoManyEvents(t *testing.T) {
	flat, err := newFlatFile(filepath.Join(t.TempDir(), "flat"))
	if err != nil {
		t.Fatal(err)
	}
	if err := flat.append(newFleet(time.Second).reports(100)); err != nil {
		t.Fatal(err)
	}
	if err := flat.close(); err != nil {
		t.Fatal(err)
	}
	for _, n := range []int{0, 1, 99, 100} {
		if err := foldFlat(map[state.EntityID]state.State{}, flat, n); err != nil {
			t.Errorf("%d events: %v", n, err)
		}
	}
	if err := foldFlat(map[state.EntityID]state.State{}, flat, 101); err == nil {
		t.Error("101 of 100 events were folded")
	}
}

func TestBytesOf(t *testing.T) {
	// Something else may be given back meanwhile, or taken.
	const megabyte, much = 1 << 20, 1 << 16
	if got := bytesOf(func() any { return make([]byte, megabyte) }); got < megabyte-much || got > megabyte+much {
		t.Errorf("a megabyte takes %d bytes", got)
	}
}
