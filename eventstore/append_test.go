package eventstore_test

import (
	"errors"
	"slices"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/statehouse/statehouse/eventstore"
	eventv1 "github.com/statehouse/statehouse/gen/statehouse/event/v1"
	"github.com/statehouse/statehouse/internal/check"
	"github.com/statehouse/statehouse/registry"
	"github.com/statehouse/statehouse/state"
)

// with is an event whose payload has these encoded fields behind its own, as a program that embeds the store can make it.
func with(e eventstore.Event, fields ...[]byte) eventstore.Event {
	e.Payload.ProtoReflect().SetUnknown(slices.Concat(fields...))
	return e
}

// A payload that says two things is refused. What its other fields say makes no difference between the fold of what is
// appended, that of a replay, and that of a repaired log.
func TestPayloadsWithMoreFields(t *testing.T) {
	encoded := func(e eventstore.Event) []byte {
		b, err := proto.Marshal(e.Payload)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	number := func(field protowire.Number) []byte {
		return protowire.AppendVarint(protowire.AppendTag(nil, field, protowire.VarintType), 7)
	}
	nothing := func() eventstore.Event {
		return eventstore.Event{Entity: "sensor.a", Source: "test", Payload: &eventv1.Payload{}}
	}
	reported, custom := encoded(check.ReportEvent("sensor.a")), encoded(check.CustomEvent("sensor.a", "acme.x", nil))
	unregistered, changed := encoded(check.UnregisterEvent("sensor.a")), encoded(sensor(100))

	path, live := tempDB(t), state.New()
	s, db := open(t, path, eventstore.Options{SealAfter: -1}, live, registry.New())
	for n := range 8 { // more than are folded one by one
		mustAppend(t, s, sensor(n))
	}
	for name, c := range map[string]struct {
		event    eventstore.Event
		accepted bool
	}{
		"another kind":            {with(sensor(9), reported), false},
		"a kind that forgets":     {with(sensor(9), unregistered), false},
		"a kind that changes":     {with(check.ReportEvent("sensor.a"), changed), false},
		"a custom one":            {with(sensor(9), custom), false},
		"two, and no own":         {with(nothing(), changed, reported), false},
		"a number of another":     {with(nothing(), number(12), changed), false},
		"the same once more":      {with(sensor(20), changed), true},
		"the same behind another": {with(sensor(20), reported, encoded(sensor(21))), true},
		"a newer field":           {with(sensor(30), number(900)), true},
		"a number that is none":   {with(sensor(31), number(2)), true},
		"custom, and another":     {with(check.CustomEvent("sensor.a", "acme.x", nil), encoded(sensor(40))), true},
		"custom twice":            {with(check.CustomEvent("sensor.a", "acme.x", nil), encoded(check.CustomEvent("sensor.a", "acme.y", nil))), true},
		"nothing of its own":      {with(nothing(), number(900), encoded(sensor(50))), true},
	} {
		before := s.Head()
		span, err := s.Append(t.Context(), eventstore.Batch{Events: []eventstore.Event{c.event}})
		if accepted := err == nil; accepted != c.accepted || !accepted && !errors.Is(err, eventstore.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if err != nil {
			if s.Head() != before {
				t.Errorf("%s: it is refused, and in the log", name)
			}
			continue
		}
		e, err := s.Event(t.Context(), span.First)
		if err != nil || e.Kind != eventstore.KindOf(e.Payload) {
			t.Errorf("%s: it is of the kind %q, %v", name, e.Kind, err)
		}
		found := 0
		for other, err := range s.Read(t.Context(), eventstore.Query{Kinds: []eventstore.Kind{e.Kind}, After: span.First - 1}) {
			if err != nil || other.Position != span.First {
				t.Errorf("%s: a read of its kind finds %d, %v", name, other.Position, err)
			}
			found++
		}
		if found != 1 {
			t.Errorf("%s: a read of its kind finds %d", name, found)
		}
		replayed := state.New()
		if err := s.Replayer().Replay(t.Context(), eventstore.FromStart, s.Head(), replayed); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		replayed.Promote()
		sameStates(t, name+", replayed", replayed, live)
	}
	if err := errors.Join(s.Close(), db.Close()); err != nil {
		t.Fatal(err)
	}
	to, repaired := tempDB(t), state.New()
	salvage(t, path, to)
	open(t, to, eventstore.Options{}, repaired)
	sameStates(t, "repaired", repaired, live)
}

// sameStates compares what two folds have made of sensor.a.
func sameStates(t *testing.T, name string, got, want *state.Cache) {
	t.Helper()
	a, b := got.Revision().Entities, want.Revision().Entities
	x, known := a.Get("sensor.a")
	y, wanted := b.Get("sensor.a")
	if !known || !wanted || a.Len() != b.Len() {
		t.Fatalf("%s: %d entities, want %d", name, a.Len(), b.Len())
	}
	if err := check.SameState(x, y); err != nil {
		t.Errorf("%s: %v", name, err)
	}
}
