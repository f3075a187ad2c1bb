package eventstore_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"github.com/statehouse/statehouse/eventstore"
	"github.com/statehouse/statehouse/internal/check"
	"github.com/statehouse/statehouse/state"
	"github.com/statehouse/statehouse/storage"
)

// machine runs a store beside its model, the plain slice of the events that it acknowledged.
type machine struct {
	dir   string
	files *int
	// deltas counts the snapshots that were deltas.
	deltas *int
	path   string
	clock  time.Time

	db    *storage.DB
	store *eventstore.Store
	cache *state.Cache

	log []eventstore.Event
	// The events up to base have been removed.
	base eventstore.Position
	// A subscription to everything and one to one entity, and what they yielded.
	all, one           *eventstore.Subscription
	heardAll, heardOne []eventstore.Position
	// The appends that had a key, and what became of them.
	keyed []keyedAppend
	// A consumer of everything: what it acknowledged, and what of that is stored for sure.
	consumer      *eventstore.Consumer
	acked, stored eventstore.Position
}

type keyedAppend struct {
	batch eventstore.Batch
	span  eventstore.Span
}

// TestMachine runs random programs of appends, with and without conditions and keys, sealing, crashes, restarts, reads and
// subscriptions. The log is the model whatever happens to it (I1, I3), the cache is the model's fold (I6, I7), reads of
// every kind find in it what is in the model, before and after sealing (I10), subscriptions yield everything once, and
// consumers go on where they had acknowledged (I9).
func TestMachine(t *testing.T) {
	dir, files, deltas := t.TempDir(), 0, 0
	defer func() {
		if deltas == 0 && !testing.Short() && !t.Failed() {
			t.Error("no snapshot was a delta")
		}
	}()
	rapid.Check(t, func(t *rapid.T) {
		m := &machine{dir: dir, files: &files, deltas: &deltas, clock: time.Unix(1_700_000_000, 0).UTC()}
		m.move()
		m.open(t)
		defer func() { m.close(t) }()
		t.Repeat(map[string]func(*rapid.T){
			"append":    m.append,
			"append2":   m.append, // more of these than of the rest
			"decide":    m.decide,
			"refused":   m.refused,
			"condition": m.condition,
			"key":       m.key,
			"repeat":    m.repeat,
			"consume":   m.consume,
			"seal":      m.seal,
			"compact":   m.compact,
			"snapshot":  m.snapshot,
			"restart":   m.restart,
			"crash":     m.crash,
			"read":      m.read,
			"time":      m.time,
			"subscribe": m.subscribe,
			"":          m.check,
		})
		m.subscribe(t)
		if err := m.store.Verify(t.Context()); err != nil {
			t.Fatal(err)
		}
	})
}

// move makes path the name of another file.
func (m *machine) move() {
	*m.files++
	m.path = filepath.Join(m.dir, fmt.Sprintf("%d.db", *m.files))
}

func (m *machine) open(t *rapid.T) {
	var err error
	if m.db, err = storage.Open(context.Background(), m.path, storage.Options{}); err != nil {
		t.Fatal(err)
	}
	m.cache = state.New()
	m.store, err = eventstore.Open(context.Background(), m.db, eventstore.Options{
		Clock: func() time.Time { return m.clock }, SealAfter: 40, SnapshotEvery: 70,
	})
	if err == nil {
		err = m.store.Start(context.Background(), m.cache)
	}
	if err != nil {
		t.Fatal(err)
	}
	last := func(heard []eventstore.Position) eventstore.Position {
		if len(heard) == 0 {
			return m.base
		}
		return max(m.base, heard[len(heard)-1])
	}
	m.all = m.store.Subscription(eventstore.Query{After: last(m.heardAll)})
	m.one = m.store.Subscription(eventstore.Query{After: last(m.heardOne), Entities: []string{"sensor.s1"}})
	if m.consumer, err = m.store.Consumer(context.Background(), "c", everything); err != nil {
		t.Fatal(err)
	}
	if at := m.consumer.Acked(); at < m.stored || at > m.acked {
		t.Fatalf("the consumer goes on after %d; it had acknowledged %d, and %d was stored", at, m.acked, m.stored)
	}
	m.acked, m.stored = m.consumer.Acked(), m.consumer.Acked()
}

