package rpc

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"connectrpc.com/connect"

	"github.com/statehouse/statehouse"
	"github.com/statehouse/statehouse/eventstore"
	statehousev1 "github.com/statehouse/statehouse/gen/statehouse/v1"
	"github.com/statehouse/statehouse/internal/access"
	"github.com/statehouse/statehouse/internal/api"
	"github.com/statehouse/statehouse/internal/command"
	"github.com/statehouse/statehouse/internal/dispatch"
	"github.com/statehouse/statehouse/internal/mqtt"
)

// What [Options.OpenStream] fails with, and ends streams with.
var (
	// ErrTooManyStreams: as many streams are open as may be.
	ErrTooManyStreams = errors.New("as many streams are open as may be; close one, or come back later")
	// ErrClosing: the server closes.
	ErrClosing = errors.New("the server is closing")
)

// The codes that only this interface has.
const (
	codeCanceled         api.Code = "canceled"
	codeDeadlineExceeded api.Code = "deadline_exceeded"
)

// failure is an error that knows its answer.
type failure struct {
	status  connect.Code
	code    api.Code
	message string
}

func (f *failure) Error() string { return f.message }

func invalid(format string, args ...any) error {
	return &failure{connect.CodeInvalidArgument, api.CodeInvalid, fmt.Sprintf(format, args...)}
}

// failures is the one table of what errors are over the wire. The first match counts.
var failures = []struct {
	err    error
	status connect.Code
	code   api.Code
}{
	{access.ErrEnded, connect.CodeUnauthenticated, api.CodeUnauthenticated},
	{ErrClosing, connect.CodeUnavailable, api.CodeClosed},
	{ErrTooManyStreams, connect.CodeResourceExhausted, api.CodeTooManyStreams},
	{command.ErrInvalid, connect.CodeInvalidArgument, api.CodeInvalid},
	{command.ErrUnsupported, connect.CodeFailedPrecondition, api.CodeUnsupported},
	{dispatch.ErrDisabled, connect.CodeFailedPrecondition, api.CodeDisabled},
	{dispatch.ErrUnavailable, connect.CodeUnavailable, api.CodeUnavailable},
	{dispatch.ErrBusy, connect.CodeResourceExhausted, api.CodeTooManyCommands},
	{mqtt.ErrNotConnected, connect.CodeUnavailable, api.CodeUnavailable},
	{statehouse.ErrNotFound, connect.CodeNotFound, api.CodeNotFound},
	// What a client that reads, decides and writes has to do again from the beginning.
	{eventstore.ErrConflict, connect.CodeAborted, api.CodeConflict},
	{eventstore.ErrKeyReused, connect.CodeAlreadyExists, api.CodeKeyReused},
	{eventstore.ErrInUse, connect.CodeFailedPrecondition, api.CodeInUse},
	{eventstore.ErrCompacted, connect.CodeOutOfRange, api.CodeCompacted},
	{eventstore.ErrTooLarge, connect.CodeResourceExhausted, api.CodeTooLarge},
	{eventstore.ErrInvalid, connect.CodeInvalidArgument, api.CodeInvalid},
	{eventstore.ErrUnknownOutcome, connect.CodeUnknown, api.CodeUnknownOutcome},
	// Not unavailable: waiting does not help.
	{eventstore.ErrReadOnly, connect.CodeFailedPrecondition, api.CodeReadOnly},
	{eventstore.ErrCorrupt, connect.CodeDataLoss, api.CodeCorrupt},
	{eventstore.ErrUnavailable, connect.CodeUnavailable, api.CodeUnavailable},
	{eventstore.ErrClosed, connect.CodeUnavailable, api.CodeClosed},
	{context.DeadlineExceeded, connect.CodeDeadlineExceeded, codeDeadlineExceeded},
	{context.Canceled, connect.CodeCanceled, codeCanceled},
}

// failureOf is the answer to an error; known is false for a defect, whose text is for the log alone.
func failureOf(err error) (f *failure, known bool) {
	if errors.As(err, &f) {
		return f, true
	}
	for _, t := range failures {
		if errors.Is(err, t.err) {
			return &failure{t.status, t.code, err.Error()}, true
		}
	}
	return &failure{connect.CodeInternal, api.CodeInternal, "something went wrong that should not; the server's log says what"}, false
}

// NewError is an error as it goes over the wire, for who answers in front of the handlers.
func NewError(status connect.Code, code api.Code, message string) *connect.Error {
	return answerOf(&failure{status, code, message})
}

// answerOf is an error as it goes over the wire.
func answerOf(err error) *connect.Error {
	f, _ := failureOf(err)
	// As protobuf wants texts. What it repeats of the request may have a token where none belongs.
	message := access.Redact(strings.ToValidUTF8(f.message, "\uFFFD"))
	detail := &statehousev1.ErrorDetail{Code: string(f.code), Message: message}
	var conflict *eventstore.ConflictError
	if errors.As(err, &conflict) {
		detail.Conflict = &statehousev1.Conflict{Condition: newCondition(conflict.Condition), Found: uint64(conflict.Found)}
	}
	var compacted *eventstore.CompactedError
	if errors.As(err, &compacted) {
		detail.Oldest = &statehousev1.AsOf{Position: uint64(compacted.Base), RecordedAt: newTime(compacted.RecordedAt)}
	}
	answer := connect.NewError(f.status, errors.New(message))
	if d, err := connect.NewErrorDetail(detail); err == nil { // the detail has nothing that cannot be encoded
		answer.AddDetail(d)
	}
	return answer
}
