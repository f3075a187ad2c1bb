package hass

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/statehouse/statehouse"
	"github.com/statehouse/statehouse/eventstore"
	"github.com/statehouse/statehouse/internal/command"
	"github.com/statehouse/statehouse/internal/dispatch"
	"github.com/statehouse/statehouse/internal/mqtt"
)

// Home Assistant's codes of errors in a WebSocket.
const (
	codeIDReuse       = "id_reuse"
	codeInvalidFormat = "invalid_format"
	codeNotFound      = "not_found"
	codeNotSupported  = "not_supported"
	codeUnauthorized  = "unauthorized"
	codeUnknown       = "unknown_command"
	codeInternal      = "unknown_error"
	codeError         = "home_assistant_error"
	codeService       = "service_validation_error"
	codeTemplate      = "template_error"
	codeStartTime     = "invalid_start_time"
	codeEndTime       = "invalid_end_time"
)

// failure is an error that knows its answer, by HTTP and in a WebSocket.
type failure struct {
	status  int
	code    string
	message string
}

func (f *failure) Error() string { return f.message }

func invalid(format string, args ...any) error {
	return &failure{http.StatusBadRequest, codeInvalidFormat, fmt.Sprintf(format, args...)}
}

func notFound(message string) error {
	return &failure{http.StatusNotFound, codeNotFound, message}
}

// errLagging ends a stream of events whose client is so slow that what it was to get next has been removed from the log.
var errLagging = errors.New("events that the client had not taken yet have been removed from the log; reconnect")

// failures is the one table of what the house's errors are. The first match counts.
var failures = []struct {
	err    error
	status int
	code   string
}{
	{command.ErrInvalid, http.StatusBadRequest, codeInvalidFormat},
	{command.ErrUnsupported, http.StatusBadRequest, codeService},
	{dispatch.ErrBusy, http.StatusTooManyRequests, codeError},
	{mqtt.ErrNotConnected, http.StatusServiceUnavailable, codeError},
	{statehouse.ErrNotFound, http.StatusNotFound, codeNotFound},
	{eventstore.ErrCompacted, http.StatusGone, codeError},
	{eventstore.ErrTooLarge, http.StatusRequestEntityTooLarge, codeInvalidFormat},
	{eventstore.ErrInvalid, http.StatusBadRequest, codeInvalidFormat},
	{eventstore.ErrConflict, http.StatusConflict, codeError},
	{eventstore.ErrUnknownOutcome, http.StatusInternalServerError, codeError},
	{eventstore.ErrCorrupt, http.StatusInternalServerError, codeError},
	{eventstore.ErrReadOnly, http.StatusServiceUnavailable, codeError},
	{eventstore.ErrUnavailable, http.StatusServiceUnavailable, codeError},
	{eventstore.ErrClosed, http.StatusServiceUnavailable, codeError},
	{context.DeadlineExceeded, http.StatusServiceUnavailable, codeError},
	{context.Canceled, http.StatusServiceUnavailable, codeError},
}

// failureOf is the answer to an error. What is in no table is a defect; its text is for the log alone.
func failureOf(err error) *failure {
	var f *failure
	if errors.As(err, &f) {
		return f
	}
	var large *http.MaxBytesError
	if errors.As(err, &large) {
		return &failure{http.StatusRequestEntityTooLarge, codeInvalidFormat, fmt.Sprintf("a body has at most %d bytes", large.Limit)}
	}
	for _, t := range failures {
		if errors.Is(err, t.err) {
			return &failure{t.status, t.code, strings.ToValidUTF8(err.Error(), "\uFFFD")}
		}
	}
	return &failure{http.StatusInternalServerError, codeInternal, "something went wrong that should not; the daemon's log says what"}
}
