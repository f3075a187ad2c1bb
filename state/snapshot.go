package state

import (
	"context"
	"fmt"
	"iter"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/statehouse/statehouse/eventstore"
	entityv1 "github.com/statehouse/statehouse/gen/statehouse/entity/v1"
	"github.com/statehouse/statehouse/immutable"
	"github.com/statehouse/statehouse/storage"
)

// FoldVersion is the version of the fold in [Cache.Apply]. It changes when the same events would fold to something
// else, so that no snapshot of the other fold is taken for one of this.
const FoldVersion = 1

// Snapshot serialises the promoted version to the snapshots table, protobuf and zstd, wholly in the transaction tx.
// The position that it writes is that of the revision that it serialises: both come from one pointer.
func (c *Cache) Snapshot(ctx context.Context, tx storage.Tx) error {
	r := c.Revision()
	h := eventstore.SnapshotHeader{Owner: c.Name(), FoldVersion: FoldVersion, Position: r.Position}
	return eventstore.WriteSnapshot(ctx, tx, h, stateRecords(r))
}

// stateRecords yields the states of a revision, sorted by id, so that equal revisions make equal snapshots.
func stateRecords(r Revision) iter.Seq[proto.Message] {
	return func(yield func(proto.Message) bool) {
		for _, s := range r.Sorted() {
			if !yield(&entityv1.StateRecord{
				EntityId: s.EntityID, UpdatedAt: s.UpdatedAt.UnixNano(), UpdatedBy: s.UpdatedBy,
				Attributes: s.Attributes, Position: uint64(s.Position), ChangedAt: s.ChangedAt.UnixNano(),
			}) {
				return
			}
		}
	}
}

// Restore reads this cache's newest usable snapshot from the snapshots table into the current version and returns the
// snapshot's position, 0 if there is none. Snapshots that are damaged, foreign or of another fold are skipped; see
// [Cache.SnapshotFaults]. It must not run while anything is pending.
func (c *Cache) Restore(ctx context.Context, tx storage.Tx) (uint64, error) {
	at, err := c.RestoreUntil(ctx, tx, eventstore.MaxPosition)
	return uint64(at), err
}

// RestoreUntil is [Cache.Restore] of the newest usable snapshot at a position or before it.
func (c *Cache) RestoreUntil(ctx context.Context, tx storage.Tx, until eventstore.Position) (eventstore.Position, error) {
	var entities *immutable.Map[EntityID, State]
	at, faults, err := eventstore.ReadSnapshotUntil(ctx, tx, c.Name(), FoldVersion, until,
		func(records iter.Seq2[[]byte, error]) (err error) {
			entities, err = c.load(records)
			return err
		})
	c.faults = faults
	if err != nil {
		return 0, err
	}
	if entities == nil {
		entities = immutable.New[EntityID, State]()
	}
	c.pending, c.position = nil, at
	c.current.Store(&Revision{Position: at, Entities: entities})
	return at, nil
}

func (c *Cache) load(records iter.Seq2[[]byte, error]) (*immutable.Map[EntityID, State], error) {
	b := immutable.NewBuilder[EntityID, State]()
	for raw, err := range records {
		if err != nil {
			return nil, err
		}
		var r entityv1.StateRecord
		if err := proto.Unmarshal(raw, &r); err != nil {
			return nil, fmt.Errorf("state record: %w", err)
		}
		s := State{
			EntityID: r.GetEntityId(), UpdatedAt: time.Unix(0, r.GetUpdatedAt()).UTC(), UpdatedBy: r.GetUpdatedBy(),
			Attributes: r.GetAttributes(), Position: eventstore.Position(r.GetPosition()),
			ChangedAt: time.Unix(0, r.GetChangedAt()).UTC(),
		}
		if err := eventstore.CheckEntityID(s.EntityID); err != nil {
			return nil, fmt.Errorf("state record: %w", err)
		}
		if s.Attributes == nil {
			s.Attributes = &entityv1.Attributes{}
		}
		c.detector.watch(s)
		b.Set(s.EntityID, s)
	}
	return b.Map(), nil
}

// SnapshotFaults are the snapshots that the last Restore could not use, and why.
func (c *Cache) SnapshotFaults() []error { return c.faults }
