package eventstore

import (
	"encoding/binary"
	"hash/crc32"
	"hash/fnv"
	"math"
)

// A filter says of which entities a sealed segment may hold events: a Bloom filter (Bloom 1970), so that the history of
// one entity need not open the segments that it is not in. It may say yes where the answer is no, one time in forty; never
// the other way. It has a byte an entity, where an index row for each pair of entity and segment takes more than the events
// themselves, and is written to a page of its own for each of 3,000 entities.
//
// A filter is a uint32, the CRC-32C of the segment's last position (8 bytes, little endian) and of the bits, and then
// the bits. Bit (h1 + i·h2) mod m, for i from 0 to 5, stands for an entity: m is the number of bits, and h1 and h2 are
// the upper and lower half of the FNV-1a hash in 64 bits of its id (Kirsch & Mitzenmacher 2006).
type filter []byte

const filterHashes = 6

// entityHash is what stands for an entity in filters.
func entityHash(entity string) uint64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(entity))
	return h.Sum64()
}

// newFilter is the filter of a segment that ends at last and has events about entities.
func newFilter(last Position, entities []string) filter {
	f := make(filter, 4+max(1, len(entities)))
	for _, e := range entities {
		f.each(entityHash(e), func(bit uint32) bool {
			f[4+bit/8] |= 1 << (bit % 8)
			return true
		})
	}
	binary.LittleEndian.PutUint32(f, f.checksum(last))
	return f
}

func (f filter) checksum(last Position) uint32 {
	var b [8]byte
	binary.LittleEndian.PutUint64(b[:], uint64(last))
	return crc32.Update(crc32.Checksum(b[:], castagnoli), castagnoli, f[4:])
}

// intact says that the filter is the one that was written for the segment that ends at last.
func (f filter) intact(last Position) bool {
	return len(f) > 4 && binary.LittleEndian.Uint32(f) == f.checksum(last)
}

// mayHold says whether one of the entities may be in the segment. A filter that is not intact excludes nothing.
func (f filter) mayHold(last Position, hashes []uint64) bool {
	return !f.intact(last) || f.claims(hashes)
}

// claims says whether the filter, which must be intact, claims one of the entities.
func (f filter) claims(hashes []uint64) bool {
	for _, h := range hashes {
		if f.each(h, func(bit uint32) bool { return f[4+bit/8]&(1<<(bit%8)) != 0 }) {
			return true
		}
	}
	return false
}

// each calls visit with the bits that stand for a hash until it returns false, and returns whether it never did.
func (f filter) each(hash uint64, visit func(bit uint32) bool) bool {
	m := uint64(len(f)-4) * 8
	h1, h2 := hash>>32, hash&math.MaxUint32|1
	for range filterHashes {
		if !visit(uint32(h1 % m)) {
			return false
		}
		h1 += h2
	}
	return true
}
