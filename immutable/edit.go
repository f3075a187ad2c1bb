package immutable

import "sync/atomic"

// An owner is the right to change nodes in place. A builder draws one, marks
// with it each node it makes, and drops it when it gives a map out: from then on
// nobody has the right. A number and not a pointer: it keeps nothing alive,
// and the garbage collector need not look at it.
type owner uint64

// nobody owns the nodes made by Map.Set and Map.Delete.
const nobody owner = 0

var lastOwner atomic.Uint64

// newOwner answers an owner that no node has yet.
func newOwner() owner {
	return owner(lastOwner.Add(1))
}

// The edits below answer n changed: n itself if o owns it and it has the room,
// else a copy that o owns. They keep rule 1 of node; the rest is up to the caller.

// withEntry replaces entry i.
func (n *node[K, V]) withEntry(o owner, i int, e *entry[K, V]) *node[K, V] {
	dst := n.resized(o, 0, 0)
	if dst != n {
		copy(dst.entries, n.entries)
		copy(dst.children, n.children)
	}
	dst.entries[i] = e
	return dst
}

// withChild replaces child i. If it is the same already, nothing is copied: the
// child was changed in place, hence n is owned as well.
func (n *node[K, V]) withChild(o owner, i int, child *node[K, V]) *node[K, V] {
	if n.children[i] == child {
		return n
	}
	dst := n.resized(o, 0, 0)
	if dst != n {
		copy(dst.entries, n.entries)
		copy(dst.children, n.children)
	}
	dst.children[i] = child
	return dst
}

// insertEntry puts e before entry i, in the slot of bit; bit is 0 in a
// collision node.
func (n *node[K, V]) insertEntry(o owner, bit uint64, i int, e *entry[K, V]) *node[K, V] {
	entries, children := n.entries, n.children
	dst := n.resized(o, +1, 0)
	insert(dst.entries, entries, i, e)
	copy(dst.children, children)
	dst.entryMap = n.entryMap | bit
	return dst
}

// removeEntry takes out entry i, which is in the slot of bit; bit is 0 in a
// collision node.
func (n *node[K, V]) removeEntry(o owner, bit uint64, i int) *node[K, V] {
	entries, children := n.entries, n.children
	dst := n.resized(o, -1, 0)
	remove(dst.entries, entries, i, dst == n)
	copy(dst.children, children)
	dst.entryMap = n.entryMap &^ bit
	return dst
}

// pushDown puts child in the place of the entry in the slot of bit.
func (n *node[K, V]) pushDown(o owner, bit uint64, child *node[K, V]) *node[K, V] {
	entries, children := n.entries, n.children
	dst := n.resized(o, -1, +1)
	remove(dst.entries, entries, rank(n.entryMap, bit), dst == n)
	insert(dst.children, children, rank(n.nodeMap, bit), child)
	dst.entryMap, dst.nodeMap = n.entryMap&^bit, n.nodeMap|bit
	return dst
}

// pullUp puts e in the place of the child in the slot of bit.
func (n *node[K, V]) pullUp(o owner, bit uint64, e *entry[K, V]) *node[K, V] {
	entries, children := n.entries, n.children
	dst := n.resized(o, +1, -1)
	insert(dst.entries, entries, rank(n.entryMap, bit), e)
	remove(dst.children, children, rank(n.nodeMap, bit), dst == n)
	dst.entryMap, dst.nodeMap = n.entryMap|bit, n.nodeMap&^bit
	return dst
}

// resized answers a node for the contents of n with so many more entries and
// children: n itself with its slices resliced, if o owns it and they fit, else
// a new one with n's bitmaps and nil in every slot.
func (n *node[K, V]) resized(o owner, moreEntries, moreChildren int) *node[K, V] {
	entries, children := len(n.entries)+moreEntries, len(n.children)+moreChildren
	if n.owner == o && o != nobody && fits(cap(n.entries), entries) && fits(cap(n.children), children) {
		n.entries, n.children = n.entries[:entries], n.children[:children]
		return n
	}
	dst := newNode[K, V](o, entries, children)
	dst.entryMap, dst.nodeMap = n.entryMap, n.nodeMap
	return dst
}

// fits says whether size slots are at home in an array of capacity: neither too
// many for it nor so few that a builder which deletes would leave husks behind.
func fits(capacity, size int) bool {
	return size <= capacity && capacity <= 4*size+8
}

// insert makes dst what src is with x before index i. dst and src may be the same array.
func insert[T any](dst, src []T, i int, x T) {
	copy(dst[i+1:], src[i:])
	copy(dst[:i], src[:i])
	dst[i] = x
}

// remove makes dst what src is without index i. If they are the same array, the
// place left over at the end is zeroed, so that it keeps nothing alive.
func remove[T any](dst, src []T, i int, same bool) {
	copy(dst[:i], src[:i])
	copy(dst[i:], src[i+1:])
	if same {
		clear(src[len(dst):])
	}
}
