package eventstore

import (
	"context"
	"errors"
	"fmt"

	"github.com/statehouse/statehouse/storage"
)

// SnapshotInfo is what is known of a stored snapshot without reading its body.
type SnapshotInfo struct {
	SnapshotHeader
	// Records is the number of its records, and Bytes what its body takes in the file.
	Records, Bytes int64
	// Fault says why it cannot be used, nil where nothing is known against it.
	Fault error
	// Damaged says that the fault is one of what is stored, and not that another version of the fold made the snapshot.
	Damaged bool
}

// Snapshots are all stored snapshots, sorted by owner and position. versions are the versions of the folds that their
// owners have now; a snapshot of another owner is not used. Bodies are not read.
func (s *Store) Snapshots(ctx context.Context, versions map[string]int) (found []SnapshotInfo, err error) {
	err = s.View(ctx, func(tx storage.Tx) error {
		owners, err := snapshotOwners(ctx, tx)
		if err != nil {
			return err
		}
		for _, owner := range owners {
			rows, err := snapshotRows(ctx, tx, owner, MaxPosition)
			if err != nil {
				return fmt.Errorf("snapshots of %s: %w", owner, err)
			}
			for i := len(rows) - 1; i >= 0; i-- { // they come newest first
				info, err := rows[i].info(ctx, tx, versions)
				if err != nil {
					return err
				}
				found = append(found, info)
			}
		}
		return nil
	})
	if err != nil {
		return nil, s.orClosed(err)
	}
	return found, nil
}

func (r *snapshotRow) info(ctx context.Context, tx storage.Tx, versions map[string]int) (SnapshotInfo, error) {
	info := SnapshotInfo{SnapshotHeader: r.SnapshotHeader, Records: r.count}
	var parts int64
	err := tx.QueryRowContext(ctx, `SELECT count(*), coalesce(sum(length(body)), 0) FROM snapshot_parts
		WHERE owner = ? AND position = ?`, r.Owner, int64(r.Position)).Scan(&parts, &info.Bytes)
	if err != nil {
		return info, fmt.Errorf("snapshot of %s at position %d: %w", r.Owner, r.Position, err)
	}
	version, known := versions[r.Owner]
	switch {
	case !known:
		info.Fault = errors.New("nothing here has a fold of that name")
	case parts != r.parts:
		info.Fault, info.Damaged = fmt.Errorf("it has %d parts instead of %d", parts, r.parts), true
	default:
		info.Fault = r.check(ctx, tx, version)
		info.Damaged = info.Fault != nil && r.FoldVersion == version
	}
	if err := ctx.Err(); err != nil {
		return info, err
	}
	return info, nil
}
