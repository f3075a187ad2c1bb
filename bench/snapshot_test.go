package main

import (
	"testing"

	"github.com/statehouse/statehouse/eventstore"
)

// A large house has as many entities as were asked for, and hears of each twice; the second time half is as it was.
func TestBigHouse(t *testing.T) {
	const entities = 5003
	seen, same := map[string]*eventstore.Event{}, 0
	events := 0
	for batch := range bigHouse(entities) {
		for _, e := range batch {
			if err := eventstore.CheckEntityID(e.Entity); err != nil {
				t.Fatal(err)
			}
			if before := seen[e.Entity]; before != nil && before.Payload.GetStateChanged().GetAttributes() == e.Payload.GetStateChanged().GetAttributes() {
				same++
			}
			if !e.Timestamp.Equal(batch[0].Timestamp) {
				t.Errorf("%s has another time than the rest of its device", e.Entity)
			}
			seen[e.Entity] = &e
			events++
		}
	}
	if len(seen) != entities || events != 2*entities || same < entities/3 || same > 2*entities/3 {
		t.Errorf("%d entities in %d events, %d as they were", len(seen), events, same)
	}
}

// The measure of restores checks what is restored, ours and the references'.
func TestRestoresAreWhole(t *testing.T) {
	figures, err := restores(3000)(t.TempDir())
	if err != nil || len(figures) != 2 || figures[0].Ours <= 0 || figures[0].ReferenceValue <= 0 || figures[1].ReferenceValue <= 0 {
		t.Errorf("%+v, %v", figures, err)
	}
}

// Snapshots of the measure are all full ones, of the size that the measure says.
func TestMeasuredSnapshotsAreFull(t *testing.T) {
	l, err := openFullLog(t.TempDir()+"/ours.db", 3000)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if _, err := l.timedSnapshot(1); err != nil {
			t.Fatal(err)
		}
	}
	all, err := l.store.Snapshots(t.Context(), map[string]int{"state": 1})
	if err != nil || len(all) != 2 || all[1].Delta || all[1].Records != int64(l.cache.Len()) {
		t.Errorf("%+v, %v", all, err)
	}
	if err := l.close(); err != nil {
		t.Fatal(err)
	}
}
