package hass

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"

	"github.com/statehouse/statehouse"
	"github.com/statehouse/statehouse/eventstore"
	"github.com/statehouse/statehouse/internal/access"
	"github.com/statehouse/statehouse/state"
)

// eventContext is a Home Assistant context.
type eventContext struct {
	ID       string  `json:"id"`
	ParentID *string `json:"parent_id"`
	UserID   *string `json:"user_id"`
}

// origin is what a context says of an event.
type origin struct {
	millis uint64 // when it was recorded
	cause  eventstore.Position
	user   string // the token that it came by, empty for none
	entity string
}

func originOf(e eventstore.Event) origin {
	return origin{
		millis: uint64(max(e.RecordedAt.UnixMilli(), 0)), cause: e.CausePosition, user: userOf(e.Source), entity: e.Entity,
	}
}

// userOf is the name of the token that a source stands for, empty for none.
func userOf(source string) string {
	if name, ok := strings.CutPrefix(source, "api:"); ok {
		return name
	}
	return ""
}

// origins finds what contexts say. A state has the position of its event and not the rest, which is read from the log and
// kept: events do not change.
type origins struct {
	house *statehouse.House
	tag   uint16

	mu sync.Mutex // guards the rest; nothing else is locked under it
	// young takes what is found until there are maxOrigins of it; then it becomes old, and what was old is forgotten.
	young, old map[eventstore.Position]origin
}

// maxOrigins bounds each of the two generations, to some four megabytes.
const maxOrigins = 32 << 10

func newOrigins(h *statehouse.House) *origins {
	return &origins{house: h, tag: databaseTag(h.Store().UUID()), young: map[eventstore.Position]origin{}}
}

func (o *origins) get(at eventstore.Position) (origin, bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	found, ok := o.young[at]
	if !ok {
		if found, ok = o.old[at]; ok {
			o.putLocked(at, found)
		}
	}
	return found, ok
}

// saw keeps what an event says, for contexts that are asked for next.
func (o *origins) saw(e eventstore.Event) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.putLocked(e.Position, originOf(e))
}

func (o *origins) putLocked(at eventstore.Position, found origin) {
	if len(o.young) >= maxOrigins {
		o.old, o.young = o.young, make(map[eventstore.Position]origin, maxOrigins)
	}
	o.young[at] = found
}

// contexts are the contexts of events.
type contexts struct {
	origins *origins
	who     *access.Identity
	found   map[eventstore.Position]origin
}

// contextsOf reads what the contexts of events at positions say, as somebody may see it. Of an event that has been removed
// or is damaged nothing is found, which is no error.
func (o *origins) contextsOf(ctx context.Context, who *access.Identity, positions []eventstore.Position) (*contexts, error) {
	c := &contexts{origins: o, who: who, found: make(map[eventstore.Position]origin, len(positions))}
	if err := c.load(ctx, positions); err != nil {
		return nil, err
	}
	var causes []eventstore.Position
	for _, found := range c.found {
		if found.cause != 0 {
			causes = append(causes, found.cause)
		}
	}
	return c, c.load(ctx, causes)
}

// load finds what is not found yet.
func (c *contexts) load(ctx context.Context, positions []eventstore.Position) error {
	base, _ := c.origins.house.Base()
	var missing []eventstore.Position
	for _, at := range positions {
		if _, ok := c.found[at]; ok {
			continue
		}
		if found, ok := c.origins.get(at); ok {
			c.found[at] = found
		} else if at > base {
			missing = append(missing, at)
		}
	}
	slices.Sort(missing)
	missing = slices.Compact(missing)
	for len(missing) > 0 {
		n := 1
		for n < len(missing) && missing[n]-missing[n-1] <= nearby {
			n++
		}
		if err := c.read(ctx, missing[:n]); err != nil {
			return err
		}
		missing = missing[n:]
	}
	return nil
}

// nearby is how far apart events lie that are read in one go: to begin anew costs as much as some hundred events.
const nearby = 128

// read reads events that lie near each other, by their sorted positions.
func (c *contexts) read(ctx context.Context, positions []eventstore.Position) error {
	q := eventstore.Query{After: positions[0] - 1, Until: positions[len(positions)-1]}
	for e, err := range c.origins.house.Read(ctx, q) {
		switch {
		case errors.Is(err, eventstore.ErrCompacted) || errors.Is(err, eventstore.ErrCorrupt):
			return nil
		case err != nil:
			return err
		}
		if e.Position == positions[0] {
			c.origins.saw(e)
			c.found[e.Position] = originOf(e)
			if positions = positions[1:]; len(positions) == 0 {
				return nil
			}
		}
	}
	return nil
}

// ofEvent is the context of an event.
func (c *contexts) ofEvent(e eventstore.Event) eventContext {
	return c.context(e.Position, originOf(e))
}

// ofState is the context of a state: that of the last event about its entity. Where that event is gone, the time in the
// id is when the entity was last heard of.
func (c *contexts) ofState(s state.State) eventContext {
	found, ok := c.found[s.Position]
	if !ok {
		found.millis = uint64(max(s.UpdatedAt.UnixMilli(), 0))
		found.user = userOf(s.UpdatedBy)
	}
	return c.context(s.Position, found)
}

func (c *contexts) context(at eventstore.Position, of origin) eventContext {
	w := eventContext{ID: contextID{of.millis, at, c.origins.tag}.String()}
	if of.user != "" {
		w.UserID = &of.user
	}
	// That something was caused by what somebody may not see, he does not learn.
	if cause, ok := c.found[of.cause]; ok && of.cause != 0 && c.who.May(access.Read, cause.entity) {
		id := contextID{cause.millis, of.cause, c.origins.tag}.String()
		w.ParentID = &id
	}
	return w
}
