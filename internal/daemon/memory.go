package daemon

import (
	"os"
	"runtime"
	"runtime/debug"
	runtimemetrics "runtime/metrics"
	"sync"
	"sync/atomic"
)

// How much garbage may come together before it is collected: as much as is in use, which is Go's own rule, but no less and no
// more than this. A house of few devices has 10 MB in use, and would be collected twenty times a second under load; of one with
// 40,000 entities, 100 MB, half of the memory would be garbage. With an upper bound of 32 MB the start of that one takes 7 s of
// processor time on two busy processors, with this 4.7 s, and without any bound 4 s.
const (
	leastRoom = 32 << 20
	mostRoom  = 64 << 20
)

// The bounds of what GOGC may become. Below the lower one a house that is larger still would be busy with nothing but marking.
const (
	leastPercent = 25
	mostPercent  = 400
)

// leastLimit is, with limitRoom above what is in use, how much the process's own memory may come to before more is collected and
// given back, whatever the percentages say. That is what the retained messages of 40,000 entities need when they are taken in:
// without it the burst leaves 60 to 100 MB more, for as long as it takes to give them back.
const (
	leastLimit = 136 << 20
	limitRoom  = 60 << 20
)

// memory keeps what the process takes near to what it uses. It is of the whole process, and so [Run] makes one and [Start]
// does not; a nil one does nothing.
type memory struct {
	percentWas int // before
	limitWas   int64
	burst      atomic.Int64 // messages since the last release

	mu      sync.Mutex // guards what follows, and that nothing is set after stop
	stopped bool
	percent int // as they are set
	limit   int64
}

// startMemory begins, unless the environment says how collections are to be.
func startMemory() *memory {
	if os.Getenv("GOGC") != "" || os.Getenv("GOMEMLIMIT") != "" {
		return nil
	}
	m := &memory{percent: mostPercent, limit: leastLimit}
	m.percentWas = debug.SetGCPercent(m.percent)
	m.limitWas = debug.SetMemoryLimit(m.limit)
	m.watch()
	return m
}

// stop puts back what was before.
func (m *memory) stop() {
	if m == nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.stopped = true
	debug.SetGCPercent(m.percentWas)
	debug.SetMemoryLimit(m.limitWas)
}

// watch has adjust called after the next collection: what is collected there is what stands guard. A timer would wake an idle
// machine.
func (m *memory) watch() {
	guard := &struct{ _ *byte }{}
	runtime.AddCleanup(guard, (*memory).adjust, m)
}

// adjust sets the percentage and the limit that follow from what is in use, if they are others by more than a tenth: to set one
// stops the world for some ten microseconds.
func (m *memory) adjust() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.stopped {
		return
	}
	live, stacks, ok := inUse()
	if !ok {
		return
	}
	if p := percentFor(live + stacks); p*10 < m.percent*9 || p*10 > m.percent*11 {
		m.percent = p
		debug.SetGCPercent(p)
	}
	if l := limitFor(live, stacks); l < m.limit/10*9 || l > m.limit/10*11 {
		m.limit = l
		debug.SetMemoryLimit(l)
	}
	m.watch()
}

// inUse is what was in use at the last collection, and what the stacks take. Both percentage and limit count these, and the stacks
// of thousands of connections are more than everything else.
func inUse() (live, stacks uint64, ok bool) {
	samples := []runtimemetrics.Sample{{Name: "/gc/heap/live:bytes"}, {Name: "/memory/classes/heap/stacks:bytes"}}
	runtimemetrics.Read(samples)
	for _, s := range samples {
		if s.Value.Kind() != runtimemetrics.KindUint64 {
			return 0, 0, false
		}
	}
	return samples[0].Value.Uint64(), samples[1].Value.Uint64(), true
}

// percentFor is the percentage that leaves the room for garbage beside what is in use.
func percentFor(used uint64) int {
	used = max(used, 1)
	room := min(max(used, leastRoom), mostRoom)
	return int(min(max(room*100/used, leastPercent), mostPercent))
}

// limitFor is the limit that leaves room enough for who has so much in use: half as much again, and no less than limitRoom. No
// collection makes stacks smaller, so that a limit below them would have the process do nothing else.
func limitFor(live, stacks uint64) int64 {
	const most = 1 << 60
	use := int64(min(live, most))
	return max(leastLimit, use+max(use/2, limitRoom)) + int64(min(stacks, most))
}

// releaseFrom is how many messages are a burst.
const releaseFrom = 1000

// took says that so many retained messages were taken in and no more wait.
func (m *memory) took(messages int) {
	if m != nil && m.burst.Add(int64(messages)) >= releaseFrom {
		m.release()
	}
}

// release gives back what a burst left: the memory of a start, and of everything that is retained, is needed once, and the
// runtime would keep most of it for as long as the process runs. It takes as long as a collection, and so is for when nobody
// waits.
func (m *memory) release() {
	if m != nil {
		m.burst.Store(0)
		debug.FreeOSMemory()
	}
}
