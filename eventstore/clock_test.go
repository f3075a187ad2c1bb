package eventstore_test

import (
	"errors"
	"iter"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/statehouse/statehouse/eventstore"
	"github.com/statehouse/statehouse/state"
)

// A clock outside of what can be stored neither wraps around nor moves the log to where it cannot come back from: the
// last event's time stands. In an empty log it is the first moment of 1970. The year 2600 in nanoseconds, for one, wraps
// to 2015, and 1500 to 2084.
func TestAClockOutOfRange(t *testing.T) {
	wild := []time.Time{
		time.Unix(0, 999), {}, time.Unix(-1, 0), time.Unix(0, 0), year(1500), year(1677), year(2262).Add(1), year(2300), year(2600), year(9999),
		time.Unix(math.MaxInt64, 0), time.Unix(math.MinInt64, 0),
	}
	path := tempDB(t)
	now := wild[0]
	opts := eventstore.Options{Clock: func() time.Time { return now }}
	s, db := open(t, path, opts, state.New())
	var want []time.Time
	add := func(s *eventstore.Store, clock, recorded time.Time) {
		now = clock
		mustAppend(t, s, sensor(len(want)))
		want = append(want, recorded)
	}
	for _, c := range wild {
		add(s, c, time.Unix(0, 1))
	}
	add(s, year(2026), year(2026))
	for _, c := range wild {
		add(s, c, year(2026))
	}
	add(s, year(2026).Add(1999), year(2026).Add(1000)) // a whole number of microseconds
	if err := errors.Join(s.Verify(t.Context()), s.Close(), db.Close()); err != nil {
		t.Fatal(err)
	}
	now = year(9999)
	s, _ = open(t, path, opts, state.New())
	if b := s.Recovered().ClockBehind; b != math.MinInt64 { // ahead, by more than a Duration can say
		t.Errorf("the clock is %v behind", b)
	}
	add(s, year(2262), year(2262))
	for e, err := range s.Read(t.Context(), everything) {
		if err != nil {
			t.Fatal(err)
		}
		if w := want[e.Position-1]; !e.RecordedAt.Equal(w) || !e.Timestamp.Equal(w) {
			t.Errorf("position %d was recorded at %v with timestamp %v, want %v", e.Position, e.RecordedAt, e.Timestamp, w)
		}
	}
	if s.Head() != eventstore.Position(len(want)) {
		t.Errorf("head %d of %d", s.Head(), len(want))
	}
}

func year(y int) time.Time { return time.Date(y, 1, 1, 0, 0, 0, 0, time.UTC) }

// A timestamp outside of what can be stored is refused, with the range in the message; one at its ends comes back as it
// was.
func TestTimestampsOutOfRange(t *testing.T) {
	s, _ := open(t, tempDB(t), eventstore.Options{}, state.New())
	at := func(ts time.Time) error {
		e := sensor(1)
		e.Timestamp = ts
		_, err := s.Append(t.Context(), eventstore.Batch{Events: []eventstore.Event{e}})
		return err
	}
	for _, ts := range []time.Time{
		time.Unix(0, 0), time.Unix(-1, 0), year(1500), year(1677), year(2262).Add(1), year(2600), year(9999),
		time.Unix(math.MaxInt64, 0), time.Unix(math.MinInt64, 0),
	} {
		err := at(ts)
		if !errors.Is(err, eventstore.ErrInvalid) || !strings.Contains(err.Error(), "1970-01-01T00:00:00.000000001Z") || !strings.Contains(err.Error(), "2262-01-01") {
			t.Errorf("%v: %v", ts, err)
		}
	}
	ends := []time.Time{time.Unix(0, 1), year(2262)}
	for _, ts := range ends {
		if err := at(ts); err != nil {
			t.Errorf("%v: %v", ts, err)
		}
	}
	for e, err := range s.Read(t.Context(), everything) {
		if err != nil || !e.Timestamp.Equal(ends[e.Position-1]) {
			t.Errorf("position %d: %v, %v", e.Position, e.Timestamp, err)
		}
	}
}

