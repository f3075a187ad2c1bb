package immutable

import (
	"fmt"
	"maps"
	"math"
	"math/bits"
	"math/rand/v2"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"
)

// wide is a value of the width that entity states have: 112 bytes.
type wide struct {
	ID        string
	UpdatedAt time.Time
	UpdatedBy string
	Attrs     *int
	Position  uint64
	ChangedAt time.Time
}

func ids(n int) []string {
	out := make([]string, n)
	for i := range out {
		out[i] = fmt.Sprintf("light.kitchen_lamp_%06d", i)
	}
	return out
}

// built answers a map of keys to their indexes.
func built(keys []string) *Map[string, int] {
	return Collect(func(yield func(string, int) bool) {
		for i, k := range keys {
			if !yield(k, i) {
				return
			}
		}
	})
}

func mustCheck[K comparable, V any](t *testing.T, m *Map[K, V]) {
	t.Helper()
	if err := m.check(); err != nil {
		t.Fatal(err)
	}
}

func TestEmptyMaps(t *testing.T) {
	var none *Map[string, int]
	for name, m := range map[string]*Map[string, int]{"nil": none, "zero": {}, "new": New[string, int](), "emptied": none.Set("a", 1).Delete("a")} {
		t.Run(name, func(t *testing.T) {
			mustCheck(t, m)
			if v, ok := m.Get("a"); ok || v != 0 {
				t.Errorf("Get = %d, %t", v, ok)
			}
			if m.Len() != 0 {
				t.Errorf("Len = %d", m.Len())
			}
			if m.Delete("a") != m {
				t.Error("Delete answers another map")
			}
			for k := range m.All() {
				t.Errorf("All yields %q", k)
			}
			for k := range m.Keys() {
				t.Errorf("Keys yields %q", k)
			}
			for v := range m.Values() {
				t.Errorf("Values yields %d", v)
			}
			if k, _, ok := m.Iterator().Next(); ok {
				t.Errorf("Next answers %q", k)
			}
			for c := range Diff(m, none, func(a, b int) bool { return a == b }) {
				t.Errorf("Diff yields %v", c)
			}
			one := m.Set("a", 1)
			mustCheck(t, one)
			if v, ok := one.Get("a"); !ok || v != 1 || one.Len() != 1 || m.Len() != 0 {
				t.Errorf("after Set: Get = %d, %t, Len %d, before %d", v, ok, one.Len(), m.Len())
			}
			b := m.Builder()
			if got := b.Map(); got == nil || got.Len() != 0 {
				t.Errorf("Builder().Map() = %v", got)
			}
			b.Set("a", 1)
			if b.Len() != 1 || m.Len() != 0 {
				t.Errorf("after Builder.Set: %d, map %d", b.Len(), m.Len())
			}
		})
	}
}

// TestGrowAndShrink goes through every size up to some thousands and back, and
// expects the same shape at the same size.
func TestGrowAndShrink(t *testing.T) {
	for _, d := range droppings {
		t.Run(d.name, func(t *testing.T) {
			keys := ids(3000)
			if d.dropped != 0 {
				keys = keys[:300] // long lists of collisions are slow to check
			}
			m := newDropping[string, int](d.dropped)
			sizes := []*Map[string, int]{m}
			for i, k := range keys {
				m = m.Set(k, i)
				sizes = append(sizes, m)
			}
			for i := len(keys) - 1; i >= 0; i-- {
				m = m.Delete(keys[i])
				if m.Len() != i {
					t.Fatalf("Len is %d, want %d", m.Len(), i)
				}
				if i%7 == 0 {
					mustCheck(t, m)
					mustCheck(t, sizes[i])
					if !sameShape(m, sizes[i]) {
						t.Fatalf("%d entries have two shapes", i)
					}
				}
			}
		})
	}
}

func TestAllStops(t *testing.T) {
	m := built(ids(1000))
	for stop := 1; stop <= 1000; stop += 111 {
		all, keys, values := 0, 0, 0
		for range m.All() {
			if all++; all == stop {
				break
			}
		}
		for range m.Keys() {
			if keys++; keys == stop {
				break
			}
		}
		for range m.Values() {
			if values++; values == stop {
				break
			}
		}
		if all != stop || keys != stop || values != stop {
			t.Errorf("stopped after %d, %d, %d of %d", all, keys, values, stop)
		}
	}
}

