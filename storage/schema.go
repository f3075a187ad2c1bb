package storage

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
)

// tables are those of the newest format, with their columns.
var tables = [...]struct{ name, columns string }{
	{"meta", "key, value, checksum"},
	{"segments", "last_position, first_position, first_recorded, last_recorded, encoding, chain, body"},
	{"segment_filters", "last_position, filter"},
	{"snapshots", "owner, position, file_uuid, fold_version, chain, encoding, count, parts, checksum"},
	{"snapshot_parts", "owner, position, part, body"},
	{"append_keys", "id, scope, key, hash, first_position, last_position, recorded, checksum"},
	{"cursors", "name, position, stored, checksum"},
}

// checkSchema asks for every column, so that a name that is not what was written is found here and not taken for a defect
// of a statement later.
func checkSchema(ctx context.Context, db *sql.DB) error {
	for _, t := range tables {
		rows, err := db.QueryContext(ctx, "SELECT "+t.columns+" FROM "+t.name+" LIMIT 0")
		if err == nil {
			err = errors.Join(rows.Err(), rows.Close())
		}
		if isLogicError(err) {
			return fmt.Errorf("%w: its schema is not what was written: %w", ErrDamaged, err)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
