package storage

import (
	"context"
	"database/sql"
	"errors"
	"io/fs"
	"testing"
)

// What fails because the context has ended says so: database/sql rolls the context's transaction back, and what comes
// after that finds only that it is done.
func TestErrorsOfAnEndedContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	if err := classify(ctx, sql.ErrTxDone); !errors.Is(err, sql.ErrTxDone) || errors.Is(err, context.Canceled) {
		t.Errorf("before it ends: %v", err)
	}
	cancel()
	if err := classify(ctx, sql.ErrTxDone); !errors.Is(err, context.Canceled) || !errors.Is(err, sql.ErrTxDone) {
		t.Errorf("after it: %v", err)
	}
}

// A file that may not be read is no damaged one.
func TestErrorsOfPermission(t *testing.T) {
	err := classify(t.Context(), &fs.PathError{Op: "open", Path: "home.db", Err: fs.ErrPermission})
	if !errors.Is(err, ErrNotWritable) || errors.Is(err, ErrDamaged) || !errors.Is(err, fs.ErrPermission) {
		t.Error(err)
	}
}
