package timeline

import (
	"context"
	"sort"
	"time"

	"github.com/statehouse/statehouse/eventstore"
	"github.com/statehouse/statehouse/storage"
)

// scanned is how many events there may be for each of several times, so that the events are gone through once: half of what a
// sealed segment has. To look for one time by itself costs the opening of a whole one.
const scanned = 2048

// PositionsAt says of each of some times what [eventstore.Store.PositionAt] says, but nothing before the position after or
// behind until, which must be in the log. The times must not decrease. Where they are close to each other the events between
// them are gone through once, without their payloads, and where they are far apart each is looked for by itself: a thousand
// cost what a thousand segments of the log do, or all of them if there are fewer.
//
// It fails with [eventstore.ErrCompacted] where the log behind after has been removed, or a time is before its base.
func (t *Timeline) PositionsAt(ctx context.Context, after, until eventstore.Position, times []time.Time) ([]eventstore.Position, error) {
	if _, err := t.oldest(after); err != nil {
		return nil, err
	}
	s := &timeSearch{store: t.store, times: times, found: make([]eventstore.Position, len(times))}
	n := len(times)
	if n == 0 {
		return s.found, nil
	}
	// The log may be long before the first and behind the last.
	first, err := s.one(ctx, after, until, 0)
	if err != nil {
		return nil, err
	}
	last, err := s.one(ctx, first, until, n-1)
	if err != nil {
		return nil, err
	}
	if n > 2 {
		err = s.between(ctx, first, last, 1, n-1)
	}
	return s.found, err
}

// timeSearch looks for the positions of many times.
type timeSearch struct {
	store *eventstore.Store
	times []time.Time
	found []eventstore.Position

	// The next time to look for in the events that Fold gets, and the one behind the last.
	next, end int
}

// one finds the time with an index, whose position is not before low and not behind high.
func (s *timeSearch) one(ctx context.Context, low, high eventstore.Position, i int) (at eventstore.Position, err error) {
	if low >= high {
		at = low
	} else if at, err = s.store.PositionAt(ctx, s.times[i]); err != nil {
		return 0, err
	}
	s.found[i] = min(max(at, low), high)
	return s.found[i], nil
}

// between finds the times from the one with the index from up to the one before to, whose positions are not before low and
// not behind high.
func (s *timeSearch) between(ctx context.Context, low, high eventstore.Position, from, to int) error {
	switch {
	case from == to:
		return nil
	case low >= high:
		for i := from; i < to; i++ {
			s.found[i] = low
		}
		return nil
	case to-from > 1 && high-low <= scanned*eventstore.Position(to-from):
		return s.scan(ctx, low, high, from, to)
	}
	middle := from + (to-from)/2
	at, err := s.one(ctx, low, high, middle)
	if err != nil {
		return err
	}
	if err := s.between(ctx, low, at, from, middle); err != nil {
		return err
	}
	return s.between(ctx, at, high, middle+1, to)
}

// scan goes through the events between two positions once.
func (s *timeSearch) scan(ctx context.Context, low, high eventstore.Position, from, to int) error {
	s.next, s.end = from, to
	if err := s.store.Replayer().Replay(ctx, low, high, s); err != nil {
		return err
	}
	for ; s.next < s.end; s.next++ { // everything was recorded before it
		s.found[s.next] = high
	}
	return nil
}

// Fold implements [eventstore.Folder]. It decodes no more events than a binary search looks at.
func (s *timeSearch) Fold(_ context.Context, _ storage.Tx, run *eventstore.Run) error {
	for behind := 0; s.next < s.end; s.next++ {
		var err error
		n := sort.Search(run.Len()-behind, func(i int) bool {
			e, failed := run.Event(behind + i)
			if failed != nil {
				err = failed
			}
			return e.RecordedAt.After(s.times[s.next])
		})
		if err != nil {
			return err
		}
		if behind += n; behind == run.Len() {
			return nil // the next event may have been recorded before it, too
		}
		s.found[s.next] = run.First() + eventstore.Position(behind) - 1
	}
	return nil
}

// Folded implements [eventstore.Folder].
func (s *timeSearch) Folded() error { return nil }
