package storage

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// classify adds to an error what it amounts to: the context's error, when that has ended and made something else fail
// (a transaction that was rolled back, a statement that was interrupted), or, for one of SQLite, which of this
// package's errors.
func classify(ctx context.Context, err error) error {
	if ended := ctx.Err(); ended != nil && !errors.Is(err, ended) {
		return fmt.Errorf("%w: %w", ended, err)
	}
	var e *sqlite.Error
	if !errors.As(err, &e) {
		if errors.Is(err, fs.ErrPermission) && !errors.Is(err, ErrNotWritable) {
			return fmt.Errorf("%w: the file and its directory must be readable and writable by this user: %w", ErrNotWritable, err)
		}
		return err
	}
	switch e.Code() & 0xff {
	case sqlite3.SQLITE_NOTADB:
		return fmt.Errorf("%w: the file is not an SQLite database; name another file: %w", ErrNotOurs, err)
	case sqlite3.SQLITE_CORRUPT:
		return fmt.Errorf("%w: %w", ErrDamaged, err)
	case sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM, sqlite3.SQLITE_CANTOPEN:
		return fmt.Errorf("%w: the file and its directory must be writable by this user: %w", ErrNotWritable, err)
	default:
		return err
	}
}
