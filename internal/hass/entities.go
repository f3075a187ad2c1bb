package hass

import (
	"context"
	"errors"
	"slices"

	"github.com/statehouse/statehouse/eventstore"
	entityv1 "github.com/statehouse/statehouse/gen/statehouse/entity/v1"
	"github.com/statehouse/statehouse/immutable"
	"github.com/statehouse/statehouse/internal/access"
	"github.com/statehouse/statehouse/state"
	"github.com/statehouse/statehouse/timeline"
)

// snapshot begins what subscribe_entities gives: all states.
type snapshot struct {
	Added map[string]compressed `json:"a"`
}

// updates are what it goes on with.
type updates struct {
	Added   map[string]compressed `json:"a,omitempty"`
	Changed map[string]difference `json:"c,omitempty"`
	Removed []string              `json:"r,omitempty"`
}

// snapshotOf is the snapshot of a moment.
func (v *view) snapshotOf(ctx context.Context, m timeline.Moment, who *access.Identity, wanted func(id string) bool) (snapshot, error) {
	states, err := statesOf(ctx, v.origins, m, who, wanted)
	if err != nil {
		return snapshot{}, err
	}
	all := snapshot{Added: make(map[string]compressed, len(states))}
	for _, s := range states {
		all.Added[s.EntityID] = compress(s)
	}
	return all, nil
}

// followEntities sends the net change from a moment on, again and again at the pace of send, until the context ends.
// Nothing is kept for it but the moment that the client has.
//
// It is not [statehouse.House.Changes] since names are attributes here, and a device that is renamed changes no state.
func (v *view) followEntities(ctx context.Context, from timeline.Moment, who *access.Identity, wanted func(id string) bool, send func(updates) error) error {
	for {
		for _, err := range v.house.Subscribe(ctx, eventstore.Query{After: from.Position()}) {
			if errors.Is(err, eventstore.ErrCompacted) {
				// The change is worked out from the moments, which do not need the events.
			} else if err != nil {
				return err
			}
			break // something has happened; what it comes to, the moments tell
		}
		now, err := v.sendChange(ctx, from, who, wanted, send)
		if err != nil {
			return err
		}
		from = now
	}
}

// sendChange sends the net change from a moment to the newest one, which it returns.
func (v *view) sendChange(ctx context.Context, from timeline.Moment, who *access.Identity, wanted func(id string) bool, send func(updates) error) (timeline.Moment, error) {
	leave, err := v.enter(ctx)
	if err != nil {
		return from, err
	}
	defer leave()
	now := v.house.Now()
	u, err := v.netChange(ctx, from, now, who, wanted)
	if err == nil && len(u.Added)+len(u.Changed)+len(u.Removed) > 0 {
		err = send(u)
	}
	return now, err
}

// netChange is what a client of one moment has to do to have a later one.
func (v *view) netChange(ctx context.Context, before, after timeline.Moment, who *access.Identity, wanted func(id string) bool) (updates, error) {
	var ids []string
	var positions []eventstore.Position
	for id := range changedIDs(before, after) {
		if wanted(id) && who.May(access.Read, id) {
			was, _ := before.State.Get(id)
			is, _ := after.State.Get(id)
			ids = append(ids, id)
			positions = append(positions, was.Position, is.Position)
		}
	}
	if len(ids) == 0 {
		return updates{}, nil
	}
	positions = slices.DeleteFunc(positions, func(p eventstore.Position) bool { return p == 0 })
	contexts, err := v.origins.contextsOf(ctx, who, positions)
	if err != nil {
		return updates{}, err
	}
	u := updates{Added: map[string]compressed{}, Changed: map[string]difference{}}
	for _, id := range ids {
		was, had := before.State.Get(id)
		is, has := after.State.Get(id)
		switch {
		case had && has:
			d, ok := differ(newEntityState(before.Registry, was, contexts), newEntityState(after.Registry, is, contexts))
			if ok {
				u.Changed[id] = d
			}
		case has:
			u.Added[id] = compress(newEntityState(after.Registry, is, contexts))
		case had:
			u.Removed = append(u.Removed, id)
		}
	}
	slices.Sort(u.Removed)
	return u, nil
}

// changedIDs are the entities of which anything may be different between two moments: their states, their entries in the
// registry, or their devices.
func changedIDs(before, after timeline.Moment) map[string]bool {
	ids := map[string]bool{}
	same := func(a, b state.State) bool { return a.Position == b.Position }
	for c := range immutable.Diff(before.State.Entities, after.State.Entities, same) {
		ids[c.Key] = true
	}
	sameEntity := func(a, b *entityv1.Entity) bool { return a == b }
	for c := range immutable.Diff(before.Registry.Entities, after.Registry.Entities, sameEntity) {
		ids[c.Key] = true
	}
	sameDevice := func(a, b *entityv1.Device) bool { return a == b }
	for c := range immutable.Diff(before.Registry.Devices, after.Registry.Devices, sameDevice) {
		for _, e := range after.Registry.DeviceEntities(c.Key) {
			ids[e.GetId()] = true
		}
	}
	return ids
}
