package server

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/statehouse/statehouse"
	"github.com/statehouse/statehouse/eventstore"
	"github.com/statehouse/statehouse/internal/access"
	"github.com/statehouse/statehouse/internal/api"
	"github.com/statehouse/statehouse/internal/command"
	"github.com/statehouse/statehouse/internal/dispatch"
	"github.com/statehouse/statehouse/internal/mqtt"
)

// failure is an error that knows its answer.
type failure struct {
	status     int
	code       api.Code
	message    string
	retryAfter string // seconds; empty for failures that waiting does not cure
	// challenge asks for a token.
	challenge bool
}

func (f *failure) Error() string { return f.message }

func invalid(format string, args ...any) error {
	return &failure{status: http.StatusBadRequest, code: api.CodeInvalid, message: fmt.Sprintf(format, args...)}
}

func notFound(format string, args ...any) error {
	return &failure{status: http.StatusNotFound, code: api.CodeNotFound, message: fmt.Sprintf(format, args...)}
}

// unauthenticated is the answer to who has no token, or one that is none.
func unauthenticated(message string) *failure {
	return &failure{status: http.StatusUnauthorized, code: api.CodeUnauthenticated, message: message, challenge: true}
}

func forbidden(format string, args ...any) error {
	return &failure{status: http.StatusForbidden, code: api.CodeForbidden, message: fmt.Sprintf(format, args...)}
}

// failures is the one table of what the house's errors are over HTTP. The first match counts.
var failures = []struct {
	err        error
	status     int
	code       api.Code
	retryAfter string
}{
	{command.ErrInvalid, http.StatusBadRequest, api.CodeInvalid, ""},
	// The request is fine, and the entity cannot do it.
	{command.ErrUnsupported, http.StatusUnprocessableEntity, api.CodeUnsupported, ""},
	{dispatch.ErrDisabled, http.StatusConflict, api.CodeDisabled, ""},
	{dispatch.ErrUnavailable, http.StatusServiceUnavailable, api.CodeUnavailable, "5"},
	{dispatch.ErrBusy, http.StatusTooManyRequests, api.CodeTooManyCommands, "5"},
	{mqtt.ErrNotConnected, http.StatusServiceUnavailable, api.CodeUnavailable, "5"},
	{statehouse.ErrNotFound, http.StatusNotFound, api.CodeNotFound, ""},
	{access.ErrNotFound, http.StatusNotFound, api.CodeNotFound, ""},
	{access.ErrExists, http.StatusConflict, api.CodeConflict, ""},
	{access.ErrInvalid, http.StatusBadRequest, api.CodeInvalid, ""},
	{access.ErrEnded, http.StatusUnauthorized, api.CodeUnauthenticated, ""},
	{eventstore.ErrConflict, http.StatusConflict, api.CodeConflict, ""},
	// As the Idempotency-Key draft has it: the request is fine, and the key belongs to another one.
	{eventstore.ErrKeyReused, http.StatusUnprocessableEntity, api.CodeKeyReused, ""},
	// Not 503: nothing says that waiting helps.
	{eventstore.ErrInUse, http.StatusConflict, api.CodeInUse, ""},
	{eventstore.ErrCompacted, http.StatusGone, api.CodeCompacted, ""},
	{eventstore.ErrTooLarge, http.StatusRequestEntityTooLarge, api.CodeTooLarge, ""},
	{eventstore.ErrInvalid, http.StatusBadRequest, api.CodeInvalid, ""},
	{eventstore.ErrUnknownOutcome, http.StatusInternalServerError, api.CodeUnknownOutcome, ""},
	{eventstore.ErrReadOnly, http.StatusServiceUnavailable, api.CodeReadOnly, ""},
	{eventstore.ErrCorrupt, http.StatusInternalServerError, api.CodeCorrupt, ""},
	{eventstore.ErrUnavailable, http.StatusServiceUnavailable, api.CodeUnavailable, "5"},
	{eventstore.ErrClosed, http.StatusServiceUnavailable, api.CodeClosed, "5"},
	{errClosing, http.StatusServiceUnavailable, api.CodeClosed, "5"},
	{context.DeadlineExceeded, http.StatusServiceUnavailable, api.CodeUnavailable, "5"},
	{context.Canceled, http.StatusServiceUnavailable, api.CodeUnavailable, "5"},
}

// failureOf is the answer to an error. What is in no table is a defect; its text is for the log alone.
func failureOf(err error) *failure {
	var f *failure
	if errors.As(err, &f) {
		return f
	}
	for _, t := range failures {
		if errors.Is(err, t.err) {
			return &failure{status: t.status, code: t.code, message: err.Error(), retryAfter: t.retryAfter}
		}
	}
	return &failure{
		status: http.StatusInternalServerError, code: api.CodeInternal,
		message: "something went wrong that should not; the daemon's log says what",
	}
}

// body is the failure as it goes over the wire. What it repeats of the request may have a token where none belongs.
func (f *failure) body() api.Error {
	return api.Error{Error: api.ErrorDetail{Code: f.code, Message: access.Redact(f.message)}}
}
