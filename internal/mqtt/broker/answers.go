package broker

import (
	"fmt"

	"github.com/mochi-mqtt/server/v2/packets"
)

// What a client answers to messages with QoS 1 and 2, and what of that the file has. PUBREL lets the client forget that it has the message: so
// with a kept session it goes out when the file does not have the message any more, but the PUBREL. A broker that was killed would else
// send the message again.

// answered takes a message out that the client has acknowledged, wholly, and sends the next one.
func (s *session) answered(id uint16) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.unkept[id]; ok {
		delete(s.unkept, id)
		s.out--
	} else if q := s.queue[id]; q != nil && q.out {
		s.out--
		s.remove(id, q)
	}
	s.sendNext()
}

// received notes that the client has a QoS 2 message: what is left of it is its PUBREL, which goes out on the connection when the file has it.
// False says that there is no such message.
func (s *session) received(id uint16, c *conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	q := s.queue[id]
	if q == nil || !q.out && (q.QoS < 2 || !q.tried) {
		return false
	}
	if !q.Sent { // PUBRELs have the order of the PUBRECs
		s.lastSeq++
		q.Seq = s.lastSeq
		s.reduce(id, q, true, c)
	}
	if q.out && !q.unsaved { // else it was sent on a connection before, and its PUBREL has its turn
		_ = c.pubrel(id, 0) // it fails if the connection is closed, which reading says
	}
	return true
}

// reduce leaves of a message what its PUBREL needs. For awaited and c see save.
func (s *session) reduce(id uint16, q *queued, awaited bool, c *conn) {
	before := q.size()
	q.Sent, q.Payload, q.Props = true, nil, nil
	s.grow(q.size() - before)
	s.save(id, q, awaited, c)
}

// save puts a message of a kept session into the file. What is awaited is not sent before it is there, and c, if not nil, is closed when
// that failed.
func (s *session) save(id uint16, q *queued, awaited bool, c *conn) {
	if !s.kept {
		return
	}
	r, err := putMessage(s.id, id, q.message)
	if err != nil {
		return
	}
	if awaited && s.b.store.db != nil {
		q.unsaved = true
		r.then = func(err error) { s.saved(id, q, c, err) }
	}
	s.b.queuedWrites.Add(1)
	s.b.store.enqueue(r)
}

// saved goes on with a message that is in the file now. After an error the file is tried again, and then it is.
func (s *session) saved(id uint16, q *queued, c *conn, err error) {
	if err != nil {
		if c != nil {
			c.refuse(packets.ErrImplementationSpecificError, fmt.Errorf("PUBREC for packet id %d: data file: %w", id, err))
		}
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.queue[id] != q {
		return
	}
	q.unsaved = false
	if q.out && s.conn != nil {
		_ = s.conn.pubrel(id, 0)
	}
	s.sendNext()
	if s.conn != nil {
		s.conn.moreRoom()
	}
}

// acknowledged takes a client's answer to a message.
func (c *conn) acknowledged(pk packets.Packet) {
	failed := pk.ReasonCode >= packets.ErrUnspecifiedError.Code || !pk.ReasonCodeValid()
	switch {
	case pk.FixedHeader.Type != packets.Pubrec || failed:
		c.session.answered(pk.PacketID)
	case !c.session.received(pk.PacketID, c):
		_ = c.pubrel(pk.PacketID, packets.ErrPacketIdentifierNotFound.Code)
	}
	c.moreRoom()
}

// pubrel writes a PUBREL. Its code is for MQTT 5 only.
func (c *conn) pubrel(id uint16, code byte) error {
	b := []byte{packets.Pubrel<<4 | 2, 2, byte(id >> 8), byte(id)}
	if code != 0 && c.version.Load() >= 5 {
		b = append(b, code)
		b[1]++
	}
	_, err := c.Write(b)
	return err
}
