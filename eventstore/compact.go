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
	// DryRun verifies what would be removed, and says what that is, but removes nothing.
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

// Compact removes the events up to a position for good. What the house was like there, and everything that came after
// it, stays: positions, contents and the chain do not change. Questions about what is gone fail with a [CompactedError].
//
// Before anything is removed, everything up to the position is verified as [Store.Inspect] does it: where anything does
// not fit, the error matches [ErrCorrupt] and nothing is removed. The fold of it is saved, a full snapshot of each
// projector, which takes the place of the events. The removal takes effect, and is attested by an event, in one
// transaction; the space is given back to the file in small steps after it, also after a crash, and used again by what
// is appended. The segment that the last removed event is in stays whole in the file if later events are in it too, and
// where no segment would go, nothing is done.
//
// A projector that a later start brings in, or whose fold has become another one, cannot be folded over what is gone:
// such a start fails with [ErrCompacted]. Appends, reads and everything else go on meanwhile. Errors: [ErrInvalid] for a
// position behind the head of the log, and where a projector is in memory and cannot be restored to a position; [ErrClosed]
// as soon as the store closes; those of an append.
func (s *Store) Compact(ctx context.Context, until Position, opts CompactOptions) (Compaction, error) {
	if s.head.Load() == nil {
		return Compaction{}, errNotStarted
	}
	if err := s.writable(); err != nil {
		return Compaction{}, err
	}
	if head := s.committed(); until > head {
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
	if until <= c.Base {
		return c, nil
	}
	next, err := s.baseAt(ctx, until)
	if err != nil || next.first <= max(s.base.Load().first, 1) { // no segment would go
		return c, err
	}
	v, err := s.verifyUntil(ctx, until, opts)
	if err != nil {
		return c, err
	}
	c.LeftBehind, err = s.behind(ctx, until)
	if err == nil && !opts.DryRun {
		c.Attested, err = s.cut(ctx, v, opts.Source)
	}
	if err == nil {
		c.Events = uint64(until - c.Base)
		c.Base, c.RecordedAt = until, time.Unix(0, next.recorded).UTC()
	}
	return c, err
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

// verifyUntil verifies the log up to a position, and folds it.
func (s *Store) verifyUntil(ctx context.Context, at Position, how CompactOptions) (*inspector, error) {
	var first error
	opts := InspectOptions{Progress: how.Progress, Rest: how.Rest, Found: func(f Finding) {
		if first == nil && f.Kind != FindingFilter && f.Kind != FindingSnapshot {
			first = f.Err()
		}
	}}
	for _, p := range s.foldedFromStart() {
		r, ok := p.(Rebuilder)
		if ok {
			_, ok = p.(SnapshotRestorer)
		}
		if ok {
			_, ok = p.(SnapshotSource)
		}
		if !ok {
			return nil, fmt.Errorf("%w: projector %s needs all events: it is no Rebuilder with snapshots that can be chosen", ErrInvalid, p.Name())
		}
		opts.Projectors = append(opts.Projectors, r.Fresh())
	}
	v := newInspector(s, opts)
	v.limit = at
	if err := v.walk(ctx); err != nil {
		return nil, err
	}
	for _, f := range v.folds {
		if err := f.settle(); err != nil && first == nil {
			first = fmt.Errorf("projector %s: %w", f.projector.Name(), err)
		}
		if first == nil && (f.lost || f.at != at) {
			first = fmt.Errorf("%w: the fold of projector %s ends at position %d", ErrCorrupt, f.projector.Name(), f.at)
		}
	}
	if first != nil {
		return nil, fmt.Errorf("nothing is removed of what does not fit: %w", first)
	}
	return v, nil
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

// cut makes the position that was verified the base of the log, and removes what is before it.
func (s *Store) cut(ctx context.Context, v *inspector, source string) (attested Position, err error) {
	// No snapshot is made or removed meanwhile, and no segment sealed.
	if err := s.snapshots.saving.Acquire(ctx, 1); err != nil {
		return 0, err
	}
	defer s.snapshots.saving.Release(1)
	if err := s.sealStep.Acquire(ctx, 1); err != nil {
		return 0, err
	}
	defer s.sealStep.Release(1)
	next, err := s.baseAt(ctx, v.limit)
	if err != nil {
		return 0, err
	}
	var kept []snapshotRow
	for _, f := range v.folds {
		c := f.projector.(SnapshotSource).Capture()
		row := snapshotRow{SnapshotHeader: c.Header(), uuid: s.uuid, chain: next.chain, encoding: snapshotFrames}
		if err := s.snapshots.saveBaseLocked(ctx, c, row, v.unusable[row.place()]); err != nil {
			return 0, fmt.Errorf("projector %s: %w", f.projector.Name(), err)
		}
		kept = append(kept, row)
	}
	event := Event{Source: source, Payload: &eventv1.Payload{Kind: &eventv1.Payload_HistoryRemoved{
		HistoryRemoved: &eventv1.HistoryRemoved{Through: uint64(next.position), Recorded: next.recorded, Chain: next.chain[:]},
	}}}
	r, err := newRequest(Batch{Events: []Event{event}}, true)
	if err != nil {
		return 0, err
	}
	r.terms = &terms{with: func(ctx context.Context, tx storage.Tx) error {
		for i := range kept {
			if err := kept[i].isKept(ctx, tx); err != nil {
				return err
			}
		}
		return next.write(ctx, tx)
	}}
	s.restRemoved = false // whatever becomes of it: it may turn out later that the base has moved
	span, err := s.submit(ctx, r)
	switch {
	case errors.Is(err, ErrUnknownOutcome) && s.base.Load().position == next.position: // it was found to be there
	case err != nil:
		return 0, err
	}
	s.moveBase(&next)
	err = s.removeRest(ctx)
	if err == nil {
		err = s.snapshots.thinLocked(ctx)
	}
	if err != nil {
		// It will be done before anything is sealed the next time, and with the next snapshot.
		s.opts.Logger.Warn("the space of removed history is given back later", "error", err)
	}
	return span.First, nil
}

// saveBaseLocked saves what takes the place of the events up to a base, unless a full snapshot by the same fold is there that
// can be used.
func (b *snapshotter) saveBaseLocked(ctx context.Context, c Capture, row snapshotRow, unusable bool) error {
	if !unusable {
		// It may have come, or gone, since the verification, which holds nothing up.
		if count, err := b.savedRecords(ctx, &row, true); err != nil || count >= 0 {
			return err
		}
	}
	return row.write(ctx, c.Records(b.s.giveWay), b.encodeOptions(), b.inTurns(ctx))
}

// isKept fails unless a full snapshot by the same fold is stored in the place of r: without it nothing that needs it may be removed.
func (r *snapshotRow) isKept(ctx context.Context, tx storage.Tx) error {
	var there bool
	err := tx.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM snapshots WHERE owner = ? AND position = ? AND fold_version = ?
		AND chain = ? AND base_position IS NULL)`, r.Owner, int64(r.Position), r.FoldVersion, r.chain[:]).Scan(&there)
	if err == nil && !there {
		err = fmt.Errorf("the snapshot of %s at position %d, which is to take the place of the events, is not there", r.Owner, r.Position)
	}
	return err
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
