package eventstore_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/statehouse/statehouse/eventstore"
	"github.com/statehouse/statehouse/internal/check"
	"github.com/statehouse/statehouse/state"
	"github.com/statehouse/statehouse/storage"
)

func TestMain(m *testing.M) {
	if path := os.Getenv("STATEHOUSE_TEST_DIE"); path != "" {
		die(path)
	}
	goleak.VerifyTestMain(m)
}

// open opens a store of its own with the projectors, and closes it at the end of the test.
func open(t *testing.T, path string, opts eventstore.Options, ps ...eventstore.Projector) (*eventstore.Store, *storage.DB) {
	t.Helper()
	db, err := storage.Open(t.Context(), path, storage.Options{})
	if err != nil {
		t.Fatal(err)
	}
	s, err := eventstore.Open(t.Context(), db, opts)
	if err == nil {
		err = s.Start(t.Context(), ps...)
	}
	if err != nil {
		t.Fatal(err, db.Close())
	}
	t.Cleanup(func() {
		checkStore(t, s)
		if err := errors.Join(s.Close(), db.Close()); err != nil {
			t.Error(err)
		}
	})
	return s, db
}

// checkStore looks at all of a store that a test has done with, unless that is closed, too large for that, or said to be
// damaged.
func checkStore(t *testing.T, s *eventstore.Store) {
	if _, ok := damagedOnPurpose.Load(t.Name()); ok || s.Head() > 10_000 {
		return
	}
	if err := check.Store(context.Background(), s); err != nil && !errors.Is(err, eventstore.ErrClosed) {
		t.Errorf("check: %v", err)
	}
}

// damagedOnPurpose has the names of the tests whose stores are not looked at in the end: see damages.
var damagedOnPurpose sync.Map

// damages says that a test leaves its stores damaged, or unreadable.
func damages(t *testing.T) { damagedOnPurpose.Store(t.Name(), true) }

// everything is the query that every event matches.
var everything = eventstore.Query{}

func tempDB(t *testing.T) string { return filepath.Join(t.TempDir(), "log.db") }

func mustAppend(t *testing.T, s *eventstore.Store, events ...eventstore.Event) eventstore.Span {
	t.Helper()
	span, err := s.Append(t.Context(), eventstore.Batch{Events: events})
	if err != nil {
		t.Fatal(err)
	}
	return span
}

func sensor(n int) eventstore.Event { return check.SensorEvent("sensor.a", float64(n)) }

// spy is a projector that records what it is told and does what the test wants.
type spy struct {
	name     string
	at       uint64
	applied  []eventstore.Position
	pending  []eventstore.Position
	promotes int
	discards int
	apply    func(ctx context.Context, tx storage.Tx, e eventstore.Event) error
	promote  func() // nil does nothing more
}

func (p *spy) Name() string { return p.name }

func (p *spy) Apply(ctx context.Context, tx storage.Tx, e eventstore.Event) error {
	if p.apply != nil {
		if err := p.apply(ctx, tx, e); err != nil {
			return err
		}
	}
	p.pending = append(p.pending, e.Position)
	return nil
}

func (p *spy) Promote() {
	p.promotes++
	p.applied = append(p.applied, p.pending...)
	p.pending = nil
	if p.promote != nil {
		p.promote()
	}
}

func (p *spy) Discard() { p.discards++; p.pending = nil }

func (p *spy) Snapshot(context.Context, storage.Tx) error { return nil }

func (p *spy) Restore(context.Context, storage.Tx) (uint64, error) { return p.at, nil }

