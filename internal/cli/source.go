package cli

import (
	"context"
	"errors"
	"io/fs"
	"iter"
	"os"
	"slices"
	"time"

	"github.com/statehouse/statehouse"
	"github.com/statehouse/statehouse/eventstore"
	"github.com/statehouse/statehouse/internal/api"
	"github.com/statehouse/statehouse/storage"
)

// source is where a command gets its answers: a daemon, or the database itself.
type source interface {
	// States are the states of all entities.
	States(ctx context.Context) (api.States, error)
	// Registry is what there is and what it is called.
	Registry(ctx context.Context) (api.Registry, error)
	// Events yields the events that match, oldest first, up to the head.
	Events(ctx context.Context, q eventstore.Query) iter.Seq2[api.Event, error]
	// Head is the position of the last event.
	Head(ctx context.Context) (eventstore.Position, error)
	// EditEntity, EditDevice and SetArea change what a user may change; see [statehouse.House].
	EditEntity(ctx context.Context, id string, edit statehouse.EntityEdit) (api.Span, error)
	EditDevice(ctx context.Context, id string, edit statehouse.DeviceEdit) (api.Span, error)
	SetArea(ctx context.Context, id, name string) (api.Span, error)
	Close() error
}

// patience is how long a command waits for a database that somebody else has open for a moment.
const patience = 5 * time.Second

// open finds the source for a command. It never creates a database.
func (a *app) open() (source, error) {
	if a.flags.Server != "" {
		return newRemote(a.flags.Server, "")
	}
	var s source
	err := a.whenFree(func() (err error) {
		s, err = a.openDatabase()
		return err
	})
	return s, err
}

// whenFree does something with the database, again and again while somebody has it open who may be gone in a moment.
func (a *app) whenFree(do func() error) error {
	for began := time.Now(); ; {
		err := do()
		if err == nil || !errors.Is(err, storage.ErrLocked) || time.Since(began) > patience {
			return err
		}
		select {
		case <-a.ctx.Done():
			return context.Cause(a.ctx)
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// openDatabase opens the database or, where a daemon has it open, asks that.
func (a *app) openDatabase() (source, error) {
	h, err := a.openHouse()
	if err == nil {
		return &local{house: h}, nil
	}
	if !errors.Is(err, storage.ErrLocked) {
		return nil, err
	}
	if daemon, ok := a.holder(); ok {
		return daemon, nil
	}
	return nil, err
}

// holder is the daemon that has the database open, if one says that it has. It is asked only when the database is found
// to be locked: what the lock file of a killed daemon says leads to whoever uses its address now.
func (a *app) holder() (*remote, bool) {
	holder, err := storage.ReadHolder(a.flags.DB)
	if err != nil || holder.URL == "" {
		return nil, false
	}
	r, err := newRemote(holder.URL, a.flags.DB)
	return r, err == nil
}

// checkExists refuses a database that is not there, which opening it would create.
func (a *app) checkExists() error {
	if _, err := os.Stat(a.flags.DB); errors.Is(err, fs.ErrNotExist) {
		return markf(fs.ErrNotExist, "there is no database %s; name one with --db, or start the daemon with \"statehouse serve\"",
			a.flags.DB)
	}
	return nil
}

// openHouse opens an existing database.
func (a *app) openHouse() (*statehouse.House, error) {
	if err := a.checkExists(); err != nil {
		return nil, err
	}
	return statehouse.OpenContext(a.ctx, a.flags.DB, statehouse.Options{})
}

// userSource is the source of events that a user causes with a command; the daemon's socket says the same.
const userSource = "api:local"

// local is the database itself.
type local struct{ house *statehouse.House }

func (l *local) Close() error { return l.house.Close() }

func (l *local) States(context.Context) (api.States, error) {
	m := l.house.Now()
	states := api.States{Position: m.Position(), States: []api.State{}}
	for _, s := range m.State.Sorted() {
		w, err := api.NewState(m, s)
		if err != nil {
			return api.States{}, err
		}
		states.States = append(states.States, w)
	}
	return states, nil
}

func (l *local) Registry(context.Context) (api.Registry, error) {
	return api.NewRegistry(l.house.Now().Registry), nil
}

func (l *local) Events(ctx context.Context, q eventstore.Query) iter.Seq2[api.Event, error] {
	return func(yield func(api.Event, error) bool) {
		for e, err := range l.house.Read(ctx, q) {
			var w api.Event
			if err == nil {
				w, err = api.NewEvent(e)
			}
			if !yield(w, err) || err != nil {
				return
			}
		}
	}
}

func (l *local) Head(context.Context) (eventstore.Position, error) {
	return l.house.Now().Position(), nil
}

func (l *local) EditEntity(ctx context.Context, id string, edit statehouse.EntityEdit) (api.Span, error) {
	return toSpan(l.house.EditEntity(ctx, userSource, id, edit))
}

func (l *local) EditDevice(ctx context.Context, id string, edit statehouse.DeviceEdit) (api.Span, error) {
	return toSpan(l.house.EditDevice(ctx, userSource, id, edit))
}

func (l *local) SetArea(ctx context.Context, id, name string) (api.Span, error) {
	return toSpan(l.house.SetArea(ctx, userSource, id, name))
}

// idsOf are the ids of all entities that there are, with a state or without one.
func idsOf(ctx context.Context, s source) ([]string, error) {
	r, err := s.Registry(ctx)
	if err != nil {
		return nil, err
	}
	states, err := s.States(ctx)
	if err != nil {
		return nil, err
	}
	var ids []string
	for _, e := range r.Entities {
		ids = append(ids, e.ID)
	}
	for _, st := range states.States {
		ids = append(ids, st.EntityID)
	}
	slices.Sort(ids)
	return slices.Compact(ids), nil
}

// entityIDs are idsOf for completion, which has nobody to tell an error.
func (a *app) entityIDs() []string {
	s, err := a.open()
	if err != nil {
		return nil
	}
	defer func() { _ = s.Close() }()
	ids, _ := idsOf(a.ctx, s)
	return ids
}

// noEntity is the error for an id that no entity has.
func noEntity(ctx context.Context, s source, id string) error {
	ids, _ := idsOf(ctx, s)
	return markf(statehouse.ErrNotFound, "there is no entity %s%s", clean(id), didYouMean(id, ids))
}

// positionOf is the position that a person means: that of the last event recorded at or before a time.
func positionOf(ctx context.Context, s source, w when, now time.Time) (eventstore.Position, error) {
	if w.isPosition() {
		return w.position, nil
	}
	t := w.time(now)
	last, err := s.Head(ctx)
	if err != nil {
		return 0, err
	}
	// Recorded times never decrease, so that the place can be searched for by halves.
	first := eventstore.FromStart
	for first < last {
		middle := first + (last-first)/2
		for e, err := range s.Events(ctx, eventstore.Query{After: middle, Until: middle + 1}) {
			if err != nil {
				return 0, err
			}
			if e.RecordedAt.After(t) {
				last = middle
			} else {
				first = middle + 1
			}
		}
	}
	return first, nil
}