// A subscription since a time that is still to come yields nothing that is recorded before it, and gets past that.
func TestSubscriptionsSinceATimeToCome(t *testing.T) {
	now := second(10)
	s, _ := open(t, tempDB(t), eventstore.Options{Clock: func() time.Time { return now }}, state.New())
	mustAppend(t, s, sensor(1))
	q := eventstore.Query{Since: second(100), Until: 5}
	sub, c := s.Subscription(q), consumer(t, s, "c", q)
	got := map[string]chan []eventstore.Position{"a subscription": make(chan []eventstore.Position, 1), "a consumer": make(chan []eventstore.Position, 1)}
	for name, events := range map[string]iter.Seq2[eventstore.Event, error]{"a subscription": sub.Events(t.Context()), "a consumer": c.Events(t.Context())} {
		go func() {
			var all []eventstore.Position
			for e, err := range events {
				if err != nil {
					t.Errorf("%s: %v", name, err)
				}
				all = append(all, e.Position)
			}
			got[name] <- all
		}()
	}
	for sub.Position() == 0 || c.Position() == 0 { // until they have come to the head
		pause()
	}
	for i, at := range []int{20, 99, 100, 101} {
		now = second(at)
		mustAppend(t, s, sensor(i))
	}
	for name, all := range got {
		if all := <-all; !slices.Equal(all, []eventstore.Position{4, 5}) {
			t.Errorf("%s yields %v", name, all)
		}
	}
	if sub.Position() != 5 || sub.Behind() != 0 {
		t.Errorf("it is at position %d, %d behind", sub.Position(), sub.Behind())
	}
}

// A subscription since a time of which nothing is left goes on where it is: what it misses is what is behind its position.
func TestSubscriptionsSinceATimeThatIsRemoved(t *testing.T) {
	now := 0
	clock := func() time.Time { now++; return second(100 + now) }
	s, _ := open(t, tempDB(t), eventstore.Options{SealAfter: -1, Clock: clock}, state.New())
	for i := range 20 {
		mustAppend(t, s, sensor(i))
	}
	q := eventstore.Query{Since: second(1), Until: 20}
	c := consumer(t, s, "c", q)
	take(t, c, 15, 15)
	compact(t, s, 10)
	from := func(after eventstore.Position) iter.Seq2[eventstore.Event, error] {
		q.After = after
		return s.Subscribe(t.Context(), q)
	}
	if n, err := drain(c.Events(t.Context())); n != 6 || err != nil { // it broke off at 15
		t.Errorf("a consumer yields %d events: %v", n, err)
	}
	if n, err := drain(from(15)); n != 5 || err != nil {
		t.Errorf("a subscription yields %d events: %v", n, err)
	}
	if n, err := drain(from(eventstore.FromOldest)); n != 10 || err != nil {
		t.Errorf("from the oldest event on: %d events, %v", n, err)
	}
	if n, err := drain(from(9)); n != 0 || !errors.Is(err, eventstore.ErrCompacted) {
		t.Errorf("where an event is missing: %d events, %v", n, err)
	}
}

// A clock that jumps, by seconds or by years, forward and back, under concurrent appends and over a restart: recorded times
// do not go back, a time leads to the last event that was recorded by then, and nothing is lost or refused.
func TestClockJumps(t *testing.T) {
	const clients, each = 4, 40
	path := tempDB(t)
	var mu sync.Mutex
	r := rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), 0))
	now := year(2026)
	opts := eventstore.Options{SealAfter: 50, SnapshotEvery: 60, Clock: func() time.Time {
		mu.Lock()
		defer mu.Unlock()
		far := []time.Duration{time.Microsecond, time.Second, time.Hour, 30 * 24 * time.Hour}[r.IntN(4)]
		now = now.Add(time.Duration(r.Int64N(int64(2*far))) - far)
		return now
	}}
	for round := range 2 {
		s, db := open(t, path, opts, state.New())
		var wg sync.WaitGroup
		for id := range clients {
			wg.Go(func() {
				for i := range each {
					if _, err := s.Append(t.Context(), eventstore.Batch{Events: []eventstore.Event{sensor(id)}}); err != nil {
						t.Errorf("append %d: %v", i, err)
					}
				}
			})
		}
		wg.Wait()
		var all []eventstore.Event
		for e, err := range s.Read(t.Context(), everything) {
			if err != nil {
				t.Fatal(err)
			}
			if n := len(all); n > 0 && e.RecordedAt.Before(all[n-1].RecordedAt) {
				t.Errorf("position %d was recorded at %v, and the one before it at %v", e.Position, e.RecordedAt, all[n-1].RecordedAt)
			}
			all = append(all, e)
		}
		if len(all) != (round+1)*clients*each {
			t.Fatalf("%d events", len(all))
		}
		for _, e := range all {
			at, err := s.PositionAt(t.Context(), e.RecordedAt)
			if err != nil || at < e.Position || !all[at-1].RecordedAt.Equal(e.RecordedAt) ||
				int(at) < len(all) && all[at].RecordedAt.Equal(e.RecordedAt) {
				t.Fatalf("%v, when position %d was recorded, leads to position %d (%v)", e.RecordedAt, e.Position, at, err)
			}
		}
		checkStore(t, s)
		if err := errors.Join(s.Close(), db.Close()); err != nil {
			t.Fatal(err)
		}
	}
}
