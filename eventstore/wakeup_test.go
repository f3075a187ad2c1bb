package eventstore

import (
	"errors"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"testing"

	eventv1 "github.com/statehouse/statehouse/gen/statehouse/event/v1"
	"github.com/statehouse/statehouse/storage"
)

// openInside opens a log whose writer is not running yet, for tests that look inside.
func openInside(t *testing.T, opts Options) *Store {
	t.Helper()
	db, err := storage.Open(t.Context(), filepath.Join(t.TempDir(), "log.db"), storage.Options{})
	if err != nil {
		t.Fatal(err)
	}
	s, err := Open(t.Context(), db, opts)
	if err != nil {
		t.Fatal(err, db.Close())
	}
	t.Cleanup(func() {
		if err := errors.Join(s.Close(), db.Close()); err != nil {
			t.Error(err)
		}
	})
	return s
}

// systemEvent is an event whose record has about so many bytes.
func systemEvent(size int) Event {
	what := string(make([]byte, size))
	return Event{Payload: &eventv1.Payload{Kind: &eventv1.Payload_System{System: &eventv1.System{What: what}}}}
}

// A commit in the moment in which a subscriber finds nothing new is not missed: it looks once more after it has asked to
// be woken. Here it is held where it asks, and meanwhile the head moves and those that wait are woken, of which it is none
// yet: did it not look again, it would wait for the next commit.
func TestSubscribersMissNoWakeup(t *testing.T) {
	s := openInside(t, Options{})
	if err := s.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if _, err := s.Append(t.Context(), Batch{Events: []Event{systemEvent(1)}}); err != nil {
			t.Fatal(err)
		}
	}
	second := s.head.Load()
	s.head.Store(&head{position: 1})
	s.waker.mu.Lock()
	var got []Position
	done := make(chan struct{})
	go func() {
		defer close(done)
		for e, err := range s.Subscribe(t.Context(), Query{After: 1, Until: 2}) {
			if err != nil {
				t.Error(err)
			}
			got = append(got, e.Position)
		}
	}()
	for !someGoroutine(`(?s)\[sync\.Mutex\.Lock.*\(\*waker\)\.wait.*\(\*Subscription\)\.wait`) {
		runtime.Gosched()
	}
	s.head.Store(second)
	s.waker.poke() // as a commit does
	s.waker.mu.Unlock()
	for {
		select {
		case <-done:
			if len(got) != 1 || got[0] != 2 {
				t.Errorf("it got %v", got)
			}
			return
		default:
		}
		if someGoroutine(`(?s)\[select.*\(\*Subscription\)\.wait`) {
			t.Error("it waits for another commit")
			s.waker.poke()
			<-done
			return
		}
	}
}

// The writer waits neither for the waker nor for who is woken.
func TestAppendsDoNotWaitForTheWaker(t *testing.T) {
	s := openInside(t, Options{})
	if err := s.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	const n = 5
	var subscriber sync.WaitGroup
	subscriber.Go(func() {
		want := Position(0)
		for e, err := range s.Subscribe(t.Context(), Query{Until: n}) {
			if want++; err != nil || e.Position != want {
				t.Errorf("position %d, %v; want %d", e.Position, err, want)
			}
		}
	})
	for s.waker.count.Load() == 0 {
		runtime.Gosched()
	}
	s.waker.mu.Lock()
	for range n {
		if _, err := s.Append(t.Context(), Batch{Events: []Event{systemEvent(1)}}); err != nil {
			t.Error(err)
		}
	}
	s.waker.mu.Unlock()
	subscriber.Wait()
}

// When the store is closed, all who wait hear of it, and those that the waker has taken over too; each has got
// everything before.
func TestCloseWakesACrowd(t *testing.T) {
	s := openInside(t, Options{})
	if err := s.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	const count = 20 * wakeAtOnce
	var crowd sync.WaitGroup
	for range count {
		crowd.Go(func() {
			got := 0
			for _, err := range s.Subscribe(t.Context(), Query{}) {
				if err == nil {
					got++
				} else if !errors.Is(err, ErrClosed) || got != 2 {
					t.Errorf("after %d events: %v", got, err)
				}
			}
		})
	}
	for s.waker.count.Load() != count {
		runtime.Gosched()
	}
	for range 2 {
		if _, err := s.Append(t.Context(), Batch{Events: []Event{systemEvent(1)}}); err != nil {
			t.Error(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	crowd.Wait()
	if n := len(s.waker.waiting); n != 0 || s.tail.readers.Load() != 0 {
		t.Errorf("%d wait and %d read after the end", n, s.tail.readers.Load())
	}
}

// someGoroutine says whether the stack of a goroutine matches a pattern.
func someGoroutine(pattern string) bool {
	stacks := make([]byte, 1<<20)
	stacks = stacks[:runtime.Stack(stacks, true)]
	for _, stack := range strings.Split(string(stacks), "\n\n") {
		if ok, _ := regexp.MatchString(`^goroutine \d+ `+pattern, stack); ok {
			return true
		}
	}
	return false
}
