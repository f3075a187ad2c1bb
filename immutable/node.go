package immutable

// entry is a key with its value and its whole hash. Entries never change, and
// versions share them.
//
// Nodes hold pointers to entries, not the entries themselves. An entry of a
// string and a value of 112 bytes is 136 bytes long, and a node has up to 64:
// with entries inline, one Set in a map of 100,000 would copy some 24 of them,
// 3 KiB, where it now copies 24 words. Reading pays one more load for it.
//
// The hash is kept because splitting and merging need it, because it spares
// most comparisons of keys that differ, and because a NaN has another one
// each time.
type entry[K comparable, V any] struct {
	hash  uint64
	key   K
	value V
}

// is says whether e is the entry of key, whose hash is hash.
func (e *entry[K, V]) is(hash uint64, key K) bool {
	return e.hash == hash && e.key == key
}

// node is one branch of the trie: 64 slots, each of which is empty, or an
// entry, or a sub-node. entries and children hold the used ones, in the order
// of their bits.
//
// A node is in canonical form:
//
//  1. entryMap and nodeMap are disjoint, and have as many bits as there are
//     entries and children.
//  2. Every entry in slot s of level l has s in the bits of its hash that l stands for.
//  3. But for the root, there are at least two entries in a node and below
//     it; a lone entry lives in its parent.
//  4. Below the last level there are only collision nodes: no bitmaps, no
//     children, and two or more entries with one and the same hash.
type node[K comparable, V any] struct {
	entryMap uint64
	nodeMap  uint64
	entries  []*entry[K, V]
	children []*node[K, V]
	// owner may change this node in place. Its ancestors, in the tree
	// that owner works on, are then owned too.
	owner owner
}

// isCollision says whether n is a list of entries with one hash.
func (n *node[K, V]) isCollision() bool {
	return n.entryMap|n.nodeMap == 0
}

// isLone says whether n holds one entry and nothing else: it then belongs into
// its parent, unless it is the root.
func (n *node[K, V]) isLone() bool {
	return len(n.entries) == 1 && len(n.children) == 0
}

// at answers what is in the slot of bit: an entry, a child, or neither.
func (n *node[K, V]) at(bit uint64) (*entry[K, V], *node[K, V]) {
	switch {
	case n.entryMap&bit != 0:
		return n.entries[rank(n.entryMap, bit)], nil
	case n.nodeMap&bit != 0:
		return nil, n.children[rank(n.nodeMap, bit)]
	default:
		return nil, nil
	}
}

// each calls yield for the entries of n and below it, until it answers false;
// then it answers false too.
func (n *node[K, V]) each(yield func(*entry[K, V]) bool) bool {
	for i, e := range n.entries {
		n.touchEntries(i)
		if !yield(e) {
			return false
		}
	}
	for i, c := range n.children {
		n.touchChildren(i)
		if !c.each(yield) {
			return false
		}
	}
	return true
}

// stride is how many entries or children a walk touches before it reads them.
//
// Each lies somewhere else in memory. Read one by one, with the caller's work in between, each
// is a cache miss to wait for; loaded in a row they are on their way at once, which made a
// walk over 100,000 wide entries twice as fast (BenchmarkIterate, 150 to 78 ns an entry).
const stride = 8

// touchEntries loads entry i and the next ones, if a stride begins at i.
func (n *node[K, V]) touchEntries(i int) {
	if i%stride == 0 {
		load(n.entries[i:min(i+stride, len(n.entries))])
	}
}

// touchChildren loads child i and the next ones, if a stride begins at i.
func (n *node[K, V]) touchChildren(i int) {
	if i%stride == 0 {
		load(n.children[i:min(i+stride, len(n.children))])
	}
}

// load reads the first byte of each of some things, none of which is nil.
func load[T any](pointers []*T) {
	for _, p := range pointers {
		_ = *p // read for the nil check, whatever becomes of the value
	}
}

// set answers n with e in it, and whether e's key is new. shift is the number
// of hash bits that the levels above have used.
func (n *node[K, V]) set(o owner, shift uint, e *entry[K, V]) (_ *node[K, V], added bool) {
	if n.isCollision() {
		return n.setCollision(o, e)
	}
	bit := slotBit(e.hash >> shift)
	switch {
	case n.nodeMap&bit != 0:
		i := rank(n.nodeMap, bit)
		child, added := n.children[i].set(o, shift+bitsPerLevel, e)
		return n.withChild(o, i, child), added
	case n.entryMap&bit == 0:
		return n.insertEntry(o, bit, rank(n.entryMap, bit), e), true
	}
	i := rank(n.entryMap, bit)
	old := n.entries[i]
	if old.is(e.hash, e.key) {
		return n.withEntry(o, i, e), false
	}
	return n.pushDown(o, bit, newPair(o, shift+bitsPerLevel, old, e)), true
}

// setCollision is set for a collision node.
func (n *node[K, V]) setCollision(o owner, e *entry[K, V]) (_ *node[K, V], added bool) {
	for i, old := range n.entries {
		if old.key == e.key {
			return n.withEntry(o, i, e), false
		}
	}
	return n.insertEntry(o, 0, len(n.entries), e), true
}

// delete answers n without key, and whether it was there. If it was, the answer
// may be a lone entry, or empty: the caller restores the canonical form.
func (n *node[K, V]) delete(o owner, shift uint, hash uint64, key K) (_ *node[K, V], found bool) {
	if n.isCollision() {
		for i, e := range n.entries {
			if e.key == key {
				return n.removeEntry(o, 0, i), true
			}
		}
		return n, false
	}
	bit := slotBit(hash >> shift)
	if n.nodeMap&bit != 0 {
		i := rank(n.nodeMap, bit)
		child, found := n.children[i].delete(o, shift+bitsPerLevel, hash, key)
		switch {
		case !found:
			return n, false
		case child.isLone():
			return n.pullUp(o, bit, child.entries[0]), true
		default:
			return n.withChild(o, i, child), true
		}
	}
	if n.entryMap&bit == 0 {
		return n, false
	}
	i := rank(n.entryMap, bit)
	if !n.entries[i].is(hash, key) {
		return n, false
	}
	return n.removeEntry(o, bit, i), true
}

// newLeaf answers a node with e alone: the root of a map of one.
func newLeaf[K comparable, V any](o owner, e *entry[K, V]) *node[K, V] {
	n := newNode[K, V](o, 1, 0)
	n.entryMap = slotBit(e.hash)
	n.entries[0] = e
	return n
}

// newPair answers the node at shift that holds a and b, whose hashes agree in
// the shift lowest bits, with as many nodes between as they go on agreeing.
func newPair[K comparable, V any](o owner, shift uint, a, b *entry[K, V]) *node[K, V] {
	if shift >= hashBits {
		n := newNode[K, V](o, 2, 0)
		n.entries[0], n.entries[1] = a, b
		return n
	}
	bitA, bitB := slotBit(a.hash>>shift), slotBit(b.hash>>shift)
	if bitA == bitB {
		n := newNode[K, V](o, 0, 1)
		n.nodeMap = bitA
		n.children[0] = newPair(o, shift+bitsPerLevel, a, b)
		return n
	}
	if bitA > bitB {
		a, b = b, a
	}
	n := newNode[K, V](o, 2, 0)
	n.entryMap = bitA | bitB
	n.entries[0], n.entries[1] = a, b
	return n
}
