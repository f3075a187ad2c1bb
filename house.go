package statehouse

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"os"
	"sync/atomic"
	"time"

	"github.com/statehouse/statehouse/eventstore"
	"github.com/statehouse/statehouse/registry"
	"github.com/statehouse/statehouse/state"
	"github.com/statehouse/statehouse/storage"
	"github.com/statehouse/statehouse/timeline"
)

// House is an open database: its log, and the present that follows from it. All methods may be called by any number
// of goroutines.
type House struct {
	db       *storage.DB
	store    *eventstore.Store
	cache    *state.Cache
	registry *registry.Registry
	now      *present
	timeline *timeline.Timeline

	// closing ends when the house is closed, and its watchers with it.
	closing context.Context
	closed  context.CancelFunc
}

// Open opens the database at path with the defaults of [Options], and creates it where there is none.
// It returns when everything is recovered, so that [House.Now] is complete.
func Open(path string) (*House, error) {
	return OpenContext(context.Background(), path, Options{})
}

// OpenContext is [Open] with a context, which ends the opening and nothing after it, and with options.
func OpenContext(ctx context.Context, path string, opts Options) (*House, error) {
	db, err := storage.Open(ctx, path, storage.Options{ReadOnlyIfDamaged: opts.ReadOnlyIfDamaged})
	if err != nil {
		return nil, err
	}
	h := &House{db: db, cache: state.New(), registry: registry.New()}
	h.now = &present{cache: h.cache, registry: h.registry, watched: state.New()}
	h.store, err = eventstore.Open(ctx, db, eventstore.Options{
		Clock: opts.Clock, Logger: opts.Logger, SnapshotEvery: opts.SnapshotEvery, ReadOnlyIfDamaged: opts.ReadOnlyIfDamaged,
	})
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	// The order matters: present must be promoted after what it joins, and shows nothing that others do not have yet.
	projectors := append([]eventstore.Projector{h.cache, h.registry}, opts.Projectors...)
	if err := h.store.Start(ctx, append(projectors, h.now)...); err != nil {
		return nil, errors.Join(err, h.store.Close(), db.Close())
	}
	h.timeline = timeline.New(h.store, h.Now)
	h.closing, h.closed = context.WithCancel(context.Background())
	return h, nil
}

// Close takes a snapshot if enough has happened since the last one, and releases the database. Appends that were
// accepted are finished first; later ones fail with [eventstore.ErrClosed], which subscriptions and watchers end with.
func (h *House) Close() error {
	defer h.closed()
	return errors.Join(h.store.Close(), h.db.Close())
}

// Now is the newest committed moment: the states and the registry at one position.
func (h *House) Now() timeline.Moment { return *h.now.moment.Load() }

// Append records events, all or none, and returns when they are durable and part of [House.Now].
// See [eventstore.Store.Append].
func (h *House) Append(ctx context.Context, events ...eventstore.Event) (eventstore.Span, error) {
	return h.AppendBatch(ctx, Batch{Events: events})
}

// Decide runs a function on what the house will be when everything queued before it is committed, and records the
// events that it returns. Nothing comes between what the function sees and its events. The function must not block,
// must not call the house, and must not keep p; it may be run more than once. An error of it is returned as it is, and
// nothing is recorded. The span is empty when the function returned no events.
func (h *House) Decide(ctx context.Context, decide func(p Pending) ([]eventstore.Event, error)) (eventstore.Span, error) {
	return h.AppendBatch(ctx, Batch{Decide: decide})
}

// Begin is [House.Decide] that returns while the decision is under way, as one of a sequence; see [eventstore.Store.Begin].
func (h *House) Begin(ctx context.Context, q *eventstore.Sequence, decide func(p Pending) ([]eventstore.Event, error)) eventstore.Ticket {
	return h.store.Begin(ctx, q, eventstore.Batch{Decide: h.decision(decide)})
}

// decision is a decision of the house as the log has it run, nil for none.
func (h *House) decision(decide func(p Pending) ([]eventstore.Event, error)) func(context.Context) ([]eventstore.Event, error) {
	if decide == nil {
		return nil
	}
	return func(context.Context) ([]eventstore.Event, error) { return decide(pending{h.cache, h.registry}) }
}

// Batch is what one append records: all of it or nothing. [eventstore.Batch] says what the fields mean.
type Batch struct {
	Events []eventstore.Event
	// Decide, instead of Events, is a function as [House.Decide] takes it.
	Decide func(p Pending) ([]eventstore.Event, error)
	// If are conditions: [eventstore.EntityAt] with the position of a state, [eventstore.LogAt] with that of a moment.
	If []eventstore.Condition
	// Key makes the append safe to repeat.
	Key eventstore.Key
}

// AppendBatch is [House.Append], or [House.Decide], under conditions and with a key.
func (h *House) AppendBatch(ctx context.Context, b Batch) (eventstore.Span, error) {
	return h.store.Append(ctx, eventstore.Batch{Events: b.Events, Decide: h.decision(b.Decide), If: b.If, Key: b.Key})
}

// Read yields the events that match a query, oldest first, up to the head at the time of the call.
func (h *House) Read(ctx context.Context, q eventstore.Query) iter.Seq2[eventstore.Event, error] {
	return h.store.Read(ctx, q)
}

// Subscribe is [House.Read] that goes on with new events as they are committed, until ctx ends.
func (h *House) Subscribe(ctx context.Context, q eventstore.Query) iter.Seq2[eventstore.Event, error] {
	return h.store.Subscribe(ctx, q)
}

// Timeline is the house's past.
func (h *House) Timeline() *timeline.Timeline { return h.timeline }

