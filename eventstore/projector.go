package eventstore

import (
	"context"

	"github.com/statehouse/statehouse/storage"
)

// Projector is a deterministic fold over the log that runs inside the transactions that append to it.
//
// Apply, Promote and Discard have one caller at a time. Apply gets every event in the order of positions, exactly once
// for what is later promoted; what it makes of them may become visible to readers only at [Promoter.Promote]. An error
// of Apply fails the batch that the event is in, and no other. Apply must not depend on a clock, on an iteration order
// or on anything else that another replay of the same log would find different.
type Projector interface {
	// Name names the projector for good; its snapshots are kept under it.
	Name() string
	// Apply takes the next event into what is pending. The transaction is the one that the event is appended in, for
	// projectors that keep tables of their own.
	Apply(ctx context.Context, tx storage.Tx, e Event) error
	// Snapshot saves what is promoted; see [WriteSnapshot]. A projector that needs none returns nil.
	Snapshot(ctx context.Context, tx storage.Tx) error
	// Restore loads the newest snapshot that can be used and returns its position, 0 where there is none. Apply is
	// called next with the event after it. A snapshot that cannot be used is no error.
	Restore(ctx context.Context, tx storage.Tx) (uint64, error)
}

// Promoter is a [Projector] with pending state in memory.
type Promoter interface {
	// Promote makes visible what was pending: the transaction has committed.
	Promote()
}

// Discarder is a [Projector] with pending state in memory.
type Discarder interface {
	// Discard drops what is pending: the transaction was rolled back.
	Discard()
}

// SnapshotFaults is a [Projector] that can tell which snapshots its Restore could not use, and why.
type SnapshotFaults interface {
	SnapshotFaults() []error
}

// projectors are run together, in the order in which they were registered.
type projectors []Projector

func (ps projectors) promote() {
	for _, p := range ps {
		if p, ok := p.(Promoter); ok {
			p.Promote()
		}
	}
}

func (ps projectors) discard() {
	for _, p := range ps {
		if p, ok := p.(Discarder); ok {
			p.Discard()
		}
	}
}
