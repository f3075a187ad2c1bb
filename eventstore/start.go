package eventstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"
)

// Start restores the projectors from their snapshots, each its own, folds the rest of the log into them, checking
// checksums, order and chain as it goes, promotes the result and starts the writer. The projectors' order is kept in
// every later call; two of one name are [ErrInvalid]. When Start fails the store can only be closed; of the file nothing has
// changed but, perhaps, tables of projectors. A log that is damaged is an error, or open for reading only, as [Options.ReadOnlyIfDamaged] says. A store
// is started once: a second Start fails with [ErrInvalid] and changes nothing, one after [Store.Close] with [ErrClosed].
// The error of a context that ends meanwhile matches the context's.
func (s *Store) Start(ctx context.Context, ps ...Projector) error {
	if !s.started.CompareAndSwap(false, true) {
		return fmt.Errorf("start: %w: the store was started before; a store is started once", ErrInvalid)
	}
	began := time.Now()
	s.life.Lock()
	defer s.life.Unlock() // so that Close ends, and waits for, all that this starts
	if s.closed {         // which changes under life, too
		return fmt.Errorf("start: %w", ErrClosed)
	}
	s.projectors = ps
	conn, err := s.db.Writer().Conn(ctx)
	if err != nil {
		return fmt.Errorf("start: %w", orContext(ctx, err))
	}
	w := &writer{s: s, conn: conn}
	if err := s.contained("the start", func() error { return w.start(ctx) }); err != nil {
		s.preserve(err)
		_ = conn.Close()
		return fmt.Errorf("start: %w", orContext(ctx, orCorrupt(err)))
	}
	s.recovered.Took = time.Since(began)
	s.waking.Go(s.waker.run)
	if s.damage != nil {
		s.opts.Logger.Error("the log is damaged and can only be read", "error", s.damage)
		return conn.Close()
	}
	if s.db.InheritedWAL() {
		w.distrust(ctx)
	}
	w.anchor()
	// The writer outlives the context of the start: it ends when the store is closed.
	background := context.WithoutCancel(ctx)
	s.snapshots.skipped(s.recovered.Faults)
	s.writer.Go(func() { w.run(background) })
	s.snapshots.ends.Go(func() { s.snapshots.loop(background) })
	if s.opts.SealAfter > 0 {
		sealing, stop := context.WithCancel(background)
		s.stopSealer = stop
		s.sealer.Go(func() { (&sealer{s: s}).loop(sealing) })
	}
	return nil
}

// distrust moves a WAL that another process has left into the database, as after a commit that failed: whatever was
// committed behind a part of it that is not on the disk would be lost with that part. When that does not succeed the
// store is open for reading, and tries it again before it writes.
func (w *writer) distrust(ctx context.Context) {
	w.drop()
	if err := w.ready(ctx); err != nil {
		w.s.opts.Logger.Error("the store can be read only, for now", "error", err)
	}
}

func (w *writer) start(ctx context.Context) error {
	if err := w.s.projectors.checkNames(); err != nil {
		return err
	}
	last, err := lastPosition(ctx, w.conn)
	if w.s.tolerate(ctx, err) {
		last, err = w.s.lastReadable(ctx)
	}
	if err != nil {
		return err
	}
	damage, notice := w.s.checkAnchor(ctx, w.conn, last)
	if damage != nil && !w.s.tolerate(ctx, damage) {
		return damage
	}
	if err := w.s.checkTables(ctx, w.conn); err != nil {
		return err
	}
	if notice != nil {
		w.s.notice(notice)
	}
	if w.s.damage == nil && w.s.db.InheritedWAL() && w.s.projectors.write() {
		// What they write would lie in the WAL behind parts of it that may not be on the disk, or move those into the database.
		if err := w.s.db.MoveWAL(ctx, w.conn); err != nil {
			return fmt.Errorf("what the process before left in the WAL: %w", err)
		}
	}
	restored, err := w.restore(ctx, last)
	if err != nil {
		return err
	}
	for i, at := range restored {
		if err := w.s.kept(at); err != nil {
			return fmt.Errorf("projector %s is at position %d and cannot be folded from there: %w",
				w.s.projectors[i].Name(), at, errors.Join(append([]error{err}, w.s.recovered.Faults...)...))
		}
	}
	from := last
	for _, p := range restored {
		from = min(from, p)
	}
	if w.head.position = from; from > 0 {
		// The recorded time of the snapshot's own event matters only if nothing follows it.
		s, err := scanSegment(w.conn.QueryRowContext(ctx, `SELECT `+segmentColumns+` FROM segments
			WHERE last_position >= ? ORDER BY last_position LIMIT 1`, int64(from)))
		if err != nil {
			return err
		}
		if err := s.intact(); from == last && err != nil && !w.s.tolerate(ctx, err) {
			return err
		}
		w.head.recorded = s.lastRecorded
	}
	if w.head.chain = genesis(w.s.uuid); from > 0 { // the file may have lost its uuid
		if w.head.chain, err = chainAt(ctx, w.conn, from); err != nil {
			return err
		}
	}
	if w.s.damage == nil {
		err = w.catchUp(ctx, restored, last)
	}
	if w.s.damage != nil || w.s.opts.ReadOnlyIfDamaged && isDamage(err) {
		err = w.serveDamaged(ctx, restored, last)
	}
	if err != nil {
		return err
	}
	sealed, err := lastSealed(ctx, w.conn)
	if isDamage(err) { // it only saves work
		w.s.notice(err)
		err = nil
	}
	if err != nil {
		return err
	}
	w.s.stats.sealed.Store(uint64(sealed))
	w.sealAt = sealed + Position(w.s.opts.SealAfter)
	w.tellSealer()
	w.snapshot = from
	w.s.stats.snapshot.Store(uint64(from))
	w.s.recovered.Position = w.head.position
	w.s.recovered.Snapshot = from
	w.s.recovered.Replayed = uint64(w.head.position - from)
	if w.head.recorded != 0 {
		w.s.recovered.ClockBehind = time.Unix(0, w.head.recorded).Sub(w.s.opts.Clock())
	}
	return nil
}

