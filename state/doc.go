// Package state owns the in-memory copy-on-write cache of entity state. The cache is a materialized projection of the
// event log; the log is the source of truth.
//
// # Use
//
// A [Cache] is registered with an eventstore.Store, which calls [Cache.Apply] inside the transaction of an append and
// [Cache.Promote] after that transaction has committed, or [Cache.Discard] when it was rolled back. Readers call
// [Cache.Get], [Cache.View] and [Cache.Revision] at any time and from any goroutine, without locks: they see what was
// promoted last, whole batches only, and what they hold never changes afterwards.
//
// # What is shared
//
// The attributes of a [State] are one message for every reader, for the past and for the log's subscribers. Nobody may
// modify them. Set the environment variable STATEHOUSE_DETECT_MUTATIONS=1 to have every program that embeds this
// package check that nobody does: each promotion re-hashes a few of the states, [Cache.CheckMutations] re-hashes all
// of them, and what was modified is named, with a panic.
//
// # The fold
//
// Each event's effect is in [Cache.Apply]'s table; see there. FoldVersion counts the versions of that table: a snapshot
// of another version is not used.
package state
