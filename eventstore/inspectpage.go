package eventstore

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
)

// inspectedSegment is a segment together with what is stored about it elsewhere.
type inspectedSegment struct {
	segment
	filter filter // nil where there is none
	// unfiltered says that it is not known whether it has a filter.
	unfiltered bool
	// replaced is nil, unless the segment took the place of others in the middle of which the page begins: then it is the
	// chain's value before it.
	replaced *chain
}

// page reads the segments behind v.after with their filters, and lists the snapshots up to their end: all in one
// transaction, so that what is replaced meanwhile does not look damaged. It fails if the first of the segments cannot
// be read; one after it just ends the page.
func (v *inspector) page(ctx context.Context) ([]inspectedSegment, error) {
	tx, err := v.s.db.Reader().BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return nil, err
	}
	defer func() { _ = tx.Rollback() }() // it only reads
	segments, err := v.readSegments(ctx, tx)
	if err != nil || len(segments) == 0 {
		return nil, err
	}
	if segments[0].first <= v.after {
		if err := v.readReplaced(ctx, tx, &segments[0]); err != nil {
			return nil, err
		}
	}
	last := segments[len(segments)-1].last
	if err := v.readFilters(ctx, tx, segments, int64(last)); err != nil {
		return nil, err
	}
	return segments, v.listSnapshots(ctx, tx, int64(last))
}

func (v *inspector) readSegments(ctx context.Context, tx *sql.Tx) (found []inspectedSegment, err error) {
	rows, err := tx.QueryContext(ctx, `SELECT `+segmentColumns+` FROM segments
		WHERE last_position >= ? ORDER BY last_position LIMIT ?`, int64(v.after+1), pageRows)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }() // what it could say, Err has said
	for size := 0; size < pageBytes && rows.Next(); {
		s, err := scanSegment(rows)
		if err != nil {
			err = fmt.Errorf("%w: %w", ErrCorrupt, err)
			return found, errUnless(len(found) > 0, err)
		}
		if s.first > v.until && s.intact() == nil {
			return found, nil
		}
		found = append(found, inspectedSegment{segment: s})
		size += len(s.body)
	}
	for i := range found[:max(len(found)-1, 0)] {
		// What a damaged row says of its end must not hide the rows behind it.
		if s, next := &found[i], &found[i+1]; next.first > v.after+1 && next.last <= s.last && s.intact() != nil && next.intact() == nil {
			s.last = next.first - 1
		}
	}
	err = rows.Err()
	return found, errUnless(len(found) > 0 && isDamage(err), err)
}

// errUnless is the error, unless it can wait.
func errUnless(wait bool, err error) error {
	if wait {
		return nil
	}
	return err
}

// readReplaced finds out whether a segment that begins before the page took the place of others since the page before
// was read. If it did, the one that ended there is gone, and the one before it ends where they began.
func (v *inspector) readReplaced(ctx context.Context, tx *sql.Tx, s *inspectedSegment) error {
	var there int
	err := tx.QueryRowContext(ctx, `SELECT count(*) FROM segments WHERE last_position = ?`, int64(v.after)).Scan(&there)
	if err != nil || there > 0 {
		return err
	}
	c, err := chainBefore(ctx, tx, s.first)
	if errors.Is(err, ErrCorrupt) {
		return nil // no segment ends there: it overlaps
	}
	s.replaced = &c
	return err
}

// readFilters gives the segments of a page their filters, and reports filters that belong to none.
func (v *inspector) readFilters(ctx context.Context, tx *sql.Tx, segments []inspectedSegment, last int64) error {
	err := v.eachFilter(ctx, tx, last, func(at Position, f filter) {
		i, ok := slices.BinarySearchFunc(segments, at, func(s inspectedSegment, at Position) int { return cmp.Compare(s.last, at) })
		if ok {
			segments[i].filter = f
		} else {
			v.orphan(at)
		}
	})
	if !isDamage(err) {
		return err
	}
	for i := range segments {
		segments[i].unfiltered = segments[i].filter == nil
	}
	v.filtersLost(err)
	return nil
}

// filtersLost reports, once, that filters cannot be read.
func (v *inspector) filtersLost(err error) {
	if !v.unfiltered {
		v.unfiltered = true
		v.found(Finding{
			Kind: FindingFilter, First: v.after + 1, Last: MaxPosition, Problem: fmt.Errorf("not all filters can be read: %w", err),
		})
	}
}

// eachFilter yields the filters behind v.after up to a position.
func (v *inspector) eachFilter(ctx context.Context, tx *sql.Tx, last int64, yield func(Position, filter)) error {
	if int64(v.after) >= last {
		return nil
	}
	rows, err := tx.QueryContext(ctx, `SELECT last_position, filter FROM segment_filters
		WHERE last_position BETWEEN ? AND ? ORDER BY last_position`, int64(v.after+1), last)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }() // what it could say, Err has said
	for rows.Next() {
		var at Position
		var f []byte
		if err := rows.Scan(&at, &f); err != nil {
			return fmt.Errorf("%w: %w", ErrCorrupt, err)
		}
		yield(at, f)
	}
	return rows.Err()
}

// orphan reports a filter of a segment that is not there.
func (v *inspector) orphan(at Position) {
	v.found(Finding{
		Kind: FindingFilter, First: at, Last: at, Problem: errors.New("there is no segment that ends there"),
	})
}

// beyond looks at what is stored about positions behind the end of the log.
func (v *inspector) beyond(ctx context.Context) error {
	tx, err := v.s.db.Reader().BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // it only reads
	end, err := lastPosition(ctx, tx)
	if isDamage(err) {
		return nil // that was reported, and so nobody knows what is behind the end
	}
	if err != nil {
		return err
	}
	v.after = max(v.after, end) // what was added since the walk began is left alone
	err = v.eachFilter(ctx, tx, int64(MaxPosition), func(at Position, _ filter) { v.orphan(at) })
	if isDamage(err) {
		v.filtersLost(err)
	} else if err != nil {
		return err
	}
	if err := v.listSnapshots(ctx, tx, int64(MaxPosition)); err != nil {
		return err
	}
	rest := v.snapshots
	if err := tx.Rollback(); err != nil {
		return err
	}
	for _, r := range rest {
		switch {
		case r.Position > end:
			v.found(snapshotFinding(&r, fmt.Errorf("the log ends at position %d, before it", end)))
		case r.Position <= v.until:
			if err := v.snapshot(ctx, &r, nil); err != nil {
				return err
			}
		}
	}
	return nil
}