func (m *machine) close(t *rapid.T) {
	if err := errors.Join(m.store.Close(), m.db.Close()); err != nil {
		t.Fatal(err)
	}
}

func (m *machine) restart(t *rapid.T) {
	m.close(t)
	m.stored = m.acked
	m.open(t)
}

// crash goes on with a copy of the files as they are at some moment, which is what a process leaves that is killed.
func (m *machine) crash(t *rapid.T) {
	old := m.path
	m.move()
	// In the writer's turn nobody writes, so that the two files belong together.
	_, err := m.store.Append(context.Background(), eventstore.Batch{Decide: func(context.Context) ([]eventstore.Event, error) {
		for _, suffix := range []string{"", "-wal"} {
			content, err := os.ReadFile(old + suffix)
			if err == nil {
				err = os.WriteFile(m.path+suffix, content, 0o600)
			}
			if err != nil {
				return nil, err
			}
		}
		return nil, nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	m.close(t)
	m.open(t)
}

func (m *machine) batch(t *rapid.T) []eventstore.Event {
	m.clock = m.clock.Add(time.Duration(rapid.IntRange(-1, 3).Draw(t, "seconds")) * time.Second)
	return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) eventstore.Event {
		id := fmt.Sprintf("sensor.s%d", rapid.IntRange(0, 4).Draw(t, "entity"))
		var e eventstore.Event
		switch rapid.IntRange(0, 9).Draw(t, "kind") {
		case 0:
			e = check.ReportEvent(id)
		case 1:
			e = check.UnregisterEvent(id)
		case 2:
			e = check.CustomEvent("", "acme.tick", rapid.SliceOfN(rapid.Byte(), 0, 9).Draw(t, "value"))
		case 3:
			e = check.CustomEvent(id, "acme.touched", nil)
		default:
			// The two zeros are equal and encoded differently.
			e = check.SensorEvent(id, rapid.SampledFrom([]float64{0, math.Copysign(0, -1), 1, math.NaN()}).Draw(t, "number"))
		}
		e.Source = rapid.SampledFrom([]string{"", "zigbee2mqtt", "api:alice"}).Draw(t, "source")
		e.CorrelationID = rapid.SampledFrom([]string{"", "", "x"}).Draw(t, "correlation")
		if len(m.log) > 0 && rapid.Bool().Draw(t, "caused") {
			e.CausePosition = eventstore.Position(rapid.IntRange(0, len(m.log)).Draw(t, "cause"))
		}
		if rapid.Bool().Draw(t, "stamped") {
			e.Timestamp = m.clock.Add(-time.Duration(rapid.Int64Range(0, 1e10).Draw(t, "ago")))
		}
		return e
	}), 1, 8).Draw(t, "batch")
}

// acknowledged takes into the model what the store said it did.
func (m *machine) acknowledged(t *rapid.T, span eventstore.Span, err error, events []eventstore.Event) {
	if err != nil {
		t.Fatal(err)
	}
	if span.Len() != len(events) || len(events) > 0 && int(span.First) != len(m.log)+1 {
		t.Fatalf("%d events after %d got %v", len(events), len(m.log), span)
	}
	if len(events) > 0 {
		m.stored = m.acked
	}
	recorded := m.clock
	if n := len(m.log); n > 0 && m.log[n-1].RecordedAt.After(recorded) {
		recorded = m.log[n-1].RecordedAt
	}
	for i, e := range events {
		e.Position, e.RecordedAt, e.Kind = span.First+eventstore.Position(i), recorded, eventstore.KindOf(e.Payload)
		if e.Timestamp.IsZero() {
			e.Timestamp = recorded
		}
		if e.CorrelationID == "" {
			e.CorrelationID = fmt.Sprintf("@%d", span.First)
		}
		m.log = append(m.log, e)
	}
}

