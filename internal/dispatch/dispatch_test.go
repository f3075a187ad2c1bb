package dispatch_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"

	"github.com/statehouse/statehouse"
	"github.com/statehouse/statehouse/eventstore"
	entityv1 "github.com/statehouse/statehouse/gen/statehouse/entity/v1"
	eventv1 "github.com/statehouse/statehouse/gen/statehouse/event/v1"
	"github.com/statehouse/statehouse/internal/check"
	"github.com/statehouse/statehouse/internal/command"
	"github.com/statehouse/statehouse/internal/dispatch"
	"github.com/statehouse/statehouse/internal/mqtt"
	"github.com/statehouse/statehouse/internal/mqtt/dialect"
)

// rig is a house with a lamp, whose dialect and broker are the test's.
type rig struct {
	testing.TB
	path       string
	house      *statehouse.House
	dispatcher *dispatch.Dispatcher
	intake     dialect.Intake

	mu        sync.Mutex // guards what follows
	now       time.Time
	published []string
	fail      error
	silent    bool   // no state answers
	parts     int    // of how many messages a command consists, one where it is 0
	during    func() // is called while something is published
	sent      context.Context
	blocked   chan struct{} // where it is not nil, the broker takes nothing before it is closed
}

const lamp = "light.lamp"

func newRig(t testing.TB) *rig {
	t.Helper()
	r := &rig{TB: t, path: filepath.Join(t.TempDir(), "home.db"), now: time.Date(2026, 11, 24, 10, 0, 0, 0, time.UTC)}
	r.open()
	t.Cleanup(func() {
		if err := check.House(context.Background(), r.house); err != nil {
			t.Error(err)
		}
		if err := r.house.Close(); err != nil {
			t.Error(err)
		}
	})
	on := &entityv1.Feature{Name: "on", Property: "state", Readable: true, Writable: true}
	brightness := &entityv1.Feature{Name: "brightness", Property: "brightness", Readable: true, Writable: true}
	r.register(lamp, &entityv1.Capabilities{
		Readable: true, Writable: true, Features: []string{"on", "brightness"}, FeatureDetails: []*entityv1.Feature{on, brightness},
	})
	r.register("button.bell", &entityv1.Capabilities{Writable: true})
	return r
}

func (r *rig) register(id string, c *entityv1.Capabilities) {
	r.Helper()
	r.append(eventstore.Event{Entity: id, Source: "test", Payload: &eventv1.Payload{
		Kind: &eventv1.Payload_EntityRegistered{EntityRegistered: &eventv1.EntityRegistered{Entity: &entityv1.Entity{
			Id: id, UniqueId: "test/" + id, Source: "test", Capabilities: c,
		}}},
	}})
}

func (r *rig) open() {
	r.Helper()
	house, err := statehouse.OpenContext(context.Background(), r.path, statehouse.Options{Clock: r.clock})
	if err != nil {
		r.Fatal(err)
	}
	r.house = house
	r.intake.Init(house, "test", dialect.Options{})
	r.dispatcher = dispatch.New(house, dispatch.Options{
		Renderer: func(source string) dispatch.Renderer {
			if source != "test" {
				return nil
			}
			return r
		},
		Publisher: r, Now: r.clock,
	})
}

func (r *rig) clock() time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.now
}

func (r *rig) wait(d time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.now = r.now.Add(d)
}

func (r *rig) append(e eventstore.Event) {
	r.Helper()
	if _, err := r.house.Append(context.Background(), e); err != nil {
		r.Fatal(err)
	}
}

// Render implements [dispatch.Renderer].
func (r *rig) Render(t dialect.Target, c command.Checked) (dialect.Rendered, error) {
	payload := c.Action
	for _, a := range c.Arguments {
		payload += fmt.Sprintf(" %s=%v", a.GetName(), a.GetValue().GetIntValue())
	}
	one := mqtt.Publication{Topic: t.Entity.GetId(), Payload: []byte(payload)}
	return dialect.Rendered{Publications: slices.Repeat([]mqtt.Publication{one}, max(r.parts, 1)), Answers: !r.silent}, nil
}

