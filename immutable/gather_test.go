package immutable

import (
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// entry is a value that knows its key.
type entry struct {
	key string
	n   int
}

func keyOf(e *entry) string { return e.key }

// entriesOf makes entries with numbers of their own, in chunks of different lengths.
func entriesOf(keys []string) (chunks [][]entry) {
	rng := rand.New(rand.NewPCG(5, 6))
	for n := 0; n < len(keys); {
		c := make([]entry, min(rng.IntN(40), len(keys)-n))
		for i := range c {
			c[i] = entry{keys[n], n}
			n++
		}
		chunks = append(chunks, c)
	}
	return chunks
}

// Gather makes the very map that a builder makes of the same values, and of values with one key the last one stays.
func TestGather(t *testing.T) {
	for _, n := range []int{0, 1, 8, 9, 100, gatherLeast - 1, gatherLeast, 3 * gatherLeast, 100_000} {
		for _, twice := range []int{0, 1, n / 2} {
			keys := ids(n)
			for i := range min(twice, n/3) {
				keys[n-1-i*2] = keys[i]
			}
			chunks := entriesOf(keys)
			b := NewBuilder[string, entry]()
			for _, e := range slices.Concat(chunks...) {
				b.Set(e.key, e)
			}
			got, want := Gather(chunks, keyOf), b.Map()
			mustCheck(t, got)
			if !maps.Equal(maps.Collect(got.All()), maps.Collect(want.All())) || !sameShape(got, want) {
				t.Errorf("%d values, %d of them twice: %d are in the map, want %d", n, twice, got.Len(), want.Len())
			}
			if n > 0 {
				// What it has made is nobody's: changes of it are copies.
				changed := got.Builder()
				changed.Set(keys[0], entry{keys[0], -1})
				if e, _ := got.Get(keys[0]); e.n == -1 {
					t.Error("a builder has changed the map in place")
				}
			}
		}
	}
}

// Hashes that lack bits make places of the root empty, branches deep and lists long.
func TestGatherCollisions(t *testing.T) {
	keys := ids(2 * gatherLeast)
	for _, dropped := range []uint64{math.MaxUint64, math.MaxUint64 >> 1, math.MaxUint64 - 15, 0xff << 56, 0xf << 56} {
		few := keys
		if dropped == math.MaxUint64 || dropped == math.MaxUint64>>1 {
			few = keys[:300] // a change of a list copies it
		}
		for _, again := range []bool{false, true} {
			some := slices.Clone(few)
			if again {
				some[len(some)-1] = some[0]
			}
			h := hasherFor[string](hasher{dropped: dropped})
			chunks := entriesOf(some)
			want := gatherOneByOne(chunks, hasher{dropped: dropped}, keyOf)
			got := gather(chunks, len(some), h, keyOf)
			if again {
				if got != nil {
					t.Errorf("dropped %#x: a key that comes twice is not noticed", dropped)
				}
				continue
			}
			mustCheck(t, got)
			if got.Len() != want.Len() || !maps.Equal(maps.Collect(got.All()), maps.Collect(want.All())) || !sameShape(got, want) {
				t.Errorf("dropped %#x: %d entries, want %d", dropped, got.Len(), want.Len())
			}
		}
	}
}

// What a key function panics with, Gather does, in whatever goroutine that was.
func TestGatherPanics(t *testing.T) {
	chunks := entriesOf(ids(gatherLeast))
	defer func() {
		if p := recover(); p != "no key" {
			t.Errorf("it panicked with %v", p)
		}
	}()
	Gather(chunks, func(e *entry) string {
		if e.n == gatherLeast/2 {
			panic("no key")
		}
		return e.key
	})
}

// BenchmarkGather makes maps beside a builder.
func BenchmarkGather(b *testing.B) {
	for _, n := range []int{10_000, 1_000_000} {
		keys := ids(n)
		var chunks [][]entry
		for c := range slices.Chunk(keys, 16) {
			chunks = append(chunks, entriesOf(c)...)
		}
		b.Run(fmt.Sprint("gather/", n), func(b *testing.B) {
			for b.Loop() {
				Gather(chunks, keyOf)
			}
		})
		b.Run(fmt.Sprint("builder/", n), func(b *testing.B) {
			for b.Loop() {
				gatherOneByOne(chunks, hasher{}, keyOf)
			}
		})
	}
}
