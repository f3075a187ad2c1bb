package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"syscall"

	"github.com/statehouse/statehouse"
	"github.com/statehouse/statehouse/eventstore"
	"github.com/statehouse/statehouse/internal/access"
	"github.com/statehouse/statehouse/internal/command"
	"github.com/statehouse/statehouse/internal/daemon"
	"github.com/statehouse/statehouse/internal/mqtt"
	"github.com/statehouse/statehouse/storage"
)

// The exit codes. exitTable, which the help prints, says the same for people.
const (
	exitOK          = 0
	exitFailure     = 1
	exitUsage       = 2
	exitNotFound    = 3
	exitUnavailable = 4
	exitDamaged     = 5
	exitDenied      = 6
	exitNotDone     = 7
	exitInterrupted = 130
)

const exitTable = `Exit codes:
    0  it is done
    1  it failed for another reason than those below
    2  the command line or the configuration is wrong
    3  there is no such entity, device, area or file, or the history has been removed
    4  no daemon answers there, the database is in use or cannot be written, or no device can be reached
    5  the database is damaged, also where what can be read was printed, or is not one
    6  the daemon wants a token (--token-file), or the token is not for this
    7  a device did not do what it was told: the command failed, timed out, or a later one came
  130  interrupted`

// The errors of this package.
var (
	// errUsage: the command line is wrong. The message says what to write.
	errUsage = errors.New("usage")
	// errUnreachable: no daemon answers where one was asked for.
	errUnreachable = errors.New("no daemon answers")
	// errDenied: the daemon wants a token, or another one.
	errDenied = errors.New("denied")
)

// exitCodes says which error ends the program with which code; the first that matches counts.
var exitCodes = [...]struct {
	err  error
	code int
}{
	{context.Canceled, exitInterrupted},
	{errUsage, exitUsage},
	{command.ErrInvalid, exitUsage},
	{command.ErrUnsupported, exitUsage},
	{daemon.ErrConfig, exitUsage},
	{mqtt.ErrTopic, exitUsage},
	{storage.ErrDamaged, exitDamaged},
	{storage.ErrNotOurs, exitDamaged},
	{eventstore.ErrCorrupt, exitDamaged},
	{eventstore.ErrReadOnly, exitDamaged},
	{statehouse.ErrNotFound, exitNotFound},
	{access.ErrNotFound, exitNotFound},
	{access.ErrInvalid, exitUsage},
	{fs.ErrNotExist, exitNotFound},
	{eventstore.ErrCompacted, exitNotFound},
	{errDenied, exitDenied},
	{errNotDone, exitNotDone},
	{errUnreachable, exitUnavailable},
	{storage.ErrLocked, exitUnavailable},
	{storage.ErrNewerFormat, exitUnavailable},
	{storage.ErrNotWritable, exitUnavailable},
	{eventstore.ErrUnavailable, exitUnavailable},
	{eventstore.ErrUnknownOutcome, exitUnavailable},
	{eventstore.ErrInvalid, exitUsage},
}

// exitCode is the code that an error ends the program with.
func exitCode(err error) int {
	var network *net.OpError // where a broken pipe is a daemon, or a broker, that has gone
	if err == nil || errors.Is(err, syscall.EPIPE) && !errors.As(err, &network) {
		return exitOK
	}
	for _, e := range exitCodes {
		if errors.Is(err, e.err) {
			return e.code
		}
	}
	return exitFailure
}

// usagef is an error about the command line.
func usagef(format string, args ...any) error { return markf(errUsage, format, args...) }

// markf is an error that matches as.
func markf(as error, format string, args ...any) error {
	return markedError{fmt.Errorf(format, args...), as}
}

// markedError is an error that matches another one, whose words it does not repeat.
type markedError struct {
	error
	as error
}

func (e markedError) Unwrap() []error { return []error{e.error, e.as} }
