package eventstore_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/statehouse/statehouse/eventstore"
	"github.com/statehouse/statehouse/internal/check"
	"github.com/statehouse/statehouse/state"
	"github.com/statehouse/statehouse/storage"
)

// pause lets others work.
func pause() { time.Sleep(50 * time.Microsecond) }

// conflict returns what a conflict found; ok is false where err is something else.
func conflict(err error) (found eventstore.Position, ok bool) {
	var c *eventstore.ConflictError
	if !errors.As(err, &c) || !errors.Is(err, eventstore.ErrConflict) {
		return 0, false
	}
	return c.Found, true
}

// A batch is added if all of its conditions hold, and otherwise nothing of it, with an error that says what was found.
func TestConditions(t *testing.T) {
	cache := state.New()
	s, _ := open(t, tempDB(t), eventstore.Options{}, cache)
	mustAppend(t, s, check.SensorEvent("sensor.a", 1), check.SensorEvent("sensor.b", 1), check.ReportEvent("sensor.a"),
		check.SensorEvent("sensor.gone", 1), check.UnregisterEvent("sensor.gone"), check.CustomEvent("sensor.b", "acme.touched", nil),
		check.SensorEvent("sensor.old", 1), check.RenameEvent("sensor.old", "sensor.new"))
	at, log := eventstore.EntityAt, eventstore.LogAt
	const ok = 1 << 40
	for name, c := range map[string]struct {
		conditions []eventstore.Condition
		found      eventstore.Position
	}{
		"none":                      {nil, ok},
		"the last report":           {[]eventstore.Condition{at("sensor.a", 3)}, ok},
		"an older event":            {[]eventstore.Condition{at("sensor.a", 1)}, 3},
		"one that is to come":       {[]eventstore.Condition{at("sensor.a", 99)}, 3},
		"an event of its own kind":  {[]eventstore.Condition{at("sensor.b", 6)}, ok},
		"absent":                    {[]eventstore.Condition{at("sensor.nobody", 0)}, ok},
		"not absent":                {[]eventstore.Condition{at("sensor.a", 0)}, 3},
		"absent, and should not be": {[]eventstore.Condition{at("sensor.nobody", 1)}, 0},
		"unregistered":              {[]eventstore.Condition{at("sensor.gone", 0)}, ok},
		"unregistered at":           {[]eventstore.Condition{at("sensor.gone", 5)}, 0},
		"renamed":                   {[]eventstore.Condition{at("sensor.new", 8), at("sensor.old", 0)}, ok},
		"the log":                   {[]eventstore.Condition{log(8)}, ok},
		"the log before":            {[]eventstore.Condition{log(7)}, 8},
		"an empty log":              {[]eventstore.Condition{log(0)}, 8},
		"all of many":               {[]eventstore.Condition{at("sensor.a", 3), log(8), at("sensor.b", 6)}, ok},
		"one of many":               {[]eventstore.Condition{at("sensor.a", 3), at("sensor.b", 2), log(8)}, 6},
		"the first of many":         {[]eventstore.Condition{log(3), at("sensor.b", 2)}, 8},
	} {
		t.Run(name, func(t *testing.T) {
			span, err := s.Append(t.Context(), eventstore.Batch{If: c.conditions})
			found, conflicts := conflict(err)
			if span.Len() != 0 || (c.found == ok) != (err == nil) || err != nil && (!conflicts || found != c.found) {
				t.Errorf("%v %v, want %d", span, err, c.found)
			}
			if c.found == ok {
				return
			}
			_, err = s.Append(t.Context(), eventstore.Batch{If: c.conditions, Events: []eventstore.Event{sensor(7)}})
			if found, conflicts := conflict(err); !conflicts || found != c.found || s.Head() != 8 {
				t.Errorf("with events: %v, head %d", err, s.Head())
			}
			_, err = s.Append(t.Context(), eventstore.Batch{If: c.conditions, Decide: func(context.Context) ([]eventstore.Event, error) {
				t.Error("the decision was run")
				return nil, nil
			}})
			if found, conflicts := conflict(err); !conflicts || found != c.found {
				t.Errorf("with a decision: %v", err)
			}
		})
	}
	for _, id := range []string{"sensor.a", "sensor.b", "sensor.new"} {
		st, _ := cache.Get(id)
		if _, err := s.Append(t.Context(), eventstore.Batch{If: []eventstore.Condition{at(id, st.Position)}}); err != nil {
			t.Errorf("the position in the state: %v", err)
		}
	}
	if _, err := s.Append(t.Context(), eventstore.Batch{If: []eventstore.Condition{at("sensor.a", 2)}}); !strings.Contains(
		err.Error(), "sensor.a is at position 3, and the condition is that it is at position 2") {
		t.Errorf("what it says: %v", err)
	}
}

