package immutable

import (
	"slices"
	"unsafe"
)

// set answers n with s in it, and whether s's key is new. shift is the number of hash bits that
// the branches above have used.
func set[K comparable, V any](n *branch, o owner, shift uint, s slot[K, V]) (_ *branch, added bool) {
	at := place(s.leaf.hash, shift)
	i := n.index(at)
	element := *n.element(i)
	if n.isBranch(at) {
		child, added := set((*branch)(element), o, shift+bitsPerLevel, s)
		return n.withElement(o, i, unsafe.Pointer(child)), added
	}
	b := (*bucket[K, V])(element)
	if j := b.find(s.leaf.hash, s.key); j >= 0 {
		return n.withElement(o, i, unsafe.Pointer(b.withSlot(o, j, s))), false
	}
	old := b.slots()
	if len(old) < limit[K, V]() {
		return n.withElement(o, i, unsafe.Pointer(b.withMore(o, s))), true
	}
	// Sorted by hash, the slots for any region are a run.
	all := append(append(make([]slot[K, V], 0, len(old)+1), old...), s)
	slices.SortFunc(all, func(a, b slot[K, V]) int {
		switch {
		case a.leaf.hash < b.leaf.hash:
			return -1
		case a.leaf.hash > b.leaf.hash:
			return +1
		default:
			return 0
		}
	})
	r := n.region(at)
	var p pieces
	spread(&p, o, shift, r, all)
	return n.withPieces(o, r, &p), true
}

// spread adds to p the elements that hold the sorted slots, all of which belong in r of a branch at shift: one bucket if they
// fit in, else a half of r each, else a branch.
func spread[K comparable, V any](p *pieces, o owner, shift uint, r region, sorted []slot[K, V]) {
	below := shift + bitsPerLevel
	switch {
	case len(sorted) <= limit[K, V]():
		p.add(r.first, unsafe.Pointer(newBucketOf(o, sorted)))
	case r.size > 1:
		middle := r.first + r.size/2
		lower := 0
		for lower < len(sorted) && place(sorted[lower].leaf.hash, shift) < uint64(middle) {
			lower++
		}
		spread(p, o, shift, region{r.first, r.size / 2}, sorted[:lower])
		spread(p, o, shift, region{middle, r.size / 2}, sorted[lower:])
	case below < hashBits:
		var q pieces
		spread(&q, o, below, region{0, places}, sorted)
		p.addBranch(r.first, q.branch(o))
	default: // all hashes are one
		p.add(r.first, unsafe.Pointer(newList(o, sorted)))
	}
}

// remove answers n without key, and whether it was there. If it was, what n has left may fit in one
// bucket: then it is n's only element, for the caller to take its place.
func remove[K comparable, V any](n *branch, o owner, shift uint, hash uint64, key K) (_ *branch, found bool) {
	at := place(hash, shift)
	i := n.index(at)
	element := *n.element(i)
	if !n.isBranch(at) {
		b := (*bucket[K, V])(element)
		j := b.find(hash, key)
		if j < 0 {
			return n, false
		}
		return merge(n, o, n.region(at), b.without(o, j)), true
	}
	child, found := remove[K, V]((*branch)(element), o, shift+bitsPerLevel, hash, key)
	switch {
	case !found:
		return n, false
	case child.starts == 1 && child.subs == 0:
		return merge(n, o, region{int(at), 1}, (*bucket[K, V])(*child.element(0))), true
	default:
		return n.withElement(o, i, unsafe.Pointer(child)), true
	}
}

// merge answers n with b in r, or in a larger region: one of twice the size for as long as the entries in that
// fit into one bucket.
func merge[K comparable, V any](n *branch, o owner, r region, b *bucket[K, V]) *branch {
	for r.size < places {
		other := r.sibling()
		if n.starts&other.bits() != 1<<other.first || n.isBranch(uint64(other.first)) {
			break // more than one element, or a branch, which are more than one bucket of entries
		}
		beside := (*bucket[K, V])(*n.element(n.index(uint64(other.first))))
		if len(b.slots())+len(beside.slots()) > limit[K, V]() {
			break
		}
		b = union(o, b, beside)
		r = r.parent()
	}
	var p pieces
	p.add(r.first, unsafe.Pointer(b))
	return n.withPieces(o, r, &p)
}

// union answers a bucket of o with the slots of two, which may be nil, and together fit into one.
func union[K comparable, V any](o owner, a, b *bucket[K, V]) *bucket[K, V] {
	switch {
	case a == nil:
		return b
	case b == nil:
		return a
	default:
		return newBucketOf(o, append(append(make([]slot[K, V], 0, maxSlots), a.slots()...), b.slots()...))
	}
}
