package dialect

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/statehouse/statehouse"
	"github.com/statehouse/statehouse/eventstore"
	entityv1 "github.com/statehouse/statehouse/gen/statehouse/entity/v1"
	eventv1 "github.com/statehouse/statehouse/gen/statehouse/event/v1"
	"github.com/statehouse/statehouse/state"
)

// Batch collects the events of one decision. It belongs to one run of it.
type Batch struct {
	// Pending is the house as it will be when everything before the decision is committed.
	Pending statehouse.Pending
	// Source is the source of the batch's events and of the registry entries that it makes.
	Source string
	// At is the time of events that have none of their own.
	At time.Time
	// SilentAfter is for how long an entity must have been silent for a report that changes nothing to be an event.
	SilentAfter time.Duration
	// MaxEntities is the most entities that the house may have for the batch to add one, those that are gone and
	// remembered included, and the most devices.
	MaxEntities int
	// MinInterval is that of [Options].
	MinInterval func(entity string) time.Duration
	// Inherit, where it is not nil, is asked when a device is registered that has these entries. What it returns is called
	// with each entity that begins to have a state, and appends what that takes over.
	Inherit func(before []*entityv1.Entity) func(e *entityv1.Entity)
	// Events are what the batch has come to.
	Events []eventstore.Event

	taken  map[string]bool                 // ids registered by the batch
	next   map[string]int                  // by id: the number to try next where the id is taken
	freed  map[string]bool                 // ids unregistered by it
	states map[string]*entityv1.Attributes // what the batch made of them

	tooSoon      int    // changes that were left out for the minimum interval
	added        int    // entities that there were none of before
	addedDevices int    // new devices, less those that are gone
	leftOut      int    // devices that would have brought more than there may be
	firstOut     string // the name of the first of them
}

// Add appends an event; its time is the batch's where it has none.
func (b *Batch) Add(e eventstore.Event) {
	e.Source = b.Source
	if e.Timestamp.IsZero() {
		e.Timestamp = b.At
	}
	b.Events = append(b.Events, e)
}

// Has says that the batch itself changes the state of an entity.
func (b *Batch) Has(id string) bool {
	_, has := b.states[id]
	return has
}

// Changed appends that an entity's attributes are now a, since at.
func (b *Batch) Changed(id string, a *entityv1.Attributes, at time.Time) {
	if b.states == nil {
		b.states = make(map[string]*entityv1.Attributes)
	}
	b.states[id] = a
	c := &change{}
	c.changed.Attributes = a
	c.kind.StateChanged = &c.changed
	c.payload.Kind = &c.kind
	b.Add(eventstore.Event{Timestamp: at, Entity: id, Payload: &c.payload})
}

// unknown are the attributes of an entity without a state. It is shared and must not be modified.
var unknown = &entityv1.Attributes{}

// StateOf is an entity's state as the batch left it. The attributes must not be modified.
func (b *Batch) StateOf(id string) (state.State, *entityv1.Attributes) {
	st, ok := b.Pending.State(id)
	if a, changed := b.states[id]; changed {
		return st, a
	}
	if !ok || st.Attributes == nil || b.taken[id] {
		return st, unknown
	}
	return st, st.Attributes
}

// Register appends what makes the registry say what the source says of a device, and what its new entities inherit of
// its availability. It returns its entities as they then are.
func (b *Batch) Register(want DeviceSpec) []*entityv1.Entity {
	id := want.Device.GetId()
	_, known := b.Pending.Device(id)
	if !b.admit(want) {
		if !known {
			return nil
		}
		want.Keep = true
	}
	b.registerDevice(want.Device)
	registered := b.Pending.DeviceEntities(id)
	if want.Keep {
		return registered
	}
	wanted := make(map[string]bool, len(want.Entities))
	for _, s := range want.Entities {
		wanted[UniqueID(id, s)] = true
	}
	inherit := b.inherit(registered)
	for _, e := range registered {
		if !wanted[e.GetUniqueId()] {
			b.UnregisterEntity(e.GetId())
		}
	}
	return b.registerEntities(want, registered, inherit)
}

// Extend is [Batch.Register] for a source that does not say all of a device at once: entities that it does not speak of
// stay. It returns those that it speaks of.
func (b *Batch) Extend(want DeviceSpec) []*entityv1.Entity {
	if !b.admit(want) {
		return nil
	}
	b.registerDevice(want.Device)
	registered := b.Pending.DeviceEntities(want.Device.GetId())
	return b.registerEntities(want, registered, b.inherit(registered))
}

