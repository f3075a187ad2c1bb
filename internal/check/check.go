// Package check asserts the invariants of docs/architecture.md on an open house, by reading it the long way: the whole
// log, event by event, folded by hand.
package check

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"time"

	"github.com/statehouse/statehouse"
	"github.com/statehouse/statehouse/eventstore"
	"github.com/statehouse/statehouse/registry"
	"github.com/statehouse/statehouse/timeline"
)

// House returns nil when, for the moment that is the present at the time of the call: the log has every position once
// and in order, recorded times do not go back, checksums and chain fit, sealed segments have filters that deny nothing
// of them, and the present and every snapshot are the fold of the log. Nobody may append meanwhile. Where the house was
// opened on snapshots that cannot be used, and said so, snapshots are left out. Where history has been removed, the fold
// begins with the oldest moment, and the log behind it.
func House(ctx context.Context, h *statehouse.House) error {
	now := h.Now()
	base, _ := h.Base()
	oldest, err := h.AsOf(ctx, base)
	if err != nil {
		return err
	}
	fold := foldOf(oldest)
	if err := fold.addAll(h.Read(ctx, eventstore.Query{After: base, Until: now.Position()})); err != nil {
		return err
	}
	if err := fold.CompareStates(now.State); err != nil {
		return fmt.Errorf("the present is not the fold of the log: %w", err)
	}
	if err := fold.CompareRegistry(now.Registry); err != nil {
		return fmt.Errorf("the registry is not the fold of the log: %w", err)
	}
	var found []error
	_, err = h.Verify(ctx, eventstore.InspectOptions{Found: func(f eventstore.Finding) {
		if f.Kind != eventstore.FindingSnapshot || len(h.Recovered().Faults) == 0 {
			found = append(found, f.Err())
		}
	}})
	return errors.Join(append(found, err)...)
}

// FoldLog folds events from the first one on and checks their order.
func FoldLog(events func(yield func(eventstore.Event, error) bool)) (*Fold, error) {
	fold := NewFold()
	return fold, fold.addAll(events)
}

// foldOf is the fold that goes on from a moment.
func foldOf(m timeline.Moment) *Fold {
	return &Fold{
		Position: m.Position(), States: maps.Collect(m.State.Entities.All()),
		Entities: maps.Collect(m.Registry.Entities.All()), Devices: maps.Collect(m.Registry.Devices.All()),
		Areas:          maps.Collect(m.Registry.Areas.All()),
		FormerEntities: maps.Collect(m.Registry.FormerEntities.All()), FormerDevices: maps.Collect(m.Registry.FormerDevices.All()),
	}
}

// addAll folds the next events and checks their order.
func (f *Fold) addAll(events func(yield func(eventstore.Event, error) bool)) error {
	var recorded time.Time
	for e, err := range events {
		if err != nil {
			return err
		}
		if err := f.Add(e); err != nil {
			return err
		}
		if e.RecordedAt.Before(recorded) {
			return fmt.Errorf("position %d was recorded at %s, before the one before it", e.Position, e.RecordedAt)
		}
		recorded = e.RecordedAt
	}
	return nil
}

// CompareRegistry says how a revision of the registry differs from the fold, nil if it does not.
func (f *Fold) CompareRegistry(r registry.Revision) error {
	if r.Position != f.Position {
		return fmt.Errorf("the registry is at position %d, the fold at %d", r.Position, f.Position)
	}
	if err := sameMessages("entity", maps.Collect(r.Entities.All()), f.Entities); err != nil {
		return err
	}
	if err := sameMessages("device", maps.Collect(r.Devices.All()), f.Devices); err != nil {
		return err
	}
	if err := sameMessages("area", maps.Collect(r.Areas.All()), f.Areas); err != nil {
		return err
	}
	if err := sameMessages("former entity", maps.Collect(r.FormerEntities.All()), f.FormerEntities); err != nil {
		return err
	}
	if err := sameMessages("former device", maps.Collect(r.FormerDevices.All()), f.FormerDevices); err != nil {
		return err
	}
	for id, e := range f.Entities {
		if e.GetUniqueId() == "" {
			continue
		}
		if found, ok := r.EntityByUniqueID(e.GetUniqueId()); !ok || found.GetId() != id {
			return fmt.Errorf("unique id %q leads to %q instead of %s", e.GetUniqueId(), found.GetId(), id)
		}
	}
	return nil
}
