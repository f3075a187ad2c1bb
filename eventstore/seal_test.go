package eventstore_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/statehouse/statehouse/eventstore"
	"github.com/statehouse/statehouse/internal/check"
	"github.com/statehouse/statehouse/state"
	"github.com/statehouse/statehouse/storage"
)

// I9, I10: while the log is sealed under them, readers forward and backward and subscribers, of everything and of one
// entity, notice nothing.
func TestSealingBesideReaders(t *testing.T) {
	s, _ := open(t, tempDB(t), eventstore.Options{SealAfter: 50}, state.New())
	const writers, each = 4, 250
	ctx, stop := context.WithCancel(t.Context())
	var readers, appenders sync.WaitGroup
	for _, backward := range []bool{false, true} {
		readers.Go(func() {
			for ctx.Err() == nil {
				head := s.Head()
				if head == 0 {
					continue // as a bound it would mean none
				}
				next, step, n := eventstore.Position(1), 1, eventstore.Position(0)
				if backward {
					next, step = head, -1
				}
				for e, err := range s.Read(t.Context(), eventstore.Query{Until: head, Backward: backward}) {
					if err != nil || e.Position != next {
						t.Errorf("backward %v: %d instead of %d: %v", backward, e.Position, next, err)
						return
					}
					next, n = next+eventstore.Position(step), n+1
				}
				if n != head {
					t.Errorf("backward %v: %d of %d events", backward, n, head)
					return
				}
			}
		})
	}
	for w := range writers {
		readers.Go(func() {
			value := 0
			for e, err := range s.Subscribe(t.Context(), eventstore.Query{Entities: []string{fmt.Sprintf("sensor.w%d", w)}}) {
				if err != nil || check.SensorValue(e.Payload.GetStateChanged().GetAttributes()) != float64(value) {
					t.Errorf("subscriber %d, event %d: %v, %v", w, value, e, err)
					return
				}
				if value++; value == each {
					return
				}
			}
		})
		appenders.Go(func() {
			for i := range each {
				_, err := s.Append(t.Context(), eventstore.Batch{Events: []eventstore.Event{
					check.SensorEvent(fmt.Sprintf("sensor.w%d", w), float64(i)), check.ReportEvent("sensor.other"),
				}})
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	appenders.Wait()
	stop()
	readers.Wait()
	if sealed := s.Stats().Sealed; sealed == 0 {
		t.Error("nothing was sealed in the background")
	}
	if err := errors.Join(s.Seal(t.Context()), s.Verify(t.Context())); err != nil {
		t.Error(err)
	}
	if st := s.Stats(); st.Sealed != writers*each*2 || st.Sealed != st.Head {
		t.Errorf("sealed up to %d of %d", st.Sealed, st.Head)
	}
}

// A batch larger than a sealed segment becomes several, and history finds the one entity among them.
func TestLargeBatchesAreSealedInPieces(t *testing.T) {
	s, db := open(t, tempDB(t), eventstore.Options{SealAfter: -1}, state.New())
	batch := make([]eventstore.Event, 10_000)
	for i := range batch {
		batch[i] = check.SensorEvent(fmt.Sprintf("sensor.s%d", i), float64(i))
	}
	mustAppend(t, s, batch...)
	if err := s.Seal(t.Context()); err != nil {
		t.Fatal(err)
	}
	var segments, largest int
	if err := db.Reader().QueryRowContext(t.Context(), `SELECT count(*), max(last_position - first_position + 1) FROM segments`).
		Scan(&segments, &largest); err != nil || segments != 3 || largest > 4096 {
		t.Errorf("%d segments of up to %d events, %v", segments, largest, err)
	}
	for e, err := range s.Read(t.Context(), eventstore.Query{Entities: []string{"sensor.s7777"}}) {
		if err != nil || e.Position != 7778 {
			t.Errorf("%v %v", e, err)
		}
	}
	if err := s.Verify(t.Context()); err != nil {
		t.Error(err)
	}
}

// What is damaged is not sealed, which would give it new checksums; the damage stays where it is, and is reported.
func TestDamageIsNotSealed(t *testing.T) {
	damages(t)
	vandal := &spy{name: "vandal", apply: func(ctx context.Context, tx storage.Tx, e eventstore.Event) error {
		if e.Position != 10 {
			return nil
		}
		_, err := tx.ExecContext(ctx, `UPDATE segments SET body = (SELECT body FROM segments WHERE last_position = 6)
			WHERE last_position = 5`)
		return err
	}}
	s, db := open(t, tempDB(t), eventstore.Options{SealAfter: -1}, state.New(), vandal)
	for i := range 10 {
		mustAppend(t, s, sensor(i))
	}
	if err := s.Seal(t.Context()); !errors.Is(err, eventstore.ErrCorrupt) || !strings.Contains(err.Error(), "positions 5 to 5") {
		t.Errorf("sealing: %v", err)
	}
	var segments int
	if err := db.Reader().QueryRowContext(t.Context(), `SELECT count(*) FROM segments`).Scan(&segments); err != nil || segments != 10 {
		t.Errorf("%d segments, %v", segments, err)
	}
	mustAppend(t, s, sensor(11)) // the log goes on
}
