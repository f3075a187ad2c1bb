package immutable

import (
	"fmt"
	"iter"
	"math/bits"
	"unsafe"
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
			d.all(Added, b.root)
		case b.Len() == 0:
			d.all(Removed, a.root)
		default:
			d.branches(a.root, b.root)
		}
	}
}

// differ is one walk of Diff. Its methods answer false when yield has.
type differ[K comparable, V any] struct {
	equal func(V, V) bool
	yield func(Change[K, V]) bool
}

// branches compares two branches that stand for the same prefix.
func (d *differ[K, V]) branches(a, b *branch) bool {
	if a.starts == b.starts && a.subs == b.subs {
		return d.congruent(a, b)
	}
	for at := uint64(0); at < places; {
		// Of two regions one is within the other, or they are the same; and both of these begin at the same place.
		inA, inB := a.region(at), b.region(at)
		x, y := *a.element(a.index(at)), *b.element(b.index(at))
		var whole bool
		switch {
		case inA.size == inB.size:
			whole = d.elements(x, y, a.isBranch(at), b.isBranch(at))
		case inA.size > inB.size:
			whole = d.lone(Removed, (*bucket[K, V])(x), b, inA)
		default:
			whole = d.lone(Added, (*bucket[K, V])(y), a, inB)
		}
		if !whole {
			return false
		}
		at += uint64(max(inA.size, inB.size))
	}
	return true
}

// congruent compares two branches whose elements fill the same places, as most changes leave them:
// a comparison of pointers per element, and nothing else for those that are shared.
func (d *differ[K, V]) congruent(a, b *branch) bool {
	inB := b.elements()
	starts := a.starts
	for i, x := range a.elements() {
		if y := inB[i]; x != y {
			at := uint64(bits.TrailingZeros32(starts))
			if !d.elements(x, y, a.isBranch(at), b.isBranch(at)) {
				return false
			}
		}
		starts &= starts - 1
	}
	return true
}

// elements compares two elements that fill the same places.
func (d *differ[K, V]) elements(x, y unsafe.Pointer, xIsBranch, yIsBranch bool) bool {
	all := region{0, places}
	switch {
	case x == y:
		return true
	case xIsBranch && yIsBranch:
		return d.branches((*branch)(x), (*branch)(y))
	case xIsBranch:
		return d.lone(Added, (*bucket[K, V])(y), (*branch)(x), all)
	case yIsBranch:
		return d.lone(Removed, (*bucket[K, V])(x), (*branch)(y), all)
	default:
		return d.buckets((*bucket[K, V])(x), (*bucket[K, V])(y))
	}
}

// buckets compares two buckets, or lists, for the same hashes; either may be nil.
func (d *differ[K, V]) buckets(a, b *bucket[K, V]) bool {
	inA, inB := a.slots(), b.slots()
	// Most keys that both have are at one index, and other keys' bytes need not be fetched for comparing.
	aligned := func(i int) bool {
		return i < min(len(inA), len(inB)) && (inA[i].key == inB[i].key || inA[i].isOne(&inB[i]))
	}
	for i := range inA {
		j := i
		if !aligned(i) {
			j = b.counterpart(&inA[i])
		}
		if j < 0 && !d.one(Removed, &inA[i]) || j >= 0 && !d.both(&inA[i], &inB[j]) {
			return false
		}
	}
	for j := range inB {
		if !aligned(j) && a.counterpart(&inB[j]) < 0 && !d.one(Added, &inB[j]) {
			return false
		}
	}
	return true
}

// lone compares a bucket of one map, which is nil or not a list, with what the other map has in its
// place: all that is in r of a branch. kind says what an entry of the bucket is that has no counterpart: Removed if
// the bucket is of the first map, Added if of the second.
func (d *differ[K, V]) lone(kind ChangeKind, b *bucket[K, V], n *branch, r region) bool {
	own := b.slots()
	met := uint8(0) // has the bit of each slot that has a counterpart
	var w walker[K, V]
	w.startWithin(n, r)
	whole := w.each(true, func(s *slot[K, V]) bool {
		i := b.counterpart(s)
		switch {
		case i < 0 && kind == Removed:
			return d.one(Added, s)
		case i < 0:
			return d.one(Removed, s)
		case kind == Removed:
			met |= 1 << i
			return d.both(&own[i], s)
		default:
			met |= 1 << i
			return d.both(s, &own[i])
		}
	})
	for i := range own {
		if whole && met>>i&1 == 0 {
			whole = d.one(kind, &own[i])
		}
	}
	return whole
}

// all yields all entries below a branch of a map whose counterpart is empty.
func (d *differ[K, V]) all(kind ChangeKind, n *branch) bool {
	var w walker[K, V]
	w.start(n)
	return w.each(true, func(s *slot[K, V]) bool { return d.one(kind, s) })
}

// counterpart answers the index of the entry of b that is the one in s or has its key, or -1; b may be
// nil or a list. Both are asked because a NaN is not equal to itself.
func (b *bucket[K, V]) counterpart(s *slot[K, V]) int {
	slots := b.slots()
	for i := range slots {
		if own := &slots[i]; own.key == s.key || own.isOne(s) {
			return i
		}
	}
	return -1
}

// one yields an entry that only one map has.
func (d *differ[K, V]) one(kind ChangeKind, s *slot[K, V]) bool {
	c := Change[K, V]{Kind: kind, Key: s.key}
	if kind == Added {
		c.New = *s.value
	} else {
		c.Old = *s.value
	}
	return d.yield(c)
}

// both yields a key that both maps have, if its values differ.
func (d *differ[K, V]) both(a, b *slot[K, V]) bool {
	if a.value == b.value || d.equal(*a.value, *b.value) {
		return true
	}
	return d.yield(Change[K, V]{Kind: Changed, Key: b.key, Old: *a.value, New: *b.value})
}
