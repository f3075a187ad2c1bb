package broker

import (
	"cmp"
	"errors"
	"math"
	"net"
	"slices"
	"time"

	mochi "github.com/mochi-mqtt/server/v2"
)

// The way of a message with QoS 1 or 2 towards a client. The library's own way counts what is under way in one place and what
// is free in another, and is given none of these messages; it only encodes them.
//
//  1. enqueue: the message gets a packet id that no other one towards the client has, and goes to the end of the queue
//  2. it is sent when no other one waits before it, fewer are under way than the client takes at once (its receive maximum), and little
//     is unsent: what is in a queue already must not take the connection's room, for which a slow client is disconnected. With QoS 2, of a
//     kept session, it is in the file before: a broker that was killed would else give its packet id to another, which the client drops
//  3. PUBREC: what is left of it is its PUBREL (answers.go)
//  4. PUBACK or PUBCOMP: it leaves the queue, its packet id is free, and the next one is sent
//
// A connection that begins sends what is left, from the oldest on; what was sent before keeps its packet id, with DUP. All of it
// happens under session.mu: sending too, which never blocks, so that the order of the queue is the order on the wire.
//
// A message whose time is over is not sent: not late, not again. The publisher has said until when it is any good, and an UNLOCK
// that comes an hour late opens a door to nobody. With QoS 1 it leaves the queue. With QoS 2 the client may have it, and
// its packet id with it: so a PUBREL is sent in its place, which ends the matter whether it has it or not. What is under way
// on a connection that lasts is not touched; whether it comes is the network's matter.

// window is what a session has towards its client. session.mu guards it.
type window struct {
	queue   map[uint16]*queued // by packet id
	bytes   int                // of the queue; see message.size
	full    bool               // something did not fit since there was room last
	lastID  uint16
	lastSeq int64  // the queue's order
	soonest moment // no message that waits ends before this time; 0: none ends

	conn    *conn               // what messages are sent on, nil while there is none
	most    int                 // that may be under way at once
	out     int                 // that are: queued ones and unkept
	waiting []uint16            // of the queue, those that are to be sent on this connection, in order
	unkept  map[uint16]struct{} // under way without being in the queue, which was full
}

// maxUnkept leaves enough packet ids free for the next one to be found at once, whoever reads and never answers.
const maxUnkept = 1 << 15

// queued is a message towards a client that is not acknowledged.
type queued struct {
	message
	due     time.Duration // when it is over by moment.elapsed; 0: never, or it is the file's, and only the wall's clock says
	subs    []int         // identifiers of the subscriptions that it is for; the file does not have them
	unsaved bool          // it is not to be sent yet, nor its PUBREL: with QoS 2 the file has to have it before
	tried   bool          // it was sent, or may have been before the broker's start
	out     bool          // it was, on this connection, or its PUBREL
}

// grow changes the number of bytes of the queue.
func (s *session) grow(n int) {
	s.bytes += n
	if !s.ended {
		s.b.backlog.Add(int64(n))
	}
}

// enqueue adds a message towards the client, and sends it if it is its turn.
func (s *session) enqueue(m message, subs []int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.enqueueLocked(m, subs)
}

// offer is enqueue for a message that can as well come later: false says that it is not its turn, and nothing happened. One that will
// never fit takes its turn.
func (s *session) offer(m message, subs []int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.free(m) || !s.fits(m.size()) && m.size() <= s.b.opts.Limits.MaxQueuedBytes {
		return false
	}
	s.enqueueLocked(m, subs)
	return true
}

func (s *session) enqueueLocked(m message, subs []int) {
	if s.ended {
		return
	}
	id := s.freeID()
	if id == 0 || !s.fits(m.size()) {
		s.overflow(id, m, subs)
		return
	}
	s.lastSeq++
	m.Seq = s.lastSeq
	q := &queued{message: m, subs: subs}
	q.lasts(s.b.moment())
	s.queue[id] = q
	s.grow(m.size())
	s.endsAt(q)
	s.save(id, q, m.QoS == 2, nil)
	switch {
	case !q.unsaved && s.turn(m):
		s.send(id, q)
	case s.conn != nil:
		s.waiting = append(s.waiting, id)
	}
}

// fits says that the queue takes another n bytes. turn says that a message would be sent at once, if it were the next one.
func (s *session) fits(n int) bool {
	l := s.b.opts.Limits
	return len(s.queue) < l.MaxQueued && s.bytes+n <= l.MaxQueuedBytes && s.b.backlog.Load()+int64(n) <= int64(l.MaxBacklogBytes)
}

func (s *session) turn(m message) bool { return len(s.waiting) == 0 && s.takes(m) }

// free says that a message would be sent at once, or as soon as those before it are in the file.
func (s *session) free(m message) bool {
	next := len(s.waiting) == 0 || s.queue[s.waiting[0]].unsaved
	return next && s.takes(m) && s.out+len(s.waiting) < s.most
}

