package daemon

import (
	"os"
	"runtime"
	"runtime/debug"
	runtimemetrics "runtime/metrics"
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

// memory keeps what the process takes near to what it uses. It is of the whole process, and so [Run] makes one and [Start]
// does not; a nil one does nothing.
type memory struct {
	stopped atomic.Bool
	percent int          // as it is set; only start and then one collection after the other look at it
	before  int          // as it was
	burst   atomic.Int64 // messages since the last release
}

// startMemory begins, unless the environment says how collections are to be.
func startMemory() *memory {
	if os.Getenv("GOGC") != "" || os.Getenv("GOMEMLIMIT") != "" {
		return nil
	}
	m := &memory{percent: mostPercent}
	m.before = debug.SetGCPercent(m.percent)
	m.watch()
	return m
}

// stop puts back what was before.
func (m *memory) stop() {
	if m == nil {
		return
	}
	m.stopped.Store(true)
	debug.SetGCPercent(m.before)
}

// watch has adjust called after the next collection: what is collected there is what stands guard. A timer would wake an idle
// machine.
func (m *memory) watch() {
	guard := &struct{ _ *byte }{}
	runtime.AddCleanup(guard, (*memory).adjust, m)
}

// adjust sets the percentage that follows from what is in use, if it is another by more than a tenth: to set it stops the
// world for some ten microseconds.
func (m *memory) adjust() {
	if m.stopped.Load() {
		return
	}
	live := []runtimemetrics.Sample{{Name: "/gc/heap/live:bytes"}}
	runtimemetrics.Read(live)
	if live[0].Value.Kind() != runtimemetrics.KindUint64 {
		return
	}
	if p := percentFor(live[0].Value.Uint64()); p*10 < m.percent*9 || p*10 > m.percent*11 {
		m.percent = p
		debug.SetGCPercent(p)
	}
	m.watch()
}

// percentFor is the percentage that leaves the room for garbage beside what is in use.
func percentFor(live uint64) int {
	live = max(live, 1)
	room := min(max(live, leastRoom), mostRoom)
	return int(min(max(room*100/live, leastPercent), mostPercent))
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