func TestKeysAndValues(t *testing.T) {
	keys := ids(1000)
	m := built(keys)
	if got := slices.Sorted(m.Keys()); !slices.Equal(got, keys) {
		t.Errorf("Keys are %v", got)
	}
	got := slices.Sorted(m.Values())
	for i, v := range got {
		if v != i {
			t.Fatalf("Values are %v", got)
		}
	}
	if len(got) != len(keys) {
		t.Errorf("%d values", len(got))
	}
}

func TestCollect(t *testing.T) {
	m := Collect(func(yield func(string, int) bool) {
		_ = yield("a", 1) && yield("b", 2) && yield("a", 3)
	})
	mustCheck(t, m)
	if got, want := maps.Collect(m.All()), map[string]int{"a": 3, "b": 2}; !maps.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if m := Collect(maps.All(map[int]int{})); m == nil || m.Len() != 0 {
		t.Errorf("of nothing: %v", m)
	}
}

// TestKeyTypes tries keys whose equality is not that of their bytes.
func TestKeyTypes(t *testing.T) {
	type point struct {
		x float64
		_ int
	}
	t.Run("negative zero", func(t *testing.T) {
		m := New[point, int]().Set(point{x: 0}, 1).Set(point{x: math.Copysign(0, -1)}, 2)
		if m.Len() != 1 {
			t.Errorf("0 and -0 are two keys")
		}
		for k, v := range m.All() {
			if !math.Signbit(k.x) || v != 2 {
				t.Errorf("key %v, value %d: Set replaced half of the entry", k, v)
			}
		}
	})
	t.Run("interface", func(t *testing.T) {
		m := New[any, string]().Set(1, "int").Set(int64(1), "int64").Set("1", "string").Set(nil, "nil").Set([2]int{1, 2}, "array")
		for k, want := range map[any]string{1: "int", int64(1): "int64", "1": "string", nil: "nil", [2]int{1, 2}: "array"} {
			if got, _ := m.Get(k); got != want {
				t.Errorf("Get(%T) = %q, want %q", k, got, want)
			}
		}
		defer func() {
			if recover() == nil {
				t.Error("Get of a slice does not panic")
			}
		}()
		m.Get([]int{1})
	})
	t.Run("NaN", func(t *testing.T) {
		nan := math.NaN()
		m := New[float64, int]()
		for i := range 100 {
			m = m.Set(nan, i)
		}
		mustCheck(t, m)
		if _, ok := m.Get(nan); ok || m.Len() != 100 || m.Delete(nan) != m {
			t.Errorf("NaN is found, or counted %d times", m.Len())
		}
		// One that has moved within its bucket is still the same entry.
		few := New[float64, int]().Set(1, 1).Set(nan, 2).Set(3, 3)
		for c := range Diff(few, few.Delete(1), func(a, b int) bool { return a == b }) {
			if c.Kind != Removed || c.Key != 1 {
				t.Errorf("after a deletion, Diff yields %v", c)
			}
		}
		next := m.Set(1, 1)
		for c := range Diff(m, next, func(a, b int) bool { return a == b }) {
			if c.Kind != Added || c.Key != 1 {
				t.Errorf("Diff yields %v", c)
			}
		}
	})
	t.Run("pointer", func(t *testing.T) {
		a, b := new(int), new(int)
		m := New[*int, string]().Set(a, "a").Set(b, "b")
		if got, _ := m.Get(a); got != "a" || m.Len() != 2 {
			t.Errorf("Get(a) = %q of %d", got, m.Len())
		}
	})
	t.Run("nothing", func(t *testing.T) {
		m := New[struct{}, int]().Set(struct{}{}, 1).Set(struct{}{}, 2)
		if got, _ := m.Get(struct{}{}); got != 2 || m.Len() != 1 {
			t.Errorf("Get = %d of %d", got, m.Len())
		}
	})
}

// TestEntries: every entry once, with what it was when it was yielded, whatever is made of the map after it.
func TestEntries(t *testing.T) {
	for _, d := range droppings {
		t.Run(d.name, func(t *testing.T) {
			b := newDropping[string, int](d.dropped).Builder()
			keys := ids(500)
			for i, k := range keys {
				b.Set(k, i)
			}
			entries := slices.Collect(b.Map().Entries())
			for _, k := range keys {
				b.Set(k, -1)
			}
			seen := map[string]int{}
			for _, e := range entries {
				seen[e.Key()] = e.Value()
			}
			for i, k := range keys {
				if v, ok := seen[k]; !ok || v != i {
					t.Errorf("%q: %d, %t", k, v, ok)
				}
			}
			if len(entries) != len(keys) {
				t.Errorf("%d entries", len(entries))
			}
			for range b.Map().Entries() {
				break
			}
		})
	}
	for e := range (*Map[string, int])(nil).Entries() {
		t.Errorf("a nil map has %v", e)
	}
	if e := (Entry[string, int]{}); e.Key() != "" || e.Value() != 0 {
		t.Error("the zero Entry is something")
	}
}

