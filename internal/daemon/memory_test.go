package daemon

import (
	"runtime"
	"runtime/debug"
	"sync"
	"testing"
)

func TestRoomForGarbage(t *testing.T) {
	for _, c := range []struct {
		live uint64
		want int
	}{
		{0, 400}, {1 << 20, 400}, {8 << 20, 400}, {16 << 20, 200}, {32 << 20, 100}, {50 << 20, 100}, {64 << 20, 100}, {128 << 20, 50},
		{256 << 20, 25}, {4 << 30, 25},
	} {
		if got := percentFor(c.live); got != c.want {
			t.Errorf("%d bytes in use: %d %%, want %d", c.live, got, c.want)
		}
	}
}

func TestLimitOfMemory(t *testing.T) {
	for _, c := range []struct {
		live, stacks uint64
		want         int64
	}{
		{0, 0, leastLimit}, {76 << 20, 0, leastLimit}, {100 << 20, 0, 160 << 20}, {4 << 30, 0, 6 << 30}, {1 << 63, 0, 3 << 59},
		{10 << 20, 200 << 20, leastLimit + 200<<20}, {100 << 20, 200 << 20, 360 << 20}, {1 << 63, 1 << 63, 5 << 59},
	} {
		if got := limitFor(c.live, c.stacks); got != c.want {
			t.Errorf("%d bytes in use, stacks of %d: a limit of %d, want %d", c.live, c.stacks, got, c.want)
		}
	}
}

// percentNow is what GOGC is.
func percentNow() int {
	now := debug.SetGCPercent(100)
	debug.SetGCPercent(now)
	return now
}

// The percentage follows what is in use from one collection to the next, and is put back at the end.
func TestCollectionsFollowWhatIsInUse(t *testing.T) {
	t.Setenv("GOGC", "")
	t.Setenv("GOMEMLIMIT", "")
	before, limitBefore := percentNow(), debug.SetMemoryLimit(-1)
	m := startMemory()
	defer m.stop()
	if got := percentNow(); got != mostPercent {
		t.Fatalf("it begins with %d %%", got)
	}
	held := make([]byte, 256<<20)
	for percentNow() == mostPercent {
		runtime.GC() // what follows from it comes soon after: the test ends then, or never
	}
	if got := percentNow(); got < leastPercent || got > 30 {
		t.Errorf("%d %% with 256 MB in use", got)
	}
	for debug.SetMemoryLimit(-1) < 384<<20 {
		runtime.Gosched() // the limit follows the percentage
	}
	runtime.KeepAlive(held)
	m.took(releaseFrom - 1)
	if m.burst.Load() != releaseFrom-1 {
		t.Error("few messages are a burst")
	}
	m.took(1)
	if m.burst.Load() != 0 {
		t.Error("many messages are none")
	}
	m.stop()
	runtime.GC()
	if got := percentNow(); got != before {
		t.Errorf("%d %% at the end, and %d before", got, before)
	}
	if got := debug.SetMemoryLimit(-1); got != limitBefore {
		t.Errorf("a limit of %d at the end, and %d before", got, limitBefore)
	}
}

// Stacks count, or those of many connections alone would be more than the limit.
func TestStacksAreInUse(t *testing.T) {
	_, before, _ := inUse()
	const goroutines = 1000
	stop := make(chan struct{})
	defer close(stop)
	var deep func(n int) byte
	deep = func(n int) byte {
		var room [1024]byte
		if n == 0 {
			<-stop
			return room[0]
		}
		room[n] = 1
		return deep(n-1) + room[0]
	}
	var running sync.WaitGroup
	for range goroutines {
		running.Add(1)
		go func() {
			running.Done()
			deep(12)
		}()
	}
	running.Wait()
	for {
		_, stacks, ok := inUse()
		if !ok {
			t.Fatal("the runtime does not say")
		}
		if stacks >= before+goroutines*8<<10 { // each is at least that deep, soon
			return
		}
		runtime.Gosched()
	}
}

// What the user says in the environment goes before.
func TestTheEnvironmentGoesBefore(t *testing.T) {
	before := percentNow()
	for _, name := range []string{"GOGC", "GOMEMLIMIT"} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("GOGC", "")
			t.Setenv("GOMEMLIMIT", "")
			t.Setenv(name, "200")
			m := startMemory()
			m.took(2 * releaseFrom)
			m.release()
			m.stop()
			if m != nil || percentNow() != before {
				t.Errorf("%v, %d %%", m, percentNow())
			}
		})
	}
}
