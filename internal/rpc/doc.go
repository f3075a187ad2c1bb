// Package rpc serves a house over gRPC, gRPC-Web and the Connect protocol: the services of proto/statehouse/v1.
//
// # Use
//
// [New] makes a [Service], whose [Service.Handlers] somebody mounts behind a door that finds out who asks and puts that
// into the request's context ([access.With]). There is one policy table: a procedure that it does not name is denied, and
// whoever may not call one is refused before a message of his is read.
//
// # What goes out
//
// Who is restricted to some entities gets nothing of the others. Lists go out in messages of some hundred kilobytes, all
// of one moment, which is a value: a slow reader holds nobody up, and keeps that moment in memory. A client that takes nothing
// for [Options.WriteTimeout] is dropped; one whose identity has ended within a second.
//
// # Errors
//
// Errors that handlers answer with carry an ErrorDetail with the code of package api; what comes of a request that cannot be
// read at all has the code of the protocol alone. What is in no table is a defect: it is logged, and its text stays here.
package rpc
