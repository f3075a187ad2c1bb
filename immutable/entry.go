package immutable

import "iter"

// Entry refers to an entry of a map where that lies, for who has to do with many at once, sorts them or hands them around:
// it is a key and a pointer, however large the value is. The entry stays what it is, whatever is made of the map. The zero
// Entry has zero values.
type Entry[K comparable, V any] struct {
	key   K
	value *V
}

// Key answers the key.
func (e Entry[K, V]) Key() K { return e.key }

// Value answers the value.
func (e Entry[K, V]) Value() (value V) {
	if e.value != nil {
		value = *e.value
	}
	return value
}

// Entries answers an iterator over the entries of m, in no particular order, which does not read the values.
func (m *Map[K, V]) Entries() iter.Seq[Entry[K, V]] {
	return func(yield func(Entry[K, V]) bool) {
		m.each(false, func(s *slot[K, V]) bool { return yield(Entry[K, V]{s.key, s.value}) })
	}
}
