package immutable

import (
	"fmt"
	"hash/maphash"
	"math/rand/v2"
	"sync"
	"testing"
)

// Sizes at which most benchmarks run; the goals of the project name them.
var sizes = []int{1_000, 100_000, 1_000_000}

// fixture is a map of wide values by size, with what it was made of, in random order.
// Built once for all benchmarks: a million entries take a second.
type fixture struct {
	keys    []string
	m       *Map[string, wide]
	builtin map[string]wide
}

var fixtures sync.Map // size → *fixture

func fixtureOf(b *testing.B, size int) *fixture {
	b.Helper()
	if f, ok := fixtures.Load(size); ok {
		return f.(*fixture)
	}
	f := &fixture{keys: ids(size), builtin: map[string]wide{}}
	rng := rand.New(rand.NewPCG(3, 4))
	rng.Shuffle(size, func(i, j int) { f.keys[i], f.keys[j] = f.keys[j], f.keys[i] })
	build := NewBuilder[string, wide]()
	for i, k := range f.keys {
		v := wide{ID: k, Position: uint64(i)}
		build.Set(k, v)
		f.builtin[k] = v
	}
	f.m = build.Map()
	rng.Shuffle(size, func(i, j int) { f.keys[i], f.keys[j] = f.keys[j], f.keys[i] })
	fixtures.Store(size, f)
	return f
}

// forSizes runs a benchmark per size.
func forSizes(b *testing.B, run func(*testing.B, *fixture)) {
	for _, size := range sizes {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			f := fixtureOf(b, size)
			b.ReportAllocs()
			b.ResetTimer()
			run(b, f)
		})
	}
}

// order answers 2^16 keys to ask for: uniformly, or so that few are asked for often.
func (f *fixture) order(zipf bool) []string {
	rng := rand.New(rand.NewPCG(5, 6))
	z := rand.NewZipf(rng, 1.1, 1, uint64(len(f.keys)-1))
	out := make([]string, 1<<16)
	for i := range out {
		j := rng.IntN(len(f.keys))
		if zipf {
			j = int(z.Uint64())
		}
		out[i] = f.keys[j]
	}
	return out
}

// BenchmarkGet has the built-in map beside it, which is the limit.
func BenchmarkGet(b *testing.B) {
	for _, skew := range []string{"uniform", "zipf"} {
		b.Run(skew+"/immutable", func(b *testing.B) {
			forSizes(b, func(b *testing.B, f *fixture) {
				keys := f.order(skew == "zipf")
				sum, i := uint64(0), 0
				for b.Loop() {
					v, _ := f.m.Get(keys[i&(1<<16-1)])
					sum += v.Position
					i++
				}
				_ = sum
			})
		})
		b.Run(skew+"/builtin", func(b *testing.B) {
			forSizes(b, func(b *testing.B, f *fixture) {
				keys := f.order(skew == "zipf")
				sum, i := uint64(0), 0
				for b.Loop() {
					v := f.builtin[keys[i&(1<<16-1)]]
					sum += v.Position
					i++
				}
				_ = sum
			})
		})
	}
}

// BenchmarkHash has hash/maphash beside it.
func BenchmarkHash(b *testing.B) {
	keys := ids(1000)
	for name, h := range map[string]func(string) uint64{
		"immutable": hashString,
		"maphash":   func(s string) uint64 { return maphash.String(seed, s) },
	} {
		b.Run(name, func(b *testing.B) {
			sum, i := uint64(0), 0
			for b.Loop() {
				sum += h(keys[i%1000])
				i++
			}
			_ = sum
		})
	}
}

func BenchmarkSet(b *testing.B) {
	forSizes(b, func(b *testing.B, f *fixture) {
		i := 0
		for b.Loop() {
			k := f.keys[i%len(f.keys)]
			f.m.Set(k, wide{ID: k})
			i++
		}
	})
}

func BenchmarkDelete(b *testing.B) {
	forSizes(b, func(b *testing.B, f *fixture) {
		i := 0
		for b.Loop() {
			f.m.Delete(f.keys[i%len(f.keys)])
			i++
		}
	})
}

// BenchmarkBatch makes 1,000 changes through a builder and takes the map.
func BenchmarkBatch(b *testing.B) {
	forSizes(b, func(b *testing.B, f *fixture) {
		i := 0
		for b.Loop() {
			build := f.m.Builder()
			for range 1000 {
				k := f.keys[i%len(f.keys)]
				build.Set(k, wide{ID: k})
				i++
			}
			build.Map()
		}
	})
}

// BenchmarkBuild makes the whole map from nothing.
func BenchmarkBuild(b *testing.B) {
	forSizes(b, func(b *testing.B, f *fixture) {
		for b.Loop() {
			build := NewBuilder[string, wide]()
			for _, k := range f.keys {
				build.Set(k, wide{ID: k})
			}
			build.Map()
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(f.keys)), "ns/entry")
	})
}

// BenchmarkIterate has the built-in map beside it.
func BenchmarkIterate(b *testing.B) {
	perEntry := func(b *testing.B, f *fixture) {
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(f.keys)), "ns/entry")
	}
	b.Run("all", func(b *testing.B) {
		forSizes(b, func(b *testing.B, f *fixture) {
			sum := uint64(0)
			for b.Loop() {
				for _, v := range f.m.All() {
					sum += v.Position
				}
			}
			perEntry(b, f)
		})
	})
	b.Run("iterator", func(b *testing.B) {
		forSizes(b, func(b *testing.B, f *fixture) {
			sum := uint64(0)
			for b.Loop() {
				it := f.m.Iterator()
				for _, v, ok := it.Next(); ok; _, v, ok = it.Next() {
					sum += v.Position
				}
			}
			perEntry(b, f)
		})
	})
	b.Run("builtin", func(b *testing.B) {
		forSizes(b, func(b *testing.B, f *fixture) {
			sum := uint64(0)
			for b.Loop() {
				for _, v := range f.builtin {
					sum += v.Position
				}
			}
			perEntry(b, f)
		})
	})
}

// BenchmarkDiff compares a map with one that has up to 1,000 entries changed.
func BenchmarkDiff(b *testing.B) {
	forSizes(b, func(b *testing.B, f *fixture) {
		build := f.m.Builder()
		for _, k := range f.keys[:1000] {
			build.Set(k, wide{})
		}
		next := build.Map()
		n := 0
		for b.Loop() {
			for range Diff(f.m, next, func(x, y wide) bool { return x.ID == y.ID }) {
				n++
			}
		}
		if n != 1000*b.N {
			b.Fatalf("%d changes", n)
		}
	})
}
