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
// as often as it is asked. Compare two maps with [Equal] and [Diff], which skip whatever
// they share. [Collect] and [Builder.Insert] take what [maps.All] and the like yield.
//
// A nil *Map and the zero Map are empty maps, and every method works on them.
// The zero Builder is a builder that starts from the empty map.
//
// # Complexity
//
// The trie branches 16 ways and ends in buckets of up to eight entries, so a million of them
// lie below about four branches, and no key lies below more than sixteen: O(log16 n), called O(1) below.
//
//	Get               O(1), allocates nothing
//	Set, Delete       O(1), copies the nodes on one path
//	Len               O(1)
//	All, Iterator     O(n) for the whole, O(1) to begin
//	Map.Builder       O(1)
//	Builder.Map       O(1)
//	Diff, Equal       O(changes) between maps of one family, O(n) between strangers
//
// Two maps are of one family when one was made from the other, or both from a
// third, by Set, Delete or a Builder. What each costs in nanoseconds and bytes, beside the
// built-in map and other libraries, is in bench/RESULTS.md.
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
// Hashes are keyed with random keys, one set of them per process. Nobody
// outside can choose keys that collide, and the shape of a map says nothing about
// another process. One set for all maps is what lets Diff walk any two
// of them side by side. Strings are hashed by wyhash, other keys by [hash/maphash]. Keys whose whole 64-bit
// hashes are equal are kept correctly, in a list.
//
// # Layout
//
// A reader waits for memory, and so the layout is what decides. From the root down:
//
//   - A branch is two bitmaps and an array of pointers in one piece of memory. The upper branches have all of
//     their places in use, so that the pointer is loaded without waiting for the bitmaps; they stay in the
//     processor's caches, being one word for six entries and below.
//   - A bucket is a word of eight tags, seven bits of a hash each, and up to eight slots of a key and a
//     pointer to its value, in one piece of memory. One comparison of words says which slot to look at.
//   - A value is a piece of memory of its own. It is fetched while the bytes of a key are compared, and it is
//     copied once: Get is inlined, and so the copy goes to where its caller wants it. A change copies
//     pointers to values, not values.
//
// The arrays have as many elements as they need, rounded up to sizes that the allocator has. Branches and buckets
// reach into the memory behind their headers by means of [unsafe], in two functions of a line each,
// branch.element and bucket.slot; all else goes through these.
//
// What was tried instead, and what it cost, is in docs/adr/0003-the-map.md.
//
// # Shape
//
// Deletion undoes what insertion did: the shape of a map depends on what it
// holds, not on how it came to hold it. (Only the order within a bucket, or a list of
// keys with one and the same 64-bit hash, is historical.) A set of hashes with a
// common prefix is one bucket exactly if its entries fit into one, and if those of the set that is larger by a bit of
// the prefix do not.
//
// # Sources
//
//   - The trie with a bitmap per node and no empty slots: Phil Bagwell,
//     "Ideal Hash Trees", 2001.
//   - Entries apart from sub-nodes, canonical deletion, and what these make of
//     equality and iteration: Michael Steindorfer and Jurgen Vinju, "Optimizing Hash-Array Mapped Tries for Fast
//     and Lean Immutable JVM Collections" (CHAMP), OOPSLA 2015.
//   - Buckets that are split in halves when they are full, and a directory in which one may fill
//     several places: Ronald Fagin et al., "Extendible Hashing", 1979.
//   - A word of tags, and all of them compared at once: Matt Kulukundis et al., Swiss tables (Abseil), 2017, and Go's own map.
//   - Owned nodes that a batch may edit in place: the transients of Rich Hickey's
//     Clojure.
//   - The hash of strings: Wang Yi, wyhash, as the Go runtime has it.
package immutable
