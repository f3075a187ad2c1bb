package state

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/statehouse/statehouse/eventstore"
	entityv1 "github.com/statehouse/statehouse/gen/statehouse/entity/v1"
	eventv1 "github.com/statehouse/statehouse/gen/statehouse/event/v1"
	"github.com/statehouse/statehouse/storage"
)

// replay is what a fold of many events has found out about each entity and not yet decoded. Of all that a log says of an
// entity only the last attributes count, and those before them just to know since when they hold: decoding the others
// is most of the time that Apply takes.
type replay struct {
	slots  map[EntityID]int32 // into heads
	heads  []replayHead
	links  []replayLink
	bytes  []byte  // the payloads of links, one after another
	states []State // of the heads, while it is settled
}

// replays are used again by other folds: the memory of one is as large as the house.
var replays = sync.Pool{New: func() any { return &replay{slots: map[EntityID]int32{}} }}

func (r *replay) reset() {
	clear(r.slots)
	clear(r.heads)
	clear(r.states)
	r.heads, r.links, r.bytes, r.states = r.heads[:0], r.links[:0], r.bytes[:0], r.states[:0]
}

// replayHead is what is known of an entity: its last attributes, and what later events that changed none made newer.
type replayHead struct {
	id        EntityID
	last      int32 // into links, -1 while the attributes are those that are pending
	updatedAt time.Time
	updatedBy string
	position  eventstore.Position
}

// replayLink is a payload that may have changed an entity's attributes, and the one before it, -1 for what is pending.
type replayLink struct {
	at         int64 // in nanoseconds since 1970
	from, size uint32
	before     int32
}

func (l *replayLink) time() time.Time { return time.Unix(0, l.at).UTC() }

// A replay is settled when it has this many links or this many bytes of payloads, which bounds its memory.
const (
	replayLinks = 1 << 18
	replayBytes = 64 << 20
)

// foldFew is how many events behind what is promoted are applied one by one: a step to a next moment needs no replay.
const foldFew = 4

// Fold implements eventstore.Folder: what it makes of the events is what Apply makes of them one by one.
func (c *Cache) Fold(ctx context.Context, tx storage.Tx, events *eventstore.Run) error {
	if c.position+1 != events.First() {
		return fmt.Errorf("state: event %d does not follow %d", events.First(), c.position)
	}
	if c.pending == nil {
		c.pending = c.current.Load().Entities.Builder()
	}
	if c.replay == nil {
		behind := c.position - c.current.Load().Position
		if behind+eventstore.Position(events.Len()) <= foldFew {
			return c.applyAll(ctx, tx, events)
		}
		c.replay = replays.Get().(*replay)
	}
	for i := range events.Len() {
		if err := c.foldOne(ctx, tx, events, i); err != nil {
			return err
		}
	}
	return nil
}

