package eventstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"github.com/statehouse/statehouse/storage"
)

// Cursor is the place in the log up to which the consumer of that name has done with it. The file keeps it.
type Cursor struct {
	// Name is the consumer's, of at most [MaxName] bytes.
	Name string
	// Acked is the position up to which every event that the consumer wants is acknowledged.
	Acked Position
	// Stored is the position from which the consumer would go on after a crash, at most Acked.
	Stored Position
	// StoredAt is when that was stored, in UTC.
	StoredAt time.Time
	// Open says that a consumer of that name is open.
	Open bool
}

// cursorDelay is for how long an acknowledgement waits for a group to be stored with.
const cursorDelay = 2 * time.Second

// cursors are those that were used since the start.
type cursors struct {
	// dirty says that a cursor is not stored as it is. It changes under mu; the writer looks at it without. An acknowledgement
	// that finds it true tells nobody: the writer was told, or has its flush set, or sets it when it has stored others.
	dirty   atomic.Bool
	changed chan struct{} // tells the writer that dirty has become true

	mu     sync.Mutex // guards the rest; nothing else is locked under it
	byName map[string]*cursor
	closed bool
	damage error // says what is wrong with the table
}

type cursor struct {
	name          string
	acked, stored Position
	owner         *Consumer // nil while none is open
}

// cursorWrite is a cursor on its way into the table.
type cursorWrite struct {
	cursor *cursor
	at     Position
}

func (cs *cursors) init() {
	cs.changed = make(chan struct{}, 1)
	cs.byName = map[string]*cursor{}
}

// ack moves the cursor of a consumer forward.
func (cs *cursors) ack(c *Consumer, at Position) error {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	if cs.closed || c.cursor.owner != c {
		return fmt.Errorf("consumer %q: acknowledge position %d: %w", c.cursor.name, at, ErrClosed)
	}
	c.cursor.acked = max(c.cursor.acked, at)
	if c.cursor.acked != c.cursor.stored && !cs.dirty.Swap(true) {
		select {
		case cs.changed <- struct{}{}:
		default: // the writer was told and has not looked yet
		}
	}
	return nil
}

// acked is the position that was acknowledged last.
func (cs *cursors) acked(c *cursor) Position {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	return c.acked
}

// toWrite are the cursors that are not stored as they are.
func (cs *cursors) toWrite() (writes []cursorWrite) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	for _, c := range cs.byName {
		if c.acked != c.stored {
			writes = append(writes, cursorWrite{c, c.acked})
		}
	}
	cs.dirty.Store(len(writes) > 0) // one that had to be stored may have been deleted
	return writes
}

// wrote notes that cursors are stored.
func (cs *cursors) wrote(writes []cursorWrite) {
	if len(writes) == 0 {
		return
	}
	cs.mu.Lock()
	defer cs.mu.Unlock()
	dirty := false
	for _, w := range writes {
		w.cursor.stored = w.at
	}
	for _, c := range cs.byName {
		dirty = dirty || c.acked != c.stored
	}
	cs.dirty.Store(dirty)
}

// close ends it: nothing is acknowledged any more.
func (cs *cursors) close() {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	cs.closed = true
}

// claim makes a consumer the owner of a cursor. What is known of the cursor is in the table if known is false.
func (cs *cursors) claim(name string, c *Consumer) (known bool, err error) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	at := cs.byName[name]
	switch {
	case cs.closed:
		return false, ErrClosed
	case at == nil:
		at = &cursor{name: name}
		cs.byName[name] = at
	case at.owner != nil:
		return false, fmt.Errorf("%w: a consumer named %q is open, and there can be one at a time", ErrInUse, name)
	default:
		known = true
	}
	at.owner, c.cursor = c, at
	return known, nil
}

// found sets where a cursor is that was claimed and not known.
func (cs *cursors) found(c *cursor, at Position) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	c.acked, c.stored = at, at
}

// release gives a cursor up. One that is forgotten is looked for in the table the next time.
func (cs *cursors) release(c *Consumer, forget bool) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	if c.cursor.owner != c {
		return
	}
	c.cursor.owner = nil
	if forget {
		delete(cs.byName, c.cursor.name)
	}
}

// writeCursors writes cursors in the transaction under way.
func (w *writer) writeCursors(ctx context.Context, writes []cursorWrite, now int64) error {
	const (
		before = `SELECT checksum FROM cursors WHERE name = ?`
		store  = `INSERT INTO cursors (name, position, stored, checksum) VALUES (?, ?, ?, ?) ON CONFLICT (name)
			DO UPDATE SET position = excluded.position, stored = excluded.stored, checksum = excluded.checksum`
		totals = `UPDATE cursors SET position = position + ?1, stored = stored + ?2,
			checksum = statehouse_sum(name, position + ?1, stored + ?2) WHERE name = ''`
	)
	var added, change int64 // of the number of cursors and the sum of their checksums
	for _, c := range writes {
		var old int64
		err := w.statements.scan(ctx, w.conn, []any{&old}, before, c.cursor.name)
		if errors.Is(err, sql.ErrNoRows) {
			added++
			err = nil
		}
		sum := cursorSum(c.cursor.name, c.at, now)
		change += sum - old
		if err == nil {
			err = w.statements.exec(ctx, w.conn, store, c.cursor.name, int64(c.at), now, sum)
		}
		if err != nil {
			return fmt.Errorf("cursor of %q: %w", c.cursor.name, err)
		}
	}
	if err := w.statements.exec(ctx, w.conn, totals, added, change); err != nil {
		return fmt.Errorf("cursors: %w", err)
	}
	return nil
}

