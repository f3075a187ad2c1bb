package eventstore

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/statehouse/statehouse/storage"
)

// Consumer is a [Subscription] under a name that goes on, after a restart or a crash, where it had acknowledged: its
// cursor is kept in the file. Within one process each matching event comes exactly once and in order; after a crash at
// least once, from the last acknowledgement that was stored. One goroutine at a time may use Events; everything else may
// be called by anybody.
type Consumer struct {
	s       *Store
	sub     *Subscription
	cursor  *cursor
	yielded atomic.Uint64 // the last position that was yielded, or is about to be
}

// Consumer opens the consumer of a name, which goes on after its cursor. Where it has none, its cursor is set to q.After,
// which may be [FromNow] or [FromOldest], and stored before Consumer returns. A query may change from one opening to the next.
//
// Errors: [ErrCompacted] where events after its cursor have been removed, [ErrInUse] while a consumer of that name is open, [ErrInvalid] for a name or a query that none can have,
// [ErrClosed], the context's, and [ErrCorrupt] for a cursor beyond the end of the log, which means that events are
// missing that were there when it was stored; [Store.DeleteCursor] accepts that.
func (s *Store) Consumer(ctx context.Context, name string, q Query) (*Consumer, error) {
	if s.head.Load() == nil {
		return nil, errNotStarted
	}
	if err := checkConsumerName(name); err != nil {
		return nil, err
	}
	if err := q.checkSubscription(); err != nil {
		return nil, fmt.Errorf("consumer %q: %w", name, err)
	}
	c := &Consumer{s: s}
	known, err := s.cursors.claim(name, c)
	if err != nil {
		return nil, err
	}
	if !known {
		if err := c.find(ctx, q.After); err != nil {
			s.cursors.release(c, true)
			return nil, err
		}
	}
	q.After = s.cursors.acked(c.cursor)
	if err := s.kept(q.After); err != nil {
		s.cursors.release(c, false)
		return nil, fmt.Errorf("consumer %q has got to position %d: %w; delete its cursor to begin anew", name, q.After, err)
	}
	s.cursors.open(c, s.Subscription(q))
	return c, nil
}

// find finds out where the cursor is, or sets it.
func (c *Consumer) find(ctx context.Context, begin Position) error {
	at, stored, err := c.s.cursorAt(ctx, c.cursor.name)
	if err != nil {
		return err
	}
	head := c.s.Head()
	switch {
	case stored && at > head:
		return fmt.Errorf("%w: the cursor of consumer %q is at position %d, and the log ends at %d: it was stored when there "+
			"were more events; delete the cursor if they are gone for good", ErrCorrupt, c.cursor.name, at, head)
	case stored:
		c.s.cursors.found(c.cursor, at)
		return nil
	case begin == FromNow:
		begin = head
	case begin == FromOldest:
		c.s.fromOldest(&begin)
	case c.s.kept(begin) != nil:
		return fmt.Errorf("consumer %q cannot begin after position %d: %w", c.cursor.name, begin, c.s.kept(begin))
	case !c.s.Reached(begin):
		return fmt.Errorf("%w: consumer %q cannot begin after position %d: the log ends at %d", ErrInvalid, c.cursor.name, begin, head)
	}
	err = c.s.inTurn(ctx, func(w *writer, ctx context.Context) error {
		writes := []cursorWrite{{c.cursor, begin}}
		return w.transact(ctx, func(storage.Tx) error { return w.writeCursors(ctx, writes, w.recordedTime()) })
	})
	if err != nil {
		return fmt.Errorf("consumer %q: %w", c.cursor.name, err)
	}
	c.s.cursors.found(c.cursor, begin)
	return nil
}

// Name is the consumer's name.
func (c *Consumer) Name() string { return c.cursor.name }

// Events yields the events after [Consumer.Position]; see [Subscription.Events].
func (c *Consumer) Events(ctx context.Context) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		goOn, err := c.run(ctx, yield, func() bool { return true })
		if err != nil && goOn {
			yield(Event{}, err)
		}
	}
}

// run yields events, and calls pause whenever there are none left.
func (c *Consumer) run(ctx context.Context, yield func(Event, error) bool, pause func() bool) (goOn bool, err error) {
	return c.sub.run(ctx, func(e Event, err error) bool {
		c.yielded.Store(uint64(e.Position))
		return yield(e, err)
	}, func() bool {
		if !pause() {
			return false
		}
		// So that one that hears of little does not read the whole log again after a restart. Not at every pause: each
		// would be a write.
		if at := c.done(); at-c.s.cursors.acked(c.cursor) >= cursorSkip {
			_ = c.Ack(at) // it fails only when it is too late for it
		}
		return true
	})
}

// cursorSkip is the number of events of no interest after which a cursor is moved past them.
const cursorSkip = 4096

// done is the position up to which everything that the consumer wants is acknowledged.
func (c *Consumer) done() Position {
	// In this order: what is yielded up to a position was yielded before.
	at, yielded := c.sub.Position(), Position(c.yielded.Load())
	acked := c.s.cursors.acked(c.cursor)
	if acked >= yielded {
		return max(acked, at)
	}
	return acked
}

// Ack says that the consumer has done with everything up to a position, matching or not; usually that of the event that
// it was just given. It does not wait: the cursor is stored with the next group of appends, after some seconds where
// none comes, and when the store is closed. A lower position than before changes nothing. Errors: [ErrClosed] after
// [Consumer.Close] and [Store.Close], [ErrInvalid] beyond the end of the log.
func (c *Consumer) Ack(at Position) error {
	if !c.s.Reached(at) {
		return fmt.Errorf("%w: consumer %q acknowledges position %d, and the log ends at %d", ErrInvalid, c.cursor.name, at, c.s.committed())
	}
	return c.s.cursors.ack(c, at)
}

// Acked is the position up to which everything that the consumer wants is acknowledged.
func (c *Consumer) Acked() Position { return c.done() }

// Position is the position up to which every matching event was yielded and the consumer came back for the next one.
func (c *Consumer) Position() Position { return c.sub.Position() }

// Behind is the number of events, wanted or not, between [Consumer.Acked] and the head of the log.
func (c *Consumer) Behind() uint64 {
	at := c.done() // before the head, which only grows
	return uint64(max(c.s.Head(), at) - at)
}

// Close gives the name up, so that another one may take it. The cursor stays.
func (c *Consumer) Close() { c.s.cursors.release(c, false) }

// ConsumerStats are figures about a consumer.
type ConsumerStats struct {
	Name string
	// Acked is the position up to which everything is acknowledged, Behind the number of events after that.
	Acked  Position
	Behind uint64
}

// open gives a consumer its subscription. Figures may be asked for meanwhile.
func (cs *cursors) open(c *Consumer, sub *Subscription) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	c.sub = sub
}

// stats are figures about the consumers that are open.
func (cs *cursors) stats() []ConsumerStats {
	cs.mu.Lock()
	var open []*Consumer
	for _, c := range cs.byName {
		if c.owner != nil && c.owner.sub != nil { // not one that is being opened
			open = append(open, c.owner)
		}
	}
	cs.mu.Unlock()
	all := make([]ConsumerStats, len(open))
	for i, c := range open {
		all[i] = ConsumerStats{Name: c.Name(), Behind: c.Behind(), Acked: c.Acked()}
	}
	slices.SortFunc(all, func(a, b ConsumerStats) int { return strings.Compare(a.Name, b.Name) })
	return all
}
