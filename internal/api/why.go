package api

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/statehouse/statehouse"
	"github.com/statehouse/statehouse/eventstore"
	"github.com/statehouse/statehouse/timeline"
)

// WhyQuery asks for a chain of causes.
type WhyQuery struct {
	// Entity is the entity whose state is asked about, as it is at At. Where it is empty, At must name a position: that
	// of the event that is asked about.
	Entity string
	At     At
	// Saw asks for the states of these entities, MaxSaw at most, just before each link; SawChain, for those of the entities
	// that the links of the answer are about.
	Saw      []string
	SawChain bool
	// May is what whoever asks may see; nil means everything. The chain goes as far as the first link that he may not, and what
	// he may not does not count where there is too much for one answer.
	May May
}

// Why is a chain of causes.
type Why struct {
	// AsOf is the moment that was asked about.
	AsOf
	EntityID string `json:"entity_id,omitempty"`
	// Links are what was asked about, its cause, the cause of that, and so on.
	Links []Link `json:"links"`
	// Next is the position of the next link where there are too many for one answer, or they have too many states; 0 otherwise.
	Next eventstore.Position `json:"next,omitempty"`
	// Removed is the position of the next link where that has been removed, and the rest with it, 0 otherwise.
	Removed eventstore.Position `json:"removed,omitempty"`
	// Hidden is the position of the next link where the one who asks may not see that, 0 otherwise.
	Hidden eventstore.Position `json:"hidden,omitempty"`
}

// Limits of one answer.
const (
	// MaxLinks is the number of links that it has at most.
	MaxLinks = 1000
	// MaxSaw is the number of entities that may be named whose states are wanted, and of those of the chain whose states one answer
	// has.
	MaxSaw = 100
	// MaxSawStates is the number of these states: with every link there are those of each of the entities.
	MaxSawStates = 10_000
)

// Link is one event of a chain of causes.
type Link struct {
	Event Event `json:"event"`
	// Changes are what the event changed, names and areas included.
	Changes []EntityChange `json:"changes"`
	// Saw are states in the moment just before the event, sorted by id: what its source could see.
	Saw []State `json:"saw,omitempty"`
	// Batch is the first event of the batch that the event came in, where it names no cause and is not that itself.
	Batch *Event `json:"batch,omitempty"`
}

// NewWhy answers a question for causes. It fails with [statehouse.ErrNotFound] where the entity had no state, and with
// [eventstore.ErrCompacted] where the chain would begin with an event that has been removed.
// Where more than [MaxSaw] entities are named it is [eventstore.ErrInvalid].
func NewWhy(ctx context.Context, h *statehouse.House, q WhyQuery) (Why, error) {
	if len(q.Saw) > MaxSaw {
		return Why{}, fmt.Errorf("%w: %d entities to see are too many; %d are possible", eventstore.ErrInvalid, len(q.Saw), MaxSaw)
	}
	w, origin, err := whyOf(ctx, h, q)
	if err != nil {
		return Why{}, err
	}
	links, saw, err := w.chain(ctx, h, origin, q)
	if err != nil {
		return Why{}, err
	}
	w.Links = make([]Link, 0, len(links))
	states := 0
	for _, l := range links {
		link, err := newLink(ctx, h, l, saw, q.May)
		if err != nil {
			return Why{}, err
		}
		if states += len(link.Saw); states > MaxSawStates {
			w.Next, w.Removed, w.Hidden = l.Event.Position, 0, 0
			break
		}
		w.Links = append(w.Links, link)
	}
	return w, nil
}

// whyOf is an answer without its links, and the position of the first one.
func whyOf(ctx context.Context, h *statehouse.House, q WhyQuery) (w Why, origin eventstore.Position, err error) {
	if q.Entity == "" {
		origin = q.At.position
		if q.At.kind != atPosition || origin == 0 {
			return w, 0, fmt.Errorf("%w: say which event is meant by its position, from 1", eventstore.ErrInvalid)
		}
		w.AsOf, err = q.At.Resolve(ctx, h)
		return w, origin, err
	}
	m, as, err := q.At.Moment(ctx, h)
	if err != nil {
		return w, 0, err
	}
	if origin, err = h.Timeline().Origin(ctx, m, q.Entity); err != nil {
		return w, 0, err
	}
	if origin == 0 {
		return w, 0, NoState(m, q.Entity)
	}
	w.AsOf, w.EntityID = as, q.Entity
	return w, origin, nil
}

