package eventstore_test

import (
	"context"
	"errors"
	"testing"

	"github.com/statehouse/statehouse/eventstore"
	"github.com/statehouse/statehouse/state"
)

// Who waits for the writer's turn, or behind others who do, waits no longer than its context; nothing is done for who has gone.
func TestCancelledTurns(t *testing.T) {
	s, _ := open(t, tempDB(t), eventstore.Options{SealAfter: -1}, state.New())
	mustAppend(t, s, sensor(1))
	consumer(t, s, "old", everything).Close()
	letGo := hold(t, s)
	queued := s.Stats().QueuedBatches
	for name, ask := range map[string]func(ctx context.Context) error{
		"consumer": func(ctx context.Context) error {
			_, err := s.Consumer(ctx, "new", everything)
			return err
		},
		"delete cursor": func(ctx context.Context) error { return s.DeleteCursor(ctx, "old") },
		"rebuild":       func(ctx context.Context) error { return s.Rebuild(ctx, "state") },
		"snapshot":      s.Snapshot,
		"seal":          s.Seal,
	} {
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- ask(ctx) }()
		for queued++; s.Stats().QueuedBatches < queued; {
			pause()
		}
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v", name, err)
		}
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	done := make(chan error)
	for name, ask := range map[string]func(ctx context.Context) error{"snapshot": s.Snapshot, "seal": s.Seal} {
		go func() { done <- ask(t.Context()) }()
		for queued++; s.Stats().QueuedBatches < queued; {
			pause()
		}
		if err := ask(gone); !errors.Is(err, context.Canceled) {
			t.Errorf("a second %s: %v", name, err)
		}
	}
	if all, err := s.Cursors(t.Context()); err != nil || len(all) != 1 || all[0].Name != "old" || all[0].Open {
		t.Errorf("cursors: %+v %v", all, err)
	}
	letGo()
	if err := errors.Join(<-done, <-done); err != nil {
		t.Error(err)
	}
	mustAppend(t, s, sensor(2)) // behind all of them
	if all, err := s.Cursors(t.Context()); err != nil || len(all) != 1 || all[0].Name != "old" {
		t.Errorf("cursors in the end: %+v %v", all, err)
	}
	if st := s.Stats(); st.QueuedBatches != 0 || st.Sealed != 1 || st.Snapshot != 1 {
		t.Errorf("in the end: %+v", st)
	}
}
