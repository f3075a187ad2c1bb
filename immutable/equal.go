package immutable

// Equal says whether two maps hold the same keys with equal values, as [maps.Equal] does for built-in maps, at the
// cost of [Diff]. An entry that both share is equal to itself, whatever == says of it (a NaN).
func Equal[K, V comparable](a, b *Map[K, V]) bool {
	return EqualFunc(a, b, func(x, y V) bool { return x == y })
}

// EqualFunc is like Equal, but asks equal about values. What is said of equal in [Diff] holds here too.
func EqualFunc[K comparable, V any](a, b *Map[K, V], equal func(V, V) bool) bool {
	changes := Diff(a, b, equal)
	if a.Len() != b.Len() {
		return false
	}
	for range changes {
		return false
	}
	return true
}
