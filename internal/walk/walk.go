// Package walk turns the log into the changes of states, one event after another, for readers that want each of them.
//
// Who wants the net change only reads [state.Cache.Changes].
package walk

import (
	"cmp"
	"slices"

	"github.com/statehouse/statehouse/eventstore"
	eventv1 "github.com/statehouse/statehouse/gen/statehouse/event/v1"
	"github.com/statehouse/statehouse/state"
	"github.com/statehouse/statehouse/timeline"
)

// Walk turns the events of the log, one after another, into changes. It is for one goroutine.
//
// It goes in spans: from the moment that its reader has to the newest one, a span at a time. An entity's last event in
// a span brings its state from the moment at the span's end, which is the truth; for the earlier ones the state in
// between is worked out from the moment before the span. That costs two pointers for each reader and what one span
// changes, where a copy of the house for each would cost a house.
type Walk struct {
	now func() timeline.Moment

	// before is the moment at the beginning of the span, after the one at its end.
	before, after timeline.Moment
	// between are the states inside the span; only what differs from before.
	between map[string]between
}

// between is an entity's state inside a span; has is false where it has none.
type between struct {
	state state.State
	has   bool
}

// Change is an event, and what it changed.
type Change struct {
	Event eventstore.Event
	// Touched are the entities that the event is about: one, or none, or for a new id the old one and then the new one.
	Touched []Entity
	// Named are those whose name or area it may have changed, sorted by id.
	Named []Entity
	// Removed is the id that has no state any more, empty for none.
	Removed string
	// End says that the moment at the span's end is reached: whoever writes for somebody else sends what he has.
	End bool
}

// Entity is an entity before and after an event.
type Entity struct {
	ID string
	// Was and Is are its states; Had and Has are false where there is none.
	Was, Is  state.State
	Had, Has bool
}

// New is a walk for a reader that has the moment m. now is the newest moment of the same log.
func New(now func() timeline.Moment, m timeline.Moment) *Walk {
	return &Walk{now: now, before: m, after: m, between: map[string]between{}}
}

// Moment is the moment at the end of the span that the last event was in: names and areas are those of it.
func (k *Walk) Moment() timeline.Moment { return k.after }

// Next is what an event changed. Each event of the log after the reader's moment must be given, one after another.
func (k *Walk) Next(e eventstore.Event) Change {
	if e.Position > k.after.Position() {
		k.before, k.after = k.after, k.now()
		clear(k.between)
	}
	c := Change{Event: e, End: e.Position >= k.after.Position()}
	touched, named := k.touches(e)
	for _, id := range touched {
		was := k.lookup(id)
		c.Touched = append(c.Touched, Entity{ID: id, Was: was.state, Had: was.has})
	}
	c.Removed = k.fold(e)
	for i := range c.Touched {
		c.Touched[i].Is, c.Touched[i].Has = k.stateAfter(e.Position, c.Touched[i].ID)
	}
	for _, id := range named {
		st, has := k.stateAfter(e.Position, id)
		c.Named = append(c.Named, Entity{ID: id, Was: st, Is: st, Had: has, Has: has})
	}
	return c
}

// stateAfter is the state of an entity after an event that concerns it and was folded, false where it has none.
func (k *Walk) stateAfter(at eventstore.Position, id string) (state.State, bool) {
	if last, ok := k.after.State.Get(id); ok && last.Position <= at {
		return last, true
	}
	b := k.lookup(id)
	return b.state, b.has
}

// touches are the entities that an event is about, and those that it gives another name or area.
func (k *Walk) touches(e eventstore.Event) (touched, named []string) {
	if e.Entity != "" {
		touched = append(touched, e.Entity)
	}
	switch p := e.Payload.GetKind().(type) {
	case *eventv1.Payload_EntityRenamed:
		if id := p.EntityRenamed.GetNewId(); id != e.Entity {
			touched = append(touched, id)
		}
	case *eventv1.Payload_DeviceRegistered:
		named = k.ofDevice(p.DeviceRegistered.GetDevice().GetId())
	case *eventv1.Payload_DeviceUnregistered:
		named = k.ofDevice(p.DeviceUnregistered.GetDeviceId())
	case *eventv1.Payload_AreaRegistered:
		named = k.inArea(p.AreaRegistered.GetArea().GetId())
	case *eventv1.Payload_AreaUnregistered:
		named = k.inArea(p.AreaUnregistered.GetAreaId())
	}
	return touched, named
}

// ofDevice are a device's entities at the span's end, sorted. One that belonged to it before has an event of its own.
func (k *Walk) ofDevice(id string) []string {
	var ids []string
	for _, e := range k.after.Registry.DeviceEntities(id) {
		ids = append(ids, e.GetId())
	}
	return ids
}

// inArea are the entities that are, at the span's end, in an area or would be if it still existed, sorted. One that was
// in it before has an event of its own, or its device has.
func (k *Walk) inArea(area string) []string {
	var ids []string
	for id, e := range k.after.Registry.Entities.All() {
		device, _ := k.after.Registry.Device(e.GetDeviceId())
		if cmp.Or(e.GetAreaId(), device.GetAreaId()) == area {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids
}

// fold works out what an event makes of the states between. removed is the id that has no state any more, empty for none.
func (k *Walk) fold(e eventstore.Event) (removed string) {
	if e.Entity == "" {
		return ""
	}
	was, is := k.lookup(e.Entity), between{}
	if p, ok := e.Payload.GetKind().(*eventv1.Payload_EntityRenamed); ok {
		id := p.EntityRenamed.GetNewId()
		k.between[e.Entity] = between{}
		if was.has {
			renamed := was
			renamed.state.EntityID, renamed.state.Position = id, e.Position
			k.between[id] = renamed
		}
		is.has = id == e.Entity
	} else {
		is.state, is.has = was.state.After(e, was.has)
		k.between[e.Entity] = is
	}
	if was.has && !is.has {
		return e.Entity
	}
	return ""
}

// lookup is an entity's state inside the span.
func (k *Walk) lookup(id string) between {
	if b, ok := k.between[id]; ok {
		return b
	}
	st, has := k.before.State.Get(id)
	return between{st, has}
}
