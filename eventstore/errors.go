package eventstore

import "errors"

// The errors of this package. All of them are matched with [errors.Is].
var (
	// ErrInvalid: what was asked or given makes no sense, and nothing was changed. The message says what is wrong.
	ErrInvalid = errors.New("invalid")
	// ErrTooLarge: an event or a batch is larger than the limits of this package. Nothing was changed.
	ErrTooLarge = errors.New("too large")
	// ErrConflict: a condition of the append does not hold, see [ConflictError] for what was found. Nothing was changed.
	ErrConflict = errors.New("a condition of the append does not hold")
	// ErrEarlier: a batch before it in its [Sequence] was not added. Nothing was changed.
	ErrEarlier = errors.New("a batch before it in its sequence was not added")
	// ErrKeyReused: the key of the append was that of an append of other content. Nothing was changed.
	ErrKeyReused = errors.New("the key was used for something else")
	// ErrInUse: the name is that of a consumer that is open. Nothing was changed.
	ErrInUse = errors.New("in use")
	// ErrClosed: the store is closed or closing. Nothing was changed.
	ErrClosed = errors.New("the store is closed")
	// ErrUnknownOutcome: the commit failed in a way that leaves open whether the events are in the log. The store
	// has re-read its log before it answers anything else; read it to learn what became of them.
	ErrUnknownOutcome = errors.New("the outcome of the append is unknown")
	// ErrUnavailable: the store cannot write at present, for the reason in the message, and tries again by itself
	// at the next append. Nothing was changed; reading goes on.
	ErrUnavailable = errors.New("the store cannot write")
	// ErrReadOnly: the log is damaged and was opened for reading only, see [Store.Damage]. Nothing was changed.
	ErrReadOnly = errors.New("the log is damaged and can only be read")
	// ErrCompacted: the question is about events that have been removed, see [CompactedError] for what is left.
	ErrCompacted = errors.New("events have been removed")
	// ErrCorrupt: what is stored is not what was written. The message says where.
	ErrCorrupt = errors.New("the log is damaged")
)
