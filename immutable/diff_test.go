package immutable

import (
	"fmt"
	"maps"
	"testing"
	"unsafe"
)

func equalInts(a, b int) bool { return a == b }

func TestDiffNeedsEqual(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("Diff without equal does not panic")
		}
	}()
	Diff(New[int, int](), New[int, int](), nil)
}

// TestDiffSkips counts what Diff looks at between relatives: the changed entries and no other.
func TestDiffSkips(t *testing.T) {
	keys := ids(50000)
	a := built(keys)
	b := a.Builder()
	for i := range 100 {
		b.Set(keys[i*400], -1)
	}
	for i := range 50 {
		b.Delete(keys[i*400+1])
		b.Set(fmt.Sprintf("new_%d", i), i)
	}
	next := b.Map()
	asked := 0
	got := map[ChangeKind]int{}
	for c := range Diff(a, next, func(x, y int) bool { asked++; return x == y }) {
		got[c.Kind]++
	}
	if want := map[ChangeKind]int{Added: 50, Removed: 50, Changed: 100}; !maps.Equal(got, want) {
		t.Errorf("changes are %v, want %v", got, want)
	}
	if asked != 100 {
		t.Errorf("equal was asked %d times, for 100 changed values", asked)
	}
	same := Diff(next, next, func(int, int) bool { t.Error("equal was asked about one and the same map"); return true })
	for c := range same {
		t.Errorf("a map differs from itself: %v", c)
	}
}

// TestDiffVisitsFewBranches proves the cost: Diff must not walk what two relatives share, whether a
// change leaves the regions of the branches above as they are or not.
func TestDiffVisitsFewBranches(t *testing.T) {
	keys := ids(50000)
	a := built(keys)
	relatives := map[ChangeKind]*Map[string, int]{
		Changed: a.Set(keys[123], -1),
		Removed: a.Delete(keys[123]),
	}
	more := a.Builder() // some of so many split a bucket, beside elements that are shared
	for i := range 200 {
		more.Set(fmt.Sprint("new_", i), i)
	}
	relatives[Added] = more.Map()
	for kind, b := range relatives {
		want := max(1, b.Len()-a.Len())
		// Putting something that no walk survives in the place of what is shared makes Diff crash if it goes there.
		poisonedA := &Map[string, int]{root: poison(a.root, b.root), length: a.length}
		poisonedB := &Map[string, int]{root: poison(b.root, a.root), length: b.length}
		n := 0
		for c := range Diff(poisonedA, poisonedB, equalInts) {
			n++
			if c.Kind != kind {
				t.Errorf("%s: Diff yields %v", kind, c)
			}
		}
		if n != want {
			t.Errorf("%s: Diff yields %d changes, want %d", kind, n, want)
		}
	}
}

// poisonBucket crashes a walk: a list of a slot without a leaf. poisonBranch has nothing else.
var (
	poisonBucket = newList(nobody, []slot[string, int]{{}, {}})
	poisonBranch = func() *branch {
		var p pieces
		p.add(0, unsafe.Pointer(poisonBucket))
		return p.branch(nobody)
	}()
)

// poison answers n with poison in the place of each element that other shares.
func poison(n, other *branch) *branch {
	var own pieces
	own.starts, own.subs, own.count = n.starts, n.subs, copy(own.elements[:], n.elements())
	dup := own.branch(nobody)
	_ = eachElement(n, func(r region, isBranch bool, p unsafe.Pointer) error {
		at := uint64(r.first)
		if other.region(at) != r || other.isBranch(at) != isBranch {
			return nil
		}
		switch in, q := dup.element(n.index(at)), *other.element(other.index(at)); {
		case p != q && isBranch:
			*in = unsafe.Pointer(poison((*branch)(p), (*branch)(q)))
		case p != q || p == nil:
		case isBranch:
			*in = unsafe.Pointer(poisonBranch)
		default:
			*in = unsafe.Pointer(poisonBucket)
		}
		return nil
	})
	return dup
}

func TestDiffStops(t *testing.T) {
	keys := ids(3000)
	for _, d := range droppings {
		few := keys
		if d.dropped != 0 {
			few = keys[:200]
		}
		a, b := newDropping[string, int](d.dropped), newDropping[string, int](d.dropped)
		for i, k := range few {
			if i%3 != 0 {
				a = a.Set(k, i)
			}
			if i%4 != 0 {
				b = b.Set(k, i%2)
			}
		}
		whole := 0
		for range Diff(a, b, equalInts) {
			whole++
		}
		for stop := 1; stop <= whole; stop += 1 + whole/50 {
			n := 0
			for range Diff(a, b, equalInts) {
				if n++; n == stop {
					break
				}
			}
			if n != stop {
				t.Errorf("%s: stopped after %d of %d", d.name, n, stop)
			}
		}
	}
}

// TestDiffOfStrangers walks maps without a common node, of which one may be empty.
func TestDiffOfStrangers(t *testing.T) {
	keys := ids(2000)
	a, b := built(keys[:1500]), built(keys[500:])
	got := map[ChangeKind]int{}
	for c := range Diff(a, b, func(x, y int) bool { return x == y+500 }) {
		got[c.Kind]++
	}
	if want := map[ChangeKind]int{Added: 500, Removed: 500}; !maps.Equal(got, want) {
		t.Errorf("changes are %v, want %v", got, want)
	}
	for _, c := range []struct {
		a, b *Map[string, int]
		kind ChangeKind
	}{{a, nil, Removed}, {nil, a, Added}} {
		n := 0
		for change := range Diff(c.a, c.b, equalInts) {
			n++
			if v, _ := a.Get(change.Key); change.Kind != c.kind || change.Old+change.New != v {
				t.Fatalf("Diff yields %v", change)
			}
		}
		if n != 1500 {
			t.Errorf("%s: %d changes", c.kind, n)
		}
	}
}

func TestChangeKindString(t *testing.T) {
	for k, want := range map[ChangeKind]string{0: "ChangeKind(0)", Added: "added", Removed: "removed", Changed: "changed"} {
		if k.String() != want {
			t.Errorf("%d is %q, want %q", uint8(k), k, want)
		}
	}
}
