package eventstore

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/statehouse/statehouse/storage"
)

// Projector is a deterministic fold over the log that runs inside the transactions that append to it. [Store.Follow] is
// for what may come later than the append.
//
// Apply, Promote and Discard have one caller at a time. Apply gets every event in the order of positions, exactly once
// for what is later promoted; what it makes of them may become visible to readers only at [Promoter.Promote]. An error
// of Apply, a panic, or the end of its goroutine, fails the batch that the event is in, and no other. Apply must not
// depend on a clock, on an iteration order or on anything else that another replay of the same log would find different.
//
// What a projector has is either all in memory, and then it is a [Promoter] and a [Discarder], or all in tables of its
// own, which it changes through the transactions that it is given, and then it is neither: what is committed or rolled
// back with the log needs no more. It makes its tables in Restore, and keeps in one of them the position of the last
// event that it was given, or of the last one that changed anything.
type Projector interface {
	// Name names the projector for good, and no other one of the store; its snapshots are kept under it.
	Name() string
	// Apply takes the next event into what is pending. The transaction is the one that the event is appended in, for
	// projectors that keep tables of their own.
	Apply(ctx context.Context, tx storage.Tx, e Event) error
	// Snapshot saves what is promoted; see [WriteSnapshot]. A projector that needs none returns nil. It runs in the
	// writer's turn, and is not called for a [SnapshotSource], which is saved beside the writer.
	Snapshot(ctx context.Context, tx storage.Tx) error
	// Restore loads the newest snapshot that can be used and returns its position, 0 where there is none. Apply is
	// called next with the event after it. A snapshot that cannot be used is no error. A projector with tables returns
	// the position that they are at; for them the transaction is committed before any event is applied.
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

// Folder is a [Projector] that takes the events of a replay many at a time, which saves it from decoding what later
// events replace. What it makes of them must be what Apply makes of them one by one.
type Folder interface {
	// Fold takes the next events into what is pending. The run is valid until it returns.
	Fold(ctx context.Context, tx storage.Tx, events *Run) error
	// Folded is called after the last Fold and before Apply, Promote or anything else; an error fails the replay.
	Folded() error
}

// Run is a sequence of consecutive events whose payloads are not decoded. Events are numbered from 0.
type Run struct {
	run      *run
	from, to int // of its events
}

// Len is the number of events.
func (r *Run) Len() int { return r.to - r.from }

// First is the position of event 0.
func (r *Run) First() Position { return r.run.position(r.from) }

// Entity is the id of the entity that event i is about, empty where it is about none.
func (r *Run) Entity(i int) string { return r.run.records[r.from+i].entity }

// Source is who reported event i.
func (r *Run) Source(i int) string { return r.run.records[r.from+i].source }

// Kind is the kind of event i.
func (r *Run) Kind(i int) Kind { return r.run.records[r.from+i].kind() }

// Timestamp is when event i happened, in UTC; see [Event].
func (r *Run) Timestamp(i int) time.Time {
	t := r.run.records[r.from+i].timestamp
	if t == 0 {
		t = r.run.recorded[r.from+i]
	}
	return time.Unix(0, t).UTC()
}

// Payload is the payload of event i as a protobuf message, not to be modified or kept.
func (r *Run) Payload(i int) []byte { return r.run.records[r.from+i].payload }

// Event decodes event i, which may be kept.
func (r *Run) Event(i int) (Event, error) { return r.run.event(r.from + i) }

// EntityPositions is a [Projector] that knows entities, which conditions need; see [EntityAt].
type EntityPositions interface {
	// PendingEntityPosition is the position of the last event about an entity, in what is pending: 0 if it is absent or
	// unregistered. The writer calls it between two calls of Apply.
	PendingEntityPosition(entity string) Position
}

// SnapshotFaults is a [Projector] that can tell which snapshots its Restore could not use, and why.
type SnapshotFaults interface {
	SnapshotFaults() []error
}

// SnapshotRestorer is a [Projector] that can be restored to another snapshot than its newest one, which takes the place of
// events that have been removed; see [Store.Compact].
type SnapshotRestorer interface {
	// RestoreUntil is Restore of the newest usable snapshot at a position or before it.
	RestoreUntil(ctx context.Context, tx storage.Tx, until Position) (Position, error)
}

// projectors are run together, in the order in which they were registered.
type projectors []Projector

// checkNames says which two of them have one name, and so would have each other's snapshots.
func (ps projectors) checkNames() error {
	taken := map[string]bool{}
	for _, p := range ps {
		if taken[p.Name()] {
			return fmt.Errorf("%w: two projectors are named %q; each needs a name of its own", ErrInvalid, p.Name())
		}
		taken[p.Name()] = true
	}
	return nil
}

func (ps projectors) promote() {
	for _, p := range ps {
		if p, ok := p.(Promoter); ok {
			p.Promote()
		}
	}
}

// entities is the first of them that knows entities, nil for none.
func (ps projectors) entities() EntityPositions {
	for _, p := range ps {
		if p, ok := p.(EntityPositions); ok {
			return p
		}
	}
	return nil
}

// write says that one of them may write into the file: a [Discarder] only reads.
func (ps projectors) write() bool {
	return slices.ContainsFunc(ps, func(p Projector) bool {
		_, reads := p.(Discarder)
		return !reads
	})
}

func (ps projectors) folded() error {
	for _, p := range ps {
		if p, ok := p.(Folder); ok {
			if err := p.Folded(); err != nil {
				return err
			}
		}
	}
	return nil
}

func (ps projectors) discard() {
	for _, p := range ps {
		if p, ok := p.(Discarder); ok {
			p.Discard()
		}
	}
}
