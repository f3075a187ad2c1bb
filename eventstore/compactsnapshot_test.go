package eventstore_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/statehouse/statehouse/eventstore"
	"github.com/statehouse/statehouse/internal/check"
	"github.com/statehouse/statehouse/state"
	"github.com/statehouse/statehouse/storage"
)

// earlier is the cache of an earlier version of the program, with another version of the fold.
type earlier struct{ *state.Cache }

type earlierCapture struct{ eventstore.Capture }

func (c earlierCapture) Header() eventstore.SnapshotHeader {
	h := c.Capture.Header()
	h.FoldVersion = state.FoldVersion + 100
	return h
}

func (c earlier) Capture() eventstore.Capture { return earlierCapture{c.Cache.Capture()} }

// What an earlier version of the program has saved does not take the place of what is removed: nothing could start from it.
func TestCompactAtAnEarlierVersionsSnapshot(t *testing.T) {
	path := tempDB(t)
	s, db := open(t, path, eventstore.Options{SealAfter: -1}, earlier{state.New()})
	for n := 1; n <= 200; n++ {
		mustAppend(t, s, check.SensorEvent(fmt.Sprintf("sensor.s%d", n%7), float64(n)))
		if n == 120 {
			if err := s.Snapshot(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	}
	shut(t, s, db)
	cache := state.New()
	s, db = open(t, path, eventstore.Options{SealAfter: -1}, cache) // an update
	before := cache.View()
	compact(t, s, 120)
	shut(t, s, db)
	cache = state.New()
	open(t, path, eventstore.Options{SealAfter: -1}, cache)
	if now := cache.View(); now.Len() != before.Len() || now.Len() != 7 {
		t.Errorf("%d entities, and there were %d", now.Len(), before.Len())
	}
	for id, was := range before.All() {
		if now, ok := cache.View().Get(id); !ok || !now.UpdatedAt.Equal(was.UpdatedAt) {
			t.Errorf("%s was %v and is %v", id, was, now)
		}
	}
}

func shut(t *testing.T, s *eventstore.Store, db *storage.DB) {
	t.Helper()
	if err := errors.Join(s.Close(), db.Close()); err != nil {
		t.Fatal(err)
	}
}

// A snapshot at the position that was there when everything was verified, and was removed since to make room for newer ones, is
// saved anew.
func TestCompactBesideSnapshots(t *testing.T) {
	s, db, _ := longLog(t, tempDB(t)) // with full snapshots at 60, 120, 180, 240, 300
	verified := false
	_, err := s.Compact(t.Context(), 120, eventstore.CompactOptions{Source: "test", Progress: func(done, last eventstore.Position) {
		if done < last || verified {
			return
		}
		verified = true
		for range 9 {
			mustAppend(t, s, sensor(1))
			if err := s.Snapshot(t.Context()); err != nil {
				t.Error(err)
			}
		}
		if n := count(t, db, `SELECT count(*) FROM snapshots WHERE position = 120`); n != 0 {
			t.Errorf("the snapshot is still there: this tests nothing")
		}
	}})
	if err != nil || !verified {
		t.Fatalf("%v; the verification ended: %v", err, verified)
	}
	if n := count(t, db, `SELECT count(*) FROM snapshots WHERE position = 120`); n != 1 {
		t.Errorf("%d snapshots at the base", n)
	}
	if err := s.Rebuild(t.Context(), "state"); err != nil {
		t.Error(err)
	}
}
