package state_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"github.com/statehouse/statehouse/eventstore"
	entityv1 "github.com/statehouse/statehouse/gen/statehouse/entity/v1"
	"github.com/statehouse/statehouse/internal/check"
	"github.com/statehouse/statehouse/registry"
	"github.com/statehouse/statehouse/state"
)

func sensorEvent(position eventstore.Position, value float64) eventstore.Event {
	e := check.SensorEvent("sensor.a", value)
	e.Position = position
	e.Timestamp = time.Unix(int64(position), 0).UTC()
	return e
}

// I6: the view at position p equals the fold of events 1…p, for every p, over every kind of event; and the
// differences between any two revisions, applied to the first, make the second.
func TestCacheIsTheFold(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c, r, fold := state.New(), registry.New(), check.NewFold()
		revisions := []state.Revision{c.Revision()}
		n := rapid.IntRange(1, 60).Draw(t, "events")
		for at := eventstore.Position(1); int(at) <= n; {
			e := drawEvent(t)
			e.Position = at
			e.Timestamp = time.Unix(rapid.Int64Range(1, 5).Draw(t, "time"), 0).UTC()
			err := errors.Join(r.Apply(t.Context(), nil, e), c.Apply(t.Context(), nil, e))
			if err != nil && !errors.Is(err, eventstore.ErrInvalid) {
				t.Fatal(err)
			}
			if err != nil { // refused; the store would not append it
				r.Discard()
				c.Discard()
				if fold.CompareStates(c.Revision()) != nil {
					t.Fatal("an event that was refused shows")
				}
				continue
			}
			if rapid.IntRange(0, 3).Draw(t, "rolled back") == 0 {
				c.Discard()
				r.Discard()
				continue
			}
			c.Promote()
			r.Promote()
			if err := fold.Add(e); err != nil {
				t.Fatal(err)
			}
			if err := fold.CompareStates(c.Revision()); err != nil {
				t.Fatalf("after %v: %v", e, err)
			}
			if err := fold.CompareRegistry(r.Revision()); err != nil {
				t.Fatalf("after %v: %v", e, err)
			}
			revisions = append(revisions, c.Revision())
			at++
		}
		a := rapid.SampledFrom(revisions).Draw(t, "before")
		b := rapid.SampledFrom(revisions).Draw(t, "after")
		checkDiff(t, a, b)
	})
}

// drawEvent draws an event about one of a few entities, so that things meet.
func drawEvent(t *rapid.T) eventstore.Event {
	ids := []string{"sensor.a", "sensor.b", "light.c", "light.d"}
	id := rapid.SampledFrom(ids).Draw(t, "entity")
	switch rapid.IntRange(0, 6).Draw(t, "kind") {
	case 0:
		return check.ReportEvent(id)
	case 1:
		e := &entityv1.Entity{
			Id: id, UniqueId: fmt.Sprintf("u%d", rapid.IntRange(0, 4).Draw(t, "unique")),
			DeviceId: rapid.SampledFrom([]string{"", "d1", "d2"}).Draw(t, "device"),
			Disabled: rapid.Bool().Draw(t, "disabled"),
		}
		if rapid.Bool().Draw(t, "decided") {
			e.UserDisabled = proto.Bool(rapid.Bool().Draw(t, "user disabled"))
		}
		return check.RegisterEvent(e)
	case 2:
		return check.UnregisterEvent(id)
	case 3:
		return check.RenameEvent(id, rapid.SampledFrom(ids).Draw(t, "new id"))
	case 4:
		return check.CustomEvent(rapid.SampledFrom([]string{id, ""}).Draw(t, "about"), "acme.x", nil)
	default:
		return check.SensorEvent(id, float64(rapid.IntRange(0, 2).Draw(t, "value")))
	}
}

