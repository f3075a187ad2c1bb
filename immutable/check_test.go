package immutable

import (
	"errors"
	"fmt"
	"math/bits"
	"slices"
	"unsafe"
)

// newDropping answers an empty map whose hashes lack the bits in dropped.
func newDropping[K comparable, V any](dropped uint64) *Map[K, V] {
	return &Map[K, V]{hasher: hasher{dropped: dropped}}
}

// check says what is wrong with the structure of m: every rule that branch and bucket state, and the length.
func (m *Map[K, V]) check() error {
	if m == nil || m.root == nil {
		if m.Len() != 0 {
			return fmt.Errorf("no root, but length %d", m.length)
		}
		return nil
	}
	count, err := m.checkBranch(m.root, 0, 0)
	switch {
	case err != nil:
		return err
	case count != m.length:
		return fmt.Errorf("length is %d, but there are %d entries", m.length, count)
	case count == 0:
		return errors.New("an empty map has a root")
	default:
		return nil
	}
}

// checkBranch checks n, which stands for hashes whose shift upper bits are those of prefix, and all below, and counts the entries.
func (m *Map[K, V]) checkBranch(n *branch, shift uint, prefix uint64) (int, error) {
	where := func(format string, args ...any) error {
		return fmt.Errorf("branch at shift %d, prefix %#x: %s", shift, prefix, fmt.Sprintf(format, args...))
	}
	if n.starts&1 == 0 || n.subs&^n.starts != 0 {
		return 0, where("starts %#x, subs %#x", n.starts, n.subs)
	}
	elements := n.elements()
	for i := len(elements); i < branchCap(len(elements)); i++ {
		if *n.element(i) != nil {
			return 0, where("unused element %d keeps something alive", i)
		}
	}
	counts := map[region]int{} // of the entries in each region that an element fills, and in those that contain it
	total := 0
	for at := uint64(0); at < places; {
		r := n.region(at)
		if r.first != int(at) || r.size&(r.size-1) != 0 || r.first%r.size != 0 {
			return 0, where("an element fills %+v", r)
		}
		element := *n.element(n.index(at))
		count := 0
		var err error
		switch {
		case !n.isBranch(at):
			count, err = m.checkBucket((*bucket[K, V])(element), shift, prefix, r)
		case r.size != 1:
			err = where("a branch fills %+v", r)
		default:
			count, err = m.checkBranch((*branch)(element), shift+bitsPerLevel, prefix|at<<(hashBits-bitsPerLevel)>>shift)
			if err == nil && count <= limit[K, V]() {
				err = where("the branch in place %d has only %d entries", at, count)
			}
		}
		if err != nil {
			return 0, err
		}
		for outer := r; ; outer = outer.parent() {
			counts[outer] += count
			if outer.size == places {
				break
			}
		}
		total += count
		at += uint64(r.size)
	}
	for at := uint64(0); at < places; {
		r := n.region(at)
		if r.size < places && counts[r.parent()] <= limit[K, V]() {
			return 0, where("the %d entries in %+v would fit into one bucket", counts[r.parent()], r.parent())
		}
		at += uint64(r.size)
	}
	return total, nil
}

// checkBucket checks a bucket that fills r of a branch, and counts the entries.
func (m *Map[K, V]) checkBucket(b *bucket[K, V], shift uint, prefix uint64, r region) (int, error) {
	if b == nil {
		return 0, nil
	}
	where := func(format string, args ...any) error {
		return fmt.Errorf("bucket in %+v of branch at shift %d, prefix %#x: %s", r, shift, prefix, fmt.Sprintf(format, args...))
	}
	slots := b.slots()
	isList := b.tags == 0
	if len(slots) == 0 || (len(slots) > limit[K, V]()) != isList || isList && shift+bitsPerLevel < hashBits {
		return 0, where("%d slots, list: %t", len(slots), isList)
	}
	for i := range bucketCap(len(slots)) {
		if !isList && i >= len(slots) {
			if unused := b.slot(i); unused.value != nil || unused.key != *new(K) {
				return 0, where("unused slot %d keeps key %v alive", i, unused.key)
			}
		}
	}
	for i, s := range slots {
		h := hash(m.hasher, s.key)
		if s.value == nil {
			return 0, where("key %v has no value", s.key)
		}
		if isNaN(s.key) { // it has another hash each time
			continue
		}
		if at := int(place(h, shift)); at < r.first || at >= r.first+r.size || h>>1>>(hashBits-1-shift) != prefix>>1>>(hashBits-1-shift) {
			return 0, where("key %v with hash %#x does not belong here", s.key, h)
		}
		if !isList && b.tags>>(8*i)&0xff != tag(h) {
			return 0, where("tags %#x, hash %d is %#x", b.tags, i, h)
		}
		for _, other := range slots[:i] {
			if other.key == s.key {
				return 0, where("key %v twice", s.key)
			}
		}
	}
	return len(slots), nil
}

// check checks the builder's map and rule "what is above what it owns is owned".
func (b *Builder[K, V]) check() error {
	if err := b.current.check(); err != nil {
		return err
	}
	if b.current.root == nil || b.owner == nobody {
		return nil
	}
	return b.checkOwned(b.current.root, true)
}

func (b *Builder[K, V]) checkOwned(n *branch, aboveOwned bool) error {
	owned := n.owner == b.owner
	if owned && !aboveOwned {
		return errors.New("an owned branch below one that is not")
	}
	return eachElement(n, func(_ region, isBranch bool, p unsafe.Pointer) error {
		switch {
		case isBranch:
			return b.checkOwned((*branch)(p), owned)
		case p != nil && (*bucket[K, V])(p).owner == b.owner && !owned:
			return errors.New("an owned bucket below a branch that is not")
		default:
			return nil
		}
	})
}

// eachElement calls f for the elements of n until it fails.
func eachElement(n *branch, f func(r region, isBranch bool, p unsafe.Pointer) error) error {
	for at := uint64(0); at < places; {
		r := n.region(at)
		if err := f(r, n.isBranch(at), *n.element(n.index(at))); err != nil {
			return err
		}
		at += uint64(r.size)
	}
	return nil
}

// sameShape says whether two maps consist of equal branches with equal keys in equal buckets.
func sameShape[K comparable, V any](a, b *Map[K, V]) bool {
	if a.Len() == 0 || b.Len() == 0 {
		return a.Len() == b.Len()
	}
	return sameBranch[K, V](a.root, b.root)
}

func sameBranch[K comparable, V any](a, b *branch) bool {
	if a.starts != b.starts || a.subs != b.subs {
		return false
	}
	for i := range bits.OnesCount32(a.starts) {
		x, y := *a.element(i), *b.element(i)
		if isBranchElement(a, i) {
			if !sameBranch[K, V]((*branch)(x), (*branch)(y)) {
				return false
			}
			continue
		}
		inX, inY := (*bucket[K, V])(x).slots(), (*bucket[K, V])(y).slots()
		if len(inX) != len(inY) {
			return false
		}
		for _, s := range inX { // the order is historical
			if !slices.ContainsFunc(inY, func(t slot[K, V]) bool { return t.key == s.key || t.isOne(&s) }) {
				return false
			}
		}
	}
	return true
}

// isBranchElement says whether element i of n is a branch.
func isBranchElement(n *branch, i int) bool {
	starts := n.starts
	for range i {
		starts &= starts - 1
	}
	return n.isBranch(uint64(bits.TrailingZeros32(starts)))
}
