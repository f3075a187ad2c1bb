package timeline

import (
	"cmp"
	"context"
	"fmt"
	"iter"

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

// Causes yields the chain of causes of the event at a position: the event itself, the one that it names as its cause, that
// one's cause, and so on to one that names none. An error ends it: [eventstore.ErrCompacted], behind the links that are
// left, where a cause has been removed. Where events keep causing each other the chain may be as long as the log.
func (t *Timeline) Causes(ctx context.Context, at eventstore.Position) iter.Seq2[Link, error] {
	return func(yield func(Link, error) bool) {
		for at := at; at != 0; {
			e, err := t.store.Event(ctx, at)
			if err != nil {
				yield(Link{}, fmt.Errorf("why: %w", err))
				return
			}
			if !yield(Link{Event: e, timeline: t}, nil) {
				return
			}
			if e.CausePosition >= at { // no append accepts it
				yield(Link{}, fmt.Errorf("%w: the event at position %d names %d as its cause, which is not before it",
					eventstore.ErrCorrupt, at, e.CausePosition))
				return
			}
			at = e.CausePosition
		}
	}
}

// Why is the whole of [Timeline.Causes]; with an error, the links up to it.
func (t *Timeline) Why(ctx context.Context, at eventstore.Position) ([]Link, error) {
	var links []Link
	for l, err := range t.Causes(ctx, at) {
		if err != nil {
			return links, err
		}
		links = append(links, l)
	}
	return links, nil
}

// WhyEntity is the chain of causes of what an entity is like in a moment: it begins with [Timeline.Origin]. No links mean
// that the moment has no state of the entity.
func (t *Timeline) WhyEntity(ctx context.Context, m Moment, id state.EntityID) ([]Link, error) {
	at, err := t.Origin(ctx, m, id)
	if err != nil || at == 0 {
		return nil, err
	}
	return t.Why(ctx, at)
}

// Origin is the position of the event that made an entity's attributes what they are in a moment, under whatever id it
// had then; 0 where the moment has no state of the entity. Later events may have repeated the attributes. It is
// [eventstore.ErrCompacted] where that event has been removed: at the base of the log the attributes were what they are.
func (t *Timeline) Origin(ctx context.Context, m Moment, id state.EntityID) (eventstore.Position, error) {
	s, ok := m.State.Get(id)
	for ok {
		first, at, began, err := t.origin(ctx, s)
		if err != nil || began {
			return at, err
		}
		before := m
		if first != 0 {
			if before, err = t.AsOf(ctx, first-1); err != nil {
				return 0, fmt.Errorf("why: %w", err)
			}
			had, ok := before.State.Get(s.EntityID)
			if !ok {
				return first, nil
			}
			if !state.Equal(had.Attributes, s.Attributes) {
				return at, nil // to register what has a state changes nothing of it
			}
		}
		// It came to this id with these attributes.
		renamed, err := t.renamed(ctx, before.Position(), s.EntityID)
		if err != nil {
			return 0, err
		}
		if renamed.Position == 0 {
			if oldest, recorded := t.store.Base(); oldest > 0 {
				return 0, fmt.Errorf("why: what made %s what it is: %w", id, &eventstore.CompactedError{Base: oldest, RecordedAt: recorded})
			}
			return cmp.Or(first, s.Position), nil
		}
		if before, err = t.AsOf(ctx, renamed.Position-1); err != nil {
			return 0, fmt.Errorf("why: %w", err)
		}
		s, ok = before.State.Get(renamed.Entity)
	}
	return 0, nil
}

// origin is where the last events about an entity begin that all fit the attributes of s, 0 for none: first is the position
// of the first one that gave it these attributes if it had no state, and at that of the first one that did so whatever it had.
// began says that it had others before at.
func (t *Timeline) origin(ctx context.Context, s state.State) (first, at eventstore.Position, began bool, err error) {
	for e, err := range t.store.Read(ctx, eventstore.Query{
		After: eventstore.FromOldest, Until: s.Position, Entities: []string{s.EntityID}, Backward: true,
		Kinds: []eventstore.Kind{
			eventstore.KindStateChanged, eventstore.KindEntityRegistered, eventstore.KindEntityUnregistered, eventstore.KindEntityRenamed,
		},
	}) {
		if err != nil {
			return 0, 0, false, fmt.Errorf("why: %w", err)
		}
		if e.Payload.GetEntityRenamed().GetNewId() == s.EntityID {
			continue // it is where it was
		}
		alone, has := state.State{}.After(e, false) // what the event makes of an entity without a state
		if !has {
			break
		}
		changed, same := e.Kind == eventstore.KindStateChanged, state.Equal(alone.Attributes, s.Attributes)
		if changed && !same {
			return first, at, at != 0, nil
		}
		if changed {
			at = e.Position
		}
		if same {
			first = e.Position
		}
	}
	return first, at, false, nil
}

// renamed is the last event up to a position that gave an entity an id, the zero Event for none.
func (t *Timeline) renamed(ctx context.Context, until eventstore.Position, id state.EntityID) (eventstore.Event, error) {
	if until == 0 { // to the log, Until 0 means no end
		return eventstore.Event{}, nil
	}
	for e, err := range t.store.Read(ctx, eventstore.Query{
		After: eventstore.FromOldest, Until: until, Backward: true, Kinds: []eventstore.Kind{eventstore.KindEntityRenamed},
	}) {
		if err != nil {
			return eventstore.Event{}, fmt.Errorf("why: %w", err)
		}
		if e.Payload.GetEntityRenamed().GetNewId() == id && e.Entity != id {
			return e, nil
		}
	}
	return eventstore.Event{}, nil
}
