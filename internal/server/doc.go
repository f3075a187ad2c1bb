// Package server is the daemon's HTTP interface: the states, the registry, the past of both, the log, the stream of
// changes, health and metrics. Its JSON is that of package api.
//
// # Two doors
//
// Over TCP every request needs a token, of the scope that its route names; a route that names none is nobody's. Addresses that
// other machines can reach need TLS. A request must name a host of the allow-list in its Host header, so that a page in a browser
// cannot reach it under a name of its own. The unix socket beside the database, of mode 0600, is for the owner: the same routes
// without a token, and profiles.
//
// What is asked with a token ends with it, within a second, and is not begun where the token ended before all of the request
// was there.
//
// The server listens before there is a house: until [Server.SetHouse], /healthz answers 200, /readyz says
// "replaying", and /v1 answers 503 with Retry-After.
//
// # The stream of changes
//
// GET /v1/changes answers with server-sent events. A reader keeps states by id, and comes out with those of the
// house, by four rules:
//
//	event: state    the State of one entity: keep it
//	event: ready    the whole state has been sent; data is a Ready
//	event: change   a Change, one for each event of the log: keep each of its states, drop the ids in removed
//	event: reset    a Reset with the reason: drop everything, for the whole state follows: state …, ready
//	event: error    an Error; the stream ends
//
// A stream begins with the whole state, all of it at the one position of ready, and goes on with every later event in
// the order of the log, each exactly once: nothing lies between the state and the first change. The changes of a batch
// come one after another.
//
// ready and change have an id, "<the database>-<position>". A reader that comes back with it, in the header
// Last-Event-ID or as ?last_event_id=, gets the changes after that position from the log, however long it was away and
// whatever was restarted meanwhile, and neither state nor ready. Where that is impossible, because the id is of another
// database, or beyond the end of the log, or none, or the log cannot be read there any more, there is a reset. What goes before ready
// has the id "incomplete", with which a reader that is cut off there comes back, and begins again with a reset. What comes between two messages as an id without
// data (on a filtered stream, with the heartbeat) only moves the position to come back with.
//
// The states of a change are complete, with the attributes that the event gave them and the commands that waited after it.
// Their names and areas are the newest that are known when the change is sent, which may be later ones. A change of an
// area's or a device's name brings the states of all entities that it names.
//
// ?entity= and ?domain=, each as often as you like, restrict both the states and the changes.
//
// # A slow reader
//
// A stream reads the log at the pace of its reader and holds nothing of the store's meanwhile. One that takes nothing
// for [Options.WriteTimeout] is dropped; it may come back with its last id. Streams beyond [Options.MaxStreams] are
// refused with 503. When the server closes, streams end with a comment.
package server
