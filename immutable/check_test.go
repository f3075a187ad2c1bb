package immutable

import (
	"errors"
	"fmt"
	"math/bits"
)

// newDropping answers an empty map whose hashes lack the bits in dropped.
func newDropping[K comparable, V any](dropped uint64) *Map[K, V] {
	return &Map[K, V]{dropped: dropped}
}

// check says what is wrong with the structure of m: every rule that node states, and the length.
func (m *Map[K, V]) check() error {
	if m == nil || m.root == nil {
		if m.Len() != 0 {
			return fmt.Errorf("no root, but length %d", m.length)
		}
		return nil
	}
	count, err := m.root.check(0, 0, m.dropped)
	if err != nil {
		return err
	}
	if count != m.length {
		return fmt.Errorf("length is %d, but there are %d entries", m.length, count)
	}
	if count == 0 {
		return errors.New("an empty map has a root")
	}
	return nil
}

// check checks n, which the low shift bits of prefix lead to, and all below, and counts the entries.
func (n *node[K, V]) check(shift uint, prefix, dropped uint64) (int, error) {
	where := func(format string, args ...any) error {
		return fmt.Errorf("node at shift %d, prefix %#x: %s", shift, prefix, fmt.Sprintf(format, args...))
	}
	for _, e := range n.entries[len(n.entries):cap(n.entries)] {
		if e != nil {
			return 0, where("an unused place keeps key %v alive", e.key)
		}
	}
	for _, c := range n.children[len(n.children):cap(n.children)] {
		if c != nil {
			return 0, where("an unused place keeps a child alive")
		}
	}
	for _, e := range n.entries {
		if e == nil {
			return 0, where("an entry is nil")
		}
		if h := hash(e.key, dropped); h != e.hash && isEqual(e.key, e.key) { // a NaN is not, nor has it one hash
			return 0, where("key %v has hash %#x, its entry says %#x", e.key, h, e.hash)
		}
	}
	if shift >= hashBits {
		return n.checkCollision(prefix, where)
	}
	if n.entryMap&n.nodeMap != 0 {
		return 0, where("the bitmaps overlap in %#x", n.entryMap&n.nodeMap)
	}
	if bits.OnesCount64(n.entryMap) != len(n.entries) || bits.OnesCount64(n.nodeMap) != len(n.children) {
		return 0, where("bitmaps %#x, %#x for %d entries and %d children", n.entryMap, n.nodeMap, len(n.entries), len(n.children))
	}
	count := len(n.entries)
	for slot := range uint64(64) {
		path := prefix | slot<<shift
		e, c := n.at(1 << slot)
		if e != nil && e.hash&lowBits(shift+bitsPerLevel) != path {
			return 0, where("hash %#x in slot %d", e.hash, slot)
		}
		if c != nil {
			if c.isLone() {
				return 0, where("the child in slot %d is a lone entry", slot)
			}
			below, err := c.check(shift+bitsPerLevel, path, dropped)
			if err != nil {
				return 0, err
			}
			count += below
		}
	}
	if count == 0 || shift > 0 && count < 2 {
		return 0, where("only %d entries", count)
	}
	return count, nil
}

func isEqual[K comparable](a, b K) bool { return a == b }

func (n *node[K, V]) checkCollision(prefix uint64, where func(string, ...any) error) (int, error) {
	if n.entryMap != 0 || n.nodeMap != 0 || len(n.children) != 0 {
		return 0, where("a collision node with bitmaps or children")
	}
	if len(n.entries) < 2 {
		return 0, where("a collision node of %d", len(n.entries))
	}
	for i, e := range n.entries {
		if e.hash != prefix {
			return 0, where("hash %#x", e.hash)
		}
		for _, other := range n.entries[:i] {
			if other.key == e.key {
				return 0, where("key %v twice", e.key)
			}
		}
	}
	return len(n.entries), nil
}

// lowBits answers a mask of the n lowest bits.
func lowBits(n uint) uint64 {
	return 1<<n - 1 // 64 and more shift the 1 out, which leaves all bits
}

// check checks the builder's map and rule "the ancestors of what it owns are owned".
func (b *Builder[K, V]) check() error {
	if err := b.current.check(); err != nil {
		return err
	}
	if b.current.root == nil || b.owner == nobody {
		return nil
	}
	return b.current.root.checkOwned(b.owner, true)
}

func (n *node[K, V]) checkOwned(o owner, parentOwned bool) error {
	owned := n.owner == o
	if owned && !parentOwned {
		return errors.New("an owned node below one that is not")
	}
	for _, c := range n.children {
		if err := c.checkOwned(o, owned); err != nil {
			return err
		}
	}
	return nil
}

// sameShape says whether two maps consist of equal nodes with equal keys in the same places.
func sameShape[K comparable, V any](a, b *Map[K, V]) bool {
	if a.Len() == 0 || b.Len() == 0 {
		return a.Len() == b.Len()
	}
	return a.root.sameShape(b.root)
}

func (n *node[K, V]) sameShape(o *node[K, V]) bool {
	if n.entryMap != o.entryMap || n.nodeMap != o.nodeMap || len(n.entries) != len(o.entries) || len(n.children) != len(o.children) {
		return false
	}
	if n.isCollision() { // the order is historical
		for _, e := range n.entries {
			if o.counterpart(e) == nil {
				return false
			}
		}
		return true
	}
	for i, e := range n.entries {
		if e.key != o.entries[i].key {
			return false
		}
	}
	for i, c := range n.children {
		if !c.sameShape(o.children[i]) {
			return false
		}
	}
	return true
}
