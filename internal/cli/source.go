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
	// States are the states of the entities in a moment that are chosen.
	States(ctx context.Context, at api.At, where api.Where) (api.States, error)
	// Registry is what there is in a moment and what it is called.
	Registry(ctx context.Context, at api.At) (api.Registry, error)
	// Events yields the events that match, oldest first, up to the head.
	Events(ctx context.Context, q eventstore.Query) iter.Seq2[api.Event, error]
	// Position is the position that a moment has.
	Position(ctx context.Context, at api.At) (api.AsOf, error)
	// Diff is what is different between two moments.
	Diff(ctx context.Context, from, to api.At) (api.Diff, error)
	// Why is a chain of causes.
	Why(ctx context.Context, q api.WhyQuery) (api.Why, error)
	// History is what happened to an entity between two moments, as much of it as one answer has.
	History(ctx context.Context, id string, from, to api.At) (api.History, error)
	// Snapshots are the snapshots that there are; VerifySnapshot reads one of them, CreateSnapshot takes one.
	Snapshots(ctx context.Context) (api.Snapshots, error)
	VerifySnapshot(ctx context.Context, owner string, at eventstore.Position) (api.Snapshot, error)
	CreateSnapshot(ctx context.Context) (api.AsOf, error)
	// Compact removes the history before a moment, or says what would be removed.
	Compact(ctx context.Context, before api.At, dryRun bool, progress func(api.Progress)) (api.Compaction, error)
	// EditEntity, EditDevice and SetArea change what a user may change; see [statehouse.House].
	EditEntity(ctx context.Context, id string, edit statehouse.EntityEdit) (api.Span, error)
	EditDevice(ctx context.Context, id string, edit statehouse.DeviceEdit) (api.Span, error)
	SetArea(ctx context.Context, id, name string) (api.Span, error)
	// Actions are what an entity can be asked to do.
	Actions(ctx context.Context, id string) (api.Actions, error)
	// Tokens are all tokens; CreateToken, RotateToken and RevokeToken change them.
	Tokens(ctx context.Context) (api.Tokens, error)
	CreateToken(ctx context.Context, spec api.TokenSpec) (api.IssuedToken, error)
	RotateToken(ctx context.Context, name string, r api.TokenRotation) (api.IssuedToken, error)
	RevokeToken(ctx context.Context, name string) (api.Token, error)
	Close() error
}

// patience is how long a command waits for a database that somebody else has open for a moment.
const patience = 5 * time.Second

// open finds the source for a command. It never creates a database.
func (a *app) open() (source, error) {
	if a.flags.Server != "" {
		return a.told(newRemote(a.flags.Server, a.flags.TokenFile))
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
	r, err := a.told(newLocalRemote(holder.URL, a.flags.DB))
	return r, err == nil
}

// told is a daemon that tells of damage.
func (a *app) told(r *remote, err error) (*remote, error) {
	if err == nil {
		r.damaged = a.damaged
	}
	return r, err
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
	h, err := statehouse.OpenContext(a.ctx, a.flags.DB, statehouse.Options{ReadOnlyIfDamaged: true})
	if err == nil && h.Damage() != nil {
		a.damaged(h.Damage().Error())
	}
	return h, err
}

// damaged tells, once, that what a command says comes from a damaged log.
func (a *app) damaged(what string) {
	if !a.toldDamage {
		a.toldDamage = true
		a.notef("the log is damaged and can only be read: %s; see \"statehouse repair --help\"", clean(what))
	}
}

// userSource is the source of events that a user causes with a command; the daemon's socket says the same.
const userSource = "api:local"

// local is the database itself.
type local struct{ house *statehouse.House }

func (l *local) Close() error { return l.house.Close() }

func (l *local) States(ctx context.Context, at api.At, where api.Where) (api.States, error) {
	m, as, err := at.Moment(ctx, l.house)
	if err != nil {
		return api.States{}, err
	}
	return api.NewStates(ctx, m, as, where, at.Time(as, time.Now()))
}

func (l *local) Registry(ctx context.Context, at api.At) (api.Registry, error) {
	m, as, err := at.Moment(ctx, l.house)
	if err != nil {
		return api.Registry{}, err
	}
	return api.NewRegistry(m.Registry, as), nil
}

func (l *local) Position(ctx context.Context, at api.At) (api.AsOf, error) {
	return at.Resolve(ctx, l.house)
}

func (l *local) Diff(ctx context.Context, from, to api.At) (api.Diff, error) {
	return api.NewDiff(ctx, l.house, from, to)
}

func (l *local) Why(ctx context.Context, q api.WhyQuery) (api.Why, error) {
	return api.NewWhy(ctx, l.house, q)
}

func (l *local) History(ctx context.Context, id string, from, to api.At) (api.History, error) {
	return api.NewHistory(ctx, l.house, id, from, to, api.MaxSteps)
}

func (l *local) Snapshots(ctx context.Context) (api.Snapshots, error) {
	return api.NewSnapshots(ctx, l.house)
}

func (l *local) VerifySnapshot(ctx context.Context, owner string, at eventstore.Position) (api.Snapshot, error) {
	return api.VerifySnapshot(ctx, l.house, owner, at)
}

func (l *local) CreateSnapshot(ctx context.Context) (api.AsOf, error) {
	return api.CreateSnapshot(ctx, l.house)
}

func (l *local) Compact(ctx context.Context, before api.At, dryRun bool, progress func(api.Progress)) (api.Compaction, error) {
	return api.Compact(ctx, l.house, before, eventstore.CompactOptions{
		Source: userSource, DryRun: dryRun,
		Progress: func(done, last eventstore.Position) { progress(api.NewProgress(done, last)) },
	})
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

func (l *local) EditEntity(ctx context.Context, id string, edit statehouse.EntityEdit) (api.Span, error) {
	return toSpan(l.house.EditEntity(ctx, userSource, id, edit))
}

func (l *local) EditDevice(ctx context.Context, id string, edit statehouse.DeviceEdit) (api.Span, error) {
	return toSpan(l.house.EditDevice(ctx, userSource, id, edit))
}

func (l *local) SetArea(ctx context.Context, id, name string) (api.Span, error) {
	return toSpan(l.house.SetArea(ctx, userSource, id, name))
}

// idsOf are the ids of all entities that there are in a moment, with a state or without one.
func idsOf(ctx context.Context, s source, at api.At) ([]string, error) {
	r, err := s.Registry(ctx, at)
	if err != nil {
		return nil, err
	}
	states, err := s.States(ctx, at, api.Where{})
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
	ids, _ := idsOf(a.ctx, s, api.At{})
	return ids
}

// noEntity is the error for an id that no entity has.
func noEntity(ctx context.Context, s source, id string) error {
	ids, _ := idsOf(ctx, s, api.At{})
	return markf(statehouse.ErrNotFound, "there is no entity %s%s", clean(id), didYouMean(id, ids))
}

// wasNoEntity is the error for an id that no entity has in a moment.
func wasNoEntity(ctx context.Context, s source, id string, as api.AsOf) error {
	ids, _ := idsOf(ctx, s, api.AtPosition(as.Position))
	if slices.Contains(ids, id) {
		return markf(statehouse.ErrNotFound, "%s has no state at position %s: it is disabled", id, count(as.Position))
	}
	return markf(statehouse.ErrNotFound, "there is no entity %s at position %s%s", clean(id), count(as.Position), didYouMean(id, ids))
}
