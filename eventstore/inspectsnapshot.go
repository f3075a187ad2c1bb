package eventstore

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync/atomic"
	"time"

	"github.com/statehouse/statehouse/storage"
)

// snapshotFinding is the beginning of a finding about a snapshot.
func snapshotFinding(r *snapshotRow, problem error) Finding {
	return Finding{Kind: FindingSnapshot, First: r.Position, Last: r.Position, Owner: r.Owner, Problem: problem}
}

// listSnapshots lists the snapshots behind v.listed up to a position, by position.
func (v *inspector) listSnapshots(ctx context.Context, tx *sql.Tx, last int64) error {
	owners, err := snapshotOwners(ctx, tx)
	var rows []snapshotRow
	for _, owner := range owners {
		if err != nil {
			break
		}
		var all []snapshotRow
		all, err = snapshotRows(ctx, tx, owner, MaxPosition)
		rows = append(rows, all...)
	}
	for _, r := range rows {
		if int64(r.Position) > v.listed && int64(r.Position) <= last {
			v.snapshots = append(v.snapshots, r)
		}
	}
	slices.SortFunc(v.snapshots, func(a, b snapshotRow) int {
		return cmp.Or(cmp.Compare(a.Position, b.Position), cmp.Compare(a.Owner, b.Owner))
	})
	if first := v.listed < 0; isDamage(err) {
		if first { // once is enough
			v.found(Finding{Kind: FindingSnapshot, Problem: fmt.Errorf("not all snapshots can be listed: %w", err)})
		}
		err = nil
	}
	v.listed = last
	return err
}

func snapshotOwners(ctx context.Context, tx storage.Tx) (owners []string, err error) {
	rows, err := tx.QueryContext(ctx, `SELECT DISTINCT owner FROM snapshots ORDER BY owner`)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }() // what it could say, Err has said
	for rows.Next() {
		var owner string
		if err := rows.Scan(&owner); err != nil {
			return nil, misread(err)
		}
		owners = append(owners, owner)
	}
	return owners, rows.Err()
}

// foldAndCompare folds the segment that v.run has, and checks the snapshots up to its end against the fold. at has the
// chain's value at their positions, where it is known.
func (v *inspector) foldAndCompare(ctx context.Context, s *segment, at map[Position]chain) error {
	for len(v.snapshots) > 0 && v.snapshots[0].Position <= s.last && (v.limit == 0 || v.snapshots[0].Position <= v.limit) {
		r := v.snapshots[0]
		v.snapshots = v.snapshots[1:]
		v.fold(ctx, r.Position)
		var c *chain
		if known, ok := at[r.Position]; ok {
			c = &known
		}
		if err := v.snapshot(ctx, &r, c); err != nil {
			return err
		}
	}
	if until := s.last; v.limit == 0 || until <= v.limit {
		v.fold(ctx, until)
	} else {
		v.fold(ctx, v.limit)
	}
	return ctx.Err()
}

// fold folds the events of the run up to a position.
func (v *inspector) fold(ctx context.Context, until Position) {
	for _, f := range v.folds {
		if f.lost || until <= f.at {
			continue
		}
		first := f.at + 1
		err := f.fold(ctx, v.run, until)
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			f.lost = true
			found := about(FindingFold, v.run.segment, err)
			found.First, found.Last, found.Owner = first, until, f.projector.Name()
			v.found(found)
		}
	}
}

// snapshot checks one snapshot. c is the chain's value at its position, nil where that is not known.
func (v *inspector) snapshot(ctx context.Context, r *snapshotRow, c *chain) error {
	v.result.Snapshots++
	parts, err := v.snapshotParts(ctx, r)
	if errors.Is(err, sql.ErrNoRows) {
		v.result.Snapshots-- // it was removed since it was listed
		return nil
	}
	if err != nil && !isDamage(err) {
		return err
	}
	var entity string
	switch {
	case err != nil:
		err = cause(err)
	case r.Position == 0 && r.chain != genesis(v.s.uuid), c != nil && *c != r.chain:
		err = errors.New("the log up to it is not the one that it was made from")
	default:
		entity, err = v.compare(r, parts)
	}
	if err == nil && r.delta && v.unusable[snapshotPlace{r.Owner, r.base.position}] {
		err = fmt.Errorf("its base, the one at position %d, cannot be used", r.base.position)
	}
	if err == nil {
		return nil
	}
	v.unusable[r.place()] = true
	f := snapshotFinding(r, err)
	if entity != "" {
		f.Entities = []string{entity}
	}
	if s := v.run.segment; s != nil && s.first <= r.Position && r.Position <= s.last && len(v.run.recorded) > int(r.Position-s.first) {
		f.RecordedFrom = time.Unix(0, v.run.recorded[r.Position-s.first]).UTC()
		f.RecordedTo = f.RecordedFrom
	}
	v.found(f)
	return nil
}