// takes says that the client, and its connection, have room for a message.
func (s *session) takes(m message) bool {
	return s.conn != nil && s.out < s.most && s.conn.hasRoom(len(m.Payload)+packetOverhead)
}

// freeID is a packet id that no message towards the client has, 0 if all are in use.
func (s *session) freeID() uint16 {
	for range math.MaxUint16 {
		if s.lastID++; s.lastID == 0 {
			s.lastID = 1
		}
		_, in := s.queue[s.lastID]
		if _, unkept := s.unkept[s.lastID]; !in && !unkept {
			return s.lastID
		}
	}
	return 0
}

// overflow deals with a message that does not fit. A client that takes it now gets it all the same, with QoS 1, and once: it is
// not sent again.
func (s *session) overflow(id uint16, m message, subs []int) {
	s.b.stats.dropped.Add(1)
	if !s.full {
		s.full = true
		s.b.log.Warn("mqtt broker: messages are not queued", "client", s.id, "topic", m.Topic,
			"reason", "its queue is full (mqtt.limits.max_queued, max_queued_bytes), or all of them together (max_backlog_bytes)")
	}
	// With QoS 2 its packet id would be another message's when the client is back, which the client has not done with.
	if m.QoS == 2 || id == 0 || len(s.unkept) >= maxUnkept || !s.turn(m) {
		return
	}
	if err := s.write(id, &queued{message: m, subs: subs}); err != nil {
		return
	}
	if s.unkept == nil {
		s.unkept = map[uint16]struct{}{}
	}
	s.unkept[id] = struct{}{}
	s.out++
}

// send sends a message of the queue, if it is still to be.
func (s *session) send(id uint16, q *queued) {
	if q.over(s.b.moment()) && s.giveUp(id, q) {
		return
	}
	switch err := s.write(id, q); {
	case err == nil:
		q.tried, q.out = true, true
		s.out++
	case errors.Is(err, net.ErrClosed) || errors.Is(err, mochi.ErrConnectionClosed):
		s.conn = nil // the next connection sends it
	default: // larger than the client takes: as if it had it
		s.b.stats.dropped.Add(1)
		s.b.log.Debug("mqtt broker: message not sent", "client", s.id, "topic", q.Topic, "error", err)
		s.remove(id, q)
	}
}

// write hands a message, or its PUBREL, to the connection.
func (s *session) write(id uint16, q *queued) error {
	if q.Sent {
		return s.conn.pubrel(id, 0)
	}
	pk := q.packet()
	pk.PacketID, pk.FixedHeader.Dup = id, q.tried
	pk.Properties.SubscriptionIdentifier = q.subs
	return s.conn.cl.WritePacket(pk)
}

// sendNext sends what waits, as far as the client takes it.
func (s *session) sendNext() {
	for len(s.waiting) > 0 {
		id := s.waiting[0]
		q := s.queue[id]
		if q.unsaved || !s.takes(q.message) {
			break
		}
		s.waiting = s.waiting[1:]
		s.send(id, q)
	}
	if len(s.waiting) == 0 {
		s.waiting = nil
	}
}

// attach begins with a connection: what the client did not acknowledge is sent, as far as it takes it at once.
func (s *session) attach(c *conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.expireLocked(s.b.moment())
	s.conn, s.most = c, math.MaxUint16
	if most := int(c.cl.Properties.Props.ReceiveMaximum); most > 0 {
		s.most = most
	}
	ids := make([]uint16, 0, len(s.queue))
	for id := range s.queue {
		ids = append(ids, id)
	}
	slices.SortFunc(ids, func(x, y uint16) int {
		a, b := s.queue[x], s.queue[y]
		if a.Sent != b.Sent { // what the client has comes first: it takes little and makes room
			return map[bool]int{true: -1, false: 1}[a.Sent]
		}
		return cmp.Compare(a.Seq, b.Seq)
	})
	s.waiting = ids
	c.feeder.Store(s)
	s.sendNext()
}

// feed goes on with what waits for room on a connection.
func (s *session) feed(c *conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.conn == c {
		s.sendNext()
	}
}

// detach ends with the connection: nothing is under way any more.
func (s *session) detach() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.conn, s.out, s.waiting, s.unkept = nil, 0, nil, nil
	for _, q := range s.queue {
		if q.out = false; !q.Sent {
			s.endsAt(q)
		}
	}
}

// remove takes a message off the queue.
func (s *session) remove(id uint16, q *queued) {
	s.grow(-q.size())
	delete(s.queue, id)
	s.full = false
	if s.kept {
		s.b.store.enqueue(delMessage(s.id, id))
	}
}

// restore takes what the file has of the queue. Whether a message was sent is not known: it may have been.
func (s *session) restore(all map[uint16]message) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for id, m := range all {
		q := &queued{message: m, tried: true}
		s.queue[id] = q
		s.grow(m.size())
		s.endsAt(q)
		s.lastSeq = max(s.lastSeq, m.Seq)
	}
	s.expireLocked(s.b.moment())
}

// queueLen is how many messages towards the client are not acknowledged.
func (s *session) queueLen() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.queue)
}
