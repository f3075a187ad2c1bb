package registry

import (
	"bytes"
	"cmp"
	"slices"

	"google.golang.org/protobuf/proto"

	"github.com/statehouse/statehouse/eventstore"
	entityv1 "github.com/statehouse/statehouse/gen/statehouse/entity/v1"
	"github.com/statehouse/statehouse/immutable"
)

var (
	_ eventstore.SnapshotSource = (*Registry)(nil)
	_ eventstore.DeltaCapture   = capture{}
)

// capture is a revision that is to be saved.
type capture struct{ Revision }

// Capture implements eventstore.SnapshotSource.
func (r *Registry) Capture() eventstore.Capture { return capture{r.Revision()} }

// Header implements eventstore.Capture.
func (c capture) Header() eventstore.SnapshotHeader {
	return eventstore.SnapshotHeader{Owner: name, FoldVersion: FoldVersion, Position: c.Position}
}

// Records implements eventstore.Capture: the entries in a fixed order. That is areas, devices, entities, former devices,
// former entities, each sorted by id, and those of one id by unique id, and the commands that wait, by the id of their entity.
func (c capture) Records(func()) eventstore.Records { return c.since(Revision{}) }

// Delta implements eventstore.DeltaCapture: the entries that have changed, and what names those that are gone, in the same
// order.
func (c capture) Delta(base eventstore.Capture, _ func()) eventstore.Records {
	return c.since(base.(capture).Revision)
}

// since are the records of what is different since a revision, all of them where that is empty.
func (c capture) since(before Revision) eventstore.Records {
	var all []*entityv1.RegistryRecord
	all = appendChanges(all, before.Areas, c.Areas, areaRecord,
		func(a *entityv1.Area) *entityv1.Area { return &entityv1.Area{Id: a.GetId()} })
	all = appendChanges(all, before.Devices, c.Devices, deviceRecord, deviceName)
	all = appendChanges(all, before.Entities, c.Entities, entityRecord, entityName)
	all = appendChanges(all, before.FormerDevices, c.FormerDevices, formerDeviceRecord, deviceName)
	all = appendChanges(all, before.FormerEntities, c.FormerEntities, formerEntityRecord, entityName)
	all = appendChanges(all, before.Pending, c.Pending, pendingRecord,
		func(p *entityv1.PendingCommands) *entityv1.PendingCommands {
			return &entityv1.PendingCommands{Id: p.GetId()}
		})
	return eventstore.Records{Count: len(all), Message: func(i int) proto.Message { return all[i] }}
}

func areaRecord(a *entityv1.Area) *entityv1.RegistryRecord {
	return &entityv1.RegistryRecord{Entry: &entityv1.RegistryRecord_Area{Area: a}}
}

func deviceRecord(d *entityv1.Device) *entityv1.RegistryRecord {
	return &entityv1.RegistryRecord{Entry: &entityv1.RegistryRecord_Device{Device: d}}
}

func entityRecord(e *entityv1.Entity) *entityv1.RegistryRecord {
	return &entityv1.RegistryRecord{Entry: &entityv1.RegistryRecord_Entity{Entity: e}}
}

func formerDeviceRecord(d *entityv1.Device) *entityv1.RegistryRecord {
	return &entityv1.RegistryRecord{Entry: &entityv1.RegistryRecord_FormerDevice{FormerDevice: d}}
}

func formerEntityRecord(e *entityv1.Entity) *entityv1.RegistryRecord {
	return &entityv1.RegistryRecord{Entry: &entityv1.RegistryRecord_FormerEntity{FormerEntity: e}}
}

func pendingRecord(p *entityv1.PendingCommands) *entityv1.RegistryRecord {
	return &entityv1.RegistryRecord{Entry: &entityv1.RegistryRecord_Pending{Pending: p}}
}

func deviceName(d *entityv1.Device) *entityv1.Device { return &entityv1.Device{Id: d.GetId()} }

func entityName(e *entityv1.Entity) *entityv1.Entity {
	return &entityv1.Entity{Id: e.GetId(), UniqueId: e.GetUniqueId()}
}

// message is an entry of the registry.
type message interface {
	proto.Message
	GetId() string
}

// appendChanges appends the records of the entries in which two maps differ, sorted by id and then by key: of former
// entities several may have had one id. name is what is left of an entry that is gone.
func appendChanges[M message](to []*entityv1.RegistryRecord, before, after *immutable.Map[string, M],
	record func(M) *entityv1.RegistryRecord, name func(M) M,
) []*entityv1.RegistryRecord {
	type entry struct {
		key   string
		entry M
		gone  bool
	}
	var entries []entry
	for d := range immutable.Diff(before, after, sameBytes[M]) {
		if d.Kind == immutable.Removed {
			entries = append(entries, entry{d.Key, name(d.Old), true})
		} else {
			entries = append(entries, entry{d.Key, d.New, false})
		}
	}
	slices.SortFunc(entries, func(a, b entry) int {
		return cmp.Or(cmp.Compare(a.entry.GetId(), b.entry.GetId()), cmp.Compare(a.key, b.key))
	})
	for _, e := range entries {
		r := record(e.entry)
		r.Removed = e.gone
		to = append(to, r)
	}
	return to
}

// sameBytes says whether two entries are saved as the same bytes, which is more than that they are equal: the two zeros
// are not one.
func sameBytes[M message](a, b M) bool {
	m := proto.MarshalOptions{Deterministic: true}
	x, errX := m.Marshal(a)
	y, errY := m.Marshal(b)
	return errX == nil && errY == nil && bytes.Equal(x, y)
}
