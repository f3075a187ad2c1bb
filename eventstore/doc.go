// Package eventstore is the log: events in one total order, durable before they are acknowledged, hashed into a chain,
// and folded by projectors inside the transactions that append them.
//
// # The way of an append
//
// [Store.Append] encodes and hashes its events in the caller's goroutine, queues them, and waits. One goroutine, the
// writer, owns the connection that writes:
//
//  1. It takes everything that is queued, bounded in bytes: a group. A lone caller waits for nobody.
//  2. For each batch of the group, in order: a known key is answered; conditions are checked; a decision is run;
//     positions and the recorded time are assigned; the projectors apply the events to what is pending; the key is kept.
//  3. The group's events become one row of the table segments, with the chain's value after them. Cursors that were
//     acknowledged meanwhile go with them.
//  4. COMMIT, which is synced to disk.
//  5. The projectors promote what was pending; the head moves; each caller gets its answer; then subscribers are woken.
//
// What that keeps true, by the numbers of docs/architecture.md: positions are assigned by one goroutine in the
// transaction that stores them (I1); nobody is answered before step 4 (I2); a batch is in one row (I3); readers see
// what step 5 promoted and never what is pending (I4); a caller is answered after step 5 (I5); the projectors see
// exactly the committed events, in order (I6).
//
// # Failure
//
// A batch whose decision or projector fails gets that error, and the group is done again without it; a panic, and the end
// of the goroutine, are such failures. Whatever fails before COMMIT rolls the group back and is answered with
// [ErrUnavailable]: nothing was changed. A COMMIT that fails leaves open what became of the group: the store re-opens its
// file, moves the WAL into the database, re-reads and checks the tail of the log, folds what it finds, and answers
// [ErrUnknownOutcome]; a [Key] makes it safe to append again. While that does not succeed, appends fail with
// [ErrUnavailable] and reading goes on. [Stats.Fault] says why, until a commit has succeeded. A WAL that another process has
// left is treated alike, at the start: that process may have ended because a sync had failed, and then what reads back
// from the WAL need not be on the disk.
//
// # Reading
//
// [Store.Read] and [Store.Subscribe] read the log itself, page by page, and hold no transaction open while their
// consumer works: a slow subscriber reads later, loses nothing and slows nobody. Where a query names entities, sealed
// segments without them are left out, by what is known of all of them in memory, and others are opened ahead of the
// consumer by goroutines that end with the read. What was just committed subscribers
// take from memory, where the last 4,096 events are, or fewer where they have more than 8 MiB, as long as somebody
// subscribes. They are woken by a goroutine of its own: up to 32 at once after a commit, further ones in turns, so that a
// thousand hear of it within some tens of milliseconds, and take but a fraction of a processor. Readers see positions up to
// [Store.Head], thus only what the projectors have promoted. A [Consumer] is a subscription whose place is kept in the
// file, a [Follower] one that runs a handler.
//
// # Testing against it
//
// Open a database in a temporary directory; [Options.Clock] is the only clock. [Store.Verify] recomputes the chain
// over the whole log.
package eventstore
