package eventstore

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/statehouse/statehouse/storage"
)

// What the file keeps beside the log and what does not follow from it are the cursors of consumers and the keys of
// appends. Each row has a checksum. A row that is hidden by a damage of the table would pass for one that never was: a consumer
// would begin again, and a repeated append would be done again. So the cursors have a row that says how many there
// are, and the keys two trees of pages, one by number and one by key, that must hold the same.

// cursorSum is the checksum of a row of cursors.
func cursorSum(name string, at Position, stored int64) int64 {
	return storage.RowSum(name, int64(at), stored)
}

// keySum is the checksum of a row of append_keys.
func keySum(k Key, hash []byte, span Span, recorded int64) int64 {
	return storage.RowSum(k.Scope, k.ID, hash, int64(span.First), int64(span.Last), recorded)
}

// checkTables looks whether the cursors and the keys are what was written. What is wrong with them does not concern the log:
// it is a notice, and the error of who needs them.
func (s *Store) checkTables(ctx context.Context, db querier) error {
	for _, t := range [...]struct {
		check  func(ctx context.Context, db querier) error
		damage *error
	}{{checkCursors, &s.cursors.damage}, {checkKeys, &s.keysDamage}} {
		err := t.check(ctx, db)
		if err != nil && !isDamage(err) {
			return err
		}
		if *t.damage = err; err != nil {
			s.notice(err)
		}
	}
	return nil
}

// checkCursors says what is wrong with the cursors, nil if nothing is.
func checkCursors(ctx context.Context, db querier) (err error) {
	rows, err := db.QueryContext(ctx, `SELECT name, position, stored, checksum FROM cursors`)
	if err != nil {
		return fmt.Errorf("cursors: %w", err)
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	var wrong []string
	var count, sum, wantCount, wantSum int64
	totals := false
	for rows.Next() {
		var name string
		var at, stored, checksum int64
		if err := rows.Scan(&name, &at, &stored, &checksum); err != nil {
			return fmt.Errorf("%w: cursors: %w", ErrCorrupt, err)
		}
		if checksum != storage.RowSum(name, at, stored) {
			wrong = append(wrong, fmt.Sprintf("%q", name))
		}
		if name == "" {
			totals, wantCount, wantSum = true, at, stored
			continue
		}
		count, sum = count+1, sum+checksum
	}
	switch err := rows.Err(); {
	case err != nil:
		return fmt.Errorf("cursors: %w", err)
	case len(wrong) > 0:
		return fmt.Errorf("%w: cursors: the checksum of %s does not fit", ErrCorrupt, strings.Join(wrong, ", "))
	case !totals:
		return fmt.Errorf("%w: cursors: it is not known how many there are", ErrCorrupt)
	case count != wantCount || sum != wantSum:
		return fmt.Errorf("%w: cursors: there are %d, and these are not the %d that there should be", ErrCorrupt, count, wantCount)
	}
	return nil
}

// checkKeys says what is wrong with the keys, nil if nothing is.
func checkKeys(ctx context.Context, db querier) (err error) {
	var found string
	if err := db.QueryRowContext(ctx, `PRAGMA integrity_check('append_keys')`).Scan(&found); err != nil {
		return fmt.Errorf("keys of appends: %w", err)
	}
	if found != "ok" {
		return fmt.Errorf("%w: keys of appends: %s", ErrCorrupt, found)
	}
	var wrong int
	err = db.QueryRowContext(ctx, `SELECT count(*) FROM append_keys
		WHERE checksum <> statehouse_sum(scope, key, hash, first_position, last_position, recorded)`).Scan(&wrong)
	if err != nil {
		return fmt.Errorf("keys of appends: %w", err)
	}
	if wrong > 0 {
		return fmt.Errorf("%w: keys of appends: the checksums of %d do not fit", ErrCorrupt, wrong)
	}
	return nil
}
