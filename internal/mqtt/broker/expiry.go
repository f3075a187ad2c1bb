package broker

import (
	"slices"
	"time"

	mochi "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"
)

// Sessions end by the broker's clock, not the library's: the library decides that one is over without looking whether its client is
// coming back, and has only the id when it ends it. To the library all of them last as long as can be said.

// limitSession caps how long a client's session is kept, and keeps that from the library's clock.
func (c *conn) limitSession(p *packets.Properties) {
	longest := uint32(c.b.opts.Limits.SessionExpiry / time.Second)
	c.shorter = p.SessionExpiryInterval > longest
	p.SessionExpiryInterval, p.SessionExpiryIntervalFlag = min(p.SessionExpiryInterval, longest), false
}

// changeSession is what a DISCONNECT says about it.
func (c *conn) changeSession(pk *packets.Packet) error {
	if !pk.Properties.SessionExpiryIntervalFlag {
		return nil
	}
	if pk.Properties.SessionExpiryInterval > 0 && !keeps(c.cl) {
		return packets.ErrProtocolViolationZeroNonZeroExpiry
	}
	c.cl.Properties.Props.SessionExpiryInterval = pk.Properties.SessionExpiryInterval
	c.limitSession(&c.cl.Properties.Props)
	pk.Properties.SessionExpiryIntervalFlag = false
	return nil
}

// now is the clock by which messages end.
func (b *Broker) now() int64 { return b.opts.Now().Unix() }

// sessionExpiry is how long a client's session outlives its connection.
func (b *Broker) sessionExpiry(cl *mochi.Client) time.Duration {
	switch {
	case !keeps(cl):
		return 0
	case cl.Properties.ProtocolVersion >= 5:
		return time.Duration(cl.Properties.Props.SessionExpiryInterval) * time.Second
	}
	return b.opts.Limits.SessionExpiry
}

// tidySessions ends the sessions whose time is over, and the messages of the others.
func (b *Broker) tidySessions(now time.Time) {
	over := false
	for id, cl := range b.server.Clients.GetAll() {
		if s := b.findSession(id); s != nil {
			s.expire(now.Unix())
		}
		over = over || b.sessionOver(cl, now)
	}
	if !over {
		return
	}
	b.delivery.Lock() // a client that comes back has its session before, or finds none after
	defer b.delivery.Unlock()
	for id, cl := range b.server.Clients.GetAll() {
		if b.sessionOver(cl, now) {
			b.endSession(cl)
			b.log.Info("mqtt broker: session expired", "client", id)
		}
	}
}

// sessionOver says that a client's session has ended: it is away, and not on its way back.
func (b *Broker) sessionOver(cl *mochi.Client, now time.Time) bool {
	b.mu.Lock()
	_, connected := b.connected[cl.ID]
	b.mu.Unlock()
	left := cl.StopTime()
	return !connected && left > 0 && left+int64(b.sessionExpiry(cl)/time.Second) < now.Unix()
}

// over says that a message is not to be sent any more. What is left of a received one is the end of its exchange.
func (q *queued) over(now int64) bool {
	return q.Expires > 0 && q.Expires < now && !q.Sent && !q.out
}

// endsAt notes when a message's time is over.
func (s *session) endsAt(at int64) {
	if at > 0 && (s.soonest == 0 || at < s.soonest) {
		s.soonest = at
	}
}

// expire gives up what waits and whose time is over.
func (s *session) expire(now int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.expireLocked(now)
	s.sendNext()
}

func (s *session) expireLocked(now int64) {
	if s.soonest == 0 || s.soonest >= now {
		return
	}
	s.soonest = 0
	for id, q := range s.queue {
		if !q.over(now) || !s.giveUp(id, q) {
			s.endsAt(q.Expires)
		}
	}
	s.waiting = slices.DeleteFunc(s.waiting, func(id uint16) bool { return s.queue[id] == nil })
}

// giveUp ends a message that is not to be sent any more. False says that its PUBREL is.
func (s *session) giveUp(id uint16, q *queued) (gone bool) {
	if q.QoS == 2 && q.tried {
		s.reduce(id, q)
		return false
	}
	s.remove(id, q)
	return true
}
