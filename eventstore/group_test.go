package eventstore

import (
	"bytes"
	"context"
	"errors"
	"runtime"
	"sync"
	"testing"

	eventv1 "github.com/statehouse/statehouse/gen/statehouse/event/v1"
)

// inGroups appends batches that all wait while the writer is busy with a first one, and returns how many groups they
// became.
func inGroups(t *testing.T, s *Store, batches ...Batch) uint64 {
	t.Helper()
	entered, gate := make(chan struct{}), make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		_, err := s.Append(t.Context(), Batch{Decide: func(context.Context) ([]Event, error) {
			close(entered)
			<-gate
			return nil, nil
		}})
		if err != nil {
			t.Error(err)
		}
	})
	<-entered
	before := s.Stats()
	for i, b := range batches {
		wg.Go(func() {
			if _, err := s.Append(t.Context(), b); err != nil {
				t.Error(err)
			}
		})
		for s.Stats().QueuedBatches != int64(i)+2 {
			runtime.Gosched()
		}
	}
	close(gate)
	wg.Wait()
	after := s.Stats()
	if after.Batches-before.Batches != uint64(len(batches))+1 {
		t.Errorf("%d of %d batches", after.Batches-before.Batches-1, len(batches))
	}
	if err := s.Verify(t.Context()); err != nil {
		t.Error(err)
	}
	return after.Groups - before.Groups
}

// A group takes no further batch from GroupBytes on.
func TestGroupBytes(t *testing.T) {
	for groupBytes, want := range map[int]uint64{1: 9, 1000: 9, 2500: 3, 1 << 20: 1, 0: 1} {
		s := openInside(t, Options{GroupBytes: groupBytes})
		if err := s.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		batches := make([]Batch, 9)
		for i := range batches {
			batches[i] = Batch{Events: []Event{systemEvent(1000)}}
		}
		if got := inGroups(t, s, batches...); got != want {
			t.Errorf("GroupBytes %d: nine batches of a little more than 1,000 bytes became %d groups, want %d", groupBytes, got, want)
		}
	}
}

// Decisions whose events fit into a segment alone and not together, which nobody knows before they have run, become
// several.
func TestHugeDecisionsInOneGroup(t *testing.T) {
	// SQLite stores blobs of up to 1,000,000,000 bytes, and a batch must fit into one.
	if maxSegmentBytes > 1_000_000_000 || maxSegmentBytes < MaxBatchBytes {
		t.Errorf("a segment may have %d bytes", maxSegmentBytes)
	}
	p := &stumbler{}
	s := openInside(t, Options{})
	s.segmentBytes = 10_000
	if err := s.Start(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	huge := Batch{Decide: func(context.Context) ([]Event, error) { return []Event{systemEvent(2000), systemEvent(2000)}, nil }}
	if got := inGroups(t, s, huge, huge); got != 1 {
		t.Errorf("what fits together became %d groups", got)
	}
	if got := inGroups(t, s, huge, huge, huge); got != 3 {
		t.Errorf("what does not fit together became %d groups", got)
	}
	alone := Batch{Events: []Event{systemEvent(20_000)}}
	if got := inGroups(t, s, huge, alone); got != 2 {
		t.Errorf("what fits only alone became %d groups", got)
	}
	if len(p.applied) != 13 || s.Head() != 13 {
		t.Errorf("%d applied, head %d", len(p.applied), s.Head())
	}
}

// A batch has at most MaxBatchBytes and MaxBatchEvents, whether it is given or decided.
func TestBatchLimits(t *testing.T) {
	s := openInside(t, Options{})
	if err := s.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	most := Event{Payload: &eventv1.Payload{Kind: &eventv1.Payload_Custom{
		Custom: &eventv1.Custom{Kind: "acme.huge", Value: make([]byte, MaxEventBytes-100)},
	}}}
	for name, events := range map[string][]Event{
		"bytes":  repeat(most, MaxBatchBytes/MaxEventBytes+1),
		"events": make([]Event, MaxBatchEvents+1),
	} {
		if _, err := s.Append(t.Context(), Batch{Events: events}); !errors.Is(err, ErrTooLarge) {
			t.Errorf("too many %s: %v", name, err)
		}
		decided := Batch{Decide: func(context.Context) ([]Event, error) { return events, nil }}
		if _, err := s.Append(t.Context(), decided); !errors.Is(err, ErrTooLarge) {
			t.Errorf("a decision for too many %s: %v", name, err)
		}
	}
	if s.Head() != 0 {
		t.Errorf("head %d", s.Head())
	}
	// At the limit of one event, and of what a batch needs to be read back.
	if _, err := s.Append(t.Context(), Batch{Events: repeat(most, 3)}); err != nil {
		t.Error(err)
	}
	n := 0
	for e, err := range s.Read(t.Context(), Query{}) {
		if n++; err != nil || !bytes.Equal(e.Payload.GetCustom().GetValue(), most.Payload.GetCustom().GetValue()) {
			t.Errorf("event %d: %v", n, err)
		}
	}
	if n != 3 {
		t.Errorf("%d of 3", n)
	}
}

func repeat(e Event, n int) []Event {
	events := make([]Event, n)
	for i := range events {
		events[i] = e
	}
	return events
}
