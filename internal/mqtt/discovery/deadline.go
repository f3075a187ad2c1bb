package discovery

import (
	"container/heap"
	"context"
	"strings"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/statehouse/statehouse"
	entityv1 "github.com/statehouse/statehouse/gen/statehouse/entity/v1"
	"github.com/statehouse/statehouse/internal/mqtt"
	"github.com/statehouse/statehouse/internal/mqtt/dialect"
)

// kind is what happens at a deadline.
type kind int

const (
	expires  kind = iota // the entity was silent for too long: it is offline
	turnsOff             // a binary sensor that only says on is off again
)

// due is what names a deadline: of each entity there is one of a kind.
type due struct {
	unique string
	kind   kind
}

// deadline is when something happens to an entity if nothing is heard of it before. At the zero time it does not.
type deadline struct {
	due
	at time.Time
}

// deadlines are what is due, the next first. They are set and looked at in the writer's turn, so that what is heard of an entity
// and what passes for want of it have one order.
type deadlines struct {
	mu      sync.Mutex // guards what follows; a leaf of the lock order
	slots   map[due]*slot
	heap    slotHeap
	expired map[string]bool // entities that were silent for too long, by unique id
	poke    chan struct{}   // has Run look again
}

// slot is a deadline's place; its index is -1 while what happens then is being recorded.
type slot struct {
	deadline
	index int
}

func (d *deadlines) init() {
	d.slots, d.expired, d.poke = map[due]*slot{}, map[string]bool{}, make(chan struct{}, 1)
}

// set sets a deadline, or takes it away at the zero time. An entity that gets one to expire was heard of.
func (d *deadlines) set(one deadline) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if one.kind == expires {
		delete(d.expired, one.unique)
	}
	d.setLocked(one)
}

// restore sets the deadlines of an entity that another process has left like that. Why one that is to expire is offline the log does not
// say: until it is heard of it was silent for too long, since a will that is stored at the broker is no sign of life.
func (d *deadlines) restore(unique string, all []deadline, left entityv1.Availability) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.putLocked(unique, all, left == offline)
}

// renew puts these deadlines in the place of those that an entity has. One that is to expire, and was silent for too long, still is.
func (d *deadlines) renew(unique string, all []deadline) {
	d.mu.Lock()
	defer d.mu.Unlock()
	silent := d.expired[unique]
	d.dropAllLocked(unique)
	d.putLocked(unique, all, silent)
}

// putLocked sets deadlines, but for one to expire of an entity that did.
func (d *deadlines) putLocked(unique string, all []deadline, silent bool) {
	for _, one := range all {
		if silent && one.kind == expires {
			d.expired[unique] = true
		} else {
			d.setLocked(one)
		}
	}
}

func (d *deadlines) setLocked(one deadline) {
	s := d.slots[one.due]
	switch {
	case one.at.IsZero():
		d.dropLocked(one.due)
		return
	case s == nil:
		s = &slot{deadline: one}
		d.slots[one.due] = s
		heap.Push(&d.heap, s)
	case s.index < 0:
		s.at = one.at
		heap.Push(&d.heap, s)
	default:
		s.at = one.at
		heap.Fix(&d.heap, s.index)
	}
	if s.index == 0 {
		wake(d.poke)
	}
}

func (d *deadlines) dropLocked(which due) {
	s := d.slots[which]
	if s == nil {
		return
	}
	if s.index >= 0 {
		heap.Remove(&d.heap, s.index)
	}
	delete(d.slots, which)
}

// drop takes an entity's deadlines away.
func (d *deadlines) drop(unique string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.dropAllLocked(unique)
}

func (d *deadlines) dropAllLocked(unique string) {
	delete(d.expired, unique)
	d.dropLocked(due{unique, expires})
	d.dropLocked(due{unique, turnsOff})
}

// next takes the next deadline that has passed; else it returns when the next one is, zero for never.
func (d *deadlines) next(now time.Time) (one deadline, ok bool, at time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.heap) == 0 {
		return deadline{}, false, time.Time{}
	}
	first := d.heap[0]
	if first.at.After(now) {
		return deadline{}, false, first.at
	}
	heap.Pop(&d.heap)
	first.index = -1
	return first.deadline, true, time.Time{}
}

// holds says that nothing was heard of an entity since one of its deadlines was taken.
func (d *deadlines) holds(one deadline) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	s := d.slots[one.due]
	return s != nil && s.index < 0 && s.at.Equal(one.at)
}

// passed ends a deadline that was taken: it is recorded, or, if not, due again. What was heard meanwhile stands.
func (d *deadlines) passed(one deadline, recorded bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	s := d.slots[one.due]
	if s == nil || s.index >= 0 {
		return
	}
	if !recorded {
		heap.Push(&d.heap, s)
		return
	}
	delete(d.slots, one.due)
	if one.kind == expires {
		d.expired[one.unique] = true
	}
}

// silent says that an entity was silent for too long, and was not heard of since.
func (d *deadlines) silent(unique string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.expired[unique]
}

func wake(poke chan struct{}) {
	select {
	case poke <- struct{}{}:
	default: // it will look anyway
	}
}

type slotHeap []*slot

func (h slotHeap) Len() int           { return len(h) }
func (h slotHeap) Less(i, j int) bool { return h[i].at.Before(h[j].at) }
func (h slotHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i, j
}

// Push implements [heap.Interface].
func (h *slotHeap) Push(x any) {
	s := x.(*slot)
	s.index = len(*h)
	*h = append(*h, s)
}

// Pop implements [heap.Interface].
func (h *slotHeap) Pop() any {
	old := *h
	last := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	return last
}

// mayBeDue says that a definition may have deadlines.
func mayBeDue(definition string) bool {
	return strings.Contains(definition, keyExpireAfter) || strings.Contains(definition, keyOffDelay)
}

// deadlines are those of an entity whose attributes are a and that was heard of.
func (c *compiled) deadlines(unique string, a *entityv1.Attributes, heard time.Time) []deadline {
	var all []deadline
	if c.expireAfter > 0 {
		all = append(all, deadline{due{unique, expires}, heard.Add(c.expireAfter)})
	}
	if c.offDelay > 0 && a.GetBinarySensor() != nil {
		one := deadline{due: due{unique, turnsOff}}
		if a.GetBinarySensor().GetOn() {
			one.at = heard.Add(c.offDelay)
		}
		all = append(all, one)
	}
	return all
}

// pass records what happens at a deadline, at its time, unless the entity was heard of since.
func (e *Engine) pass(ctx context.Context, one deadline) error {
	m := mqtt.Message{Topic: one.unique, ReceivedAt: one.at}
	err := e.Decide(ctx, m, func(p statehouse.Pending) (*dialect.Batch, error) {
		b := e.NewBatch(p, one.at)
		entry, ok := p.EntityByUniqueID(one.unique)
		if !ok || !dialect.Enabled(entry) || !e.deadlines.holds(one) {
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
	e.deadlines.passed(one, err == nil)
	return err
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
	for ctx.Err() == nil {
		one, ok, next := e.deadlines.next(e.opts.Now())
		if ok {
			if e.pass(ctx, one) != nil && !sleep(ctx, retryAfter, nil) {
				return
			}
			continue
		}
		wait := time.Hour
		if !next.IsZero() {
			wait = max(next.Sub(e.opts.Now()), time.Millisecond)
		}
		if !sleep(ctx, wait, e.deadlines.poke) {
			return
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
