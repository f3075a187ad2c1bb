// Package dispatch has devices do what somebody wants of them, and records what came of it.
//
// # The way of a command
//
//  1. It is checked against what the entity can do, and recorded: command_issued. From then on it is among the pending
//     ones that every reader sees, and earlier commands that it makes moot are settled as superseded, in the same batch.
//  2. It is published, in the device's own form. Where that fails it is settled as failed; where it is not known whether the
//     broker has it, it waits.
//  3. The state that answers it settles it as confirmed, in the batch of the message that brought that state: see package
//     dialect. The state names the command as its cause. Where no state ever answers, the broker's acknowledgement does.
//  4. Where nothing answers before its deadline it is settled as timed out, with the deadline as the time of the event.
//
// # What it promises
//
// While no broker is there a command fails at once and nothing is recorded. Nothing is published later than right after it
// was recorded: a process that ends in between publishes nothing after its restart, and the command times out. Deadlines
// that passed while nobody watched are settled by [Dispatcher.Run] when it starts. A broker keeps a command for a device that is away no
// longer than its deadline.
//
// # Concurrency
//
// Calls may come from any goroutine. Two commands to one entity are published in the order in which they were recorded only if
// the second one is called after the first one returned.
package dispatch

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/statehouse/statehouse"
	"github.com/statehouse/statehouse/eventstore"
	entityv1 "github.com/statehouse/statehouse/gen/statehouse/entity/v1"
	eventv1 "github.com/statehouse/statehouse/gen/statehouse/event/v1"
	"github.com/statehouse/statehouse/internal/command"
	"github.com/statehouse/statehouse/internal/mqtt"
	"github.com/statehouse/statehouse/internal/mqtt/dialect"
)

// Errors that calls fail with, besides those of package command, [statehouse.ErrNotFound] and [mqtt.ErrNotConnected].
var (
	// ErrUnavailable says that the device cannot be reached now.
	ErrUnavailable = errors.New("the device is offline")
	// ErrDisabled says that the entity is disabled.
	ErrDisabled = errors.New("the entity is disabled")
	// ErrBusy says that too many commands to the entity wait for their answers.
	ErrBusy = errors.New("too many commands wait for their answers")
)

// Renderer makes of a command what is published for it. The dialects are.
type Renderer interface {
	Render(t dialect.Target, c command.Checked) (dialect.Rendered, error)
}

// Options are what a dispatcher needs besides the house. The zero value has no dialects and reaches no broker.
type Options struct {
	// Renderer is the dialect that registered an entity, by its source; nil where there is none.
	Renderer func(source string) Renderer
	// Publisher publishes; nil means that no broker is there.
	Publisher mqtt.Publisher
	// Logger takes what goes wrong; nil means none.
	Logger *slog.Logger
	// Now is the clock; nil means mqtt.Now.
	Now func() time.Time
}

// Dispatcher has devices do what somebody wants.
type Dispatcher struct {
	house *statehouse.House
	opts  Options
	poke  chan struct{} // has the deadlines looked at again
}

// New makes a dispatcher of commands to the entities of a house.
func New(house *statehouse.House, opts Options) *Dispatcher {
	if opts.Renderer == nil {
		opts.Renderer = func(string) Renderer { return nil }
	}
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	if opts.Now == nil {
		opts.Now = mqtt.Now
	}
	return &Dispatcher{house: house, opts: opts, poke: make(chan struct{}, 1)}
}

// Call is a command that somebody gives.
type Call struct {
	command.Request
	// Source says who gives it, as the source of the event: "token:wall_panel".
	Source string
	// Cause is the position of the event because of which it is given, 0 where there is none.
	Cause eventstore.Position
	// CorrelationID ties it together with others; empty makes one of its own. It must not begin with "@".
	CorrelationID string
	// Timeout is how long it waits for its answer at most; 0 means what the entity usually takes. At most an hour.
	Timeout time.Duration
	// Wait has the call return when the command is settled, and not when it is sent.
	Wait bool
}

// MaxTimeout is the longest that a command may wait for its answer.
const MaxTimeout = time.Hour

// maxPending is how many commands to one entity may wait at a time.
const maxPending = 16

// Result is what became of a command so far.
type Result struct {
	// Command is the position of the command_issued.
	Command eventstore.Position
	// Deadline is when it will have timed out.
	Deadline time.Time
	// Settled is the position of the command_settled, 0 while the command waits for its answer.
	Settled eventstore.Position
	Outcome eventv1.CommandOutcome
	// Reason says why it failed; empty otherwise.
	Reason string
}

// issued is a command that was recorded.
type issued struct {
	Result
	id       string // of the entity, when the command was given
	unique   string // its unique id, by which it is found if it was renamed since
	rendered dialect.Rendered
	checked  command.Checked
	corr     string
}

