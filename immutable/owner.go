package immutable

import "sync/atomic"

// An owner is the right to change branches and buckets in place. A builder draws one, marks
// with it each that it makes, and drops it when it gives a map out: from then on
// nobody has the right. A number and not a pointer: it keeps nothing alive,
// and the garbage collector need not look at it.
type owner uint64

// nobody owns what Map.Set and Map.Delete make.
const nobody owner = 0

var lastOwner atomic.Uint64

// newOwner answers an owner that nothing has yet.
func newOwner() owner {
	return owner(lastOwner.Add(1))
}
