package statehouse

import (
	"github.com/statehouse/statehouse/eventstore"
	entityv1 "github.com/statehouse/statehouse/gen/statehouse/entity/v1"
	"github.com/statehouse/statehouse/registry"
	"github.com/statehouse/statehouse/state"
)

// Pending is what a decision sees: the house as it will be when everything queued before the decision is committed.
// What it hands out is shared and must not be modified.
type Pending interface {
	// Position is the position of the last event that is part of what is seen.
	Position() eventstore.Position
	// State is the state of an entity, false where it has none.
	State(id state.EntityID) (state.State, bool)
	// Entity is the registry entry of an entity.
	Entity(id state.EntityID) (*entityv1.Entity, bool)
	// EntityByUniqueID is the registry entry with that unique id.
	EntityByUniqueID(uniqueID string) (*entityv1.Entity, bool)
	// DeviceEntities are the entries of a device's entities, sorted by id.
	DeviceEntities(deviceID string) []*entityv1.Entity
	// Device is the registry entry of a device.
	Device(id string) (*entityv1.Device, bool)
	// FormerEntity is what is remembered of the entity with that unique id, which is not registered now: its id, and
	// what the user decided.
	FormerEntity(uniqueID string) (*entityv1.Entity, bool)
	// FormerDevice is what the user had decided of a device that is not registered now.
	FormerDevice(id string) (*entityv1.Device, bool)
	// Area is the registry entry of an area.
	Area(id string) (*entityv1.Area, bool)
	// Devices are all devices that a source registered, sorted by id.
	Devices(source string) []*entityv1.Device
	// PendingCommands are the commands to an entity that wait for their answers, in the order of their positions.
	PendingCommands(id state.EntityID) []*entityv1.PendingCommand
	// Counts are the numbers of devices and of entities that are registered, and of entities that are remembered: see
	// FormerEntity.
	Counts() (devices, entities, former int)
}

type pending struct {
	cache    *state.Cache
	registry *registry.Registry
}

func (p pending) Position() eventstore.Position { return p.cache.PendingPosition() }

func (p pending) State(id state.EntityID) (state.State, bool) { return p.cache.PendingGet(id) }

func (p pending) Entity(id state.EntityID) (*entityv1.Entity, bool) {
	return p.registry.Pending().Entity(id)
}

func (p pending) EntityByUniqueID(uniqueID string) (*entityv1.Entity, bool) {
	return p.registry.Pending().EntityByUniqueID(uniqueID)
}

func (p pending) DeviceEntities(deviceID string) []*entityv1.Entity {
	return p.registry.Pending().DeviceEntities(deviceID)
}

func (p pending) Device(id string) (*entityv1.Device, bool) { return p.registry.Pending().Device(id) }

func (p pending) FormerEntity(uniqueID string) (*entityv1.Entity, bool) {
	return p.registry.Pending().FormerEntities.Get(uniqueID)
}

func (p pending) FormerDevice(id string) (*entityv1.Device, bool) {
	return p.registry.Pending().FormerDevices.Get(id)
}

func (p pending) PendingCommands(id state.EntityID) []*entityv1.PendingCommand {
	return p.registry.Pending().PendingCommands(id)
}

func (p pending) Counts() (devices, entities, former int) {
	r := p.registry.Pending()
	return r.Devices.Len(), r.Entities.Len(), r.FormerEntities.Len()
}

func (p pending) Area(id string) (*entityv1.Area, bool) { return p.registry.Pending().Area(id) }

func (p pending) Devices(source string) []*entityv1.Device {
	return p.registry.Pending().DevicesBySource(source)
}
