package eventstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"runtime"
	"time"

	"github.com/statehouse/statehouse/internal/defect"
	"github.com/statehouse/statehouse/storage"
)

// writer is the one goroutine that writes. What it holds is its own.
type writer struct {
	s *Store
	// conn is a connection of the database's writing pool, nil after a failure.
	conn *sql.Conn
	// head is the end of the log as committed; readers get it from the store after promotion.
	head head
	// snapshot is the position of the newest snapshot.
	snapshot Position
	// sealAt is the position from which there is enough to seal.
	sealAt Position

	// group and control are the writer's turn: the batches that are not answered yet, and what comes after them.
	group   []*request
	control *request
	// unwinding says that a decision or a projector ends the writer's goroutine in the middle of its turn.
	unwinding bool

	statements statements
	// keysLook is the recorded time from which there may be keys to forget.
	keysLook int64
	// flush says when cursors are to be stored that no group took along; nil if there are none.
	flush <-chan time.Time
}

// run serves the queue until it is closed and empty. When something that is not the store's ends the goroutine, a fresh
// one goes on.
func (w *writer) run(ctx context.Context) {
	defer func() {
		if w.unwinding {
			w.s.writer.Go(func() { w.run(ctx) })
		}
	}()
	if w.unwinding {
		w.unwinding = false
		w.serve(ctx)
	}
	for open := true; open; {
		var r *request
		select {
		case r, open = <-w.s.queue:
			if open {
				w.group, w.control = w.gather(r)
				w.serve(ctx)
			}
		case <-w.s.cursors.changed:
			w.flush = time.After(cursorDelay)
		case <-w.flush:
			w.flush = nil
			w.flushCursors(ctx)
		}
	}
	w.s.cursors.close()
	w.flushCursors(ctx)
	saved := Position(w.s.stats.snapshot.Load()) // what was wanted may not have been done
	if w.head.position-saved >= min(w.s.snapshots.distance(), 1001) {
		w.lastSnapshot(ctx)
	}
	w.statements.close()
	if w.conn != nil {
		_ = w.conn.Close() // gives it back to the pool
	}
}

// serve does what is left of the writer's turn.
func (w *writer) serve(ctx context.Context) {
	w.commit(ctx)
	if w.control != nil {
		runtime.Gosched()       // those that were answered
		err := context.Canceled // its caller has gone
		if w.control.state.CompareAndSwap(requestQueued, requestTaken) {
			err = w.s.contained("the writer", func() error { return w.control.control(w, ctx) })
		}
		w.finish(w.control, Span{}, err)
	}
	if w.head.position-w.snapshot >= w.s.snapshots.distance() {
		w.snapshot = w.head.position // until it is known where the next one is
		w.s.snapshots.want()
	}
}

// gather takes what is queued behind r, up to the size of a group or to something that is no batch.
//
// Draining once finds only half of what could be there, since the callers that were just answered have not queued
// again: so it yields the processor and drains again, as long as that brings more. That is no timer; a lone caller does
// not wait.
func (w *writer) gather(r *request) (group []*request, control *request) {
	size, yielded := int64(0), 0
	for {
		if r.control != nil {
			return group, r
		}
		group = append(group, r)
		if size += r.size; size >= int64(w.s.opts.GroupBytes) {
			return group, nil
		}
		for {
			var ok bool
			select {
			case r, ok = <-w.s.queue:
				if !ok {
					return group, nil
				}
			default:
				if yielded == len(group) {
					return group, nil
				}
				yielded = len(group)
				runtime.Gosched()
				continue
			}
			break
		}
	}
}

// commit brings the turn's group into the log and answers its callers.
func (w *writer) commit(ctx context.Context) {
	if len(w.group) == 0 {
		return
	}
	unready := w.ready(ctx) // before they are taken: it may take long, and who does not want to wait for it may go
	taken := w.group[:0]
	for _, r := range w.group {
		if r.state.CompareAndSwap(requestQueued, requestTaken) || r.state.Load() == requestTaken {
			taken = append(taken, r)
		} else {
			w.finish(r, Span{}, context.Canceled) // its caller has gone
		}
	}
	w.group = taken
	if len(taken) == 0 {
		return
	}
	if unready != nil {
		w.answerAll(taken, unready)
		return
	}
	err := w.try(ctx, taken)
	if culprit := (*batchError)(nil); errors.As(err, &culprit) && len(taken) > 1 {
		// One batch made the group fail: the others must not suffer for it.
		for i := range taken {
			w.group = taken[i:]
			w.commit1(ctx, taken[i:i+1])
		}
		return
	}
	if err != nil {
		w.answerAll(taken, err)
	}
}

