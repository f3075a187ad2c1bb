package eventstore_test

import (
	"context"
	"errors"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/statehouse/statehouse/eventstore"
	"github.com/statehouse/statehouse/internal/check"
	"github.com/statehouse/statehouse/state"
	"github.com/statehouse/statehouse/storage"
)

// A decision that ends its goroutine, as FailNow of a test does, fails its batch and no other: the rest of its group, a
// snapshot that was asked for, and whatever comes later are served.
func TestADecisionThatEndsItsGoroutine(t *testing.T) {
	bad := errors.New("I do not like 13")
	for name, picky := range map[string]bool{"in a group": false, "one by one": true} {
		t.Run(name, func(t *testing.T) {
			cache := state.New()
			p := &spy{name: "picky", apply: func(_ context.Context, _ storage.Tx, e eventstore.Event) error {
				if picky && check.SensorValue(e.Payload.GetStateChanged().GetAttributes()) == 13 {
					return bad
				}
				return nil
			}}
			s, _ := open(t, tempDB(t), eventstore.Options{}, cache, p)
			gate := make(chan struct{})
			var wg sync.WaitGroup
			wg.Go(func() {
				_, err := s.Append(t.Context(), eventstore.Batch{Decide: func(context.Context) ([]eventstore.Event, error) {
					<-gate
					return []eventstore.Event{sensor(-1)}, nil
				}})
				if err != nil {
					t.Error(err)
				}
			})
			queued := func(n int64) {
				for s.Stats().QueuedBatches != n {
					time.Sleep(time.Millisecond)
				}
			}
			queued(1)
			for i := range 20 {
				wg.Go(func() { appendOne(t, s, i, picky, bad) })
			}
			queued(21)
			wg.Go(func() {
				if err := s.Snapshot(t.Context()); err != nil {
					t.Error(err)
				}
			})
			queued(22)
			close(gate)
			wg.Wait()
			want := eventstore.Position(16)
			if picky {
				want = 15
			}
			if s.Head() != want || cache.Revision().Position != want || len(p.applied) != int(want) {
				t.Errorf("head %d, cache at %d, %d applied, want %d", s.Head(), cache.Revision().Position, len(p.applied), want)
			}
			if st := s.Stats(); st.QueuedBytes != 0 || st.QueuedBatches != 0 || st.Snapshot != want {
				t.Errorf("%+v", st)
			}
			mustAppend(t, s, sensor(1))
			if err := s.Verify(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
}

// appendOne appends the i-th of twenty batches: every fourth is a decision that ends its goroutine, and 13 is refused
// if the projector is picky.
func appendOne(t *testing.T, s *eventstore.Store, i int, picky bool, bad error) {
	b := eventstore.Batch{Events: []eventstore.Event{sensor(i)}}
	if i%4 == 0 {
		b = eventstore.Batch{Decide: func(context.Context) ([]eventstore.Event, error) {
			runtime.Goexit()
			return nil, nil
		}}
	}
	span, err := s.Append(t.Context(), b)
	switch {
	case i%4 == 0:
		if err == nil || !strings.Contains(err.Error(), "runtime.Goexit") || span.Len() != 0 {
			t.Errorf("batch %d: %v %v", i, span, err)
		}
	case i == 13 && picky:
		if !errors.Is(err, bad) {
			t.Errorf("batch %d: %v", i, err)
		}
	case err != nil || span.Len() != 1:
		t.Errorf("batch %d: %v %v", i, span, err)
	}
}
