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

// ledger is a projector that keeps all that it has in a table.
type ledger struct{}

func (ledger) Name() string { return "ledger" }

func (ledger) Apply(ctx context.Context, tx storage.Tx, e eventstore.Event) error {
	if _, err := tx.ExecContext(ctx, `CREATE TABLE IF NOT EXISTS ledger (position INTEGER) STRICT`); err != nil {
		return err
	}
	_, err := tx.ExecContext(ctx, `INSERT INTO ledger VALUES (?)`, int64(e.Position))
	return err
}

func (ledger) Snapshot(context.Context, storage.Tx) error { return nil }

func (ledger) Restore(ctx context.Context, tx storage.Tx) (uint64, error) {
	var tables, at uint64
	err := tx.QueryRowContext(ctx, `SELECT count(*) FROM sqlite_schema WHERE name = 'ledger'`).Scan(&tables)
	if err == nil && tables > 0 {
		err = tx.QueryRowContext(ctx, `SELECT coalesce(max(position), 0) FROM ledger`).Scan(&at)
	}
	return at, err
}

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
	s, db := open(t, path, eventstore.Options{}, bad, ledger{}, cache, memory)
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
	s, db = open(t, path, eventstore.Options{}, ledger{}, cache)
	folds(s, db, cache, 4)
}

// ledgerOf is what the ledger's table has, in the order in which it got it.
func ledgerOf(t *testing.T, db *storage.DB) (positions []eventstore.Position) {
	t.Helper()
	rows, err := db.Reader().QueryContext(t.Context(), `SELECT position FROM ledger ORDER BY rowid`)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var p eventstore.Position
		if err := rows.Scan(&p); err != nil {
			t.Fatal(err)
		}
		positions = append(positions, p)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return positions
}
