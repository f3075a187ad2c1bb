// Package registry is what entities and devices are: their names, classes, units, capabilities and places. It is a
// second projection of the event log, of the same pattern as package state: the store calls [Registry.Apply] inside
// the transaction of an append and [Registry.Promote] after its commit, and readers take a [Revision], a value that
// never changes, from [Registry.Revision] at any time and from any goroutine.
//
// What the user decided outlives what it was decided of. Of an entity that is unregistered its id, name, area and
// whether it is enabled are remembered under its unique id, and of a device its name and area under its id, until the
// same one is registered again: see [Revision].FormerEntities and FormerDevices. The fold only remembers;
// whoever registers it again writes it into the event. What is remembered takes no part in anything else, and its ids
// are free for others. It grows with what has ever been unregistered, and so does the log.
//
// What a device was asked to do and has not answered belongs to the registry as well: see [Revision].Pending. It goes with
// its entity, also to another id.
//
// Messages in the registry are shared by all readers and by the past, and must not be modified.
package registry

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync/atomic"

	"github.com/statehouse/statehouse/eventstore"
	entityv1 "github.com/statehouse/statehouse/gen/statehouse/entity/v1"
	eventv1 "github.com/statehouse/statehouse/gen/statehouse/event/v1"
	"github.com/statehouse/statehouse/immutable"
	"github.com/statehouse/statehouse/storage"

	"google.golang.org/protobuf/proto"
)

// Registry holds what entities and devices are, as an immutable [Revision] behind an atomic pointer.
//
// Apply, Promote, Discard, Restore and Pending have one caller at a time, which is the store's writer; Revision may be
// called by any number of goroutines.
type Registry struct {
	current atomic.Pointer[Revision]

	// What follows is the writer's own. A registry changes rarely, so pending is built from single changes of the
	// immutable maps and needs no builder.
	pending *Revision // nil when nothing is pending
	faults  []error   // of the last Restore
	sharing sharing
}

var (
	_ eventstore.Projector      = (*Registry)(nil)
	_ eventstore.Promoter       = (*Registry)(nil)
	_ eventstore.Discarder      = (*Registry)(nil)
	_ eventstore.Folder         = (*Registry)(nil)
	_ eventstore.SnapshotFaults = (*Registry)(nil)
	_ eventstore.Rebuilder      = (*Registry)(nil)
)

// New returns an empty registry.
func New() *Registry {
	r := &Registry{}
	r.current.Store(emptyRevision())
	return r
}

// NewAt returns a registry that goes on from a revision: the next event that it takes is the one behind it.
func NewAt(rev Revision) *Registry {
	r := &Registry{}
	r.current.Store(&rev) // nil maps are empty ones
	return r
}

func emptyRevision() *Revision {
	return &Revision{
		Entities: immutable.New[string, *entityv1.Entity](),
		Devices:  immutable.New[string, *entityv1.Device](),
		Areas:    immutable.New[string, *entityv1.Area](),

		FormerEntities: immutable.New[string, *entityv1.Entity](),
		FormerDevices:  immutable.New[string, *entityv1.Device](),

		Pending: immutable.New[string, *entityv1.PendingCommands](),

		byUnique: immutable.New[string, *entityv1.Entity](),
		byDevice: immutable.New[string, []*entityv1.Entity](),
	}
}

// Name implements eventstore.Projector.
func (r *Registry) Name() string { return name }

const name = "registry"

// Revision is the registry as promoted.
func (r *Registry) Revision() Revision { return *r.current.Load() }

// Pending is the registry as the transaction under way has made it; only the writer sees it.
func (r *Registry) Pending() Revision {
	if r.pending != nil {
		return *r.pending
	}
	return *r.current.Load()
}