// snapshotParts reads a snapshot as it is now, and checks everything of it that does not need the log. The error is
// sql.ErrNoRows where there is none any more, and ErrCorrupt where it is damaged.
func (v *inspector) snapshotParts(ctx context.Context, r *snapshotRow) (parts []SnapshotPart, err error) {
	damaged := func(err error) error { return fmt.Errorf("%w: %w", ErrCorrupt, err) }
	tx, err := v.s.db.Reader().BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return nil, err
	}
	defer func() { _ = tx.Rollback() }() // it only reads
	rows, err := snapshotRows(ctx, tx, r.Owner, r.Position)
	if err != nil {
		return nil, err
	}
	if len(rows) == 0 || rows[0].Position != r.Position {
		return nil, sql.ErrNoRows
	}
	*r = rows[0]
	if err := r.checkOrigin(v.s.uuid); err != nil {
		return nil, damaged(err)
	}
	if _, err := r.layers(rows); err != nil {
		return nil, damaged(err)
	}
	var count int64
	if err := tx.QueryRowContext(ctx, `SELECT count(*) FROM snapshot_parts WHERE owner = ? AND position = ?`,
		r.Owner, int64(r.Position)).Scan(&count); err != nil {
		return nil, err
	}
	if count != r.parts {
		return nil, damaged(fmt.Errorf("it has %d parts instead of %d", count, r.parts))
	}
	err = r.readParts(ctx, tx, func(body []byte) bool {
		parts = append(parts, SnapshotPart{Delta: r.delta, encoding: r.encoding, body: body, seen: new(atomic.Int64)})
		return true
	})
	if err != nil && ctx.Err() == nil && !isDamage(err) {
		return nil, damaged(err)
	}
	return parts, err
}

// compare compares a snapshot with the fold of its owner, if there is one, and says which entity differs, if one does.
// Without a fold it checks only that the snapshot can be read. A delta is compared with what the fold says has changed
// since its base.
func (v *inspector) compare(r *snapshotRow, parts []SnapshotPart) (entity string, err error) {
	count := int64(0)
	stored := func(yield func([]byte, error) bool) {
		for _, p := range parts {
			for record, err := range p.Records() {
				count++
				if !yield(record, err) {
					return
				}
			}
		}
	}
	if want, err := v.folded(r); err != nil {
		return "", err
	} else if want != nil {
		v.result.Compared++
		if entity, err = compareRecords(stored, *want); err != nil {
			return entity, err
		}
	} else {
		for _, err := range stored {
			if err != nil {
				return "", err
			}
		}
	}
	if count != r.count {
		return "", fmt.Errorf("it has %d records instead of %d", count, r.count)
	}
	return "", nil
}

// folded are the records that a snapshot should have by the fold of its owner, nil where nobody can say.
func (v *inspector) folded(r *snapshotRow) (*Records, error) {
	for _, f := range v.folds {
		if f.projector.Name() != r.Owner || f.lost || f.at != r.Position || f.at > 0 && f.at == f.from {
			continue
		}
		source, ok := f.projector.(SnapshotSource)
		if !ok {
			continue
		}
		if err := f.settle(); err != nil {
			return nil, err
		}
		c := source.Capture()
		if c.Header().FoldVersion != r.FoldVersion {
			continue
		}
		if !r.delta {
			f.full = c
			records := c.Records(runtime.Gosched)
			return &records, nil
		}
		if now, ok := c.(DeltaCapture); ok && f.full != nil && f.full.Header().Position == r.base.position {
			records := now.Delta(f.full, runtime.Gosched)
			return &records, nil
		}
	}
	return nil, nil
}
