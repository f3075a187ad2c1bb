package dispatch_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/statehouse/statehouse"
	"github.com/statehouse/statehouse/eventstore"
	eventv1 "github.com/statehouse/statehouse/gen/statehouse/event/v1"
	"github.com/statehouse/statehouse/internal/command"
	"github.com/statehouse/statehouse/internal/dispatch"
	"github.com/statehouse/statehouse/internal/mqtt"
	"github.com/statehouse/statehouse/internal/mqtt/dialect"
)

// However many give commands to an entity at once: the device hears them in the order of the log, so that none that was superseded
// comes behind the one that did.
func TestCommandsAreSentInTheOrderOfTheLog(t *testing.T) {
	r := newRig(t)
	r.during = runtime.Gosched
	var calling sync.WaitGroup
	for n := range 8 {
		calling.Go(func() {
			for i := range 8 {
				words := []string{"on", fmt.Sprintf("brightness=%d", n*8+i+1)}
				if i%2 == 1 {
					words = []string{"off"}
				}
				if _, err := r.call(words...); err != nil {
					t.Errorf("%q: %v", words, err)
				}
			}
		})
	}
	calling.Wait()
	var want []string
	for e, err := range r.house.Read(t.Context(), eventstore.Query{Kinds: []eventstore.Kind{eventstore.KindCommandIssued}}) {
		if err != nil {
			t.Fatal(err)
		}
		c := e.Payload.GetCommandIssued()
		one := lamp + ": " + c.GetAction()
		for _, a := range c.GetArguments() {
			one += fmt.Sprintf(" %s=%d", a.GetName(), a.GetValue().GetIntValue())
		}
		want = append(want, one)
	}
	if diff := cmp.Diff(want, r.published); diff != "" || len(want) != 64 {
		t.Errorf("%d published (-in the log +published):\n%s", len(r.published), diff)
	}
}

// A broker that takes nothing holds up the entity's next command, and neither one whose caller leaves nor those of other entities.
func TestACommandThatIsNotTaken(t *testing.T) {
	r := newRig(t)
	r.blocked = make(chan struct{})
	free := sync.OnceFunc(func() { close(r.blocked) })
	defer free()
	issued := func() (n int) {
		for _, err := range r.house.Read(context.Background(), eventstore.Query{Kinds: []eventstore.Kind{eventstore.KindCommandIssued}}) {
			if err != nil {
				t.Error(err)
			}
			n++
		}
		return n
	}
	on := dispatch.Call{Request: command.Request{Entity: lamp, Action: "turn_on"}, Timeout: time.Hour}
	off := dispatch.Call{Request: command.Request{Entity: lamp, Action: "turn_off"}}
	var calling sync.WaitGroup
	calling.Go(func() {
		if result, err := r.dispatcher.Call(t.Context(), on); err != nil || result.Settled != 0 {
			t.Errorf("%+v, %v", result, err)
		}
	})
	for r.context() == nil {
		time.Sleep(time.Millisecond)
	}
	if by, ok := r.context().Deadline(); !ok || time.Until(by) > 10*time.Second {
		t.Errorf("a broker has until %s to take a command", by)
	}
	gone, leave := context.WithCancel(t.Context())
	leave()
	if _, err := r.dispatcher.Call(gone, off); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	r.mustCall("press")
	if n := issued(); n != 2 {
		t.Errorf("%d commands are recorded, though one caller left", n)
	}
	// Those that wait are bounded.
	for range 100 {
		calling.Go(func() {
			if _, err := r.dispatcher.Call(t.Context(), off); err != nil {
				t.Error(err)
			}
		})
	}
	for {
		_, err := r.dispatcher.Call(gone, off)
		if errors.Is(err, dispatch.ErrBusy) {
			break
		}
		if !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
		time.Sleep(time.Millisecond)
	}
	free()
	calling.Wait()
	if last := r.published[len(r.published)-1]; last != "light.lamp: turn_off" || issued() != 102 {
		t.Errorf("%d commands, the last one that was sent is %q", issued(), last)
	}
}

func (r *rig) context() context.Context {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.sent
}