// registerDevice appends what makes the registry say what the source says of a device itself.
func (b *Batch) registerDevice(want *entityv1.Device) {
	have, known := b.Pending.Device(want.GetId())
	if known && sameDevice(have, want) {
		return
	}
	if !known {
		have, _ = b.Pending.FormerDevice(want.GetId())
	}
	device := proto.CloneOf(want)
	device.UserName, device.AreaId = have.GetUserName(), have.GetAreaId()
	b.Add(eventstore.Event{Payload: &eventv1.Payload{
		Kind: &eventv1.Payload_DeviceRegistered{DeviceRegistered: &eventv1.DeviceRegistered{Device: device}},
	}})
}

// registerEntities registers the entities of a device that has those registered.
func (b *Batch) registerEntities(want DeviceSpec, registered []*entityv1.Entity, inherit func(*entityv1.Entity)) []*entityv1.Entity {
	byUnique := make(map[string]*entityv1.Entity, len(registered))
	for _, e := range registered {
		byUnique[e.GetUniqueId()] = e
	}
	entries := make([]*entityv1.Entity, 0, len(want.Entities))
	for _, s := range want.Entities {
		before := byUnique[UniqueID(want.Device.GetId(), s)]
		e := b.registerEntity(want.Device, s, before)
		if Enabled(e) && (before == nil || !Enabled(before)) {
			inherit(e)
		}
		entries = append(entries, e)
	}
	return entries
}

func (b *Batch) inherit(before []*entityv1.Entity) func(*entityv1.Entity) {
	if b.Inherit == nil {
		return func(*entityv1.Entity) {}
	}
	return b.Inherit(before)
}

// admit says that there is room for a device and for the entities of it that there were none of before, and takes it.
// Entities that are gone and remembered count, and keep their room: else a source that invents devices without end would
// fill memory all the same.
func (b *Batch) admit(s DeviceSpec) bool {
	added, addedDevice := 0, 0
	if _, known := b.Pending.Device(s.Device.GetId()); !known {
		addedDevice = 1
	}
	for _, e := range s.Entities {
		unique := UniqueID(s.Device.GetId(), e)
		if _, known := b.Pending.EntityByUniqueID(unique); known || s.Keep {
			continue
		}
		if _, former := b.Pending.FormerEntity(unique); !former {
			added++
		}
	}
	devices, entities, former := b.Pending.Counts()
	tooMany := added > 0 && entities+former+b.added+added > b.MaxEntities
	if tooMany || addedDevice > 0 && devices+b.addedDevices+addedDevice > b.MaxEntities {
		if b.leftOut++; b.leftOut == 1 {
			b.firstOut = s.Device.GetName()
		}
		return false
	}
	b.added, b.addedDevices = b.added+added, b.addedDevices+addedDevice
	return true
}

// TooMany says which devices were left out for want of room, nil for none.
func (b *Batch) TooMany() error {
	if b.leftOut == 0 {
		return nil
	}
	devices, entities, former := b.Pending.Counts()
	return fmt.Errorf("%w: devices were left out, %d of them, the first %.80q: the house has %d devices with %d entities, remembers %d "+
		"that are gone, and may have %d; raise max_entities if they are all wanted",
		ErrTooMany, b.leftOut, b.firstOut, devices+b.addedDevices, entities+b.added, former, b.MaxEntities)
}

// ErrTooMany is why devices are left out.
var ErrTooMany = errors.New("too many entities")

// UniqueID is what names an entity for good.
func UniqueID(deviceID string, s Spec) string { return deviceID + "/" + s.Domain + "/" + s.Key }

// registerEntity appends what makes the registry say what s says; have is the entry that there is, or nil. What the
// user decided stays, and comes back with an entity that was gone.
func (b *Batch) registerEntity(device *entityv1.Device, s Spec, have *entityv1.Entity) *entityv1.Entity {
	unique := UniqueID(device.GetId(), s)
	former := have
	if have == nil {
		if e, ok := b.Pending.EntityByUniqueID(unique); ok {
			former = e
			if !b.freed[e.GetId()] {
				have = e // somebody put it with another device
			}
		} else {
			former, _ = b.Pending.FormerEntity(unique)
		}
	}
	if have != nil && have.GetDeviceId() == device.GetId() && have.GetSource() == b.Source && SameEntity(have, s.Entity) {
		return have
	}
	e := proto.CloneOf(s.Entity)
	e.UniqueId, e.DeviceId, e.Source = unique, device.GetId(), b.Source
	if former != nil {
		e.Id, e.UserName, e.AreaId, e.UserDisabled = former.GetId(), former.GetUserName(), former.GetAreaId(), former.UserDisabled
	}
	if have == nil {
		if former == nil || !b.isFree(e.GetId()) {
			e.Id = b.freeID(s, device)
		}
		if b.taken == nil {
			b.taken = make(map[string]bool)
		}
		b.taken[e.GetId()] = true
	}
	b.Add(eventstore.Event{Entity: e.GetId(), Payload: &eventv1.Payload{
		Kind: &eventv1.Payload_EntityRegistered{EntityRegistered: &eventv1.EntityRegistered{Entity: e}},
	}})
	return e
}

