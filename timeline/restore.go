package timeline

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"iter"
	"slices"
	"sync"

	"github.com/statehouse/statehouse/eventstore"
	"github.com/statehouse/statehouse/registry"
	"github.com/statehouse/statehouse/state"
	"github.com/statehouse/statehouse/storage"
)

// restore is the moment at a position, from the snapshots at one before it. It keeps that moment, and the one of the
// snapshots. States and registry are restored side by side, while the events behind them are read already. Where the
// snapshots cannot be used, those before them are, or the moment near.
func (t *Timeline) restore(ctx context.Context, near keptMoment, snapshot, to, oldest eventstore.Position) (keptMoment, error) {
	var running sync.WaitGroup
	defer running.Wait()
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	coming := func(f eventstore.Folder, restore func(tx storage.Tx) (eventstore.Position, error)) *coming {
		c := &coming{Folder: f, done: make(chan struct{})}
		running.Go(func() {
			defer close(c.done)
			c.err = t.store.View(ctx, func(tx storage.Tx) error {
				at, err := restore(tx)
				if err == nil && at != snapshot {
					err = errElsewhere
				}
				return err
			})
		})
		return c
	}
	cache, reg, entries := state.New(), registry.New(), (*ground)(nil)
	err := t.replayer.Replay(ctx, snapshot, to,
		coming(cache, func(tx storage.Tx) (eventstore.Position, error) { return cache.RestoreUntil(ctx, tx, snapshot) }),
		coming(reg, func(tx storage.Tx) (at eventstore.Position, err error) {
			at, entries, err = t.entries.restore(ctx, tx, reg, snapshot)
			return at, err
		}))
	if errors.Is(err, errElsewhere) {
		running.Wait()
		return t.restoreOlder(ctx, near, snapshot, to, oldest)
	}
	if err != nil {
		return keptMoment{}, err
	}
	base := keptMoment{Moment: Moment{State: cache.Revision(), Registry: reg.Revision()}, registry: entries}
	base.states = statesGround(base.State)
	t.kept.add(base)
	if to == snapshot {
		return base, nil
	}
	m := folded(base, promoted(cache, reg))
	t.kept.add(m)
	return m, nil
}

// coming is a projector that is being restored: events for it wait until that is done.
type coming struct {
	eventstore.Folder
	done chan struct{} // is closed when the projector is restored, or err set
	err  error
}

// errElsewhere says that a snapshot cannot be used.
var errElsewhere = errors.New("there is no usable snapshot at this position")

func (c *coming) Fold(ctx context.Context, tx storage.Tx, events *eventstore.Run) error {
	if <-c.done; c.err != nil {
		return c.err
	}
	return c.Folder.Fold(ctx, tx, events)
}

func (c *coming) Folded() error {
	if <-c.done; c.err != nil {
		return c.err
	}
	return c.Folder.Folded()
}

// restoreOlder is [Timeline.restore] from whatever snapshots up to a position can be used.
func (t *Timeline) restoreOlder(ctx context.Context, near keptMoment, until, to, oldest eventstore.Position) (keptMoment, error) {
	cache, reg, entries := state.New(), registry.New(), (*ground)(nil)
	err := t.store.View(ctx, func(tx storage.Tx) error {
		at, err := cache.RestoreUntil(ctx, tx, until)
		if err == nil {
			_, entries, err = t.entries.restore(ctx, tx, reg, at)
		}
		return err
	})
	if err != nil {
		return keptMoment{}, err
	}
	base := keptMoment{Moment: Moment{State: cache.Revision(), Registry: reg.Revision()}, registry: entries}
	switch removed := min(base.Position(), base.Registry.Position) < oldest; {
	case removed && near.Position() < oldest:
		return keptMoment{}, noSnapshotAt(oldest, slices.Concat(cache.SnapshotFaults(), reg.SnapshotFaults())...)
	case removed || base.Position() <= near.Position():
		return t.fold(ctx, near, to)
	}
	if base.Registry.Position < base.Position() {
		if err := t.replayer.Replay(ctx, base.Registry.Position, base.Position(), reg); err != nil {
			return keptMoment{}, err
		}
		reg.Promote()
		base.Registry = reg.Revision()
		base.registry = registryGround(base.Registry)
	}
	base.states = statesGround(base.State)
	t.kept.add(base)
	return t.fold(ctx, base, to)
}

// restoredEntries is the registry that was restored last. Registries change seldom, so that the next snapshot mostly has
// the same entries: then moments far from each other share them, and nothing needs to be decoded.
type restoredEntries struct {
	sum      [sha256.Size]byte // of the snapshot's records
	revision registry.Revision
	ground   *ground // nil before the first one
}

// restore restores a new registry from its newest usable snapshot at a position or before it.
func (r *restoredEntries) restore(ctx context.Context, tx storage.Tx, into *registry.Registry, until eventstore.Position) (
	at eventstore.Position, on *ground, err error,
) {
	var sum [sha256.Size]byte
	at, _, err = eventstore.ReadSnapshotUntil(ctx, tx, into.Name(), registry.FoldVersion, until,
		func(parts iter.Seq2[eventstore.SnapshotPart, error]) (err error) {
			sum, err = sumOf(parts)
			return err
		})
	if err != nil {
		return 0, nil, err
	}
	if at != 0 && r.ground != nil && sum == r.sum {
		same := r.revision
		same.Position = at
		into.Adopt(registry.NewAt(same))
		return at, r.ground, nil
	}
	restored, err := into.RestoreUntil(ctx, tx, at)
	if err != nil {
		return 0, nil, err
	}
	on = registryGround(into.Revision())
	if restored == at {
		*r = restoredEntries{sum, into.Revision(), on}
	}
	return restored, on, nil
}

// sumOf hashes the records of a snapshot, and which of them are those of a delta.
func sumOf(parts iter.Seq2[eventstore.SnapshotPart, error]) (sum [sha256.Size]byte, err error) {
	h := sha256.New()
	for p, err := range parts {
		if err != nil {
			return sum, err
		}
		kind := byte(0)
		if p.Delta {
			kind = 1
		}
		for record, err := range p.Records() {
			if err != nil {
				return sum, err
			}
			var head [9]byte
			head[0] = kind
			binary.LittleEndian.PutUint64(head[1:], uint64(len(record)))
			h.Write(head[:])
			h.Write(record)
		}
	}
	return [sha256.Size]byte(h.Sum(nil)), nil
}
