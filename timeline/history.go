package timeline

import (
	"context"
	"fmt"
	"iter"

	"github.com/statehouse/statehouse/eventstore"
	eventv1 "github.com/statehouse/statehouse/gen/statehouse/event/v1"
	"github.com/statehouse/statehouse/state"
)

// Step is an event about an entity and what it made of it.
type Step struct {
	Event eventstore.Event
	// Before and After are the entity's states before and after the event; the zero State where it had none.
	Before, After state.State
}

// History yields what happened to an entity behind the position after, up to the position until, or up to the head if
// that is 0. [eventstore.FromOldest] begins with what is left of the log; a position before that is
// [eventstore.ErrCompacted]. It is the history of the id: what became of an entity under an earlier or later id is under that one.
func (t *Timeline) History(ctx context.Context, id state.EntityID, after, until eventstore.Position) iter.Seq2[Step, error] {
	return func(yield func(Step, error) bool) {
		if err := t.history(ctx, id, after, until, func(s Step) bool { return yield(s, nil) }); err != nil {
			yield(Step{}, err)
		}
	}
}

func (t *Timeline) history(ctx context.Context, id state.EntityID, after, until eventstore.Position, yield func(Step) bool) error {
	if err := eventstore.CheckEntityID(id); err != nil {
		return err
	}
	if after == eventstore.FromOldest {
		after, _ = t.store.Base()
	}
	m, err := t.AsOf(ctx, after)
	if err != nil {
		return err
	}
	before, known := m.State.Get(id)
	for e, err := range t.store.Read(ctx, eventstore.Query{After: after, Until: until, Entities: []string{id}}) {
		if err != nil {
			return err
		}
		if !known {
			// It may have come to this id by a rename, which is an event about another one.
			m, err := t.AsOf(ctx, e.Position-1)
			if err != nil {
				return fmt.Errorf("history of %s: %w", id, err)
			}
			before, known = m.State.Get(id)
		}
		step := Step{Event: e, Before: before}
		step.After, known = stateAfter(before, e, known)
		before = step.After
		if !yield(step) {
			return nil
		}
	}
	return nil
}

// stateAfter is the state of an entity after an event about it, and whether it has one; known says whether it had.
func stateAfter(before state.State, e eventstore.Event, known bool) (state.State, bool) {
	if p, ok := e.Payload.GetKind().(*eventv1.Payload_EntityRenamed); ok && p.EntityRenamed.GetNewId() != e.Entity {
		return state.State{}, false
	}
	after, has := before.After(e, known)
	if !has {
		return state.State{}, false
	}
	return after, true
}
