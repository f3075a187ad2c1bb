package immutable

import (
	"hash/maphash"
	"math/bits"
	"math/rand/v2"
	"reflect"
	"unsafe"
)

// hashBits is the length of a hash.
const hashBits = 64

// seed keys every hash of the process but those of strings. One for all maps, so that one
// key has one path, and Diff can walk any two maps side by side.
var seed = maphash.MakeSeed()

// stringKeys key the hashes of strings, as seed does the others.
var stringKeys = [3]uint64{rand.Uint64(), rand.Uint64(), rand.Uint64()}

// hasher says how the keys of a map are hashed. Its zero value will do for any K.
type hasher struct {
	// isString says that K is string, or a type made of it, and that no bits are dropped.
	isString bool
	// dropped bits are left out of every hash: it is how tests make keys collide, and zero elsewhere. A mask
	// and not a function: a key that is handed to an unknown function escapes, so that
	// Get(string(bytes)) would allocate.
	dropped uint64
}

// hasherFor answers the hasher for K that drops what h does.
func hasherFor[K comparable](h hasher) hasher {
	h.isString = h.dropped == 0 && reflect.TypeFor[K]().Kind() == reflect.String
	return h
}

// hash answers the hash of key.
func hash[K comparable](h hasher, key K) uint64 {
	if h.isString {
		return hashString(*(*string)(unsafe.Pointer(&key)))
	}
	return maphash.Comparable(seed, key) &^ h.dropped
}

// hashString answers the keyed hash of s.
//
// It is wyhash by Wang Yi, as the Go runtime itself hashes the keys of maps on machines
// without AES instructions, with keys of our own. [maphash.String] would do as well, but takes 2 to 3 ns longer
// for an entity's name, of the 11 to 14 ns that a Get takes in a small map (BenchmarkHash).
func hashString(s string) uint64 {
	state := stringKeys[0]
	var x, y uint64
	switch n := len(s); {
	case n > 16:
		rest := s
		for ; len(rest) > 16; rest = rest[16:] {
			state = fold(load64(rest)^stringKeys[1], load64(rest[8:])^state)
		}
		last := s[n-16:]
		x, y = load64(last), load64(last[8:])
	case n >= 8:
		x, y = load64(s), load64(s[n-8:])
	case n >= 4:
		x, y = load32(s), load32(s[n-4:])
	case n > 0:
		x = uint64(s[0])<<16 | uint64(s[n/2])<<8 | uint64(s[n-1])
	}
	return fold(stringKeys[2]^uint64(len(s)), fold(x^stringKeys[1], y^state))
}

// load64 answers the first eight bytes of s, and load32 the first four. The compiler makes one load of each.
func load64(s string) uint64 {
	_ = s[7]
	return uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24 |
		uint64(s[4])<<32 | uint64(s[5])<<40 | uint64(s[6])<<48 | uint64(s[7])<<56
}

func load32(s string) uint64 {
	_ = s[3]
	return uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24
}

// fold answers the product of a and b, its upper half folded onto the lower.
func fold(a, b uint64) uint64 {
	hi, lo := bits.Mul64(a, b)
	return hi ^ lo
}
