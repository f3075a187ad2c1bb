package eventstore_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/statehouse/statehouse/eventstore"
	eventv1 "github.com/statehouse/statehouse/gen/statehouse/event/v1"
	"github.com/statehouse/statehouse/internal/check"
	"github.com/statehouse/statehouse/state"
	"github.com/statehouse/statehouse/storage"
)

// longLog opens a log of 300 events about 7 entities, sealed in segments of about 50, with a snapshot every 60 events.
// Event n is recorded at second n.
func longLog(t *testing.T, path string, ps ...eventstore.Projector) (*eventstore.Store, *storage.DB, *state.Cache) {
	t.Helper()
	cache, now := state.New(), second(0)
	s, db := open(t, path, eventstore.Options{SealAfter: -1, SnapshotEvery: math.MaxInt, Clock: func() time.Time { return now }},
		append([]eventstore.Projector{cache}, ps...)...)
	for n := 1; n <= 300; n++ {
		now = second(n)
		mustAppend(t, s, check.SensorEvent(fmt.Sprintf("sensor.s%d", n%7), float64(n)))
		if n%60 == 0 {
			if err := s.Snapshot(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if n%50 == 0 {
			if err := s.Seal(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	}
	return s, db, cache
}

func compact(t *testing.T, s *eventstore.Store, until eventstore.Position) eventstore.Compaction {
	t.Helper()
	c, err := s.Compact(t.Context(), until, eventstore.CompactOptions{Source: "test"})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// count is a number of the file.
func count(t *testing.T, db *storage.DB, query string) (n int) {
	t.Helper()
	if err := db.Reader().QueryRowContext(t.Context(), query).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// foldFrom is what the events behind a position make of a revision.
func foldFrom(t *testing.T, s *eventstore.Store, r state.Revision) state.Revision {
	t.Helper()
	c := state.NewAt(r)
	for e, err := range s.Read(t.Context(), eventstore.Query{After: r.Position}) {
		if err == nil {
			err = c.Apply(t.Context(), nil, e)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	c.Promote()
	return c.Revision()
}

// What is removed is gone from the file and from every answer; the rest, and what comes after, is what it was, also after
// a restart, and so is what a projector is built anew from.
func TestCompact(t *testing.T) {
	path := tempDB(t)
	s, db, cache := longLog(t, path)
	for _, c := range []struct{ until, base, kept eventstore.Position }{
		{49, 0, 1}, {50, 50, 51}, {60, 50, 51}, {119, 119, 101}, {240, 240, 201}, {180, 240, 201}, {300, 300, 301},
	} {
		before := s.Head()
		dry, err := s.Compact(t.Context(), c.until, eventstore.CompactOptions{DryRun: true})
		if err != nil || s.Head() != before || dry.Base != c.base {
			t.Fatalf("what would be removed up to %d: %+v (%v)", c.until, dry, err)
		}
		had, _ := s.Base()
		got := compact(t, s, c.until)
		if want := uint64(c.base - had); got.Base != c.base || got.Events != want || want > 0 && got.Attested != before+1 {
			t.Fatalf("removed up to %d: %+v, want a base of %d", c.until, got, c.base)
		}
		if c.base > 0 && !got.RecordedAt.Equal(second(int(c.base))) {
			t.Errorf("the base %d is said to be recorded at %s", c.base, got.RecordedAt)
		}
		if first := count(t, db, `SELECT min(first_position) FROM segments`); first != int(c.kept) {
			t.Errorf("with a base of %d the file begins with %d, want %d", c.base, first, c.kept)
		}
		if n := count(t, db, fmt.Sprintf(`SELECT count(*) FROM segment_filters WHERE last_position < %d`, c.kept)); n > 0 {
			t.Errorf("with a base of %d there are %d filters of what is gone", c.base, n)
		}
		if n := count(t, db, fmt.Sprintf(`SELECT count(*) FROM snapshots s WHERE position < %d
			AND NOT EXISTS (SELECT 1 FROM snapshots d WHERE d.base_position = s.position)`, c.base)); n > 0 {
			t.Errorf("with a base of %d there are %d snapshots of what is gone", c.base, n)
		}
		if n := count(t, db, fmt.Sprintf(`SELECT count(*) FROM snapshots WHERE position = %d AND base_position IS NULL`, c.base)); c.base > 0 && n != 1 {
			t.Errorf("with a base of %d there are %d full snapshots there", c.base, n)
		}
		if result, err := s.Inspect(t.Context(), eventstore.InspectOptions{Projectors: []eventstore.Projector{state.New()}}); err != nil ||
			result.Findings > 0 || result.Removed != c.base {
			t.Errorf("with a base of %d: %+v (%v)", c.base, result, err)
		}
		for _, id := range []string{"sensor.s3", "sensor.nobody"} {
			for _, backward := range []bool{false, true} {
				q := eventstore.Query{After: eventstore.FromOldest, Entities: []string{id}, Backward: backward, Until: 300}
				var found []eventstore.Position
				for e, err := range s.Read(t.Context(), q) {
					if err != nil {
						t.Fatal(err)
					}
					found = append(found, e.Position)
				}
				var want []eventstore.Position
				for p := c.base + 1; p <= 300 && id == "sensor.s3"; p++ {
					if p%7 == 3 {
						want = append(want, p)
					}
				}
				if backward {
					slices.Reverse(want)
				}
				if !slices.Equal(found, want) {
					t.Errorf("with a base of %d the history of %s is %v, want %v", c.base, id, found, want)
				}
			}
		}
	}
	want := cache.Revision()
	if err := s.Rebuild(t.Context(), cache.Name()); err != nil {
		t.Fatal(err)
	}
	same := func(got state.Revision) {
		t.Helper()
		if d := slices.Collect(state.Diff(want, got)); got.Position != want.Position || len(d) > 0 {
			t.Errorf("at %d instead of %d, with %d differences", got.Position, want.Position, len(d))
		}
	}
	same(cache.Revision())
	if err := errors.Join(s.Close(), db.Close()); err != nil {
		t.Fatal(err)
	}
	again := state.New()
	s, _ = open(t, path, eventstore.Options{}, again)
	same(again.Revision())
	if at, recorded := s.Base(); at != 300 || !recorded.Equal(second(300)) {
		t.Errorf("after a restart the base is %d, %s", at, recorded)
	}
	mustAppend(t, s, sensor(1))
	want = foldFrom(t, s, want)
	same(again.Revision())
}

// Everything that would have to look at what is gone says that it is gone, and what is left.
func TestCompactedIsAnError(t *testing.T) {
	s, _, _ := longLog(t, tempDB(t))
	late, err := s.Consumer(t.Context(), "late", everything)
	if err == nil {
		take(t, late, 10, 10)
		late.Close()
	}
	early, err2 := s.Consumer(t.Context(), "early", eventstore.Query{After: 250})
	if err := errors.Join(err, err2); err != nil {
		t.Fatal(err)
	}
	sub := s.Subscription(everything)
	for e, err := range sub.Events(t.Context()) {
		if err != nil || e.Position == 100 {
			break
		}
	}
	// Another one, which is waiting for events, has the log keep its end in memory.
	waiting, stop := context.WithCancel(t.Context())
	defer stop()
	last, heard := s.Subscription(eventstore.Query{After: 299}), make(chan error, 1)
	go func() {
		for _, err := range last.Events(waiting) {
			if err != nil {
				heard <- err
			}
		}
	}()
	for last.Behind() > 0 {
		pause()
	}
	mustAppend(t, s, sensor(301))
	if err := s.Snapshot(t.Context()); err != nil {
		t.Fatal(err)
	}
	mustAppend(t, s, sensor(302), sensor(303))
	remembered := s.Subscription(eventstore.Query{After: 300})
	if c := compact(t, s, 240); c.Base != 240 || !slices.Equal(c.LeftBehind, []string{"late"}) {
		t.Fatalf("%+v", c)
	}
	first := func(q eventstore.Query) error {
		for _, err := range s.Read(t.Context(), q) {
			return err
		}
		return nil
	}
	_, byTime := s.PositionAt(t.Context(), second(240).Add(-1))
	_, event := s.Event(t.Context(), 240)
	_, begin := s.Consumer(t.Context(), "new", everything)
	_, goOn := s.Consumer(t.Context(), "late", everything)
	var slow error
	for _, slow = range sub.Events(t.Context()) {
		break
	}
	for name, err := range map[string]error{
		"a read from the start": first(everything), "a read backward": first(eventstore.Query{Backward: true, After: 239}),
		"an entity's history": first(eventstore.Query{Entities: []string{"sensor.s1"}, After: 10}),
		"a read since a time": first(eventstore.Query{Since: second(200)}), "a read before a time": first(eventstore.Query{Before: second(200)}),
		"a position by its time": byTime, "an event": event, "a consumer that begins": begin, "a consumer that goes on": goOn,
		"a slow subscription": slow, "a replay": s.Replayer().Replay(t.Context(), 100, 300, state.New()),
	} {
		var c *eventstore.CompactedError
		if !errors.Is(err, eventstore.ErrCompacted) || !errors.As(err, &c) || c.Base != 240 || !c.RecordedAt.Equal(second(240)) ||
			!strings.Contains(err.Error(), "the oldest event the one at 241") {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, err := range map[string]error{
		"behind the base": first(eventstore.Query{After: 240}), "the oldest": first(eventstore.Query{After: eventstore.FromOldest}),
		"an empty read": first(eventstore.Query{After: 10, Until: 10}),
		"behind the base, since a time before it": first(eventstore.Query{After: 250, Since: second(200)}),
	} {
		if err != nil {
			t.Errorf("a read of %s: %v", name, err)
		}
	}
	if at, err := s.PositionAt(t.Context(), second(240)); at != 240 || err != nil {
		t.Errorf("the position at the base's time: %d, %v", at, err)
	}
	take(t, early, 10, 10)
	if err := s.DeleteCursor(t.Context(), "late"); err != nil {
		t.Fatal(err)
	}
	anew := consumer(t, s, "late", eventstore.Query{After: eventstore.FromOldest})
	if got := take(t, anew, 1, 1); got[0] != 241 {
		t.Errorf("a consumer that begins anew gets %d", got[0])
	}
	if c := compact(t, s, 301); c.Base != 301 {
		t.Fatalf("%+v", c)
	}
	for _, err := range remembered.Events(t.Context()) {
		if !errors.Is(err, eventstore.ErrCompacted) {
			t.Errorf("what is still in memory: %v", err)
		}
		break
	}
	stop()
	if err := <-heard; !errors.Is(err, context.Canceled) {
		t.Errorf("a subscription that has everything: %v", err)
	}
	if _, err := s.Compact(t.Context(), 400, eventstore.CompactOptions{}); !errors.Is(err, eventstore.ErrInvalid) {
		t.Errorf("beyond the head: %v", err)
	}
}

// Nobody but the store says that something was removed.
func TestOnlyTheStoreAttests(t *testing.T) {
	s, _ := open(t, tempDB(t), eventstore.Options{}, state.New())
	forged := eventstore.Event{Payload: &eventv1.Payload{Kind: &eventv1.Payload_HistoryRemoved{
		HistoryRemoved: &eventv1.HistoryRemoved{Through: 5},
	}}}
	for name, b := range map[string]eventstore.Batch{
		"events":     {Events: []eventstore.Event{forged}},
		"a decision": {Decide: func(context.Context) ([]eventstore.Event, error) { return []eventstore.Event{forged}, nil }},
	} {
		if _, err := s.Append(t.Context(), b); !errors.Is(err, eventstore.ErrInvalid) || s.Head() != 0 {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// What would take the place of the events must be what they make: else nothing is removed.
func TestCompactVerifies(t *testing.T) {
	for name, c := range map[string]struct{ statement, want string }{
		"a segment": {flip("segments", "body", "last_position = 150"), "segment with positions 101 to 150"},
		"a gap":     {`DELETE FROM segments WHERE last_position = 150`, "positions 101 to 150"},
	} {
		t.Run(name, func(t *testing.T) {
			damages(t)
			path := tempDB(t)
			s, db, _ := longLog(t, path)
			if err := errors.Join(s.Close(), db.Close()); err != nil {
				t.Fatal(err)
			}
			change(t, path, c.statement)
			s, _ = open(t, path, eventstore.Options{SealAfter: -1}, state.New())
			_, err := s.Compact(t.Context(), 240, eventstore.CompactOptions{})
			if !errors.Is(err, eventstore.ErrCorrupt) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v", err)
			}
			if at, _ := s.Base(); at != 0 || s.Head() != 300 {
				t.Errorf("the base is %d, and the log ends at %d", at, s.Head())
			}
		})
	}
}

// A replay that still has a removed segment in memory does not use it.
func TestReplayOfWhatIsGone(t *testing.T) {
	cache := state.New()
	s, _ := open(t, tempDB(t), eventstore.Options{SealAfter: -1, SnapshotEvery: math.MaxInt}, cache)
	batch := make([]eventstore.Event, 600)
	for i := range batch {
		batch[i] = sensor(i)
	}
	mustAppend(t, s, batch...)
	if err := s.Seal(t.Context()); err != nil {
		t.Fatal(err)
	}
	r := s.Replayer()
	if err := r.Replay(t.Context(), 0, 300, state.New()); err != nil {
		t.Fatal(err)
	}
	compact(t, s, 600)
	if err := r.Replay(t.Context(), 0, 300, state.New()); !errors.Is(err, eventstore.ErrCompacted) {
		t.Errorf("%v", err)
	}
}

// A removal whose commit fails and commits all the same has happened.
func TestCompactWithAFailedCommit(t *testing.T) {
	misbehave := false
	bad := &spy{name: "bad", at: uint64(eventstore.MaxPosition), apply: func(ctx context.Context, tx storage.Tx, _ eventstore.Event) error {
		if !misbehave {
			return nil
		}
		misbehave = false
		_, err := tx.ExecContext(ctx, `ROLLBACK`) // what follows commits by itself
		return err
	}}
	s, db, _ := longLog(t, tempDB(t), bad)
	misbehave = true
	c := compact(t, s, 240)
	if at, _ := s.Base(); c.Base != 240 || at != 240 || s.Head() != 301 {
		t.Errorf("%+v, the base is %d, and the log ends at %d", c, at, s.Head())
	}
	if n := count(t, db, `SELECT min(first_position) FROM segments`); n != 201 {
		t.Errorf("the file begins with %d", n)
	}
	if err := s.Verify(t.Context(), state.New()); err != nil {
		t.Error(err)
	}
}

// A projector that has nothing at a start cannot be given what is gone, and the start says so.
func TestStartOverWhatIsGone(t *testing.T) {
	path := tempDB(t)
	s, db, _ := longLog(t, path, &ledger{})
	compact(t, s, 200)
	if err := errors.Join(s.Close(), db.Close()); err != nil {
		t.Fatal(err)
	}
	start := func(ps ...eventstore.Projector) error {
		db, err := storage.Open(t.Context(), path, storage.Options{})
		if err != nil {
			t.Fatal(err)
		}
		s, err := eventstore.Open(t.Context(), db, eventstore.Options{})
		if err != nil {
			t.Fatal(err)
		}
		err = s.Start(t.Context(), ps...)
		return errors.Join(err, s.Close(), db.Close())
	}
	if err := start(state.New(), &counter{name: "new"}); !errors.Is(err, eventstore.ErrCompacted) ||
		!strings.Contains(err.Error(), "projector new is at position 0") {
		t.Errorf("a new projector: %v", err)
	}
	if err := start(state.New(), &ledger{}); err != nil {
		t.Errorf("one with tables that has everything: %v", err)
	}
}

// A log that a projector without snapshots is folded from stays whole.
func TestCompactNeedsSnapshots(t *testing.T) {
	s, _, _ := longLog(t, tempDB(t), &counter{name: "counter", wrong: new(atomic.Bool)})
	if c, err := s.Compact(t.Context(), 240, eventstore.CompactOptions{}); !errors.Is(err, eventstore.ErrInvalid) || c.Base != 0 || s.Head() != 300 {
		t.Errorf("%+v, %v", c, err)
	}
}

// A removal that was interrupted is in effect from its commit on, and the space is given back before anything is sealed.
func TestCompactIsFinishedLater(t *testing.T) {
	path := tempDB(t)
	s, db, _ := longLog(t, path)
	if err := errors.Join(s.Close(), db.Close()); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	cache := state.New()
	s, db = open(t, path, eventstore.Options{SealAfter: -1}, cache, tables{stop})
	c, err := s.Compact(ctx, 240, eventstore.CompactOptions{})
	if err != nil || c.Base != 240 {
		t.Fatalf("%+v (%v)", c, err)
	}
	left := func() int { return count(t, db, `SELECT count(*) FROM segments WHERE last_position <= 200`) }
	verify := func() {
		t.Helper()
		if err := s.Verify(t.Context(), state.New()); err != nil {
			t.Error(err)
		}
		if _, err := s.Event(t.Context(), 100); !errors.Is(err, eventstore.ErrCompacted) {
			t.Errorf("an event that is left: %v", err)
		}
	}
	if left() != 4 {
		t.Fatalf("%d segments are left, and none should have been removed yet", left())
	}
	verify()
	want := cache.Revision()
	if err := errors.Join(s.Close(), db.Close()); err != nil {
		t.Fatal(err)
	}
	cache = state.New()
	s, db = open(t, path, eventstore.Options{SealAfter: -1}, cache)
	if d := slices.Collect(state.Diff(want, cache.Revision())); len(d) > 0 || left() != 4 {
		t.Errorf("after a restart: %d differences, %d segments left", len(d), left())
	}
	verify()
	if err := s.Seal(t.Context()); err != nil || left() != 0 {
		t.Errorf("after sealing %d segments are left (%v)", left(), err)
	}
	verify()
}

// tables is a projector that needs nothing, and ends a context when it is told that events are removed.
type tables struct{ stop context.CancelFunc }

func (tables) Name() string { return "tables" }

func (p tables) Apply(_ context.Context, _ storage.Tx, e eventstore.Event) error {
	if e.Kind == eventstore.KindHistoryRemoved {
		p.stop()
	}
	return nil
}

func (tables) Snapshot(context.Context, storage.Tx) error { return nil }

func (tables) Restore(context.Context, storage.Tx) (uint64, error) {
	return uint64(eventstore.MaxPosition), nil
}

// A flipped byte in what says where the log begins is found at the next start.
func TestDamagedBase(t *testing.T) {
	path := tempDB(t)
	s, db, _ := longLog(t, path)
	compact(t, s, 300)
	if err := errors.Join(s.Close(), db.Close()); err != nil {
		t.Fatal(err)
	}
	var value []byte
	db, err := storage.Open(t.Context(), path, storage.Options{})
	if err == nil {
		err = db.Reader().QueryRowContext(t.Context(), `SELECT value FROM meta WHERE key = 'base'`).Scan(&value)
	}
	if err != nil {
		t.Fatal(err)
	}
	set := func(value []byte) {
		t.Helper()
		if _, err := db.Writer().ExecContext(t.Context(), `UPDATE meta SET value = ? WHERE key = 'base'`, value); err != nil {
			t.Fatal(err)
		}
	}
	for i := range value {
		damaged := slices.Clone(value)
		damaged[i] ^= 1 << (i % 8)
		set(damaged)
		if _, err := eventstore.Open(t.Context(), db, eventstore.Options{}); !errors.Is(err, eventstore.ErrCorrupt) {
			t.Fatalf("byte %d: %v", i, err)
		}
	}
	set(value[:len(value)-1])
	if _, err := eventstore.Open(t.Context(), db, eventstore.Options{}); !errors.Is(err, eventstore.ErrCorrupt) {
		t.Errorf("cut short: %v", err)
	}
	if _, err := db.Writer().ExecContext(t.Context(), `DELETE FROM meta WHERE key = 'base'`); err != nil {
		t.Fatal(err)
	}
	s, err = eventstore.Open(t.Context(), db, eventstore.Options{})
	if err == nil {
		err = s.Verify(t.Context(), state.New())
	}
	if !errors.Is(err, eventstore.ErrCorrupt) || !strings.Contains(err.Error(), "positions 1 to 300") {
		t.Errorf("without it: %v", err)
	}
	if err := errors.Join(s.Close(), db.Close()); err != nil {
		t.Error(err)
	}
}

// The anchor is not synced: after a power cut one may be there that is older than what is left of the log. It tells that nothing
// is missing, at the base and before it, and at the base it still tells one log from another.
func TestAnAnchorBeforeTheBase(t *testing.T) {
	path := tempDB(t)
	anchor := path + storage.AnchorSuffix
	upTo := func(last eventstore.Position) {
		s, db := open(t, path, eventstore.Options{SealAfter: -1}, state.New())
		for s.Head() < last {
			mustAppend(t, s, check.SensorEvent("sensor.s", float64(s.Head())))
		}
		if err := errors.Join(s.Snapshot(t.Context()), s.Seal(t.Context()), s.Close(), db.Close()); err != nil {
			t.Fatal(err)
		}
	}
	var anchors [][]byte
	for _, last := range []eventstore.Position{5, 40, 60} {
		upTo(last)
		content, err := os.ReadFile(anchor)
		if err != nil {
			t.Fatal(err)
		}
		anchors = append(anchors, content)
	}
	s, db := open(t, path, eventstore.Options{SealAfter: -1}, state.New())
	if c := compact(t, s, 40); c.Base != 40 {
		t.Fatalf("%+v", c)
	}
	if err := errors.Join(s.Close(), db.Close()); err != nil {
		t.Fatal(err)
	}
	for i, content := range anchors {
		if err := os.WriteFile(anchor, content, 0o600); err != nil {
			t.Fatal(err)
		}
		s, db := open(t, path, eventstore.Options{SealAfter: -1}, state.New())
		if r := s.Recovered(); r.Position != 61 || len(r.Notices) > 0 {
			t.Errorf("anchor %d: %+v", i, r)
		}
		if err := errors.Join(s.Verify(t.Context()), s.Close(), db.Close()); err != nil {
			t.Errorf("anchor %d: %v", i, err)
		}
	}
	content := anchors[1] // the one at the base
	content[30] ^= 1      // in the chain's value
	binary.LittleEndian.PutUint32(content[len(content)-4:], crc32.Checksum(content[:len(content)-4], crc32.MakeTable(crc32.Castagnoli)))
	if err := os.WriteFile(anchor, content, 0o600); err != nil {
		t.Fatal(err)
	}
	db, err := storage.Open(t.Context(), path, storage.Options{})
	if err != nil {
		t.Fatal(err)
	}
	s, err = eventstore.Open(t.Context(), db, eventstore.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Start(t.Context(), state.New()); !errors.Is(err, eventstore.ErrCorrupt) {
		t.Errorf("an anchor of another log: %v", err)
	}
	_ = errors.Join(s.Close(), db.Close())
}

// Readers, histories and a verification that are under way while events are removed fail with the right error or miss
// nothing.
func TestCompactBesideReaders(t *testing.T) {
	s, _, _ := longLog(t, tempDB(t))
	ctx, stop := context.WithCancel(t.Context())
	failed := make(chan error, 3)
	for range 2 {
		go func() {
			for ctx.Err() == nil {
				at, _ := s.Base()
				next := at + 1
				for e, err := range s.Read(ctx, eventstore.Query{After: at, Until: 300}) {
					if errors.Is(err, eventstore.ErrCompacted) || ctx.Err() != nil {
						next = 301
						break
					}
					if err != nil || e.Position != next {
						failed <- fmt.Errorf("behind %d comes %d (%w)", next-1, e.Position, err)
						return
					}
					next++
				}
				if next != 301 {
					failed <- fmt.Errorf("a read ended before %d", next)
					return
				}
			}
			failed <- nil
		}()
	}
	go func() {
		for ctx.Err() == nil {
			if err := s.Verify(ctx, state.New()); err != nil && ctx.Err() == nil {
				failed <- err
				return
			}
		}
		failed <- nil
	}()
	for until := eventstore.Position(60); until <= 300; until += 60 {
		compact(t, s, until)
		for range 40 {
			pause()
		}
	}
	stop()
	for range 3 {
		if err := <-failed; err != nil {
			t.Error(err)
		}
	}
}

// A removal ends with its context, or with the store, which does not wait until everything is verified.
func TestCompactEnds(t *testing.T) {
	s, _, _ := longLog(t, tempDB(t))
	begin := func(ctx context.Context) <-chan error {
		resting, ended := make(chan struct{}), make(chan error, 1)
		opts := eventstore.CompactOptions{Rest: 1 << 20, Progress: func(eventstore.Position, eventstore.Position) {
			for began := time.Now(); time.Since(began) < 10*time.Millisecond; { // this is the work after which it rests, for hours
			}
			close(resting)
		}}
		go func() {
			_, err := s.Compact(ctx, 240, opts)
			ended <- err
		}()
		<-resting
		return ended
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := begin(ctx)
	waiting, giveUp := context.WithCancel(t.Context())
	giveUp()
	if _, err := s.Compact(waiting, 240, eventstore.CompactOptions{}); !errors.Is(err, context.Canceled) {
		t.Errorf("a second one that does not wait: %v", err)
	}
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) || errors.Is(err, eventstore.ErrClosed) {
		t.Errorf("its context ended: %v", err)
	}
	ended = begin(t.Context())
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if err := <-ended; !errors.Is(err, eventstore.ErrClosed) || errors.Is(err, context.Canceled) {
		t.Errorf("the store closed: %v", err)
	}
	if at, _ := s.Base(); at != 0 {
		t.Errorf("the base is %d", at)
	}
}
