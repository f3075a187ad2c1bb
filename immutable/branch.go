package immutable

import (
	"math/bits"
	"unsafe"
)

const (
	// bitsPerLevel is how many bits of the hash a branch tells apart.
	bitsPerLevel = 4
	// places is how many places a branch has.
	places = 1 << bitsPerLevel
	// allPlaces has the bit of each.
	allPlaces = 1<<places - 1
	// maxLevels is the length of the longest path of branches: sixteen use up the 64 bits of a hash.
	maxLevels = hashBits / bitsPerLevel
)

// branch is an inner node of the trie. It stands for all hashes with one prefix, and has sixteen places
// for the four bits that follow.
//
// An element of a branch fills one place or more: 1, 2, 4, 8 or 16 places that have the upper bits of
// their numbers in common. It is a bucket of the entries whose hashes lead to those places, or nil if there are none, or,
// in one place, another branch. So a bucket goes on to fill a whole region of hashes for as long as it has room.
//
// The elements lie behind the branch in the same piece of memory, in the order of their
// places, and without gaps: an element costs one word, and reaching it one load.
//
// With 32 places a Get takes as long, and a Set allocates 654, 1046 and 1230 bytes for 563, 789 and 919 (in 1,000,
// 100,000 and 1,000,000 entries; map.set in bench).
type branch struct {
	// starts has the bit of each place where an element begins; that of place 0 is always set.
	starts uint32
	// subs has those of elements which are branches.
	subs uint32
	// owner may change this branch in place. The branches above it, in the map that
	// owner works on, are then owned too.
	owner owner
}

// branchOf is a branch with the array of its elements.
type branchOf[A any] struct {
	branch branch
	_      A
}

// newBranch answers a branch of o with room for so many elements. Sizes are those that the allocator has anyway.
func newBranch(o owner, elements int) *branch {
	n := allocBranch(elements)
	n.owner = o
	return n
}

func allocBranch(elements int) *branch {
	switch branchCap(elements) {
	case 2:
		return &new(branchOf[[2]unsafe.Pointer]).branch
	case 4:
		return &new(branchOf[[4]unsafe.Pointer]).branch
	case 6:
		return &new(branchOf[[6]unsafe.Pointer]).branch
	case 8:
		return &new(branchOf[[8]unsafe.Pointer]).branch
	case 12:
		return &new(branchOf[[12]unsafe.Pointer]).branch
	default:
		return &new(branchOf[[places]unsafe.Pointer]).branch
	}
}

// branchCap answers how many elements there is room for in a branch of so many.
func branchCap(elements int) int {
	if elements <= 8 {
		return max(2, (elements+1)&^1)
	}
	return (elements + 3) &^ 3
}

// element answers where element i is.
func (n *branch) element(i int) *unsafe.Pointer {
	return (*unsafe.Pointer)(unsafe.Add(unsafe.Pointer(n), unsafe.Sizeof(*n)+uintptr(i)*unsafe.Sizeof(unsafe.Pointer(nil))))
}

// elements answers all elements. They may be changed by n's owner.
func (n *branch) elements() []unsafe.Pointer {
	return unsafe.Slice(n.element(0), bits.OnesCount32(n.starts))
}

// index answers which element fills place.
func (n *branch) index(place uint64) int {
	return bits.OnesCount32(n.starts&(2<<place-1)) - 1
}

// isBranch says whether the element that fills place is a branch.
func (n *branch) isBranch(place uint64) bool {
	return n.subs>>place&1 != 0
}

// region answers what the element that fills place fills altogether.
func (n *branch) region(place uint64) region {
	first := 31 - bits.LeadingZeros32(n.starts&(2<<place-1))
	after := bits.TrailingZeros32(n.starts >> first >> 1 << 1) // 32 if it is the last one
	return region{first, min(after, places-first)}
}

// region is a run of places that an element may fill.
type region struct {
	first, size int
}

// bits answers the bits of the places.
func (r region) bits() uint32 {
	return uint32((1<<r.size - 1) << r.first)
}

// sibling answers the region that, with r, makes one of twice the size.
func (r region) sibling() region {
	return region{r.first ^ r.size, r.size}
}

// parent answers the region of r and its sibling.
func (r region) parent() region {
	return region{r.first &^ r.size, 2 * r.size}
}

// place answers the place for hash in a branch below shift bits of it.
func place(hash uint64, shift uint) uint64 {
	return hash << (shift & (hashBits - 1)) >> (hashBits - bitsPerLevel)
}

// pieces are elements to be put into a branch.
type pieces struct {
	starts, subs uint32
	elements     [places]unsafe.Pointer
	count        int
	// wary says that slots may have one key, and twice that two had.
	wary, twice bool
}

// add adds an element that begins at place first.
func (p *pieces) add(first int, element unsafe.Pointer) {
	p.starts |= 1 << first
	p.elements[p.count] = element
	p.count++
}

// addBranch adds a branch at a place.
func (p *pieces) addBranch(place int, n *branch) {
	p.subs |= 1 << place
	p.add(place, unsafe.Pointer(n))
}

// branch answers a new branch of o that consists of the pieces.
func (p *pieces) branch(o owner) *branch {
	n := newBranch(o, p.count)
	n.starts, n.subs = p.starts, p.subs
	copy(n.elements(), p.elements[:p.count])
	return n
}

// withElement answers n with another element i of the same kind: n itself if o owns it, else a copy that o owns.
func (n *branch) withElement(o owner, i int, element unsafe.Pointer) *branch {
	if *n.element(i) == element {
		return n // changed in place, hence n is owned as well
	}
	if n.owner != o || o == nobody {
		old := n.elements()
		dup := newBranch(o, len(old))
		dup.starts, dup.subs = n.starts, n.subs
		copy(dup.elements(), old)
		n = dup
	}
	*n.element(i) = element
	return n
}

// withPieces answers n with the pieces in the place of what fills r: n itself if o owns it and there is the room, else a
// new branch that o owns.
func (n *branch) withPieces(o owner, r region, p *pieces) *branch {
	old := n.elements()
	first := bits.OnesCount32(n.starts & (1<<r.first - 1))
	rest := first + bits.OnesCount32(n.starts&r.bits())
	count := len(old) - (rest - first) + p.count
	dst := n
	if n.owner != o || o == nobody || branchCap(count) != branchCap(len(old)) {
		dst = newBranch(o, count)
	}
	dst.starts, dst.subs = n.starts&^r.bits()|p.starts, n.subs&^r.bits()|p.subs
	elements := dst.elements()
	copy(elements[first+p.count:], old[rest:])
	copy(elements, old[:first])
	copy(elements[first:], p.elements[:p.count])
	if dst == n && count < len(old) {
		clear(old[count:]) // keeps nothing alive
	}
	return dst
}