func (m *machine) append(t *rapid.T) {
	events := m.batch(t)
	span, err := m.store.Append(context.Background(), eventstore.Batch{Events: events})
	m.acknowledged(t, span, err, events)
}

func (m *machine) decide(t *rapid.T) {
	events := m.batch(t)
	span, err := m.store.Append(context.Background(), eventstore.Batch{Decide: func(context.Context) ([]eventstore.Event, error) {
		if int(m.cache.PendingPosition()) != len(m.log) {
			return nil, fmt.Errorf("a decision at %d sees position %d", len(m.log), m.cache.PendingPosition())
		}
		return events, nil
	}})
	m.acknowledged(t, span, err, events)
}

func (m *machine) refused(t *rapid.T) {
	events := append(m.batch(t), check.SensorEvent("No such id", 1))
	if _, err := m.store.Append(context.Background(), eventstore.Batch{Events: events}); !errors.Is(err, eventstore.ErrInvalid) {
		t.Fatalf("a batch that must fail: %v", err)
	}
}

// maybeDecided is a batch of events, or of a decision for them.
func maybeDecided(t *rapid.T, events []eventstore.Event) eventstore.Batch {
	if rapid.Bool().Draw(t, "decided") {
		return eventstore.Batch{Decide: func(context.Context) ([]eventstore.Event, error) { return events, nil }}
	}
	return eventstore.Batch{Events: events}
}

// condition appends under conditions that hold, or do not.
func (m *machine) condition(t *rapid.T) {
	events := m.batch(t)
	if rapid.IntRange(0, 4).Draw(t, "just ask") == 0 {
		events = nil
	}
	b := maybeDecided(t, events)
	fold := m.fold(t)
	var want *eventstore.ConflictError
	for range rapid.IntRange(1, 4).Draw(t, "conditions") {
		id := fmt.Sprintf("sensor.s%d", rapid.IntRange(0, 5).Draw(t, "entity"))
		make := func(at eventstore.Position) eventstore.Condition { return eventstore.EntityAt(id, at) }
		found := fold.States[id].Position
		if rapid.IntRange(0, 3).Draw(t, "of the log") == 0 {
			make, found = eventstore.LogAt, fold.Position
		}
		at := found
		if rapid.IntRange(0, 4).Draw(t, "stale") == 0 {
			at = eventstore.Position(rapid.IntRange(0, len(m.log)+1).Draw(t, "at"))
		}
		b.If = append(b.If, make(at))
		if want == nil && at != found {
			want = &eventstore.ConflictError{Condition: make(at), Found: found}
		}
	}
	span, err := m.store.Append(context.Background(), b)
	if want == nil {
		m.acknowledged(t, span, err, events)
		return
	}
	var got *eventstore.ConflictError
	if !errors.As(err, &got) || *got != *want || span.Len() != 0 {
		t.Fatalf("%v and %v, want %v", span, err, want)
	}
}

func (m *machine) key(t *rapid.T) {
	events := m.batch(t)
	if rapid.IntRange(0, 5).Draw(t, "nothing") == 0 {
		events = nil
	}
	k := keyedAppend{batch: maybeDecided(t, events)}
	k.batch.Key = eventstore.Key{Scope: rapid.SampledFrom([]string{"", "x"}).Draw(t, "scope"), ID: fmt.Sprint(len(m.keyed))}
	k.batch.If = []eventstore.Condition{eventstore.LogAt(eventstore.Position(len(m.log)))}
	var err error
	k.span, err = m.store.Append(context.Background(), k.batch)
	m.acknowledged(t, k.span, err, events)
	m.keyed = append(m.keyed, k)
}

