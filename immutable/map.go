package immutable

import "iter"

// Map is a persistent hash map from K to V. It never changes: Set and Delete
// answer a new Map and leave the receiver as it was.
//
// A nil *Map and the zero Map are the empty map; every method works on them.
// All methods may be called by any number of goroutines at once. See the package
// comment for complexity, keys and order.
type Map[K comparable, V any] struct {
	// root is nil in an empty map, and only there.
	root   *node[K, V]
	length int
	// dropped is zero but in tests; see hash.
	dropped uint64
}

// New answers an empty map.
func New[K comparable, V any]() *Map[K, V] {
	return &Map[K, V]{}
}

// Collect answers a map of the pairs in seq. Of pairs with one key the last
// one stays. It uses a [Builder], so it costs O(1) per pair.
func Collect[K comparable, V any](seq iter.Seq2[K, V]) *Map[K, V] {
	var b Builder[K, V]
	for k, v := range seq {
		b.Set(k, v)
	}
	return b.Map()
}

// Get answers the value at key and whether there is one; without one, V's zero
// value. It allocates nothing.
//
// The loop is flat, and the value is copied straight out of the entry: a V of
// more than four words leaves the registers, and every frame that hands it
// on copies it again.
func (m *Map[K, V]) Get(key K) (V, bool) {
	if m == nil || m.root == nil {
		var zero V
		return zero, false
	}
	h := hash(key, m.dropped)
	n := m.root
	for path := h; ; path >>= bitsPerLevel {
		bit := slotBit(path)
		if n.nodeMap&bit != 0 {
			n = n.children[rank(n.nodeMap, bit)]
			continue
		}
		if n.entryMap&bit != 0 {
			e := n.entries[rank(n.entryMap, bit)]
			if e.hash == h && e.key == key {
				return e.value, true
			}
		} else if n.isCollision() {
			for _, e := range n.entries {
				if e.key == key {
					return e.value, true
				}
			}
		}
		var zero V
		return zero, false
	}
}

// Len answers the number of entries.
func (m *Map[K, V]) Len() int {
	if m == nil {
		return 0
	}
	return m.length
}

// Set answers a map in which key has value, and all else is as in m. An
// equal key that was there is replaced together with its value. The answer is
// always a new map, even if the value is the same: values need not be comparable.
func (m *Map[K, V]) Set(key K, value V) *Map[K, V] {
	next := &Map[K, V]{}
	if m != nil {
		*next = *m
	}
	next.set(nobody, key, value)
	return next
}

// Delete answers a map without key. If key is not there it answers m itself,
// the same pointer.
func (m *Map[K, V]) Delete(key K) *Map[K, V] {
	if m == nil || m.root == nil {
		return m
	}
	next := *m
	if !next.delete(nobody, key) {
		return m
	}
	return &next
}

// All answers an iterator over the entries of m, in no particular order. It may
// be ranged over any number of times.
func (m *Map[K, V]) All() iter.Seq2[K, V] {
	return func(yield func(K, V) bool) {
		if m == nil || m.root == nil {
			return
		}
		m.root.each(func(e *entry[K, V]) bool { return yield(e.key, e.value) })
	}
}

// Keys answers an iterator over the keys of m, in no particular order.
func (m *Map[K, V]) Keys() iter.Seq[K] {
	return func(yield func(K) bool) {
		if m == nil || m.root == nil {
			return
		}
		m.root.each(func(e *entry[K, V]) bool { return yield(e.key) })
	}
}

// Values answers an iterator over the values of m, in no particular order.
func (m *Map[K, V]) Values() iter.Seq[V] {
	return func(yield func(V) bool) {
		if m == nil || m.root == nil {
			return
		}
		m.root.each(func(e *entry[K, V]) bool { return yield(e.value) })
	}
}

// set changes the header m, which nobody else may see yet, to one with key at
// value; of the nodes below, it changes those in place that o owns.
func (m *Map[K, V]) set(o owner, key K, value V) {
	e := &entry[K, V]{hash: hash(key, m.dropped), key: key, value: value}
	if m.root == nil {
		m.root, m.length = newLeaf(o, e), 1
		return
	}
	root, added := m.root.set(o, 0, e)
	m.root = root
	if added {
		m.length++
	}
}

// delete changes the header m as set does, and says whether key was there.
func (m *Map[K, V]) delete(o owner, key K) bool {
	if m.root == nil {
		return false
	}
	root, found := m.root.delete(o, 0, hash(key, m.dropped), key)
	if !found {
		return false
	}
	m.root = root
	m.length--
	if m.length == 0 {
		m.root = nil
	}
	return true
}
