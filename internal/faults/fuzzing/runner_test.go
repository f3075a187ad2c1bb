package fuzzing

import (
	"errors"
	"testing"
	"time"

	"github.com/statehouse/statehouse/internal/faults"
)

// TestTurns: the target that has had the least comes next, in this run and those before it, never while it is under way,
// and no budget is exceeded.
func TestTurns(t *testing.T) {
	all := []target{{"x/a", "FuzzA"}, {"x/b", "FuzzB"}, {"x/c", "FuzzC"}}
	b := faults.Budget{Rounds: 13, Dir: t.TempDir(), Covered: map[string]int{"a.FuzzA": 7, "b.FuzzB": 1}}
	r := &runner{budget: b, began: time.Now(), meter: b.NewMeter("minutes"), under: map[target]bool{}}
	next := func(want string, wantMinutes int) target {
		t.Helper()
		got, minutes := r.next(t.Context(), all)
		if minutes != wantMinutes || minutes > 0 && got.name != want {
			t.Fatalf("%s for %d minutes is next, not %s for %d", got, minutes, want, wantMinutes)
		}
		return got
	}
	c := next("FuzzC", 5)
	bb := next("FuzzB", 5)
	r.done(c, 5, nil) // it has 5, and A 7
	c = next("FuzzC", 3)
	next("", 0) // all that is left is under way
	r.done(bb, 5, nil)
	next("", 0)
	r.done(c, 3, nil)
	next("", 0)
	if got := r.meter.Counts["c.FuzzC"]; r.meter.Rounds != 13 || got != 8 {
		t.Errorf("%d minutes are counted, %d of them for C, not 13 and 8", r.meter.Rounds, got)
	}

	b.Rounds, b.Time = 0, 2*time.Minute+time.Second
	r = &runner{budget: b, began: time.Now(), meter: b.NewMeter("minutes"), under: map[target]bool{}}
	c = next("FuzzC", 2)
	failed := errors.New("it failed")
	r.done(c, 2, failed)
	next("", 0)
	if !errors.Is(r.found, failed) || r.meter.Rounds != 0 {
		t.Errorf("after a failure %v is found and %d minutes are counted", r.found, r.meter.Rounds)
	}
}