// Call gives a command, and returns when it was published, or with Wait when it is settled. A command that was recorded and
// then could not be published is no error: its outcome says so. The end of ctx ends the waiting, not the command.
func (d *Dispatcher) Call(ctx context.Context, c Call) (Result, error) {
	if d.opts.Publisher == nil {
		return Result{}, mqtt.ErrNotConnected
	}
	if c.Timeout < 0 || c.Timeout > MaxTimeout {
		return Result{}, fmt.Errorf("%w: a command may wait for %s at most, not for %s", eventstore.ErrInvalid, MaxTimeout, c.Timeout)
	}
	if c.CorrelationID == "" {
		c.CorrelationID = "command-" + rand.Text()
	}
	if p, ok := d.opts.Publisher.(interface{ Connected() bool }); ok && !p.Connected() {
		return Result{}, mqtt.ErrNotConnected
	}
	cmd, err := d.issue(ctx, c)
	if err != nil {
		return Result{}, err
	}
	d.wake()
	// What is recorded is carried out, whoever waits for it.
	if err := d.publish(context.WithoutCancel(ctx), &cmd); err != nil {
		return cmd.Result, err
	}
	if !c.Wait || cmd.Settled != 0 {
		return cmd.Result, nil
	}
	return d.await(ctx, cmd)
}

// issue records a command, and which earlier ones it makes moot.
func (d *Dispatcher) issue(ctx context.Context, c Call) (cmd issued, err error) {
	_, err = d.house.Decide(ctx, func(p statehouse.Pending) ([]eventstore.Event, error) {
		cmd = issued{id: c.Entity, corr: c.CorrelationID}
		t, renderer, err := d.target(p, c.Entity)
		if err != nil {
			return nil, err
		}
		cmd.unique = t.Entity.GetUniqueId()
		if cmd.checked, err = command.Check(c.Request, t.Entity, t.State); err != nil {
			return nil, err
		}
		if cmd.rendered, err = renderer.Render(t, cmd.checked); err != nil {
			return nil, err
		}
		now := d.opts.Now()
		timeout := cmd.checked.Timeout
		if c.Timeout > 0 {
			timeout = c.Timeout
		}
		cmd.Command, cmd.Deadline = p.Position()+1, now.Add(timeout)
		events := []eventstore.Event{{
			Timestamp: now, Entity: c.Entity, Source: c.Source, CorrelationID: c.CorrelationID, CausePosition: c.Cause,
			Payload: &eventv1.Payload{Kind: &eventv1.Payload_CommandIssued{CommandIssued: &eventv1.CommandIssued{
				Action: cmd.checked.Action, Arguments: cmd.checked.Arguments, Deadline: cmd.Deadline.UnixNano(),
				Expected: cmd.checked.Expected,
			}}},
		}}
		waiting := p.PendingCommands(c.Entity)
		for _, earlier := range waiting {
			if command.Supersedes(cmd.checked, earlier) {
				events = append(events, settled(c.Entity, earlier, eventv1.CommandOutcome_COMMAND_OUTCOME_SUPERSEDED, "", now, cmd.Command))
			}
		}
		if len(waiting)-len(events)+1 >= maxPending {
			return nil, fmt.Errorf("%w: %d to %s", ErrBusy, len(waiting), c.Entity)
		}
		return events, nil
	})
	return cmd, err
}

// target finds who is meant, and whose dialect that is.
func (d *Dispatcher) target(p statehouse.Pending, id string) (dialect.Target, Renderer, error) {
	e, ok := p.Entity(id)
	if !ok {
		return dialect.Target{}, nil, fmt.Errorf("%w: entity %s", statehouse.ErrNotFound, id)
	}
	if !dialect.Enabled(e) {
		return dialect.Target{}, nil, fmt.Errorf("%w: %s; enable it with \"statehouse entity set %s --enable\"", ErrDisabled, id, id)
	}
	renderer := d.opts.Renderer(e.GetSource())
	if renderer == nil {
		return dialect.Target{}, nil, fmt.Errorf("%w: %s comes from %q, which takes no commands here", command.ErrUnsupported, id, e.GetSource())
	}
	t := dialect.Target{Entity: e, State: &entityv1.Attributes{}}
	if st, ok := p.State(id); ok && st.Attributes != nil {
		t.State = st.Attributes
	}
	if t.State.GetAvailability() == entityv1.Availability_AVAILABILITY_OFFLINE {
		return dialect.Target{}, nil, fmt.Errorf("%w: %s", ErrUnavailable, id)
	}
	t.Device, _ = p.Device(e.GetDeviceId())
	return t, renderer, nil
}

