package timeline

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/statehouse/statehouse/eventstore"
	"github.com/statehouse/statehouse/registry"
	"github.com/statehouse/statehouse/state"
	"github.com/statehouse/statehouse/storage"
)

// Timeline answers questions about the past of a store.
type Timeline struct {
	store *eventstore.Store
	now   func() Moment
	kept  kept

	// turn holds one token, for who uses the rest. It is kept while a moment is worked out, since who waits behind it
	// mostly asks for one nearby.
	turn     chan struct{}
	replayer *eventstore.Replayer
	entries  restoredEntries
}

// New returns the timeline of a store that was started; now is the present.
func New(store *eventstore.Store, now func() Moment) *Timeline {
	return &Timeline{
		store: store, now: now, kept: kept{limit: keptBytes}, turn: make(chan struct{}, 1), replayer: store.Replayer(),
	}
}

// AsOf is the house as it was when the event at a position had just been recorded. Position 0 is the empty house. A
// position behind the head of the log is [eventstore.ErrInvalid], one before its base [eventstore.ErrCompacted], and one that
// is not reached from any snapshot but over damaged events [eventstore.ErrCorrupt].
func (t *Timeline) AsOf(ctx context.Context, at eventstore.Position) (Moment, error) {
	if now := t.now(); at == now.Position() {
		return now, nil
	}
	if !t.store.Reached(at) { // a log that is damaged may go on behind the present
		return Moment{}, fmt.Errorf("%w: position %d is still to come: the log ends at %d", eventstore.ErrInvalid, at, t.store.Head())
	}
	if _, err := t.oldest(at); err != nil {
		return Moment{}, fmt.Errorf("the house at position %d: %w", at, err)
	}
	if m, ok := t.kept.at(at); ok {
		return m, nil
	}
	select {
	case t.turn <- struct{}{}:
		defer func() { <-t.turn }()
	case <-ctx.Done():
		return Moment{}, fmt.Errorf("the house at position %d: %w", at, context.Cause(ctx))
	}
	for {
		oldest, err := t.oldest(at)
		var m Moment
		if err == nil {
			m, err = t.asOf(ctx, at, oldest)
		}
		if err == nil {
			return m, nil
		}
		if now, _ := t.store.Base(); now == oldest || ctx.Err() != nil {
			return Moment{}, fmt.Errorf("the house at position %d: %w", at, err)
		} // or what it began with was removed meanwhile
	}
}

// oldest is the base of the log, with an error where a position is before it.
func (t *Timeline) oldest(at eventstore.Position) (eventstore.Position, error) {
	oldest, recorded := t.store.Base()
	if at < oldest {
		return oldest, &eventstore.CompactedError{Base: oldest, RecordedAt: recorded}
	}
	return oldest, nil
}

// AsOfTime is the house as of the last event that was recorded at a time or before it. final says that it will always be:
// as long as no event was recorded after that time, one still may be at it. A time before the base of the log is
// [eventstore.ErrCompacted].
func (t *Timeline) AsOfTime(ctx context.Context, at time.Time) (m Moment, final bool, err error) {
	head := t.store.Head()
	p, err := t.store.PositionAt(ctx, at)
	if err != nil {
		return Moment{}, false, err
	}
	m, err = t.AsOf(ctx, p)
	return m, p < head, err
}

// stride is how far before a moment that takes long to work out another one is kept, for who steps back from it.
const stride = 256

func (t *Timeline) asOf(ctx context.Context, at, oldest eventstore.Position) (Moment, error) {
	near := t.kept.before(at)
	if near.states != nil && near.Position() == at { // who was before us asked for the same
		return near.Moment, nil
	}
	reachable := near.Position() >= oldest // from near; before everything is as good as any other
	if !reachable {
		near = keptMoment{}
	}
	snapshot, err := t.better(ctx, near, at, reachable)
	if err == nil && !reachable && snapshot < oldest {
		err = noSnapshotAt(oldest)
	}
	if err != nil {
		return Moment{}, err
	}
	m, err := t.reach(ctx, near, snapshot, at, oldest)
	if errors.Is(err, eventstore.ErrCorrupt) && snapshot == 0 { // what is damaged may be before a snapshot
		if snapshot, unread := t.lastSnapshot(ctx, at); unread == nil && snapshot > near.Position() {
			m, err = t.reach(ctx, near, snapshot, at, oldest)
		}
	}
	return m.Moment, err
}

// reach is the moment at a position, from the snapshots at one before it, or from the moment near where that is 0.
func (t *Timeline) reach(ctx context.Context, near keptMoment, snapshot, at, oldest eventstore.Position) (m keptMoment, err error) {
	first := at
	if at > max(near.Position(), snapshot)+2*stride {
		first = at - stride
	}
	if snapshot != 0 {
		m, err = t.restore(ctx, near, snapshot, first, oldest)
	} else {
		m, err = t.fold(ctx, near, first)
	}
	if err == nil {
		m, err = t.fold(ctx, m, at)
	}
	return m, err
}

// better is the position of the snapshot from which a moment is reached with less work than from one that is kept, 0 where
// there is none. From one that is not reachable it is not reached at all.
func (t *Timeline) better(ctx context.Context, near keptMoment, at eventstore.Position, reachable bool) (
	last eventstore.Position, err error,
) {
	// Restoring a state takes about as long as folding two events.
	far := at - near.Position()
	cost := eventstore.Position(2 * t.now().State.Entities.Len())
	if far <= cost && reachable {
		return 0, nil
	}
	last, err = t.lastSnapshot(ctx, at)
	if err != nil || reachable && (last <= near.Position() || at-last+cost >= far) {
		return 0, err
	}
	return last, nil
}

// lastSnapshot is the position of the last snapshot at a position or before it, 0 where there is none, or where damage hides them.
func (t *Timeline) lastSnapshot(ctx context.Context, at eventstore.Position) (last eventstore.Position, err error) {
	err = t.store.View(ctx, func(tx storage.Tx) (err error) {
		last, err = eventstore.LastSnapshot(ctx, tx, state.New().Name(), at)
		return err
	})
	if storage.IsDamage(err) {
		return 0, nil
	}
	return last, err
}

// noSnapshotAt is the error where what takes the place of removed history cannot be used.
func noSnapshotAt(oldest eventstore.Position, faults ...error) error {
	err := fmt.Errorf("%w: there is no usable snapshot at position %d, before which nothing is left", eventstore.ErrCorrupt, oldest)
	return errors.Join(append([]error{err}, faults...)...)
}

// fold goes from a moment to a later one, which it keeps.
func (t *Timeline) fold(ctx context.Context, from keptMoment, to eventstore.Position) (keptMoment, error) {
	if from.Position() == to {
		return from, nil
	}
	cache, reg := state.NewAt(from.State), registry.NewAt(from.Registry)
	if err := t.replayer.Replay(ctx, from.Position(), to, cache, reg); err != nil {
		return keptMoment{}, err
	}
	m := folded(from, promoted(cache, reg))
	t.kept.add(m)
	return m, nil
}

func promoted(cache *state.Cache, reg *registry.Registry) Moment {
	cache.Promote()
	reg.Promote()
	return Moment{State: cache.Revision(), Registry: reg.Revision()}
}
