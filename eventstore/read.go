package eventstore

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"time"

	"github.com/statehouse/statehouse/internal/defect"
)

// Query says which events to read. The zero Query matches every event. Who is given one keeps a copy.
type Query struct {
	// After is the position after which to read; FromStart, 0, reads from the first event, and FromOldest from the first
	// one that has not been removed.
	After Position
	// Until is the last position to read; 0 means the head at the time of the call, and for a subscription no end.
	Until Position
	// Since and Before restrict the events to those that were recorded at Since or later, and before Before. The zero
	// time means no bound. A subscription has no Before.
	Since, Before time.Time
	// Entities, Kinds, Sources and Correlations restrict the events to those about one of the entities, of one of the
	// kinds, by one of the sources, with one of the correlation ids; empty means any.
	Entities     []string
	Kinds        []Kind
	Sources      []string
	Correlations []string
	// Backward reads the newest event first. A subscription cannot.
	Backward bool
}

// Read yields the events that match a query in the order of positions, or against it where the query says so. It ends
// at the bounds of the query, or at the head at the time of the call. An error ends it: that of the context, or
// [ErrCorrupt] where the log is damaged, [ErrCompacted] where events behind q.After have been removed, or q.Before is no later than those that have been. The events are shared and must not be modified. Read holds nothing open while
// its consumer works, and decodes only what it yields.
func (s *Store) Read(ctx context.Context, q Query) iter.Seq2[Event, error] {
	q = q.clone()
	if q.Until == 0 {
		q.Until = s.Head()
	}
	q.Until = min(q.Until, s.committed())
	return func(yield func(Event, error) bool) {
		q := q
		err := s.bound(ctx, &q)
		if err == nil {
			_, err = newScan(s, q).run(ctx, yield)
		}
		if err != nil {
			yield(Event{}, err)
		}
	}
}

// Event is the event at a position; [ErrInvalid] for one that the log does not have.
func (s *Store) Event(ctx context.Context, at Position) (Event, error) {
	if head := s.committed(); at == 0 || at > head {
		return Event{}, fmt.Errorf("%w: there is no event at position %d: the log has the positions 1 to %d", ErrInvalid, at, head)
	}
	for e, err := range s.Read(ctx, Query{After: at - 1, Until: at}) {
		return e, err
	}
	return Event{}, fmt.Errorf("%w: it has no position %d", ErrCorrupt, at)
}

// clone is a query of its own.
func (q Query) clone() Query {
	q.Entities, q.Kinds = slices.Clone(q.Entities), slices.Clone(q.Kinds)
	q.Sources, q.Correlations = slices.Clone(q.Sources), slices.Clone(q.Correlations)
	return q
}

// bound makes positions of the bounds of a query.
func (s *Store) bound(ctx context.Context, q *Query) error {
	s.fromOldest(&q.After)
	if !q.Since.IsZero() {
		at, err := s.PositionAt(ctx, q.Since.Add(-1))
		if err != nil && !errors.Is(err, ErrCompacted) { // whether anything is missing behind the position is seen there
			return err
		}
		q.After = max(q.After, at)
	}
	if !q.Before.IsZero() {
		at, err := s.PositionAt(ctx, q.Before.Add(-1))
		if err != nil {
			return err
		}
		q.Until = min(q.Until, at)
	}
	return nil
}

// fromOldest makes a position of FromOldest.
func (s *Store) fromOldest(at *Position) {
	if *at == FromOldest {
		*at, _ = s.Base()
	}
}

