package immutable

import (
	"fmt"
	"iter"
	"math/bits"
)

// ChangeKind says what happened to a key between two maps. The zero ChangeKind
// stands for none of them.
type ChangeKind uint8

// The kinds of change.
const (
	// Added keys are in the second map only: Old is V's zero value.
	Added ChangeKind = iota + 1
	// Removed keys are in the first map only: New is V's zero value.
	Removed
	// Changed keys are in both, with values that are not equal.
	Changed
)

// String answers "added", "removed" or "changed".
func (k ChangeKind) String() string {
	switch k {
	case Added:
		return "added"
	case Removed:
		return "removed"
	case Changed:
		return "changed"
	default:
		return fmt.Sprintf("ChangeKind(%d)", uint8(k))
	}
}

// Change is one difference between two maps. Key is as the second map has it,
// or as the first has it if it was removed.
type Change[K comparable, V any] struct {
	Kind     ChangeKind
	Key      K
	Old, New V
}

// Diff answers an iterator over what makes b of a: one Change for each key
// that is in only one of them, or in both with values that equal tells apart. The
// order is unspecified. It may be ranged over any number of times.
//
// What both maps share is skipped, unseen by equal: between maps of one family
// (see the package comment) the cost is proportional to the changes between them,
// not to their sizes. Other maps are walked once, side by side, and equal is called
// for each key they have in common.
//
// equal must not be nil (Diff panics), must say true of a value and itself, and
// must not modify what it is given. Either map may be nil, which is empty.
func Diff[K comparable, V any](a, b *Map[K, V], equal func(V, V) bool) iter.Seq[Change[K, V]] {
	if equal == nil {
		panic("immutable: Diff needs a function that says when two values are equal")
	}
	return func(yield func(Change[K, V]) bool) {
		d := differ[K, V]{equal: equal, yield: yield}
		switch {
		case a.Len() == 0 && b.Len() == 0:
		case a.Len() == 0:
			d.subtree(nil, b.root, Added)
		case b.Len() == 0:
			d.subtree(nil, a.root, Removed)
		default:
			d.nodes(a.root, b.root)
		}
	}
}

// differ is one walk of Diff. Its methods answer false when yield has.
type differ[K comparable, V any] struct {
	equal func(V, V) bool
	yield func(Change[K, V]) bool
}

// nodes compares two nodes at the same place of their tries.
func (d *differ[K, V]) nodes(a, b *node[K, V]) bool {
	switch {
	case a == b:
		return true
	case a.isCollision():
		return d.collisions(a, b)
	case a.entryMap == b.entryMap && a.nodeMap == b.nodeMap:
		return d.congruent(a, b)
	}
	for rest := a.entryMap | a.nodeMap | b.entryMap | b.nodeMap; rest != 0; rest &= rest - 1 {
		bit := uint64(1) << bits.TrailingZeros64(rest)
		if !d.slots(a, b, bit) {
			return false
		}
	}
	return true
}

// congruent compares two nodes with the same bitmaps, which most changes leave as
// they are: a comparison of pointers per slot, and nothing else for those that
// are shared.
func (d *differ[K, V]) congruent(a, b *node[K, V]) bool {
	for i, e := range a.entries {
		if e != b.entries[i] && !d.entries(e, b.entries[i]) {
			return false
		}
	}
	for i, c := range a.children {
		if c != b.children[i] && !d.nodes(c, b.children[i]) {
			return false
		}
	}
	return true
}

// slots compares what two nodes have in the slot of bit.
func (d *differ[K, V]) slots(a, b *node[K, V], bit uint64) bool {
	entryA, childA := a.at(bit)
	entryB, childB := b.at(bit)
	switch {
	case childA != nil && childB != nil:
		return d.nodes(childA, childB)
	case childA != nil:
		return d.subtree(entryB, childA, Removed)
	case childB != nil:
		return d.subtree(entryA, childB, Added)
	default:
		return d.entries(entryA, entryB)
	}
}

// entries compares two entries in one slot; either may be nil.
func (d *differ[K, V]) entries(a, b *entry[K, V]) bool {
	switch {
	case a == b:
		return true
	case a == nil:
		return d.one(Added, b)
	case b == nil:
		return d.one(Removed, a)
	case a.is(b.hash, b.key):
		return d.both(a, b)
	default:
		return d.one(Removed, a) && d.one(Added, b)
	}
}

// subtree compares the entries of a node of one map with the one entry, or nil,
// that the other map has in its place. kind says what an entry of the node is that has
// no counterpart: Removed if the node is of the first map, Added if of the second.
func (d *differ[K, V]) subtree(lone *entry[K, V], n *node[K, V], kind ChangeKind) bool {
	met := lone == nil
	whole := n.each(func(e *entry[K, V]) bool {
		switch {
		case met || e != lone && !e.is(lone.hash, lone.key):
			return d.one(kind, e)
		case kind == Removed:
			met = true
			return d.both(e, lone)
		default:
			met = true
			return d.both(lone, e)
		}
	})
	switch {
	case !whole || met:
		return whole
	case kind == Removed:
		return d.one(Added, lone)
	default:
		return d.one(Removed, lone)
	}
}

// collisions compares two collision nodes. Order is historical there, so that each
// entry has to be looked up in the other list.
func (d *differ[K, V]) collisions(a, b *node[K, V]) bool {
	for _, e := range a.entries {
		other := b.counterpart(e)
		if other == nil && !d.one(Removed, e) || other != nil && !d.both(e, other) {
			return false
		}
	}
	for _, e := range b.entries {
		if a.counterpart(e) == nil && !d.one(Added, e) {
			return false
		}
	}
	return true
}

// counterpart answers the entry of a collision node that is e or has e's key, or nil.
// Both are asked because a NaN is not equal to itself.
func (n *node[K, V]) counterpart(e *entry[K, V]) *entry[K, V] {
	for _, other := range n.entries {
		if other == e || other.is(e.hash, e.key) {
			return other
		}
	}
	return nil
}

// one yields an entry that only one map has.
func (d *differ[K, V]) one(kind ChangeKind, e *entry[K, V]) bool {
	c := Change[K, V]{Kind: kind, Key: e.key}
	if kind == Added {
		c.New = e.value
	} else {
		c.Old = e.value
	}
	return d.yield(c)
}

// both yields a key that both maps have, if its values differ.
func (d *differ[K, V]) both(a, b *entry[K, V]) bool {
	if a == b || d.equal(a.value, b.value) {
		return true
	}
	return d.yield(Change[K, V]{Kind: Changed, Key: b.key, Old: a.value, New: b.value})
}
