package server

import (
	"slices"

	"github.com/statehouse/statehouse/eventstore"
	"github.com/statehouse/statehouse/internal/api"
	walking "github.com/statehouse/statehouse/internal/walk"
	"github.com/statehouse/statehouse/timeline"
)

// walk is a walk through the log of a reader of JSON.
type walk struct {
	*walking.Walk
	filter filter
	// waiting are the commands that wait after the last event.
	waiting *waiting
}

func newWalk(now func() timeline.Moment, m timeline.Moment, f filter) *walk {
	return &walk{walking.New(now, m), f, newWaiting(m.Registry)}
}

// change is what an event changed. wanted is false where the filter leaves it out, end says that what was changed is to be
// sent.
func (k *walk) change(e eventstore.Event) (c api.Change, wanted, end bool, err error) {
	before := k.Moment()
	next := k.Next(e)
	if k.Moment().Position() != before.Position() {
		k.waiting = newWaiting(before.Registry)
	}
	k.waiting.fold(e)
	entities := slices.Concat(next.Touched, next.Named)
	wanted = k.filter.all() || k.filter.match(e.Entity) ||
		slices.ContainsFunc(entities, func(w walking.Entity) bool { return k.filter.match(w.ID) })
	if !wanted {
		return api.Change{}, false, next.End, nil
	}
	if c, err = api.NewChange(e); err != nil {
		return api.Change{}, false, next.End, err
	}
	if k.filter.may != nil && !k.filter.may.Event(e) {
		c.Event = c.Redacted()
	}
	for _, w := range entities {
		if !w.Has || !k.filter.match(w.ID) {
			continue
		}
		st, err := api.NewState(k.Moment(), w.Is)
		if err != nil {
			return api.Change{}, false, next.End, err
		}
		st.Pending = api.NewPending(k.waiting.of(w.ID))
		c.States = append(c.States, st)
	}
	if next.Removed != "" && k.filter.match(next.Removed) {
		c.Removed = []string{next.Removed}
	}
	return c, true, next.End, nil
}
