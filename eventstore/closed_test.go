package eventstore_test

import (
	"context"
	"errors"
	"iter"
	"testing"

	"github.com/statehouse/statehouse/eventstore"
	"github.com/statehouse/statehouse/state"
)

// A store that was closed says so to whoever asks it for anything; what was read until then is right.
func TestClosedStore(t *testing.T) {
	s, db := open(t, tempDB(t), eventstore.Options{}, state.New())
	mustAppend(t, s, sensor(1), sensor(2))
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	for after, events := range map[eventstore.Position]int{0: 2, 1: 1, 2: 0, 99: 0} {
		n, err := drain(s.Subscribe(t.Context(), eventstore.Query{After: after}))
		if n != events || !errors.Is(err, eventstore.ErrClosed) {
			t.Errorf("a subscription after %d yields %d events and %v", after, n, err)
		}
	}
	if n, err := drain(s.Subscribe(t.Context(), eventstore.Query{Until: 2})); n != 2 || err != nil {
		t.Errorf("a subscription that ends before: %d events and %v", n, err)
	}
	if n, err := drain(s.Read(t.Context(), everything)); n != 2 || err != nil {
		t.Errorf("a read while the database is open: %d events and %v", n, err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	for name, read := range map[string]func(context.Context, eventstore.Query) iter.Seq2[eventstore.Event, error]{
		"read": s.Read, "subscription": s.Subscribe,
	} {
		if n, err := drain(read(t.Context(), everything)); n != 0 || !errors.Is(err, eventstore.ErrClosed) {
			t.Errorf("a %s without a database: %d events and %v", name, n, err)
		}
	}
	_, err := s.Append(t.Context(), eventstore.Batch{Events: []eventstore.Event{sensor(3)}})
	for name, err := range map[string]error{"append": err, "snapshot": s.Snapshot(t.Context()), "verify": s.Verify(t.Context())} {
		if !errors.Is(err, eventstore.ErrClosed) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := s.Close(); err != nil {
		t.Errorf("a second close: %v", err)
	}
}

// drain counts the events of a sequence and returns the error that ends it.
func drain(events iter.Seq2[eventstore.Event, error]) (n int, err error) {
	for _, err = range events {
		if err == nil {
			n++
		}
	}
	return n, err
}