// flushCursors stores what no group took along. What fails is tried again later. It is called when flush is not set.
func (w *writer) flushCursors(ctx context.Context) {
	writes := w.s.cursors.toWrite()
	if len(writes) == 0 {
		return
	}
	err := w.transact(ctx, func(storage.Tx) error { return w.writeCursors(ctx, writes, w.recordedTime()) })
	if err == nil {
		w.s.cursors.wrote(writes)
	} else {
		w.s.opts.Logger.Warn("cursors are not stored; consumers would go on from earlier positions after a crash", "error", err)
	}
	if w.s.cursors.dirty.Load() { // what failed, or was acknowledged meanwhile
		w.flush = time.After(cursorDelay)
	}
}

func checkConsumerName(name string) error {
	if name == "" || len(name) > MaxName || !utf8.ValidString(name) {
		return fmt.Errorf("%w: a consumer's name %.60q must be UTF-8 of 1 to %d bytes", ErrInvalid, name, MaxName)
	}
	return nil
}

// cursorAt is where a cursor is stored, and whether it is at all.
func (s *Store) cursorAt(ctx context.Context, name string) (at Position, stored bool, err error) {
	var when, sum int64
	err = s.db.Reader().QueryRowContext(ctx, `SELECT position, stored, checksum FROM cursors WHERE name = ?`, name).
		Scan(&at, &when, &sum)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		if damage := s.cursors.damaged(); damage != nil {
			return 0, false, fmt.Errorf("where consumer %q is, is not known; delete its cursor to begin again: %w", name, damage)
		}
		return 0, false, nil
	case err != nil:
		return 0, false, s.orClosed(fmt.Errorf("cursor of %q: %w", name, misread(err)))
	case sum != cursorSum(name, at, when):
		return 0, false, fmt.Errorf("%w: the cursor of consumer %q is not what was written; delete it to begin again", ErrCorrupt, name)
	}
	return at, true, nil
}

// damaged says what was wrong with the table when the store was started, or when somebody deleted a cursor since.
func (cs *cursors) damaged() error {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	return cs.damage
}

// Cursors are all that the file has, by name.
func (s *Store) Cursors(ctx context.Context) (all []Cursor, err error) {
	rows, err := s.db.Reader().QueryContext(ctx, `SELECT name, position, stored FROM cursors WHERE name <> '' ORDER BY name`)
	if err != nil {
		return nil, s.orClosed(fmt.Errorf("cursors: %w", err))
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var c Cursor
		var stored int64
		if err := rows.Scan(&c.Name, &c.Stored, &stored); err != nil {
			return nil, fmt.Errorf("cursors: %w", misread(err))
		}
		c.Acked, c.StoredAt = c.Stored, time.Unix(0, stored).UTC()
		all = append(all, c)
	}
	if err := rows.Err(); err != nil {
		return nil, s.orClosed(fmt.Errorf("cursors: %w", err))
	}
	s.cursors.mu.Lock()
	defer s.cursors.mu.Unlock()
	for i := range all {
		if c := s.cursors.byName[all[i].Name]; c != nil {
			all[i].Acked, all[i].Open = max(c.acked, all[i].Stored), c.owner != nil
		}
	}
	return all, nil
}

// DeleteCursor forgets where the consumer of a name is. Where the cursors are damaged, that also accepts what else is
// lost of them. Errors: [ErrInUse] while one is open, [ErrInvalid] where there is no such cursor.
func (s *Store) DeleteCursor(ctx context.Context, name string) error {
	if err := checkConsumerName(name); err != nil {
		return err
	}
	c := &Consumer{s: s}
	known, err := s.cursors.claim(name, c)
	if err != nil {
		return err
	}
	err = s.inTurn(ctx, func(w *writer, ctx context.Context) error {
		var damage error
		err := w.transact(ctx, func(tx storage.Tx) (err error) {
			if err := s.deleteCursor(ctx, tx, name); err != nil {
				return fmt.Errorf("cursor of %q: %w", name, err)
			}
			if damage = checkCursors(ctx, tx); !isDamage(damage) {
				err = damage
			}
			return err
		})
		if err == nil {
			s.cursors.release(c, true) // in this turn, so that no group stores it again
			s.cursors.mu.Lock()
			s.cursors.damage = damage
			s.cursors.mu.Unlock()
		}
		return err
	})
	if err != nil {
		s.cursors.release(c, !known)
	}
	return err
}

// deleteCursor deletes a cursor and counts the others.
func (s *Store) deleteCursor(ctx context.Context, tx storage.Tx, name string) error {
	done, err := tx.ExecContext(ctx, `DELETE FROM cursors WHERE name = ?`, name)
	if err != nil {
		return err
	}
	if n, err := done.RowsAffected(); n == 0 && err == nil && s.cursors.damaged() == nil {
		return fmt.Errorf("%w: there is no cursor of a consumer named %q", ErrInvalid, name)
	}
	return countCursors(ctx, tx)
}

// countCursors writes anew how many cursors there are and what their checksums add up to.
func countCursors(ctx context.Context, tx storage.Tx) error {
	for _, statement := range [...]string{
		`DELETE FROM cursors WHERE name = ''`,
		`INSERT INTO cursors (name, position, stored) SELECT '', count(*), coalesce(sum(checksum), 0) FROM cursors`,
		`UPDATE cursors SET checksum = statehouse_sum(name, position, stored) WHERE name = ''`,
	} {
		if _, err := tx.ExecContext(ctx, statement); err != nil {
			return err
		}
	}
	return nil
}