// Apply folds an event into what is pending. It fails, and with it the event's batch, when the event would give two
// entities one id or one unique id. It needs nothing of tx, which may be nil.
func (r *Registry) Apply(_ context.Context, _ storage.Tx, e eventstore.Event) error {
	p := r.mutable()
	if p.Position+1 != e.Position {
		return fmt.Errorf("registry: event %d does not follow %d", e.Position, p.Position)
	}
	p.Position = e.Position
	return p.apply(e, &r.sharing)
}

// mutable is what is pending, to be changed in place: what fails is discarded as a whole.
func (r *Registry) mutable() *Revision {
	if r.pending == nil {
		p := *r.current.Load()
		r.pending = &p
	}
	return r.pending
}

// Fold implements eventstore.Folder: it decodes only what concerns the registry.
func (r *Registry) Fold(_ context.Context, _ storage.Tx, events *eventstore.Run) error {
	p := r.mutable()
	if p.Position+1 != events.First() {
		return fmt.Errorf("registry: event %d does not follow %d", events.First(), p.Position)
	}
	for i := range events.Len() {
		switch events.Kind(i) {
		case eventstore.KindEntityRegistered, eventstore.KindEntityUnregistered, eventstore.KindEntityRenamed,
			eventstore.KindDeviceRegistered, eventstore.KindDeviceUnregistered,
			eventstore.KindAreaRegistered, eventstore.KindAreaUnregistered,
			eventstore.KindCommandIssued, eventstore.KindCommandSettled:
			e, err := events.Event(i)
			if err != nil {
				return err
			}
			if err := p.apply(e, &r.sharing); err != nil {
				return err
			}
		}
	}
	p.Position += eventstore.Position(events.Len())
	return nil
}

// Folded implements eventstore.Folder.
func (r *Registry) Folded() error { return nil }

// Promote makes what is pending the revision that readers see.
func (r *Registry) Promote() {
	if r.pending != nil {
		r.current.Store(r.pending)
		r.pending = nil
	}
}

// Discard drops what is pending.
func (r *Registry) Discard() { r.pending = nil }

// Fresh implements eventstore.Rebuilder.
func (r *Registry) Fresh() eventstore.Projector { return New() }

// Adopt implements eventstore.Rebuilder: readers see what the other registry has promoted.
func (r *Registry) Adopt(fresh eventstore.Projector) {
	r.current.Store(fresh.(*Registry).current.Load())
	r.pending = nil
}

// apply makes of the revision what it is after an event.
func (r *Revision) apply(e eventstore.Event, s *sharing) error {
	switch p := e.Payload.GetKind().(type) {
	case *eventv1.Payload_EntityRegistered:
		return r.setEntity(s.entity(p.EntityRegistered.GetEntity()))
	case *eventv1.Payload_EntityUnregistered:
		r.unregisterEntity(e.Entity)
	case *eventv1.Payload_EntityRenamed:
		return r.renameEntity(e.Entity, p.EntityRenamed.GetNewId())
	case *eventv1.Payload_DeviceRegistered:
		d := p.DeviceRegistered.GetDevice()
		r.Devices = r.Devices.Set(d.GetId(), d)
		r.FormerDevices = r.FormerDevices.Delete(d.GetId())
	case *eventv1.Payload_DeviceUnregistered:
		r.unregisterDevice(p.DeviceUnregistered.GetDeviceId())
	case *eventv1.Payload_AreaRegistered:
		a := p.AreaRegistered.GetArea()
		r.Areas = r.Areas.Set(a.GetId(), a)
	case *eventv1.Payload_AreaUnregistered:
		r.Areas = r.Areas.Delete(p.AreaUnregistered.GetAreaId())
	case *eventv1.Payload_CommandIssued:
		r.issued(e, p.CommandIssued)
	case *eventv1.Payload_CommandSettled:
		r.settled(e.Entity, p.CommandSettled)
	}
	return nil
}

