package eventstore

import (
	"context"
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"runtime/debug"
	"time"

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
	// unwinding says that a decision ends the writer's goroutine in the middle of its turn.
	unwinding bool
}

// run serves the queue until it is closed and empty. When a decision ends the goroutine, a fresh one goes on.
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
	for r := range w.s.queue {
		w.group, w.control = w.gather(r)
		w.serve(ctx)
	}
	if w.head.position-w.snapshot > 1000 {
		w.takeSnapshot(ctx)
	}
	if w.conn != nil {
		_ = w.conn.Close() // gives it back to the pool
	}
}

// serve does what is left of the writer's turn.
func (w *writer) serve(ctx context.Context) {
	w.commit(ctx)
	if w.control != nil {
		w.finish(w.control, Span{}, w.control.control(w, ctx))
	}
	if w.head.position-w.snapshot >= Position(w.s.opts.SnapshotEvery) {
		w.takeSnapshot(ctx)
	}
}

// gather takes what is queued behind r, up to the size of a group or to something that is no batch.
//
// Draining once finds only half of what could be there, since the callers that were just answered have not queued
// again: so it yields the processor once and drains a second time. That is no timer; a lone caller does not wait.
func (w *writer) gather(r *request) (group []*request, control *request) {
	size := int64(0)
	for yielded := false; ; {
		if r.control != nil {
			return group, r
		}
		group = append(group, r)
		if size += r.size; size >= int64(w.s.opts.GroupBytes) {
			return group, nil
		}
		var ok bool
		select {
		case r, ok = <-w.s.queue:
		default:
			if yielded {
				return group, nil
			}
			yielded = true
			runtime.Gosched()
			select {
			case r, ok = <-w.s.queue:
			default:
			}
		}
		if !ok {
			return group, nil
		}
	}
}

