package state

import (
	"context"
	"fmt"
	"sync/atomic"

	"github.com/statehouse/statehouse/eventstore"
	eventv1 "github.com/statehouse/statehouse/gen/statehouse/event/v1"
	"github.com/statehouse/statehouse/immutable"
	"github.com/statehouse/statehouse/storage"
)

// Cache holds entity state as an immutable HAMT behind an atomic pointer. The store calls [Cache.Apply] inside an
// append's transaction to build the next version, then [Cache.Promote] after that transaction commits. Reads go
// through [Cache.View], [Cache.Get] and [Cache.Revision] against the version currently promoted.
//
// Apply, Promote, Discard, Restore and the pending readers have one caller at a time, which is the store's writer;
// everything else may be called by any number of goroutines.
type Cache struct {
	current    atomic.Pointer[Revision]
	promotions promotions

	// What follows is the writer's own.
	pending  *immutable.Builder[EntityID, State] // nil when nothing is pending
	position eventstore.Position                 // of the last event applied or promoted
	replay   *replay                             // nil unless many events are being folded
	faults   []error                             // of the last Restore

	detector *detector // nil unless switched on
}

var (
	_ eventstore.Projector       = (*Cache)(nil)
	_ eventstore.Promoter        = (*Cache)(nil)
	_ eventstore.Discarder       = (*Cache)(nil)
	_ eventstore.Folder          = (*Cache)(nil)
	_ eventstore.SnapshotFaults  = (*Cache)(nil)
	_ eventstore.EntityPositions = (*Cache)(nil)
	_ eventstore.Rebuilder       = (*Cache)(nil)
)

// New returns an empty cache.
func New() *Cache {
	c := &Cache{detector: newDetector()}
	c.current.Store(&Revision{Entities: immutable.New[EntityID, State]()})
	return c
}

// NewAt returns a cache that goes on from a revision: the next event that it takes is the one behind it.
func NewAt(r Revision) *Cache {
	c := New()
	if r.Entities == nil {
		r.Entities = c.View()
	}
	c.current.Store(&r)
	c.position = r.Position
	return c
}

// Name implements eventstore.Projector.
func (c *Cache) Name() string { return name }

const name = "state"

// Get returns one entity's state, from the promoted version. Its attributes are shared and must not be modified.
func (c *Cache) Get(id EntityID) (State, bool) { return c.current.Load().Entities.Get(id) }

// Len is the number of entities in the promoted version.
func (c *Cache) Len() int { return c.current.Load().Entities.Len() }

// View is the promoted version itself, as a value that never changes.
func (c *Cache) View() *immutable.Map[EntityID, State] { return c.current.Load().Entities }

// Revision is the promoted version together with its position: one value, so that the two always belong together.
func (c *Cache) Revision() Revision { return *c.current.Load() }

// PendingGet is [Cache.Get] in what the transaction under way has made of the state; only the writer sees it.
func (c *Cache) PendingGet(id EntityID) (State, bool) {
	if c.pending == nil {
		return c.Get(id)
	}
	return c.pending.Get(id)
}

// PendingPosition is the position of the last event that is part of what [Cache.PendingGet] sees.
func (c *Cache) PendingPosition() eventstore.Position { return c.position }

// PendingEntityPosition is the position of an entity's state in what [Cache.PendingGet] sees, 0 where it has none: what
// conditions of appends are about, see [eventstore.EntityAt].
func (c *Cache) PendingEntityPosition(id EntityID) eventstore.Position {
	s, _ := c.PendingGet(id)
	return s.Position
}

// Apply folds an event into what is pending. It changes nothing that a reader sees. Callers must call [Cache.Promote]
// after the enclosing transaction commits, or [Cache.Discard] on rollback. It needs nothing of tx, which may be nil.
//
//	state_changed        the entity has these attributes; ChangedAt moves if they differ from those before
//	state_reported       the entity was heard of; UpdatedAt moves
//	entity_registered    the entity exists, with unknown attributes if it had no state; it has no state if it is disabled
//	entity_unregistered  the entity has no state
//	entity_renamed       the state belongs to the new id; fails, and with it the batch, if that has one
//	any other            nothing, but that it is the last event about its entity, if that has a state
func (c *Cache) Apply(_ context.Context, _ storage.Tx, e eventstore.Event) error {
	if c.position+1 != e.Position {
		return fmt.Errorf("state: event %d does not follow %d", e.Position, c.position)
	}
	if c.pending == nil {
		c.pending = c.current.Load().Entities.Builder()
	}
	c.position = e.Position
	if e.Entity == "" {
		return nil
	}
	if p, ok := e.Payload.GetKind().(*eventv1.Payload_EntityRenamed); ok {
		return c.rename(e, p.EntityRenamed.GetNewId())
	}
	before, known := c.pending.Get(e.Entity)
	after, has := before.After(e, known)
	switch {
	case has:
		if after.Attributes != before.Attributes {
			c.detector.watch(after)
		}
		c.pending.Set(e.Entity, after)
	case known:
		c.pending.Delete(e.Entity)
	}
	return nil
}

func (c *Cache) rename(e eventstore.Event, id EntityID) error {
	if _, taken := c.pending.Get(id); taken && id != e.Entity {
		return fmt.Errorf("%w: %s cannot become %s: that one has a state of its own", eventstore.ErrInvalid, e.Entity, id)
	}
	s, ok := c.pending.Get(e.Entity)
	if !ok {
		return nil
	}
	c.pending.Delete(e.Entity)
	s.EntityID, s.Position = id, e.Position
	c.pending.Set(id, s)
	return nil
}

// Promote makes what is pending the version that readers see. The store calls it after the transaction has committed.
func (c *Cache) Promote() {
	if c.pending == nil {
		return
	}
	// The builder stays: its map is handed out, and the next Apply goes on from it.
	c.current.Store(&Revision{Position: c.position, Entities: c.pending.Map()})
	c.promotions.wake()
	c.detector.sample()
}

// Discard drops what is pending: the transaction was rolled back.
func (c *Cache) Discard() {
	c.pending, c.replay = nil, nil
	c.position = c.current.Load().Position
}
