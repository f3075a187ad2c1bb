package eventstore_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/statehouse/statehouse/eventstore"
	"github.com/statehouse/statehouse/internal/check"
	"github.com/statehouse/statehouse/state"
	"github.com/statehouse/statehouse/storage"
)

// ledger is a projector that keeps all that it has in a table.
type ledger struct {
	restored eventstore.Position
}

func (*ledger) Name() string { return "ledger" }

func (*ledger) Apply(ctx context.Context, tx storage.Tx, e eventstore.Event) error {
	_, err := tx.ExecContext(ctx, `INSERT INTO ledger VALUES (?, ?)`, int64(e.Position), e.Entity)
	return err
}

func (*ledger) Snapshot(context.Context, storage.Tx) error { return nil }

func (l *ledger) Restore(ctx context.Context, tx storage.Tx) (uint64, error) {
	_, err := tx.ExecContext(ctx, `CREATE TABLE IF NOT EXISTS ledger (position INTEGER, entity TEXT) STRICT`)
	if err == nil {
		err = tx.QueryRowContext(ctx, `SELECT coalesce(max(position), 0) FROM ledger`).Scan(&l.restored)
	}
	return uint64(l.restored), err
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

// upTo are the positions from 1.
func upTo(last int) (all []eventstore.Position) {
	for p := 1; p <= last; p++ {
		all = append(all, eventstore.Position(p))
	}
	return all
}

// A projector with a table has in it what is in the log: not what a batch that failed would have added, not twice what
// a restart finds, and all of a log that was there before it, sealed or not.
func TestAProjectorWithATable(t *testing.T) {
	path := tempDB(t)
	has := func(db *storage.DB, want int) {
		t.Helper()
		if got := ledgerOf(t, db); !slices.Equal(got, upTo(want)) {
			t.Errorf("the table has %v of %d", got, want)
		}
	}
	cache := state.New()
	s, db := open(t, path, eventstore.Options{SealAfter: -1}, cache)
	mustAppend(t, s, sensor(1), sensor(2), sensor(3))
	if err := errors.Join(s.Seal(t.Context()), s.Snapshot(t.Context())); err != nil {
		t.Fatal(err)
	}
	mustAppend(t, s, sensor(4))
	if err := errors.Join(s.Close(), db.Close()); err != nil {
		t.Fatal(err)
	}

	// It is added to a log with a sealed part, and the snapshot of another projector ahead of it.
	cache = state.New()
	l, bad := &ledger{}, errors.New("I do not like 13")
	picky := &spy{name: "picky", apply: func(_ context.Context, _ storage.Tx, e eventstore.Event) error {
		if check.SensorValue(e.Payload.GetStateChanged().GetAttributes()) == 13 {
			return bad
		}
		return nil
	}}
	s, db = open(t, path, eventstore.Options{SealAfter: -1}, cache, l, picky)
	if r := s.Recovered(); l.restored != 0 || r.Replayed != 4 || cache.Revision().Position != 4 {
		t.Errorf("restored %d, recovered %+v, the cache is at %d", l.restored, r, cache.Revision().Position)
	}
	has(db, 4)

	// A batch that fails takes along what it added to the table, and nothing of the batches around it.
	_, errs := together(t, s, eventstore.Batch{Events: []eventstore.Event{sensor(5)}},
		eventstore.Batch{Events: []eventstore.Event{sensor(6), sensor(13)}}, eventstore.Batch{Events: []eventstore.Event{sensor(6)}})
	if errs[0] != nil || !errors.Is(errs[1], bad) || errs[2] != nil {
		t.Errorf("%v", errs)
	}
	has(db, 6)
	if err := errors.Join(s.Close(), db.Close()); err != nil {
		t.Fatal(err)
	}

	// It was away for a while, and catches up.
	s, db = open(t, path, eventstore.Options{SealAfter: -1})
	mustAppend(t, s, sensor(7), sensor(8))
	if err := errors.Join(s.Seal(t.Context()), s.Close(), db.Close()); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		l = &ledger{}
		s, db = open(t, path, eventstore.Options{SealAfter: -1}, l)
		has(db, 8)
		if err := errors.Join(s.Close(), db.Close()); err != nil {
			t.Fatal(err)
		}
	}
	if l.restored != 8 {
		t.Errorf("it says that it is at %d", l.restored)
	}
}

// together appends batches in one group: the writer is held in a turn before until all are queued, in their order.
func together(t *testing.T, s *eventstore.Store, batches ...eventstore.Batch) ([]eventstore.Span, []error) {
	t.Helper()
	spans, errs := make([]eventstore.Span, len(batches)), make([]error, len(batches))
	letGo := hold(t, s)
	done := make(chan int)
	for i, b := range batches {
		before := s.Stats().QueuedBatches
		go func() {
			spans[i], errs[i] = s.Append(t.Context(), b)
			done <- i
		}()
		for s.Stats().QueuedBatches == before {
			pause()
		}
	}
	letGo()
	for range batches {
		<-done
	}
	return spans, errs
}

// hold keeps the writer in a turn until letGo is called.
func hold(t *testing.T, s *eventstore.Store) (letGo func()) {
	t.Helper()
	entered, gate, done := make(chan struct{}), make(chan struct{}), make(chan error)
	go func() {
		_, err := s.Append(t.Context(), eventstore.Batch{Decide: func(context.Context) ([]eventstore.Event, error) {
			close(entered)
			<-gate
			return nil, nil
		}})
		done <- err
	}()
	<-entered
	return func() {
		close(gate)
		if err := <-done; err != nil {
			panic(fmt.Sprint("the turn that was held: ", err))
		}
	}
}
