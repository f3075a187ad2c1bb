package statehouse

import (
	"context"
	"fmt"

	"github.com/statehouse/statehouse/eventstore"
	"github.com/statehouse/statehouse/registry"
	"github.com/statehouse/statehouse/state"
	"github.com/statehouse/statehouse/storage"
)

// restorer is what has snapshots.
type restorer interface {
	Name() string
	RestoreUntil(ctx context.Context, tx storage.Tx, until eventstore.Position) (eventstore.Position, error)
	SnapshotFaults() []error
}

// Snapshots are the snapshots that there are, sorted by owner and position, without reading them; see
// [House.VerifySnapshot].
func (h *House) Snapshots(ctx context.Context) ([]eventstore.SnapshotInfo, error) {
	return h.store.Snapshots(ctx, map[string]int{
		h.cache.Name(): state.FoldVersion, h.registry.Name(): registry.FoldVersion,
	})
}

// VerifySnapshot reads the snapshot of an owner at a position, as a start that used it would. What is wrong with it is in
// the Fault; the error is [ErrNotFound] where there is no such snapshot.
func (h *House) VerifySnapshot(ctx context.Context, owner string, at eventstore.Position) (eventstore.SnapshotInfo, error) {
	all, err := h.Snapshots(ctx)
	if err != nil {
		return eventstore.SnapshotInfo{}, err
	}
	for _, info := range all {
		if info.Owner == owner && info.Position == at {
			if info.Fault == nil {
				info.Fault, err = h.restoreFault(ctx, owner, at)
				info.Damaged = info.Fault != nil
			}
			return info, err
		}
	}
	return eventstore.SnapshotInfo{}, fmt.Errorf("%w: there is no snapshot of %s at position %d", ErrNotFound, owner, at)
}

// restoreFault is why a snapshot cannot be restored, nil if it can.
func (h *House) restoreFault(ctx context.Context, owner string, at eventstore.Position) (fault, err error) {
	var fresh restorer = state.New()
	if owner != fresh.Name() {
		fresh = registry.New()
	}
	err = h.store.View(ctx, func(tx storage.Tx) error {
		_, err := fresh.RestoreUntil(ctx, tx, at)
		if faults := fresh.SnapshotFaults(); len(faults) > 0 { // the first one is the one at that position
			fault = faults[0]
		}
		return err
	})
	return fault, err
}
