package broker

import (
	"slices"
	"sync"
	"time"
)

// session is what the broker knows of a client id beyond the library: which of its QoS 2 messages are between PUBREC and
// PUBREL, the messages towards it that are not acknowledged (window.go), and what is retained and still to be delivered.
type session struct {
	id string
	b  *Broker

	mu       sync.Mutex    // guards what follows
	kept     bool          // outlives its connection, so that it is in the file
	ended    bool          // it counts no more, and takes nothing
	leftAt   time.Duration // when its client left, by moment.elapsed
	incoming map[uint16]struct{}
	window

	deliveries []*retainedDelivery // of what is retained, one after another
}

// newSession is an empty one.
func newSession(id string, b *Broker) *session {
	return &session{id: id, b: b, incoming: map[uint16]struct{}{}, window: window{queue: map[uint16]*queued{}}}
}

// end takes what it has off the broker's backlog, for good.
func (s *session) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.ended {
		s.b.backlog.Add(-int64(s.bytes))
		s.ended = true
	}
}

// setKept says whether the session outlives its connection. What the file has of one that did and does no more, it forgets.
func (s *session) setKept(kept bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.kept && !kept {
		s.b.store.enqueue(delSession(s.id))
	}
	s.kept = kept
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
