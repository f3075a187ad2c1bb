// Package dispatch has devices do what somebody wants of them, and records what came of it.
//
// # The way of a command
//
//  1. It is checked against what the entity can do, and recorded: command_issued. From then on it is among the pending
//     ones that every reader sees, and earlier commands that it makes moot are settled as superseded, in the same batch.
//  2. It is published, in the device's own form. Where that fails it is settled as failed; where it is not known whether the
//     broker has it, it waits. Nothing more of it is published once it is settled otherwise than by an answer: its entity left, or
//     its time is over.
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
// Calls may come from any goroutine. The commands to one entity are recorded and published one after another: none is recorded before
// the broker has the one before it. So the last command of the log is the last one that the device hears, and none that was superseded
// comes behind the one that did. A broker that does not answer holds the next command up for ten seconds, and never longer than until the
// deadline of the one before; a call whose context ends meanwhile leaves nothing behind. Where a hundred wait like that, others fail with
// [ErrBusy]. Commands to different entities do not wait for each other.
package dispatch

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"time"

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
	turns turns
	dues  dues
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
	due      time.Time // the deadline, by a clock that nobody sets
}

// Call gives a command, and returns when it was published, or with Wait when it is settled. A command that was recorded and
// then could not be published is no error: its outcome says so. The end of ctx ends the waiting, not the command.
func (d *Dispatcher) Call(ctx context.Context, c Call) (Result, error) {
	if !d.connected() {
		return Result{}, mqtt.ErrNotConnected
	}
	if c.Timeout < 0 || c.Timeout > MaxTimeout {
		return Result{}, fmt.Errorf("%w: a command may wait for %s at most, not for %s", eventstore.ErrInvalid, MaxTimeout, c.Timeout)
	}
	if c.CorrelationID == "" {
		c.CorrelationID = "command-" + rand.Text()
	}
	cmd, err := d.send(ctx, c)
	if err != nil {
		return cmd.Result, err
	}
	if !c.Wait || cmd.Settled != 0 {
		return cmd.Result, nil
	}
	return d.await(ctx, cmd)
}

// connected says that there is a broker, as far as is known.
func (d *Dispatcher) connected() bool {
	if p, ok := d.opts.Publisher.(interface{ Connected() bool }); ok {
		return p.Connected()
	}
	return d.opts.Publisher != nil
}

// send records a command and publishes it, when those before it to the same entity are sent.
func (d *Dispatcher) send(ctx context.Context, c Call) (issued, error) {
	for {
		entry, ok := d.house.Now().Registry.Entity(c.Entity)
		if !ok {
			return issued{}, fmt.Errorf("%w: entity %s", statehouse.ErrNotFound, c.Entity)
		}
		cmd, err := d.sendInTurn(ctx, c, entry.GetUniqueId())
		if !errors.Is(err, errAnother) {
			return cmd, err
		}
	}
}

func (d *Dispatcher) sendInTurn(ctx context.Context, c Call, unique string) (issued, error) {
	done, err := d.turns.take(ctx, cmp.Or(unique, c.Entity))
	if err != nil {
		return issued{}, fmt.Errorf("%s: %w", c.Entity, err)
	}
	defer done()
	if !d.connected() { // any more
		return issued{}, mqtt.ErrNotConnected
	}
	cmd, err := d.issue(ctx, c, unique)
	if err != nil {
		return issued{}, err
	}
	d.wake()
	// What is recorded is carried out, whoever waits for it.
	return cmd, d.publish(context.WithoutCancel(ctx), &cmd)
}

// errAnother says that another entity has the id by now.
var errAnother = errors.New("another entity has the id")

// issue records a command, and which earlier ones it makes moot.
func (d *Dispatcher) issue(ctx context.Context, c Call, unique string) (cmd issued, err error) {
	_, err = d.house.Decide(ctx, func(p statehouse.Pending) ([]eventstore.Event, error) {
		cmd = issued{id: c.Entity, corr: c.CorrelationID}
		t, renderer, err := d.target(p, c.Entity)
		if err != nil {
			return nil, err
		}
		if cmd.unique = t.Entity.GetUniqueId(); cmd.unique != unique {
			return nil, errAnother
		}
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
		cmd.Command, cmd.Deadline, cmd.due = p.Position()+1, now.Add(timeout), time.Now().Add(timeout)
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
	if err != nil {
		return cmd, err
	}
	d.dues.note(cmd.Command, cmd.due)
	return cmd, nil
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
