package dispatch

import (
	"context"
	"errors"
	"fmt"
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

// sendWithin is how long a broker has to take a command: what it takes later, it takes too late. It holds up the next one meanwhile.
const sendWithin = 10 * time.Second

// publish publishes a command that was recorded, and settles it where no state will.
func (d *Dispatcher) publish(ctx context.Context, cmd *issued) error {
	ctx, cancel := context.WithTimeout(ctx, min(time.Until(cmd.due), sendWithin))
	defer cancel()
	for _, p := range cmd.rendered.Publications {
		if moot, err := d.moot(ctx, cmd); moot || err != nil {
			return err
		}
		p.Expiry = max(time.Until(cmd.due), time.Second) // for a device that is away longer it is too late
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

// moot says that a command was settled, and not by an answer: nothing of it is to be published any more. An answer does not do that:
// it may have come to the first of several messages, or be one that the device would have given anyway.
func (d *Dispatcher) moot(ctx context.Context, cmd *issued) (bool, error) {
	registry, id := d.house.Now().Registry, cmd.id
	if e, ok := registry.EntityByUniqueID(cmd.unique); ok {
		id = e.GetId()
	}
	if pendingCommand(registry, id, cmd.Command) != nil {
		return false, nil
	}
	q := eventstore.Query{After: cmd.Command, Kinds: []eventstore.Kind{eventstore.KindCommandSettled}}
	for e, err := range d.house.Read(context.WithoutCancel(ctx), q) {
		if err != nil {
			return false, fmt.Errorf("%s: read what became of the command at position %d: %w", cmd.id, cmd.Command, err)
		}
		if cmd.settledBy(e) {
			break
		}
	}
	return cmd.Settled != 0 && cmd.Outcome != eventv1.CommandOutcome_COMMAND_OUTCOME_CONFIRMED, nil
}

// settledBy takes over what an event says that became of a command, if it does.
func (c *issued) settledBy(e eventstore.Event) bool {
	s := e.Payload.GetCommandSettled()
	if s.GetCommand() != uint64(c.Command) {
		return false
	}
	c.Settled, c.Outcome, c.Reason = e.Position, s.GetOutcome(), s.GetReason()
	return true
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

// waits is where the commands are found that wait: what is pending, or the registry.
type waits interface {
	PendingCommands(id string) []*entityv1.PendingCommand
}

func pendingCommand(w waits, id string, at eventstore.Position) *entityv1.PendingCommand {
	for _, c := range w.PendingCommands(id) {
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
