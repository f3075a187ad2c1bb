package storage

import (
	"context"
	"database/sql"
)

// Tx is a transaction as a projector sees it: it may read and write, and whoever handed it out commits it or rolls it
// back. *sql.Tx is one.
type Tx interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

var _ Tx = (*sql.Tx)(nil)
