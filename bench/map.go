package main

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/statehouse/statehouse/eventstore"
	entityv1 "github.com/statehouse/statehouse/gen/statehouse/entity/v1"
	"github.com/statehouse/statehouse/immutable"
	"github.com/statehouse/statehouse/state"
)

// sizes of the maps, by what names call them.
var sizes = []struct {
	name    string
	entries int
}{{"1k", 1_000}, {"100k", 100_000}, {"1m", 1_000_000}}

func mapMeasures() []Measure {
	var all []Measure
	for _, size := range sizes {
		all = append(all,
			Measure{"map.get." + size.name, func() ([]Figure, error) { return mapGet(size.name, size.entries) }},
			Measure{"map.set." + size.name, func() ([]Figure, error) { return mapSet(size.name, size.entries) }},
			Measure{"map.batch1000." + size.name, func() ([]Figure, error) { return mapBatch(size.name, size.entries) }},
			Measure{"map.iterate." + size.name, func() ([]Figure, error) { return mapIterate(size.name, size.entries) }},
		)
	}
	return append(all,
		Measure{"map.get.contended", mapContended},
		Measure{"map.diff.1m", mapDiff},
		Measure{"map.bytes", mapBytes},
		Measure{"map.collide", mapCollide},
	)
}

// persistent answers the peers that have versions. In a map of a million the one that goals speak of is enough.
func persistent(size string) []func([]string) subject {
	if size == "1m" {
		return []func([]string) subject{newBenbjohnson}
	}
	return []func([]string) subject{newBenbjohnson, newRadix, newMemDB, newPart, newBTree}
}

const (
	// rounds are the turns that decide about a goal, someRounds if they are long, fewRounds those for comparison only.
	rounds     = 21
	someRounds = 7
	fewRounds  = 3
)

// changes are how many changes a turn makes in a map: several times what a collection of the garbage waits for.
var changes = map[string]int{"1k": 100_000, "100k": 100_000, "1m": 300_000}

var started = time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC)

// stateOf answers a state for an entity. What it points to is shared.
func stateOf(key string) state.State {
	return state.State{
		EntityID: key, UpdatedAt: started, UpdatedBy: "zigbee2mqtt", Attributes: attributes,
		Position: eventstore.Position(len(key)), ChangedAt: started,
	}
}

var attributes = &entityv1.Attributes{}

// entityKeys answers so many entity ids, in random order.
func entityKeys(count int) []string {
	keys := make([]string, count)
	for i, j := range rand.New(rand.NewPCG(1, 2)).Perm(count) {
		keys[i] = fmt.Sprintf("light.kitchen_lamp_%06d", j)
	}
	return keys
}

// lookupKeys answers keys to ask for, each equally often, or a few of them very often. Each is a
// string of its own, as in a program that got it with a request: no map is helped by finding the very same pointer.
func lookupKeys(keys []string, zipf bool) []string {
	rng := rand.New(rand.NewPCG(3, 4))
	z := rand.NewZipf(rng, 1.1, 1, uint64(len(keys)-1))
	asked := make([]string, min(1<<18, max(1<<14, 4*len(keys))))
	for i := range asked {
		j := rng.IntN(len(keys))
		if zipf {
			j = int(z.Uint64())
		}
		asked[i] = strings.Clone(keys[j])
	}
	return asked
}

// changeTurn answers a turn that changes so many keys, step at a time, going round and round, and answers the
// nanoseconds that it took for each. It starts with a collected heap and should be long enough for several collections, so that
// who leaves more garbage pays for it.
func changeTurn(keys []string, count, step int, do func([]string)) func() float64 {
	next := 0
	return func() float64 {
		runtime.GC()
		start := time.Now()
		for range count / step {
			do(keys[next : next+step])
			next = (next + step) % len(keys)
		}
		return float64(time.Since(start)) / float64(count)
	}
}

// sink takes what reading answers, so that it is not optimised away.
var sink atomic.Uint64

// lookups answers a turn of looking up keys again and again, for some milliseconds at least.
func (s subject) lookupTurn(keys []string) func() float64 {
	again := max(1, 1<<18/len(keys))
	return func() float64 {
		start := time.Now()
		sum := uint64(0)
		for range again {
			sum += s.lookups(keys)
		}
		sink.Add(sum)
		return float64(time.Since(start)) / float64(again*len(keys))
	}
}

