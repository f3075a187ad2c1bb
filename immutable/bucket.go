package immutable

import (
	"math/bits"
	"unsafe"
)

// slot is an entry in a bucket. A value that was stored never changes, and versions share it: two slots with
// one pointer and equal keys are one entry.
//
// Values are apart from the keys so that a change of one entry copies the others' keys, not their values, and so
// that the bytes of a key, for comparing, and its value are fetched from memory at once, and not one after the other.
// The hash is not kept: only the splitting of a full bucket needs it again. With it, values of the size
// that entity states have lay in three cache lines, now they lie in two.
type slot[K comparable, V any] struct {
	key   K
	value *V
}

// isOne says whether two slots are one entry.
func (s *slot[K, V]) isOne(t *slot[K, V]) bool {
	return s.value == t.value && (s.key == t.key || isNaN(s.key) && isNaN(t.key))
}

// isNaN says whether a key is not equal to itself.
func isNaN[K comparable](key K) bool {
	same := key
	return key != same
}

// bucket is a small, unordered set of entries. There is a tag for each: seven bits of its hash, so that a
// reader looks at the one slot that it wants, and at another one in a hundred reads.
//
// The slots lie behind the bucket in the same piece of memory.
type bucket[K comparable, V any] struct {
	// tags has the tag of slot i in byte i, and zero where there is no slot. It is zero as a
	// whole in a list.
	tags uint64
	// owner may change this bucket in place, the values excepted; the branches above are then owned too.
	owner owner
}

// list takes the place of a bucket where so many keys have one and the same 64-bit hash that a bucket is too small.
type list[K comparable, V any] struct {
	bucket bucket[K, V]
	slots  []slot[K, V]
}

const (
	// maxSlots is how many slots a bucket has at most: one byte of a word for each tag.
	maxSlots = 8
	// ones has 1 in each byte, and tops has the top bit of each.
	ones = 0x0101_0101_0101_0101
	tops = ones << 7
)

// limit answers how many slots a bucket has at most. Since a change copies a bucket, the
// larger the keys are, the fewer they are.
func limit[K comparable, V any]() int {
	switch size := unsafe.Sizeof(slot[K, V]{}); {
	case size <= 32:
		return maxSlots
	case size <= 64:
		return maxSlots / 2
	default:
		return maxSlots / 4
	}
}

// tag answers the tag of a hash, which is not zero.
func tag(hash uint64) uint64 {
	return hash&0x7f | 0x80
}

// bucketOf is a bucket with the array of its slots.
type bucketOf[K comparable, V any, A any] struct {
	bucket bucket[K, V]
	_      A
}

// newBucket answers a bucket of o with room for so many slots, up to maxSlots. There are
// even sizes only: with a string for a key these are sizes that the allocator has, and odd ones would be rounded up.
func newBucket[K comparable, V any](o owner, slots int) *bucket[K, V] {
	var b *bucket[K, V]
	switch bucketCap(slots) {
	case 2:
		b = &new(bucketOf[K, V, [2]slot[K, V]]).bucket
	case 4:
		b = &new(bucketOf[K, V, [4]slot[K, V]]).bucket
	case 6:
		b = &new(bucketOf[K, V, [6]slot[K, V]]).bucket
	default:
		b = &new(bucketOf[K, V, [maxSlots]slot[K, V]]).bucket
	}
	b.owner = o
	return b
}

// bucketCap answers how many slots there is room for in a bucket of so many.
func bucketCap(slots int) int {
	return (slots + 1) &^ 1
}

// newList answers a list of o with the slots.
func newList[K comparable, V any](o owner, slots []slot[K, V]) *bucket[K, V] {
	l := &list[K, V]{slots: slots}
	l.bucket.owner = o
	return &l.bucket
}

// slot answers slot i of a bucket that is not a list.
func (b *bucket[K, V]) slot(i int) *slot[K, V] {
	return (*slot[K, V])(unsafe.Add(unsafe.Pointer(b), unsafe.Sizeof(*b)+uintptr(i)*unsafe.Sizeof(slot[K, V]{})))
}

// slots answers all slots of b, which may be nil or a list. They may be changed by b's owner.
func (b *bucket[K, V]) slots() []slot[K, V] {
	switch {
	case b == nil:
		return nil
	case b.tags == 0:
		return (*list[K, V])(unsafe.Pointer(b)).slots
	default:
		return unsafe.Slice(b.slot(0), b.count())
	}
}

