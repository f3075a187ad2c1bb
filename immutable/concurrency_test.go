package immutable

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
)

// TestReadersBesideAWriter lets one builder move amounts between accounts and publish
// a map after each batch, while readers check that every map they get sums to zero and that maps
// they have kept go on doing so. Run it with -race: a write into a node that was given out shows up there.
func TestReadersBesideAWriter(t *testing.T) {
	for _, dropped := range []uint64{0, ^uint64(0x1f)} {
		t.Run(fmt.Sprintf("dropped %#x", dropped), func(t *testing.T) {
			readersBesideAWriter(t, dropped)
		})
	}
}

func readersBesideAWriter(t *testing.T, dropped uint64) {
	const accounts, readers, batches = 300, 4, 400
	var published atomic.Pointer[Map[int, int]]
	b := newDropping[int, int](dropped).Builder()
	published.Store(b.Map())
	var done atomic.Bool
	var wg sync.WaitGroup
	for r := range readers {
		wg.Go(func() {
			var kept [8]*Map[int, int]
			for i := 0; !done.Load() || i < len(kept); i++ {
				now := published.Load()
				kept[i%len(kept)] = now
				old := kept[(i+1)%len(kept)]
				for _, m := range []*Map[int, int]{now, old} {
					if err := balanced(m, r); err != nil {
						t.Error(err)
						return
					}
				}
				sum := 0
				for c := range Diff(old, now, equalInts) {
					sum += c.New - c.Old
				}
				if sum != 0 {
					t.Errorf("a difference sums to %d", sum)
				}
			}
		})
	}
	for batch := range batches {
		for i := range 20 {
			from, to := (batch*31+i*7)%accounts, (batch*17+i*13)%accounts
			f, _ := b.Get(from)
			b.Set(from, f-i)
			v, _ := b.Get(to)
			b.Set(to, v+i)
			if v, _ := b.Get(from); v == 0 {
				b.Delete(from)
			}
		}
		published.Store(b.Map())
	}
	done.Store(true)
	wg.Wait()
	mustCheck(t, published.Load())
}

// balanced reads all of m in one of several ways.
func balanced(m *Map[int, int], how int) error {
	sum, n := 0, 0
	if how%2 == 0 {
		for k, v := range m.All() {
			got, ok := m.Get(k)
			if !ok || got != v {
				return fmt.Errorf("Get(%d) = %d, %t, All says %d", k, got, ok, v)
			}
			sum += v
			n++
		}
	} else {
		it := m.Iterator()
		for _, v, ok := it.Next(); ok; _, v, ok = it.Next() {
			sum += v
			n++
		}
	}
	if sum != 0 || n != m.Len() {
		return fmt.Errorf("%d entries of %d sum to %d", n, m.Len(), sum)
	}
	return nil
}

// TestBuildersOfOneMap lets many goroutines build on one map at once.
func TestBuildersOfOneMap(t *testing.T) {
	keys := ids(2000)
	base := built(keys)
	var wg sync.WaitGroup
	for g := range 6 {
		wg.Go(func() {
			b := base.Builder()
			for i := g; i < len(keys); i += 3 {
				b.Set(keys[i], -g)
				b.Delete(keys[i-g/2])
				if i%100 == 0 {
					b.Map()
				}
			}
			if err := b.check(); err != nil {
				t.Error(err)
			}
			next := base.Set(keys[g], g).Delete(keys[g+1])
			if next.Len() != len(keys)-1 {
				t.Errorf("Len is %d", next.Len())
			}
		})
	}
	wg.Wait()
	for i, k := range keys {
		if v, ok := base.Get(k); !ok || v != i {
			t.Fatalf("Get(%q) = %d, %t", k, v, ok)
		}
	}
}
