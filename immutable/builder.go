package immutable

import "iter"

// Builder changes a map many times for the price of few copies: what it has
// copied once is its own until it gives it out, and is changed in place. No map
// that it came from or gave out ever changes.
//
// The zero Builder starts from the empty map. A Builder belongs to one goroutine at
// a time, and must not be copied once it was changed: Set, Delete and Map of such a copy panic.
type Builder[K comparable, V any] struct {
	current Map[K, V]
	// base is what Map answers as long as nothing is changed; nil is unknown.
	base *Map[K, V]
	// owner is drawn at the first change after each Map.
	owner owner
	// self is the builder that drew owner: two with one owner would
	// change what the other sees.
	self *Builder[K, V]
}

// NewBuilder answers a builder that starts from the empty map.
func NewBuilder[K comparable, V any]() *Builder[K, V] {
	return &Builder[K, V]{}
}

// Builder answers a builder that starts from m, in O(1). m does not change.
func (m *Map[K, V]) Builder() *Builder[K, V] {
	if m == nil {
		return &Builder[K, V]{}
	}
	return &Builder[K, V]{current: *m, base: m}
}

// Get answers the value at key as the builder has it now, and whether there is
// one. It allocates nothing.
func (b *Builder[K, V]) Get(key K) (V, bool) {
	return b.current.Get(key)
}

// Len answers the number of entries that the builder has now.
func (b *Builder[K, V]) Len() int {
	return b.current.length
}

// Set gives key a value. An equal key that was there is replaced together with
// its value.
func (b *Builder[K, V]) Set(key K, value V) {
	b.own()
	b.current.set(b.owner, key, &value)
}

// Insert sets all pairs in seq, one after the other.
func (b *Builder[K, V]) Insert(seq iter.Seq2[K, V]) {
	for k, v := range seq {
		b.Set(k, v)
	}
}

// Delete removes key, and says whether it was there.
func (b *Builder[K, V]) Delete(key K) bool {
	b.own()
	return b.current.delete(b.owner, key)
}

// Map answers the map as it is now, in O(1). The builder remains usable, and
// what it does from then on leaves that map alone. If nothing was changed since the last
// Map, or since the builder was made from a map, it answers the same pointer.
func (b *Builder[K, V]) Map() *Map[K, V] {
	if b.owner != nobody {
		b.own() // or the map would be one that the builder it was copied from goes on to change
	}
	// base's nodes are not owned, so that any change has replaced the root.
	if b.base == nil || b.base.root != b.current.root {
		m := b.current
		b.base = &m
	}
	b.owner = nobody
	return b.base
}

// own makes sure that the builder has an owner of its own; one that has that of another panics.
func (b *Builder[K, V]) own() {
	if b.owner == nobody {
		b.owner, b.self = newOwner(), b
	}
	if b.self != b {
		panic("immutable: a Builder was copied after it was changed")
	}
}