// PositionAt is the position of the last event that was recorded at a time or before it, 0 where there is none. It fails
// with [ErrCompacted] where that event may have been removed. Of events that are still to come some may be recorded at that very time, unless it is before the last event's.
func (s *Store) PositionAt(ctx context.Context, t time.Time) (Position, error) {
	at := nanosOf(t)
	// Recorded times do not decrease, so positions and times can be searched together.
	base := s.base.Load()
	if base.position > 0 && at < base.recorded {
		return 0, s.kept(0)
	}
	head := s.Head()
	low, high := s.directory.loaded().narrow(base.position, head, at) // the answer is in [low, high]
search:
	for low < high {
		s1, err := segmentWith(ctx, s.db.Reader(), low+(high-low+1)/2)
		switch {
		case err != nil:
			err = s.orCompacted(ctx, base.position, err)
			return 0, s.orClosed(fmt.Errorf("the position at %s: %w", t.Format(time.RFC3339Nano), err))
		case s1.lastRecorded <= at:
			low = min(s1.last, high)
		case s1.firstRecorded > at:
			high = s1.first - 1
		default:
			r := newRun()
			if err := r.open(&s1, nil); err != nil {
				return 0, err
			}
			n, _ := slices.BinarySearchFunc(r.recorded, at, func(recorded, at int64) int {
				if recorded <= at {
					return -1
				}
				return 1
			})
			if found := s1.first + Position(n) - 1; found <= high {
				return found, nil // and it was read, as was the event behind it
			}
			low = high
			break search
		}
	}
	if err := s.checkTime(ctx, low, base.position, head, at); err != nil {
		return 0, s.orClosed(fmt.Errorf("the position at %s: %w", t.Format(time.RFC3339Nano), s.orCompacted(ctx, base.position, err)))
	}
	return low, nil
}

// checkTime reads the event at a position and the one behind it: what was found from the bounds of segments, which have no
// checksum of their own, must be true of what they hold.
func (s *Store) checkTime(ctx context.Context, found, base, head Position, at int64) error {
	for p := max(found, base+1); p <= min(found+1, head); p++ {
		e, err := s.Event(ctx, p)
		if err != nil {
			return err
		}
		if before := e.RecordedAt.UnixNano() <= at; before != (p <= found) {
			return fmt.Errorf("%w: the event at position %d was recorded %s, which is not between its neighbours'",
				ErrCorrupt, p, e.RecordedAt.Format(time.RFC3339Nano))
		}
	}
	return nil
}

// nanosOf is the nearest time that the log can hold, in nanoseconds.
func nanosOf(t time.Time) int64 {
	switch {
	case t.Before(minTime):
		return 0
	case t.After(maxTime):
		return maxTime.UnixNano()
	default:
		return t.UnixNano()
	}
}

// scan yields the events that match a query, whose After and Until are positions.
type scan struct {
	s      *Store
	q      Query
	hashes []uint64 // of the entities
	from   *run
}

func newScan(s *Store, q Query) *scan {
	q.Entities = slices.Compact(slices.Sorted(slices.Values(q.Entities)))
	c := &scan{s: s, q: q, from: newRun()}
	for _, e := range q.Entities {
		c.hashes = append(c.hashes, entityHash(e))
	}
	return c
}

// run yields the matching events in (q.After, q.Until], stretch by stretch. goOn is false when the consumer has had enough.
func (c *scan) run(ctx context.Context, yield func(Event, error) bool) (goOn bool, err error) {
	if defect.Is(defect.FilterAfterLimit) && len(c.q.Entities)+len(c.q.Kinds) > 0 && !c.q.Backward {
		c.q.Until = min(c.q.Until, c.q.After+8)
	}
	for goOn = true; goOn && err == nil && c.q.After < c.q.Until; {
		if err = c.s.kept(c.q.After); err == nil {
			goOn, err = c.stretch(ctx, yield)
		}
	}
	return goOn && err == nil, c.s.orCompacted(ctx, c.q.After, err)
}