// Conditions are checked against what is before the batch, also in its own group; a batch that was refused changes
// nothing for those behind it.
func TestConditionsSeeTheirGroup(t *testing.T) {
	cache := state.New()
	s, _ := open(t, tempDB(t), eventstore.Options{}, cache)
	mustAppend(t, s, sensor(0))
	write := func(n int, conditions ...eventstore.Condition) eventstore.Batch {
		return eventstore.Batch{Events: []eventstore.Event{sensor(n)}, If: conditions}
	}
	a, log := func(p eventstore.Position) eventstore.Condition { return eventstore.EntityAt("sensor.a", p) }, eventstore.LogAt
	spans, errs := together(t, s,
		write(1, a(1)),         // 2
		write(2, a(1)),         // finds 2
		write(3, a(2), log(2)), // 3
		write(4, log(2)),       // finds 3
		eventstore.Batch{If: write(5, a(3)).If, // 4, 5
			Decide: func(context.Context) ([]eventstore.Event, error) {
				st, _ := cache.PendingGet("sensor.a")
				return []eventstore.Event{sensor(int(check.SensorValue(st.Attributes)) * 10), sensor(31)}, nil
			}},
		write(6, a(5)), // 6
		eventstore.Batch{If: []eventstore.Condition{a(5)}})
	want := []eventstore.Position{2, 0, 3, 0, 4, 6, 0}
	found := map[int]eventstore.Position{1: 2, 3: 3, 6: 6}
	for i := range spans {
		at, conflicts := conflict(errs[i])
		if spans[i].First != want[i] || found[i] != at || conflicts != (found[i] != 0) || !conflicts && errs[i] != nil {
			t.Errorf("batch %d: %v %v", i, spans[i], errs[i])
		}
	}
	if st := s.Stats(); st.Groups != 2 || s.Head() != 6 {
		t.Errorf("%d groups, head %d", st.Groups, s.Head())
	}
}

// What makes no sense is refused, whatever is in the log.
func TestBadConditions(t *testing.T) {
	s, _ := open(t, tempDB(t), eventstore.Options{}, state.New())
	plain, _ := open(t, tempDB(t), eventstore.Options{}, &spy{name: "one that knows no entities"})
	for name, c := range map[string]eventstore.Condition{
		"zero":         {},
		"no entity":    eventstore.EntityAt("", 1),
		"bad entity":   eventstore.EntityAt("Kitchen", 1),
		"out of range": eventstore.LogAt(eventstore.FromNow),
	} {
		_, err := s.Append(t.Context(), eventstore.Batch{If: []eventstore.Condition{eventstore.LogAt(0), c}})
		if !errors.Is(err, eventstore.ErrInvalid) || !strings.Contains(err.Error(), "condition 2") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := plain.Append(t.Context(), eventstore.Batch{
		Events: []eventstore.Event{sensor(1)}, If: []eventstore.Condition{eventstore.EntityAt("sensor.a", 0)},
	}); !errors.Is(err, eventstore.ErrInvalid) || plain.Head() != 0 {
		t.Errorf("without a projector that knows entities: %v", err)
	}
	if _, err := plain.Append(t.Context(), eventstore.Batch{If: []eventstore.Condition{eventstore.LogAt(0)}}); err != nil {
		t.Errorf("a condition of the log needs none: %v", err)
	}
}

// A caller whose context ends before the writer begins takes its batch along, conditions and key; one whose batch has
// begun learns its outcome, be it a conflict.
func TestCancelledConditions(t *testing.T) {
	gate, entered := make(chan struct{}), make(chan struct{})
	p := &spy{name: "slow", apply: func(_ context.Context, _ storage.Tx, e eventstore.Event) error {
		if e.Position == 1 {
			close(entered)
			<-gate
		}
		return nil
	}}
	s, _ := open(t, tempDB(t), eventstore.Options{}, state.New(), p)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	add := func(b eventstore.Batch) {
		_, err := s.Append(ctx, b)
		done <- err
	}
	b := eventstore.Batch{Events: []eventstore.Event{sensor(1)}, If: []eventstore.Condition{eventstore.LogAt(0)}, Key: eventstore.Key{ID: "k"}}
	go add(b)
	<-entered
	waiting := eventstore.Batch{Events: []eventstore.Event{sensor(2)}, If: []eventstore.Condition{eventstore.LogAt(1)}, Key: eventstore.Key{ID: "w"}}
	go add(waiting)
	for s.Stats().QueuedBatches != 2 {
		pause()
	}
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("the batch that waited: %v", err)
	}
	close(gate)
	if err := <-done; err != nil {
		t.Errorf("the batch that had begun: %v", err)
	}
	if span, err := s.Append(t.Context(), waiting); err != nil || span.First != 2 {
		t.Errorf("the key of a batch that was dropped: %v %v", span, err)
	}
	if _, err := s.Append(ctx, b); !errors.Is(err, context.Canceled) {
		t.Errorf("a context that has ended: %v", err)
	}
}