// mapGet looks up entities that are there, and reads the whole of their states.
func mapGet(size string, entries int) ([]Figure, error) {
	goal := map[string]float64{"1k": 1.1, "100k": 1.2, "1m": 1.5}[size]
	keys := entityKeys(entries)
	ours, builtin := newOurs(keys), newBuiltin(keys)
	askedBy := map[string][]string{"uniform": lookupKeys(keys, false), "zipf": lookupKeys(keys, true)}
	var figures []Figure
	for _, skew := range []string{"uniform", "zipf"} {
		asked := askedBy[skew]
		runtime.GC()
		t := takeTurns(rounds, ours.lookupTurn(asked), builtin.lookupTurn(asked))
		allocated := testing.AllocsPerRun(1, func() { sink.Add(ours.lookups(asked)) })
		figures = append(figures, Figure{"ns", t[0], builtin.name + ", " + skew, t[1],
			atMost(goal).withoutAllocation(allocated)})
	}
	for _, newPeer := range persistent(size) {
		peer := newPeer(keys)
		runtime.GC()
		for _, skew := range []string{"uniform", "zipf"} {
			asked := askedBy[skew]
			t := takeTurns(fewRounds, ours.lookupTurn(asked), peer.lookupTurn(asked))
			figures = append(figures, Figure{"ns", t[0], peer.name + ", " + skew, t[1], nil})
		}
	}
	return figures, nil
}

// mapSet gives entities that are there a new state, one version for each.
func mapSet(size string, entries int) ([]Figure, error) {
	count := changes[size]
	keys := entityKeys(entries)
	ours := newOurs(keys)
	var figures []Figure
	for i, newPeer := range persistent(size) {
		peer := newPeer(keys)
		n, r, goals := count/10, fewRounds, []*Goal{nil, nil}
		if i == 0 {
			n, r, goals = count, someRounds, []*Goal{atMost(0.5), atMost(0.6)}
		}
		t := takeTurns(r, changeTurn(keys, n, 1000, ours.sets), changeTurn(keys, n, 1000, peer.sets))
		bytes := []float64{bytesPerKey(keys[:1000], ours.sets), bytesPerKey(keys[:1000], peer.sets)}
		figures = append(figures,
			Figure{"ns", t[0], peer.name, t[1], goals[0]},
			Figure{"B", bytes[0], peer.name, bytes[1], goals[1]})
	}
	return figures, nil
}

// bytesPerKey answers how much do allocates for each key.
func bytesPerKey(keys []string, do func([]string)) float64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	do(keys)
	runtime.ReadMemStats(&after)
	return float64(after.TotalAlloc-before.TotalAlloc) / float64(len(keys))
}

// mapBatch gives 1,000 entities a new state by one version. Benbjohnson's map can only do that by 1,000 versions.
func mapBatch(size string, entries int) ([]Figure, error) {
	const batch = 1000
	count := changes[size]
	keys := entityKeys(entries)
	ours := newOurs(keys)
	var figures []Figure
	for i, newPeer := range persistent(size) {
		peer := newPeer(keys)
		n, r, name, do, goal := count/10, fewRounds, peer.name, peer.batch, (*Goal)(nil)
		if i == 0 {
			n, r, name, do = count, someRounds, peer.name+", 1,000 sets", peer.sets
			goal = atMost(map[string]float64{"1k": 0.10, "100k": 0.25, "1m": 0.25}[size])
		}
		t := takeTurns(r, changeTurn(keys, n, batch, ours.batch), changeTurn(keys, n, batch, do))
		figures = append(figures, Figure{"µs", t[0] * batch / 1000, name, t[1] * batch / 1000, goal})
	}
	return figures, nil
}

// mapIterate reads the whole of all states, and answers the time for each.
func mapIterate(size string, entries int) ([]Figure, error) {
	keys := entityKeys(entries)
	ours := newOurs(keys)
	turn := func(s subject) func() float64 {
		again := max(1, 200_000/entries)
		return func() float64 {
			start := time.Now()
			for range again {
				sink.Add(s.walk())
			}
			return float64(time.Since(start)) / float64(again*entries)
		}
	}
	var figures []Figure
	for i, newPeer := range append([]func([]string) subject{newBuiltin}, persistent(size)...) {
		peer := newPeer(keys)
		r, goal := fewRounds, (*Goal)(nil)
		if i == 0 {
			r, goal = rounds, atMost(1.2)
		}
		runtime.GC()
		t := takeTurns(r, turn(ours), turn(peer))
		figures = append(figures, Figure{"ns", t[0], peer.name, t[1], goal})
	}
	return figures, nil
}

// mapContended looks up entities while a writer publishes one version after the other as fast as it
// can, beside the same without a writer.
func mapContended() ([]Figure, error) {
	keys := entityKeys(100_000)
	ours := newOurs(keys)
	asked := lookupKeys(keys, true)
	lookups := ours.lookupTurn(asked)
	contended := func() float64 {
		var stop atomic.Bool
		var writer sync.WaitGroup
		writer.Go(func() {
			for i := 0; !stop.Load(); i = (i + 1) % len(keys) {
				ours.sets(keys[i : i+1])
			}
		})
		defer writer.Wait()
		defer stop.Store(true)
		return lookups()
	}
	runtime.GC()
	t := takeTurns(rounds, contended, lookups)
	return []Figure{{"ns", t[0], "without a writer, 100k, zipf", t[1], atMost(2)}}, nil
}

