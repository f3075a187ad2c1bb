package immutable

import (
	"runtime"
	"sync"
	"sync/atomic"
)

// gatherLeast is the number of values from which Gather goes about it otherwise than a Builder does.
const gatherLeast = 4096

// Gather answers a map of the values in all chunks, each under the key that key answers for it. Of values with one key
// the last one stays. Many values take a fraction of the time that a [Builder] needs, since no part of the map is made
// twice, and as many goroutines as there are processors share the work; all have ended when Gather returns. key is
// called by them.
//
// The map keeps the values where they are: they must not be modified from here on, and each keeps its whole chunk
// alive for as long as any map holds it.
func Gather[K comparable, V any](chunks [][]V, key func(*V) K) *Map[K, V] {
	count := 0
	for _, c := range chunks {
		count += len(c)
	}
	if count >= gatherLeast {
		if m := gather(chunks, count, hasherFor[K](hasher{}), key); m != nil {
			return m
		}
	}
	return gatherOneByOne(chunks, hasher{}, key)
}

// gatherOneByOne does it for few values, and where keys occur twice.
func gatherOneByOne[K comparable, V any](chunks [][]V, h hasher, key func(*V) K) *Map[K, V] {
	m := &Map[K, V]{hasher: h}
	o := newOwner()
	for _, c := range chunks {
		for i := range c {
			m.set(o, key(&c[i]), &c[i])
		}
	}
	return m
}

// gather sorts the values by the upper byte of their hashes, so that each place of the root is built from a run of them,
// without looking at the others. It answers nil if two have one key.
func gather[K comparable, V any](chunks [][]V, count int, h hasher, key func(*V) K) *Map[K, V] {
	g := gathering[K, V]{chunks: chunks, hasher: h, key: key, all: make([]hashed[K, V], count)}
	workers := min(runtime.GOMAXPROCS(0), len(chunks))
	g.sort(workers)
	for place := range places {
		if len(g.run(place)) <= limit[K, V]() { // the root may be more than a branch in each place
			p := pieces{wary: true}
			spread(&p, nobody, 0, region{0, places}, g.all)
			return g.finish(&p)
		}
	}
	var p pieces
	var branches [places]*branch
	var twice atomic.Bool
	var next atomic.Int64
	together(workers, func(int) {
		for place := int(next.Add(1)) - 1; place < places; place = int(next.Add(1)) - 1 {
			q := pieces{wary: true}
			spread(&q, nobody, bitsPerLevel, region{0, places}, g.run(place))
			branches[place] = q.branch(nobody)
			if q.twice {
				twice.Store(true)
			}
		}
	})
	for place, n := range branches {
		p.addBranch(place, n)
	}
	p.twice = twice.Load()
	return g.finish(&p)
}

// gathering is the values on their way into a map.
type gathering[K comparable, V any] struct {
	chunks [][]V
	hasher hasher
	key    func(*V) K
	// all are sorted by the upper byte of their hashes, and ends has where those of each end.
	all  []hashed[K, V]
	ends [256]int
}

// sort fills all. Each worker has a run of the chunks, hashes them, and then knows where the others leave room for it.
func (g *gathering[K, V]) sort(workers int) {
	hashes := make([][]uint64, workers)
	counts := make([][256]int, workers)
	part := func(w int) [][]V { return g.chunks[w*len(g.chunks)/workers : (w+1)*len(g.chunks)/workers] }
	together(workers, func(w int) {
		count := 0
		for _, c := range part(w) {
			count += len(c)
		}
		all := make([]uint64, 0, count)
		for _, c := range part(w) {
			for i := range c {
				h := hash(g.hasher, g.key(&c[i]))
				all = append(all, h)
				counts[w][h>>56]++
			}
		}
		hashes[w] = all
	})
	at := 0
	for b := range g.ends {
		for w := range counts {
			counts[w][b], at = at, at+counts[w][b]
		}
		g.ends[b] = at
	}
	together(workers, func(w int) {
		next := &counts[w]
		all := hashes[w]
		for _, c := range part(w) {
			for i := range c {
				h := all[0]
				all = all[1:]
				g.all[next[h>>56]] = hashed[K, V]{h, slot[K, V]{g.key(&c[i]), &c[i]}}
				next[h>>56]++
			}
		}
	})
}

// run are the values that belong in a place of the root.
func (g *gathering[K, V]) run(place int) []hashed[K, V] {
	begin := 0
	if place > 0 {
		begin = g.ends[place<<bitsPerLevel-1]
	}
	return g.all[begin:g.ends[(place+1)<<bitsPerLevel-1]]
}

// finish answers the map whose root consists of the pieces.
func (g *gathering[K, V]) finish(p *pieces) *Map[K, V] {
	if p.twice {
		return nil
	}
	return &Map[K, V]{root: p.branch(nobody), length: len(g.all), hasher: g.hasher}
}

// together calls f with 0 to workers-1 at once and waits for all. What one of them panics with, together does.
func together(workers int, f func(w int)) {
	var all sync.WaitGroup
	var panicked atomic.Pointer[any]
	for w := range workers {
		all.Go(func() {
			defer func() {
				if p := recover(); p != nil {
					panicked.Store(&p)
				}
			}()
			f(w)
		})
	}
	all.Wait()
	if p := panicked.Load(); p != nil {
		panic(*p)
	}
}

// hasTwice says whether two slots have one key.
func hasTwice[K comparable, V any](all []hashed[K, V]) bool {
	for i := range all {
		for j := range i {
			if all[i].hash == all[j].hash && all[i].slot.key == all[j].slot.key {
				return true
			}
		}
	}
	return false
}
