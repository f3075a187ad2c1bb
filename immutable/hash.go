package immutable

import (
	"hash/maphash"
	"math/bits"
)

const (
	bitsPerLevel = 6
	hashBits     = 64
	// maxLevels is the length of the longest path: eleven nodes use up the 64
	// bits of a hash (the last one takes four), and a collision node ends it.
	maxLevels = (hashBits+bitsPerLevel-1)/bitsPerLevel + 1
)

// seed keys every hash of the process. One for all maps, so that one key has one
// path, and Diff can walk any two maps side by side.
var seed = maphash.MakeSeed()

// hash answers the hash of key without the bits in dropped.
//
// dropped is how tests make keys collide; elsewhere it is zero. A mask and not a
// function: it costs Get no branch, and a key that is handed to an unknown
// function escapes, so that Get(string(bytes)) would allocate.
func hash[K comparable](key K, dropped uint64) uint64 {
	return maphash.Comparable(seed, key) &^ dropped
}

// slotBit answers the bit that stands, in the bitmaps of a node, for the lowest
// six bits of path: what of a hash the levels above have left over.
func slotBit(path uint64) uint64 {
	return 1 << (path % (1 << bitsPerLevel))
}

// rank answers how many slots of bitmap lie below bit: the index of bit's slot.
func rank(bitmap, bit uint64) int {
	return bits.OnesCount64(bitmap & (bit - 1))
}
