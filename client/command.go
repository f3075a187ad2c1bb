package client

import (
	"context"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/statehouse/statehouse/eventstore"
	entityv1 "github.com/statehouse/statehouse/gen/statehouse/entity/v1"
	eventv1 "github.com/statehouse/statehouse/gen/statehouse/event/v1"
	statehousev1 "github.com/statehouse/statehouse/gen/statehouse/v1"
	"github.com/statehouse/statehouse/state"
)

// Command is what an entity shall do.
type Command struct {
	Entity state.EntityID
	// Action is named as Home Assistant's services are: "turn_on". [Client.Actions] lists those of an entity.
	Action string
	// Arguments say how, in the names and units of the attributes; [Argument] makes one.
	Arguments []*entityv1.Field
	// Cause is the position of the event because of which the command is given, 0 where there is none.
	Cause eventstore.Position
	// CorrelationID ties it together with other events; empty makes one of its own.
	CorrelationID string
	// Timeout is how long the command waits for its answer, an hour at most; 0 means what the entity usually takes.
	Timeout time.Duration
	// Wait has the call return when the command is settled, and not when it is sent.
	Wait bool
}

// Argument is an argument of a command: a number, a text or a truth. Other values are made of their messages.
func Argument[T int | float64 | string | bool](name string, value T) *entityv1.Field {
	f := &entityv1.Field{Name: name, Value: &entityv1.Value{}}
	switch v := any(value).(type) {
	case int:
		f.Value.Kind = &entityv1.Value_IntValue{IntValue: int64(v)}
	case float64:
		f.Value.Kind = &entityv1.Value_DoubleValue{DoubleValue: v}
	case string:
		f.Value.Kind = &entityv1.Value_StringValue{StringValue: v}
	case bool:
		f.Value.Kind = &entityv1.Value_BoolValue{BoolValue: v}
	}
	return f
}

// CommandResult is what became of a command so far.
type CommandResult struct {
	// Command is the position of the command_issued.
	Command eventstore.Position
	// Deadline is when the command will have timed out.
	Deadline time.Time
	// Settled is the position of the command_settled, 0 while the command waits for its answer.
	Settled eventstore.Position
	// Outcome is unspecified while it waits.
	Outcome eventv1.CommandOutcome
	// Reason says why it failed; empty for other outcomes.
	Reason string
}

// Call has an entity do something. A command that was recorded is no error, whatever became of it: the result says so. Nothing was
// recorded where the error matches [eventstore.ErrInvalid], [statehouse.ErrNotFound], [ErrUnsupported], [ErrDisabled],
// [ErrBusy] or, while no broker or device can be reached, [eventstore.ErrUnavailable]. The end of ctx ends the waiting, not the command.
func (c *Client) Call(ctx context.Context, cmd Command) (CommandResult, error) {
	req := &statehousev1.CallRequest{
		EntityId: cmd.Entity, Action: cmd.Action, Arguments: cmd.Arguments, CausePosition: uint64(cmd.Cause),
		CorrelationId: cmd.CorrelationID, Wait: cmd.Wait,
	}
	if cmd.Timeout != 0 {
		req.Timeout = durationpb.New(cmd.Timeout)
	}
	res, err := c.commands.Call(ctx, req)
	if err != nil {
		return CommandResult{}, errorOf(ctx, err)
	}
	return CommandResult{
		Command: eventstore.Position(res.GetPosition()), Deadline: parseTime(res.GetDeadline()),
		Settled: eventstore.Position(res.GetSettledPosition()), Outcome: res.GetOutcome(), Reason: res.GetReason(),
	}, nil
}

// Actions are what an entity can be asked to do, sorted by name, within its own limits; none where nothing can be asked of it.
func (c *Client) Actions(ctx context.Context, id state.EntityID) ([]*statehousev1.Action, error) {
	res, err := c.commands.Actions(ctx, &statehousev1.ActionsRequest{EntityId: id})
	return res.GetActions(), errorOf(ctx, err)
}
