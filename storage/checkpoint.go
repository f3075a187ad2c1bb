package storage

import (
	"context"
	"fmt"
)

// TryCheckpoint moves into the database, synced, what it can of the WAL without waiting for anybody, and nobody waits for it:
// commits go on meanwhile. A commit that makes the WAL long does the same, and all behind it wait; after this it has
// little to do. Nothing is done while another checkpoint is under way.
func (db *DB) TryCheckpoint(ctx context.Context) error {
	var busy, frames, moved int
	if err := db.reader.QueryRowContext(ctx, `PRAGMA wal_checkpoint(PASSIVE)`).Scan(&busy, &frames, &moved); err != nil {
		return fmt.Errorf("checkpoint: %w", err)
	}
	return nil
}
