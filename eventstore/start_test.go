package eventstore_test

import (
	"errors"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/statehouse/statehouse/eventstore"
	"github.com/statehouse/statehouse/state"
	"github.com/statehouse/statehouse/storage"
)

// A store is started once: a second Start, at the same time or later, is told so and disturbs nothing.
func TestAStoreIsStartedOnce(t *testing.T) {
	db, err := storage.Open(t.Context(), tempDB(t), storage.Options{})
	if err != nil {
		t.Fatal(err)
	}
	s, err := eventstore.Open(t.Context(), db, eventstore.Options{})
	if err != nil {
		t.Fatal(err, db.Close())
	}
	var wg sync.WaitGroup
	var started atomic.Int32
	for range 4 {
		wg.Go(func() {
			switch err := s.Start(t.Context(), state.New()); {
			case err == nil:
				started.Add(1)
			case !errors.Is(err, eventstore.ErrInvalid):
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if n := started.Load(); n != 1 {
		t.Errorf("it was started %d times", n)
	}
	mustAppend(t, s, sensor(1))
	if err := s.Start(t.Context(), &spy{name: "another"}); !errors.Is(err, eventstore.ErrInvalid) {
		t.Errorf("a later start: %v", err)
	}
	mustAppend(t, s, sensor(2))
	if err := errors.Join(s.Close(), db.Close()); err != nil {
		t.Error(err)
	}
}

// A store that was closed cannot be started.
func TestStartAfterClose(t *testing.T) {
	db, err := storage.Open(t.Context(), tempDB(t), storage.Options{})
	if err != nil {
		t.Fatal(err)
	}
	s, err := eventstore.Open(t.Context(), db, eventstore.Options{})
	if err == nil {
		err = s.Close()
	}
	if err != nil {
		t.Fatal(err, db.Close())
	}
	if err := s.Start(t.Context(), state.New()); !errors.Is(err, eventstore.ErrClosed) {
		t.Errorf("start after close: %v", err)
	}
	if err := db.Close(); err != nil {
		t.Error(err)
	}
}
