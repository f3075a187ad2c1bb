package state

import (
	"cmp"
	"iter"
	"slices"

	"github.com/statehouse/statehouse/eventstore"
	"github.com/statehouse/statehouse/immutable"
)

// Revision is the state of every entity at one position, as a value that never changes. The zero value is the empty
// one, before any event.
type Revision struct {
	// Position is that of the last event that is part of the revision.
	Position eventstore.Position
	// Entities are the states by entity id. A nil map is empty.
	Entities *immutable.Map[EntityID, State]
}

// Get is the state of one entity.
func (r Revision) Get(id EntityID) (State, bool) { return r.Entities.Get(id) }

// Sorted are all states, sorted by entity id.
func (r Revision) Sorted() []State {
	all := sorted(r.Entities, func() {})
	states := make([]State, len(all))
	for i := range all {
		states[i] = all[i].Value()
	}
	return states
}

// Change is what differs in one entity between two revisions.
type Change struct {
	EntityID EntityID
	// Before and After are the entity's states; the zero State, with an empty EntityID, where it has none.
	Before, After State
}

// Diff yields what differs between two revisions of one log, in the order of the positions that brought the entities
// to where they are in after; entities that after does not have come last, by id. It costs what differs between
// related revisions, however large they are.
func Diff(before, after Revision) iter.Seq[Change] {
	return func(yield func(Change) bool) {
		for _, c := range differences(before, after) {
			if !yield(c) {
				return
			}
		}
	}
}

func differences(before, after Revision) []Change {
	var changes []Change
	// Two states of one log are equal when id and position are.
	same := func(a, b State) bool { return a.Position == b.Position }
	for c := range immutable.Diff(before.Entities, after.Entities, same) {
		changes = append(changes, Change{EntityID: c.Key, Before: c.Old, After: c.New})
	}
	slices.SortFunc(changes, func(a, b Change) int {
		if gone := cmp.Compare(removed(a), removed(b)); gone != 0 {
			return gone
		}
		return cmp.Or(cmp.Compare(a.After.Position, b.After.Position), cmp.Compare(a.EntityID, b.EntityID))
	})
	return changes
}

// removed is 1 for an entity that is gone and 0 for any other.
func removed(c Change) int {
	if c.After.EntityID == "" {
		return 1
	}
	return 0
}
