package discovery

import (
	"container/heap"
	"context"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/statehouse/statehouse"
	entityv1 "github.com/statehouse/statehouse/gen/statehouse/entity/v1"
	"github.com/statehouse/statehouse/internal/mqtt"
	"github.com/statehouse/statehouse/internal/mqtt/dialect"
	"github.com/statehouse/statehouse/state"
)

// kind is what happens at a deadline.
type kind int

const (
	expires  kind = iota // the entity was silent for too long: it is offline
	turnsOff             // a binary sensor that only says on is off again
	kinds
)

// deadline is when something happens to an entity if nothing is heard of it before. At the zero time it does not.
type deadline struct {
	unique string
	kind   kind
	at     time.Time
}

// deadlines are what is due, the next first. A later deadline of the same entity and kind takes the place of an earlier one.
type deadlines struct {
	mu   sync.Mutex // guards what follows; a leaf of the lock order
	at   map[string]*[kinds]time.Time
	heap dueHeap
	poke chan struct{} // has Run look again
}

func (d *deadlines) init() {
	d.at, d.poke = map[string]*[kinds]time.Time{}, make(chan struct{}, 1)
}

// set sets a deadline.
func (d *deadlines) set(one deadline) {
	d.mu.Lock()
	defer d.mu.Unlock()
	have := d.at[one.unique]
	if have == nil {
		if one.at.IsZero() {
			return
		}
		have = &[kinds]time.Time{}
		d.at[one.unique] = have
	}
	queued := !have[one.kind].IsZero() && !have[one.kind].After(one.at)
	have[one.kind] = one.at
	if one.at.IsZero() || queued {
		return // what is queued is looked at when it is due, and queued again
	}
	heap.Push(&d.heap, one)
	if d.heap[0] == one {
		wake(d.poke)
	}
}

// drop takes an entity's deadlines away.
func (d *deadlines) drop(unique string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.at, unique)
}

// due takes the next deadline that has passed; else it returns when the next one is, zero for never.
func (d *deadlines) due(now time.Time) (one deadline, ok bool, next time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for len(d.heap) > 0 {
		first := d.heap[0]
		have := d.at[first.unique]
		switch {
		case have == nil || have[first.kind].IsZero():
			heap.Pop(&d.heap) // it was taken away
		case have[first.kind].After(first.at):
			first.at = have[first.kind] // it was heard of since
			d.heap[0] = first
			heap.Fix(&d.heap, 0)
		case first.at.After(now):
			return deadline{}, false, first.at
		default:
			heap.Pop(&d.heap)
			have[first.kind] = time.Time{}
			return first, true, time.Time{}
		}
	}
	return deadline{}, false, time.Time{}
}

func wake(poke chan struct{}) {
	select {
	case poke <- struct{}{}:
	default: // it will look anyway
	}
}

type dueHeap []deadline

func (h dueHeap) Len() int           { return len(h) }
func (h dueHeap) Less(i, j int) bool { return h[i].at.Before(h[j].at) }
func (h dueHeap) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *dueHeap) Push(x any)        { *h = append(*h, x.(deadline)) }
func (h *dueHeap) Pop() any {
	old := *h
	last := old[len(old)-1]
	*h = old[:len(old)-1]
	return last
}

// deadlinesAfter are those of an entity that was heard of.
func (r *reading) deadlinesAfter(a *entityv1.Attributes, heard time.Time) []deadline {
	return deadlinesOf(r.unique, r.made.config, a, heard)
}

// deadlines are those of a known entity after a restart, from when the log last heard of it.
func (it *item) deadlines(st state.State) []deadline {
	d, err := parseDefinition(it.text)
	if err != nil || st.Attributes.GetDomain() == nil || st.Attributes.GetAvailability() == offline {
		return nil
	}
	return deadlinesOf(it.unique, d.config, st.Attributes, st.UpdatedAt)
}

func deadlinesOf(unique string, c Config, a *entityv1.Attributes, heard time.Time) []deadline {
	var all []deadline
	if after := c.seconds(keyExpireAfter); after > 0 {
		all = append(all, deadline{unique, expires, heard.Add(after)})
	}
	if after := c.seconds(keyOffDelay); after > 0 && a.GetBinarySensor() != nil {
		one := deadline{unique: unique, kind: turnsOff}
		if a.GetBinarySensor().GetOn() {
			one.at = heard.Add(after)
		}
		all = append(all, one)
	}
	return all
}

// pass records what happens at a deadline, at its time.
func (e *Engine) pass(ctx context.Context, one deadline) error {
	m := mqtt.Message{Topic: one.unique, ReceivedAt: one.at}
	return e.Decide(ctx, m, func(p statehouse.Pending) (*dialect.Batch, error) {
		b := e.NewBatch(p, one.at)
		entry, ok := p.EntityByUniqueID(one.unique)
		if !ok || !dialect.Enabled(entry) {
			return b, nil
		}
		_, old := b.StateOf(entry.GetId())
		a := proto.CloneOf(old)
		switch {
		case one.kind == expires:
			a.Availability = offline
		case a.GetBinarySensor().GetOn():
			a.GetBinarySensor().On = proto.Bool(false)
		}
		if !dialect.Same(old, a) {
			b.Changed(entry.GetId(), a, one.at)
		}
		return b, nil
	})
}

// retryAfter is how long a deadline waits that could not be recorded.
const retryAfter = 5 * time.Second

// Run records what happens at deadlines, those first that passed while nobody watched, and subscribes to what devices publish
// on, until ctx ends.
func (e *Engine) Run(ctx context.Context) {
	for e.Start(ctx) != nil {
		if !sleep(ctx, retryAfter, nil) {
			return
		}
	}
	var subscribing sync.WaitGroup
	defer subscribing.Wait()
	if e.opts.Subscriber != nil {
		subscribing.Go(func() { e.wanted.run(ctx, e.opts.Subscriber) })
	}
	for {
		one, ok, next := e.deadlines.due(e.opts.Now())
		switch {
		case ok:
			if err := e.pass(ctx, one); err != nil {
				e.deadlines.set(one)
				if !sleep(ctx, retryAfter, nil) {
					return
				}
			}
			if ctx.Err() != nil {
				return
			}
		case next.IsZero():
			next = e.opts.Now().Add(time.Hour)
			fallthrough
		default:
			if !sleep(ctx, max(next.Sub(e.opts.Now()), time.Millisecond), e.deadlines.poke) {
				return
			}
		}
	}
}

// sleep waits, until somebody pokes at most; it is false when ctx ended.
func sleep(ctx context.Context, d time.Duration, poke <-chan struct{}) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-poke:
	case <-ctx.Done():
		return false
	}
	return true
}
