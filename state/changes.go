package state

import (
	"context"
	"fmt"
	"iter"
	"sync/atomic"
)

// Delta is the net change from one revision to a later one.
type Delta struct {
	Before, After Revision
	// Changes are what is different in entities, as [Diff] yields it.
	Changes []Change
}

// Merged is the number of events whose net effect the delta is.
func (d Delta) Merged() uint64 { return uint64(d.After.Position - d.Before.Position) }

// Changes yields what changes from a revision on, as it is promoted: each delta begins where the last one ended. A
// consumer that is slow gets the net change of all that happened meanwhile, and costs nobody anything: all that is
// kept for it is the revision that it has. Deltas without changes are left out. The sequence ends with the context's error.
//
// To go on after a restart, begin with the revision as of the position that was reached.
func (c *Cache) Changes(ctx context.Context, since Revision) iter.Seq2[Delta, error] {
	return func(yield func(Delta, error) bool) {
		for {
			// Before the revision is read: what is promoted between the two is then noticed.
			next := c.promotions.next()
			now := c.Revision()
			if now.Position != since.Position {
				d := Delta{Before: since, After: now, Changes: differences(since, now)}
				if len(d.Changes) > 0 && !yield(d, nil) {
					return
				}
				since = now
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