// TestValuesWithoutSize tries values that all have one address.
func TestValuesWithoutSize(t *testing.T) {
	a, b := New[int, struct{}](), New[int, struct{}]()
	for i := range 500 {
		a, b = a.Set(i, struct{}{}), b.Set(i+100, struct{}{})
	}
	mustCheck(t, a)
	n := map[ChangeKind]int{}
	for c := range Diff(a, b, func(_, _ struct{}) bool { return true }) {
		n[c.Kind]++
	}
	if want := map[ChangeKind]int{Added: 100, Removed: 100}; !maps.Equal(n, want) {
		t.Errorf("changes are %v, want %v", n, want)
	}
	for range a.Values() {
		n[Changed]++
	}
	if n[Changed] != 500 {
		t.Errorf("%d values", n[Changed])
	}
}

// TestLimits tries keys of all widths that make a difference for the size of a bucket.
func TestLimits(t *testing.T) {
	testLimit(t, 8, func(i int) int { return i })
	testLimit(t, 4, func(i int) [5]int { return [5]int{i} })
	testLimit(t, 2, func(i int) [50]int { return [50]int{49: i} })
}

func testLimit[K comparable](t *testing.T, want int, key func(int) K) {
	if bits.UintSize == 64 && limit[K, int]() != want {
		t.Errorf("a bucket has %d slots, want %d", limit[K, int](), want)
	}
	m := New[K, int]()
	for i := range 300 {
		m = m.Set(key(i), i)
	}
	mustCheck(t, m)
	for i := range 300 {
		if v, ok := m.Get(key(i)); !ok || v != i {
			t.Fatalf("Get = %d, %t, want %d", v, ok, i)
		}
		if i%2 == 0 {
			m = m.Delete(key(i))
		}
	}
	mustCheck(t, m)
	if m.Len() != 150 {
		t.Errorf("%d are left", m.Len())
	}
}

// TestStringTypes reads, with keys of every length that is hashed in its own way, what was set.
func TestStringTypes(t *testing.T) {
	type name string
	m := New[name, int]()
	for n := range 100 {
		for _, c := range []string{"a", "b"} { // which differ in one byte, at the start, in the middle, at the end
			for _, at := range []int{0, n / 2, n} {
				raw := []byte(strings.Repeat("x", n+1))
				raw[at] = c[0]
				m = m.Set(name(raw), n)
			}
		}
	}
	mustCheck(t, m)
	want := map[name]int{}
	for k, n := range m.All() {
		want[k] = n
		if v, ok := m.Get(k); !ok || v != n {
			t.Fatalf("Get(%q) = %d, %t", k, v, ok)
		}
	}
	if _, ok := m.Get(""); ok || len(want) != m.Len() || m.Len() < 580 {
		t.Errorf("%d keys, %d of them different", m.Len(), len(want))
	}
	if m = m.Set("", -1); m.hasher.isString != true {
		t.Error("a type made of string is not hashed as a string")
	}
	if v, ok := m.Get(""); !ok || v != -1 {
		t.Errorf("Get of the empty string = %d, %t", v, ok)
	}
}

// TestGetAllocatesNothing covers hits, misses, collisions, wide values, builders, and a key
// that is made of bytes on the spot.
func TestGetAllocatesNothing(t *testing.T) {
	keys := ids(5000)
	m := New[string, wide]()
	collided := newDropping[string, wide](^uint64(3))
	b := m.Builder()
	for i, k := range keys {
		b.Set(k, wide{ID: k, Position: uint64(i)})
		if i < 50 {
			collided = collided.Set(k, wide{ID: k})
		}
	}
	m = b.Map()
	b.Set(keys[0], wide{})
	raw := []byte(keys[7])
	i := 0
	for name, get := range map[string]func() bool{
		"hit":       func() bool { v, ok := m.Get(keys[i%5000]); return ok && v.ID == keys[i%5000] },
		"miss":      func() bool { _, ok := m.Get("nobody"); return !ok },
		"collision": func() bool { v, ok := collided.Get(keys[i%50]); return ok && v.ID == keys[i%50] },
		"bytes":     func() bool { v, ok := m.Get(string(raw)); return ok && v.ID == keys[7] },
		"builder":   func() bool { v, ok := b.Get(keys[7]); return ok && v.ID == keys[7] },
		"nil":       func() bool { var none *Map[string, wide]; _, ok := none.Get(keys[0]); return !ok },
	} {
		ok := true
		allocs := testing.AllocsPerRun(1000, func() { i++; ok = ok && get() })
		if allocs != 0 || !ok {
			t.Errorf("%s: %v allocations, right answers: %t", name, allocs, ok)
		}
	}
}

