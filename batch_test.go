package statehouse_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/statehouse/statehouse"
	"github.com/statehouse/statehouse/eventstore"
	"github.com/statehouse/statehouse/internal/check"
	"github.com/statehouse/statehouse/storage"
)

// A batch of a house may have conditions with the positions of its states and moments, a key, and a decision that sees
// what is pending.
func TestAppendBatch(t *testing.T) {
	h := openHouse(t, tempDB(t), statehouse.Options{})
	mustAppend(t, h, check.SensorEvent("sensor.a", 1), check.SensorEvent("sensor.b", 1), check.ReportEvent("sensor.a"))
	before := h.Now()
	a, _ := before.State.Get("sensor.a")
	b := statehouse.Batch{
		If: []eventstore.Condition{eventstore.EntityAt("sensor.a", a.Position), eventstore.LogAt(before.Position())},
		Decide: func(p statehouse.Pending) ([]eventstore.Event, error) {
			s, _ := p.State("sensor.a")
			return []eventstore.Event{check.SensorEvent("sensor.a", check.SensorValue(s.Attributes)+1)}, nil
		},
	}
	if span, err := h.AppendBatch(t.Context(), b); err != nil || span.First != 4 {
		t.Errorf("%v %v", span, err)
	}
	var conflict *eventstore.ConflictError
	if _, err := h.AppendBatch(t.Context(), b); !errors.As(err, &conflict) || conflict.Found != 4 || conflict.Condition != b.If[0] {
		t.Errorf("%v", err)
	}
	b.If, b.Key = nil, eventstore.Key{Scope: "test", ID: "1"}
	for range 2 {
		if span, err := h.AppendBatch(t.Context(), b); err != nil || span.First != 5 {
			t.Errorf("with a key: %v %v", span, err)
		}
	}
	if s, _ := h.Now().State.Get("sensor.a"); check.SensorValue(s.Attributes) != 3 || s.Position != 5 {
		t.Errorf("%+v", s)
	}
}

// A batch of a sequence must want something, be it a decision.
func TestBeginWithoutADecision(t *testing.T) {
	h := openHouse(t, tempDB(t), statehouse.Options{})
	var q eventstore.Sequence
	if _, err := h.Begin(t.Context(), &q, nil).Wait(); !errors.Is(err, eventstore.ErrInvalid) {
		t.Error(err)
	}
}

// tally is a projector of a program's own.
type tally struct {
	mu       sync.Mutex
	pending  int
	promoted int
}

func (p *tally) Name() string { return "tally" }

func (p *tally) Apply(context.Context, storage.Tx, eventstore.Event) error { p.pending++; return nil }

func (p *tally) Promote() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.promoted = p.pending
}

func (p *tally) Discard() { p.pending = p.promoted }

func (p *tally) Snapshot(context.Context, storage.Tx) error { return nil }

func (p *tally) Restore(context.Context, storage.Tx) (uint64, error) { return 0, nil }

func (p *tally) count() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.promoted
}

// A program's own projector has whatever the house shows, also of the log that was there before it.
func TestProjectorsOfAProgram(t *testing.T) {
	path := tempDB(t)
	h := openHouse(t, path, statehouse.Options{})
	mustAppend(t, h, check.SensorEvent("sensor.a", 1), check.SensorEvent("sensor.b", 1))
	if err := errors.Join(h.Snapshot(t.Context()), h.Close()); err != nil {
		t.Fatal(err)
	}
	p := &tally{}
	h = openHouse(t, path, statehouse.Options{Projectors: []eventstore.Projector{p}})
	if p.count() != 2 {
		t.Errorf("it counts %d", p.count())
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for i := range 100 {
			mustAppend(t, h, check.SensorEvent("sensor.a", float64(i)))
		}
	})
	for at := eventstore.Position(0); at < 102; {
		if at = h.Now().Position(); p.count() < int(at) {
			t.Fatalf("the house is at %d, and it counts %d", at, p.count())
		}
	}
	wg.Wait()
}

// named is a projector with another name.
type named struct {
	tally
	name string
}

func (p *named) Name() string { return p.name }

// Two projectors of one name would take each other's snapshots for their own, and are refused.
func TestProjectorsHaveNamesOfTheirOwn(t *testing.T) {
	path := tempDB(t)
	for _, names := range [][]string{{"state"}, {"registry"}, {"present"}, {"mine", "yours", "mine"}} {
		var all []eventstore.Projector
		for _, name := range names {
			all = append(all, &named{name: name})
		}
		h, err := statehouse.OpenContext(t.Context(), path, statehouse.Options{Projectors: all})
		if err == nil {
			err = h.Close()
		}
		if !errors.Is(err, eventstore.ErrInvalid) {
			t.Errorf("%q: %v", names, err)
		}
	}
	openHouse(t, path, statehouse.Options{Projectors: []eventstore.Projector{&named{name: "mine"}, &named{name: "yours"}}})
}

// What is rebuilt is shown as before, the states and the registry at one position.
func TestRebuildAHouse(t *testing.T) {
	h := openHouse(t, tempDB(t), statehouse.Options{})
	mustAppend(t, h, check.SensorEvent("sensor.a", 1), check.SensorEvent("sensor.b", 1))
	before := h.Now()
	for _, name := range []string{"state", "registry"} {
		if err := h.Store().Rebuild(t.Context(), name); err != nil {
			t.Error(err)
		}
	}
	if after := h.Now(); after.Position() != 2 || after.State.Entities == before.State.Entities {
		t.Errorf("the moment is at %d, and what was rebuilt is not in it", after.Position())
	}
	sameMoments(t, h, before.State)
	mustAppend(t, h, check.SensorEvent("sensor.a", 2))
}

// Consumers and followers of a house.
func TestConsumersOfAHouse(t *testing.T) {
	path := tempDB(t)
	h := openHouse(t, path, statehouse.Options{})
	mustAppend(t, h, check.SensorEvent("sensor.a", 1), check.SensorEvent("sensor.b", 1))
	c, err := h.Consumer(t.Context(), "c", eventstore.Query{})
	if err != nil {
		t.Fatal(err)
	}
	for e, err := range c.Events(t.Context()) {
		if err := errors.Join(err, c.Ack(e.Position)); err != nil {
			t.Fatal(err)
		}
		break
	}
	got := make(chan eventstore.Position, 9)
	if _, err := h.Follow(t.Context(), "f", eventstore.Query{}, func(_ context.Context, events []eventstore.Event) error {
		for _, e := range events {
			got <- e.Position
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if first, second := <-got, <-got; first != 1 || second != 2 {
		t.Errorf("it got %d and %d", first, second)
	}
	for h.Store().Stats().Followers[0].Behind > 0 {
		time.Sleep(50 * time.Microsecond)
	}
	h = reopen(t, h, path)
	all, err := h.Store().Cursors(t.Context())
	var at []eventstore.Position
	for _, c := range all {
		at = append(at, c.Stored)
	}
	if err != nil || !slices.Equal(at, []eventstore.Position{1, 2}) {
		t.Errorf("%+v %v", all, err)
	}
}
