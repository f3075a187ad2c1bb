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

// moment is a time by both clocks: the one on the wall, which is set, and which a restart does not stop; and the one that only goes on.
type moment struct {
	wall    int64         // Unix seconds
	elapsed time.Duration // since the broker began
}

// now is the wall's time, moment both.
func (b *Broker) now() int64     { return b.opts.Now().Unix() }
func (b *Broker) moment() moment { return moment{b.now(), b.opts.elapsed()} }

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
func (b *Broker) tidySessions(now moment) {
	over := false
	for id, cl := range b.server.Clients.GetAll() {
		if s := b.findSession(id); s != nil {
			s.expire(now)
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

// sessionOver says that a client's session has ended: it is away, and not on its way back. The wall's clock has no say: a board without a
// clock of its own starts years ago, and is set when the network is there.
func (b *Broker) sessionOver(cl *mochi.Client, now moment) bool {
	b.mu.Lock()
	_, connected := b.connected[cl.ID]
	b.mu.Unlock()
	if connected {
		return false
	}
	s := b.findSession(cl.ID)
	return s == nil || s.awayFor(now) > b.sessionExpiry(cl)
}

// left notes that the client is away from now on, awayFor how long it is.
func (s *session) left(now moment) {
	s.mu.Lock()
	s.leftAt = now.elapsed
	s.mu.Unlock()
}

func (s *session) awayFor(now moment) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	return now.elapsed - s.leftAt
}

// over says that a message is not to be sent any more: whichever clock says so, since the wall's may have been set back. What is left of a
// received one is the end of its exchange.
func (q *queued) over(now moment) bool {
	return q.Expires > 0 && (q.Expires < now.wall || q.due > 0 && q.due < now.elapsed) && !q.Sent && !q.out
}

// lasts notes when a message is over by the clock that only goes on. The wall's seconds are whole: it is not to be less than they say.
func (q *queued) lasts(now moment) {
	if q.Expires > 0 {
		q.due = now.elapsed + time.Duration(max(0, q.Expires-now.wall)+1)*time.Second
	}
}

// endsAt notes when a message's time is over.
func (s *session) endsAt(q *queued) {
	if q.Expires == 0 {
		return
	}
	if s.soonest.wall == 0 || q.Expires < s.soonest.wall {
		s.soonest.wall = q.Expires
	}
	if q.due > 0 && (s.soonest.elapsed == 0 || q.due < s.soonest.elapsed) {
		s.soonest.elapsed = q.due
	}
}

// expire gives up what waits and whose time is over.
func (s *session) expire(now moment) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.expireLocked(now)
	s.sendNext()
}

func (s *session) expireLocked(now moment) {
	if at := s.soonest; at.wall == 0 || at.wall >= now.wall && (at.elapsed == 0 || at.elapsed >= now.elapsed) {
		return
	}
	s.soonest = moment{}
	for id, q := range s.queue {
		switch {
		case q.Sent || q.out: // detach notes it anew
		case !q.over(now):
			s.endsAt(q)
		default:
			s.giveUp(id, q)
		}
	}
	s.waiting = slices.DeleteFunc(s.waiting, func(id uint16) bool { return s.queue[id] == nil })
}

// giveUp ends a message that is not to be sent any more. False says that its PUBREL is, and at once: in the file its time is over, too.
func (s *session) giveUp(id uint16, q *queued) (gone bool) {
	if q.QoS == 2 && q.tried {
		s.reduce(id, q, false, nil)
		return false
	}
	s.remove(id, q)
	return true
}
