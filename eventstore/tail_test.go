package eventstore

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"github.com/statehouse/statehouse/storage"
)

// openTail opens a log whose writer fills the tail.
func openTail(t *testing.T, ps ...Projector) *Store {
	t.Helper()
	s := openInside(t, Options{})
	if err := s.Start(t.Context(), ps...); err != nil {
		t.Fatal(err)
	}
	s.tail.readers.Add(1)
	return s
}

// I9: a subscription yields the same from the tail as from the log: each event is what reading it from disk gives, in
// every field, and each query matches the same of them.
func TestTailIsTheLog(t *testing.T) {
	s := openTail(t)
	ctx := t.Context()
	rapid.Check(t, func(t *rapid.T) {
		before := s.Head()
		for range rapid.IntRange(1, 3).Draw(t, "batches") {
			events := rapid.SliceOfN(rapid.Custom(drawEvent), 1, 4).Draw(t, "events")
			for i := range events {
				events[i].CausePosition %= s.Head() + 1
				if rapid.Bool().Draw(t, "elsewhere") {
					events[i].Timestamp = time.Now().In(time.FixedZone("elsewhere", 3600))
				}
			}
			b := Batch{Events: events}
			if rapid.Bool().Draw(t, "decided") {
				b = Batch{Decide: func(context.Context) ([]Event, error) { return events, nil }}
			}
			if _, err := s.Append(ctx, b); err != nil {
				t.Fatal(err)
			}
		}
		var all []Event
		for e, err := range s.Read(ctx, Query{After: before}) {
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, e)
			tailed := s.tail.at(e.Position)
			if tailed == nil {
				t.Fatalf("position %d is not in the tail", e.Position)
			}
			same := *tailed
			if !proto.Equal(same.Payload, e.Payload) {
				t.Fatalf("the payload is %v, on disk %v", same.Payload, e.Payload)
			}
			if same.Payload = e.Payload; same != e {
				t.Fatalf("%+v, on disk %+v", same, e)
			}
		}
		if want := int(s.Head() - before); len(all) != want {
			t.Fatalf("%d events on disk, want %d", len(all), want)
		}
		q := drawQuery(t, all)
		q.After = before
		var fromDisk, fromTail []Position
		for e, err := range s.Read(ctx, q) {
			if err != nil {
				t.Fatal(err)
			}
			fromDisk = append(fromDisk, e.Position)
		}
		for at := before + 1; at <= s.Head(); at++ {
			if q.wants(s.tail.at(at)) {
				fromTail = append(fromTail, at)
			}
		}
		if !slices.Equal(fromTail, fromDisk) {
			t.Fatalf("%+v finds %v in the tail and %v on disk", q, fromTail, fromDisk)
		}
	})
}

// drawQuery draws a query that may match some of the events, and values that nearly do.
func drawQuery(t *rapid.T, events []Event) (q Query) {
	some := func(name string, of func(Event) string, others ...string) (values []string) {
		if rapid.Bool().Draw(t, "any "+name) {
			return nil
		}
		for _, e := range events {
			others = append(others, of(e))
		}
		return rapid.SliceOfN(rapid.SampledFrom(others), 1, 2).Draw(t, name)
	}
	q.Entities = some("entities", func(e Event) string { return e.Entity }, "", "sensor.of_nobody")
	q.Sources = some("sources", func(e Event) string { return e.Source }, "")
	first := fmt.Sprintf("%d", events[0].Position)
	q.Correlations = some("correlations", func(e Event) string { return e.CorrelationID }, "", "@", "@0"+first, "@+"+first, first)
	for _, k := range some("kinds", func(e Event) string { return string(e.Kind) }, "", "custom", string(KindSystem)) {
		q.Kinds = append(q.Kinds, Kind(k))
	}
	return q
}

// What was just committed is read from memory, even where the disk has lost it.
func TestSubscriptionsReadTheTail(t *testing.T) {
	s := openInside(t, Options{})
	ctx := t.Context()
	if err := s.Start(ctx); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Append(ctx, Batch{Events: []Event{systemEvent(1)}}); err != nil {
		t.Fatal(err)
	}
	const last = 10
	for e, err := range s.Subscribe(ctx, Query{Until: last}) {
		if err != nil {
			t.Fatal(err)
		}
		if e.Position > 1 {
			continue
		}
		for range last - 1 {
			if _, err := s.Append(ctx, Batch{Events: []Event{systemEvent(1)}}); err != nil {
				t.Fatal(err)
			}
		}
		if err := s.inTurn(ctx, func(w *writer, ctx context.Context) error {
			_, err := w.conn.ExecContext(ctx, `UPDATE segments SET body = x'0000000000' WHERE last_position > 1`)
			return err
		}); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Event(ctx, 2); !errors.Is(err, ErrCorrupt) {
			t.Fatalf("on disk: %v", err)
		}
	}
}

