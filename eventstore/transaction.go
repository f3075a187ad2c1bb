package eventstore

import (
	"context"
	"database/sql"

	"github.com/statehouse/statehouse/storage"
)

// transaction is a transaction on the writer's connection. That of database/sql starts a goroutine and parses its BEGIN
// and its COMMIT each time, which is a tenth of what a commit takes beside the sync.
type transaction struct {
	w    *writer
	over bool
}

var _ storage.Tx = (*transaction)(nil)

// begin begins a transaction that may write.
func (w *writer) begin(ctx context.Context) (*transaction, error) {
	if err := w.statements.exec(ctx, w.conn, `BEGIN IMMEDIATE`); err != nil {
		return nil, err
	}
	return &transaction{w: w}, nil
}

// commit commits; after an error it is open what became of the transaction.
func (t *transaction) commit(ctx context.Context) error { return t.end(ctx, `COMMIT`) }

// rollback undoes everything; after an error the connection is not to be used any more.
func (t *transaction) rollback(ctx context.Context) error { return t.end(ctx, `ROLLBACK`) }

func (t *transaction) end(ctx context.Context, statement string) error {
	if t.over {
		return sql.ErrTxDone
	}
	t.over = true
	return t.w.statements.exec(ctx, t.w.conn, statement)
}

// ExecContext implements storage.Tx.
func (t *transaction) ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error) {
	if t.over {
		return nil, sql.ErrTxDone
	}
	return t.w.conn.ExecContext(ctx, query, args...)
}

// QueryContext implements storage.Tx.
func (t *transaction) QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	if t.over {
		return nil, sql.ErrTxDone
	}
	return t.w.conn.QueryContext(ctx, query, args...)
}

// QueryRowContext implements storage.Tx.
func (t *transaction) QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row {
	if t.over { // only database/sql can make a row with an error
		var stop context.CancelCauseFunc
		ctx, stop = context.WithCancelCause(ctx)
		stop(sql.ErrTxDone)
	}
	return t.w.conn.QueryRowContext(ctx, query, args...)
}
