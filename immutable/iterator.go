package immutable

import (
	"math/bits"
	"unsafe"
)

// Iterator walks over the entries of one map, one Next at a time, for callers
// that cannot range over [Map.All]. It holds on to the version it was made from,
// whatever is made of that since. It needs no closing, and belongs to one goroutine
// at a time. The zero Iterator has no entries.
type Iterator[K comparable, V any] struct {
	walk walker[K, V]
	// rest is what is left of the bucket being read, which is walk.ahead[next-1].
	rest []slot[K, V]
	next int
}

// Iterator answers an iterator that stands before the first entry of m, in O(1).
func (m *Map[K, V]) Iterator() *Iterator[K, V] {
	it := &Iterator[K, V]{}
	if m != nil {
		it.walk.start(m.root)
	}
	return it
}

// Next answers the next entry and true, in no particular order, or zero values
// and false once all were answered. Each entry is answered once.
func (it *Iterator[K, V]) Next() (K, V, bool) {
	for len(it.rest) == 0 {
		if it.next == it.walk.count {
			if !it.walk.advance() {
				var key K
				var value V
				it.next = 0
				return key, value, false
			}
			it.walk.fetchValues()
			it.next = 0
		}
		it.rest = it.walk.ahead[it.next].slots()
		it.next++
	}
	s := it.rest[0]
	it.rest = it.rest[1:]
	return s.key, *s.value, true
}

// readAhead is how many buckets a walk looks for before their entries are read.
//
// Each branch, bucket and value lies somewhere else in memory. Read one by one, each is a cache miss to
// wait for; touched in a row they are on their way at once.
const readAhead = 16

// walker walks over the buckets below a branch, some at a time.
type walker[K comparable, V any] struct {
	// ahead are the buckets to be read now, none of which is nil; count says how many.
	ahead [readAhead]*bucket[K, V]
	count int
	// path is the way from the top to the branch being read, which is path[depth-1]; depth is 0 at the end.
	path  [maxLevels]cursor
	depth int
	// fetched depends on all memory that was touched ahead, so that the compiler has to read it.
	fetched byte
}

// cursor says what is left of a branch: the places where unread elements start, and the index of the first one.
type cursor struct {
	branch *branch
	starts uint32
	index  int32
}

// start makes w stand before the first bucket below n, which may be nil.
func (w *walker[K, V]) start(n *branch) {
	if n != nil {
		w.push(n)
	}
}

// startWithin makes w stand before the first bucket in r of n.
func (w *walker[K, V]) startWithin(n *branch, r region) {
	w.push(n)
	before := n.starts & (1<<r.first - 1)
	w.path[0].starts &= r.bits()
	w.path[0].index = int32(bits.OnesCount32(before))
}

func (w *walker[K, V]) push(n *branch) {
	w.path[w.depth] = cursor{branch: n, starts: n.starts}
	w.depth++
}

// advance puts the next buckets into ahead, and answers false if there are none.
func (w *walker[K, V]) advance() bool {
	w.count = 0
	for w.depth > 0 && w.count < readAhead {
		c := &w.path[w.depth-1]
		if c.starts == 0 {
			c.branch = nil
			w.depth--
			continue
		}
		if c.index%readAhead == 0 {
			w.fetched += c.fetch()
		}
		first := bits.TrailingZeros32(c.starts)
		element := *c.branch.element(int(c.index))
		c.starts &= c.starts - 1
		c.index++
		switch {
		case c.branch.isBranch(uint64(first)):
			w.push((*branch)(element))
		case element != nil:
			w.ahead[w.count] = (*bucket[K, V])(element)
			w.count++
		}
	}
	return w.count > 0
}

// each calls yield for the entries of all buckets from here on, until it answers false; then it answers false too. values says
// whether yield will read the values.
func (w *walker[K, V]) each(values bool, yield func(*slot[K, V]) bool) bool {
	for w.advance() {
		if values {
			w.fetchValues()
		}
		for _, b := range w.ahead[:w.count] {
			slots := b.slots()
			for i := range slots {
				if !yield(&slots[i]) {
					return false
				}
			}
		}
	}
	return true
}

// fetch touches the next elements, and answers something that depends on it.
func (c *cursor) fetch() (sum byte) {
	all := c.branch.elements()
	for _, element := range all[c.index:min(int(c.index)+readAhead, len(all))] {
		if element != nil {
			sum += *(*byte)(element)
		}
	}
	return sum
}

// fetchValues touches the values of the buckets in ahead, at both ends: most are longer than a cache line.
func (w *walker[K, V]) fetchValues() {
	size := unsafe.Sizeof(*new(V))
	if size == 0 {
		return
	}
	sum := byte(0)
	for _, b := range w.ahead[:w.count] {
		slots := b.slots()
		for i := range slots[:min(len(slots), maxSlots)] {
			v := unsafe.Pointer(slots[i].value)
			sum += *(*byte)(v) + *(*byte)(unsafe.Add(v, size-1))
		}
	}
	w.fetched += sum
}
