package eventstore

import (
	"errors"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
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

// A commit in the moment in which a subscriber looks whether there is anything new is not missed: it asks to be woken
// before it looks. Here it is held where it asks, and the commit happens meanwhile: had it looked before, it would now
// wait for the next one.
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
	s.commits.mu.Lock()
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
	for !someGoroutine(`(?s)\[sync\.Mutex\.Lock.*\(\*broadcast\)\.wait.*\(\*Store\)\.Subscribe`) {
		runtime.Gosched()
	}
	// What a commit does, under the lock that is held already.
	s.head.Store(second)
	close(s.commits.next)
	s.commits.next = make(chan struct{})
	s.commits.mu.Unlock()
	for {
		select {
		case <-done:
			if len(got) != 1 || got[0] != 2 {
				t.Errorf("it got %v", got)
			}
			return
		default:
		}
		if someGoroutine(`(?s)\[select.*\(\*Store\)\.Subscribe`) {
			t.Error("it waits for another commit")
			s.commits.wake()
			<-done
			return
		}
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
