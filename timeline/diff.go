package timeline

import (
	"cmp"
	"iter"
	"maps"
	"slices"

	"google.golang.org/protobuf/proto"

	entityv1 "github.com/statehouse/statehouse/gen/statehouse/entity/v1"
	"github.com/statehouse/statehouse/immutable"
	"github.com/statehouse/statehouse/state"
)

// Change is what is different of one entity between two moments.
type Change struct {
	EntityID      state.EntityID
	Before, After Entity
}

// Entity is what a moment has of an entity: its state, and its registry entry. State is the zero State where it has
// none, and Entry nil.
type Entity struct {
	State state.State
	Entry *entityv1.Entity
}

// Exists says whether the moment has anything of the entity.
func (e Entity) Exists() bool { return e.State.EntityID != "" || e.Entry != nil }

// Diff yields the entities that are different in two moments, in state or in registry entry, sorted by id. It costs what
// differs between moments of one timeline, however large they are. Moments that come of a what-if are compared by their contents.
func Diff(before, after Moment) iter.Seq[Change] {
	changes := map[state.EntityID]bool{}
	for c := range immutable.Diff(before.State.Entities, after.State.Entities, sameState) {
		changes[c.Key] = true
	}
	for c := range immutable.Diff(before.Registry.Entities, after.Registry.Entities, sameEntry) {
		changes[c.Key] = true
	}
	return func(yield func(Change) bool) {
		for _, id := range slices.SortedFunc(maps.Keys(changes), cmp.Compare) {
			if !yield(Change{EntityID: id, Before: before.Entity(id), After: after.Entity(id)}) {
				return
			}
		}
	}
}

// Entity is what the moment has of an entity.
func (m Moment) Entity(id state.EntityID) Entity {
	var e Entity
	e.State, _ = m.State.Get(id)
	e.Entry, _ = m.Registry.Entity(id)
	return e
}

func sameState(a, b state.State) bool {
	return a.Position == b.Position && a.UpdatedBy == b.UpdatedBy && a.UpdatedAt.Equal(b.UpdatedAt) &&
		a.ChangedAt.Equal(b.ChangedAt) && (a.Attributes == b.Attributes || state.Equal(a.Attributes, b.Attributes))
}

func sameEntry(a, b *entityv1.Entity) bool { return a == b || proto.Equal(a, b) }
