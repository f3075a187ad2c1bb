package api

import (
	"bytes"
	"cmp"
	"context"
	"slices"

	"google.golang.org/protobuf/proto"

	"github.com/statehouse/statehouse"
	entityv1 "github.com/statehouse/statehouse/gen/statehouse/entity/v1"
	"github.com/statehouse/statehouse/immutable"
	"github.com/statehouse/statehouse/timeline"
)

// Diff is what is different between two moments.
type Diff struct {
	From AsOf `json:"from"`
	To   AsOf `json:"to"`
	// Changes are sorted by entity id.
	Changes []EntityChange `json:"changes"`
}

// EntityChange is what is different of an entity.
type EntityChange struct {
	// EntityID is the id that the entity has after the change, or had last.
	EntityID string `json:"entity_id"`
	// What says what is different, at least one of the Changed constants.
	What []Changed `json:"what"`
	// Before and After are the entity in the two moments, nil where it was not there. Before has the id of then.
	Before *Version `json:"before,omitempty"`
	After  *Version `json:"after,omitempty"`
}

// Version is an entity in one moment. One that is registered and disabled has no state and no attributes.
type Version struct {
	State
	Disabled bool `json:"disabled,omitempty"`
}

// Changed says what is different of an entity.
type Changed string

// What can be different of an entity. The first two stand alone.
const (
	ChangedAppeared   Changed = "appeared"   // it was not there
	ChangedGone       Changed = "gone"       // it is not there any more
	ChangedID         Changed = "id"         // it has another id
	ChangedName       Changed = "name"       // it is called something else: itself, or with its device
	ChangedArea       Changed = "area"       // it is in another area, or the area has another name
	ChangedDisabled   Changed = "disabled"   // its state is not recorded any more, or again
	ChangedState      Changed = "state"      // the one word or number is another
	ChangedAttributes Changed = "attributes" // something that is known of its state is different
	ChangedPending    Changed = "pending"    // a command waits for its answer, or waits no more
	ChangedReport     Changed = "report"     // it was heard of, and said nothing new
	ChangedEntry      Changed = "entry"      // something else is different in its registry entry
)

// NewDiff is what is different between two moments of a house.
func NewDiff(ctx context.Context, h *statehouse.House, from, to At) (Diff, error) {
	before, fromAs, err := from.Moment(ctx, h)
	if err != nil {
		return Diff{}, err
	}
	after, toAs, err := to.Moment(ctx, h)
	if err != nil {
		return Diff{}, err
	}
	changes, err := NewChanges(before, after)
	return Diff{From: fromAs, To: toAs, Changes: changes}, err
}

// NewChanges are the entities that are different in two moments, sorted by id. An entity is the same one under another id
// if its unique id is the same.
func NewChanges(before, after timeline.Moment) ([]EntityChange, error) {
	touched := named(before, after)
	for c := range timeline.Diff(before, after) {
		touched[c.EntityID] = true
	}
	changes := []EntityChange{}
	for id := range touched {
		if after.Entity(id).Exists() {
			was := formerly(before, after, id)
			c, err := newChange(before, after, was, id)
			if err != nil {
				return nil, err
			}
			if len(c.What) > 0 {
				changes = append(changes, c)
			}
		}
		if before.Entity(id).Exists() && latterly(before, after, id) == "" {
			c, err := newChange(before, after, id, "")
			if err != nil {
				return nil, err
			}
			changes = append(changes, c)
		}
	}
	sortChanges(changes)
	return changes, nil
}

func sortChanges(changes []EntityChange) {
	slices.SortFunc(changes, func(a, b EntityChange) int {
		return cmp.Or(cmp.Compare(a.EntityID, b.EntityID), cmp.Compare(len(a.What), len(b.What)))
	})
}

// formerly is the id that an entity of the later moment had in the earlier one, empty where it was not there.
func formerly(before, after timeline.Moment, id string) string {
	now, was := after.Entity(id), before.Entity(id)
	if unique := now.Entry.GetUniqueId(); unique != "" {
		if e, ok := before.Registry.EntityByUniqueID(unique); ok {
			return e.GetId()
		}
	}
	if !was.Exists() {
		return ""
	}
	if unique := was.Entry.GetUniqueId(); unique != "" {
		if e, ok := after.Registry.EntityByUniqueID(unique); ok && e.GetId() != id {
			return "" // another one took over the id
		}
	}
	return id
}