// comesBack says that a device is registered, or that one of its entities once was: it may have an id that no newcomer
// should take.
func (b *Batch) comesBack(s DeviceSpec) bool {
	if _, known := b.Pending.Device(s.Device.GetId()); known {
		return true
	}
	return slices.ContainsFunc(s.Entities, func(e Spec) bool {
		_, former := b.Pending.FormerEntity(UniqueID(s.Device.GetId(), e))
		return former
	})
}

// RegisterAll registers devices, those that come back first.
func (b *Batch) RegisterAll(devices []DeviceSpec) {
	var newcomers []DeviceSpec
	for _, s := range devices {
		if b.comesBack(s) {
			b.Register(s)
		} else {
			newcomers = append(newcomers, s)
		}
	}
	for _, s := range newcomers {
		b.Register(s)
	}
}

// sameDevice compares what the source says, and not what the user decided.
func sameDevice(a, b *entityv1.Device) bool {
	return a.GetName() == b.GetName() && a.GetManufacturer() == b.GetManufacturer() && a.GetModel() == b.GetModel() &&
		a.GetModelId() == b.GetModelId() && a.GetSoftwareVersion() == b.GetSoftwareVersion() &&
		a.GetHardwareVersion() == b.GetHardwareVersion() && a.GetSerialNumber() == b.GetSerialNumber() &&
		a.GetViaDevice() == b.GetViaDevice() && a.GetSource() == b.GetSource() && a.GetKind() == b.GetKind() &&
		a.GetAddress() == b.GetAddress() && a.GetTopic() == b.GetTopic()
}

// SameEntity compares what the source says of two entities, and neither whose they are nor what the user decided.
func SameEntity(a, b *entityv1.Entity) bool {
	return a.GetName() == b.GetName() && a.GetDeviceClass() == b.GetDeviceClass() && a.GetUnit() == b.GetUnit() &&
		a.GetStateClass() == b.GetStateClass() && a.GetCategory() == b.GetCategory() &&
		a.GetDisabled() == b.GetDisabled() && a.GetProperty() == b.GetProperty() &&
		proto.Equal(a.GetCapabilities(), b.GetCapabilities())
}

// unnamed is what a device is called in the ids of its entities whose name and address are in a script that slugs do not spell.
const unnamed = "unnamed"

// freeID is the id of a new entity: its device's name and its own, and a number where another entity has that.
func (b *Batch) freeID(s Spec, device *entityv1.Device) string {
	id := s.Domain + "." + Slug(s.Wish)
	if Slug(s.Wish) == "" {
		name := cmp.Or(Slug(device.GetName()), Slug(device.GetAddress()), unnamed)
		if object := Slug(s.Object); object != "" {
			name += "_" + object
		}
		id = s.Domain + "." + name
	}
	const room = 8 // for a number
	if len(id) > eventstore.MaxEntityID-room {
		id = id[:eventstore.MaxEntityID-room]
	}
	free := id
	for !b.isFree(free) {
		if b.next == nil {
			b.next = make(map[string]int)
		}
		n := max(b.next[id], 2)
		b.next[id] = n + 1 // a thousand devices of one name do not make a thousand attempts each
		free = id + "_" + strconv.Itoa(n)
	}
	return free
}

// isFree says that no entity has the id, be it registered, or one that a program gave a state without.
func (b *Batch) isFree(id string) bool {
	if b.taken[id] {
		return false
	}
	if b.freed[id] {
		return true
	}
	if _, registered := b.Pending.Entity(id); registered {
		return false
	}
	_, has := b.Pending.State(id)
	return !has
}

// UnregisterEntity appends that an entity is gone. Its id is free again: a device that replaces another of the same
// name takes over its ids.
func (b *Batch) UnregisterEntity(id string) {
	if b.freed == nil {
		b.freed = make(map[string]bool)
	}
	b.freed[id] = true
	b.abandon(id)
	b.Add(eventstore.Event{Entity: id, Payload: &eventv1.Payload{
		Kind: &eventv1.Payload_EntityUnregistered{EntityUnregistered: &eventv1.EntityUnregistered{}},
	}})
}

// Unregister appends that a device is gone, and its entities before it.
func (b *Batch) Unregister(deviceID string) {
	for _, e := range b.Pending.DeviceEntities(deviceID) {
		b.UnregisterEntity(e.GetId())
	}
	b.addedDevices--
	b.Add(eventstore.Event{Payload: &eventv1.Payload{
		Kind: &eventv1.Payload_DeviceUnregistered{DeviceUnregistered: &eventv1.DeviceUnregistered{DeviceId: deviceID}},
	}})
}
