package storage

import (
	"context"
	"database/sql"
	"fmt"
)

// tables are those of the newest format, with their columns.
var tables = [...]struct{ name, columns string }{
	{"meta", "key, value, checksum"},
	{"segments", "last_position, first_position, first_recorded, last_recorded, encoding, chain, body"},
	{"segment_filters", "last_position, filter"},
	{"snapshots", "owner, position, file_uuid, fold_version, chain, encoding, count, parts, checksum, " +
		"base_position, base_checksum"},
	{"snapshot_parts", "owner, position, part, body"},
	{"append_keys", "id, scope, key, hash, first_position, last_position, recorded, checksum"},
	{"cursors", "name, position, stored, checksum"},
}

// checkSchema asks for every column, so that a name that is not what was written is found here and not taken for a defect
// of a statement later.
func checkSchema(ctx context.Context, db *sql.DB) error {
	for _, t := range tables {
		if err := checkTable(ctx, db, t.name, t.columns); err != nil {
			return err
		}
	}
	return nil
}

func checkTable(ctx context.Context, db *sql.DB, name, columns string) error {
	rows, err := db.QueryContext(ctx, "SELECT "+columns+" FROM "+name+" LIMIT 0")
	if err != nil {
		return schemaError(err)
	}
	defer func() { _ = rows.Close() }() // there are none
	return schemaError(rows.Err())
}

// schemaError is the error of a statement that a schema as it was written does not have.
func schemaError(err error) error {
	if IsLogicError(err) {
		return fmt.Errorf("%w: its schema is not what was written: %w", ErrDamaged, err)
	}
	return err
}

// checkVersions looks for the table that the first migration makes before anything else, unless there is nothing yet: who
// migrates a database without it tries that for seconds.
func checkVersions(ctx context.Context, db *sql.DB) error {
	var objects int
	if err := db.QueryRowContext(ctx, "SELECT count(*) FROM sqlite_schema").Scan(&objects); err != nil || objects == 0 {
		return err
	}
	if err := checkTable(ctx, db, "goose_db_version", "id, version_id, is_applied, tstamp"); err != nil {
		return err
	}
	// Of a column that is declared NOT NULL, SQLite says without a look that it is none.
	var empty int
	err := db.QueryRowContext(ctx, `SELECT count(*) FROM goose_db_version
		WHERE typeof(version_id) <> 'integer' OR typeof(is_applied) <> 'integer'`).Scan(&empty)
	if err == nil && empty > 0 {
		err = fmt.Errorf("%w: a version of its format is not what was written", ErrDamaged)
	}
	return err
}
