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
)

// House returns nil when, for the moment that is the present at the time of the call: the log has every position once
// and in order, recorded times do not go back, checksums and chain fit, sealed segments have filters that deny nothing
// of them, and the present and every snapshot are the fold of the log. Nobody may append meanwhile. Where the house was
// opened on snapshots that cannot be used, and said so, snapshots are left out.
func House(ctx context.Context, h *statehouse.House) error {
	return HouseShowing(ctx, h, func(eventstore.Event) error { return nil })
}

// HouseShowing is [House] that shows each event of the log, in order, to a function whose error ends it.
func HouseShowing(ctx context.Context, h *statehouse.House, show func(e eventstore.Event) error) error {
	now := h.Now()
	fold, err := FoldLog(func(yield func(eventstore.Event, error) bool) {
		for e, err := range h.Read(ctx, eventstore.Query{Until: now.Position()}) {
			if err == nil {
				err = show(e)
			}
			if !yield(e, err) {
				return
			}
		}
	})
	if err != nil {
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
	var recorded time.Time
	for e, err := range events {
		if err != nil {
			return nil, err
		}
		if err := fold.Add(e); err != nil {
			return nil, err
		}
		if e.RecordedAt.Before(recorded) {
			return nil, fmt.Errorf("position %d was recorded at %s, before the one before it", e.Position, e.RecordedAt)
		}
		recorded = e.RecordedAt
	}
	return fold, nil
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
