package storage

import (
	"context"
	"database/sql"
	"errors"
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
