package state

import (
	"time"

	"github.com/statehouse/statehouse/eventstore"
	entityv1 "github.com/statehouse/statehouse/gen/statehouse/entity/v1"
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

// Domain is the part of the entity id before the dot.
func (s State) Domain() string {
	for i := range len(s.EntityID) {
		if s.EntityID[i] == '.' {
			return s.EntityID[:i]
		}
	}
	return ""
}
