package state_test

import (
	"context"
	"runtime"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/statehouse/statehouse/eventstore"
	entityv1 "github.com/statehouse/statehouse/gen/statehouse/entity/v1"
	"github.com/statehouse/statehouse/immutable"
	"github.com/statehouse/statehouse/state"
	"github.com/statehouse/statehouse/storage"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// The contract of package state, as signatures: this file stops compiling when one of them changes.
var (
	_ func() *state.Cache                                                     = state.New
	_ func(*state.Cache, context.Context, storage.Tx, eventstore.Event) error = (*state.Cache).Apply
	_ func(*state.Cache)                                                      = (*state.Cache).Promote
	_ func(*state.Cache)                                                      = (*state.Cache).Discard
	_ func(*state.Cache, state.EntityID) (state.State, bool)                  = (*state.Cache).Get
	_ func(*state.Cache) int                                                  = (*state.Cache).Len
	_ func(*state.Cache) *immutable.Map[state.EntityID, state.State]          = (*state.Cache).View
	_ func(*state.Cache) string                                               = (*state.Cache).Name
	_ func(*state.Cache, context.Context, storage.Tx) error                   = (*state.Cache).Snapshot
	_ func(*state.Cache, context.Context, storage.Tx) (uint64, error)         = (*state.Cache).Restore
	_ eventstore.Projector                                                    = (*state.Cache)(nil)
	_ state.EntityID                                                          = string("light.kitchen")
	_                                                                         = func(s state.State) (state.EntityID, time.Time, string, *entityv1.Attributes) {
		return s.EntityID, s.UpdatedAt, s.UpdatedBy, s.Attributes
	}
)

// The contract in use: nothing shows before Promote, Discard drops, a view stays what it was.
func TestPromoteAndDiscard(t *testing.T) {
	c := state.New()
	apply := func(position eventstore.Position, value float64) {
		t.Helper()
		e := sensorEvent(position, value)
		if err := c.Apply(t.Context(), nil, e); err != nil {
			t.Fatal(err)
		}
	}
	value := func(m *immutable.Map[state.EntityID, state.State]) float64 {
		s, ok := m.Get("sensor.a")
		if !ok {
			return -1
		}
		return s.Attributes.GetSensor().GetNumber()
	}
	empty := c.View()
	apply(1, 1)
	if c.Len() != 0 || c.View() != empty || c.Revision().Position != 0 {
		t.Error("what is pending shows")
	}
	if s, ok := c.PendingGet("sensor.a"); !ok || s.Position != 1 || c.PendingPosition() != 1 {
		t.Errorf("pending: %v", s)
	}
	c.Discard()
	if _, ok := c.PendingGet("sensor.a"); ok || c.PendingPosition() != 0 {
		t.Error("what was discarded is pending")
	}
	c.Promote() // of nothing
	if c.Len() != 0 {
		t.Error("what was discarded was promoted")
	}
	apply(1, 2)
	c.Promote()
	first := c.View()
	if c.Len() != 1 || value(first) != 2 || c.Revision().Position != 1 {
		t.Errorf("after the promotion: %v", c.Revision())
	}
	apply(2, 3)
	apply(3, 4)
	c.Discard()
	apply(2, 5)
	c.Promote()
	if value(first) != 2 || value(c.View()) != 5 || c.Revision().Position != 2 {
		t.Errorf("first %v, now %v at %d", value(first), value(c.View()), c.Revision().Position)
	}
	if err := c.Apply(t.Context(), nil, sensorEvent(9, 1)); err == nil {
		t.Error("an event that does not follow was applied")
	}
}

// What a snapshot is made of is one revision, whatever is promoted while it is being encoded.
func TestSnapshotRecordsAreOneRevision(t *testing.T) {
	c := state.New()
	promote := func(position eventstore.Position) {
		t.Helper()
		if err := c.Apply(t.Context(), nil, sensorEvent(position, float64(position))); err != nil {
			t.Fatal(err)
		}
		c.Promote()
	}
	promote(1)
	capture := c.Capture()
	promote(2)
	header, records := capture.Header(), capture.Records(runtime.Gosched)
	for i := range records.Count {
		if at := records.Message(i).(*entityv1.StateRecord).GetPosition(); at != 1 || header.Position != 1 {
			t.Errorf("a snapshot at position %d has a state of position %d", header.Position, at)
		}
	}
	if records.Count != 1 {
		t.Errorf("%d records", records.Count)
	}
}