// TestHashIsKeyed asks two other processes for the hash of one key: whoever
// knew it could choose keys that collide.
func TestHashIsKeyed(t *testing.T) {
	const asked = "STATEHOUSE_IMMUTABLE_TEST_HASH"
	if os.Getenv(asked) != "" {
		fmt.Printf("hash=%#x,%#x;\n", hash(hasher{}, "lamp"), hash(hasher{isString: true}, "lamp"))
		return
	}
	seen := map[string]bool{}
	for range 2 {
		child := exec.Command(os.Args[0], "-test.run=^TestHashIsKeyed$")
		child.Env = append(os.Environ(), asked+"=1")
		out, err := child.CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		_, answer, found := strings.Cut(string(out), "hash=")
		answer, _, ended := strings.Cut(answer, ";")
		if !found || !ended {
			t.Fatalf("no hash in %q", out)
		}
		seen[answer] = true
	}
	if len(seen) != 2 {
		t.Errorf("two processes have one hash: %v", seen)
	}
}

// TestHashSpreads would fail if a level of the trie, or the tags, did not tell keys apart.
func TestHashSpreads(t *testing.T) {
	keys := ids(4096)
	for _, h := range []hasher{{}, {isString: true}} {
		var tags [128]int
		for _, k := range keys {
			tags[hash(h, k)&0x7f]++
		}
		for tag, n := range tags {
			if n < 8 || n > 80 { // 32 are expected
				t.Errorf("%+v: tag %d has %d keys", h, tag, n)
			}
		}
		for shift := uint(0); shift < hashBits; shift += bitsPerLevel {
			var count [places]int
			for _, k := range keys {
				count[place(hash(h, k), shift)]++
			}
			for at, n := range count {
				if want := len(keys) / places; n < want/2 || n > want*2 {
					t.Errorf("%+v, shift %d: place %d has %d keys, %d expected", h, shift, at, n, want)
				}
			}
		}
	}
}

// TestDepth fills the longest path there is, and takes it down again.
func TestDepth(t *testing.T) {
	m := newDropping[int, int](^uint64(0)) // one hash for all: sixteen branches and a list
	want := map[int]int{}
	for i := range maxSlots + 2 {
		m = m.Set(i, i)
		want[i] = i
		mustCheck(t, m)
	}
	depth := 1
	n := m.root
	for ; n.isBranch(0); depth++ {
		n = (*branch)(*n.element(0))
	}
	if depth != maxLevels {
		t.Errorf("the path has %d branches, want %d", depth, maxLevels)
	}
	if got := maps.Collect(m.All()); !maps.Equal(got, want) {
		t.Errorf("contents are %v", got)
	}
	for i := range maxSlots + 1 {
		m = m.Delete(i)
		mustCheck(t, m)
	}
	if m.root.starts != 1 || m.root.subs != 0 {
		t.Error("the path outlived its entries")
	}
}

// TestWideRandom runs a large map of wide values through a long random program, which the small
// keys of the property tests do not reach.
func TestWideRandom(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	keys := ids(20000)
	model := map[string]uint64{}
	b := NewBuilder[string, wide]()
	m := b.Map()
	for step := range 60 {
		for range 1000 {
			k := keys[rng.IntN(len(keys))]
			if rng.IntN(3) == 0 {
				b.Delete(k)
				delete(model, k)
			} else {
				b.Set(k, wide{ID: k, Position: uint64(step)})
				model[k] = uint64(step)
			}
		}
		m = b.Map()
	}
	mustCheck(t, m)
	if m.Len() != len(model) {
		t.Fatalf("Len is %d, want %d", m.Len(), len(model))
	}
	for _, k := range keys {
		v, ok := m.Get(k)
		want, had := model[k]
		if ok != had || v.Position != want {
			t.Fatalf("Get(%q) = %v, %t, want %d, %t", k, v, ok, want, had)
		}
	}
}
