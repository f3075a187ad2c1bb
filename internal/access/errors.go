package access

import (
	"errors"
	"time"
)

// Errors that callers tell apart with [errors.Is].
var (
	// ErrInvalid says that what was given makes no token.
	ErrInvalid = errors.New("invalid token")
	// ErrDenied says that a token is nobody's: unknown, revoked or expired. Which of them, it does not say.
	ErrDenied = errors.New("this is no valid token")
	// ErrNotFound says that there is no token of a name.
	ErrNotFound = errors.New("there is no such token")
	// ErrExists says that a name is taken.
	ErrExists = errors.New("there is a token of this name")
	// ErrEnded is why the streams of an identity end.
	ErrEnded = errors.New("the token was revoked, rotated, or has expired")
)

// TooManyError says that too many logins of an address have failed.
type TooManyError struct{ RetryAfter time.Duration }

func (e *TooManyError) Error() string {
	return "too many logins have failed from this address; try again in " + e.RetryAfter.String()
}
