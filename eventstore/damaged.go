package eventstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/statehouse/statehouse/storage"
)

// A damaged log, where it is opened at all, is open for reading only. What is served then:
//
//   - The present is the fold of the longest part of the log that checks: from the newest snapshot that is whole, and whose
//     chain value is the log's at its position, through the segments behind it, up to the first that is missing, not whole or
//     out of the chain. A damage before such a snapshot does not keep a log from being started at all.
//   - Every event that can be read, also behind a damage: [Store.Head] is the end of what can be read. A read that crosses
//     a damage ends with an error that names its positions and times.
//   - What needs no damaged segment of the past.

// Damage is why the log is open for reading only, nil where it is not. It matches [ErrCorrupt] or [storage.ErrDamaged].
// It is settled when [Store.Start] has returned.
func (s *Store) Damage() error { return s.damage }

// writable is ErrReadOnly where the log is damaged.
func (s *Store) writable() error {
	if s.damage == nil {
		return nil
	}
	return fmt.Errorf("%w: %w", ErrReadOnly, s.damage)
}

// preserve has the files left as they are when the database is closed, if an error is damage.
func (s *Store) preserve(err error) {
	if isDamage(err) {
		s.db.Preserve()
	}
}

// tolerate says that an error is damage in spite of which the store goes on, for reading only.
func (s *Store) tolerate(ctx context.Context, err error) bool {
	if !isDamage(err) || ctx.Err() != nil {
		return false
	}
	s.preserve(err)
	if !s.opts.ReadOnlyIfDamaged {
		return false
	}
	err = orCorrupt(err)
	if s.damage != nil {
		err = fmt.Errorf("%w; %w", s.damage, err)
	}
	s.damage = err
	return true
}

// guessUUID is the uuid of a file that has lost it: the anchor has it, and the last snapshot. It is one that fits the first
// segment's chain, if that can be checked.
func (s *Store) guessUUID(ctx context.Context) ([]byte, error) {
	var candidates [][]byte
	if a, found, _, err := readAnchor(s.db.Beside(storage.AnchorSuffix)); err == nil && found {
		candidates = append(candidates, a.uuid)
	}
	var uuid []byte
	err := s.db.Reader().QueryRowContext(ctx, `SELECT file_uuid FROM snapshots ORDER BY position DESC LIMIT 1`).Scan(&uuid)
	if err == nil && len(uuid) == uuidSize {
		candidates = append(candidates, uuid)
	}
	first, err := segmentWith(ctx, s.db.Reader(), 1)
	r := newRun()
	if err == nil {
		err = r.open(&first, nil)
	}
	for _, uuid := range candidates {
		if err != nil || r.chainFrom(genesis(uuid), nil) == nil {
			return uuid, nil
		}
	}
	return nil, s.damage
}

// lastReadable finds the end of what can be read of a log whose end cannot, by asking for what is behind each segment.
func (s *Store) lastReadable(ctx context.Context) (Position, error) {
	v := newInspector(s, InspectOptions{})
	v.until = MaxPosition
	for {
		next, err := v.readable(ctx)
		if err != nil || next == nil {
			return v.after, err
		}
		v.after = max(next.last, v.after+1)
	}
}

// checkedUntil is the end of the part of the log behind w.head that checks, and why it does not go on there.
func (w *writer) checkedUntil(ctx context.Context, last Position) (until Position, damage, err error) {
	f := folding{head: w.head}
	before, err := f.chainBefore(ctx, w.conn)
	r := newRun()
	at := w.head.position
	for err == nil && at < last {
		var p page
		if p, err = segmentsBetween(ctx, w.conn, at+1, at+1); err != nil {
			break
		}
		if p.last == 0 {
			err = fmt.Errorf("%w: it ends at position %d instead of %d", ErrCorrupt, at, last)
			break
		}
		s := &p.segments[0]
		if err = r.open(s, nil); err == nil {
			err = r.chainFrom(before, nil)
		}
		for i := 0; err == nil && i < len(r.records); i++ {
			_, err = r.event(i)
		}
		if err == nil {
			at, before = s.last, s.chain
		}
	}
	if isDamage(err) {
		return at, err, nil
	}
	return at, nil, err
}

// serveDamaged promotes what checks of the log and makes the rest readable up to its last position.
func (w *writer) serveDamaged(ctx context.Context, restored []Position, last Position) error {
	until, damage, err := w.checkedUntil(ctx, last)
	if err != nil || w.s.damage == nil && damage == nil {
		return errors.Join(err, w.s.damage)
	}
	w.s.tolerate(ctx, damage)
	for i, p := range w.s.projectors {
		if _, ok := p.(Discarder); !ok {
			restored[i] = MaxPosition // it keeps tables, which cannot be changed
		}
	}
	if err := w.catchUp(ctx, restored, until); err != nil {
		return err
	}
	h := w.head
	if last > h.position {
		h.position = last
		var recorded sql.NullInt64
		err := w.conn.QueryRowContext(ctx, `SELECT last_recorded FROM segments WHERE last_position = ?`, int64(last)).Scan(&recorded)
		if err == nil {
			h.recorded = max(h.recorded, recorded.Int64)
		}
	}
	w.s.head.Store(&h)
	return nil
}
