package registry

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"

	"google.golang.org/protobuf/proto"

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
	rev := r.Revision()
	h := eventstore.SnapshotHeader{Owner: r.Name(), FoldVersion: FoldVersion, Position: rev.Position}
	return eventstore.WriteSnapshot(ctx, tx, h, registryRecords(rev))
}

// registryRecords yields the entries of a revision in a fixed order: areas, devices, entities, former devices, former
// entities, each sorted by id, and those of one id by unique id.
func registryRecords(r Revision) iter.Seq[proto.Message] {
	return func(yield func(proto.Message) bool) {
		for _, a := range sorted(r.Areas) {
			if !yield(&entityv1.RegistryRecord{Entry: &entityv1.RegistryRecord_Area{Area: a}}) {
				return
			}
		}
		for _, d := range sorted(r.Devices) {
			if !yield(&entityv1.RegistryRecord{Entry: &entityv1.RegistryRecord_Device{Device: d}}) {
				return
			}
		}
		for _, e := range sorted(r.Entities) {
			if !yield(&entityv1.RegistryRecord{Entry: &entityv1.RegistryRecord_Entity{Entity: e}}) {
				return
			}
		}
		for _, d := range sorted(r.FormerDevices) {
			if !yield(&entityv1.RegistryRecord{Entry: &entityv1.RegistryRecord_FormerDevice{FormerDevice: d}}) {
				return
			}
		}
		for _, e := range sorted(r.FormerEntities) {
			if !yield(&entityv1.RegistryRecord{Entry: &entityv1.RegistryRecord_FormerEntity{FormerEntity: e}}) {
				return
			}
		}
	}
}

// sorted are a map's values, sorted by id and then by key: of former entities several may have had one id.
func sorted[V interface{ GetId() string }](m *immutable.Map[string, V]) []V {
	type entry struct {
		key   string
		value V
	}
	entries := make([]entry, 0, m.Len())
	for key, value := range m.All() {
		entries = append(entries, entry{key, value})
	}
	slices.SortFunc(entries, func(a, b entry) int {
		return cmp.Or(cmp.Compare(a.value.GetId(), b.value.GetId()), cmp.Compare(a.key, b.key))
	})
	values := make([]V, len(entries))
	for i, e := range entries {
		values[i] = e.value
	}
	return values
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
		func(records iter.Seq2[[]byte, error]) error {
			loaded = emptyRevision()
			return loaded.load(records)
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

func (r *Revision) load(records iter.Seq2[[]byte, error]) error {
	for raw, err := range records {
		if err != nil {
			return err
		}
		var record entityv1.RegistryRecord
		if err := proto.Unmarshal(raw, &record); err != nil {
			return fmt.Errorf("registry record: %w", err)
		}
		switch e := record.GetEntry().(type) {
		case *entityv1.RegistryRecord_Area:
			r.Areas = r.Areas.Set(e.Area.GetId(), e.Area)
		case *entityv1.RegistryRecord_Device:
			r.Devices = r.Devices.Set(e.Device.GetId(), e.Device)
		case *entityv1.RegistryRecord_Entity:
			if err := r.setEntity(e.Entity); err != nil {
				return err
			}
		case *entityv1.RegistryRecord_FormerDevice:
			r.FormerDevices = r.FormerDevices.Set(e.FormerDevice.GetId(), e.FormerDevice)
		case *entityv1.RegistryRecord_FormerEntity:
			r.FormerEntities = r.FormerEntities.Set(e.FormerEntity.GetUniqueId(), e.FormerEntity)
		default:
			return errors.New("registry record: it holds nothing")
		}
	}
	return nil
}

// SnapshotFaults are the snapshots that the last Restore could not use, and why.
func (r *Registry) SnapshotFaults() []error { return r.faults }
