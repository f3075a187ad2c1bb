package eventstore_test

import (
	"context"
	"database/sql"
	"errors"
	"runtime"
	"testing"

	"github.com/statehouse/statehouse/eventstore"
	"github.com/statehouse/statehouse/state"
	"github.com/statehouse/statehouse/storage"
)

// A start that is cancelled says so, even where database/sql has rolled its transaction back already, and what comes
// after that finds only that it is done. The log can be started by the next one.
func TestCancelledStart(t *testing.T) {
	path := tempDB(t)
	s, db := open(t, path, eventstore.Options{})
	mustAppend(t, s, sensor(1), sensor(2))
	if err := errors.Join(s.Close(), db.Close()); err != nil {
		t.Fatal(err)
	}
	db, err := storage.Open(t.Context(), path, storage.Options{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	s, err = eventstore.Open(ctx, db, eventstore.Options{})
	if err != nil {
		t.Fatal(err, db.Close())
	}
	p := &spy{name: "cancelling", apply: func(_ context.Context, tx storage.Tx, _ eventstore.Event) error {
		cancel()
		var one int
		for !errors.Is(tx.QueryRowContext(t.Context(), `SELECT 1`).Scan(&one), sql.ErrTxDone) {
			runtime.Gosched()
		}
		return nil
	}}
	if err := s.Start(ctx, p); !errors.Is(err, context.Canceled) {
		t.Errorf("a cancelled start: %v", err)
	}
	if err := errors.Join(s.Close(), db.Close()); err != nil {
		t.Fatal(err)
	}
	cache := state.New()
	if s, _ := open(t, path, eventstore.Options{}, cache); s.Head() != 2 || cache.Revision().Position != 2 {
		t.Errorf("after it: head %d, cache at %d", s.Head(), cache.Revision().Position)
	}
}

// An opening whose context has ended says so.
func TestCancelledOpen(t *testing.T) {
	db, err := storage.Open(t.Context(), tempDB(t), storage.Options{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := eventstore.Open(ctx, db, eventstore.Options{}); !errors.Is(err, context.Canceled) {
		t.Errorf("a cancelled opening: %v", err)
	}
	if err := db.Close(); err != nil {
		t.Error(err)
	}
}
