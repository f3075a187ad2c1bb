package eventstore

import (
	"context"
	"testing"
)

// What is acknowledged while cursors are being written is written the next time, and what is written only once.
func TestAcknowledgedMeanwhile(t *testing.T) {
	s := openInside(t, Options{})
	if err := s.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if _, err := s.Append(t.Context(), Batch{Events: []Event{systemEvent(1)}}); err != nil {
			t.Fatal(err)
		}
	}
	c, err := s.Consumer(t.Context(), "c", Query{})
	if err != nil {
		t.Fatal(err)
	}
	release := make(chan struct{})
	held := make(chan struct{})
	go func() { // the writer does nothing by itself meanwhile
		if err := s.inTurn(t.Context(), func(*writer, context.Context) error { close(held); <-release; return nil }); err != nil {
			t.Error(err)
		}
	}()
	<-held
	defer close(release)
	ack := func(at Position) {
		if err := c.Ack(at); err != nil {
			t.Fatal(err)
		}
	}
	ack(1)
	writes := s.cursors.toWrite()
	ack(2)
	s.cursors.wrote(writes)
	if len(writes) != 1 || writes[0].at != 1 || !s.cursors.dirty.Load() {
		t.Errorf("the first time it writes %+v, and there is more to write: %v", writes, s.cursors.dirty.Load())
	}
	writes = s.cursors.toWrite()
	s.cursors.wrote(writes)
	if len(writes) != 1 || writes[0].at != 2 || s.cursors.dirty.Load() || len(s.cursors.toWrite()) != 0 {
		t.Errorf("the second time it writes %+v, and there is more to write: %v", writes, s.cursors.dirty.Load())
	}
}
