package immutable

import (
	"iter"
	"math/bits"
	"unsafe"
)

// Map is a persistent hash map from K to V. It never changes: Set and Delete
// answer a new Map and leave the receiver as it was.
//
// A nil *Map and the zero Map are the empty map; every method works on them.
// All methods may be called by any number of goroutines at once. See the package
// comment for complexity, keys and order.
type Map[K comparable, V any] struct {
	// root is nil in an empty map, and only there.
	root   *branch
	length int
	hasher hasher
}

// New answers an empty map.
func New[K comparable, V any]() *Map[K, V] {
	return &Map[K, V]{}
}

// Collect answers a map of the pairs in seq. Of pairs with one key the last
// one stays. It uses a [Builder], so it costs O(1) per pair.
func Collect[K comparable, V any](seq iter.Seq2[K, V]) *Map[K, V] {
	var b Builder[K, V]
	b.Insert(seq)
	return b.Map()
}

// Get answers the value at key and whether there is one; without one, V's zero
// value. It allocates nothing.
//
// It is small enough to be inlined, so that the value is copied once, from where it is kept to where the caller
// wants it: a V of more than four words does not travel in registers, and every call that hands it on copies it again.
func (m *Map[K, V]) Get(key K) (value V, ok bool) {
	if v := m.find(key); v != nil {
		value, ok = *v, true
	}
	return
}

// find answers where the value of key is, or nil.
//
// It is what readers wait for, and so it has in it what [hash] and [bucket.find] do, without the calls.
func (m *Map[K, V]) find(key K) *V {
	if m == nil || m.root == nil {
		return nil
	}
	var h uint64
	if m.hasher.isString {
		h = hashString(*(*string)(unsafe.Pointer(&key)))
	} else {
		h = hash(m.hasher, key)
	}
	b := bucketAt[K, V](m.root, h)
	if b == nil {
		return nil
	}
	for c := b.candidates(h); c != 0; c &= c - 1 {
		if s := b.slot(bits.TrailingZeros64(c) / 8); s.key == key {
			return s.value
		}
	}
	if b.tags == 0 {
		if i := b.find(h, key); i >= 0 {
			return b.slots()[i].value
		}
	}
	return nil
}

// bucketAt answers the bucket below n, which is a root, that a hash leads to. It may be nil, or a list.
func bucketAt[K comparable, V any](n *branch, hash uint64) *bucket[K, V] {
	for path := hash; ; path <<= bitsPerLevel {
		at := path >> (hashBits - bitsPerLevel)
		i := int(at)
		if n.starts != allPlaces {
			i = bits.OnesCount32(n.starts&(2<<at-1)) - 1
		}
		element := *n.element(i)
		if n.subs>>at&1 == 0 {
			return (*bucket[K, V])(element)
		}
		n = (*branch)(element)
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
	next.set(nobody, key, &value)
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
		if m == nil {
			return
		}
		var w walker[K, V]
		w.start(m.root)
		for w.advance() {
			w.fetchValues()
			for _, b := range w.ahead[:w.count] {
				slots := b.slots()
				for i := range slots {
					if !yield(slots[i].key, *slots[i].value) {
						return
					}
				}
			}
		}
	}
}

// Keys answers an iterator over the keys of m, in no particular order.
func (m *Map[K, V]) Keys() iter.Seq[K] {
	return func(yield func(K) bool) {
		m.each(false, func(s *slot[K, V]) bool { return yield(s.key) })
	}
}

// Values answers an iterator over the values of m, in no particular order.
func (m *Map[K, V]) Values() iter.Seq[V] {
	return func(yield func(V) bool) {
		m.each(true, func(s *slot[K, V]) bool { return yield(*s.value) })
	}
}

// each calls yield for the entries of m until it answers false. values says whether yield will read the values.
func (m *Map[K, V]) each(values bool, yield func(*slot[K, V]) bool) {
	if m != nil {
		var w walker[K, V]
		w.start(m.root)
		w.each(values, yield)
	}
}

// set changes the header m, which nobody else may see yet, to one with key at
// *value, which it keeps; of what is below, it changes in place what o owns.
func (m *Map[K, V]) set(o owner, key K, value *V) {
	if m.root == nil {
		var p pieces
		p.add(0, nil)
		m.root = p.branch(o)
		m.hasher = hasherFor[K](m.hasher)
	}
	h := hash(m.hasher, key)
	if o != nobody {
		// Most changes of a builder, which makes many, meet what an earlier one has copied. It comes
		// in a third less time without walking down and up by calls (BenchmarkBatch, 1,000 entries).
		if b := bucketAt[K, V](m.root, h); b != nil && b.owner == o {
			if i := b.find(h, key); i >= 0 {
				b.slots()[i] = slot[K, V]{key, value}
				return
			}
		}
	}
	root, added := set(m.root, o, m.hasher, 0, h, slot[K, V]{key, value})
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
	root, found := remove[K, V](m.root, o, 0, hash(m.hasher, key), key)
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
