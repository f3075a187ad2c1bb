package eventstore

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/statehouse/statehouse/storage"
)

// gate is a projector that does what a test wants when it is restored or given an event.
type gate struct {
	restore func()
	apply   func(e Event)
}

func (*gate) Name() string { return "gate" }

func (g *gate) Apply(_ context.Context, _ storage.Tx, e Event) error {
	if g.apply != nil {
		g.apply(e)
	}
	return nil
}

func (*gate) Snapshot(context.Context, storage.Tx) error { return nil }

func (g *gate) Restore(context.Context, storage.Tx) (uint64, error) {
	if g.restore != nil {
		g.restore()
	}
	return 0, nil
}

// A close beside a start waits for it, and ends everything that it starts.
func TestCloseBesideStart(t *testing.T) {
	s := openInside(t, Options{})
	entered, release := make(chan struct{}), make(chan struct{})
	started, closed := make(chan error), make(chan error)
	go func() { started <- s.Start(t.Context(), &gate{restore: func() { close(entered); <-release }}) }()
	<-entered
	go func() { closed <- s.Close() }()
	for !someGoroutine(`(?s)\[sync\.(RW)?Mutex\.Lock.*\(\*Store\)\.Close`) {
		runtime.Gosched()
	}
	close(release)
	if err := errors.Join(<-started, <-closed); err != nil {
		t.Error(err)
	}
	for _, left := range []string{`\(\*writer\)\.run`, `\(\*sealer\)\.loop`, `\(\*snapshotter\)\.loop`, `\(\*waker\)\.run`} {
		if someGoroutine(`(?s).*` + left) {
			t.Errorf("after the close there still is %s", left)
		}
	}
}

// A store may be closed by several at once: each finds it closed, and none an error.
func TestClosesAtOnce(t *testing.T) {
	for range 20 {
		s := openInside(t, Options{})
		if err := s.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		var closing sync.WaitGroup
		for range 8 {
			closing.Go(func() {
				if err := s.Close(); err != nil {
					t.Error(err)
				}
				if _, err := s.Append(t.Context(), Batch{Events: []Event{systemEvent(1)}}); !errors.Is(err, ErrClosed) {
					t.Errorf("an append afterwards: %v", err)
				}
			})
		}
		closing.Wait()
	}
}

// A close does not wait until all of removed history is given back, also where the sealer waits for that.
func TestCloseEndsARemoval(t *testing.T) {
	const segments = 6 * removeStep
	held, release := make(chan struct{}), make(chan struct{})
	var s *Store
	hold := func(*writer, context.Context) error { close(held); <-release; return nil }
	s = openInside(t, Options{SealAfter: segments + 1}) // the event that attests the removal wakes the sealer
	err := s.Start(t.Context(), &gate{apply: func(e Event) {
		if e.Kind != KindHistoryRemoved {
			return
		}
		go func() { // the turn after this one, before the first step of the removal
			if err := s.inTurn(t.Context(), hold); err != nil {
				t.Error(err)
			}
		}()
		for len(s.queue) == 0 {
			runtime.Gosched()
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	for range segments {
		appendOne(t, s)
	}
	removed, closed := make(chan error), make(chan error)
	go func() {
		_, err := s.Compact(t.Context(), segments, CompactOptions{})
		removed <- err
	}()
	<-held
	for _, waiting := range []string{
		`(?s)\[select.*semaphore\..*\(\*sealer\)\.step`,
		`(?s)\[select.*\(\*Store\)\.inTurn.*\(\*Store\)\.removeRest`, // for the turn of its first step
	} {
		for !someGoroutine(waiting) {
			runtime.Gosched()
		}
	}
	go func() { closed <- s.Close() }()
	for began := time.Now(); someGoroutine(`(?s).*\(\*Store\)\.untilClosed`); runtime.Gosched() {
		if time.Since(began) > 10*time.Second {
			t.Error("the removal is not told that the store closes")
			break
		}
	}
	close(release)
	if err := errors.Join(<-removed, <-closed); err != nil {
		t.Error(err) // it has taken effect, and the rest will be done later
	}
	var left int
	if err := s.db.Reader().QueryRowContext(t.Context(), `SELECT count(*) FROM segments WHERE last_position <= ?`, segments).
		Scan(&left); err != nil || left != segments {
		t.Errorf("%d of %d segments are left: %v; the step that waits is given up", left, segments, err)
	}
}
