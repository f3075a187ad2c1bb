package storage

import (
	"context"
	"embed"
	"fmt"
	"io/fs"

	"github.com/pressly/goose/v3"
)

//go:embed migrations/*.sql
var migrations embed.FS

// migrate brings the schema up to this program's version, forward only, each step in a transaction of its own. That of a
// damaged database must be up to it. An inherited WAL is moved into the database before the first step.
func (db *DB) migrate(ctx context.Context) error {
	dir, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return err
	}
	if err := checkVersions(ctx, db.writer); err != nil {
		return err
	}
	p, err := goose.NewProvider(goose.DialectSQLite3, db.writer, dir)
	if err != nil {
		return fmt.Errorf("migrations: %w", err)
	}
	current, latest, err := p.GetVersions(ctx)
	if err != nil {
		return fmt.Errorf("migrations: %w", err)
	}
	if current > latest {
		return fmt.Errorf("%w: its format is %d, this program knows up to %d; use a newer one", ErrNewerFormat, current, latest)
	}
	if current == latest {
		return nil
	}
	if db.damage != nil {
		return fmt.Errorf("%w; and its format %d is that of an older version, which alone can read it as it is", db.damage, current)
	}
	if db.inherited {
		if err := db.MoveWAL(ctx, db.writer); err != nil {
			return fmt.Errorf("migrations: %w", err)
		}
	}
	if _, err := p.Up(ctx); err != nil {
		return fmt.Errorf("migrations: %w", err)
	}
	return nil
}