// Publish implements [mqtt.Publisher].
func (r *rig) Publish(ctx context.Context, p mqtt.Publication) error {
	if r.during != nil {
		r.during()
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if p.Topic == lamp {
		r.sent = ctx
	}
	if blocked := r.blocked; blocked != nil && p.Topic == lamp {
		r.mu.Unlock()
		<-blocked
		r.mu.Lock()
	}
	if r.fail != nil {
		return r.fail
	}
	if p.Expiry <= 0 || p.Retain {
		r.Errorf("%s: a command that may come too late: %+v", p.Topic, p)
	}
	r.published = append(r.published, p.Topic+": "+string(p.Payload))
	return nil
}

func (r *rig) call(words ...string) (dispatch.Result, error) {
	r.Helper()
	id := lamp
	if words[0] == "press" {
		id = "button.bell"
	}
	request, err := command.ParseWords(id, words)
	if err != nil {
		r.Fatal(err)
	}
	return r.dispatcher.Call(context.Background(), dispatch.Call{Request: request, Source: "api:test"})
}

func (r *rig) mustCall(words ...string) dispatch.Result {
	r.Helper()
	result, err := r.call(words...)
	if err != nil {
		r.Fatal(err)
	}
	return result
}

// report is a message in which the lamp says how it is.
func (r *rig) report(on bool, brightness uint32) {
	r.Helper()
	err := r.intake.Decide(context.Background(), mqtt.Message{}, func(p statehouse.Pending) (*dialect.Batch, error) {
		b := r.intake.NewBatch(p, r.clock())
		st, old := b.StateOf(lamp)
		a := &entityv1.Attributes{Domain: &entityv1.Attributes_Light{Light: &entityv1.Light{On: &on, Brightness: &brightness}}}
		return b, b.Report(lamp, dialect.Report{Before: st, Old: old, New: a, At: r.clock(), Spoken: true})
	})
	if err != nil {
		r.Fatal(err)
	}
}

// events are what was recorded after a position: kind, entity, outcome or action, and cause.
func (r *rig) events(after eventstore.Position) []string {
	r.Helper()
	var all []string
	for e, err := range r.house.Read(context.Background(), eventstore.Query{After: after}) {
		if err != nil {
			r.Fatal(err)
		}
		what := e.Payload.GetCommandIssued().GetAction()
		if s := e.Payload.GetCommandSettled(); s != nil {
			what = fmt.Sprintf("%d %s", s.GetCommand(), strings.TrimPrefix(s.GetOutcome().String(), "COMMAND_OUTCOME_"))
		}
		all = append(all, strings.Join(strings.Fields(fmt.Sprintf("%d %s %s %s because of %d", e.Position, e.Kind, e.Entity, what, e.CausePosition)), " "))
	}
	return all
}

func (r *rig) expect(after eventstore.Position, want ...string) {
	r.Helper()
	if diff := cmp.Diff(want, r.events(after)); diff != "" {
		r.Errorf("events (-want +got):\n%s", diff)
	}
}

func (r *rig) pending() int {
	return len(r.house.Now().Registry.PendingCommands(lamp)) + len(r.house.Now().Registry.PendingCommands("button.bell"))
}

func TestAStateAnswersACommand(t *testing.T) {
	r := newRig(t)
	result := r.mustCall("on", "brightness=128")
	if result.Command != 3 || result.Settled != 0 || r.pending() != 1 {
		t.Errorf("%+v, %d wait", result, r.pending())
	}
	if diff := cmp.Diff([]string{"light.lamp: turn_on brightness=128"}, r.published); diff != "" {
		t.Error(diff)
	}
	r.report(true, 20) // on its way
	r.report(true, 127)
	if r.pending() != 0 {
		t.Errorf("%d wait", r.pending())
	}
	r.expect(2, "3 command_issued light.lamp turn_on because of 0", "4 state_changed light.lamp because of 0",
		"5 state_changed light.lamp because of 3", "6 command_settled light.lamp 3 CONFIRMED because of 5")

	// It is so already: the device's answer changes nothing, and is one all the same.
	r.mustCall("on", "brightness=128")
	r.report(true, 127)
	r.expect(6, "7 command_issued light.lamp turn_on because of 0", "8 state_reported light.lamp because of 7",
		"9 command_settled light.lamp 7 CONFIRMED because of 8")
}

func TestTheChainOfCausesIsOneCorrelation(t *testing.T) {
	r := newRig(t)
	request := command.Request{Entity: lamp, Action: "turn_on"}
	r.append(eventstore.Event{Source: "motion", Payload: &eventv1.Payload{Kind: &eventv1.Payload_Custom{Custom: &eventv1.Custom{Kind: "my.motion"}}}})
	if _, err := r.dispatcher.Call(t.Context(), dispatch.Call{Request: request, Source: "rule", Cause: 3, CorrelationID: "evening"}); err != nil {
		t.Fatal(err)
	}
	r.report(true, 255)
	r.expect(3, "4 command_issued light.lamp turn_on because of 3", "5 state_changed light.lamp because of 4", "6 command_settled light.lamp 4 CONFIRMED because of 5")
	for e, err := range r.house.Read(t.Context(), eventstore.Query{After: 3}) {
		if err != nil || e.CorrelationID != "evening" {
			t.Errorf("%v: %q", err, e.CorrelationID)
		}
	}
	moment, err := r.house.AsOf(t.Context(), 4)
	if err != nil {
		t.Fatal(err)
	}
	if waiting := moment.Registry.PendingCommands(lamp); len(waiting) != 1 || waiting[0].GetSource() != "rule" || waiting[0].GetAction() != "turn_on" {
		t.Errorf("at position 4 these waited: %v", waiting)
	}
}

// Zigbee2MQTT dates the answer to a command when it last heard of the device, which may be long before.
func TestNoEffectIsBeforeItsCause(t *testing.T) {
	r := newRig(t)
	result := r.mustCall("on")
	issued := r.clock()
	r.wait(-time.Minute)
	r.report(true, 255)
	for e, err := range r.house.Read(t.Context(), eventstore.Query{After: result.Command}) {
		if err != nil || !e.Timestamp.Equal(issued) {
			t.Errorf("%s is of %s, and the command of %s (%v)", e.Kind, e.Timestamp, issued, err)
		}
	}
}

func TestALaterCommandSupersedes(t *testing.T) {
	r := newRig(t)
	r.mustCall("on")
	r.mustCall("off")
	r.expect(2, "3 command_issued light.lamp turn_on because of 0", "4 command_issued light.lamp turn_off because of 0",
		"5 command_settled light.lamp 3 SUPERSEDED because of 4")
	r.report(true, 255) // the answer to the first one
	if r.pending() != 1 {
		t.Errorf("%d wait", r.pending())
	}
}

func TestWhatCannotBeSentHasFailed(t *testing.T) {
	r := newRig(t)
	r.fail = errors.New("the broker refused it")
	result := r.mustCall("on")
	if result.Outcome != eventv1.CommandOutcome_COMMAND_OUTCOME_FAILED || result.Reason != "the broker refused it" || result.Settled != 4 {
		t.Errorf("%+v", result)
	}
	r.expect(2, "3 command_issued light.lamp turn_on because of 0", "4 command_settled light.lamp 3 FAILED because of 3")

	// What may have been sent waits for its answer.
	r.fail = fmt.Errorf("%w: the connection ended", mqtt.ErrUnknownOutcome)
	if result := r.mustCall("on"); result.Settled != 0 || r.pending() != 1 {
		t.Errorf("%+v, %d wait", result, r.pending())
	}
}

func TestNothingIsRecordedOfWhatCannotBeAsked(t *testing.T) {
	r := newRig(t)
	ask := func(d *dispatch.Dispatcher, c dispatch.Call, want error) {
		t.Helper()
		if _, err := d.Call(t.Context(), c); !errors.Is(err, want) {
			t.Errorf("%v, want %v", err, want)
		}
	}
	on := dispatch.Call{Request: command.Request{Entity: lamp, Action: "turn_on"}}
	other := on
	other.Entity = "light.nowhere"
	ask(r.dispatcher, other, statehouse.ErrNotFound)
	other.Entity, other.Action = lamp, "fly"
	ask(r.dispatcher, other, command.ErrInvalid)
	other.Action, other.Timeout = "turn_on", 2*time.Hour
	ask(r.dispatcher, other, eventstore.ErrInvalid)
	ask(dispatch.New(r.house, dispatch.Options{}), on, mqtt.ErrNotConnected)
	ask(dispatch.New(r.house, dispatch.Options{Publisher: away{}}), on, mqtt.ErrNotConnected)
	ask(dispatch.New(r.house, dispatch.Options{Publisher: r}), on, command.ErrUnsupported)
	r.expect(2)

	r.append(eventstore.Event{Entity: lamp, Payload: &eventv1.Payload{Kind: &eventv1.Payload_StateChanged{StateChanged: &eventv1.StateChanged{
		Attributes: &entityv1.Attributes{Availability: entityv1.Availability_AVAILABILITY_OFFLINE},
	}}}})
	ask(r.dispatcher, on, dispatch.ErrUnavailable)
	e, _ := r.house.Now().Registry.Entity(lamp)
	e = proto.CloneOf(e)
	e.Disabled = true
	r.append(eventstore.Event{Entity: lamp, Payload: &eventv1.Payload{Kind: &eventv1.Payload_EntityRegistered{EntityRegistered: &eventv1.EntityRegistered{Entity: e}}}})
	ask(r.dispatcher, on, dispatch.ErrDisabled)
	r.expect(4)
}

// away is a broker that is not there.
type away struct{}

func (away) Connected() bool                                 { return false }
func (away) Publish(context.Context, mqtt.Publication) error { panic("nobody is connected") }

func TestWhoSaysNothingIsBelieved(t *testing.T) {
	r := newRig(t)
	result := r.mustCall("press")
	if result.Outcome != eventv1.CommandOutcome_COMMAND_OUTCOME_CONFIRMED {
		t.Errorf("%+v", result)
	}
	r.silent = true
	r.mustCall("on", "brightness=10")
	st, _ := r.house.Now().State.Get(lamp)
	if l := st.Attributes.GetLight(); !l.GetOn() || l.GetBrightness() != 10 || r.pending() != 0 {
		t.Errorf("%v, %d wait", st.Attributes, r.pending())
	}
	r.expect(2, "3 command_issued button.bell press because of 0", "4 state_changed button.bell because of 3",
		"5 command_settled button.bell 3 CONFIRMED because of 4", "6 command_issued light.lamp turn_on because of 0",
		"7 state_changed light.lamp because of 6", "8 command_settled light.lamp 6 CONFIRMED because of 7")
}

func TestDeadlinesPassAlsoWhileNobodyWatches(t *testing.T) {
	r := newRig(t)
	result := r.mustCall("on")
	if err := r.house.Close(); err != nil {
		t.Fatal(err)
	}
	r.wait(time.Hour)
	r.open()
	ctx, stop := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { r.dispatcher.Run(ctx) })
	for e, err := range r.house.Subscribe(ctx, eventstore.Query{After: result.Command, Kinds: []eventstore.Kind{eventstore.KindCommandSettled}}) {
		if err != nil {
			t.Fatal(err)
		}
		if !e.Timestamp.Equal(result.Deadline) {
			t.Errorf("settled at %s, and the deadline was %s", e.Timestamp, result.Deadline)
		}
		break
	}
	stop()
	running.Wait()
	r.expect(2, "3 command_issued light.lamp turn_on because of 0", "4 command_settled light.lamp 3 TIMED_OUT because of 3")
	if len(r.published) != 1 {
		t.Errorf("published: %q", r.published)
	}
}

