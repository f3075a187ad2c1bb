package eventstore

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"sync/atomic"
)

// Subscription reads the log and goes on with new events as they are committed. Each matching event comes exactly once
// and in order, however slow its consumer is: it reads at its own pace, from memory what was just committed and from the
// log what was before, is never dropped, and never holds up the writer. One consumer at a time may use it; Position and
// Behind may be called by anybody.
type Subscription struct {
	s  *Store
	q  Query
	at atomic.Uint64
}

// Subscription subscribes to the events that match a query, after q.After, which may be [FromNow].
func (s *Store) Subscription(q Query) *Subscription {
	if q.After == FromNow {
		q.After = s.Head()
	}
	s.fromOldest(&q.After)
	sub := &Subscription{s: s, q: q.clone()}
	sub.at.Store(uint64(q.After))
	return sub
}

// Subscribe is [Store.Subscription] and [Subscription.Events] for who needs nothing else of it.
func (s *Store) Subscribe(ctx context.Context, q Query) iter.Seq2[Event, error] {
	return s.Subscription(q).Events(ctx)
}

// Position is the position up to which every matching event was yielded and its consumer came back for the next one.
func (sub *Subscription) Position() Position { return Position(sub.at.Load()) }

// Behind is the number of events, matching or not, between Position and the head of the log.
func (sub *Subscription) Behind() uint64 {
	at := sub.at.Load() // before the head, which only grows
	return max(uint64(sub.s.Head()), at) - at
}

// Events yields the events after [Subscription.Position]. The sequence ends with an error: the context's when that
// ends, [ErrClosed] when the store is closed, [ErrInvalid] for a query that no subscription can have. It ends without one
// after q.Until; [ErrCompacted] where events that it has not come to have been removed. When its consumer breaks off at an event, that event is the first one that the next call yields.
func (sub *Subscription) Events(ctx context.Context) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		goOn, err := sub.run(ctx, yield, func() bool { return true })
		if err != nil && goOn {
			yield(Event{}, err)
		}
	}
}

// checkSubscription says what keeps a query from being that of a subscription.
func (q *Query) checkSubscription() error {
	if q.Backward || !q.Before.IsZero() {
		return fmt.Errorf("%w: a subscription goes forward and has no end in time", ErrInvalid)
	}
	return nil
}

// run yields events until the consumer has had enough, which it says by goOn. It calls pause whenever everything up to
// the head was yielded; there the consumer can end it too.
func (sub *Subscription) run(ctx context.Context, yield func(Event, error) bool, pause func() bool) (goOn bool, err error) {
	if err := sub.q.checkSubscription(); err != nil {
		return true, err
	}
	q := sub.q
	if !q.Since.IsZero() { // which saves reading what was before
		at, err := sub.s.PositionAt(ctx, q.Since.Add(-1))
		if err != nil && !errors.Is(err, ErrCompacted) { // whether anything is missing behind the position is seen there
			return true, err
		}
		sub.at.Store(max(sub.at.Load(), uint64(at)))
	}
	sub.s.tail.readers.Add(1)
	defer sub.s.tail.readers.Add(-1)
	ready := make(chan struct{}, 1)
	defer sub.s.waker.leave(ready)
	for q.After = sub.Position(); sub.q.Until == 0 || q.After < sub.q.Until; q.After = sub.Position() {
		q.Until = sub.s.Head()
		if sub.q.Until != 0 {
			q.Until = min(q.Until, sub.q.Until)
		}
		goOn, err := sub.deliver(ctx, q, func(e Event, err error) bool {
			goOn := e.RecordedAt.Before(sub.q.Since) || yield(e, err) // it may be a time that is still to come
			if goOn {
				sub.at.Store(uint64(e.Position))
			}
			return goOn
		})
		if err != nil || !goOn {
			return goOn || err != nil, err
		}
		// Everything up to Until was scanned, whether it matched or not: the next scan starts there.
		sub.at.Store(uint64(max(q.After, q.Until)))
		if !pause() {
			return false, nil
		}
		if sub.q.Until != 0 && q.Until >= sub.q.Until {
			return true, nil
		}
		if err := sub.wait(ctx, ready, q.Until); err != nil {
			return true, err
		}
	}
	return true, nil
}

// deliver yields the matching events in (q.After, q.Until], where q.Until is at most the head: from the tail as long as
// it has them, and from there on from the log.
func (sub *Subscription) deliver(ctx context.Context, q Query, yield func(Event, error) bool) (goOn bool, err error) {
	if err := sub.s.kept(q.After); err != nil {
		return true, err
	}
	for ; q.After < q.Until; q.After++ {
		e := sub.s.tail.at(q.After + 1)
		if e == nil {
			return newScan(sub.s, q).run(ctx, yield)
		}
		if ctx.Err() != nil {
			return true, ended(ctx)
		}
		if q.wants(e) && !yield(*e, nil) {
			return false, nil
		}
	}
	return true, nil
}

// wait returns when there may be events after a position that was the head.
func (sub *Subscription) wait(ctx context.Context, ready chan struct{}, head Position) error {
	closed := sub.s.waker.wait(ready)
	// In this order: a commit that comes between the two is noticed here, and a later one wakes.
	if sub.s.Head() > head {
		return nil
	}
	if closed {
		return ErrClosed
	}
	select {
	case <-ready:
		return nil
	case <-ctx.Done():
		return ended(ctx)
	}
}

func ended(ctx context.Context) error { return fmt.Errorf("subscription: %w", context.Cause(ctx)) }