// repeat repeats an append that had a key, or uses its key for something else.
func (m *machine) repeat(t *rapid.T) {
	if len(m.keyed) == 0 {
		return
	}
	k := rapid.SampledFrom(m.keyed).Draw(t, "append")
	if rapid.IntRange(0, 3).Draw(t, "other content") > 0 {
		if span, err := m.store.Append(context.Background(), k.batch); err != nil || span != k.span {
			t.Fatalf("the repeat of %v: %v %v", k.span, span, err)
		}
		return
	}
	k.batch.Events, k.batch.Decide = append(slices.Clone(k.batch.Events), check.SensorEvent("sensor.s1", 5)), nil
	if span, err := m.store.Append(context.Background(), k.batch); !errors.Is(err, eventstore.ErrKeyReused) || span.Len() != 0 {
		t.Fatalf("other content under the key of %v: %v %v", k.span, span, err)
	}
}

// consume takes some of what there is and acknowledges some of that.
func (m *machine) consume(t *rapid.T) {
	at := m.consumer.Position()
	left := min(rapid.IntRange(0, 10).Draw(t, "events"), len(m.log)-int(at))
	acked := rapid.IntRange(0, left).Draw(t, "acknowledged")
	if left == 0 {
		return
	}
	for e, err := range m.consumer.Events(context.Background()) {
		if at++; err != nil || e.Position != at {
			t.Fatalf("the consumer got %d (%v), want %d", e.Position, err, at)
		}
		if acked > 0 {
			if err := m.consumer.Ack(at); err != nil {
				t.Fatal(err)
			}
			m.acked = max(m.acked, at)
			acked--
		}
		if left--; left == 0 {
			break
		}
	}
	if m.consumer.Acked() != m.acked {
		t.Fatalf("the consumer says that it acknowledged %d, want %d", m.consumer.Acked(), m.acked)
	}
}

func (m *machine) seal(t *rapid.T) {
	if err := m.store.Seal(context.Background()); err != nil {
		t.Fatal(err)
	}
	if sealed := m.store.Stats().Sealed; int(sealed) != len(m.log) {
		t.Fatalf("sealed up to %d of %d", sealed, len(m.log))
	}
}

// compact removes some of the log, when everybody has heard of it.
func (m *machine) compact(t *rapid.T) {
	m.subscribe(t)
	m.hear(t, m.consumer.Events, m.consumer.Position, func(eventstore.Event) {})
	m.acked = eventstore.Position(len(m.log))
	if err := m.consumer.Ack(m.acked); err != nil {
		t.Fatal(err)
	}
	until := eventstore.Position(len(m.log))
	if rapid.Bool().Draw(t, "not everything") {
		until = eventstore.Position(rapid.IntRange(0, len(m.log)).Draw(t, "until"))
	}
	c, err := m.store.Compact(context.Background(), until, eventstore.CompactOptions{Source: "machine"})
	if err != nil {
		t.Fatal(err)
	}
	if c.Base < m.base || c.Base > max(until, m.base) || c.Events != uint64(c.Base-m.base) || len(c.LeftBehind) > 0 {
		t.Fatalf("compacting %d events up to %d, with a base of %d: %+v", len(m.log), until, m.base, c)
	}
	if until == eventstore.Position(len(m.log)) && until > m.base && c.Base != until || c.Base > m.base && c.Base != until {
		t.Fatalf("everything was to be removed up to %d: %+v", until, c)
	}
	if c.Events == 0 {
		return
	}
	m.base = c.Base
	e, err := m.store.Event(context.Background(), c.Attested)
	if err != nil {
		t.Fatal(err)
	}
	p := e.Payload.GetHistoryRemoved()
	if at := m.log[m.base-1].RecordedAt; p.GetThrough() != uint64(m.base) || !at.Equal(time.Unix(0, p.GetRecorded())) || !c.RecordedAt.Equal(at) {
		t.Fatalf("%+v is attested by %v; the last event was recorded at %s", c, p, at)
	}
	m.acknowledged(t, eventstore.Span{First: c.Attested, Last: c.Attested}, nil, []eventstore.Event{{Source: "machine", Payload: e.Payload}})
}

