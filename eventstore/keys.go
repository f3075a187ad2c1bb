package eventstore

import (
	"bytes"
	"context"
	"crypto/sha256"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"time"
	"unicode/utf8"
)

// Key names an append, so that it can be repeated when its outcome did not reach the caller: a repeat adds nothing and
// returns the positions of the first one, also after a restart, for [KeyLifetime]. The zero Key names none.
//
// A repeat is answered before its conditions are checked, which the first one may have ended, and without running its
// decision; the key of a decision says only that, since what it would return cannot be compared. One that returned
// nothing is remembered too: its repeat returns the empty [Span]. Other events under the same key are refused with
// [ErrKeyReused]. Where the file's table of keys is damaged, a key that is not found in it is refused with [ErrCorrupt]. An append that failed leaves no key behind, but for [ErrUnknownOutcome], after which a repeat finds
// out and does what is left to do. Of several at the same time with one key the first one counts.
type Key struct {
	// Scope says whose keys these are, as "api:alice": equal ids of different scopes are different keys. It may be empty.
	Scope string
	// ID is chosen by the caller, never twice for different appends. It and Scope have at most [MaxName] bytes of UTF-8.
	ID string
}

// KeyLifetime is for how long a key is remembered, by the recorded time.
const KeyLifetime = 24 * time.Hour

func (k Key) check() error {
	if k.ID == "" && k.Scope != "" {
		return fmt.Errorf("%w: the key of scope %.60q has no id", ErrInvalid, k.Scope)
	}
	for _, f := range [...]struct{ name, value string }{{"key", k.ID}, {"scope of a key", k.Scope}} {
		if len(f.value) > MaxName || !utf8.ValidString(f.value) {
			return fmt.Errorf("%w: %s %.60q must be UTF-8 of at most %d bytes", ErrInvalid, f.name, f.value, MaxName)
		}
	}
	return nil
}

// hashContents hashes the records of a batch.
func hashContents(events []prepared) []byte {
	h := sha256.New()
	for i := range events {
		h.Write(events[i].content[:])
	}
	return h.Sum(nil)
}

// repeat answers a request whose key is known, and says so.
func (g *grouping) repeat(ctx context.Context, t *terms, res *result) (known bool, err error) {
	const find = `SELECT hash, first_position, last_position, recorded, checksum FROM append_keys
		WHERE scope = ? AND key = ?`
	var hash []byte
	var span Span
	var recorded, sum int64
	row := []any{&hash, &span.First, &span.Last, &recorded, &sum}
	err = g.w.statements.scan(ctx, g.w.conn, row, find, t.key.Scope, t.key.ID)
	switch {
	case errors.Is(err, sql.ErrNoRows) && g.w.s.keysDamage != nil:
		res.err = fmt.Errorf("whether key %q was used is not known: %w", t.key.ID, g.w.s.keysDamage)
	case errors.Is(err, sql.ErrNoRows):
		return false, nil
	case err != nil:
		return false, t.failed(err)
	case sum != keySum(t.key, hash, span, recorded):
		res.err = fmt.Errorf("%w: key %q: what is stored of it is damaged; use another key", ErrCorrupt, t.key.ID)
	case g.recorded-recorded >= int64(KeyLifetime):
		return false, nil
	case !bytes.Equal(hash, t.hash):
		res.err = fmt.Errorf("%w: %q was the key of other content, which is at positions %d to %d",
			ErrKeyReused, t.key.ID, span.First, span.Last)
	default:
		res.span = span
	}
	return true, nil
}

// remember keeps the key of a request and what became of it.
func (g *grouping) remember(ctx context.Context, t *terms, span Span) error {
	if err := g.begin(ctx); err != nil {
		return err
	}
	const keep = `INSERT OR REPLACE INTO append_keys
		(scope, key, hash, first_position, last_position, recorded, checksum) VALUES (?, ?, ?, ?, ?, ?, ?)`
	hash := t.hash
	if hash == nil {
		hash = []byte{}
	}
	err := g.w.statements.exec(ctx, g.w.conn, keep, t.key.Scope, t.key.ID, hash, int64(span.First), int64(span.Last), g.recorded,
		keySum(t.key, hash, span, g.recorded))
	if err == nil && g.recorded >= g.w.keysLook {
		err = g.forget(ctx)
	}
	if err != nil {
		return t.failed(err)
	}
	return nil
}

// failed is for a key that cannot be read or written: batches without one must not suffer for it.
func (t *terms) failed(err error) error {
	return &batchError{fmt.Errorf("%w: key %q: %w", ErrUnavailable, t.key.ID, err)}
}

// forgetStep is the number of keys that are forgotten for one that is remembered, at most.
const forgetStep = 16

// forget deletes some of the keys that are too old, if there are any, and finds out when there may be more.
func (g *grouping) forget(ctx context.Context) error {
	// Rows are numbered as they come, so the oldest have the lowest ids.
	const forget = `DELETE FROM append_keys WHERE id < (SELECT min(id) FROM append_keys) + ? AND recorded <= ?`
	if err := g.w.statements.exec(ctx, g.w.conn, forget, forgetStep, g.recorded-int64(KeyLifetime)); err != nil {
		return err
	}
	const oldest = `SELECT recorded FROM append_keys ORDER BY id LIMIT 1`
	var recorded int64
	if err := g.w.statements.scan(ctx, g.w.conn, []any{&recorded}, oldest); err != nil {
		return err
	}
	g.w.keysLook = min(recorded, math.MaxInt64-int64(KeyLifetime)) + int64(KeyLifetime)
	return nil
}
