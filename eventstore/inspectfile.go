package eventstore

import (
	"context"
	"errors"
	"fmt"

	"github.com/statehouse/statehouse/storage"
)

// file looks at what is no part of the log: whether the database was found to be damaged when it was opened, the
// anchor, the cursors, the keys, and the structure of the pages.
func (v *inspector) file(ctx context.Context) error {
	report := func(err error) {
		v.found(Finding{Kind: FindingFile, Problem: err})
	}
	damage := v.s.db.Damage()
	if v.s.head.Load() == nil {
		damage = v.s.damage
	}
	if damage != nil {
		report(damage)
	}
	db := v.s.db.Reader()
	goesOn := v.s.head.Load() != nil && v.s.damage == nil // and so has looked when it was started
	if !goesOn && v.until != MaxPosition {
		if damage, _ := v.s.checkAnchor(ctx, db, v.until); damage != nil {
			report(damage)
		}
	}
	for _, check := range [...]func(context.Context, querier) error{checkCursors, checkKeys} {
		switch err := check(ctx, db); {
		case isDamage(err):
			report(cause(err))
		case err != nil:
			return err
		}
	}
	if v.result.Findings > 0 {
		return nil // the structure is what they come from
	}
	problem, err := v.structure(ctx)
	if problem != nil {
		report(problem)
	}
	return err
}

// structure has SQLite look at every page: whether each is in use once, and what is free is free.
func (v *inspector) structure(ctx context.Context) (problem, err error) {
	rows, err := v.s.db.Reader().QueryContext(ctx, `PRAGMA integrity_check(1)`)
	if err == nil {
		defer func() { _ = rows.Close() }() // what it could say, Err has said
		for rows.Next() {
			var text string
			if err := rows.Scan(&text); err != nil {
				return nil, err
			}
			if text != "ok" {
				problem = fmt.Errorf("its pages are not in order, although everything that was read is: %w", errors.New(text))
			}
		}
		err = rows.Err()
	}
	if isDamage(err) || storage.IsLogicError(err) { // it does not understand the schema any more
		return err, nil
	}
	return problem, err
}
