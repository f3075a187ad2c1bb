package daemon

import (
	"runtime"
	"runtime/debug"
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
	before := percentNow()
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