// count answers the number of slots of a bucket that is not a list.
func (b *bucket[K, V]) count() int {
	return bits.Len64(b.tags) / 8
}

// candidates answers a word with the top bit set in each byte whose tag is that of hash; bytes above
// such a one may have it set without reason.
func (b *bucket[K, V]) candidates(hash uint64) uint64 {
	differ := b.tags ^ tag(hash)*ones
	return (differ - ones) &^ differ & tops
}

// find answers the index of key, whose hash is hash, or -1. b may be nil or a list.
func (b *bucket[K, V]) find(hash uint64, key K) int {
	if b == nil {
		return -1
	}
	if b.tags == 0 {
		for i, s := range b.slots() {
			if s.key == key {
				return i
			}
		}
		return -1
	}
	for c := b.candidates(hash); c != 0; c &= c - 1 {
		if i := bits.TrailingZeros64(c) / 8; b.slot(i).key == key {
			return i
		}
	}
	return -1
}

// withSlot answers b with s in the place of slot i: b itself if o owns it, else a copy that o owns.
func (b *bucket[K, V]) withSlot(o owner, i int, s slot[K, V]) *bucket[K, V] {
	if b.owner != o || o == nobody {
		b = b.copyFor(o)
	}
	b.slots()[i] = s
	return b
}

// copyFor answers a copy of b that o owns.
func (b *bucket[K, V]) copyFor(o owner) *bucket[K, V] {
	if b.tags == 0 {
		return newList(o, append([]slot[K, V](nil), b.slots()...))
	}
	dup := newBucket[K, V](o, b.count())
	dup.tags = b.tags
	copy(dup.slots(), b.slots())
	return dup
}

// withMore answers b, which may be nil and is neither full nor a list, with a slot more, for a key with that hash: b itself if
// o owns it and there is the room, else a copy that o owns.
func (b *bucket[K, V]) withMore(o owner, hash uint64, s slot[K, V]) *bucket[K, V] {
	count := 0
	if b != nil {
		count = b.count()
	}
	dst := b
	if b == nil || b.owner != o || o == nobody || bucketCap(count) == count {
		dst = newBucket[K, V](o, count+1)
		if b != nil {
			dst.tags = b.tags
			copy(dst.slots(), b.slots())
		}
	}
	dst.push(count, tag(hash), s)
	return dst
}

// push makes s slot i of b, which has i slots, and room.
func (b *bucket[K, V]) push(i int, tag uint64, s slot[K, V]) {
	b.tags |= tag << (8 * i)
	*b.slot(i) = s
}

// union answers a bucket of o with the slots of two, either of which may be nil, and which together fit into one.
func union[K comparable, V any](o owner, a, b *bucket[K, V]) *bucket[K, V] {
	switch {
	case a == nil:
		return b
	case b == nil:
		return a
	}
	m, n := a.count(), b.count()
	both := newBucket[K, V](o, m+n)
	both.tags = a.tags | b.tags<<(8*m)
	slots := both.slots()
	copy(slots, a.slots())
	copy(slots[m:], b.slots())
	return both
}

// without answers b without slot i, whose hash is given, nil if it was the only one: b itself if o owns it and the room is not too large,
// else a new bucket that o owns. A list that has become short enough becomes a bucket.
func (b *bucket[K, V]) without(o owner, hash uint64, i int) *bucket[K, V] {
	if b.tags == 0 {
		old := b.slots()
		kept := append(append(make([]slot[K, V], 0, len(old)-1), old[:i]...), old[i+1:]...)
		if len(kept) > limit[K, V]() {
			return newList(o, kept)
		}
		short := newBucket[K, V](o, len(kept))
		for i, s := range kept {
			short.push(i, tag(hash), s)
		}
		return short
	}
	last := b.count() - 1
	if last == 0 {
		return nil
	}
	dst := b
	if b.owner != o || o == nobody || bucketCap(last) != bucketCap(last+1) {
		dst = newBucket[K, V](o, last)
	}
	moved, lastTag := *b.slot(last), b.tags>>(8*last)
	shift := 8 * i
	tags := b.tags &^ (0xff << (8 * last)) // without the last tag
	if i != last {
		tags = tags&^(0xff<<shift) | lastTag<<shift
	}
	if dst != b {
		copy(unsafe.Slice(dst.slot(0), last), unsafe.Slice(b.slot(0), last))
	} else {
		*dst.slot(last) = slot[K, V]{} // keeps nothing alive
	}
	if i != last {
		*dst.slot(i) = moved
	}
	dst.tags = tags
	return dst
}