// A subscription that comes too late for the tail reads the log, and goes on in the tail: nothing is missed at the seams.
func TestSubscriptionsFallBehindTheTail(t *testing.T) {
	s := openInside(t, Options{})
	ctx := t.Context()
	if err := s.Start(ctx); err != nil {
		t.Fatal(err)
	}
	appendBatch := func(n int) {
		if _, err := s.Append(ctx, Batch{Events: repeat(systemEvent(1), n)}); err != nil {
			t.Fatal(err)
		}
	}
	appendBatch(1)
	last := Position(3*tailEvents + 100)
	want := Position(0)
	for e, err := range s.Subscribe(ctx, Query{Until: last}) {
		if want++; err != nil || e.Position != want {
			t.Fatalf("position %d, %v; want %d", e.Position, err, want)
		}
		switch {
		case want == 1 || want == 200:
			for range 9 {
				appendBatch(tailEvents / 8)
			}
		case want == s.Head() && want < last:
			appendBatch(min(50, int(last-want)))
		}
	}
	if want != last {
		t.Errorf("it ended at %d", want)
	}
}

// The tail is bounded in events and in bytes, has nothing of a group that would not fit, and is gone with the first
// commit after the last subscription.
func TestTailIsBounded(t *testing.T) {
	s := openTail(t)
	appendEvents := func(events ...Event) {
		if _, err := s.Append(t.Context(), Batch{Events: events}); err != nil {
			t.Fatal(err)
		}
	}
	has := func(what string, from, to Position) {
		t.Helper()
		count := 0
		for at := Position(1); at <= s.Head(); at++ {
			e := s.tail.at(at)
			if (e != nil) != (from <= at && at <= to) || e != nil && e.Position != at {
				t.Fatalf("%s: position %d is there: %t; want %d to %d", what, at, e != nil, from, to)
			}
		}
		for i := range s.tail.places {
			if s.tail.places[i].Load() != nil {
				count++
			}
		}
		if want := int(to+1) - int(from); count != want || int(s.tail.next-s.tail.first) != want {
			t.Fatalf("%s: %d events, %d by its bounds, want %d", what, count, s.tail.next-s.tail.first, want)
		}
	}
	appendEvents(repeat(systemEvent(1), 1000)...)
	has("a group", 1, 1000)
	appendEvents(repeat(systemEvent(1), tailEvents)...)
	has("as many as fit", 1001, 1000+tailEvents)
	appendEvents(systemEvent(1))
	has("one more", 1002, 1001+tailEvents)
	for range 3 {
		appendEvents(systemEvent(3 << 20))
	}
	head := s.Head()
	has("large events", head-1, head)
	if s.tail.bytes < 6<<20 || s.tail.bytes > tailBytes {
		t.Errorf("it has %d bytes", s.tail.bytes)
	}
	appendEvents(repeat(systemEvent(3<<20), 3)...)
	has("a group of too many bytes", 1, 0)
	appendEvents(systemEvent(1))
	has("an event after it", s.Head(), s.Head())
	appendEvents(repeat(systemEvent(1), tailEvents+1)...)
	has("a group of too many events", 1, 0)
	appendEvents(systemEvent(1))
	s.tail.readers.Add(-1)
	has("the last subscription has gone", s.Head(), s.Head())
	appendEvents(systemEvent(1))
	has("a commit after that", 1, 0)
	if s.tail.bytes != 0 {
		t.Errorf("it has %d bytes", s.tail.bytes)
	}
}

// Where events are missing before a group, as after a recovery that found some in the log, the tail begins anew with it.
func TestTailBehindAGap(t *testing.T) {
	var tail tail
	group := func(first, last Position) (events []*tailed) {
		for at := first; at <= last; at++ {
			events = append(events, &tailed{Event{Position: at}, 1})
		}
		return events
	}
	tail.add(group(1, 3))
	tail.add(group(5, 6))
	for at := Position(1); at <= 7; at++ {
		if got := tail.at(at) != nil; got != (at == 5 || at == 6) {
			t.Errorf("position %d is there: %t", at, got)
		}
	}
	if tail.first != 5 || tail.next != 7 || tail.bytes != 2 {
		t.Errorf("%d to %d, %d bytes", tail.first, tail.next, tail.bytes)
	}
}

// refusing is a projector that refuses events that say so.
type refusing struct{ stumbler }

func (p *refusing) Apply(_ context.Context, _ storage.Tx, e Event) error {
	if e.Source == "refuse" {
		return errors.New("not that one")
	}
	return nil
}

// What was rolled back is not in the tail: not what a projector refused, and not what was before it in its group.
func TestTailHasOnlyWhatIsCommitted(t *testing.T) {
	s := openTail(t, &refusing{})
	event := func(source string) Event {
		e := systemEvent(1)
		e.Source = source
		return e
	}
	if _, err := s.Append(t.Context(), Batch{Events: []Event{event("a"), event("refuse")}}); err == nil {
		t.Fatal("it was appended")
	}
	if e := s.tail.at(1); e != nil {
		t.Errorf("the tail has %v of a group that failed", e)
	}
	if _, err := s.Append(t.Context(), Batch{Events: []Event{event("b")}}); err != nil {
		t.Fatal(err)
	}
	if e := s.tail.at(1); e == nil || e.Source != "b" {
		t.Errorf("the tail has %v", e)
	}
}
