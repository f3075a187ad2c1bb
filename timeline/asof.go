package timeline

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
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

	// turn holds one token, for who uses the rest. It is kept while a moment is worked out, since who waits behind it
	// mostly asks for one nearby.
	turn     chan struct{}
	replayer *eventstore.Replayer
	kept     []kept // sorted by position
	clock    uint64 // counts uses
}

// kept is a moment that was worked out, and when it was used last.
type kept struct {
	Moment
	used uint64
}

// keptStates bounds the moments that are kept, by the number of states in them. Neighbours share most of theirs, so
// that this is more than they take.
const keptStates = 1 << 20

// New returns the timeline of a store that was started; now is the present.
func New(store *eventstore.Store, now func() Moment) *Timeline {
	return &Timeline{store: store, now: now, turn: make(chan struct{}, 1), replayer: store.Replayer()}
}

// AsOf is the house as it was when the event at a position had just been recorded. Position 0 is the empty house. A
// position behind the head of the log is [eventstore.ErrInvalid], one before its base [eventstore.ErrCompacted].
func (t *Timeline) AsOf(ctx context.Context, at eventstore.Position) (Moment, error) {
	if now := t.now(); at == now.Position() {
		return now, nil
	} else if at > now.Position() {
		return Moment{}, fmt.Errorf("%w: position %d is still to come: the log ends at %d", eventstore.ErrInvalid, at, now.Position())
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
	base, err := t.base(ctx, at, oldest)
	if err != nil {
		return Moment{}, err
	}
	if at > base.Position()+2*stride {
		if base, err = t.fold(ctx, base, at-stride); err != nil {
			return Moment{}, err
		}
	}
	return t.fold(ctx, base, at)
}

// base is the moment from which one at a position is reached with the least work; oldest is the base of the log.
func (t *Timeline) base(ctx context.Context, at, oldest eventstore.Position) (Moment, error) {
	var near Moment
	n, found := t.find(at)
	if !found {
		n--
	}
	reachable := oldest == 0 // from near; before everything is as good as any other
	if n >= 0 && t.kept[n].Position() >= oldest {
		reachable = true
		t.clock++
		t.kept[n].used = t.clock
		near = t.kept[n].Moment
	}
	// Restoring a state takes about as long as folding two events.
	far := at - near.Position()
	cost := eventstore.Position(2 * t.now().State.Entities.Len())
	if reachable && far <= cost {
		return near, nil
	}
	var restored Moment
	err := t.store.View(ctx, func(tx storage.Tx) (err error) {
		last, err := eventstore.LastSnapshot(ctx, tx, state.New().Name(), at)
		if err == nil && (!reachable || last > near.Position() && at-last+cost < far) {
			restored, err = restore(ctx, tx, at, oldest)
		}
		return err
	})
	if err != nil || reachable && restored.Position() <= near.Position() {
		return near, err
	}
	if p := restored.State.Position; restored.Registry.Position < p { // its snapshot there is missing or damaged
		reg := registry.NewAt(restored.Registry)
		if err := t.replayer.Replay(ctx, restored.Registry.Position, p, reg); err != nil {
			return Moment{}, err
		}
		reg.Promote()
		restored.Registry = reg.Revision()
	}
	t.keep(restored)
	return restored, nil
}

// restore is the newest moment at a position or before it of which there is a snapshot; the registry may be behind, but not
// behind the base of the log.
func restore(ctx context.Context, tx storage.Tx, at, oldest eventstore.Position) (Moment, error) {
	cache, reg := state.New(), registry.New()
	last, err := cache.RestoreUntil(ctx, tx, at)
	if err == nil {
		_, err = reg.RestoreUntil(ctx, tx, last)
	}
	m := Moment{State: cache.Revision(), Registry: reg.Revision()}
	if err == nil && min(m.State.Position, m.Registry.Position) < oldest {
		err = fmt.Errorf("%w: there is no usable snapshot at position %d, before which nothing is left", eventstore.ErrCorrupt, oldest)
		err = errors.Join(append(append([]error{err}, cache.SnapshotFaults()...), reg.SnapshotFaults()...)...)
	}
	return m, err
}

// fold goes from a moment to a later one, which it keeps.
func (t *Timeline) fold(ctx context.Context, from Moment, to eventstore.Position) (Moment, error) {
	if from.Position() == to {
		return from, nil
	}
	cache, reg := state.NewAt(from.State), registry.NewAt(from.Registry)
	if err := t.replayer.Replay(ctx, from.Position(), to, cache, reg); err != nil {
		return Moment{}, err
	}
	cache.Promote()
	reg.Promote()
	m := Moment{State: cache.Revision(), Registry: reg.Revision()}
	t.keep(m)
	return m, nil
}

// keep keeps a moment, and forgets those that were not used for the longest time when there are too many.
func (t *Timeline) keep(m Moment) {
	n, found := t.find(m.Position())
	if found {
		return
	}
	t.clock++
	t.kept = slices.Insert(t.kept, n, kept{m, t.clock})
	limit := max(4, keptStates/(1+m.State.Entities.Len()))
	for len(t.kept) > min(limit, 1024) {
		oldest := 0
		for i, k := range t.kept {
			if k.used < t.kept[oldest].used {
				oldest = i
			}
		}
		t.kept = slices.Delete(t.kept, oldest, oldest+1)
	}
}

// find is where a position is among the kept moments.
func (t *Timeline) find(at eventstore.Position) (n int, found bool) {
	return slices.BinarySearchFunc(t.kept, at, func(k kept, at eventstore.Position) int {
		return cmp.Compare(k.Position(), at)
	})
}
