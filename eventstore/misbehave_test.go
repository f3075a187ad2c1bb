package eventstore_test

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/statehouse/statehouse/eventstore"
	"github.com/statehouse/statehouse/internal/check"
	"github.com/statehouse/statehouse/state"
	"github.com/statehouse/statehouse/storage"
)

// wild is a projector that panics or ends its goroutine where a test wants it.
type wild struct {
	spy
	snapshot func()
	restore  func()
}

func (p *wild) Snapshot(context.Context, storage.Tx) error {
	if p.snapshot != nil {
		p.snapshot()
	}
	return nil
}

func (p *wild) Restore(context.Context, storage.Tx) (uint64, error) {
	if p.restore != nil {
		p.restore()
	}
	return 0, nil
}

// misbehaviours are what code that is not the store's does, and what its error says.
var misbehaviours = map[string]func(){
	"panicked: boom":      func() { panic("boom") },
	"ended its goroutine": runtime.Goexit,
}

// A projector that panics or ends its goroutine fails the batch that it was given, and no other, in memory and in tables.
func TestAProjectorThatMisbehaves(t *testing.T) {
	for says, misbehave := range misbehaviours {
		t.Run(says, func(t *testing.T) {
			cache := state.New()
			p := &wild{spy: spy{name: "wild", apply: func(_ context.Context, _ storage.Tx, e eventstore.Event) error {
				if check.SensorValue(e.Payload.GetStateChanged().GetAttributes()) == 13 {
					misbehave()
				}
				return nil
			}}}
			s, db := open(t, tempDB(t), eventstore.Options{}, cache, &ledger{}, p)
			one := func(n int) eventstore.Batch { return eventstore.Batch{Events: []eventstore.Event{sensor(n)}} }
			decision := eventstore.Batch{Decide: func(context.Context) ([]eventstore.Event, error) {
				return []eventstore.Event{sensor(5), sensor(13)}, nil
			}}
			_, errs := together(t, s, one(1), keyed("k", sensor(2), sensor(13)), one(3), decision, one(13), keyed("k", sensor(4)), one(5))
			for i, err := range errs {
				bad := i == 1 || i == 3 || i == 4
				if bad != (err != nil) || bad && !strings.Contains(err.Error(), "projector wild "+says) {
					t.Errorf("batch %d: %v", i, err)
				}
			}
			_, err := s.Append(t.Context(), one(13))
			if err == nil {
				t.Error("one that is alone is not refused")
			}
			mustAppend(t, s, sensor(6))
			if s.Head() != 5 || cache.Revision().Position != 5 || !slices.Equal(p.applied, upTo(5)) || !slices.Equal(ledgerOf(t, db), upTo(5)) {
				t.Errorf("head %d, cache at %d, applied %v, table %v", s.Head(), cache.Revision().Position, p.applied, ledgerOf(t, db))
			}
			if err := errors.Join(s.Verify(t.Context()), s.Stats().Fault); err != nil {
				t.Error(err)
			}
		})
	}
}

// A snapshot of a projector that panics or ends its goroutine fails; the log goes on.
func TestASnapshotThatMisbehaves(t *testing.T) {
	for says, misbehave := range misbehaviours {
		t.Run(says, func(t *testing.T) {
			var behaves atomic.Bool // the store makes snapshots of its own accord, too
			p := &wild{spy: spy{name: "wild"}, snapshot: func() {
				if !behaves.Load() {
					misbehave()
				}
			}}
			s, _ := open(t, tempDB(t), eventstore.Options{SnapshotEvery: 2}, state.New(), p)
			for i := range 5 {
				mustAppend(t, s, sensor(i))
			}
			if err := s.Snapshot(t.Context()); err == nil || !strings.Contains(err.Error(), says) {
				t.Errorf("%v", err)
			}
			behaves.Store(true)
			if err := s.Snapshot(t.Context()); err != nil || s.Stats().Snapshot != 5 {
				t.Errorf("the next one: %v, at %d", err, s.Stats().Snapshot)
			}
			mustAppend(t, s, sensor(6))
		})
	}
}

// A start or a recovery in which a projector misbehaves fails, and can be tried again.
func TestARecoveryThatMisbehaves(t *testing.T) {
	for says, misbehave := range misbehaviours {
		t.Run(says, func(t *testing.T) {
			path := tempDB(t)
			calls, sabotage := 0, false
			p := &wild{spy: spy{name: "wild", apply: func(ctx context.Context, tx storage.Tx, e eventstore.Event) error {
				if e.Position != 2 {
					return nil
				}
				if calls++; calls > 1 && calls < 4 {
					misbehave()
				}
				if sabotage {
					sabotage = false
					_, err := tx.ExecContext(ctx, `ROLLBACK`) // so that what follows commits by itself, and the COMMIT fails
					return err
				}
				return nil
			}}}
			cache := state.New()
			s, db := open(t, path, eventstore.Options{}, p, cache)
			mustAppend(t, s, sensor(1))
			sabotage = true
			_, err := s.Append(t.Context(), eventstore.Batch{Events: []eventstore.Event{sensor(2)}})
			if !errors.Is(err, eventstore.ErrUnknownOutcome) || errors.Is(err, eventstore.ErrUnavailable) || !strings.Contains(err.Error(), says) {
				t.Errorf("%v", err)
			}
			_, err = s.Append(t.Context(), eventstore.Batch{Events: []eventstore.Event{sensor(3)}})
			if !errors.Is(err, eventstore.ErrUnavailable) || s.Stats().Fault == nil || cache.Revision().Position != 1 {
				t.Errorf("while it misbehaves: %v, the cache is at %d", err, cache.Revision().Position)
			}
			if span := mustAppend(t, s, sensor(3)); span.First != 3 || cache.Revision().Position != 3 || !slices.Equal(p.applied, upTo(3)) {
				t.Errorf("%v, the cache is at %d, applied %v", span, cache.Revision().Position, p.applied)
			}
			if err := errors.Join(s.Stats().Fault, s.Close(), db.Close()); err != nil {
				t.Fatal(err)
			}
			db, err = storage.Open(t.Context(), path, storage.Options{})
			if err != nil {
				t.Fatal(err)
			}
			s, err = eventstore.Open(t.Context(), db, eventstore.Options{})
			if err == nil {
				err = s.Start(t.Context(), &wild{spy: spy{name: "wild"}, restore: misbehave})
			}
			if err == nil || !strings.Contains(err.Error(), says) {
				t.Errorf("a start: %v", err)
			}
			if err := errors.Join(s.Close(), db.Close()); err != nil {
				t.Error(err)
			}
		})
	}
}
