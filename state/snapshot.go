package state

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"sync"

	"github.com/statehouse/statehouse/eventstore"
	"github.com/statehouse/statehouse/immutable"
	"github.com/statehouse/statehouse/storage"
)

// FoldVersion is the version of the fold in [Cache.Apply]. It changes when the same events would fold to something
// else, so that no snapshot of the other fold is taken for one of this.
const FoldVersion = 1

// Snapshot serialises the promoted version to the snapshots table, protobuf and zstd, wholly in the transaction tx.
// The position that it writes is that of the revision that it serialises: both come from one pointer.
func (c *Cache) Snapshot(ctx context.Context, tx storage.Tx) error {
	return eventstore.WriteCapture(ctx, tx, c.Capture())
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
		func(parts iter.Seq2[eventstore.SnapshotPart, error]) (err error) {
			entities, err = c.load(parts)
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

// load decodes a snapshot.
func (c *Cache) load(parts iter.Seq2[eventstore.SnapshotPart, error]) (*immutable.Map[EntityID, State], error) {
	decoders := sync.Pool{New: func() any { return newDecoder(c.detector) }}
	var full [][]State
	var b *immutable.Builder[EntityID, State] // once the full one is there
	for p, err := range eventstore.DecodeParts(parts, func(p eventstore.SnapshotPart) (decoded, error) {
		d := decoders.Get().(*decoder)
		defer decoders.Put(d)
		return d.part(p)
	}) {
		if err != nil {
			return nil, fmt.Errorf("state record: %w", err)
		}
		if !p.delta {
			if len(p.removed) > 0 {
				return nil, errors.New("state record: one that removes a state is in a full snapshot")
			}
			full = append(full, p.chunks...)
			continue
		}
		if b == nil {
			b, full = gather(full).Builder(), nil
		}
		for _, states := range p.chunks {
			for i := range states {
				b.Set(states[i].EntityID, states[i])
			}
		}
		for _, id := range p.removed {
			b.Delete(id)
		}
	}
	if b != nil {
		return b.Map(), nil
	}
	return gather(full), nil
}

func gather(chunks [][]State) *immutable.Map[EntityID, State] {
	return immutable.Gather(chunks, func(s *State) EntityID { return s.EntityID })
}

// SnapshotFaults are the snapshots that the last Restore could not use, and why.
func (c *Cache) SnapshotFaults() []error { return c.faults }