// commit1 commits a group of one after a larger one failed.
func (w *writer) commit1(ctx context.Context, group []*request) {
	err := w.ready(ctx)
	if err == nil {
		err = w.try(ctx, group)
	}
	if err != nil {
		w.answerAll(group, err)
	}
}

// batchError is the failure of one batch, which the others of its group must not suffer for.
type batchError struct{ err error }

func (e *batchError) Error() string { return e.err.Error() }
func (e *batchError) Unwrap() error { return e.err }

// try commits a group and answers its callers, or leaves everything as it was and returns why.
func (w *writer) try(ctx context.Context, group []*request) error {
	g := &grouping{w: w, recorded: w.recordedTime(), head: w.head, results: make([]result, len(group))}
	g.tail.wanted = w.s.tail.readers.Load() > 0
	for i, r := range group {
		if err := g.add(ctx, r, &g.results[i]); err != nil {
			return w.failed(g, err)
		}
		r.err = g.results[i].err // for the next one of its sequence
	}
	if g.tx == nil { // nobody had anything to add, and everything that they looked at is durable
		w.answer(group, g.results)
		return nil
	}
	if err := g.write(ctx); err != nil {
		return w.failed(g, fmt.Errorf("%w: %w", ErrUnavailable, err))
	}
	if defect.Is(defect.AckBeforeCommit) {
		w.answer(group, g.results)
		group = nil
	}
	if defect.Is(defect.PromoteBeforeCommit) {
		w.s.projectors.promote()
	}
	if err := g.tx.commit(ctx); err != nil {
		return w.unknownOutcome(ctx, err)
	}
	w.s.cursors.wrote(g.cursors)
	if g.body != nil {
		w.s.stats.events.Add(uint64(g.head.position - w.head.position))
		w.head = head{position: g.head.position, recorded: g.recorded, chain: g.head.chain}
		w.s.tail.add(g.tail.events)
		w.promote()
		w.tellSealer()
	}
	w.s.stats.fault.Store(nil)
	w.s.stats.groups.Add(1)
	w.answer(group, g.results)
	if g.body != nil {
		w.s.dropAnchor(w.head) // nobody waits for it
	}
	w.s.waker.poke()
	return nil
}

// failed rolls a group back and returns why.
func (w *writer) failed(g *grouping, err error) error {
	if errors.Is(err, ErrUnavailable) {
		w.s.stats.fault.Store(&err)
		if g.tx == nil {
			w.drop() // the connection cannot even begin
		}
	}
	return errors.Join(err, w.rollback(g.tx))
}

// promote makes the committed head and what the projectors hold pending visible.
func (w *writer) promote() {
	h := w.head
	w.s.promoting.Store(uint64(h.position))
	w.s.projectors.promote()
	w.s.head.Store(&h)
}

// tellSealer tells the sealer if there is enough to seal.
func (w *writer) tellSealer() {
	if w.s.opts.SealAfter < 0 || w.head.position < w.sealAt {
		return
	}
	w.sealAt = w.head.position + Position(w.s.opts.SealAfter)
	select {
	case w.s.sealing <- struct{}{}:
	default: // it has not looked since it was told the last time
	}
}

// recordedTime is the time at which the next group is recorded: never before the last one. Microseconds are what a
// clock is good for; the digits behind them would be most of what a sealed event takes. A clock outside of what can be
// stored says nothing: it must not wrap around, nor move the log to a time from which it could not come back.
func (w *writer) recordedTime() int64 {
	now := minTime
	if t := w.s.opts.Clock(); storable(t) {
		now = t.Truncate(time.Microsecond)
	}
	return max(now.UnixNano(), minTime.UnixNano(), w.head.recorded)
}

// rollback undoes what was done of a group before its commit.
func (w *writer) rollback(tx *transaction) error {
	w.s.projectors.discard()
	w.keysLook = 0
	if tx == nil {
		return nil
	}
	err := tx.rollback(context.Background())
	if err != nil {
		w.drop() // the connection may still be inside the transaction
	}
	return err
}

// drop gives the connection up, so that ready makes a new one and re-reads the log.
func (w *writer) drop() {
	w.keysLook = 0
	w.statements.close()
	if w.conn != nil {
		_ = w.conn.Close()
		w.conn = nil
	}
}

// answer tells each caller of a committed group what became of its request.
func (w *writer) answer(group []*request, results []result) {
	for i, r := range group {
		w.finish(r, results[i].span, results[i].err)
	}
}

// answerAll tells each caller of a group that it failed.
func (w *writer) answerAll(group []*request, err error) {
	for _, r := range group {
		w.finish(r, Span{}, err)
	}
}