func (c *Cache) applyAll(ctx context.Context, tx storage.Tx, events *eventstore.Run) error {
	for i := range events.Len() {
		e, err := events.Event(i)
		if err == nil {
			err = c.Apply(ctx, tx, e)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// Folded implements eventstore.Folder.
func (c *Cache) Folded() error {
	err := c.settle()
	if r := c.replay; r != nil {
		r.reset()
		replays.Put(r)
	}
	c.replay = nil
	return err
}

func (c *Cache) foldOne(ctx context.Context, tx storage.Tx, events *eventstore.Run, i int) error {
	id := events.Entity(i)
	if id == "" {
		c.position++
		return nil
	}
	switch events.Kind(i) {
	case eventstore.KindStateChanged:
		h := c.replay.head(id)
		h.updatedAt, h.updatedBy, h.position = events.Timestamp(i), events.Source(i), c.position+1
		c.replay.change(h, events.Payload(i))
	case eventstore.KindStateReported:
		if h := c.knownHead(id); h != nil {
			h.updatedAt, h.updatedBy, h.position = events.Timestamp(i), events.Source(i), c.position+1
		}
	case eventstore.KindEntityRegistered, eventstore.KindEntityUnregistered, eventstore.KindEntityRenamed:
		// Few of these come, and they concern more than what an entity's own events say.
		if err := c.settle(); err != nil {
			return err
		}
		e, err := events.Event(i)
		if err != nil {
			return err
		}
		return c.Apply(ctx, tx, e)
	default:
		if h := c.knownHead(id); h != nil {
			h.position = c.position + 1
		}
	}
	c.position++
	if len(c.replay.links) >= replayLinks || len(c.replay.bytes) >= replayBytes {
		return c.settle()
	}
	return nil
}

// head is the head of an entity that has a state, or gets one now.
func (r *replay) head(id EntityID) *replayHead {
	i, ok := r.slots[id]
	if !ok {
		i = int32(len(r.heads))
		r.slots[id] = i
		r.heads = append(r.heads, replayHead{id: id, last: -1})
	}
	return &r.heads[i]
}

// knownHead is the head of an entity, nil if it has no state.
func (c *Cache) knownHead(id EntityID) *replayHead {
	if i, ok := c.replay.slots[id]; ok {
		return &c.replay.heads[i]
	}
	s, ok := c.pending.Get(id)
	if !ok {
		return nil
	}
	h := c.replay.head(id)
	h.updatedAt, h.updatedBy, h.position = s.UpdatedAt, s.UpdatedBy, s.Position
	return h
}

// change notes new attributes of an entity, unless they are, byte for byte, those that it has.
func (r *replay) change(h *replayHead, payload []byte) {
	if h.last >= 0 {
		if bytes.Equal(r.payload(&r.links[h.last]), payload) {
			return
		}
	}
	r.links = append(r.links, replayLink{
		at: h.updatedAt.UnixNano(), from: uint32(len(r.bytes)), size: uint32(len(payload)), before: h.last,
	})
	r.bytes = append(r.bytes, payload...)
	h.last = int32(len(r.links) - 1)
}

func (r *replay) payload(l *replayLink) []byte { return r.bytes[l.from : l.from+l.size] }

// settle decodes what the replay has found out into what is pending, and empties it.
func (c *Cache) settle() error {
	r := c.replay
	if r == nil || len(r.heads) == 0 {
		return nil
	}
	r.states = slices.Grow(r.states[:0], len(r.heads))[:len(r.heads)]
	if err := c.settleHeads(); err != nil {
		return err
	}
	for i, s := range r.states {
		if r.heads[i].last >= 0 {
			c.detector.watch(s)
		}
		c.pending.Set(s.EntityID, s)
	}
	r.reset()
	return nil
}

// settleShare is the number of heads that are worth a goroutine.
const settleShare = 1024

// settleHeads decodes the states of the heads, in several goroutines if there are many.
func (c *Cache) settleHeads() error {
	r, get := c.replay, c.pending.Get
	shares := min(runtime.GOMAXPROCS(0), 1+len(r.heads)/settleShare)
	if shares > 1 {
		get = c.pending.Map().Get // which may be called by many
	}
	errs := make([]error, shares)
	var settling sync.WaitGroup
	for n := range shares {
		from, to := n*len(r.heads)/shares, (n+1)*len(r.heads)/shares
		share := func() {
			for i := from; i < to && errs[n] == nil; i++ {
				h := &r.heads[i]
				before, known := get(h.id)
				if r.states[i], errs[n] = r.state(h, before, known); errs[n] != nil {
					errs[n] = fmt.Errorf("state: %s: %w", h.id, errs[n])
				}
			}
		}
		if n == shares-1 {
			share()
		} else {
			settling.Go(share)
		}
	}
	settling.Wait()
	return cmp.Or(errs...)
}

// state is what the replay makes of an entity's state.
func (r *replay) state(h *replayHead, s State, known bool) (State, error) {
	if h.last >= 0 {
		var err error
		if s, err = r.replayed(h, s, known); err != nil {
			return State{}, err
		}
	}
	s.UpdatedAt, s.UpdatedBy, s.Position = h.updatedAt, h.updatedBy, h.position
	return s, nil
}

// replayed is the state with an entity's last attributes, which hold since the first of its last payloads that say the same.
func (r *replay) replayed(h *replayHead, before State, known bool) (State, error) {
	l := &r.links[h.last]
	attributes, err := r.attributes(l)
	if err != nil {
		return State{}, err
	}
	s := State{EntityID: h.id, Attributes: attributes}
	for l.before >= 0 {
		earlier := &r.links[l.before]
		other, err := r.attributes(earlier)
		if err != nil {
			return State{}, err
		}
		if !Equal(other, attributes) {
			s.ChangedAt = l.time()
			return s, nil
		}
		l, attributes = earlier, other
	}
	if s.ChangedAt = l.time(); known && Equal(before.Attributes, attributes) {
		s.ChangedAt = before.ChangedAt
	}
	return s, nil
}

func (r *replay) attributes(l *replayLink) (*entityv1.Attributes, error) {
	var p eventv1.Payload
	if err := proto.Unmarshal(r.payload(l), &p); err != nil {
		return nil, fmt.Errorf("%w: payload of a state_changed: %w", eventstore.ErrCorrupt, err)
	}
	return p.GetStateChanged().GetAttributes(), nil
}
