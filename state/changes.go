package state

import (
	"context"
	"fmt"
	"iter"
	"sync/atomic"

	"github.com/statehouse/statehouse/eventstore"
)

// Delta is the net change from one revision to a later one.
type Delta struct {
	Before, After Revision
	// Changes are what is different in entities, as [Diff] yields it.
	Changes []Change
	// Partial says that not all of Before is known any more: it has only the entities of which nothing was recorded since.
	// All others that After has are among the changes, as if they were new, but none that is gone: who follows the
	// changes drops what After does not have. Only the first delta of a sequence can be partial.
	Partial bool
}

// Merged is the number of events whose net effect the delta is.
func (d Delta) Merged() uint64 {
	return uint64(max(d.After.Position, d.Before.Position) - d.Before.Position) // who came back may be ahead for a moment
}

// Changes yields what changes from a revision on, as it is promoted: each delta begins where the last one ended. A
// consumer that is slow gets the net change of all that happened meanwhile, and costs nobody anything: all that is
// kept for it is the revision that it has. Events that change nothing are merged into the next delta. The sequence ends
// with the context's error.
//
// To go on after a restart, begin with the revision as of the position that was reached; where that cannot be had any
// more, see [Cache.ChangesSince].
func (c *Cache) Changes(ctx context.Context, since Revision) iter.Seq2[Delta, error] {
	return func(yield func(Delta, error) bool) {
		since := since
		for {
			// Before the revision is read: what is promoted between the two is then noticed.
			next := c.promotions.next()
			now := c.Revision()
			if now.Position > since.Position { // who got it elsewhere may be ahead for a moment
				if changes := differences(since, now); len(changes) > 0 {
					if !yield(Delta{Before: since, After: now, Changes: changes}, nil) {
						return
					}
					since = now
				}
			}
			select {
			case <-next:
			case <-ctx.Done():
				yield(Delta{}, fmt.Errorf("changes: %w", context.Cause(ctx)))
				return
			}
		}
	}
}

// ChangesSince is [Cache.Changes] for who has only the position of what it has, when the revision there cannot be had any
// more. The first delta is [Delta.Partial] and comes at once: it has what the present says of the time since then, and no more.
func (c *Cache) ChangesSince(ctx context.Context, since eventstore.Position) iter.Seq2[Delta, error] {
	return func(yield func(Delta, error) bool) {
		now := c.Revision()
		before := now.untouchedSince(since)
		if !yield(Delta{Before: before, After: now, Changes: differences(before, now), Partial: true}, nil) {
			return
		}
		c.Changes(ctx, now)(yield)
	}
}

// untouchedSince is what there was at an earlier position and has had no event since.
func (r Revision) untouchedSince(at eventstore.Position) Revision {
	b := r.Entities.Builder()
	for id, s := range r.Entities.All() {
		if s.Position > at {
			b.Delete(id)
		}
	}
	return Revision{Position: at, Entities: b.Map()}
}

// promotions wakes who waits for the next promotion, and costs next to nothing while nobody does.
type promotions struct{ waiting atomic.Pointer[chan struct{}] }

// next is a channel that is closed at the next promotion.
func (p *promotions) next() <-chan struct{} {
	for {
		if c := p.waiting.Load(); c != nil {
			return *c
		}
		c := make(chan struct{})
		if p.waiting.CompareAndSwap(nil, &c) {
			return c
		}
	}
}

func (p *promotions) wake() {
	if p.waiting.Load() == nil {
		return
	}
	if c := p.waiting.Swap(nil); c != nil {
		close(*c)
	}
}
