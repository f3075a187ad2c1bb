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
	// Delta says that it holds only what has changed since another one, which is at the position Base.
	Delta bool
	Base  Position
	// Records is the number of its records, and Bytes what its body takes in the file.
	Records, Bytes int64
	// Fault says why it cannot be used, nil where nothing is known against it.
	Fault error
	// Damaged says that the fault is one of what is stored, and not that another version of the fold made the snapshot, or
	// that the history up to it has been removed: then the fault is [ErrCompacted], and it is there for deltas.
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
				info, err := rows[i].info(ctx, tx, rows, versions)
				if err != nil {
					return err
				}
				found = append(found, info)
			}
		}
		return nil
	})
	if err != nil {
		return nil, s.orClosed(orCorrupt(err))
	}
	return found, nil
}

// info says what is known of the snapshot; rows are all of its owner.
func (r *snapshotRow) info(ctx context.Context, tx storage.Tx, rows []snapshotRow, versions map[string]int) (SnapshotInfo, error) {
	info := SnapshotInfo{SnapshotHeader: r.SnapshotHeader, Delta: r.delta, Base: r.base.position, Records: r.count}
	version, known := versions[r.Owner]
	if !known {
		info.Fault = errors.New("nothing here has a fold of that name")
	}
	layers, err := r.layers(rows)
	if err != nil && known {
		info.Fault = err
	}
	if err != nil {
		layers = []*snapshotRow{r}
	}
	for _, layer := range layers {
		var parts int64
		err := tx.QueryRowContext(ctx, `SELECT count(*), coalesce(sum(length(body)), 0) FROM snapshot_parts
			WHERE owner = ? AND position = ?`, layer.Owner, int64(layer.Position)).Scan(&parts, &info.Bytes)
		if err != nil {
			return info, fmt.Errorf("snapshot of %s at position %d: %w", layer.Owner, layer.Position, err)
		}
		if info.Fault != nil {
			continue
		}
		if parts != layer.parts {
			info.Fault = layer.of(r, fmt.Errorf("it has %d parts instead of %d", parts, layer.parts))
		}
	}
	if info.Fault == nil {
		info.Fault = r.check(ctx, tx, layers, version)
	}
	info.Damaged = info.Fault != nil && known && r.FoldVersion == version && !errors.Is(info.Fault, ErrCompacted)
	return info, ctx.Err()
}
