package eventstore_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/statehouse/statehouse/eventstore"
	"github.com/statehouse/statehouse/internal/check"
	"github.com/statehouse/statehouse/state"
	"github.com/statehouse/statehouse/storage"
)

func consumer(t *testing.T, s *eventstore.Store, name string, q eventstore.Query) *eventstore.Consumer {
	t.Helper()
	c, err := s.Consumer(t.Context(), name, q)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// take takes n events of a consumer and acknowledges the first so many of them.
func take(t *testing.T, c *eventstore.Consumer, n, acked int) (got []eventstore.Position) {
	t.Helper()
	for e, err := range c.Events(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, e.Position)
		if len(got) <= acked {
			if err := c.Ack(e.Position); err != nil {
				t.Fatal(err)
			}
		}
		if len(got) == n {
			break
		}
	}
	return got
}

// killed is what a kill leaves of a log: a copy of its files as they are between two turns of the writer.
func killed(t *testing.T, s *eventstore.Store, db *storage.DB) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "killed.db")
	letGo := hold(t, s)
	defer letGo()
	for _, suffix := range []string{"", "-wal"} {
		content, err := os.ReadFile(db.Path() + suffix)
		if err == nil {
			err = os.WriteFile(path+suffix, content, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return path
}

// A consumer goes on where it had acknowledged, in the same process and in the next one; after a kill where it had when
// the last group was committed (I9).
func TestConsumersGoOn(t *testing.T) {
	path := tempDB(t)
	s, db := open(t, path, eventstore.Options{}, state.New())
	for i := range 10 {
		mustAppend(t, s, sensor(i))
	}
	c := consumer(t, s, "c", everything)
	if got := take(t, c, 5, 4); !slices.Equal(got, upTo(5)) || c.Acked() != 4 || c.Behind() != 6 {
		t.Errorf("%v, acked %d, behind %d", got, c.Acked(), c.Behind())
	}
	if err := c.Ack(2); err != nil || c.Acked() != 4 {
		t.Errorf("an older acknowledgement: %v, acked %d", err, c.Acked())
	}
	c.Close()
	if err := c.Ack(5); !errors.Is(err, eventstore.ErrClosed) {
		t.Errorf("an acknowledgement of one that is closed: %v", err)
	}
	c = consumer(t, s, "c", everything)
	if got := take(t, c, 3, 2); !slices.Equal(got, []eventstore.Position{5, 6, 7}) {
		t.Errorf("the next one: %v", got)
	}
	mustAppend(t, s, sensor(11)) // takes the cursor along
	if got := take(t, c, 2, 2); !slices.Equal(got, []eventstore.Position{7, 8}) {
		t.Errorf("it goes on with %v", got)
	}
	crashed := killed(t, s, db)
	if err := errors.Join(s.Close(), db.Close()); err != nil {
		t.Fatal(err)
	}
	if err := c.Ack(9); !errors.Is(err, eventstore.ErrClosed) {
		t.Errorf("an acknowledgement after the end: %v", err)
	}
	for path, next := range map[string]eventstore.Position{path: 9, crashed: 7} {
		s, _ := open(t, path, eventstore.Options{}, state.New())
		c := consumer(t, s, "c", eventstore.Query{After: 3}) // which is for those without a cursor
		if c.Acked() != next-1 || c.Position() != next-1 {
			t.Errorf("acked %d, position %d, want %d", c.Acked(), c.Position(), next-1)
		}
		if got := take(t, c, int(12-next), 0); !slices.Equal(got, upTo(11)[next-1:]) {
			t.Errorf("after %d: %v", next-1, got)
		}
	}
}

// A consumer that was made for what is to come misses nothing of it, even if it is killed before it gets anything.
func TestAConsumerFromNow(t *testing.T) {
	s, db := open(t, tempDB(t), eventstore.Options{}, state.New())
	mustAppend(t, s, sensor(1), sensor(2))
	consumer(t, s, "c", eventstore.Query{After: eventstore.FromNow})
	mustAppend(t, s, sensor(3))
	s, _ = open(t, killed(t, s, db), eventstore.Options{}, state.New())
	mustAppend(t, s, sensor(4))
	c := consumer(t, s, "c", eventstore.Query{After: eventstore.FromNow})
	if got := take(t, c, 2, 2); !slices.Equal(got, []eventstore.Position{3, 4}) {
		t.Errorf("%v", got)
	}
}

// An acknowledgement that no group takes along is stored all the same.
func TestAcknowledgementsAreStored(t *testing.T) {
	path := tempDB(t)
	synctest.Test(t, func(t *testing.T) {
		s, _ := open(t, path, eventstore.Options{}, state.New())
		mustAppend(t, s, sensor(1), sensor(2))
		c := consumer(t, s, "c", everything)
		take(t, c, 1, 1)
		began := time.Now()
		for {
			all, err := s.Cursors(t.Context())
			if err != nil || len(all) != 1 || all[0].Acked != 1 || !all[0].Open {
				t.Fatalf("%+v %v", all, err)
			}
			if all[0].Stored == 1 {
				break
			}
			time.Sleep(time.Second)
		}
		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("it took %v", took)
		}
	})
}

// One that comes while others are being stored is stored as well, and so is whatever comes after that.
func TestAcknowledgementsWhileSomeAreStored(t *testing.T) {
	path := tempDB(t)
	synctest.Test(t, func(t *testing.T) {
		var meanwhile atomic.Pointer[func()] // is called when the writer writes the next time, and asks for the time
		s, _ := open(t, path, eventstore.Options{Clock: func() time.Time {
			if f := meanwhile.Swap(nil); f != nil {
				(*f)()
			}
			return time.Now()
		}}, state.New())
		mustAppend(t, s, sensor(1), sensor(2), sensor(3))
		c := consumer(t, s, "c", everything)
		ack := func(at eventstore.Position) {
			if err := c.Ack(at); err != nil {
				t.Error(err)
			}
		}
		stored := func(want eventstore.Position) {
			t.Helper()
			for range 10 {
				time.Sleep(time.Second)
				if all, err := s.Cursors(t.Context()); err != nil || len(all) != 1 {
					t.Fatalf("%+v %v", all, err)
				} else if all[0].Stored == want {
					return
				}
			}
			t.Errorf("after 10 s position %d is not stored", want)
		}
		second := func() { ack(2) }
		meanwhile.Store(&second)
		ack(1)
		stored(2)
		if meanwhile.Load() != nil {
			t.Error("nothing was acknowledged meanwhile: this tests nothing")
		}
		ack(3)
		stored(3)
	})
}

// What projectors show may be asked for and acknowledged at once, also before the head has moved to it.
func TestConsumersOfWhatIsBeingPromoted(t *testing.T) {
	p := &spy{name: "p"}
	s, _ := open(t, tempDB(t), eventstore.Options{}, p)
	mustAppend(t, s, sensor(1))
	old, opened := consumer(t, s, "old", everything), make(chan error, 1)
	p.promote = func() { // position 2
		p.promote = nil
		if !s.Reached(2) || s.Reached(3) {
			t.Errorf("it has come to position 2: %v; to 3: %v", s.Reached(2), s.Reached(3))
		}
		if err := old.Ack(2); err != nil {
			t.Error(err)
		}
		if err := old.Ack(3); !errors.Is(err, eventstore.ErrInvalid) {
			t.Errorf("an acknowledgement of what is still to come: %v", err)
		}
		before := s.Stats().QueuedBatches
		go func() {
			c, err := s.Consumer(t.Context(), "new", eventstore.Query{After: 2})
			if err == nil && c.Acked() != 2 {
				t.Errorf("the new one begins after position %d", c.Acked())
			}
			opened <- err
		}()
		for s.Stats().QueuedBatches == before && len(opened) == 0 {
			pause()
		}
	}
	mustAppend(t, s, sensor(2))
	if err := <-opened; err != nil {
		t.Error(err)
	}
}

// One that is interested in little does not read everything again after a restart, nor is it said to be far behind.
func TestAConsumerOfLittle(t *testing.T) {
	path := tempDB(t)
	s, db := open(t, path, eventstore.Options{}, state.New())
	c := consumer(t, s, "c", eventstore.Query{Entities: []string{"sensor.b"}})
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	mustAppend(t, s, check.SensorEvent("sensor.b", 1))
	batch := make([]eventstore.Event, 5000)
	for i := range batch {
		batch[i] = sensor(i)
	}
	ended := make(chan error)
	go func() {
		for e, err := range c.Events(ctx) {
			if err == nil {
				err = c.Ack(e.Position)
			}
			if err != nil {
				ended <- err
			}
		}
		close(ended)
	}()
	mustAppend(t, s, batch...)
	for c.Behind() != 0 {
		pause()
	}
	mustAppend(t, s, sensor(1))
	for c.Behind() != 0 {
		pause()
	}
	stop()
	for err := range ended {
		if !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	}
	if c.Acked() != 5002 {
		t.Errorf("acked %d", c.Acked())
	}
	if err := errors.Join(s.Close(), db.Close()); err != nil {
		t.Fatal(err)
	}
	s, _ = open(t, path, eventstore.Options{}, state.New())
	if c := consumer(t, s, "c", eventstore.Query{Entities: []string{"sensor.b"}}); c.Acked() != 5001 {
		t.Errorf("after a restart: %d", c.Acked())
	}
}

// What makes no sense is refused, and says why.
func TestBadConsumers(t *testing.T) {
	s, db := open(t, tempDB(t), eventstore.Options{}, state.New())
	mustAppend(t, s, sensor(1), sensor(2))
	c := consumer(t, s, "c", everything)
	if err := c.Ack(3); !errors.Is(err, eventstore.ErrInvalid) || c.Acked() != 0 {
		t.Errorf("beyond the end: %v, acked %d", err, c.Acked())
	}
	if _, err := s.Consumer(t.Context(), "c", everything); !errors.Is(err, eventstore.ErrInUse) {
		t.Errorf("a second one: %v", err)
	}
	if err := s.DeleteCursor(t.Context(), "c"); !errors.Is(err, eventstore.ErrInUse) {
		t.Errorf("a cursor in use is deleted: %v", err)
	}
	for name, q := range map[string]eventstore.Query{
		"": everything, "\xff": everything, strings.Repeat("x", 256): everything,
		"backward": {Backward: true}, "with an end": {Before: time.Now()}, "beyond the end": {After: 3},
	} {
		if _, err := s.Consumer(t.Context(), name, q); !errors.Is(err, eventstore.ErrInvalid) {
			t.Errorf("%q: %v", name, err)
		}
	}
	if all, err := s.Cursors(t.Context()); err != nil || len(all) != 1 || all[0].Name != "c" {
		t.Errorf("%+v %v", all, err)
	}
	// A cursor that is ahead of the log.
	path := killed(t, s, db)
	behind, err := storage.Open(t.Context(), path, storage.Options{})
	if err == nil {
		_, err = behind.Writer().ExecContext(t.Context(), `INSERT INTO cursors VALUES ('ahead', 3, 0, statehouse_sum('ahead', 3, 0))`)
		err = errors.Join(err, behind.Close())
	}
	if err != nil {
		t.Fatal(err)
	}
	s, _ = open(t, path, eventstore.Options{}, state.New())
	for range 2 {
		if _, err := s.Consumer(t.Context(), "ahead", everything); !errors.Is(err, eventstore.ErrCorrupt) ||
			!strings.Contains(err.Error(), `"ahead" is at position 3, and the log ends at 2`) {
			t.Errorf("a cursor beyond the end: %v", err)
		}
	}
	if err := s.DeleteCursor(t.Context(), "ahead"); err != nil {
		t.Error(err)
	}
	if err := s.DeleteCursor(t.Context(), "ahead"); !errors.Is(err, eventstore.ErrInvalid) {
		t.Errorf("deleted twice: %v", err)
	}
	consumer(t, s, "ahead", everything)
}

// A cursor that is deleted stays deleted, whatever was acknowledged before and not stored yet, and however soon the next
// group comes.
func TestADeletedCursor(t *testing.T) {
	s, _ := open(t, tempDB(t), eventstore.Options{}, state.New())
	mustAppend(t, s, sensor(1), sensor(2))
	for range 20 {
		c := consumer(t, s, "c", everything)
		take(t, c, 2, 2)
		c.Close()
		letGo := hold(t, s)
		done := make(chan error)
		queue := func(f func() error) {
			before := s.Stats().QueuedBatches
			go func() { done <- f() }()
			for s.Stats().QueuedBatches == before {
				pause()
			}
		}
		queue(func() error { return s.DeleteCursor(t.Context(), "c") })
		queue(func() error {
			_, err := s.Append(t.Context(), eventstore.Batch{Events: []eventstore.Event{sensor(3)}})
			return err
		})
		letGo()
		if err := errors.Join(<-done, <-done); err != nil {
			t.Fatal(err)
		}
		if all, err := s.Cursors(t.Context()); err != nil || len(all) != 0 {
			t.Fatalf("%+v %v", all, err)
		}
	}
	if got := take(t, consumer(t, s, "c", everything), 3, 0); !slices.Equal(got, upTo(3)) {
		t.Errorf("%v", got)
	}
}
