package server

import (
	"context"
	"errors"
	"net/http"

	"github.com/statehouse/statehouse"
	"github.com/statehouse/statehouse/eventstore"
	"github.com/statehouse/statehouse/internal/access"
	"github.com/statehouse/statehouse/internal/api"
	"github.com/statehouse/statehouse/internal/dispatch"
	"github.com/statehouse/statehouse/internal/rpc"
)

// Dispatcher has devices do what somebody wants: [dispatch.Dispatcher] does. It may be called by any number of goroutines.
type Dispatcher = rpc.Dispatcher

// commandRoutes are those that have entities do something.
func commandRoutes(s *Server) []route {
	const pattern = "/v1/entities/{id}/commands"
	return []route{
		{method: http.MethodGet, pattern: pattern, serve: s.withHouse(getActions), scope: access.Read, partial: true},
		{method: http.MethodPost, pattern: pattern, serve: s.withHouse(s.postCommand), stream: true, scope: access.Command, partial: true},
	}
}

// getActions answers GET /v1/entities/{id}/commands: what the entity can be asked to do.
func getActions(h *statehouse.House, w http.ResponseWriter, r *http.Request) error {
	if p := newParams(r); p.err != nil {
		return p.err
	}
	id := r.PathValue("id")
	if err := readable(r, id); err != nil {
		return err
	}
	all, err := api.NewActions(h.Now(), id)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, all)
}

// postCommand answers POST /v1/entities/{id}/commands.
func (s *Server) postCommand(h *statehouse.House, w http.ResponseWriter, r *http.Request) error {
	id, who := r.PathValue("id"), access.From(r.Context())
	if err := eventstore.CheckEntityID(id); err != nil {
		return err
	}
	if !who.May(access.Command, id) {
		return forbidden("the token %s may not command %s", who.Name(), id)
	}
	var asked api.Command
	if err := readJSON(r, &asked); err != nil {
		return err
	}
	call := dispatch.Call{
		Source: who.Source(), Cause: asked.CausePosition, CorrelationID: asked.CorrelationID, Wait: asked.Wait,
	}
	var err error
	if call.Request, err = asked.Request(id); err != nil {
		return err
	}
	if call.Timeout, err = asked.TimeoutDuration(); err != nil {
		return err
	}
	if !mayCause(r.Context(), h, who, call.Cause) {
		return forbidden("the token %s may not name the event at position %d as a cause", who.Name(), call.Cause)
	}
	dispatcher := s.opts.Dispatcher()
	if dispatcher == nil {
		return &failure{
			status: http.StatusServiceUnavailable, code: api.CodeUnavailable, retryAfter: "5",
			message: "commands are not taken yet; try again soon",
		}
	}
	ctx := r.Context()
	if call.Wait {
		// Who waits is open for as long as a stream may be.
		opened, end, err := s.enterStream(ctx, errClosing)
		if err != nil {
			return err
		}
		defer end()
		ctx = opened
	}
	result, err := dispatcher.Call(ctx, call)
	closing := errors.Is(context.Cause(ctx), errClosing) || errors.Is(err, eventstore.ErrClosed)
	if err != nil && (result.Command == 0 || !closing) { // where the server ends, who asked learns where his command is
		return endOf(r, err)
	}
	return writeJSON(w, http.StatusOK, api.CommandResult{
		EntityID: id, Position: result.Command, Deadline: result.Deadline.UTC(), SettledPosition: result.Settled,
		Outcome: api.OutcomeOf(result.Outcome), Reason: result.Reason,
	})
}

// mayCause says whether somebody may say that a command was caused by the event at a position, of which he is told nothing.
func mayCause(ctx context.Context, h *statehouse.House, who *access.Identity, cause eventstore.Position) bool {
	if cause == 0 || who.Everywhere(access.Command) {
		return true
	}
	e, err := h.Store().Event(ctx, cause)
	return err == nil && who.May(access.Command, e.Entity)
}