// stretch yields the matching events of the part of the log that comes next: where entities are looked for and the log
// is sealed, of as much as the directory knows, and otherwise of a page.
func (c *scan) stretch(ctx context.Context, yield func(Event, error) bool) (goOn bool, err error) {
	from, to := c.q.After+1, c.q.Until
	if c.q.Backward {
		from, to = to, from
	}
	if sealed := Position(c.s.stats.sealed.Load()); len(c.hashes) > 0 && min(from, to) <= sealed {
		end := sealed
		if from <= sealed {
			l, err := c.s.directory.upTo(ctx, c.s.db.Reader(), sealed)
			if err != nil {
				return false, c.s.orClosed(err)
			}
			if end = l.end(); from <= end {
				return c.sealed(ctx, &search{
					db: c.s.db.Reader(), list: l, hashes: c.hashes, from: from, to: to, backward: c.q.Backward,
					next: l.index(from), page: c.s.directory.page,
				}, yield)
			}
		}
		if c.q.Backward {
			to = max(to, end+1)
		}
	}
	p, err := segmentsBetween(ctx, c.s.db.Reader(), from, to)
	if err == nil && p.last == 0 {
		err = fmt.Errorf("%w: it ends before position %d", ErrCorrupt, c.q.Until)
	}
	if err != nil {
		return false, c.s.orClosed(err)
	}
	for i := range p.segments {
		if err := c.from.open(&p.segments[i], c.q.Entities); err != nil {
			return false, err
		}
		if goOn, err := c.events(c.from, yield); err != nil || !goOn {
			return goOn, err
		}
	}
	c.pass(p)
	return true, nil
}

// sealed yields the matching events of what a search finds. The first segment is opened for itself, since that is all that many
// readers want, and the others ahead of their turn.
func (c *scan) sealed(ctx context.Context, found *search, yield func(Event, error) bool) (goOn bool, err error) {
	first, err := found.candidate(ctx)
	if err != nil {
		return false, c.s.orClosed(err)
	}
	if first != nil {
		var s segment
		if _, err := readListed(ctx, found.db, []*listed{first}, []*segment{&s}); err != nil {
			return false, c.s.orClosed(err)
		}
		if err := c.from.open(&s, c.q.Entities); err != nil {
			return false, err
		}
		if goOn, err := c.events(c.from, yield); err != nil || !goOn {
			return goOn, err
		}
		for r, err := range c.openFound(ctx, found) {
			if err != nil {
				return false, err
			}
			if goOn, err := c.events(r, yield); err != nil || !goOn {
				return goOn, err
			}
		}
	}
	c.pass(found.passed)
	return true, nil
}

// pass notes that all events of a page were yielded.
func (c *scan) pass(p page) {
	if c.q.Backward {
		c.q.Until = min(c.q.Until, p.first-1)
	} else {
		c.q.After = max(c.q.After, p.last)
	}
}

// events yields the matching events of a run.
func (c *scan) events(r *run, yield func(Event, error) bool) (goOn bool, err error) {
	for k := range r.records {
		if c.q.Backward {
			k = len(r.records) - 1 - k
		}
		if at := r.position(k); at <= c.q.After || at > c.q.Until || !c.matches(r, k) {
			continue
		}
		e, err := r.event(k)
		if err != nil {
			return false, err
		}
		if !yield(e, nil) {
			return false, nil
		}
	}
	return true, nil
}

// matches tells from what is not decoded yet whether the query matches the i-th record.
func (c *scan) matches(run *run, i int) bool {
	r, q := &run.records[i], &c.q
	return (len(q.Entities) == 0 || slices.Contains(q.Entities, r.entity)) &&
		(len(q.Sources) == 0 || slices.Contains(q.Sources, r.source)) &&
		(len(q.Kinds) == 0 || slices.Contains(q.Kinds, r.kind())) &&
		(len(q.Correlations) == 0 || slices.ContainsFunc(q.Correlations, func(id string) bool {
			return r.correlatedBy(id, run.position(i))
		}))
}

// orClosed makes of an error what it is for somebody who reads from a closed store.
func (s *Store) orClosed(err error) error {
	s.closing.RLock()
	defer s.closing.RUnlock()
	if s.closed && !errors.Is(err, context.Canceled) && !errors.Is(err, context.DeadlineExceeded) {
		return ErrClosed
	}
	return err
}
