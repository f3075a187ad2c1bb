package state

import (
	"time"

	"github.com/statehouse/statehouse/eventstore"
	entityv1 "github.com/statehouse/statehouse/gen/statehouse/entity/v1"
	eventv1 "github.com/statehouse/statehouse/gen/statehouse/event/v1"
)

// EntityID names an entity, "<domain>.<name>": "light.kitchen".
type EntityID = string

// State is the state of one entity as of the revision that it was read from.
//
// A State is a value, but Attributes is shared by every reader and by the past: it must not be modified.
type State struct {
	EntityID EntityID
	// UpdatedAt is when the entity was last heard of: the Timestamp of the event at Position, in UTC.
	UpdatedAt time.Time
	// UpdatedBy is that event's Source.
	UpdatedBy string
	// Attributes are never nil. Attributes without a domain mean that the entity is known and its state is not.
	Attributes *entityv1.Attributes
	// Position is that of the last event about the entity, of any kind.
	Position eventstore.Position
	// ChangedAt is when the attributes last became different from what they were before, in UTC.
	ChangedAt time.Time
}

// After is the state of an entity after an event about it, and whether it has one. s is the state before the event, and
// known says whether it had one. An event that renames the entity is none for After: its state goes to another id.
func (s State) After(e eventstore.Event, known bool) (after State, has bool) {
	switch p := e.Payload.GetKind().(type) {
	case *eventv1.Payload_StateChanged:
		return s.changed(e, p.StateChanged.GetAttributes(), known), true
	case *eventv1.Payload_EntityRegistered:
		entry := p.EntityRegistered.GetEntity()
		disabled := entry.GetDisabled()
		if entry.UserDisabled != nil {
			disabled = entry.GetUserDisabled()
		}
		if disabled {
			return State{}, false
		}
		if !known {
			return s.changed(e, &entityv1.Attributes{}, false), true
		}
	case *eventv1.Payload_EntityUnregistered:
		return State{}, false
	case *eventv1.Payload_StateReported:
		s.UpdatedAt, s.UpdatedBy = e.Timestamp, e.Source
	}
	s.Position = e.Position
	return s, known
}

func (s State) changed(e eventstore.Event, attributes *entityv1.Attributes, known bool) State {
	after := State{
		EntityID: e.Entity, UpdatedAt: e.Timestamp, UpdatedBy: e.Source,
		Attributes: attributes, Position: e.Position, ChangedAt: e.Timestamp,
	}
	if known && Equal(s.Attributes, attributes) {
		after.ChangedAt = s.ChangedAt
	}
	return after
}

// Domain is the part of the entity id before the dot.
func (s State) Domain() string {
	for i := range len(s.EntityID) {
		if s.EntityID[i] == '.' {
			return s.EntityID[:i]
		}
	}
	return ""
}
