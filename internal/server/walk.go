package server

import (
	"cmp"
	"slices"

	"github.com/statehouse/statehouse/eventstore"
	eventv1 "github.com/statehouse/statehouse/gen/statehouse/event/v1"
	"github.com/statehouse/statehouse/internal/api"
	"github.com/statehouse/statehouse/state"
	"github.com/statehouse/statehouse/timeline"
)

// walk turns the events of the log, one after another, into changes.
//
// It goes in spans: from the moment that its reader has to the newest one, a span at a time. An entity's last event in
// a span brings its state from the moment at the span's end, which is the truth; for the earlier ones the state in
// between is worked out from the moment before the span. That costs two pointers for each reader and what one span
// changes, where a copy of the house for each would cost a house.
type walk struct {
	now    func() timeline.Moment
	filter filter

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

// newWalk is a walk for a reader that has the moment m.
func newWalk(now func() timeline.Moment, m timeline.Moment, f filter) *walk {
	return &walk{now: now, filter: f, before: m, after: m, between: map[string]between{}}
}

// change is what an event changed. wanted is false where the filter leaves it out, end says that the moment at the
// span's end is reached. Each event of the log must be given, one after another.
func (k *walk) change(e eventstore.Event) (c api.Change, wanted, end bool, err error) {
	if e.Position > k.after.Position() {
		k.before, k.after = k.after, k.now()
		clear(k.between)
	}
	end = e.Position >= k.after.Position()
	touched, named := k.touches(e)
	removed := k.fold(e)
	wanted = k.filter.all() || k.filter.match(e.Entity)
	if slices.ContainsFunc(touched, k.filter.match) || slices.ContainsFunc(named, k.filter.match) {
		wanted = true
	}
	if !wanted {
		return api.Change{}, false, end, nil
	}
	if c, err = api.NewChange(e); err != nil {
		return api.Change{}, false, end, err
	}
	for _, id := range append(touched, named...) {
		if !k.filter.match(id) {
			continue
		}
		st, ok := k.stateAfter(e.Position, id)
		if !ok {
			continue
		}
		w, err := api.NewState(k.after, st)
		if err != nil {
			return api.Change{}, false, end, err
		}
		c.States = append(c.States, w)
	}
	if removed != "" && k.filter.match(removed) {
		c.Removed = []string{removed}
	}
	return c, true, end, nil
}

// stateAfter is the state of an entity after an event that concerns it and was folded, false where it has none.
func (k *walk) stateAfter(at eventstore.Position, id string) (state.State, bool) {
	if last, ok := k.after.State.Get(id); ok && last.Position <= at {
		return last, true
	}
	b := k.lookup(id)
	return b.state, b.has
}

// touches are the entities that an event is about, and those that it gives another name or area.
func (k *walk) touches(e eventstore.Event) (touched, named []string) {
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
func (k *walk) ofDevice(id string) []string {
	var ids []string
	for _, e := range k.after.Registry.DeviceEntities(id) {
		ids = append(ids, e.GetId())
	}
	return ids
}

// inArea are the entities that are, at the span's end, in an area or would be if it still existed, sorted. One that was
// in it before has an event of its own, or its device has.
func (k *walk) inArea(area string) []string {
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
func (k *walk) fold(e eventstore.Event) (removed string) {
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
func (k *walk) lookup(id string) between {
	if b, ok := k.between[id]; ok {
		return b
	}
	st, has := k.before.State.Get(id)
	return between{st, has}
}
