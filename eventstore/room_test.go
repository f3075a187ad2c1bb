package eventstore

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"testing"

	"golang.org/x/sync/semaphore"

	"github.com/statehouse/statehouse/storage"
)

// refuser is a projector that refuses every event of a source.
type refuser struct{ stumbler }

var errRefused = errors.New("refused")

func (p *refuser) Apply(ctx context.Context, tx storage.Tx, e Event) error {
	if e.Source == "refused" {
		return errRefused
	}
	return p.stumbler.Apply(ctx, tx, e)
}

// hasRoom says whether exactly so many bytes of the queue are not taken.
func hasRoom(s *Store, bytes int64) bool {
	if !s.room.TryAcquire(bytes) {
		return false
	}
	defer s.room.Release(bytes)
	if s.room.TryAcquire(1) {
		s.room.Release(1)
		return false
	}
	return true
}

func TestQueueBytesIsTheRoom(t *testing.T) {
	for given, want := range map[int64]int64{0: 256 << 20, 1: MaxBatchBytes, -1: 256 << 20, MaxBatchBytes + 1: MaxBatchBytes + 1} {
		if s := openInside(t, Options{QueueBytes: given}); !hasRoom(s, want) || s.Stats().QueueLimit != want {
			t.Errorf("QueueBytes %d does not make room for %d", given, want)
		}
	}
}

// What waits for the writer takes its size of the queue's room, and gives it back whatever becomes of it: here six
// decisions and a batch with room for five decisions, of which two fit into the channel behind the one that runs.
func TestTheQueuesRoom(t *testing.T) {
	s := openInside(t, Options{})
	s.room, s.queue = semaphore.NewWeighted(5*decisionSize), make(chan *request, 2)
	if err := s.Start(t.Context(), &refuser{}); err != nil {
		t.Fatal(err)
	}
	until := func(condition func() bool) {
		for !condition() {
			runtime.Gosched()
		}
	}
	var wg sync.WaitGroup
	add := func(ctx context.Context, b Batch, want error) <-chan struct{} {
		done := make(chan struct{})
		wg.Go(func() {
			defer close(done)
			if _, err := s.Append(ctx, b); !errors.Is(err, want) {
				t.Errorf("%v, want %v", err, want)
			}
		})
		return done
	}
	entered, gate, no := make(chan struct{}), make(chan struct{}), errors.New("no")
	decide := func(events []Event, err error) Batch {
		return Batch{Decide: func(context.Context) ([]Event, error) { return events, err }}
	}
	good, refused := systemEvent(1), systemEvent(1)
	refused.Source = "refused"
	running, stopRunning := context.WithCancel(t.Context())
	add(running, Batch{Decide: func(context.Context) ([]Event, error) {
		close(entered)
		<-gate
		return []Event{good}, nil
	}}, nil)
	<-entered
	add(t.Context(), decide(nil, no), no)
	until(func() bool { return s.Stats().QueuedBatches == 2 })
	queued, stopQueued := context.WithCancel(t.Context())
	cancelledInQueue := add(queued, decide([]Event{good}, nil), context.Canceled)
	until(func() bool { return s.Stats().QueuedBatches == 3 })
	if st := s.Stats(); !hasRoom(s, 2*decisionSize) || st.QueuedBytes != 3*decisionSize {
		t.Errorf("with three in the queue: %+v", st)
	}
	sending, stopSending := context.WithCancel(t.Context())
	cancelledBeforeQueue := add(sending, decide([]Event{good}, nil), context.Canceled)
	until(func() bool { return hasRoom(s, decisionSize) })
	add(t.Context(), decide([]Event{refused}, nil), errRefused)
	until(func() bool { return hasRoom(s, 0) && s.Stats().WaitingForRoom == 2 })
	waiting, stopWaiting := context.WithCancel(t.Context())
	cancelledInWait := add(waiting, decide([]Event{good}, nil), context.Canceled)
	until(func() bool { return s.Stats().WaitingForRoom == 3 })
	stopWaiting()
	<-cancelledInWait
	if !hasRoom(s, 0) {
		t.Error("who waited for room and gave up took some along, or left some")
	}
	stopSending()
	<-cancelledBeforeQueue
	if !hasRoom(s, decisionSize) {
		t.Error("who was about to be queued and gave up did not give its room back")
	}
	stopQueued()
	<-cancelledInQueue
	stopRunning() // too late: it has begun
	close(gate)
	wg.Wait()
	if _, err := s.Append(t.Context(), Batch{Events: []Event{{Entity: "x"}}}); !errors.Is(err, ErrInvalid) {
		t.Errorf("a bad batch: %v", err)
	}
	// The cancelled one is dropped by the writer, at the latest before whatever comes after it.
	if _, err := s.Append(t.Context(), Batch{Events: []Event{systemEvent(3 * decisionSize)}}); err != nil {
		t.Error(err)
	}
	if st := s.Stats(); !hasRoom(s, 5*decisionSize) || st.QueuedBytes != 0 || st.QueuedBatches != 0 || st.WaitingForRoom != 0 || st.Head != 2 {
		t.Errorf("in the end: %+v", st)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Append(t.Context(), decide(nil, nil)); !errors.Is(err, ErrClosed) || !hasRoom(s, 5*decisionSize) {
		t.Errorf("after the end: %v", err)
	}
}
