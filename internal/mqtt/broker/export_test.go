package broker

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"go.etcd.io/bbolt"

	"github.com/statehouse/statehouse/internal/mqtt"
)

// BreakStore makes every write to the data file fail from now on.
func (b *Broker) BreakStore() error { return b.store.db.Close() }

// FailStore makes every write to the data file fail until mend is called.
func (b *Broker) FailStore() (mend func()) {
	var mended atomic.Bool
	b.store.enqueue(request{about: subject{session: "of a test"}, changes: []change{func(*bbolt.Tx) error { // it is tried again before all others
		if mended.Load() {
			return nil
		}
		return errors.New("the disk is full")
	}}})
	return func() { mended.Store(true) }
}

// Backlog is the number of bytes that wait for clients.
func (b *Broker) Backlog() int64 { return b.backlog.Load() }

// HoldDelivery is a retained message that is on its way to subscribers until release is called.
func (b *Broker) HoldDelivery() (release func()) {
	b.topics.Lock()
	b.delivery.RLock()
	return func() {
		b.delivery.RUnlock()
		b.topics.Unlock()
	}
}

// LastPacketID is the packet id that a session's next message towards its client has not, but the one after it.
func (b *Broker) LastPacketID(client string, id uint16) {
	s := b.findSession(client)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lastID = id
}

// Tidy ends the sessions and messages whose time is over then, after as much more of time has passed.
func (b *Broker) Tidy(then time.Time) {
	b.tidySessions(moment{then.Unix(), b.opts.elapsed() + then.Sub(b.opts.Now())})
}

// WithElapsed has another clock that nobody sets.
func (o Options) WithElapsed(clock func() time.Duration) Options {
	o.elapsed = clock
	return o
}

// PublishAny is Publish with everything that a publication has: QoS 2 too.
func (b *Broker) PublishAny(ctx context.Context, p mqtt.Publication) error { return b.publish(ctx, p) }
