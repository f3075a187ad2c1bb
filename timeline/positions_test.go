package timeline_test

import (
	"database/sql"
	"errors"
	"math/rand/v2"
	"slices"
	"sort"
	"testing"
	"time"

	"github.com/statehouse/statehouse/eventstore"
)

// recordedTimes are the times of the events from the one behind base on.
func (p *past) recordedTimes(t *testing.T) (base eventstore.Position, recorded []time.Time) {
	t.Helper()
	base, _ = p.Base()
	for e, err := range p.Read(t.Context(), eventstore.Query{After: eventstore.FromOldest}) {
		if err != nil {
			t.Fatal(err)
		}
		recorded = append(recorded, e.RecordedAt)
	}
	return base, recorded
}

// randomTimes are times in order, around those of the events from the first to the last that are given.
func randomTimes(rng *rand.Rand, recorded []time.Time, n int) []time.Time {
	times := make([]time.Time, n)
	for i := range times {
		times[i] = recorded[rng.IntN(len(recorded))]
		switch rng.IntN(6) {
		case 0:
			times[i] = times[i].Add(-1)
		case 1:
			times[i] = times[i].Add(1)
		case 2:
			times[i] = times[i].Add(time.Duration(rng.Int64N(int64(time.Second))))
		}
	}
	slices.SortFunc(times, time.Time.Compare)
	return times
}

// Many times have the positions that each has by itself, however the log is stored, how dense the times are, and what was removed.
func TestPositionsAt(t *testing.T) {
	for seed := range uint64(3) {
		p := newPast(t, seed, 20, 9000)
		switch seed {
		case 1:
			if err := p.Store().Seal(t.Context()); err != nil {
				t.Fatal(err)
			}
		case 2:
			if _, err := p.Compact(t.Context(), 2500, eventstore.CompactOptions{}); err != nil {
				t.Fatal(err)
			}
		}
		base, recorded := p.recordedTimes(t)
		if (base > 0) != (seed == 2) {
			t.Fatal(base)
		}
		for range 150 {
			a, b := p.rng.IntN(len(recorded)), p.rng.IntN(len(recorded))
			a, b = min(a, b), max(a, b)
			n := []int{0, 1, 2, 3, 5, 40, 300}[p.rng.IntN(7)]
			times := randomTimes(p.rng, recorded[a:b+1], n)
			after, until := base+eventstore.Position(p.rng.IntN(a+2)), base+eventstore.Position(b+p.rng.IntN(len(recorded)-b+1))
			if until < after {
				after, until = until, after
			}
			if base > 0 && n > 0 && times[0].Before(recorded[0]) {
				continue // it may have been removed
			}
			got, err := p.Timeline().PositionsAt(t.Context(), after, until, times)
			if err != nil || len(got) != n {
				t.Fatal(len(got), err)
			}
			for i, at := range times {
				want := base + eventstore.Position(sort.Search(len(recorded), func(k int) bool { return recorded[k].After(at) }))
				if want = min(max(want, after), until); got[i] != want {
					t.Fatalf("seed %d: time %d of %d, %s, between %d and %d is at %d, and not at %d", seed, i, n, at, after, until, got[i], want)
				}
			}
		}
	}
}

// What cannot be known is an error: before the base, and where the log is damaged.
func TestPositionsAtErrors(t *testing.T) {
	p := newPast(t, 1, 20, 9000)
	if err := p.Store().Seal(t.Context()); err != nil {
		t.Fatal(err)
	}
	_, recorded := p.recordedTimes(t)
	if _, err := p.Compact(t.Context(), 2500, eventstore.CompactOptions{}); err != nil {
		t.Fatal(err)
	}
	base, _ := p.Base()
	if _, err := p.Timeline().PositionsAt(t.Context(), base-1, base, nil); !errors.Is(err, eventstore.ErrCompacted) {
		t.Error(err)
	}
	if _, err := p.Timeline().PositionsAt(t.Context(), base, p.Now().Position(), []time.Time{recorded[0].Add(-1)}); !errors.Is(err, eventstore.ErrCompacted) {
		t.Error(err)
	}
	db, err := sql.Open("sqlite", p.path+"?_pragma=busy_timeout(10000)")
	if err != nil {
		t.Fatal(err)
	}
	_, err = db.Exec(`UPDATE segments SET body = x'00112233' WHERE last_position = (SELECT min(last_position) FROM segments WHERE last_position >= 6000)`)
	if err = errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Timeline().PositionsAt(t.Context(), base, p.Now().Position(), recorded[base:]); !errors.Is(err, eventstore.ErrCorrupt) {
		t.Error(err)
	}
}
