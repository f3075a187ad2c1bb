package timeline

import (
	"context"
	"fmt"

	"github.com/statehouse/statehouse/eventstore"
	"github.com/statehouse/statehouse/state"
)

// Link is an event in a chain of causes.
type Link struct {
	Event eventstore.Event

	timeline *Timeline
}

// Saw is the house that the event's source could see: the moment just before the event.
func (l Link) Saw(ctx context.Context) (Moment, error) {
	return l.timeline.AsOf(ctx, l.Event.Position-1)
}

// Why is the chain of causes of the event at a position: the event itself, the one that it names as its cause, that one's
// cause, and so on to one that names none.
func (t *Timeline) Why(ctx context.Context, at eventstore.Position) ([]Link, error) {
	var links []Link
	for at != 0 {
		e, err := t.store.Event(ctx, at)
		if err != nil {
			return links, fmt.Errorf("why: %w", err)
		}
		links = append(links, Link{Event: e, timeline: t})
		if e.CausePosition >= at { // no append accepts it
			return links, fmt.Errorf("%w: the event at position %d names %d as its cause, which is not before it",
				eventstore.ErrCorrupt, at, e.CausePosition)
		}
		at = e.CausePosition
	}
	return links, nil
}

// WhyEntity is the chain of causes of what an entity is like in a moment: it begins with the event that made its
// attributes what they are. No links mean that the moment has no state of the entity.
func (t *Timeline) WhyEntity(ctx context.Context, m Moment, id state.EntityID) ([]Link, error) {
	s, ok := m.State.Get(id)
	if !ok {
		return nil, nil
	}
	at := s.Position
	// Later events may have repeated the attributes; the first one with them bears the time since which they hold.
	for e, err := range t.store.Read(ctx, eventstore.Query{
		Until: s.Position, Entities: []string{id}, Backward: true,
		Kinds: []eventstore.Kind{eventstore.KindStateChanged, eventstore.KindEntityRegistered, eventstore.KindEntityUnregistered},
	}) {
		if err != nil {
			return nil, fmt.Errorf("why: %w", err)
		}
		if e.Kind == eventstore.KindEntityUnregistered {
			break
		}
		if at = e.Position; e.Timestamp.Equal(s.ChangedAt) {
			break
		}
	}
	return t.Why(ctx, at)
}