func TestWhoLeavesHasNotDoneIt(t *testing.T) {
	r := newRig(t)
	r.mustCall("on")
	err := r.intake.Decide(t.Context(), mqtt.Message{}, func(p statehouse.Pending) (*dialect.Batch, error) {
		b := r.intake.NewBatch(p, r.clock())
		b.UnregisterEntity(lamp)
		return b, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	r.expect(2, "3 command_issued light.lamp turn_on because of 0", "4 command_settled light.lamp 3 FAILED because of 3", "5 entity_unregistered light.lamp because of 0")
}

func TestARenameDoesNotLoseTheOutcome(t *testing.T) {
	r := newRig(t)
	r.fail = errors.New("the broker refused it")
	r.during = func() {
		r.append(eventstore.Event{Entity: lamp, Payload: &eventv1.Payload{Kind: &eventv1.Payload_EntityRenamed{
			EntityRenamed: &eventv1.EntityRenamed{NewId: "light.other"},
		}}})
	}
	if result := r.mustCall("on"); result.Outcome != eventv1.CommandOutcome_COMMAND_OUTCOME_FAILED {
		t.Errorf("%+v", result)
	}
	r.expect(2, "3 command_issued light.lamp turn_on because of 0", "4 entity_renamed light.lamp because of 0", "5 command_settled light.other 3 FAILED because of 3")
}

func TestWhoWaitsIsTold(t *testing.T) {
	r := newRig(t)
	call := dispatch.Call{Request: command.Request{Entity: lamp, Action: "turn_on"}, Wait: true}
	var calling sync.WaitGroup
	calling.Go(func() {
		result, err := r.dispatcher.Call(t.Context(), call)
		if err != nil || result.Outcome != eventv1.CommandOutcome_COMMAND_OUTCOME_CONFIRMED || result.Settled != 5 {
			t.Errorf("%+v, %v", result, err)
		}
	})
	for _, err := range r.house.Subscribe(t.Context(), eventstore.Query{After: 2}) {
		if err != nil {
			t.Error(err)
		}
		break
	}
	r.report(true, 255)
	calling.Wait()
	ctx, stop := context.WithCancel(t.Context())
	stop()
	call.Action = "turn_off"
	if _, err := r.dispatcher.Call(ctx, call); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

func TestCommandsDoNotPileUp(t *testing.T) {
	r := newRig(t)
	issued := func(n int) eventstore.Event {
		return eventstore.Event{Entity: lamp, Payload: &eventv1.Payload{Kind: &eventv1.Payload_CommandIssued{CommandIssued: &eventv1.CommandIssued{
			Action: fmt.Sprintf("other%d", n), Deadline: r.clock().Add(time.Hour).UnixNano(),
		}}}}
	}
	for n := range 20 {
		r.append(issued(n))
	}
	if _, err := r.call("on"); !errors.Is(err, dispatch.ErrBusy) {
		t.Errorf("%v", err)
	}
}
