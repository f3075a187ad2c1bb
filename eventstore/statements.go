package eventstore

import (
	"context"
	"database/sql"
)

// statements are those that are prepared once for a connection. What is run through them while a transaction is under
// way on that connection is part of it.
type statements map[string]*sql.Stmt

// exec runs a statement.
func (s *statements) exec(ctx context.Context, conn *sql.Conn, query string, args ...any) error {
	_, err := s.run(ctx, conn, query, args...)
	return err
}

// run runs a statement and returns what it did.
func (s *statements) run(ctx context.Context, conn *sql.Conn, query string, args ...any) (sql.Result, error) {
	if err := s.prepare(ctx, conn, query); err != nil {
		return nil, err
	}
	return (*s)[query].ExecContext(ctx, args...)
}

// scan runs a query for one row and scans it; [sql.ErrNoRows] where there is none.
func (s *statements) scan(ctx context.Context, conn *sql.Conn, row []any, query string, args ...any) error {
	if err := s.prepare(ctx, conn, query); err != nil {
		return err
	}
	return misread((*s)[query].QueryRowContext(ctx, args...).Scan(row...))
}

func (s *statements) prepare(ctx context.Context, conn *sql.Conn, query string) error {
	if (*s)[query] != nil {
		return nil
	}
	stmt, err := conn.PrepareContext(ctx, query) //nolint:sqlclosecheck // close does, for all of them
	if err != nil {
		return err
	}
	if *s == nil {
		*s = statements{}
	}
	(*s)[query] = stmt
	return nil
}

func (s *statements) close() {
	for _, stmt := range *s {
		_ = stmt.Close() // it only gives memory back
	}
	*s = nil
}
