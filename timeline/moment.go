package timeline

import (
	"context"
	"fmt"
	"time"

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

// With is the moment that would be if events followed this one: a what-if, which is written nowhere. The events get the
// positions behind the moment's, and at as the time at which they are recorded. They fail as an append of them would.
func (m Moment) With(ctx context.Context, at time.Time, events ...eventstore.Event) (Moment, error) {
	events, err := eventstore.Hypothetical(m.Position(), at, events)
	if err != nil {
		return Moment{}, err
	}
	cache, reg := state.NewAt(m.State), registry.NewAt(m.Registry)
	for i, e := range events {
		err := cache.Apply(ctx, nil, e)
		if err == nil {
			err = reg.Apply(ctx, nil, e)
		}
		if err != nil {
			return Moment{}, fmt.Errorf("event %d of the what-if: %w", i+1, err)
		}
	}
	cache.Promote()
	reg.Promote()
	return Moment{State: cache.Revision(), Registry: reg.Revision()}, nil
}