// commit brings the turn's group into the log and answers its callers.
func (w *writer) commit(ctx context.Context) {
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
	if err := w.ready(ctx); err != nil {
		w.answerAll(taken, err)
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

// batchError is the failure of one batch in a projector.
type batchError struct{ err error }

func (e *batchError) Error() string { return e.err.Error() }
func (e *batchError) Unwrap() error { return e.err }

// try commits a group and answers its callers, or leaves everything as it was and returns why.
func (w *writer) try(ctx context.Context, group []*request) error {
	g := &grouping{w: w, recorded: w.recordedTime(), head: w.head, results: make([]result, len(group))}
	for i, r := range group {
		if err := g.add(ctx, r, &g.results[i]); err != nil {
			return errors.Join(err, w.rollback(g.tx))
		}
	}
	if g.tx == nil { // nobody had anything to add, and everything that they looked at is durable
		w.answer(group, g.results)
		return nil
	}
	seg := g.segment()
	if err := seg.insert(ctx, g.tx); err != nil {
		err = fmt.Errorf("%w: %w", ErrUnavailable, err)
		w.s.stats.fault.Store(&err)
		return errors.Join(err, w.rollback(g.tx))
	}
	if err := g.tx.Commit(); err != nil {
		return w.unknownOutcome(ctx, err)
	}
	w.head = head{position: seg.last, recorded: seg.lastRecorded, chain: seg.chain}
	w.promote()
	w.tellSealer()
	w.s.stats.fault.Store(nil)
	w.s.stats.groups.Add(1)
	w.s.stats.events.Add(uint64(seg.last-seg.first) + 1)
	w.answer(group, g.results)
	return nil
}

// promote makes the committed head and what the projectors hold pending visible, and wakes who waits for it.
func (w *writer) promote() {
	w.s.projectors.promote()
	h := w.head
	w.s.head.Store(&h)
	w.s.commits.wake()
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
	return max(now.UnixNano(), w.head.recorded)
}

// rollback undoes what was done of a group before its commit.
func (w *writer) rollback(tx *sql.Tx) error {
	w.s.projectors.discard()
	if tx == nil {
		return nil
	}
	err := tx.Rollback()
	if err != nil {
		w.drop() // the connection may still be inside the transaction
	}
	return err
}

// drop gives the connection up, so that ready makes a new one and re-reads the log.
func (w *writer) drop() {
	if w.conn != nil {
		_ = w.conn.Close()
		w.conn = nil
	}
}

// result is what became of a request of a group that commits.
type result struct {
	span Span
	err  error
}

// maxSegmentBytes keeps a segment below the largest blob that SQLite stores, whatever decisions return.
const maxSegmentBytes = 2 * MaxBatchBytes

var (
	errGroupFull = errors.New("the group is full")
	errGoexit    = errors.New("the decision ended its goroutine with runtime.Goexit, as FailNow of a test does, instead of returning")
)

// grouping is a group on its way into one segment.
type grouping struct {
	w        *writer
	tx       *sql.Tx // nil before the first event
	recorded int64
	head     head // after the events added so far
	body     []byte
	results  []result
}

// add brings one request's events into the group. An error means that the whole group must be rolled back; what
// concerns the request alone, and has left no trace, goes into its result.
func (g *grouping) add(ctx context.Context, r *request, res *result) error {
	events := r.events
	if r.decide != nil {
		var err error
		events, err = g.decide(ctx, r)
		if err != nil {
			res.err = err
			return nil
		}
	}
	if len(events) == 0 {
		return nil
	}
	for i := range events {
		if c := events[i].event.CausePosition; c > g.head.position {
			res.err = fmt.Errorf("%w: event %d of the batch: its cause %d is not before it; the log ends at %d",
				ErrInvalid, i+1, c, g.head.position)
			return nil
		}
	}
	if g.head.position+Position(len(events)) > MaxPosition {
		res.err = fmt.Errorf("%w: the log has no positions left", ErrTooLarge)
		return nil
	}
	if g.tx == nil {
		tx, err := g.w.conn.BeginTx(ctx, nil)
		if err != nil {
			g.w.drop()
			return fmt.Errorf("%w: %w", ErrUnavailable, err)
		}
		g.tx = tx
		g.body = make([]byte, 4, 512)
	}
	size := int64(0)
	for i := range events {
		size += int64(len(events[i].record))
	}
	if len(g.body) > 4 && int64(len(g.body))+size > g.w.s.segmentBytes {
		return &batchError{errGroupFull} // each batch of the group fits alone
	}
	res.span = Span{First: g.head.position + 1, Last: g.head.position + Position(len(events))}
	for i := range events {
		if err := g.addEvent(ctx, events[i], res.span.First); err != nil {
			return err
		}
	}
	return nil
}

// decide runs a decision. One that panics fails its batch and no other: it runs on what outsiders send, and the writer
// must not end because of one of them. One that ends its goroutine cannot be stopped: the group is rolled back, and
// done again by a fresh goroutine with an error in the decision's place. A goroutine for each decision would cost every
// one of them for what next to none does.
func (g *grouping) decide(ctx context.Context, r *request) (events []prepared, err error) {
	returned := false
	defer func() {
		if returned {
			return
		}
		stack := slog.String("stack", string(debug.Stack()))
		if p := recover(); p != nil {
			err = fmt.Errorf("the decision panicked: %v", p)
			g.w.s.opts.Logger.Error("a decision panicked", "panic", p, stack)
			return
		}
		r.decide = func(context.Context) ([]Event, error) { return nil, errGoexit }
		g.w.unwinding = true
		g.w.s.opts.Logger.Error("a decision ended its goroutine", stack, "rollback", g.w.rollback(g.tx))
	}()
	decided, err := r.decide(ctx)
	if err == nil {
		events, err = prepare(decided)
	}
	returned = true
	return events, err
}

// addEvent assigns what is the writer's to assign and applies the event to the projectors.
func (g *grouping) addEvent(ctx context.Context, p prepared, first Position) error {
	e := p.event
	e.Position = g.head.position + 1
	e.RecordedAt = time.Unix(0, g.recorded).UTC()
	if e.Timestamp.IsZero() {
		e.Timestamp = e.RecordedAt
	}
	if e.CorrelationID == "" {
		e.CorrelationID = batchCorrelation(first)
	}
	for _, projector := range g.w.s.projectors {
		if err := projector.Apply(ctx, g.tx, e); err != nil {
			return &batchError{fmt.Errorf("projector %s: %w", projector.Name(), err)}
		}
	}
	g.head.position = e.Position
	g.head.chain = g.head.chain.next(e.Position, g.recorded, p.content)
	g.body = append(binary.AppendUvarint(g.body, uint64(len(p.record))), p.record...)
	return nil
}

// segment is the row that holds the group.
func (g *grouping) segment() *segment {
	s := &segment{
		first: g.w.head.position + 1, last: g.head.position,
		firstRecorded: g.recorded, lastRecorded: g.recorded,
		encoding: encodingPlain, chain: g.head.chain, body: g.body,
	}
	s.sum()
	return s
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
	r.span, r.err = span, err
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
	if err := w.recover(ctx); err != nil {
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
		return errors.Join(cause, err)
	}
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
	var busy, frames, moved int
	if err := conn.QueryRowContext(ctx, `PRAGMA wal_checkpoint(TRUNCATE)`).Scan(&busy, &frames, &moved); err != nil {
		return fmt.Errorf("checkpoint: %w", err)
	}
	if busy != 0 {
		return errors.New("checkpoint: a reader was in the way")
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
	return w.catchUp(ctx, has)
}

// takeSnapshot saves the projectors. Appends wait meanwhile; a failure is reported and costs nothing but a longer
// replay at the next start.
func (w *writer) takeSnapshot(ctx context.Context) {
	if err := w.trySnapshot(ctx); err != nil {
		w.s.opts.Logger.Error("snapshot", "position", w.head.position, "error", err)
		w.snapshot = w.head.position // not again with every commit
	}
}

func (w *writer) trySnapshot(ctx context.Context) error {
	if err := w.ready(ctx); err != nil {
		return err
	}
	tx, err := w.conn.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	for _, p := range w.s.projectors {
		if err := p.Snapshot(ctx, storage.Tx(tx)); err != nil {
			return errors.Join(fmt.Errorf("projector %s: %w", p.Name(), err), tx.Rollback())
		}
	}
	if err := tx.Commit(); err != nil {
		return w.unknownOutcome(ctx, err)
	}
	w.snapshot = w.head.position
	w.s.stats.snapshot.Store(uint64(w.snapshot))
	return nil
}

// Snapshot saves every projector's promoted state, so that the next start replays only what comes after it.
func (s *Store) Snapshot(ctx context.Context) error {
	r := &request{control: (*writer).trySnapshot, done: make(chan struct{})}
	if err := s.enqueue(ctx, r); err != nil {
		return err
	}
	<-r.done
	return r.err
}