// anchor opens the anchor, and drops it unless the end of the log may not be durable yet.
func (w *writer) anchor() {
	if err := w.s.openAnchor(); err != nil {
		w.s.notice(fmt.Errorf("what is lost at the end of the log from now on may not be noticed: the anchor: %w", err))
	}
	if w.conn != nil {
		w.s.dropAnchor(w.head)
	}
}

// notice remembers and logs what deserves a look although the log is whole.
func (s *Store) notice(err error) {
	s.recovered.Notices = append(s.recovered.Notices, err)
	s.opts.Logger.Warn("something beside the log is not as it should be", "error", err)
}

// lastPosition is the position at which the log ends, 0 if it is empty.
func lastPosition(ctx context.Context, db querier) (Position, error) {
	var last sql.NullInt64
	if err := db.QueryRowContext(ctx, `SELECT max(last_position) FROM segments`).Scan(&last); err != nil {
		return 0, fmt.Errorf("the end of the log: %w", misread(err))
	}
	return Position(last.Int64), nil
}

// restore lets each projector load its snapshot and returns the position that each is at, at most last.
func (w *writer) restore(ctx context.Context, last Position) ([]Position, error) {
	restored := make([]Position, len(w.s.projectors))
	for i, p := range w.s.projectors {
		at, err := w.restoreOne(ctx, p)
		if err != nil {
			return nil, fmt.Errorf("projector %s: restore: %w", p.Name(), err)
		}
		restored[i] = min(at, last)
		w.s.needsNothing = append(w.s.needsNothing, at >= MaxPosition)
		if f, ok := p.(SnapshotFaults); ok {
			w.s.recovered.Faults = append(w.s.recovered.Faults, f.SnapshotFaults()...)
		}
	}
	for _, fault := range w.s.recovered.Faults {
		w.s.opts.Logger.Warn("a snapshot was skipped", "error", fault)
	}
	return restored, nil
}

func (w *writer) restoreOne(ctx context.Context, p Projector) (Position, error) {
	tx, err := w.conn.BeginTx(ctx, nil)
	if err != nil {
		return 0, err
	}
	defer func() { _ = tx.Rollback() }() // nothing is left to roll back after the commit
	at, err := p.Restore(ctx, tx)
	if err != nil {
		return 0, err
	}
	if _, ok := p.(Discarder); ok {
		// It only reads. Over a page that cannot be read, which costs no more than a snapshot, a commit would fail.
		return Position(at), nil
	}
	return Position(at), tx.Commit()
}

// catchUp folds the log beyond w.head, up to the end of the segment that holds the position until, into the projectors and
// promotes the result. restored says for each projector
// which events it already has; nil means those up to w.head. When it fails, nothing is pending and w.head is what it
// was, so that it can be tried again.
func (w *writer) catchUp(ctx context.Context, restored []Position, until Position) error {
	before, done := w.head, false
	defer func() { // also when a projector panics, or ends the goroutine
		if !done {
			w.s.projectors.discard()
			w.head = before
		}
	}()
	if err := w.foldRest(ctx, restored, until); err != nil {
		return err
	}
	done = true
	w.promote()
	w.s.waker.poke()
	return nil
}