// checkDiff applies the differences between two revisions to the first and compares with the second.
func checkDiff(t *rapid.T, a, b state.Revision) {
	states := map[string]state.State{}
	for id, s := range a.Entities.All() {
		states[id] = s
	}
	last, gone := eventstore.Position(0), false
	for c := range state.Diff(a, b) {
		if c.Before.Position != states[c.EntityID].Position {
			t.Fatalf("%s was at %d before, not at %d", c.EntityID, states[c.EntityID].Position, c.Before.Position)
		}
		if c.After.EntityID == "" {
			gone = true
			delete(states, c.EntityID)
			continue
		}
		if c.After.Position < last || gone {
			t.Fatalf("%s at %d comes after %d", c.EntityID, c.After.Position, last)
		}
		last = c.After.Position
		states[c.EntityID] = c.After
	}
	if len(states) != b.Entities.Len() {
		t.Fatalf("%d entities instead of %d", len(states), b.Entities.Len())
	}
	for id, want := range b.Entities.All() {
		if err := check.SameState(states[id], want); err != nil {
			t.Fatalf("%s: %v", id, err)
		}
	}
}

// ChangedAt moves when the attributes differ from those before, and UpdatedAt with every report.
func TestChangedAt(t *testing.T) {
	c := state.New()
	for i, step := range []struct {
		event            eventstore.Event
		changed, updated int64
	}{
		{sensorEvent(1, 20), 1, 1},
		{sensorEvent(2, 20), 1, 2},
		{check.ReportEvent("sensor.a"), 1, 3},
		{sensorEvent(4, 21), 4, 4},
		{check.CustomEvent("sensor.a", "acme.x", nil), 4, 4},
	} {
		step.event.Position = eventstore.Position(i + 1)
		step.event.Timestamp = time.Unix(int64(i+1), 0).UTC()
		if err := c.Apply(t.Context(), nil, step.event); err != nil {
			t.Fatal(err)
		}
		c.Promote()
		s, _ := c.Get("sensor.a")
		if s.ChangedAt.Unix() != step.changed || s.UpdatedAt.Unix() != step.updated || s.Position != step.event.Position {
			t.Errorf("step %d: %+v", i+1, s)
		}
	}
}

// A cache goes on from any revision, also from one without entities, whose map may be nil.
func TestNewAt(t *testing.T) {
	for name, r := range map[string]state.Revision{
		"the zero revision": {}, "nothing at position 5": {Position: 5}, "an empty map": {Position: 5, Entities: state.New().View()},
	} {
		c := state.NewAt(r)
		e := check.SensorEvent("sensor.a", 1)
		e.Position = r.Position + 1
		if err := c.Apply(t.Context(), nil, e); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if c.Promote(); c.Revision().Position != r.Position+1 || c.Len() != 1 {
			t.Errorf("%s: %d entities at position %d", name, c.Len(), c.Revision().Position)
		}
	}
}

// Who comes back with a position that the cache has not come to yet gets what there is, and nothing was merged into that.
func TestChangesSinceWhatIsStillToCome(t *testing.T) {
	c := state.New()
	if err := c.Apply(t.Context(), nil, sensorEvent(1, 1)); err != nil {
		t.Fatal(err)
	}
	c.Promote()
	for d, err := range c.ChangesSince(t.Context(), 5) {
		if err != nil || !d.Partial || len(d.Changes) != 0 || d.Merged() != 0 {
			t.Errorf("%d changes, %d merged, %v", len(d.Changes), d.Merged(), err)
		}
		break
	}
}

// Changes that are ranged over once more begin where they began.
func TestChangesBeginAnew(t *testing.T) {
	c := state.New()
	changes := c.Changes(t.Context(), c.Revision())
	next := func() {
		at := c.Revision().Position + 1
		if err := c.Apply(t.Context(), nil, sensorEvent(at, float64(at))); err != nil {
			t.Fatal(err)
		}
		c.Promote()
	}
	next()
	for range 2 {
		before := eventstore.Position(0)
		for d, err := range changes {
			if err != nil || d.Before.Position != before {
				t.Fatalf("from %d on, not from %d, %v", d.Before.Position, before, err)
			}
			if before > 0 {
				break
			}
			before = d.After.Position
			next()
		}
	}
}