// publish publishes a command that was recorded, and settles it where no state will.
func (d *Dispatcher) publish(ctx context.Context, cmd *issued) error {
	ctx, cancel := context.WithDeadline(ctx, cmd.Deadline)
	defer cancel()
	for _, p := range cmd.rendered.Publications {
		p.Expiry = max(cmd.Deadline.Sub(d.opts.Now()), time.Second) // for a device that is away longer it is too late
		if err := d.opts.Publisher.Publish(ctx, p); err != nil {
			if errors.Is(err, mqtt.ErrUnknownOutcome) {
				return nil // the device answers, or the deadline passes
			}
			d.opts.Logger.Warn("command not sent", "entity", cmd.id, "position", cmd.Command, "topic", p.Topic, "error", err)
			return d.conclude(context.WithoutCancel(ctx), cmd, eventv1.CommandOutcome_COMMAND_OUTCOME_FAILED, err.Error())
		}
	}
	if cmd.rendered.Answers && cmd.checked.Expected != nil {
		return nil
	}
	return d.conclude(context.WithoutCancel(ctx), cmd, eventv1.CommandOutcome_COMMAND_OUTCOME_CONFIRMED, "")
}

// conclude settles a command that still waits. Where it is confirmed without that a state answers, the state is what was
// expected of it.
func (d *Dispatcher) conclude(ctx context.Context, cmd *issued, outcome eventv1.CommandOutcome, reason string) error {
	var at eventstore.Position
	_, err := d.house.Decide(ctx, func(p statehouse.Pending) ([]eventstore.Event, error) {
		at = 0
		if e, ok := p.EntityByUniqueID(cmd.unique); ok {
			cmd.id = e.GetId()
		}
		c := pendingCommand(p, cmd.id, cmd.Command)
		if c == nil {
			return nil, nil
		}
		now := d.opts.Now()
		cause := cmd.Command
		var events []eventstore.Event
		if outcome == eventv1.CommandOutcome_COMMAND_OUTCOME_CONFIRMED {
			if a := cmd.assumed(p, now); a != nil {
				events, cause = append(events, eventstore.Event{
					Timestamp: now, Entity: cmd.id, Source: source, CorrelationID: cmd.corr, CausePosition: cmd.Command,
					Payload: &eventv1.Payload{Kind: &eventv1.Payload_StateChanged{StateChanged: &eventv1.StateChanged{Attributes: a}}},
				}), p.Position()+1
			}
		}
		at = p.Position() + eventstore.Position(len(events)) + 1
		return append(events, settled(cmd.id, c, outcome, reason, now, cause)), nil
	})
	if err != nil {
		return fmt.Errorf("%s: record what became of the command at position %d: %w", cmd.id, cmd.Command, err)
	}
	if at == 0 { // an answer came first, or another command
		return nil
	}
	cmd.Settled, cmd.Outcome, cmd.Reason = at, outcome, reason
	return nil
}

// source is that of the states and outcomes that nobody but the dispatcher says.
const source = "statehouse"

// assumed is the state of an entity that says nothing of itself, after a command; nil where it is what it was.
func (c *issued) assumed(p statehouse.Pending, now time.Time) *entityv1.Attributes {
	before := &entityv1.Attributes{}
	if st, ok := p.State(c.id); ok && st.Attributes != nil {
		before = st.Attributes
	}
	leads := c.checked.Assumed
	switch c.checked.Domain {
	case "button":
		leads = &entityv1.Attributes{Domain: &entityv1.Attributes_Button{Button: &entityv1.Button{Pressed: proto.Int64(now.UnixNano())}}}
	case "scene":
		leads = &entityv1.Attributes{Domain: &entityv1.Attributes_Scene{Scene: &entityv1.Scene{Activated: proto.Int64(now.UnixNano())}}}
	}
	if leads == nil {
		return nil
	}
	after := command.Merge(leads, before)
	if dialect.Same(before, after) {
		return nil
	}
	return after
}

func pendingCommand(p statehouse.Pending, id string, at eventstore.Position) *entityv1.PendingCommand {
	for _, c := range p.PendingCommands(id) {
		if c.GetPosition() == uint64(at) {
			return c
		}
	}
	return nil
}

// settled is the event that says what became of a command.
func settled(id string, c *entityv1.PendingCommand, outcome eventv1.CommandOutcome, reason string, at time.Time,
	cause eventstore.Position,
) eventstore.Event {
	return eventstore.Event{
		Timestamp: at, Entity: id, Source: source, CorrelationID: dialect.Correlation(c), CausePosition: cause,
		Payload: &eventv1.Payload{Kind: &eventv1.Payload_CommandSettled{CommandSettled: &eventv1.CommandSettled{
			Command: c.GetPosition(), Outcome: outcome, Reason: reason,
		}}},
	}
}
