package eventstore_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/statehouse/statehouse/eventstore"
	"github.com/statehouse/statehouse/internal/check"
	"github.com/statehouse/statehouse/state"
	"github.com/statehouse/statehouse/storage"
)

// A COMMIT that fails may have committed all the same. Then the events are in the log, and what is served must have
// them: each once, in projectors with memory and in those with tables. Here a projector ends the transaction early, so
// that what follows commits by itself, and the COMMIT finds nothing to commit.
func TestFailedCommitThatCommitted(t *testing.T) {
	misbehave := false
	bad := &spy{name: "bad", apply: func(ctx context.Context, tx storage.Tx, _ eventstore.Event) error {
		if !misbehave {
			return nil
		}
		misbehave = false
		_, err := tx.ExecContext(ctx, `ROLLBACK`)
		return err
	}}
	path := tempDB(t)
	cache, memory := state.New(), &spy{name: "memory"}
	s, db := open(t, path, eventstore.Options{}, bad, &ledger{}, cache, memory)
	mustAppend(t, s, sensor(1))
	misbehave = true
	batch := eventstore.Batch{Events: []eventstore.Event{sensor(2), check.SensorEvent("sensor.b", 3)}}
	if span, err := s.Append(t.Context(), batch); !errors.Is(err, eventstore.ErrUnknownOutcome) || span.Len() != 0 {
		t.Fatalf("a failed commit: %v %v", span, err)
	}
	folds := func(s *eventstore.Store, db *storage.DB, cache *state.Cache, head int) {
		t.Helper()
		var want []eventstore.Position
		for p := 1; p <= head; p++ {
			want = append(want, eventstore.Position(p))
		}
		if !slices.Equal(ledgerOf(t, db), want) {
			t.Errorf("the table has %v of %d", ledgerOf(t, db), head)
		}
		fold, err := check.FoldLog(s.Read(t.Context(), everything))
		if err == nil {
			err = fold.CompareStates(cache.Revision())
		}
		if err != nil || s.Head() != eventstore.Position(head) {
			t.Errorf("head %d of %d: %v", s.Head(), head, err)
		}
	}
	folds(s, db, cache, 3)
	if span := mustAppend(t, s, sensor(4)); span.First != 4 {
		t.Errorf("the next append: %v", span)
	}
	folds(s, db, cache, 4)
	if !slices.Equal(memory.applied, []eventstore.Position{1, 2, 3, 4}) {
		t.Errorf("the projector in memory has %v", memory.applied)
	}
	if err := errors.Join(s.Stats().Fault, s.Verify(t.Context()), s.Close(), db.Close()); err != nil {
		t.Error(err)
	}
	cache = state.New()
	s, db = open(t, path, eventstore.Options{}, &ledger{}, cache)
	folds(s, db, cache, 4)
}

// Where it cannot be found out what became of a group, the answer is that and not that nothing was changed. Whoever comes
// while it is tried again need not wait for that. Here the COMMIT fails as above, and the projector first fails when what
// was committed is folded, and then takes its time.
func TestAnOutcomeThatStaysUnknown(t *testing.T) {
	var next []func(ctx context.Context, tx storage.Tx) error // what the projector does
	bad := &spy{name: "bad", apply: func(ctx context.Context, tx storage.Tx, _ eventstore.Event) error {
		if len(next) == 0 {
			return nil
		}
		do := next[0]
		next = next[1:]
		return do(ctx, tx)
	}}
	entered, release := make(chan struct{}), make(chan struct{})
	s, _ := open(t, tempDB(t), eventstore.Options{}, bad, state.New())
	mustAppend(t, s, sensor(1))
	next = []func(ctx context.Context, tx storage.Tx) error{
		func(ctx context.Context, tx storage.Tx) error { _, err := tx.ExecContext(ctx, `ROLLBACK`); return err },
		func(context.Context, storage.Tx) error { return errors.New("not now") },
		func(context.Context, storage.Tx) error { close(entered); <-release; return nil },
	}
	_, err := s.Append(t.Context(), eventstore.Batch{Events: []eventstore.Event{sensor(2)}})
	if !errors.Is(err, eventstore.ErrUnknownOutcome) || errors.Is(err, eventstore.ErrUnavailable) || !strings.Contains(err.Error(), "not now") {
		t.Errorf("a commit that failed: %v", err)
	}
	if s.Stats().Fault == nil {
		t.Error("nothing says that the store cannot write")
	}
	ctx, cancel := context.WithCancel(t.Context())
	gone := make(chan error, 1)
	go func() {
		_, err := s.Append(ctx, eventstore.Batch{Events: []eventstore.Event{sensor(3)}})
		gone <- err
	}()
	<-entered
	cancel()
	select {
	case err := <-gone:
		if !errors.Is(err, context.Canceled) {
			t.Errorf("an append that does not wait: %v", err)
		}
	case <-time.After(10 * time.Second):
		t.Error("an append waits for what its context does not want to wait for")
	}
	close(release)
	if span := mustAppend(t, s, sensor(4)); span.First != 3 { // behind the one that was committed
		t.Errorf("the next append: %v", span)
	}
	if err := errors.Join(s.Stats().Fault, s.Verify(t.Context())); err != nil {
		t.Error(err)
	}
}
