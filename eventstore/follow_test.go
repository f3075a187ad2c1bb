package eventstore_test

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/statehouse/statehouse/eventstore"
	"github.com/statehouse/statehouse/internal/check"
	"github.com/statehouse/statehouse/state"
)

// sink is a handler that collects what it is given, and fails when the test wants it.
type sink struct {
	mu   sync.Mutex
	got  []eventstore.Position
	fail func() error
}

func (k *sink) handle(_ context.Context, events []eventstore.Event) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.fail != nil {
		if err := k.fail(); err != nil {
			return err
		}
	}
	for _, e := range events {
		k.got = append(k.got, e.Position)
	}
	return nil
}

func follow(t *testing.T, s *eventstore.Store, name string, q eventstore.Query, handle eventstore.Handler) *eventstore.Follower {
	t.Helper()
	f, err := s.Follow(t.Context(), name, q, handle)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// settled waits until a follower has everything.
func settled(f *eventstore.Follower) {
	for f.Stats().Behind > 0 {
		pause()
	}
}

// A follower gets every event once and in order, in batches, and goes on after a restart where it was.
func TestFollowers(t *testing.T) {
	path := tempDB(t)
	s, db := open(t, path, eventstore.Options{}, state.New())
	batch := make([]eventstore.Event, 1500)
	for i := range batch {
		batch[i] = sensor(i)
	}
	mustAppend(t, s, batch...)
	var all, some sink
	f := follow(t, s, "all", everything, all.handle)
	few := follow(t, s, "some", eventstore.Query{Entities: []string{"sensor.b"}}, some.handle)
	if _, err := s.Follow(t.Context(), "all", everything, all.handle); !errors.Is(err, eventstore.ErrInUse) {
		t.Errorf("a second one of that name: %v", err)
	}
	mustAppend(t, s, check.SensorEvent("sensor.b", 1), sensor(1))
	settled(f)
	settled(few)
	stats := s.Stats().Followers
	if len(stats) != 2 || stats[0].Name != "all" || stats[0].Acked != 1502 || stats[0].Error != nil || stats[1].Acked != 1502 {
		t.Errorf("%+v", stats)
	}
	if err := errors.Join(s.Close(), db.Close()); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Follow(t.Context(), "late", everything, all.handle); !errors.Is(err, eventstore.ErrClosed) {
		t.Errorf("after the end: %v", err)
	}
	s, _ = open(t, path, eventstore.Options{}, state.New())
	mustAppend(t, s, sensor(2))
	f = follow(t, s, "all", everything, all.handle)
	settled(f)
	f.Stop()
	f.Stop()
	if len(s.Stats().Followers) != 0 {
		t.Errorf("%+v", s.Stats().Followers)
	}
	f = follow(t, s, "all", everything, all.handle) // the name is free again
	mustAppend(t, s, sensor(3))
	settled(f)
	if !slices.Equal(all.got, upTo(1504)) || !slices.Equal(some.got, []eventstore.Position{1501}) {
		t.Errorf("%d events, %v", len(all.got), some.got)
	}
}

// A handler that fails, however it does, gets the same events again, and its state is visible meanwhile.
func TestAFollowerThatFails(t *testing.T) {
	path := tempDB(t)
	synctest.Test(t, func(t *testing.T) {
		s, _ := open(t, path, eventstore.Options{}, state.New())
		mustAppend(t, s, sensor(1), sensor(2))
		bad := errors.New("not now")
		step := make(chan func() error)
		k := &sink{fail: func() error { return (<-step)() }}
		f := follow(t, s, "f", everything, k.handle)
		for i, c := range []struct {
			fail func() error
			says string
		}{
			{func() error { return bad }, "not now"},
			{func() error { panic("boom") }, "panicked: boom"},
			{func() error { runtime.Goexit(); return nil }, "ended its goroutine"},
			{func() error { return eventstore.ErrClosed }, "the store is closed"}, // that of another one, which it copies to
		} {
			step <- c.fail
			synctest.Wait()
			st := f.Stats()
			if st.Error == nil || !strings.Contains(st.Error.Error(), c.says) || st.Failures != uint64(i+1) || st.Acked != 0 || st.Behind != 2 {
				t.Errorf("failure %d: %+v", i, st)
			}
		}
		began := time.Now()
		step <- func() error { return nil }
		synctest.Wait()
		if st := f.Stats(); st.Error != nil || st.Failures != 4 || st.Behind != 0 || time.Since(began) > time.Minute {
			t.Errorf("after it: %+v", st)
		}
		close(step) // whatever comes now is nil, and panics
		if !slices.Equal(k.got, upTo(2)) {
			t.Errorf("it got %v", k.got)
		}
	})
}

// The end of the store ends a follower that is in the middle of something, waits for it, and acknowledges nothing that
// it has not done.
func TestAFollowerIsWaitedFor(t *testing.T) {
	path := tempDB(t)
	s, db := open(t, path, eventstore.Options{}, state.New())
	mustAppend(t, s, sensor(1))
	entered, ended := make(chan struct{}), false
	follow(t, s, "f", everything, func(ctx context.Context, _ []eventstore.Event) error {
		close(entered)
		<-ctx.Done()
		_, err := s.Append(context.Background(), eventstore.Batch{Events: []eventstore.Event{sensor(2)}})
		ended = true
		return errors.Join(err, ctx.Err())
	})
	<-entered
	if err := errors.Join(s.Close(), db.Close()); err != nil {
		t.Fatal(err)
	}
	if !ended || s.Head() != 2 {
		t.Errorf("it has ended: %v, head %d", ended, s.Head())
	}
	s, _ = open(t, path, eventstore.Options{}, state.New())
	var k sink
	settled(follow(t, s, "f", everything, k.handle))
	if !slices.Equal(k.got, upTo(2)) {
		t.Errorf("it got %v", k.got)
	}
}