// latterly is the id that an entity of the earlier moment has in the later one, empty where it is not there any more.
func latterly(before, after timeline.Moment, id string) string {
	if unique := before.Entity(id).Entry.GetUniqueId(); unique != "" {
		if e, ok := after.Registry.EntityByUniqueID(unique); ok {
			return e.GetId()
		}
	}
	if after.Entity(id).Exists() && formerly(before, after, id) == id {
		return id
	}
	return ""
}

// named are the entities whose name or area may be different because their device or area is.
func named(before, after timeline.Moment) map[string]bool {
	ids, devices, areas := map[string]bool{}, map[string]bool{}, map[string]bool{}
	for c := range immutable.Diff(before.Registry.Areas, after.Registry.Areas, same[*entityv1.Area]) {
		areas[c.Key] = true
	}
	for c := range immutable.Diff(before.Registry.Devices, after.Registry.Devices, same[*entityv1.Device]) {
		devices[c.Key] = true
	}
	if len(areas) > 0 {
		for _, m := range [...]timeline.Moment{before, after} {
			for id, d := range m.Registry.Devices.All() {
				devices[id] = devices[id] || areas[d.GetAreaId()]
			}
			for id, e := range m.Registry.Entities.All() {
				if areas[e.GetAreaId()] {
					ids[id] = true
				}
			}
		}
	}
	for device, changed := range devices {
		if !changed {
			continue
		}
		for _, m := range [...]timeline.Moment{before, after} {
			for _, e := range m.Registry.DeviceEntities(device) {
				ids[e.GetId()] = true
			}
		}
	}
	return ids
}

// same says that two entries say the same; moments that were folded apart do not share them.
func same[M interface {
	comparable
	proto.Message
}](a, b M) bool {
	return a == b || proto.Equal(a, b)
}

// newChange is what is different of an entity that has the ids was and is in two moments; an empty one means that it is
// not there.
func newChange(before, after timeline.Moment, was, is string) (c EntityChange, err error) {
	c.EntityID = cmp.Or(is, was)
	if was != "" {
		if c.Before, err = newVersion(before, was); err != nil {
			return c, err
		}
	}
	if is != "" {
		if c.After, err = newVersion(after, is); err != nil {
			return c, err
		}
	}
	switch {
	case c.Before == nil:
		c.What = []Changed{ChangedAppeared}
	case c.After == nil:
		c.What = []Changed{ChangedGone}
	default:
		c.What = whatChanged(c.Before, c.After)
		a, b := before.Entity(was).Entry, after.Entity(is).Entry
		if len(c.What) == 0 && !same(a, b) {
			c.What = []Changed{ChangedEntry}
		}
	}
	return c, nil
}

func newVersion(m timeline.Moment, id string) (*Version, error) {
	e := m.Entity(id)
	v := &Version{Disabled: e.State.EntityID == ""}
	var err error
	if v.Disabled {
		v.State = newNames(m, id)
	} else {
		v.State, err = NewState(m, e.State)
	}
	return v, err
}

func whatChanged(a, b *Version) (what []Changed) {
	for _, c := range [...]struct {
		what Changed
		is   bool
	}{
		{ChangedID, a.EntityID != b.EntityID},
		{ChangedName, a.Name != b.Name},
		{ChangedArea, a.Area != b.Area || a.AreaName != b.AreaName},
		{ChangedDisabled, a.Disabled != b.Disabled},
		{ChangedState, a.State.State != b.State.State},
		{ChangedAttributes, !bytes.Equal(a.Attributes, b.Attributes)},
		{ChangedPending, !samePending(a.Pending, b.Pending)},
	} {
		if c.is {
			what = append(what, c.what)
		}
	}
	if len(what) == 0 && !a.UpdatedAt.Equal(b.UpdatedAt) {
		return []Changed{ChangedReport}
	}
	return what
}
