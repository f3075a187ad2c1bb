package api

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/statehouse/statehouse"
	"github.com/statehouse/statehouse/eventstore"
	"github.com/statehouse/statehouse/state"
)

// History is what happened to an entity between two moments.
type History struct {
	EntityID string `json:"entity_id"`
	// From and To are the moments; what happened is behind From, up to To.
	From AsOf `json:"from"`
	To   AsOf `json:"to"`
	// Name and Unit are the entity's at To, or at From where it is not there any more.
	Name string `json:"name,omitempty"`
	Unit string `json:"unit,omitempty"`
	// Start is the state at From, nil where the entity had none.
	Start *Value `json:"start,omitempty"`
	// Steps are the events, oldest first.
	Steps []Step `json:"steps"`
	// Next is where to go on, as From, where there is more than one answer has; 0 otherwise.
	Next eventstore.Position `json:"next,omitempty"`
}

// Step is an event about an entity and what it made of it.
type Step struct {
	Event
	// Before and After are the entity's states before and after the event, nil where it had none.
	Before *Value `json:"before,omitempty"`
	After  *Value `json:"after,omitempty"`
}

// Value is the part of a state that events change.
type Value struct {
	// State and Attributes are what [State] has under these names.
	State      string          `json:"state"`
	Attributes json.RawMessage `json:"attributes"`
	UpdatedAt  time.Time       `json:"updated_at"`
	ChangedAt  time.Time       `json:"changed_at"`
	// Position is that of the last event about the entity.
	Position eventstore.Position `json:"position"`
}

// MaxSteps is the number of steps that one answer has at most.
const MaxSteps = 5000

// NewHistory is what happened to an entity between two moments, limit steps of it at most, the oldest ones. It fails with
// [statehouse.ErrNotFound] where nothing ever happened to an entity of that id up to the later one.
func NewHistory(ctx context.Context, h *statehouse.House, id string, from, to At, limit int) (History, error) {
	w := History{EntityID: id, Steps: []Step{}}
	before, fromAs, err := from.Moment(ctx, h)
	if err != nil {
		return w, err
	}
	after, toAs, err := to.Moment(ctx, h)
	if err != nil {
		return w, err
	}
	if toAs.Position < fromAs.Position {
		return w, fmt.Errorf("%w: the history ends at position %d, before it begins at %d", eventstore.ErrInvalid, toAs.Position, fromAs.Position)
	}
	w.From, w.To = fromAs, toAs
	if s, ok := before.State.Get(id); ok {
		if w.Start, err = newValue(s); err != nil {
			return w, err
		}
	}
	names := newNames(after, id)
	if !after.Entity(id).Exists() {
		names = newNames(before, id)
	}
	w.Name, w.Unit = names.Name, names.Unit
	if toAs.Position > fromAs.Position { // to the log, Until 0 means no end
		for s, err := range h.Timeline().History(ctx, id, fromAs.Position, toAs.Position) {
			if err != nil {
				return w, err
			}
			if len(w.Steps) == limit {
				w.Next = w.Steps[limit-1].Position
				break
			}
			step := Step{}
			if step.Event, err = NewEvent(s.Event); err != nil {
				return w, err
			}
			if step.Before, err = newValue(s.Before); err != nil {
				return w, err
			}
			if step.After, err = newValue(s.After); err != nil {
				return w, err
			}
			w.Steps = append(w.Steps, step)
		}
	}
	if len(w.Steps) > 0 || w.Start != nil || after.Entity(id).Exists() {
		return w, nil
	}
	return w, everThere(ctx, h, id, toAs.Position)
}

// everThere fails where no event up to a position is about an entity of an id.
func everThere(ctx context.Context, h *statehouse.House, id string, until eventstore.Position) error {
	if until > 0 {
		q := eventstore.Query{After: eventstore.FromOldest, Entities: []string{id}, Until: until, Backward: true}
		for _, err := range h.Read(ctx, q) {
			return err
		}
	}
	if base, _ := h.Base(); base > 0 {
		return notFoundf("nothing is known of %s from position %d, before which history has been removed, up to %d", id, base, until)
	}
	return notFoundf("nothing is known of %s up to position %d", id, until)
}

func newValue(s state.State) (*Value, error) {
	if s.EntityID == "" {
		return nil, nil
	}
	attributes, err := state.JSON(s.Attributes)
	if err != nil {
		return nil, fmt.Errorf("state of %s: %w", s.EntityID, err)
	}
	return &Value{
		State: state.Text(s.Attributes), Attributes: attributes,
		UpdatedAt: s.UpdatedAt.UTC(), ChangedAt: s.ChangedAt.UTC(), Position: s.Position,
	}, nil
}
