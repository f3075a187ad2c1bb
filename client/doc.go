// Package client is a house in another process: the services of proto/statehouse/v1 with the types of this module.
//
// [Dial] and [DialSocket] make a [Client]; neither asks the server anything. Methods take a context, which ends them, and
// may be called by any number of goroutines. Sequences end with an error, which is the last thing that they yield; whoever
// breaks off ends the stream. All that is handed out belongs to the caller.
//
// # Errors
//
// An error that the server answers with is an [*Error], which wraps the error of this module that it stands for:
// [statehouse.ErrNotFound], [eventstore.ErrInvalid], a [*eventstore.ConflictError], a [*eventstore.CompactedError] and so on;
// for tokens [ErrUnauthenticated] and [ErrForbidden], for commands [ErrUnsupported] and [ErrDisabled]. Other errors are those of the way to the server.
//
// # Interruptions
//
// [Client.Watch] comes back by itself when the connection is lost, and goes on where it was. Nothing else is tried again: an
// append whose answer is lost is safe to repeat if it had a key ([eventstore.Key]), and a subscription goes on after the
// position of its last event.
package client