// finish answers one request and gives its room back.
func (w *writer) finish(r *request, span Span, err error) {
	r.span, r.err, r.after = span, err, nil
	if err != nil {
		w.s.stats.failed.Add(1)
		r.span = Span{}
	} else if r.control == nil {
		w.s.stats.batches.Add(1)
	}
	w.s.stats.queuedBatches.Add(-1)
	w.s.stats.queuedBytes.Add(-r.size)
	w.s.room.Release(r.size)
	close(r.done)
}

// ready returns nil when the writer has a connection and its log is what the projectors have folded.
func (w *writer) ready(ctx context.Context) error {
	if w.conn != nil {
		return nil
	}
	if err := w.s.contained("the recovery", func() error { return w.recover(ctx) }); err != nil {
		w.drop()
		w.s.stats.fault.Store(&err)
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	w.s.stats.fault.Store(nil)
	return nil
}

// unknownOutcome finds out what became of a group whose COMMIT failed, so that what is served agrees with the log
// again, and returns the error for its callers.
func (w *writer) unknownOutcome(ctx context.Context, cause error) error {
	w.s.projectors.discard()
	w.drop()
	cause = fmt.Errorf("%w: %w", ErrUnknownOutcome, cause)
	w.s.opts.Logger.Error("a commit failed; re-reading the log", "error", cause)
	if err := w.ready(ctx); err != nil {
		// Not wrapped: that the store cannot write would say that nothing was changed.
		return fmt.Errorf("%w; and it is not found out yet: %s", cause, err.Error())
	}
	// It could re-read the log. That it can write the next commit shows: a disk may have space for the one and not the other.
	w.s.stats.fault.Store(&cause)
	return cause
}

// recover makes a new connection, moves the WAL into the database, so that nothing depends on pages that a failed sync
// may have left in the kernel's cache, and folds what the log has beyond the promoted head.
func (w *writer) recover(ctx context.Context) error {
	if err := w.s.db.Reopen(ctx); err != nil {
		return err
	}
	conn, err := w.s.db.Writer().Conn(ctx)
	if err != nil {
		return err
	}
	w.conn = conn
	if err := w.s.db.MoveWAL(ctx, conn); err != nil {
		return err
	}
	if err := w.s.loadBase(ctx, conn); err != nil {
		return err
	}
	last, err := lastPosition(ctx, conn)
	if err != nil {
		return err
	}
	if last < w.head.position {
		return fmt.Errorf("%w: it ends at position %d, and position %d was acknowledged", ErrCorrupt, last, w.head.position)
	}
	has := make([]Position, len(w.s.projectors))
	for i, p := range w.s.projectors {
		has[i] = w.head.position
		if _, ok := p.(Discarder); !ok {
			has[i] = last // all that it has is in tables, which were committed or rolled back with the log
		}
	}
	return w.catchUp(ctx, has, last)
}

// lastSnapshot saves the projectors at the end, when nobody waits. A failure is reported and costs nothing but a longer
// replay at the next start.
func (w *writer) lastSnapshot(ctx context.Context) {
	b := &w.s.snapshots
	if b.saving.Acquire(ctx, 1) != nil {
		return // which the end of the writer's context would say, and that has none
	}
	defer b.saving.Release(1)
	err := w.s.contained("a snapshot", func() error {
		all, at, err := w.capture(ctx)
		if err != nil {
			return err
		}
		return b.saveLocked(ctx, all, at, func(f func(ctx context.Context, tx storage.Tx) error) error {
			return w.transact(ctx, func(tx storage.Tx) error { return f(ctx, tx) })
		})
	})
	if err != nil {
		w.s.opts.Logger.Error("snapshot", "position", w.head.position, "error", err)
	}
}

// transact runs f in a transaction of its own, between two groups.
func (w *writer) transact(ctx context.Context, f func(tx storage.Tx) error) error {
	if err := w.ready(ctx); err != nil {
		return err
	}
	tx, err := w.begin(ctx)
	if err != nil {
		return err
	}
	done := false
	defer func() { // also when f panics, or ends its goroutine
		if !done && tx.rollback(ctx) != nil {
			w.drop() // the connection may still be inside the transaction
		}
	}()
	if err := f(tx); err != nil {
		return err
	}
	done = true
	if err := tx.commit(ctx); err != nil {
		return w.unknownOutcome(ctx, err)
	}
	return nil
}

// inTurn runs f in the writer's turn, between two groups, and returns its error. A context that ends before that keeps it from
// being run; after that it is waited for.
func (s *Store) inTurn(ctx context.Context, f func(w *writer, ctx context.Context) error) error {
	r := &request{control: f, done: make(chan struct{})}
	if err := s.enqueue(ctx, r); err != nil {
		return err
	}
	return r.wait(ctx)
}
