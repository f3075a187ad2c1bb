package broker

import (
	"context"
	"time"

	"github.com/statehouse/statehouse/internal/mqtt"
)

// BreakStore makes every write to the data file fail from now on.
func (b *Broker) BreakStore() error { return b.store.db.Close() }

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

// Tidy ends the sessions and messages whose time is over then.
func (b *Broker) Tidy(then time.Time) { b.tidySessions(then) }

// PublishAny is Publish with everything that a publication has: QoS 2 too.
func (b *Broker) PublishAny(ctx context.Context, p mqtt.Publication) error { return b.publish(ctx, p) }
