package client

import (
	"context"
	"errors"

	"connectrpc.com/connect"

	"github.com/statehouse/statehouse"
	"github.com/statehouse/statehouse/eventstore"
	statehousev1 "github.com/statehouse/statehouse/gen/statehouse/v1"
)

// Errors of this package, which callers tell apart with [errors.Is].
var (
	// ErrUnauthenticated: there is no token, or none that is valid any more.
	ErrUnauthenticated = errors.New("this is no valid token")
	// ErrForbidden: the token is not for this.
	ErrForbidden = errors.New("the token is not for this")
	// ErrBusy: the server cannot answer now, and can soon: its log is being read, or it has too much to do.
	ErrBusy = errors.New("the server cannot answer now")
	// ErrUnsupported: the entity cannot do that, whatever the values are.
	ErrUnsupported = errors.New("the entity cannot do that")
	// ErrDisabled: the entity is disabled.
	ErrDisabled = errors.New("the entity is disabled")
)

// Error is an error that the server answered with. It wraps the one that it stands for.
type Error struct {
	// Code is for programs, and one of those of docs/rpc.md.
	Code string
	// Message is for people.
	Message string
	err     error
}

// Error implements error.
func (e *Error) Error() string { return e.Message }

// Unwrap is the error of this module that it stands for; nil for a defect of the server.
func (e *Error) Unwrap() error { return e.err }

// tokenError says why there is no token to send. No request was sent.
type tokenError struct{ err error }

// Error implements error.
func (e *tokenError) Error() string { return "token: " + e.err.Error() }

// Unwrap is why, and that there is none.
func (e *tokenError) Unwrap() []error { return []error{e.err, ErrUnauthenticated} }

// sentinels are what codes stand for.
var sentinels = map[string]error{
	"invalid": eventstore.ErrInvalid, "not_found": statehouse.ErrNotFound, "conflict": eventstore.ErrConflict, "in_use": eventstore.ErrInUse,
	"compacted": eventstore.ErrCompacted, "too_large": eventstore.ErrTooLarge, "key_reused": eventstore.ErrKeyReused,
	"unknown_outcome": eventstore.ErrUnknownOutcome, "corrupt": eventstore.ErrCorrupt, "unavailable": eventstore.ErrUnavailable,
	"read_only": eventstore.ErrReadOnly, "closed": eventstore.ErrClosed, "unimplemented": errors.ErrUnsupported,
	"unauthenticated": ErrUnauthenticated, "too_many_logins": ErrUnauthenticated, "forbidden": ErrForbidden, "not_ready": ErrBusy, "too_many_streams": ErrBusy,
	"too_many_commands": ErrBusy, "unsupported": ErrUnsupported, "disabled": ErrDisabled,
	"canceled": context.Canceled, "deadline_exceeded": context.DeadlineExceeded,
}

// errorOf is an error as this package has it.
func errorOf(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	var token *tokenError
	if errors.As(err, &token) {
		return token // and not as if the server could not be reached
	}
	var answered *connect.Error
	if !errors.As(err, &answered) {
		return err
	}
	for _, d := range answered.Details() {
		m, err := d.Value()
		if err != nil {
			continue
		}
		if detail, ok := m.(*statehousev1.ErrorDetail); ok {
			return detailed(detail)
		}
	}
	switch answered.Code() {
	case connect.CodeUnauthenticated:
		return &Error{"unauthenticated", answered.Message(), ErrUnauthenticated}
	case connect.CodePermissionDenied:
		return &Error{"forbidden", answered.Message(), ErrForbidden}
	case connect.CodeResourceExhausted:
		return &Error{"too_large", answered.Message(), eventstore.ErrTooLarge}
	}
	return err
}

func detailed(d *statehousev1.ErrorDetail) error {
	e := &Error{d.GetCode(), d.GetMessage(), sentinels[d.GetCode()]}
	if c := d.GetConflict(); c != nil {
		e.err = &eventstore.ConflictError{Condition: parseCondition(c.GetCondition()), Found: eventstore.Position(c.GetFound())}
	}
	if o := d.GetOldest(); o != nil {
		e.err = &eventstore.CompactedError{Base: eventstore.Position(o.GetPosition()), RecordedAt: parseTime(o.GetRecordedAt())}
	}
	return e
}

// passing says that another try may do better.
func passing(err error) bool {
	for _, e := range []error{ErrBusy, eventstore.ErrUnavailable, eventstore.ErrClosed} {
		if errors.Is(err, e) {
			return true
		}
	}
	if errors.Is(err, ErrUnauthenticated) {
		return false
	}
	var answer *Error
	if errors.As(err, &answer) {
		return false
	}
	var answered *connect.Error
	if !errors.As(err, &answered) || !connect.IsWireError(err) {
		return true // of the way to the server
	}
	switch answered.Code() { // of something in between
	case connect.CodeUnavailable, connect.CodeUnknown, connect.CodeInternal, connect.CodeDeadlineExceeded, connect.CodeCanceled:
		return true
	default:
		return false
	}
}