// Each projector resumes at its own position: one with a snapshot is not given what it has, one without gets all.
// (Defect: the daemon resumed at the lowest cursor of all projectors.)
func TestEveryProjectorResumesOnItsOwn(t *testing.T) {
	path := tempDB(t)
	cache := state.New()
	s, db := open(t, path, eventstore.Options{}, cache)
	for i := range 10 {
		mustAppend(t, s, sensor(i))
		if i == 6 {
			if err := s.Snapshot(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := errors.Join(s.Close(), db.Close()); err != nil {
		t.Fatal(err)
	}
	fresh, late, beyond := &spy{name: "fresh"}, &spy{name: "late", at: 9}, &spy{name: "beyond", at: 99}
	cache = state.New() // it refuses an event that does not follow the one at its position
	s, _ = open(t, path, eventstore.Options{}, cache, fresh, late, beyond)
	if len(fresh.applied) != 10 || !slices.Equal(late.applied, []eventstore.Position{10}) || len(beyond.applied) != 0 {
		t.Errorf("fresh got %v, late %v, beyond %v", fresh.applied, late.applied, beyond.applied)
	}
	if cache.Revision().Position != 10 || s.Head() != 10 {
		t.Errorf("cache at %d, head %d", cache.Revision().Position, s.Head())
	}
}

// What a projector has made visible can be read, before the log calls it its head; who asks for everything gets what every
// projector has. (Defect: the state of an entity was asked for, and "there is no event at position 6" answered.)
func TestWhatIsPromotedCanBeRead(t *testing.T) {
	cache, late := state.New(), &spy{name: "late"}
	s, _ := open(t, tempDB(t), eventstore.Options{}, cache, late)
	mustAppend(t, s, sensor(0))
	looked := 0
	late.promote = func() {
		looked++
		at := cache.Revision().Position
		if head := s.Head(); head >= at {
			t.Errorf("the cache is at %d, and the head at %d already", at, head)
		}
		if e, err := s.Event(t.Context(), at); err != nil || e.Position != at {
			t.Errorf("the event at %d: %d %v", at, e.Position, err)
		}
		count := func(until eventstore.Position) (n eventstore.Position) {
			for _, err := range s.Read(t.Context(), eventstore.Query{Until: until}) {
				if err != nil {
					t.Error(err)
				}
				n++
			}
			return n
		}
		if n := count(at); n != at {
			t.Errorf("%d events up to %d", n, at)
		}
		if n := count(0); n != s.Head() {
			t.Errorf("%d events, the head is %d", n, s.Head())
		}
		again := state.New()
		err := s.Replayer().Replay(t.Context(), 0, at, again)
		again.Promote()
		if err != nil || again.Revision().Position != at {
			t.Errorf("a replay up to %d comes to %d: %v", at, again.Revision().Position, err)
		}
	}
	for i := range 3 {
		mustAppend(t, s, sensor(i), sensor(i+10))
	}
	if looked != 3 {
		t.Errorf("looked %d times", looked)
	}
}

// A projector that fails fails its own batch and no other, even in one group with others.
func TestAFailingProjectorFailsItsBatchAlone(t *testing.T) {
	bad := errors.New("I do not like 13")
	gate := make(chan struct{})
	p := &spy{name: "picky", apply: func(_ context.Context, _ storage.Tx, e eventstore.Event) error {
		switch check.SensorValue(e.Payload.GetStateChanged().GetAttributes()) {
		case 13:
			return bad
		case -1:
			<-gate // so that the others queue up behind this one, and become a group
		}
		return nil
	}}
	s, _ := open(t, tempDB(t), eventstore.Options{}, state.New(), p)
	var wg sync.WaitGroup
	wg.Go(func() { mustAppend(t, s, sensor(-1)) })
	for s.Stats().QueuedBatches != 1 {
		time.Sleep(time.Millisecond)
	}
	var good atomic.Int32
	for i := range 20 {
		wg.Go(func() {
			events := []eventstore.Event{sensor(i), sensor(i + 100)}
			if i%4 == 1 {
				events[1] = sensor(13)
			}
			span, err := s.Append(t.Context(), eventstore.Batch{Events: events})
			switch {
			case i%4 == 1 || i == 13:
				if !errors.Is(err, bad) || span.Len() != 0 {
					t.Errorf("batch %d: %v %v", i, span, err)
				}
			case err != nil || span.Len() != 2:
				t.Errorf("batch %d: %v %v", i, span, err)
			default:
				good.Add(1)
			}
		})
	}
	for s.Stats().QueuedBatches != 21 {
		time.Sleep(time.Millisecond)
	}
	close(gate)
	wg.Wait()
	if want := eventstore.Position(1 + 2*good.Load()); s.Head() != want || good.Load() != 15 {
		t.Errorf("head %d, want %d; %d good batches", s.Head(), want, good.Load())
	}
	if len(p.applied) != int(s.Head()) || p.discards == 0 {
		t.Errorf("%d applied, %d discards", len(p.applied), p.discards)
	}
	if err := s.Verify(t.Context()); err != nil {
		t.Error(err)
	}
}

// A decision sees what everything before it in its group has made, and what it returns comes right after.
func TestDecisionsSeeWhatIsPending(t *testing.T) {
	cache := state.New()
	s, _ := open(t, tempDB(t), eventstore.Options{}, cache)
	increment := func(context.Context) ([]eventstore.Event, error) {
		n := 0.0
		if st, ok := cache.PendingGet("sensor.a"); ok {
			n = check.SensorValue(st.Attributes)
		}
		return []eventstore.Event{check.SensorEvent("sensor.a", n+1)}, nil
	}
	var wg sync.WaitGroup
	for range 32 {
		wg.Go(func() {
			for range 10 {
				if _, err := s.Append(t.Context(), eventstore.Batch{Decide: increment}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if st, _ := cache.Get("sensor.a"); check.SensorValue(st.Attributes) != 320 {
		t.Errorf("320 increments made %v", check.SensorValue(st.Attributes))
	}
	if g := s.Stats().Groups; g >= 320 {
		t.Errorf("%d groups: nothing was committed together", g)
	}
}

// A decision that returns nothing, or an error, leaves no trace.
func TestDecisionsThatAddNothing(t *testing.T) {
	s, _ := open(t, tempDB(t), eventstore.Options{}, state.New())
	no := errors.New("no")
	for _, want := range []error{nil, no} {
		span, err := s.Append(t.Context(), eventstore.Batch{
			Decide: func(context.Context) ([]eventstore.Event, error) { return nil, want },
		})
		if !errors.Is(err, want) || span.Len() != 0 {
			t.Errorf("%v %v, want %v", span, err, want)
		}
	}
	boom := func(context.Context) ([]eventstore.Event, error) { panic("boom") }
	if _, err := s.Append(t.Context(), eventstore.Batch{Decide: boom}); err == nil || !strings.Contains(err.Error(), "boom") {
		t.Errorf("a decision that panics: %v", err)
	}
	bad := func(context.Context) ([]eventstore.Event, error) { return []eventstore.Event{{Entity: "x"}}, nil }
	if _, err := s.Append(t.Context(), eventstore.Batch{Decide: bad}); !errors.Is(err, eventstore.ErrInvalid) {
		t.Errorf("a decision for an invalid event: %v", err)
	}
	if s.Head() != 0 {
		t.Errorf("head %d", s.Head())
	}
}

// A caller whose context ends before the writer begins takes its batch along; one whose batch has begun learns what
// became of it.
func TestCancelledAppends(t *testing.T) {
	gate, entered := make(chan struct{}), make(chan struct{}, 1)
	p := &spy{name: "slow", apply: func(_ context.Context, _ storage.Tx, e eventstore.Event) error {
		if e.Position == 1 {
			entered <- struct{}{}
			<-gate
		}
		return nil
	}}
	s, _ := open(t, tempDB(t), eventstore.Options{}, state.New(), p)
	ctx, cancel := context.WithCancel(t.Context())
	var begun, waiting error
	var wg sync.WaitGroup
	wg.Go(func() { _, begun = s.Append(ctx, eventstore.Batch{Events: []eventstore.Event{sensor(1)}}) })
	<-entered
	done := make(chan struct{})
	wg.Go(func() {
		_, waiting = s.Append(ctx, eventstore.Batch{Events: []eventstore.Event{sensor(2)}})
		close(done)
	})
	for s.Stats().QueuedBatches != 2 {
		time.Sleep(time.Millisecond)
	}
	cancel()
	<-done // the writer is still busy: the second caller did not wait for it
	close(gate)
	wg.Wait()
	if begun != nil {
		t.Errorf("the batch that had begun: %v", begun)
	}
	if !errors.Is(waiting, context.Canceled) {
		t.Errorf("the batch that waited: %v", waiting)
	}
	mustAppend(t, s, sensor(3))
	if s.Head() != 2 {
		t.Errorf("head %d: the cancelled batch is in the log", s.Head())
	}
}

// Every kind of bad event is refused with an error that says what is wrong, and changes nothing.
func TestBadEventsAreRefused(t *testing.T) {
	s, _ := open(t, tempDB(t), eventstore.Options{}, state.New())
	with := func(change func(e *eventstore.Event)) eventstore.Event {
		e := sensor(1)
		change(&e)
		return e
	}
	long := strings.Repeat("x", 300)
	for name, bad := range map[string]eventstore.Event{
		"no payload":         {Entity: "light.a"},
		"no dot":             with(func(e *eventstore.Event) { e.Entity = "kitchen" }),
		"no name":            with(func(e *eventstore.Event) { e.Entity = "light." }),
		"no domain":          with(func(e *eventstore.Event) { e.Entity = ".a" }),
		"two dots":           with(func(e *eventstore.Event) { e.Entity = "a.b.c" }),
		"upper case":         with(func(e *eventstore.Event) { e.Entity = "light.A" }),
		"no entity":          with(func(e *eventstore.Event) { e.Entity = "" }),
		"long entity":        with(func(e *eventstore.Event) { e.Entity = "light." + long }),
		"long source":        with(func(e *eventstore.Event) { e.Source = long }),
		"broken source":      with(func(e *eventstore.Event) { e.Source = "\xff" }),
		"our correlation id": with(func(e *eventstore.Event) { e.CorrelationID = "@1" }),
		"cause to come":      with(func(e *eventstore.Event) { e.CausePosition = 2 }),
		"cause out of range": with(func(e *eventstore.Event) { e.CausePosition = 1 << 63 }),
		"ancient":            with(func(e *eventstore.Event) { e.Timestamp = time.Unix(-1, 0) }),
		"far future":         with(func(e *eventstore.Event) { e.Timestamp = time.Date(2300, 1, 1, 0, 0, 0, 0, time.UTC) }),
		"kind without a dot": check.CustomEvent("", "door", nil),
		"rename to nonsense": check.RenameEvent("light.a", "B"),
	} {
		_, err := s.Append(t.Context(), eventstore.Batch{Events: []eventstore.Event{sensor(1), bad}})
		if !errors.Is(err, eventstore.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	huge := check.CustomEvent("", "acme.huge", make([]byte, eventstore.MaxEventBytes+1))
	if _, err := s.Append(t.Context(), eventstore.Batch{Events: []eventstore.Event{huge}}); !errors.Is(err, eventstore.ErrTooLarge) {
		t.Errorf("huge: %v", err)
	}
	if s.Head() != 0 || s.Stats().QueuedBytes != 0 {
		t.Errorf("%+v", s.Stats())
	}
}

// A filter is applied inside the scan: what matches comes, however much does not. (Defect: a filter after LIMIT.)
// A read goes to its end, however long the log. (Defect: a past-state read stopped at 10,000 events.)
func TestReadsAreComplete(t *testing.T) {
	s, _ := open(t, tempDB(t), eventstore.Options{}, state.New())
	const n = 12_000
	for i := 0; i < n; {
		var batch []eventstore.Event
		for range 1 + i%17 {
			e := check.SensorEvent("sensor.common", float64(i))
			if i%1200 == 0 {
				e = check.CustomEvent("sensor.rare", "acme.rare", []byte{byte(i)})
				e.Source = "rarely"
			}
			batch = append(batch, e)
			if i++; i == n {
				break
			}
		}
		mustAppend(t, s, batch...)
	}
	for name, q := range map[string]eventstore.Query{
		"by entity": {Entities: []string{"sensor.rare"}},
		"by kind":   {Kinds: []eventstore.Kind{"acme.rare"}},
		"by source": {Sources: []string{"rarely", "never"}},
		"by all":    {Entities: []string{"x.y", "sensor.rare"}, Kinds: []eventstore.Kind{"acme.rare"}, Sources: []string{"rarely"}},
	} {
		got := 0
		for e, err := range s.Read(t.Context(), q) {
			if err != nil {
				t.Fatal(err)
			}
			if e.Entity != "sensor.rare" || int(e.Position) != 1+1200*got {
				t.Errorf("%s: event %d is %s at %d", name, got, e.Entity, e.Position)
			}
			got++
		}
		if got != 10 {
			t.Errorf("%s: %d of 10", name, got)
		}
	}
	windows := [][2]eventstore.Position{{0, n}, {0, 1}, {n - 1, n}, {4096, 8193}, {5, 5}, {n, 0}, {11_000, 99_999}}
	for _, window := range windows {
		next := window[0]
		q := eventstore.Query{After: window[0], Until: window[1]}
		for e, err := range s.Read(t.Context(), q) {
			if next++; err != nil || e.Position != next {
				t.Fatalf("%v: %v at %d, want %d", window, err, e.Position, next)
			}
		}
		if want := min(window[1], n); want > window[0] && next != want {
			t.Errorf("%v: ended at %d", window, next)
		}
	}
}

// I9: each matching event comes exactly once and in order, however slow the subscriber, and appends do not wait for
// it. (Defect: a slow subscriber's channel was closed at 256 events of a burst of 2,000.)
func TestSubscribersMissNothing(t *testing.T) {
	s, _ := open(t, tempDB(t), eventstore.Options{}, state.New())
	const n = 2000
	var wg sync.WaitGroup
	var stuck sync.WaitGroup
	release := make(chan struct{})
	subscribe := func(after, until eventstore.Position, pause func(eventstore.Position), group *sync.WaitGroup) {
		group.Go(func() {
			next := after
			q := eventstore.Query{After: after, Until: until}
			for e, err := range s.Subscribe(t.Context(), q) {
				if next++; err != nil || e.Position != next {
					t.Errorf("from %d: %v at %d, want %d", after, err, e.Position, next)
					return
				}
				pause(e.Position)
			}
			if next != until {
				t.Errorf("from %d: ended at %d of %d", after, next, until)
			}
		})
	}
	for i := range 8 {
		subscribe(eventstore.Position(i*100), n, func(eventstore.Position) {}, &wg)
	}
	subscribe(0, n, func(p eventstore.Position) {
		if p == 1 {
			<-release // stuck until everything is appended
		}
	}, &stuck)
	for i := 0; i < n; {
		batch := make([]eventstore.Event, min(1+i%7, n-i))
		for j := range batch {
			batch[j] = sensor(i + j)
		}
		mustAppend(t, s, batch...)
		i += len(batch)
	}
	wg.Wait()
	close(release)
	stuck.Wait()
}

// A read and a subscription are of the query as it was given: its caller may use the memory again.
func TestQueriesAreCopied(t *testing.T) {
	s, _ := open(t, tempDB(t), eventstore.Options{})
	mustAppend(t, s, check.ReportEvent("sensor.a"), check.ReportEvent("sensor.b"))
	q := eventstore.Query{
		Until: 2, Entities: []string{"sensor.a"}, Kinds: []eventstore.Kind{eventstore.KindStateReported},
		Sources: []string{"test"}, Correlations: []string{"@1"},
	}
	read, subscribed := s.Read(t.Context(), q), s.Subscribe(t.Context(), q)
	q.Entities[0], q.Kinds[0], q.Sources[0], q.Correlations[0] = "sensor.b", "acme.none", "nobody", "@2"
	for name, events := range map[string]iter.Seq2[eventstore.Event, error]{"read": read, "subscription": subscribed} {
		var got []string
		for e, err := range events {
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, e.Entity)
		}
		if !slices.Equal(got, []string{"sensor.a"}) {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// A subscription ends with the reason: its context, or the end of the store.
func TestSubscriptionsEnd(t *testing.T) {
	s, _ := open(t, tempDB(t), eventstore.Options{}, state.New())
	mustAppend(t, s, sensor(1))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var ended []error
	for _, err := range s.Subscribe(ctx, everything) {
		ended = append(ended, err)
		cancel()
	}
	if len(ended) != 2 || ended[0] != nil || !errors.Is(ended[1], context.Canceled) {
		t.Errorf("cancelled: %v", ended)
	}
	var wg sync.WaitGroup
	started := make(chan struct{})
	wg.Go(func() {
		var last error
		n := 0
		for _, err := range s.Subscribe(t.Context(), everything) {
			if n++; n == 1 {
				close(started)
			}
			last = err
		}
		if !errors.Is(last, eventstore.ErrClosed) {
			t.Errorf("at the end of the store: %v", last)
		}
	})
	<-started
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	wg.Wait()
	if _, err := s.Append(t.Context(), eventstore.Batch{Events: []eventstore.Event{sensor(1)}}); !errors.Is(err, eventstore.ErrClosed) {
		t.Errorf("append after the end: %v", err)
	}
}

// I12: a disk without space fails the append with a clear error; readers go on; when there is space again, so do
// appends, and nothing is lost.
func TestFullDisk(t *testing.T) {
	cache := state.New()
	full := &spy{name: "limit"}
	limit := int64(1 << 40)
	full.apply = func(ctx context.Context, tx storage.Tx, _ eventstore.Event) error {
		_, err := tx.ExecContext(ctx, fmt.Sprintf("PRAGMA max_page_count = %d", limit))
		return err
	}
	s, _ := open(t, tempDB(t), eventstore.Options{}, cache, full)
	mustAppend(t, s, sensor(1))
	limit = 1
	big := check.CustomEvent("sensor.a", "acme.big", make([]byte, 100_000))
	if _, err := s.Append(t.Context(), eventstore.Batch{Events: []eventstore.Event{big}}); !errors.Is(err, eventstore.ErrUnavailable) {
		t.Errorf("append to a full disk: %v", err)
	}
	if st, ok := cache.Get("sensor.a"); !ok || st.Position != 1 {
		t.Errorf("the state after it: %v", st)
	}
	if err := s.Stats().Fault; !errors.Is(err, eventstore.ErrUnavailable) {
		t.Errorf("the store says of itself: %v", err)
	}
	limit = 1 << 40
	if span := mustAppend(t, s, big); span.First != 2 {
		t.Errorf("append with space again: %v", span)
	}
	if err := errors.Join(s.Stats().Fault, s.Verify(t.Context())); err != nil {
		t.Error(err)
	}
}

// A COMMIT that fails is an unknown outcome: the callers learn so, and what is served agrees with the log afterwards.
// A constraint that is checked only at the commit makes it fail.
func TestFailedCommit(t *testing.T) {
	cache := state.New()
	orphan := false
	p := &spy{name: "constraint", apply: func(ctx context.Context, tx storage.Tx, e eventstore.Event) error {
		if e.Position == 1 {
			_, err := tx.ExecContext(ctx, `CREATE TABLE parent (id INTEGER PRIMARY KEY) STRICT;
				CREATE TABLE child (id INTEGER REFERENCES parent DEFERRABLE INITIALLY DEFERRED) STRICT`)
			return err
		}
		if orphan {
			_, err := tx.ExecContext(ctx, `INSERT INTO child VALUES (7)`)
			return err
		}
		return nil
	}}
	path := tempDB(t)
	s, _ := open(t, path, eventstore.Options{}, cache, p)
	mustAppend(t, s, sensor(1))
	orphan = true
	if _, err := s.Append(t.Context(), eventstore.Batch{Events: []eventstore.Event{sensor(2)}}); !errors.Is(err, eventstore.ErrUnknownOutcome) {
		t.Fatalf("a failed commit: %v", err)
	}
	if st, _ := cache.Get("sensor.a"); check.SensorValue(st.Attributes) != 1 || s.Head() != 1 {
		t.Errorf("after it: %v, head %d", st, s.Head())
	}
	if err := s.Stats().Fault; !errors.Is(err, eventstore.ErrUnknownOutcome) {
		t.Errorf("the store says of itself: %v", err)
	}
	// The file was opened anew and the WAL moved into the database, before anything else was answered.
	if info, err := os.Stat(path + "-wal"); err != nil || info.Size() != 0 {
		t.Errorf("the WAL after it: %v %v", info.Size(), err)
	}
	orphan = false
	if span := mustAppend(t, s, sensor(3)); span.First != 2 {
		t.Errorf("the next append: %v", span)
	}
	if err := errors.Join(s.Stats().Fault, s.Verify(t.Context())); err != nil {
		t.Error(err)
	}
}
