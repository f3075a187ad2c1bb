package eventstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"sort"
	"sync"
	"time"

	eventv1 "github.com/statehouse/statehouse/gen/statehouse/event/v1"
	"github.com/statehouse/statehouse/storage"
)

// CompactOptions say how [Store.Compact] goes about it. The zero value tells nobody.
type CompactOptions struct {
	// Source is the source of the event that attests the removal.
	Source string
	// Progress is called every now and then with the position up to which what is to be removed was verified, and the
	// last one; nil means nobody wants to know.
	Progress func(done, last Position)
	// DryRun finds out what would be removed, and verifies it, but removes nothing. It may make snapshots.
	DryRun bool
	// Rest is how many times as long as it works the verification rests, as in [InspectOptions].
	Rest int
}

// Compaction says what [Store.Compact] did.
type Compaction struct {
	// Base is the position up to which events have been removed now, RecordedAt when the last one was recorded.
	Base       Position
	RecordedAt time.Time
	// Events is the number of events that were removed by this call, and Attested the position of the event that says
	// so; both are 0 where there was nothing to remove.
	Events   uint64
	Attested Position
	// LeftBehind are the names of the consumers that had not got as far: events that they want are gone.
	LeftBehind []string
}

// Compact removes events for good, the oldest first, up to a position at most. What the house was like behind the last
// removed event, and everything that came after it, stays: positions, contents and the chain do not change. Questions about
// what is gone fail with a [CompactedError].
//
// It removes as much as can be taken the place of by snapshots, one of each projector at the same position; up to the
// head of the log, it makes them first. Before anything is removed, everything up to them is verified as [Store.Inspect]
// does it, and they are compared with the fold of the log: where anything does not fit, the error matches [ErrCorrupt] and
// nothing is removed. The removal takes effect, and is attested by an event, in one transaction; the space is given back
// to the file in small steps after it, also after a crash, and used again by what is appended. The segment that the last removed
// event is in stays whole in the file if later events are in it too.
//
// A projector that a later start brings in, or whose fold has become another one, cannot be folded over what is gone:
// such a start fails with [ErrCompacted]. Appends, reads and everything else go on meanwhile. Errors: [ErrInvalid] for a
// position behind the head of the log, [ErrClosed] as soon as the store closes, and those of an append.
func (s *Store) Compact(ctx context.Context, until Position, opts CompactOptions) (Compaction, error) {
	if s.head.Load() == nil {
		return Compaction{}, errNotStarted
	}
	if head := s.Head(); until > head {
		return Compaction{}, fmt.Errorf("%w: the log cannot be removed up to position %d: it ends at %d", ErrInvalid, until, head)
	}
	open, end := s.untilClosed(ctx)
	defer end()
	err := s.compacting.Acquire(open, 1)
	if err == nil {
		defer s.compacting.Release(1)
		var c Compaction
		if c, err = s.compact(open, until, opts); err == nil {
			return c, nil
		}
	}
	if errors.Is(context.Cause(open), ErrClosed) {
		err = ErrClosed
	}
	return Compaction{}, fmt.Errorf("remove history: %w", orContext(ctx, s.orClosed(err)))
}

// untilClosed is a context that ends with [ErrClosed] when the store is about to close, too: Close waits for the
// snapshotter, and that for who removes history. end must be called.
func (s *Store) untilClosed(ctx context.Context) (_ context.Context, end func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	var waiting sync.WaitGroup
	waiting.Go(func() {
		select {
		case <-s.snapshots.stopping:
			cancel(ErrClosed)
		case <-ctx.Done():
		}
	})
	return ctx, func() {
		cancel(nil)
		waiting.Wait()
	}
}