// AsOf is the house as it was when the event at a position had just been recorded; see [timeline.Timeline.AsOf].
func (h *House) AsOf(ctx context.Context, at eventstore.Position) (timeline.Moment, error) {
	return h.timeline.AsOf(ctx, at)
}

// Changes yields what changes in the states from a revision on, without end: each time the net change since the last
// time; see [state.Cache.Changes]. What it yields is part of [House.Now]. It ends with the context's error, or with
// [eventstore.ErrClosed] when the house is closed.
func (h *House) Changes(ctx context.Context, since state.Revision) iter.Seq2[state.Delta, error] {
	return func(yield func(state.Delta, error) bool) {
		ctx, end := h.untilClosed(ctx)
		defer end()
		h.now.watched.Changes(ctx, since)(yield)
	}
}

// untilClosed is a context that ends with [eventstore.ErrClosed] when the house is closed, too. end must be called.
func (h *House) untilClosed(ctx context.Context) (_ context.Context, end func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	stop := context.AfterFunc(h.closing, func() { cancel(eventstore.ErrClosed) })
	return ctx, func() {
		stop()
		cancel(nil)
	}
}

// ChangesSince is [House.Changes] for a watcher that comes back with nothing but the position that it had reached, also
// after a restart. Where the log up to there cannot be read any more the first delta is [state.Delta].Partial. A position
// behind the present is the error of [House.AsOf]: [eventstore.ErrInvalid], or [eventstore.ErrCorrupt] in a damaged house.
func (h *House) ChangesSince(ctx context.Context, since eventstore.Position) iter.Seq2[state.Delta, error] {
	return func(yield func(state.Delta, error) bool) {
		ctx, end := h.untilClosed(ctx)
		defer end()
		m, err := h.AsOf(ctx, since)
		changes := h.now.watched.Changes(ctx, m.State)
		switch {
		case err == nil:
		case ctx.Err() != nil || errors.Is(err, eventstore.ErrClosed) || since > h.Now().Position():
			yield(state.Delta{}, err)
			return
		default:
			changes = h.now.watched.ChangesSince(ctx, since)
		}
		changes(yield)
	}
}

// Consumer is a subscription under a name that goes on where it had acknowledged, also after a crash; see
// [eventstore.Store.Consumer].
func (h *House) Consumer(ctx context.Context, name string, q eventstore.Query) (*eventstore.Consumer, error) {
	return h.store.Consumer(ctx, name, q)
}

// Follow hands events to a handler behind the log, in a goroutine of its own, until the house is closed; see
// [eventstore.Store.Follow].
func (h *House) Follow(ctx context.Context, name string, q eventstore.Query, handle eventstore.Handler) (*eventstore.Follower, error) {
	return h.store.Follow(ctx, name, q, handle)
}

// Compact removes history for good, the oldest first, up to a position at most; what the house was like there, and
// everything behind it, stays. See [eventstore.Store.Compact].
func (h *House) Compact(ctx context.Context, until eventstore.Position, opts eventstore.CompactOptions) (eventstore.Compaction, error) {
	return h.store.Compact(ctx, until, opts)
}

// Base is the position up to which history has been removed, and when the event there was recorded: the oldest moment
// that can be asked for. 0 and the zero time mean that the history is whole.
func (h *House) Base() (eventstore.Position, time.Time) { return h.store.Base() }

// Store is the log under the house.
func (h *House) Store() *eventstore.Store { return h.store }

// Snapshot saves the present beside the log, so that the next start is quick.
func (h *House) Snapshot(ctx context.Context) error { return h.store.Snapshot(ctx) }

// Recovered says what the opening found and did.
func (h *House) Recovered() eventstore.Recovery { return h.store.Recovered() }

// Damage is why the house can only be read, nil where it can be written; see [Options.ReadOnlyIfDamaged] and
// [eventstore.Store.Damage]. [House.Now] is then the newest moment up to which everything checks, and events behind it may
// be readable. [Repair] makes a whole house of it.
func (h *House) Damage() error { return h.store.Damage() }

// Announce tells other processes where this one answers, as "http://127.0.0.1:8321", until the house is closed; see
// [storage.ReadHolder]. Then it fails with [eventstore.ErrClosed].
func (h *House) Announce(url string) error {
	err := h.db.Announce(url)
	if errors.Is(err, os.ErrClosed) {
		return eventstore.ErrClosed
	}
	return err
}

// present joins the revisions of the projectors before it into one moment, so that a reader never sees the states of
// one position with the registry of another. It has no state of its own and takes no snapshots.
type present struct {
	cache    *state.Cache
	registry *registry.Registry
	moment   atomic.Pointer[timeline.Moment]
	// watched has the states of the moment, for who follows them: who followed the cache would hear of what is not there yet.
	watched *state.Cache
}

func (p *present) Name() string { return "present" }

func (p *present) Apply(context.Context, storage.Tx, eventstore.Event) error { return nil }

func (p *present) Fold(context.Context, storage.Tx, *eventstore.Run) error { return nil }

func (p *present) Folded() error { return nil }

func (p *present) Promote() {
	p.moment.Store(&timeline.Moment{State: p.cache.Revision(), Registry: p.registry.Revision()})
	p.watched.Adopt(p.cache)
}

func (p *present) Discard() {}

func (p *present) Snapshot(context.Context, storage.Tx) error { return nil }

// Restore says that everything is restored: present never needs an event.
func (p *present) Restore(context.Context, storage.Tx) (uint64, error) {
	return uint64(eventstore.MaxPosition), nil
}

// String tells a person what was opened.
func (h *House) String() string {
	m := h.Now()
	return fmt.Sprintf("%s at position %d with %d entities", h.db.Path(), m.Position(), m.State.Entities.Len())
}