// What is settled before all of it was sent is sent no further, unless it was answered.
func TestWhatIsMootIsNotSent(t *testing.T) {
	for name, c := range map[string]struct {
		happens func(r *rig)
		sent    int
		outcome eventv1.CommandOutcome
	}{
		"the entity leaves": {sent: 1, outcome: eventv1.CommandOutcome_COMMAND_OUTCOME_FAILED, happens: func(r *rig) {
			err := r.intake.Decide(t.Context(), mqtt.Message{}, func(p statehouse.Pending) (*dialect.Batch, error) {
				b := r.intake.NewBatch(p, r.clock())
				b.UnregisterEntity(lamp)
				return b, nil
			})
			if err != nil {
				t.Error(err)
			}
		}},
		"its time is over": {sent: 1, outcome: eventv1.CommandOutcome_COMMAND_OUTCOME_TIMED_OUT, happens: func(r *rig) {
			r.wait(2 * time.Hour)
			ctx, stop := context.WithCancel(t.Context())
			var running sync.WaitGroup
			running.Go(func() { r.dispatcher.Run(ctx) })
			for r.pending() > 0 {
				time.Sleep(time.Millisecond)
			}
			stop()
			running.Wait()
		}},
		"it is answered":    {sent: 3, outcome: eventv1.CommandOutcome_COMMAND_OUTCOME_CONFIRMED, happens: func(r *rig) { r.report(true, 255) }},
		"it is called else": {sent: 3, happens: func(r *rig) { r.append(renamed(lamp, "light.other")) }},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			r.parts = 3
			var once sync.Once
			r.during = func() { once.Do(func() { c.happens(r) }) }
			result := r.mustCall("on")
			if result.Outcome != c.outcome || (result.Settled != 0) != (c.outcome != 0) || len(r.published) != c.sent {
				t.Errorf("%+v, and published: %s", result, strings.Join(r.published, ", "))
			}
		})
	}
}

func renamed(id, to string) eventstore.Event {
	return eventstore.Event{Entity: id, Payload: &eventv1.Payload{Kind: &eventv1.Payload_EntityRenamed{EntityRenamed: &eventv1.EntityRenamed{NewId: to}}}}
}

// A clock that is set back does not give a command more time.
func TestAClockThatIsSetBack(t *testing.T) {
	r := newRig(t)
	result, err := r.dispatcher.Call(t.Context(), dispatch.Call{
		Request: command.Request{Entity: lamp, Action: "turn_on"}, Timeout: time.Millisecond,
	})
	if err != nil {
		t.Fatal(err)
	}
	r.wait(-24 * time.Hour)
	ctx, stop := context.WithTimeout(t.Context(), 30*time.Second)
	defer stop()
	var running sync.WaitGroup
	running.Go(func() { r.dispatcher.Run(ctx) })
	for e, err := range r.house.Subscribe(ctx, eventstore.Query{After: result.Command, Kinds: []eventstore.Kind{eventstore.KindCommandSettled}}) {
		if err != nil {
			t.Fatalf("the command waits still: %v", err)
		}
		s := e.Payload.GetCommandSettled()
		if s.GetOutcome() != eventv1.CommandOutcome_COMMAND_OUTCOME_TIMED_OUT || !e.Timestamp.Equal(result.Deadline) {
			t.Errorf("%v at %s, and the deadline was %s", s, e.Timestamp, result.Deadline)
		}
		break
	}
	stop()
	running.Wait()
}

// A command times out also where its entity is renamed at that very moment.
func TestARenameAtTheDeadline(t *testing.T) {
	r := newRig(t)
	result := r.mustCall("on")
	if err := r.house.Close(); err != nil {
		t.Fatal(err)
	}
	r.wait(time.Hour)
	r.open()
	ctx, stop := context.WithTimeout(t.Context(), 30*time.Second)
	defer stop()
	var running sync.WaitGroup
	holding, release := make(chan struct{}), make(chan struct{})
	running.Go(func() {
		begun := sync.OnceFunc(func() { close(holding) })
		_, err := r.house.Decide(ctx, func(statehouse.Pending) ([]eventstore.Event, error) {
			begun()
			<-release
			return nil, nil
		})
		if err != nil {
			t.Error(err)
		}
	})
	<-holding
	queued := func(more func()) { // returns when what more does waits for the writer
		before := r.house.Store().Stats().QueuedBatches
		running.Go(more)
		for r.house.Store().Stats().QueuedBatches == before && ctx.Err() == nil {
			time.Sleep(time.Millisecond)
		}
	}
	queued(func() { r.append(renamed(lamp, "light.other")) })
	queued(func() { r.dispatcher.Run(ctx) })
	close(release)
	for e, err := range r.house.Subscribe(ctx, eventstore.Query{After: result.Command, Kinds: []eventstore.Kind{eventstore.KindCommandSettled}}) {
		if err != nil || e.Entity != "light.other" {
			t.Errorf("the command waits still, or is settled elsewhere: %+v, %v", e, err)
		}
		break
	}
	stop()
	running.Wait()
}