func (s *Store) compact(ctx context.Context, until Position, opts CompactOptions) (c Compaction, err error) {
	c.Base, c.RecordedAt = s.Base()
	if until == s.Head() && until > c.Base {
		if err := s.snapshots.save(ctx); err != nil {
			return c, err
		}
	}
	// No snapshot is made or removed meanwhile.
	s.snapshots.saving.Lock()
	defer s.snapshots.saving.Unlock()
	at, err := s.cut(ctx, until)
	if err != nil || at <= c.Base {
		return c, err
	}
	next, err := s.baseAt(ctx, at)
	if err != nil || next.first <= max(s.base.Load().first, 1) { // no segment would go
		return c, err
	}
	if err := s.verifyUntil(ctx, at, opts); err != nil {
		return c, err
	}
	events, behind := uint64(at-c.Base), []string(nil)
	if behind, err = s.behind(ctx, at); err != nil {
		return c, err
	}
	attested := Position(0)
	if !opts.DryRun {
		if attested, err = s.cutAt(ctx, at, opts.Source); err != nil {
			return c, err
		}
	}
	c = Compaction{Base: at, RecordedAt: time.Unix(0, next.recorded).UTC(), Events: events, Attested: attested, LeftBehind: behind}
	return c, nil
}

// cut is the last position up to another one at which there is a snapshot of each projector that needs one, 0 for none.
func (s *Store) cut(ctx context.Context, until Position) (at Position, err error) {
	needed := s.foldedFromStart()
	if len(needed) == 0 {
		return until, nil
	}
	err = s.View(ctx, func(tx storage.Tx) error {
		times := map[Position]int{}
		for _, p := range needed {
			rows, err := snapshotRows(ctx, tx, p.Name(), until)
			if err != nil {
				return fmt.Errorf("snapshots of %s: %w", p.Name(), err)
			}
			for _, r := range rows {
				if times[r.Position]++; times[r.Position] == len(needed) {
					at = max(at, r.Position)
				}
			}
		}
		return nil
	})
	return at, err
}

// foldedFromStart are the projectors that need every event, or a snapshot instead.
func (s *Store) foldedFromStart() (needed projectors) {
	for i, p := range s.projectors {
		if _, inMemory := p.(Discarder); inMemory && !s.needsNothing[i] {
			needed = append(needed, p)
		}
	}
	return needed
}

// baseAt is the base of the log without the events up to a position.
func (s *Store) baseAt(ctx context.Context, at Position) (b base, err error) {
	err = s.View(ctx, func(tx storage.Tx) error {
		segment, err := segmentWith(ctx, tx, at)
		if err != nil {
			return err
		}
		b = base{position: at, first: segment.first}
		if b.before, err = chainBefore(ctx, tx, segment.first); err != nil {
			return err
		}
		r := newRun()
		if err := r.open(&segment, nil); err != nil {
			return err
		}
		b.recorded = r.recorded[at-segment.first]
		err = r.chainFrom(b.before, func(i int, c chain) {
			if r.position(i) == at {
				b.chain = c
			}
		})
		if segment.last == at { // nothing of it is kept
			b.first, b.before = at+1, segment.chain
		}
		return err
	})
	return b, err
}

// verifyUntil verifies the log up to a position, and that the snapshots there are what the log makes of them.
func (s *Store) verifyUntil(ctx context.Context, at Position, how CompactOptions) error {
	var first error
	opts := InspectOptions{Progress: how.Progress, Rest: how.Rest, Found: func(f Finding) {
		if first == nil && f.Kind != FindingFilter && (f.Kind != FindingSnapshot || f.First == at) {
			first = f.Err()
		}
	}}
	needed := s.foldedFromStart()
	for _, p := range needed {
		if r, ok := p.(Rebuilder); ok {
			opts.Projectors = append(opts.Projectors, r.Fresh())
		}
	}
	v := newInspector(s, opts)
	v.limit = at
	if err := v.walk(ctx); err != nil {
		return err
	}
	if first != nil {
		return fmt.Errorf("nothing is removed of what does not fit: %w", first)
	}
	for _, p := range needed {
		if _, compared := p.(Rebuilder); compared && !v.fits[p.Name()] {
			return fmt.Errorf("%w: the snapshot of %s at position %d, which would take the place of the events, cannot be compared with them",
				ErrInvalid, p.Name(), at)
		}
	}
	return nil
}

