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

// House returns nil when, for the moment that is the present at the time of the call:
//
//   - the log has every position once and in order, and recorded times do not go back (I1),
//   - checksums and chain fit, and sealed segments have filters that deny nothing of them,
//   - the present and every snapshot are the fold of the log, and so is the past at every position (I6, I7),
//   - reads of one entity, and of a kind, yield exactly what of the log matches, forward and backward (I10),
//   - a subscription yields every event exactly once and in order, from wherever it asks (I9).
//
// What would take longer with the square of the log is looked at in as many places as [effort] allows. Nobody may append
// meanwhile. Where the house was opened on snapshots that cannot be used, and said so, snapshots are left out.
//
// Checksums, chain, filters and snapshots are those of [statehouse.House.Verify], which is the verification that the
// program has; the rest is done here once more, in the plainest way.
func House(ctx context.Context, h *statehouse.House) error {
	begin, err := beginning(ctx, h)
	var events []eventstore.Event
	if err == nil {
		err = Quick(ctx, h, func(e eventstore.Event) error { events = append(events, e); return nil })
	}
	if err == nil {
		err = checkPast(ctx, h, begin, events)
	}
	if err == nil {
		err = Reads(ctx, h.Store(), events)
	}
	if err == nil {
		err = Verify(ctx, h)
	}
	return err
}

// Quick reads the log once, and returns nil when every position is there and the present is the fold. It shows each event of
// the log, in order, to a function, whose error ends it.
func Quick(ctx context.Context, h *statehouse.House, show func(e eventstore.Event) error) error {
	now := h.Now()
	begin, err := beginning(ctx, h)
	if err != nil {
		return err
	}
	fold := begin.Clone()
	err = fold.AddLog(func(yield func(eventstore.Event, error) bool) {
		for e, err := range h.Read(ctx, eventstore.Query{After: begin.Position, Until: now.Position()}) {
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
	return nil
}

// Verify returns what the program's own verification finds.
func Verify(ctx context.Context, h *statehouse.House) error {
	var found []error
	_, err := h.Verify(ctx, eventstore.InspectOptions{Found: func(f eventstore.Finding) {
		if f.Kind != eventstore.FindingSnapshot || len(h.Recovered().Faults) == 0 {
			found = append(found, f.Err())
		}
	}})
	return errors.Join(append(found, err)...)
}

// beginning is the fold of what has been removed of a log, which only a snapshot still tells.
func beginning(ctx context.Context, h *statehouse.House) (*Fold, error) {
	fold := NewFold()
	base, _ := h.Store().Base()
	if base == 0 {
		return fold, nil
	}
	m, err := h.AsOf(ctx, base)
	if err != nil {
		return nil, fmt.Errorf("the oldest moment: %w", err)
	}
	fold.Position, fold.States = base, maps.Collect(m.State.Entities.All())
	fold.Entities, fold.Devices, fold.Areas = maps.Collect(m.Registry.Entities.All()), maps.Collect(m.Registry.Devices.All()), maps.Collect(m.Registry.Areas.All())
	fold.FormerEntities, fold.FormerDevices = maps.Collect(m.Registry.FormerEntities.All()), maps.Collect(m.Registry.FormerDevices.All())
	fold.Pending = maps.Collect(m.Registry.Pending.All())
	return fold, nil
}

// Store returns nil when what [House] says of the log holds of a store, which need not have a house's projectors.
func Store(ctx context.Context, s *eventstore.Store) error {
	var events []eventstore.Event
	fold := NewFold() // of what has been removed nobody here knows what it was
	fold.Position, _ = s.Base()
	if err := fold.AddLog(func(yield func(eventstore.Event, error) bool) {
		for e, err := range s.Read(ctx, eventstore.Query{After: fold.Position}) {
			events = append(events, e)
			if !yield(e, err) {
				return
			}
		}
	}); err != nil {
		return err
	}
	return errors.Join(Reads(ctx, s, events), s.Verify(ctx))
}

// FoldLog folds events from the first one on and checks their order.
func FoldLog(events func(yield func(eventstore.Event, error) bool)) (*Fold, error) {
	fold := NewFold()
	return fold, fold.AddLog(events)
}

// AddLog folds the next events and checks their order.
func (f *Fold) AddLog(events func(yield func(eventstore.Event, error) bool)) error {
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
	if err := sameMessages("pending command", maps.Collect(r.Pending.All()), f.Pending); err != nil {
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
