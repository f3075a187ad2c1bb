package rpc

import (
	"maps"
	"slices"

	"google.golang.org/protobuf/proto"

	entityv1 "github.com/statehouse/statehouse/gen/statehouse/entity/v1"
	"github.com/statehouse/statehouse/immutable"
	"github.com/statehouse/statehouse/state"
	"github.com/statehouse/statehouse/timeline"
)

// touched are the entities whose states, names or areas are different in a later moment, sorted by id. Others may be among
// them. It costs what differs, and all entities only where an area does.
func touched(before, after timeline.Moment) []state.EntityID {
	ids, areas := map[state.EntityID]bool{}, map[string]bool{}
	for c := range timeline.Diff(before, after) {
		ids[c.EntityID] = true
	}
	for c := range immutable.Diff(before.Registry.Devices, after.Registry.Devices, same[*entityv1.Device]) {
		// One that belonged to it before is different itself.
		for _, e := range after.Registry.DeviceEntities(c.Key) {
			ids[e.GetId()] = true
		}
	}
	for c := range immutable.Diff(before.Registry.Areas, after.Registry.Areas, same[*entityv1.Area]) {
		areas[c.Key] = true
	}
	if len(areas) > 0 {
		for id := range after.Registry.Entities.All() {
			if areas[before.Registry.AreaOf(id).GetId()] || areas[after.Registry.AreaOf(id).GetId()] {
				ids[id] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(ids))
}

// same says that two entries say the same; moments that were folded apart do not share them.
func same[M interface {
	comparable
	proto.Message
}](a, b M) bool {
	return a == b || proto.Equal(a, b)
}