// chain are the links of an answer, and the entities whose states are wanted with each. Where there are more it says so in w.
func (w *Why) chain(ctx context.Context, h *statehouse.House, origin eventstore.Position, q WhyQuery) ([]timeline.Link, []string, error) {
	saw := map[string]bool{}
	for _, id := range q.Saw {
		if q.May == nil || q.May(id) {
			saw[id] = true
		}
	}
	var links []timeline.Link
	others := 0 // of the chain
	for l, err := range h.Timeline().Causes(ctx, origin) {
		if errors.Is(err, eventstore.ErrCompacted) && len(links) > 0 {
			w.Removed = links[len(links)-1].Event.CausePosition
			break
		}
		if err != nil {
			return nil, nil, err
		}
		if q.May != nil && !q.May.Event(l.Event) {
			w.Hidden = l.Event.Position
			break
		}
		another := q.SawChain && l.Event.Entity != "" && !saw[l.Event.Entity]
		if len(links) == MaxLinks || another && others == MaxSaw {
			w.Next = l.Event.Position
			break
		}
		links = append(links, l)
		if another {
			saw[l.Event.Entity] = true
			others++
		}
	}
	return links, slices.Sorted(maps.Keys(saw)), nil
}

// newLink is a link as somebody may see it who may see its event.
func newLink(ctx context.Context, h *statehouse.House, l timeline.Link, saw []string, may May) (link Link, err error) {
	if link.Event, err = NewEvent(l.Event); err != nil {
		return link, err
	}
	before, err := l.Saw(ctx)
	if err != nil {
		return link, err
	}
	after, err := h.AsOf(ctx, l.Event.Position)
	if err != nil {
		return link, err
	}
	if link.Changes, err = NewChanges(before, after); err != nil {
		return link, err
	}
	if link.Batch, err = batchOf(ctx, h, l.Event); err != nil {
		return link, err
	}
	if may != nil {
		link.Changes = restrictChanges(link.Changes, may)
		if link.Batch != nil && !may.wire(*link.Batch) {
			batch := link.Batch.Redacted()
			link.Batch = &batch
		}
	}
	for _, id := range saw {
		if s, ok := before.State.Get(id); ok {
			w, err := NewState(before, s)
			if err != nil {
				return link, err
			}
			link.Saw = append(link.Saw, w)
		}
	}
	return link, nil
}

// batchOf is the first event of the batch that an event without a cause came in, nil where it is that itself or the batch
// was given a correlation of its own. History is removed by whole batches.
func batchOf(ctx context.Context, h *statehouse.House, e eventstore.Event) (*Event, error) {
	digits, own := strings.CutPrefix(e.CorrelationID, "@")
	first, err := strconv.ParseUint(digits, 10, 63)
	if !own || err != nil || e.CausePosition != 0 || eventstore.Position(first) >= e.Position {
		return nil, nil
	}
	b, err := h.Store().Event(ctx, eventstore.Position(first))
	if err != nil {
		return nil, err
	}
	w, err := NewEvent(b)
	return &w, err
}

// NoState is the error for an entity that has no state in a moment; it matches [statehouse.ErrNotFound].
func NoState(m timeline.Moment, id string) error {
	if _, known := m.Registry.Entity(id); known {
		return notFoundf("%s has no state at position %d: it is disabled", id, m.Position())
	}
	return notFoundf("there is no %s at position %d", id, m.Position())
}

// notFound is an error that matches [statehouse.ErrNotFound], whose words it does not repeat.
type notFound string

func notFoundf(format string, args ...any) error { return notFound(fmt.Sprintf(format, args...)) }

// Error implements error.
func (e notFound) Error() string { return string(e) }

// Is implements what errors.Is asks for.
func (e notFound) Is(target error) bool { return target == statehouse.ErrNotFound }
