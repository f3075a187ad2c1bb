package immutable

// Iterator walks over the entries of one map, one Next at a time, for callers
// that cannot range over [Map.All]. It holds on to the version it was made from,
// whatever is made of that since. It needs no closing, and belongs to one goroutine
// at a time. The zero Iterator has no entries.
type Iterator[K comparable, V any] struct {
	// path is the way from the root to the node being read, which is
	// path[depth-1]; depth is 0 at the end.
	path  [maxLevels]cursor[K, V]
	depth int
}

// cursor says how much of a node was read: all entries come before all children.
type cursor[K comparable, V any] struct {
	node     *node[K, V]
	entries  int
	children int
}

// Iterator answers an iterator that stands before the first entry of m, in O(1).
func (m *Map[K, V]) Iterator() *Iterator[K, V] {
	it := &Iterator[K, V]{}
	if m != nil && m.root != nil {
		it.path[0].node = m.root
		it.depth = 1
	}
	return it
}

// Next answers the next entry and true, in no particular order, or zero values
// and false once all were answered. Each entry is answered once.
func (it *Iterator[K, V]) Next() (K, V, bool) {
	for it.depth > 0 {
		c := &it.path[it.depth-1]
		switch {
		case c.entries < len(c.node.entries):
			c.node.touchEntries(c.entries)
			e := c.node.entries[c.entries]
			c.entries++
			return e.key, e.value, true
		case c.children < len(c.node.children):
			c.node.touchChildren(c.children)
			it.path[it.depth] = cursor[K, V]{node: c.node.children[c.children]}
			c.children++
			it.depth++
		default:
			c.node = nil
			it.depth--
		}
	}
	var key K
	var value V
	return key, value, false
}