// setEntity adds or replaces an entity's entry and keeps the indexes.
func (r *Revision) setEntity(e *entityv1.Entity) error {
	if u := e.GetUniqueId(); u != "" {
		if owner, ok := r.byUnique.Get(u); ok && owner.GetId() != e.GetId() {
			return fmt.Errorf("%w: entity %s: unique id %q belongs to %s", eventstore.ErrInvalid, e.GetId(), u, owner.GetId())
		}
	}
	if before, ok := r.Entities.Get(e.GetId()); ok && before.GetUniqueId() != e.GetUniqueId() {
		r.unregisterEntity(e.GetId()) // another one took its id
	}
	r.deleteEntity(e.GetId())
	r.Entities = r.Entities.Set(e.GetId(), e)
	if u := e.GetUniqueId(); u != "" {
		r.byUnique = r.byUnique.Set(u, e)
		r.FormerEntities = r.FormerEntities.Delete(u)
	}
	if d := e.GetDeviceId(); d != "" {
		entries, _ := r.byDevice.Get(d)
		at, _ := slices.BinarySearchFunc(entries, e.GetId(), compareID)
		r.byDevice = r.byDevice.Set(d, slices.Concat(entries[:at], []*entityv1.Entity{e}, entries[at:]))
	}
	return nil
}

// unregisterEntity removes an entity's entry, if there is one, and remembers by its unique id what it was called and
// what the user decided.
func (r *Revision) unregisterEntity(id string) {
	if e, ok := r.Entities.Get(id); ok && e.GetUniqueId() != "" {
		r.FormerEntities = r.FormerEntities.Set(e.GetUniqueId(), &entityv1.Entity{
			Id: e.GetId(), UniqueId: e.GetUniqueId(), UserName: e.GetUserName(), AreaId: e.GetAreaId(),
			UserDisabled: e.UserDisabled,
		})
	}
	r.deleteEntity(id)
	r.setPending(id, nil)
}

// unregisterDevice removes a device's entry, if there is one, and remembers what the user decided.
func (r *Revision) unregisterDevice(id string) {
	d, ok := r.Devices.Get(id)
	if !ok {
		return
	}
	r.Devices = r.Devices.Delete(id)
	if d.GetUserName() != "" || d.GetAreaId() != "" {
		r.FormerDevices = r.FormerDevices.Set(id, &entityv1.Device{
			Id: d.GetId(), UserName: d.GetUserName(), AreaId: d.GetAreaId(),
		})
	}
}

// deleteEntity removes an entity's entry, if there is one, and keeps the indexes.
func (r *Revision) deleteEntity(id string) {
	e, ok := r.Entities.Get(id)
	if !ok {
		return
	}
	r.Entities = r.Entities.Delete(id)
	if e.GetUniqueId() != "" {
		r.byUnique = r.byUnique.Delete(e.GetUniqueId())
	}
	entries, _ := r.byDevice.Get(e.GetDeviceId())
	at, ok := slices.BinarySearchFunc(entries, id, compareID)
	switch {
	case !ok:
	case len(entries) == 1:
		r.byDevice = r.byDevice.Delete(e.GetDeviceId())
	default:
		r.byDevice = r.byDevice.Set(e.GetDeviceId(), slices.Concat(entries[:at], entries[at+1:]))
	}
}

// compareID orders entries by id.
func compareID(e *entityv1.Entity, id string) int { return cmp.Compare(e.GetId(), id) }

// renameEntity gives an entity another id.
func (r *Revision) renameEntity(from, to string) error {
	e, ok := r.Entities.Get(from)
	if !ok {
		return fmt.Errorf("%w: there is no entity %s to rename", eventstore.ErrInvalid, from)
	}
	if from == to {
		return nil
	}
	if _, taken := r.Entities.Get(to); taken {
		return fmt.Errorf("%w: %s cannot become %s: that id is taken", eventstore.ErrInvalid, from, to)
	}
	renamed := proto.CloneOf(e)
	renamed.Id = to
	waiting := r.PendingCommands(from)
	r.deleteEntity(from)
	r.setPending(from, nil)
	r.setPending(to, waiting)
	return r.setEntity(renamed)
}
