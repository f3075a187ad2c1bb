// Package timeline is the house as a value: what it was and what it was called, at one position.
package timeline

import (
	"github.com/statehouse/statehouse/eventstore"
	"github.com/statehouse/statehouse/registry"
	"github.com/statehouse/statehouse/state"
)

// Moment is the whole house at one position. It never changes, costs nothing to keep and nothing to copy.
type Moment struct {
	State    state.Revision
	Registry registry.Revision
}

// Position is the position of the last event that is part of the moment, 0 for the empty house.
func (m Moment) Position() eventstore.Position { return m.State.Position }
