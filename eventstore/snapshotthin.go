package eventstore

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/statehouse/statehouse/storage"
)

// What is kept of snapshots: all of the last recentSnapshots of each owner, of those before them as few as leave no
// more than sparseEvents events between two, and whatever one that is kept starts from.
const (
	recentSnapshots = 8
	sparseEvents    = 50_000
)

// stored is what thinning knows of a snapshot.
type stored struct {
	at Position
	// base is where the snapshot is that this one starts from, if it is a delta.
	base  Position
	delta bool
	// usable says that nothing is known against it, and damaged that it is not because it is of another version.
	usable, damaged bool
}

// thinLocked removes snapshots that are not needed, and the parts of those that were not finished.
func (b *snapshotter) thinLocked(ctx context.Context) error {
	base, _ := b.s.Base()
	err := b.removeLocked(ctx, func(newest []stored) []Position { return unneeded(newest, base) })
	if err != nil {
		return fmt.Errorf("remove old snapshots: %w", err)
	}
	clear(b.bad)
	return nil
}

// removeLocked removes those of the snapshots of each owner that choose chooses, given them newest first, and parts that
// belong to none. Their rows go first, those of deltas before those of what they start from, and so it does not matter where
// it is cut off.
func (b *snapshotter) removeLocked(ctx context.Context, choose func(newest []stored) []Position) error {
	step := b.inTurns(ctx)
	var gone []snapshotPlace
	err := b.s.View(ctx, func(tx storage.Tx) error {
		owners, err := snapshotOwners(ctx, tx)
		if err != nil {
			return err
		}
		for _, owner := range owners {
			all, err := b.storedLocked(ctx, tx, owner)
			if err != nil {
				return err
			}
			for _, p := range choose(all) {
				gone = append(gone, snapshotPlace{owner, p})
			}
		}
		return nil
	})
	if err == nil && len(gone) > 0 {
		err = step(func(ctx context.Context, tx storage.Tx) error {
			for _, place := range gone {
				if err := place.clearRow(ctx, tx); err != nil {
					return err
				}
			}
			return nil
		})
	}
	if err != nil {
		return err
	}
	return b.removeStrays(ctx, step)
}

// strayParts is how many parts are removed in one step: about what a step writes.
const strayParts = 2

const isStray = `NOT EXISTS (SELECT 1 FROM snapshots AS s
	WHERE s.owner = snapshot_parts.owner AND s.position = snapshot_parts.position)`

// removeStrays removes the parts that belong to no snapshot.
func (b *snapshotter) removeStrays(ctx context.Context, step stepper) error {
	var strays []int64
	err := b.s.View(ctx, func(tx storage.Tx) (err error) {
		strays, err = findStrays(ctx, tx)
		return err
	})
	for some := range slices.Chunk(strays, strayParts) {
		if err == nil {
			err = step(func(ctx context.Context, tx storage.Tx) error { return clearStrays(ctx, tx, some) })
		}
	}
	return err
}

// clearStrays removes those of the parts that still are strays: an id may be that of another part by now.
func clearStrays(ctx context.Context, tx storage.Tx, ids []int64) error {
	for _, id := range ids {
		if _, err := tx.ExecContext(ctx, `DELETE FROM snapshot_parts WHERE rowid = ? AND `+isStray, id); err != nil {
			return err
		}
	}
	return nil
}

func findStrays(ctx context.Context, tx storage.Tx) (ids []int64, err error) {
	rows, err := tx.QueryContext(ctx, `SELECT rowid FROM snapshot_parts WHERE `+isStray)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }() // what it could say, Err has said
	for rows.Next() {
		var id int64
		if err := rows.Scan(&id); err != nil {
			return nil, err
		}
		ids = append(ids, id)
	}
	return ids, rows.Err()
}

// storedLocked is what there is of an owner, newest first. Of what is against a snapshot it knows what the start found,
// and what can be seen without reading bodies or the log.
func (b *snapshotter) storedLocked(ctx context.Context, tx storage.Tx, owner string) (all []stored, err error) {
	rows, err := snapshotRows(ctx, tx, owner, MaxPosition)
	if err != nil {
		return nil, err
	}
	parts, err := countParts(ctx, tx, owner)
	if err != nil {
		return nil, err
	}
	good := func(r *snapshotRow) bool {
		return r.checkOrigin(b.s.uuid) == nil && parts[r.Position] == r.parts && r.Position <= b.s.Head() &&
			!b.bad[r.place()]
	}
	for i := range rows {
		r := &rows[i]
		s := stored{at: r.Position, delta: r.delta, base: r.base.position}
		// The newest was just made, by this version.
		current := r.FoldVersion == rows[0].FoldVersion
		layers, err := r.layers(rows)
		s.usable = current && err == nil && !slices.ContainsFunc(layers, func(l *snapshotRow) bool { return !good(l) })
		s.damaged = current && !s.usable
		all = append(all, s)
	}
	return all, nil
}

// countParts are the numbers of parts that there are of an owner's snapshots, by position.
func countParts(ctx context.Context, tx storage.Tx, owner string) (counts map[Position]int64, err error) {
	rows, err := tx.QueryContext(ctx, `SELECT position, count(*) FROM snapshot_parts WHERE owner = ? GROUP BY position`, owner)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }() // what it could say, Err has said
	counts = map[Position]int64{}
	for rows.Next() {
		var at Position
		var n int64
		if err := rows.Scan(&at, &n); err != nil {
			return nil, err
		}
		counts[at] = n
	}
	return counts, rows.Err()
}

// unneeded are those of an owner's snapshots, given newest first, that can go: what is damaged, what is of another version
// and older than the recent ones, and what leaves no gap that is too large. The one at the base of the log stays, in the
// place of what has been removed, and before it only what another one starts from.
func unneeded(newest []stored, base Position) (gone []Position) {
	var usable []stored
	for _, s := range newest {
		switch {
		case s.usable:
			usable = append(usable, s)
		case s.damaged, s.at < base, len(usable) >= recentSnapshots:
			gone = append(gone, s.at)
		}
	}
	bases := map[Position]bool{} // of those that are kept
	after := Position(0)         // the one that is kept behind the one in question
	for i, s := range usable {
		before := base // the log's beginning is as good as a snapshot
		if i+1 < len(usable) {
			before = max(before, usable[i+1].at)
		}
		dense := i >= recentSnapshots && after-before <= sparseEvents && (s.at != base || base == 0)
		if !bases[s.at] && (dense || s.at < base) {
			gone = append(gone, s.at)
			continue
		}
		after = s.at
		if s.delta {
			bases[s.base] = true
		}
	}
	slices.SortFunc(gone, func(a, b Position) int { return cmp.Compare(b, a) }) // deltas before what they start from
	return gone
}
