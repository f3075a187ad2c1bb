package zigbee2mqtt

import (
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

// batch collects the events of one decision. It belongs to one run of it.
type batch struct {
	pending     statehouse.Pending
	source      string
	bridgeID    string
	at          time.Time
	silentAfter time.Duration

	events []eventstore.Event
	taken  map[string]bool                 // ids registered by the batch
	next   map[string]int                  // by id: the number to try next where the id is taken
	freed  map[string]bool                 // ids unregistered by it
	states map[string]*entityv1.Attributes // what the batch made of them

	maxEntities  int
	added        int    // entities that there were none of before
	addedDevices int    // new devices, less those that are gone
	leftOut      int    // devices that would have brought more than there may be
	firstOut     string // the name of the first of them
}

func (d *Dialect) newBatch(p statehouse.Pending, at time.Time) *batch {
	return &batch{pending: p, source: d.source, bridgeID: d.bridgeID, at: at, silentAfter: d.opts.SilentAfter, maxEntities: d.opts.MaxEntities}
}

// add appends an event; its time is the batch's where it has none.
func (b *batch) add(e eventstore.Event) {
	e.Source = b.source
	if e.Timestamp.IsZero() {
		e.Timestamp = b.at
	}
	b.events = append(b.events, e)
}

// changed appends that an entity's attributes are now a.
func (b *batch) changed(id string, a *entityv1.Attributes, at time.Time) {
	if b.states == nil {
		b.states = make(map[string]*entityv1.Attributes)
	}
	b.states[id] = a
	b.add(eventstore.Event{Timestamp: at, Entity: id, Payload: &eventv1.Payload{
		Kind: &eventv1.Payload_StateChanged{StateChanged: &eventv1.StateChanged{Attributes: a}},
	}})
}

// unknown are the attributes of an entity without a state. It is shared and must not be modified.
var unknown = &entityv1.Attributes{}

// stateOf is an entity's state as the batch left it. The attributes must not be modified.
func (b *batch) stateOf(id string) (state.State, *entityv1.Attributes) {
	st, ok := b.pending.State(id)
	if a, changed := b.states[id]; changed {
		return st, a
	}
	if !ok || st.Attributes == nil || b.taken[id] {
		return st, unknown
	}
	return st, st.Attributes
}

// deviceSpec is a device as the source describes it.
type deviceSpec struct {
	device   *entityv1.Device // without what the user decides
	entities []spec
	// keep says that the source does not know now which entities the device has, so that those it had stay.
	keep bool
}

// register appends what makes the registry say what the source says of a device, and what its new entities inherit of
// its availability. It returns its entities as they then are.
func (b *batch) register(want deviceSpec) []*entityv1.Entity {
	id := want.device.GetId()
	have, known := b.pending.Device(id)
	if !b.admit(want) {
		if !known {
			return nil
		}
		want.keep = true
	}
	if !known || !sameDevice(have, want.device) {
		if !known {
			have, _ = b.pending.FormerDevice(id)
		}
		device := proto.CloneOf(want.device)
		device.UserName, device.AreaId = have.GetUserName(), have.GetAreaId()
		b.add(eventstore.Event{Payload: &eventv1.Payload{
			Kind: &eventv1.Payload_DeviceRegistered{DeviceRegistered: &eventv1.DeviceRegistered{Device: device}},
		}})
	}
	registered := b.pending.DeviceEntities(id)
	if want.keep {
		return registered
	}
	bridge := b.bridge()
	own := b.deviceAvailability(registered, bridge)
	byUnique := make(map[string]*entityv1.Entity, len(registered))
	for _, e := range registered {
		byUnique[e.GetUniqueId()] = e
	}
	wanted := make(map[string]bool, len(want.entities))
	for _, s := range want.entities {
		wanted[uniqueID(id, s)] = true
	}
	for _, e := range registered {
		if !wanted[e.GetUniqueId()] {
			b.unregisterEntity(e.GetId())
		}
	}
	entries := make([]*entityv1.Entity, 0, len(want.entities))
	for _, s := range want.entities {
		before := byUnique[uniqueID(id, s)]
		e := b.registerEntity(want.device, s, before)
		if enabled(e) && (before == nil || !enabled(before)) && !b.saysBridge(e) {
			b.available(e.GetId(), own, bridge != bridgeOffline)
		}
		entries = append(entries, e)
	}
	return entries
}

// admit says that there is room for a device and for the entities of it that there were none of before, and takes it.
// Entities that are gone and remembered count, and keep their room: else a source that invents devices without end would
// fill memory all the same.
func (b *batch) admit(s deviceSpec) bool {
	added, addedDevice := 0, 0
	if _, known := b.pending.Device(s.device.GetId()); !known {
		addedDevice = 1
	}
	for _, e := range s.entities {
		unique := uniqueID(s.device.GetId(), e)
		if _, known := b.pending.EntityByUniqueID(unique); known || s.keep {
			continue
		}
		if _, former := b.pending.FormerEntity(unique); !former {
			added++
		}
	}
	devices, entities, former := b.pending.Counts()
	tooMany := added > 0 && entities+former+b.added+added > b.maxEntities
	if tooMany || addedDevice > 0 && devices+b.addedDevices+addedDevice > b.maxEntities {
		if b.leftOut++; b.leftOut == 1 {
			b.firstOut = s.device.GetName()
		}
		return false
	}
	b.added, b.addedDevices = b.added+added, b.addedDevices+addedDevice
	return true
}

// tooMany says which devices were left out for want of room, nil for none.
func (b *batch) tooMany() error {
	if b.leftOut == 0 {
		return nil
	}
	devices, entities, former := b.pending.Counts()
	return fmt.Errorf("%w: devices were left out, %d of them, the first %.80q: the house has %d devices with %d entities, remembers %d "+
		"that are gone, and may have %d; raise max_entities if they are all wanted",
		errTooMany, b.leftOut, b.firstOut, devices+b.addedDevices, entities+b.added, former, b.maxEntities)
}

// errTooMany is why devices are left out.
var errTooMany = errors.New("too many entities")

// uniqueID is what names an entity for good.
func uniqueID(deviceID string, s spec) string { return deviceID + "/" + s.domain + "/" + s.key }

// registerEntity appends what makes the registry say what s says; have is the entry that there is, or nil. What the
// user decided stays, and comes back with an entity that was gone.
func (b *batch) registerEntity(device *entityv1.Device, s spec, have *entityv1.Entity) *entityv1.Entity {
	unique := uniqueID(device.GetId(), s)
	former := have
	if have == nil {
		if e, ok := b.pending.EntityByUniqueID(unique); ok {
			former = e
			if !b.freed[e.GetId()] {
				have = e // somebody put it with another device
			}
		} else {
			former, _ = b.pending.FormerEntity(unique)
		}
	}
	if have != nil && have.GetDeviceId() == device.GetId() && have.GetSource() == b.source && sameEntity(have, s.entity) {
		return have
	}
	e := proto.CloneOf(s.entity)
	e.UniqueId, e.DeviceId, e.Source = unique, device.GetId(), b.source
	if former != nil {
		e.Id, e.UserName, e.AreaId, e.UserDisabled = former.GetId(), former.GetUserName(), former.GetAreaId(), former.UserDisabled
	}
	if have == nil {
		if former == nil || !b.isFree(e.GetId()) {
			e.Id = b.freeID(s.domain, device, s.object)
		}
		if b.taken == nil {
			b.taken = make(map[string]bool)
		}
		b.taken[e.GetId()] = true
	}
	b.add(eventstore.Event{Entity: e.GetId(), Payload: &eventv1.Payload{
		Kind: &eventv1.Payload_EntityRegistered{EntityRegistered: &eventv1.EntityRegistered{Entity: e}},
	}})
	return e
}

// comesBack says that a device is registered, or that one of its entities once was: it may have an id that no newcomer
// should take.
func (b *batch) comesBack(s deviceSpec) bool {
	if _, known := b.pending.Device(s.device.GetId()); known {
		return true
	}
	return slices.ContainsFunc(s.entities, func(e spec) bool {
		_, former := b.pending.FormerEntity(uniqueID(s.device.GetId(), e))
		return former
	})
}

// registerAll registers devices, those that come back first.
func (b *batch) registerAll(devices []deviceSpec) {
	var newcomers []deviceSpec
	for _, s := range devices {
		if b.comesBack(s) {
			b.register(s)
		} else {
			newcomers = append(newcomers, s)
		}
	}
	for _, s := range newcomers {
		b.register(s)
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

// sameEntity compares what the source says of two entities, and neither whose they are nor what the user decided.
func sameEntity(a, b *entityv1.Entity) bool {
	return a.GetName() == b.GetName() && a.GetDeviceClass() == b.GetDeviceClass() && a.GetUnit() == b.GetUnit() &&
		a.GetStateClass() == b.GetStateClass() && a.GetCategory() == b.GetCategory() &&
		a.GetDisabled() == b.GetDisabled() && a.GetProperty() == b.GetProperty() &&
		proto.Equal(a.GetCapabilities(), b.GetCapabilities())
}

// freeID is the id of a new entity: its device's name and its own, and a number where another entity has that.
func (b *batch) freeID(domain string, device *entityv1.Device, object string) string {
	name := slug(device.GetName())
	if name == "" {
		name = slug(device.GetAddress())
	}
	id := domain + "." + name
	if object := slug(object); object != "" {
		id += "_" + object
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
func (b *batch) isFree(id string) bool {
	if b.taken[id] {
		return false
	}
	if b.freed[id] {
		return true
	}
	if _, registered := b.pending.Entity(id); registered {
		return false
	}
	_, has := b.pending.State(id)
	return !has
}

// unregisterEntity appends that an entity is gone. Its id is free again: a device that replaces another of the same
// name takes over its ids.
func (b *batch) unregisterEntity(id string) {
	if b.freed == nil {
		b.freed = make(map[string]bool)
	}
	b.freed[id] = true
	b.add(eventstore.Event{Entity: id, Payload: &eventv1.Payload{
		Kind: &eventv1.Payload_EntityUnregistered{EntityUnregistered: &eventv1.EntityUnregistered{}},
	}})
}

// unregister appends that a device is gone, and its entities before it.
func (b *batch) unregister(deviceID string) {
	for _, e := range b.pending.DeviceEntities(deviceID) {
		b.unregisterEntity(e.GetId())
	}
	b.addedDevices--
	b.add(eventstore.Event{Payload: &eventv1.Payload{
		Kind: &eventv1.Payload_DeviceUnregistered{DeviceUnregistered: &eventv1.DeviceUnregistered{DeviceId: deviceID}},
	}})
}