// behind are the consumers that have not acknowledged the events up to a position.
func (s *Store) behind(ctx context.Context, at Position) (names []string, err error) {
	all, err := s.Cursors(ctx)
	for _, c := range all {
		if c.Acked < at {
			names = append(names, c.Name)
		}
	}
	return names, err
}

// cutAt makes a position the base of the log, and removes what is before it.
func (s *Store) cutAt(ctx context.Context, at Position, source string) (attested Position, err error) {
	s.sealStep.Lock()
	defer s.sealStep.Unlock()
	next, err := s.baseAt(ctx, at) // a segment may have been sealed meanwhile
	if err != nil {
		return 0, err
	}
	event := Event{Source: source, Payload: &eventv1.Payload{Kind: &eventv1.Payload_HistoryRemoved{
		HistoryRemoved: &eventv1.HistoryRemoved{Through: uint64(at), Recorded: next.recorded, Chain: next.chain[:]},
	}}}
	r, err := newRequest(Batch{Events: []Event{event}}, true)
	if err != nil {
		return 0, err
	}
	r.terms = &terms{with: next.write}
	span, err := s.submit(ctx, r)
	switch {
	case errors.Is(err, ErrUnknownOutcome) && s.base.Load().position == at: // it was found to be there
	case err != nil:
		return 0, err
	}
	s.moveBase(&next)
	s.restRemoved = false
	err = s.removeRest(ctx)
	if err == nil {
		err = s.snapshots.thin(ctx)
	}
	if err != nil {
		// It will be done before anything is sealed the next time, and with the next snapshot.
		s.opts.Logger.Warn("the space of removed history is given back later", "error", err)
	}
	return span.First, nil
}

// removeStep is the number of segments that are removed in one transaction.
const removeStep = 16

// removeRest removes the segments before the base. It is called with sealStep held.
func (s *Store) removeRest(ctx context.Context) error {
	first := s.base.Load().first
	if s.restRemoved || first == 0 {
		return nil
	}
	if err := s.directory.forgetBefore(ctx, first); err != nil {
		return err
	}
	for more := true; more; {
		if err := ctx.Err(); err != nil {
			return context.Cause(ctx)
		}
		var last sql.NullInt64
		err := s.db.Reader().QueryRowContext(ctx, `SELECT max(last_position) FROM (SELECT last_position FROM segments
			WHERE last_position < ? ORDER BY last_position LIMIT ?)`, int64(first), removeStep).Scan(&last)
		if err != nil {
			return s.orClosed(err)
		}
		if more = last.Valid; !more {
			break
		}
		err = s.inTurn(ctx, func(w *writer, ctx context.Context) error {
			return w.transact(ctx, func(tx storage.Tx) error {
				for _, table := range [...]string{"segment_filters", "segments"} {
					if _, err := tx.ExecContext(ctx, `DELETE FROM `+table+` WHERE last_position <= ?`, last.Int64); err != nil {
						return err
					}
				}
				return nil
			})
		})
		if err != nil {
			return err
		}
	}
	s.restRemoved = true
	return nil
}

// forgetBefore forgets the segments that begin before a position.
func (d *directory) forgetBefore(ctx context.Context, first Position) error {
	if err := d.loading.Acquire(ctx, 1); err != nil {
		return err
	}
	defer d.loading.Release(1)
	l := d.loaded()
	n := sort.Search(len(l.entries), func(i int) bool { return l.entries[i].first >= first })
	next := *l
	next.entries, next.held = slices.Clone(l.entries[n:]), max(0, l.held-n) // others use those from before
	for i := l.held; i < n; i++ {
		next.size -= len(l.entries[i].filter)
	}
	d.current.Store(&next)
	return nil
}
