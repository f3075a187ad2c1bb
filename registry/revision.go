package registry

import (
	"cmp"
	"slices"

	"github.com/statehouse/statehouse/eventstore"
	entityv1 "github.com/statehouse/statehouse/gen/statehouse/entity/v1"
	"github.com/statehouse/statehouse/immutable"
)

// Revision is the whole registry at one position, as a value that never changes. The zero value is the empty registry.
// The messages in it are shared and must not be modified.
type Revision struct {
	// Position is that of the last event that is part of the revision.
	Position eventstore.Position
	Entities *immutable.Map[string, *entityv1.Entity]
	Devices  *immutable.Map[string, *entityv1.Device]
	Areas    *immutable.Map[string, *entityv1.Area]
	// FormerEntities are those that were unregistered and have not come back, by unique id: no more of each than its
	// id, its unique id, and what the user decided (name, area, enabled or not).
	FormerEntities *immutable.Map[string, *entityv1.Entity]
	// FormerDevices are those that were unregistered and have not come back, by id, where the user had decided anything
	// (name, area): no more of each than that and its id.
	FormerDevices *immutable.Map[string, *entityv1.Device]
	// Pending are the commands that wait for their answers, by the id of their entity.
	Pending *immutable.Map[string, *entityv1.PendingCommands]

	byUnique *immutable.Map[string, *entityv1.Entity]
	byDevice *immutable.Map[string, []*entityv1.Entity] // each sorted by id
}

// Entity is the entry of an entity.
func (r Revision) Entity(id string) (*entityv1.Entity, bool) { return r.Entities.Get(id) }

// Device is the entry of a device.
func (r Revision) Device(id string) (*entityv1.Device, bool) { return r.Devices.Get(id) }

// Area is the entry of an area.
func (r Revision) Area(id string) (*entityv1.Area, bool) { return r.Areas.Get(id) }

// EntityByUniqueID is the entry of the entity with that unique id at its source.
func (r Revision) EntityByUniqueID(uniqueID string) (*entityv1.Entity, bool) {
	return r.byUnique.Get(uniqueID)
}

// DeviceEntities are the entries of a device's entities, sorted by id. The list is shared and must not be modified: it is
// asked for with every message of a device, in the writer's turn.
func (r Revision) DeviceEntities(deviceID string) []*entityv1.Entity {
	entries, _ := r.byDevice.Get(deviceID)
	return slices.Clip(entries)
}

// DevicesBySource are all devices that a source registered, sorted by id.
func (r Revision) DevicesBySource(source string) []*entityv1.Device {
	var devices []*entityv1.Device
	for _, d := range r.Devices.All() {
		if d.GetSource() == source {
			devices = append(devices, d)
		}
	}
	slices.SortFunc(devices, func(a, b *entityv1.Device) int { return cmp.Compare(a.GetId(), b.GetId()) })
	return devices
}

// DisplayName is what a person calls an entity: the name the user gave it, or the device's name and the entity's own.
func (r Revision) DisplayName(id string) string {
	e, ok := r.Entities.Get(id)
	if !ok {
		return id
	}
	if e.GetUserName() != "" {
		return e.GetUserName()
	}
	d, _ := r.Devices.Get(e.GetDeviceId())
	device := cmp.Or(d.GetUserName(), d.GetName())
	switch {
	case device == "":
		return cmp.Or(e.GetName(), id)
	case e.GetName() == "":
		return device
	default:
		return device + " " + e.GetName()
	}
}

// AreaOf is the area that an entity is in, its own or its device's; nil where it is in none.
func (r Revision) AreaOf(id string) *entityv1.Area {
	e, ok := r.Entities.Get(id)
	if !ok {
		return nil
	}
	d, _ := r.Devices.Get(e.GetDeviceId())
	a, _ := r.Areas.Get(cmp.Or(e.GetAreaId(), d.GetAreaId()))
	return a
}
