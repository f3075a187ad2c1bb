package immutable

import "unsafe"

// set answers n with s in it, whose hash is given, and whether s's key is new. shift is the number of hash bits that
// the branches above have used.
func set[K comparable, V any](n *branch, o owner, h hasher, shift uint, hash uint64, s slot[K, V]) (_ *branch, added bool) {
	at := place(hash, shift)
	i := n.index(at)
	element := *n.element(i)
	if n.isBranch(at) {
		child, added := set((*branch)(element), o, h, shift+bitsPerLevel, hash, s)
		return n.withElement(o, i, unsafe.Pointer(child)), added
	}
	b := (*bucket[K, V])(element)
	if j := b.find(hash, s.key); j >= 0 {
		return n.withElement(o, i, unsafe.Pointer(b.withSlot(o, j, s))), false
	}
	if old := b.slots(); len(old) >= limit[K, V]() {
		return split(n, o, h, shift, n.region(at), old, hashed[K, V]{hash, s}), true
	}
	return n.withElement(o, i, unsafe.Pointer(b.withMore(o, hash, s))), true
}

// hashed is a slot with its hash.
type hashed[K comparable, V any] struct {
	hash uint64
	slot slot[K, V]
}

// split answers n with one slot more than fit into the bucket that fills r.
func split[K comparable, V any](n *branch, o owner, h hasher, shift uint, r region, old []slot[K, V], more hashed[K, V]) *branch {
	all := make([]hashed[K, V], 0, maxSlots+1)
	for i := range old {
		all = append(all, hashed[K, V]{hash(h, old[i].key), old[i]})
	}
	var p pieces
	spread(&p, o, shift, r, append(all, more))
	return n.withPieces(o, r, &p)
}

// spread adds to p the elements that hold the slots, all of which belong in r of a branch at shift: one bucket if they
// fit in, else a half of r each, else a branch. It reorders the slots.
func spread[K comparable, V any](p *pieces, o owner, shift uint, r region, all []hashed[K, V]) {
	below := shift + bitsPerLevel
	switch {
	case len(all) == 0:
		p.add(r.first, nil)
	case len(all) <= limit[K, V]():
		b := newBucket[K, V](o, len(all))
		for i := range all {
			b.push(i, tag(all[i].hash), all[i].slot)
		}
		p.add(r.first, unsafe.Pointer(b))
		p.twice = p.twice || p.wary && hasTwice(all)
	case r.size > 1:
		half := r.size / 2
		lower := 0
		for i := range all {
			if place(all[i].hash, shift)&uint64(half) == 0 {
				all[i], all[lower] = all[lower], all[i]
				lower++
			}
		}
		spread(p, o, shift, region{r.first, half}, all[:lower])
		spread(p, o, shift, region{r.first + half, half}, all[lower:])
	case below < hashBits:
		q := pieces{wary: p.wary}
		spread(&q, o, below, region{0, places}, all)
		p.addBranch(r.first, q.branch(o))
		p.twice = p.twice || q.twice
	default: // all hashes are one
		slots := make([]slot[K, V], len(all))
		for i := range all {
			slots[i] = all[i].slot
		}
		p.add(r.first, unsafe.Pointer(newList(o, slots)))
		p.twice = p.twice || p.wary && hasTwice(all)
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
		return merge(n, o, n.region(at), b.without(o, hash, j)), true
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
