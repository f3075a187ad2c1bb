package eventstore_test

import (
	"context"
	"errors"
	"slices"
	"testing"

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