// isCompacted says that an error names the base.
func (m *machine) isCompacted(err error) bool {
	var c *eventstore.CompactedError
	return errors.Is(err, eventstore.ErrCompacted) && errors.As(err, &c) && c.Base == m.base
}

// removedAt says that what was there at a time may have been removed.
func (m *machine) removedAt(at time.Time) bool {
	return m.base > 0 && at.Before(m.log[m.base-1].RecordedAt)
}

// positionAt is the model's.
func (m *machine) positionAt(at time.Time) eventstore.Position {
	n := 0
	for n < len(m.log) && !m.log[n].RecordedAt.After(at) {
		n++
	}
	return eventstore.Position(n)
}

// snapshot takes one, which is the model's fold when it is restored.
func (m *machine) snapshot(t *rapid.T) {
	if err := m.store.Snapshot(context.Background()); err != nil {
		t.Fatal(err)
	}
	all, err := m.store.Snapshots(context.Background(), map[string]int{m.cache.Name(): state.FoldVersion})
	if err != nil || len(all) == 0 {
		t.Fatal(all, err)
	}
	if all[len(all)-1].Delta {
		*m.deltas++
	}
	restored := state.New()
	if err := m.store.View(context.Background(), func(tx storage.Tx) error {
		_, err := restored.Restore(context.Background(), tx)
		return err
	}); err != nil || len(restored.SnapshotFaults()) > 0 {
		t.Fatal(err, restored.SnapshotFaults())
	}
	if err := m.fold(t).CompareStates(restored.Revision()); err != nil {
		t.Fatalf("the snapshot: %v", err)
	}
}

