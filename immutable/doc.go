// Package immutable has a persistent hash map: [Map], a value that never
// changes. Set and Delete answer a new map that shares almost everything with
// the old one, so keeping a version costs what differs, not what it holds.
//
//	empty := immutable.New[string, int]()
//	one := empty.Set("lamp", 1)
//	two := one.Set("lamp", 2)
//	// empty has no lamp, one still says 1, two says 2.
//
// # Usage
//
// Read with Get, Len, All, Keys, Values and Iterator. Change a key or two with
// [Map.Set] and [Map.Delete]. Change many keys with a [Builder]: it copies each
// node at most once, edits its own copies in place, and gives out a Map in O(1)
// as often as it is asked. Compare two maps with [Diff], which skips whatever
// they share.
//
// A nil *Map and the zero Map are empty maps, and every method works on them.
// The zero Builder is a builder that starts from the empty map.
//
// # Complexity
//
// The trie branches 64 ways, so a million entries lie about four nodes deep,
// and no key lies deeper than twelve: O(log64 n), called O(1) below.
//
//	Get               O(1), allocates nothing
//	Set, Delete       O(1), copies the nodes on one path
//	Len               O(1)
//	All, Iterator     O(n) for the whole, O(1) to begin
//	Map.Builder       O(1)
//	Builder.Map       O(1)
//	Diff              O(changes) between maps of one family, O(n) between strangers
//
// Two maps are of one family when one was made from the other, or both from a
// third, by Set, Delete or a Builder.
//
// # Order
//
// The order of iteration is unspecified, differs from process to process, and
// differs between keys whose hashes collide from version to version. Sort where
// order matters.
//
// # Concurrency
//
// Every method of Map, Diff, and the iterators they answer may be used by any
// number of goroutines at once, without locks; a map is never written after it
// was given out. A single [Iterator] value and a Builder belong to one goroutine at a
// time. Maps that a Builder came from or gave out are not part of it: they may
// be read while it works.
//
// # Who may modify
//
// The package never modifies a key or a value, and hands them out as they came
// in. What a value points to is shared by every version that holds it: whoever
// stores a pointer, slice or map must not modify what it refers to.
//
// # Keys
//
// Keys are compared as the built-in map compares them, with the same
// consequences: an interface key of an uncomparable dynamic type panics, and a NaN
// equals nothing, so it can be added and iterated, but not found or deleted.
//
// Hashes are keyed: [hash/maphash] with one random seed per process. Nobody
// outside can choose keys that collide, and the shape of a map says nothing about
// another process. One seed for all maps is what lets Diff walk any two
// of them side by side. Keys whose whole 64-bit hashes are equal are
// kept correctly, in a list.
//
// # Shape
//
// Deletion undoes what insertion did: the shape of a map depends on what it
// holds, not on how it came to hold it. (Only the order within a list of
// keys with one and the same 64-bit hash is historical.)
//
// # Sources
//
//   - The trie with a bitmap per node and no empty slots: Phil Bagwell,
//     "Ideal Hash Trees", 2001.
//   - Two bitmaps, entries apart from sub-nodes, canonical deletion: Michael
//     Steindorfer and Jurgen Vinju, "Optimizing Hash-Array Mapped Tries for Fast
//     and Lean Immutable JVM Collections" (CHAMP), OOPSLA 2015.
//   - Owned nodes that a batch may edit in place: the transients of Rich Hickey's
//     Clojure.
package immutable