// mapDiff walks the difference between a version and one with 1,000 other states, beside walking the whole of one.
func mapDiff() ([]Figure, error) {
	const count = 1000
	keys := entityKeys(1_000_000)
	before := immutable.Collect(func(yield func(string, state.State) bool) {
		for _, k := range keys {
			if !yield(k, stateOf(k)) {
				return
			}
		}
	})
	b := before.Builder()
	for _, k := range keys[:count] {
		s := stateOf(k)
		s.Position = 0
		b.Set(k, s)
	}
	after := b.Map()
	same := func(x, y state.State) bool { return x.Position == y.Position }
	found := 0
	diff := func() float64 {
		time := func() time.Duration {
			start := time.Now()
			for range immutable.Diff(before, after, same) {
				found++
			}
			return time.Since(start)
		}
		time() // after a walk of everything else the changes are not in the cache, where a writer leaves them
		return float64(time()) / 1000
	}
	walk := func() float64 {
		start := time.Now()
		sum := uint64(0)
		for _, s := range before.All() {
			sum += read(&s)
		}
		sink.Add(sum)
		return float64(time.Since(start)) / 1000
	}
	diff()
	if found != 2*count {
		return nil, fmt.Errorf("the difference has %d changes, want %d", found/2, count)
	}
	runtime.GC()
	t := takeTurns(rounds, diff, walk)
	return []Figure{{"µs", t[0], "walking all of one", t[1], atMost(1. / 200)}}, nil
}

// mapBytes measures the heap that a map takes for each entry, without what its keys and values point to. All maps
// are filled one entry after the other from nothing.
func mapBytes() ([]Figure, error) {
	var figures []Figure
	for _, size := range sizes {
		keys := entityKeys(size.entries)
		ours := heapPerEntry(keys, newOurs)
		for i, newPeer := range append([]func([]string) subject{newBuiltin}, persistent(size.name)...) {
			goal := (*Goal)(nil)
			if i == 0 {
				goal = atMost(1.2)
			}
			name := newPeer(keys[:1]).name
			figures = append(figures, Figure{"B", ours, name + ", " + size.name, heapPerEntry(keys, newPeer), goal})
		}
	}
	return figures, nil
}

// heapPerEntry answers the bytes that a subject takes for each of its keys. Of small ones there are several.
func heapPerEntry(keys []string, newSubject func([]string) subject) float64 {
	kept := make([]subject, max(1, 100_000/len(keys)))
	before := liveHeap()
	for i := range kept {
		kept[i] = newSubject(keys)
	}
	used := liveHeap() - before
	runtime.KeepAlive(kept)
	return float64(used) / float64(len(kept)*len(keys))
}

// liveHeap answers the bytes of all objects that are in use.
func liveHeap() int64 {
	runtime.GC()
	runtime.GC() // what finalizers and pools kept through the first
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// mapCollide looks up, and builds a map of, keys that have one hash under h = 31·h + c, as benbjohnson's map hashes
// strings, and Java does; beside as many random keys of the same length.
func mapCollide() ([]Figure, error) {
	bad, random := collidingKeys(13), randomKeys(1<<13, 26)
	ours, oursRandom, peer := newOurs(bad), newOurs(random), newBenbjohnson(bad)
	runtime.GC()
	get := takeTurns(rounds, ours.lookupTurn(bad), oursRandom.lookupTurn(random))
	build := takeTurns(rounds, changeTurn(bad, 16*len(bad), len(bad), func(k []string) { newOurs(k) }),
		changeTurn(random, 16*len(random), len(random), func(k []string) { newOurs(k) }))
	peerGet := takeTurns(fewRounds, ours.lookupTurn(bad), peer.lookupTurn(bad))
	return []Figure{
		{"ns", get[0], "get of random keys", get[1], atMost(1.1)},
		{"ns", build[0], "build of random keys", build[1], atMost(1.1)},
		{"ns", peerGet[0], "benbjohnson, get of the same", peerGet[1], nil},
	}, nil
}

// collidingKeys answers 2^pairs keys, each of so many pairs of letters that are worth the same.
func collidingKeys(pairs int) []string {
	keys := make([]string, 1<<pairs)
	for i := range keys {
		b := make([]byte, 0, 2*pairs)
		for p := range pairs {
			b = append(b, [2]string{"Aa", "BB"}[i>>p&1]...)
		}
		keys[i] = string(b)
	}
	return keys
}

// randomKeys answers so many keys of random letters.
func randomKeys(count, length int) []string {
	rng := rand.New(rand.NewPCG(7, 8))
	keys := make([]string, count)
	for i := range keys {
		b := make([]byte, length)
		for j := range b {
			b[j] = 'a' + byte(rng.IntN(26))
		}
		keys[i] = string(b)
	}
	return keys
}
