package rpc

import (
	"context"
	"errors"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/statehouse/statehouse/eventstore"
	statehousev1 "github.com/statehouse/statehouse/gen/statehouse/v1"
	"github.com/statehouse/statehouse/internal/access"
	"github.com/statehouse/statehouse/internal/api"
	"github.com/statehouse/statehouse/internal/command"
	"github.com/statehouse/statehouse/internal/dispatch"
)

// Dispatcher has devices do what somebody wants: [dispatch.Dispatcher] does. It may be called by any number of goroutines.
type Dispatcher interface {
	Call(ctx context.Context, c dispatch.Call) (dispatch.Result, error)
}

type commandService struct{ *Service }

// Call implements CommandService.
func (s commandService) Call(ctx context.Context, req *statehousev1.CallRequest) (*statehousev1.CallResponse, error) {
	h, err := s.house()
	if err != nil {
		return nil, err
	}
	id, who := req.GetEntityId(), access.From(ctx)
	if err := eventstore.CheckEntityID(id); err != nil {
		return nil, err
	}
	if !who.May(access.Command, id) {
		return nil, forbidden("the token %s may not command %s", who.Name(), id)
	}
	call, err := parseCall(who, req)
	if err != nil {
		return nil, err
	}
	if err := mayName(ctx, who, access.Command, h, call.Cause); err != nil {
		return nil, err
	}
	dispatcher := s.opts.Dispatcher()
	if dispatcher == nil {
		return nil, &failure{connect.CodeUnavailable, api.CodeUnavailable, "commands are not taken yet; try again soon"}
	}
	if call.Wait {
		// Who waits is open for as long as a stream may be.
		opened, end, err := s.opts.OpenStream(ctx)
		if err != nil {
			return nil, err
		}
		defer end()
		ctx = opened
	}
	result, err := dispatcher.Call(ctx, call)
	if err != nil && (result.Command == 0 || !closing(ctx, err)) {
		return nil, err
	}
	return newCallResponse(result), nil
}

// closing says that a command is waited for no longer because the server ends: who asked learns where it is.
func closing(ctx context.Context, err error) bool {
	return errors.Is(context.Cause(ctx), ErrClosing) || errors.Is(err, eventstore.ErrClosed)
}

// parseCall is the command of a request.
func parseCall(who *access.Identity, req *statehousev1.CallRequest) (dispatch.Call, error) {
	c := dispatch.Call{
		Request: command.Request{Entity: req.GetEntityId(), Action: req.GetAction(), Arguments: req.GetArguments()},
		Source:  who.Source(), Cause: eventstore.Position(req.GetCausePosition()), CorrelationID: req.GetCorrelationId(), Wait: req.GetWait(),
	}
	if n := len(c.Arguments); n > command.MaxArguments {
		return c, invalid("%d arguments are more than the %d of any action", n, command.MaxArguments)
	}
	if req.GetCausePosition() > uint64(eventstore.MaxPosition) {
		return c, invalid("%d is no position", req.GetCausePosition())
	}
	if t := req.GetTimeout(); t != nil {
		if err := t.CheckValid(); err != nil {
			return c, invalid("the timeout is none: %v", err)
		}
		if c.Timeout = t.AsDuration(); c.Timeout <= 0 {
			return c, invalid("the timeout is %s; write a longer one, or none", c.Timeout)
		}
	}
	return c, nil
}

func newCallResponse(r dispatch.Result) *statehousev1.CallResponse {
	return &statehousev1.CallResponse{
		Position: uint64(r.Command), Deadline: timestamppb.New(r.Deadline), SettledPosition: uint64(r.Settled),
		Outcome: r.Outcome, Reason: r.Reason,
	}
}

// Actions implements CommandService.
func (s commandService) Actions(ctx context.Context, req *statehousev1.ActionsRequest) (*statehousev1.ActionsResponse, error) {
	h, err := s.house()
	if err != nil {
		return nil, err
	}
	if err := readable(ctx, req.GetEntityId()); err != nil {
		return nil, err
	}
	all, err := api.NewActions(h.Now(), req.GetEntityId())
	if err != nil {
		return nil, err
	}
	w := &statehousev1.ActionsResponse{}
	for _, a := range all.Actions {
		action := &statehousev1.Action{Name: a.Name}
		for _, p := range a.Arguments {
			action.Arguments = append(action.Arguments, &statehousev1.ActionArgument{
				Name: p.Name, Kind: p.Kind, Unit: p.Unit, Minimum: p.Minimum, Maximum: p.Maximum, Step: p.Step,
				Options: p.Options, Required: p.Required,
			})
		}
		w.Actions = append(w.Actions, action)
	}
	return w, nil
}
