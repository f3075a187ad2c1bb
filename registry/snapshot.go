package registry

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"sync"

	"github.com/statehouse/statehouse/eventstore"
	entityv1 "github.com/statehouse/statehouse/gen/statehouse/entity/v1"
	"github.com/statehouse/statehouse/immutable"
	"github.com/statehouse/statehouse/storage"
)

// FoldVersion is the version of the fold in [Registry.Apply]. It changes when the same events would fold to something
// else.
const FoldVersion = 2

// Snapshot serialises the promoted revision to the snapshots table, wholly in the transaction tx.
func (r *Registry) Snapshot(ctx context.Context, tx storage.Tx) error {
	return eventstore.WriteCapture(ctx, tx, r.Capture())
}

// Restore loads the newest usable snapshot and returns its position, 0 if there is none. It must not run while
// anything is pending.
func (r *Registry) Restore(ctx context.Context, tx storage.Tx) (uint64, error) {
	at, err := r.RestoreUntil(ctx, tx, eventstore.MaxPosition)
	return uint64(at), err
}

// RestoreUntil is [Registry.Restore] of the newest usable snapshot at a position or before it.
func (r *Registry) RestoreUntil(ctx context.Context, tx storage.Tx, until eventstore.Position) (eventstore.Position, error) {
	loaded := emptyRevision()
	at, faults, err := eventstore.ReadSnapshotUntil(ctx, tx, r.Name(), FoldVersion, until,
		func(parts iter.Seq2[eventstore.SnapshotPart, error]) (err error) {
			loaded, err = load(parts)
			return err
		})
	r.faults = faults
	if err != nil {
		return 0, err
	}
	if at == 0 {
		loaded = emptyRevision()
	}
	loaded.Position = at
	r.pending = nil
	r.current.Store(loaded)
	return at, nil
}

// loading is a revision that is being read.
type loading struct {
	entities, formerEntities immutable.Builder[string, *entityv1.Entity]
	devices, formerDevices   immutable.Builder[string, *entityv1.Device]
	areas                    immutable.Builder[string, *entityv1.Area]
	pending                  immutable.Builder[string, *entityv1.PendingCommands]
}

// load makes a revision of the records of a snapshot.
func load(parts iter.Seq2[eventstore.SnapshotPart, error]) (*Revision, error) {
	var l loading
	sharings := sync.Pool{New: func() any { return new(sharing) }}
	for records, err := range eventstore.DecodeParts(parts, func(p eventstore.SnapshotPart) ([]*entityv1.RegistryRecord, error) {
		s := sharings.Get().(*sharing)
		defer sharings.Put(s)
		return decode(p, s)
	}) {
		if err != nil {
			return nil, fmt.Errorf("registry record: %w", err)
		}
		for _, record := range records {
			if err := l.add(record); err != nil {
				return nil, fmt.Errorf("registry record: %w", err)
			}
		}
	}
	return l.revision()
}

func decode(p eventstore.SnapshotPart, s *sharing) (records []*entityv1.RegistryRecord, err error) {
	for raw, err := range p.Records() {
		if err != nil {
			return nil, err
		}
		record, err := s.record(raw)
		if err != nil {
			return nil, err
		}
		if record.GetRemoved() && !p.Delta {
			return nil, errors.New("one that removes an entry is in a full snapshot")
		}
		records = append(records, record)
	}
	return records, nil
}

func (l *loading) add(record *entityv1.RegistryRecord) error {
	gone := record.GetRemoved()
	switch e := record.GetEntry().(type) {
	case *entityv1.RegistryRecord_Area:
		put(&l.areas, e.Area.GetId(), e.Area, gone)
	case *entityv1.RegistryRecord_Device:
		put(&l.devices, e.Device.GetId(), e.Device, gone)
	case *entityv1.RegistryRecord_Entity:
		put(&l.entities, e.Entity.GetId(), e.Entity, gone)
	case *entityv1.RegistryRecord_FormerDevice:
		put(&l.formerDevices, e.FormerDevice.GetId(), e.FormerDevice, gone)
	case *entityv1.RegistryRecord_FormerEntity:
		put(&l.formerEntities, e.FormerEntity.GetUniqueId(), e.FormerEntity, gone)
	case *entityv1.RegistryRecord_Pending:
		put(&l.pending, e.Pending.GetId(), e.Pending, gone)
	default:
		return errors.New("it holds nothing")
	}
	return nil
}

func put[M any](to *immutable.Builder[string, M], key string, entry M, gone bool) {
	if gone {
		to.Delete(key)
	} else {
		to.Set(key, entry)
	}
}

// revision is what was read, with its indexes.
func (l *loading) revision() (*Revision, error) {
	r := &Revision{
		Entities: l.entities.Map(), Devices: l.devices.Map(), Areas: l.areas.Map(),
		FormerEntities: l.formerEntities.Map(), FormerDevices: l.formerDevices.Map(),
		Pending: l.pending.Map(),
	}
	var byUnique immutable.Builder[string, *entityv1.Entity]
	var ofDevices []*entityv1.Entity
	for id, e := range r.Entities.All() {
		if u := e.GetUniqueId(); u != "" {
			if owner, ok := byUnique.Get(u); ok {
				return nil, fmt.Errorf("registry record: %s and %s have one unique id, %q", min(id, owner.GetId()), max(id, owner.GetId()), u)
			}
			byUnique.Set(u, e)
		}
		if e.GetDeviceId() != "" {
			ofDevices = append(ofDevices, e)
		}
	}
	r.byUnique, r.byDevice = byUnique.Map(), byDevice(ofDevices)
	return r, nil
}

// byDevice is the index of entries by device, which each has. It reorders them.
func byDevice(entries []*entityv1.Entity) *immutable.Map[string, []*entityv1.Entity] {
	slices.SortFunc(entries, func(a, b *entityv1.Entity) int {
		return cmp.Or(cmp.Compare(a.GetDeviceId(), b.GetDeviceId()), cmp.Compare(a.GetId(), b.GetId()))
	})
	var index immutable.Builder[string, []*entityv1.Entity]
	for len(entries) > 0 {
		d, n := entries[0].GetDeviceId(), 1
		for n < len(entries) && entries[n].GetDeviceId() == d {
			n++
		}
		index.Set(d, slices.Clone(entries[:n])) // lists of one device must not keep the entries of all others alive
		entries = entries[n:]
	}
	return index.Map()
}

// SnapshotFaults are the snapshots that the last Restore could not use, and why.
func (r *Registry) SnapshotFaults() []error { return r.faults }
