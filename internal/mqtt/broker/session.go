package broker

import (
	"slices"
	"sync"
	"sync/atomic"

	mochi "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"
)

// session is what the broker knows of a client id beyond the library: which of its QoS 2 messages are between PUBREC and
// PUBREL, and which messages towards it are not acknowledged. The library's own list of the latter loses entries when a
// client's receive maximum is reached, knows no order, and shares its packet ids with the client's own; what is sent again
// is therefore decided here.
type session struct {
	id      string
	backlog *atomic.Int64 // the broker's

	mu       sync.Mutex // guards what follows
	kept     bool       // outlives its connection, so that it is in the file
	incoming map[uint16]struct{}
	queue    map[uint16]message // by packet id
	bytes    int                // of the queue's payloads
	full     bool               // something did not fit since there was room last
	ended    bool               // it counts no more

	deliveries []*retainedDelivery // of what is retained, one after another
}

// newSession is an empty one.
func newSession(id string, backlog *atomic.Int64) *session {
	return &session{id: id, backlog: backlog, incoming: map[uint16]struct{}{}, queue: map[uint16]message{}}
}

// grow changes the number of bytes of the queue. Its caller holds mu, or nobody else has the session yet.
func (s *session) grow(n int) {
	s.bytes += n
	if !s.ended {
		s.backlog.Add(int64(n))
	}
}

// end takes what it has off the broker's backlog, for good.
func (s *session) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.ended {
		s.backlog.Add(-int64(s.bytes))
		s.ended = true
	}
}

// setKept says whether the session outlives its connection.
func (s *session) setKept(kept bool) {
	s.mu.Lock()
	s.kept = kept
	s.mu.Unlock()
}

func (s *session) isKept() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.kept
}

// Incoming QoS 2: seen reports a packet id that waits for its PUBREL, note and forget keep the list.
func (s *session) seen(id uint16) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, ok := s.incoming[id]
	return ok
}

func (s *session) note(id uint16) {
	s.mu.Lock()
	s.incoming[id] = struct{}{}
	s.mu.Unlock()
}

func (s *session) forget(id uint16) {
	s.mu.Lock()
	delete(s.incoming, id)
	s.mu.Unlock()
}

func (s *session) incomingLen() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.incoming)
}

// enqueue adds a message towards the client, unless the queue would be too large: first says that it was not before.
func (s *session) enqueue(id uint16, m message, l Limits) (ok, kept, first bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := len(m.Payload)
	if len(s.queue) >= l.MaxQueued || s.bytes+n > l.MaxQueuedBytes || s.backlog.Load()+int64(n) > int64(l.MaxBacklogBytes) {
		first, s.full = !s.full, true
		return false, s.kept, first
	}
	s.grow(n - len(s.queue[id].Payload))
	s.queue[id] = m
	return true, s.kept, false
}

// queueLen is how many messages towards the client are not acknowledged. hasRoom says whether one more would be taken; one that never
// will be is.
func (s *session) queueLen() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.queue)
}

func (s *session) hasRoom(n int, l Limits) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return n > l.MaxQueuedBytes || len(s.queue) < l.MaxQueued && s.bytes+n <= l.MaxQueuedBytes && s.backlog.Load()+int64(n) <= int64(l.MaxBacklogBytes)
}

// What is retained and still to be delivered: deliver begins with a filter, anew if it is there already, nextDelivery is whose turn it
// is, delivers says that it was not given up meanwhile, delivered takes it off the list, and stopDelivery all of a filter.
func (s *session) deliver(d *retainedDelivery) {
	s.stopDelivery(d.sub.Filter)
	s.mu.Lock()
	s.deliveries = append(s.deliveries, d)
	s.mu.Unlock()
}

func (s *session) nextDelivery() *retainedDelivery {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.deliveries) == 0 {
		return nil
	}
	return s.deliveries[0]
}

func (s *session) delivers(d *retainedDelivery) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Contains(s.deliveries, d)
}

func (s *session) delivered(d *retainedDelivery) {
	s.mu.Lock()
	s.deliveries = slices.DeleteFunc(s.deliveries, func(o *retainedDelivery) bool { return o == d })
	s.mu.Unlock()
}

func (s *session) stopDelivery(filter string) {
	s.mu.Lock()
	s.deliveries = slices.DeleteFunc(s.deliveries, func(o *retainedDelivery) bool { return o.sub.Filter == filter })
	s.mu.Unlock()
}

// has reports whether a packet id towards the client is not acknowledged.
func (s *session) has(id uint16) (message, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	q, ok := s.queue[id]
	return q, ok
}

// received notes that the client has a QoS 2 message: what is left of it is its PUBREL.
func (s *session) received(id uint16) (m message, kept, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	q, ok := s.queue[id]
	if !ok || q.Sent {
		return message{}, s.kept, false
	}
	s.grow(-len(q.Payload))
	q.Sent, q.Payload, q.Props = true, nil, nil
	s.queue[id] = q
	return q, s.kept, true
}

// dequeue takes an acknowledged message out, dequeueExpired one whose time is over.
func (s *session) dequeue(id uint16) (was, kept bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.dequeueLocked(id), s.kept
}

func (s *session) dequeueExpired(id uint16, now int64) (was, kept bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if at := s.queue[id].Expires; at == 0 || at >= now {
		return false, s.kept
	}
	return s.dequeueLocked(id), s.kept
}

func (s *session) dequeueLocked(id uint16) (was bool) {
	q, ok := s.queue[id]
	if ok {
		s.grow(-len(q.Payload))
		delete(s.queue, id)
		s.full = false
	}
	return ok
}

// restore makes the library's list what the queue is: in the order in which the messages came, complete, and not marked as
// waiting for quota. The library sends it in the order of Created, of which it looks at the lower 16 bits.
func (s *session) restore(cl *mochi.Client) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, old := range cl.State.Inflight.GetAll(false) {
		cl.State.Inflight.Delete(old.PacketID)
	}
	ids := make([]uint16, 0, len(s.queue))
	for id := range s.queue {
		ids = append(ids, id)
	}
	slices.SortFunc(ids, func(a, b uint16) int { return int(s.queue[a].Seq - s.queue[b].Seq) })
	for i, id := range ids {
		pk := inflight(s.queue[id], id)
		pk.Created = int64(i)
		cl.State.Inflight.Set(pk)
	}
}

// inflight is the packet that stands for a queued message in the library's list.
func inflight(m message, id uint16) packets.Packet {
	if m.Sent {
		return packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Pubrel, Qos: 1}, PacketID: id}
	}
	pk := m.packet()
	pk.PacketID = id
	return pk
}