func (m *machine) read(t *rapid.T) {
	q := eventstore.Query{
		After:    eventstore.Position(rapid.IntRange(0, len(m.log)).Draw(t, "after")),
		Until:    eventstore.Position(rapid.IntRange(0, len(m.log)+5).Draw(t, "until")),
		Backward: rapid.Bool().Draw(t, "backward"),
	}
	some := func(name string, values ...string) []string {
		return rapid.SampledFrom([][]string{nil, nil, values[:1], values}).Draw(t, name)
	}
	q.Entities = some("entities", "sensor.s1", "sensor.s3", "sensor.of_nobody")
	q.Sources = some("sources", "api:alice", "")
	q.Correlations = some("correlations", "x", "@1", "@9")
	if rapid.Bool().Draw(t, "kinds") {
		q.Kinds = []eventstore.Kind{"acme.touched", eventstore.KindStateReported}
	}
	if rapid.Bool().Draw(t, "times") {
		q.Since = m.clock.Add(-time.Duration(rapid.IntRange(-2, 30).Draw(t, "since")) * time.Second)
		q.Before = m.clock.Add(-time.Duration(rapid.IntRange(-2, 30).Draw(t, "before")) * time.Second)
	}
	var want []eventstore.Event
	for _, e := range m.log {
		in := func(list []string, v string) bool { return len(list) == 0 || slices.Contains(list, v) }
		if e.Position > q.After && (q.Until == 0 || e.Position <= q.Until) && in(q.Entities, e.Entity) && in(q.Sources, e.Source) &&
			in(q.Correlations, e.CorrelationID) && (len(q.Kinds) == 0 || slices.Contains(q.Kinds, e.Kind)) &&
			!e.RecordedAt.Before(q.Since) && (q.Before.IsZero() || e.RecordedAt.Before(q.Before)) {
			want = append(want, e)
		}
	}
	if q.Backward {
		slices.Reverse(want)
	}
	removed := m.removed(q)
	for e, err := range m.store.Read(context.Background(), q) {
		if removed {
			if !m.isCompacted(err) {
				t.Fatalf("%+v yields %v (%v), and reaches behind the base %d", q, e, err, m.base)
			}
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		if len(want) == 0 {
			t.Fatalf("%+v yields %v, and should have ended", q, e)
		}
		if w := want[0]; !proto.Equal(e.Payload, w.Payload) || withoutPayload(e) != withoutPayload(w) {
			t.Fatalf("%+v yields\n%v\nwant\n%v", q, e, w)
		}
		want = want[1:]
	}
	if len(want) > 0 || removed {
		t.Fatalf("%+v ends before %v (removed: %v)", q, want, removed)
	}
}

// removed says that a query asks for what has been removed.
func (m *machine) removed(q eventstore.Query) bool {
	after, until := q.After, eventstore.Position(len(m.log))
	if q.Until != 0 {
		until = min(until, q.Until)
	}
	if at := q.Since.Add(-1); !q.Since.IsZero() {
		if !m.removedAt(at) {
			after = max(after, m.positionAt(at))
		}
	}
	if at := q.Before.Add(-1); !q.Before.IsZero() {
		if m.removedAt(at) {
			return true
		}
		until = min(until, m.positionAt(at))
	}
	return after < until && after < m.base
}

func withoutPayload(e eventstore.Event) eventstore.Event {
	e.Payload = nil
	e.Timestamp = e.Timestamp.UTC()
	return e
}

func (m *machine) time(t *rapid.T) {
	at := m.clock.Add(-time.Duration(rapid.IntRange(-2, 40).Draw(t, "ago")) * time.Second)
	got, err := m.store.PositionAt(context.Background(), at)
	if m.removedAt(at) {
		if !m.isCompacted(err) {
			t.Fatalf("the position at %s is %d (%v), and the base is %d", at, got, err, m.base)
		}
		return
	}
	if want := m.positionAt(at); err != nil || got != want {
		t.Fatalf("the position at %s is %d (%v), want %d", at, got, err, want)
	}
}

// subscribe hears what there is to hear and then knows that nothing is behind.
func (m *machine) subscribe(t *rapid.T) {
	for _, sub := range []struct {
		s     *eventstore.Subscription
		heard *[]eventstore.Position
	}{{m.all, &m.heardAll}, {m.one, &m.heardOne}} {
		m.hear(t, sub.s.Events, sub.s.Position, func(e eventstore.Event) { *sub.heard = append(*sub.heard, e.Position) })
	}
	var want []eventstore.Position
	for _, e := range m.log {
		if e.Entity == "sensor.s1" {
			want = append(want, e.Position)
		}
	}
	if !slices.Equal(m.heardOne, want) {
		t.Fatalf("heard of sensor.s1 at %v, want %v", m.heardOne, want)
	}
	for i, at := range m.heardAll {
		if int(at) != i+1 {
			t.Fatalf("heard position %d as number %d", at, i+1)
		}
	}
	if len(m.heardAll) != len(m.log) {
		t.Fatalf("heard %d of %d", len(m.heardAll), len(m.log))
	}
}

// hear takes what there is of a subscription.
func (m *machine) hear(t *rapid.T, events func(context.Context) iter.Seq2[eventstore.Event, error],
	position func() eventstore.Position, take func(eventstore.Event)) {
	ctx, cancel := context.WithCancel(context.Background())
	var ends sync.WaitGroup
	ends.Go(func() {
		for ctx.Err() == nil && int(position()) < len(m.log) {
			time.Sleep(50 * time.Microsecond)
		}
		cancel()
	})
	defer ends.Wait()
	defer cancel()
	for e, err := range events(ctx) {
		if err != nil {
			if !errors.Is(err, context.Canceled) {
				t.Fatal(err)
			}
			return
		}
		take(e)
	}
}

// fold is the model's.
func (m *machine) fold(t *rapid.T) *check.Fold {
	fold := check.NewFold()
	for _, e := range m.log {
		if err := fold.Add(e); err != nil {
			t.Fatal(err)
		}
	}
	return fold
}

// check compares the present with the model's fold.
func (m *machine) check(t *rapid.T) {
	if err := m.fold(t).CompareStates(m.cache.Revision()); err != nil {
		t.Fatal(err)
	}
	if int(m.store.Head()) != len(m.log) {
		t.Fatalf("the log ends at %d, the model at %d", m.store.Head(), len(m.log))
	}
}
