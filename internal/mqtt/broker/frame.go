package broker

import (
	"errors"
	"fmt"

	"github.com/mochi-mqtt/server/v2/packets"
)

// How long packets may be, and what may be many in them: decoded, a user property of 5 bytes takes 32, and a filter of 4 bytes more than
// 100. Only what is published may be large.
const (
	maxConnect     = 384 << 10 // a CONNECT: five strings of 64 KiB and some properties
	maxFilterBytes = 1 << 20   // of a SUBSCRIBE or UNSUBSCRIBE
	maxOther       = 64 << 10
	maxProperties  = 32 << 10 // of a packet that is no PUBLISH, and of a will
)

// errFrame is a length that is none.
var errFrame = errors.New("malformed packet: its length has more than four bytes")

// frame follows the packets in a stream of bytes, as far as it takes to know what each will cost before the library allocates for it: their
// lengths, and in their bodies what may be many.
type frame struct {
	packets int // begun
	state   int // 0 before a packet's first byte, then the number of bytes of its header
	first   byte
	length  int
	left    int  // of the body
	version byte // what the CONNECT says
	goodbye byte // the reason of a DISCONNECT
	body    body
}

// inside says that a packet has begun and is not here yet.
func (f *frame) inside() bool { return f.left > 0 || f.state > 0 }

// kind is the type of the packet.
func (f *frame) kind() byte { return f.first >> 4 }

// largest is how long the packet may be.
func (f *frame) largest(l *Limits) int {
	switch kind := f.kind(); {
	case f.packets == 0 && kind == packets.Connect:
		return maxConnect
	case f.packets > 0 && kind == packets.Publish:
		return l.MaxPayload + packetOverhead
	case kind == packets.Subscribe || kind == packets.Unsubscribe:
		return maxOther + min(l.MaxSubscriptions*(l.MaxTopicBytes+3), maxFilterBytes)
	}
	return maxOther
}

// check takes the next bytes and says when a packet is longer than it may be, or has more of something.
func (f *frame) check(p []byte, l *Limits) error {
	for len(p) > 0 {
		if f.left > 0 {
			n := min(f.left, len(p))
			if err := f.look(p[:n], l); err != nil {
				return err
			}
			f.left -= n
			p = p[n:]
			continue
		}
		b := p[0]
		p = p[1:]
		if f.state == 0 {
			f.state, f.first, f.length = 1, b, 0
			continue
		}
		if f.state > 4 {
			return errFrame
		}
		f.length |= int(b&0x7f) << (7 * (f.state - 1))
		f.state++
		if b&0x80 != 0 {
			continue
		}
		if most := f.largest(l); f.length > most {
			return fmt.Errorf("a packet of type %d with %d bytes, at most %d are allowed", f.kind(), f.length, most)
		}
		f.packets++
		f.state, f.left, f.body = 0, f.length, body{}
	}
	return nil
}

// part is one of those that a body consists of.
type part byte

const (
	partText       part = iota // a length of two bytes, and so much
	partFilter                 // a text that is counted
	partTwo                    // two bytes
	partID                     // two bytes, above QoS 0
	partOption                 // one byte
	partLevel                  // the byte that is the protocol's version
	partFlags                  // the byte that is a CONNECT's
	partProperties             // MQTT 5: a length, and so much
	partWill                   // the same, where there is a will
	partReason                 // the byte that is a DISCONNECT's reason
)

// bodies are what packets consist of, as far as it matters. What is behind the properties of one with filters repeats.
var bodies = map[byte][]part{
	packets.Connect:     {partText, partLevel, partFlags, partTwo, partProperties, partText, partWill},
	packets.Publish:     {partText, partID, partProperties},
	packets.Subscribe:   {partTwo, partProperties, partFilter, partOption},
	packets.Unsubscribe: {partTwo, partProperties, partFilter},
	packets.Disconnect:  {partReason},
}

// body is how far a packet's body has been looked at.
type body struct {
	at      int // of its parts
	skip    int // bytes that do not matter
	n       int // a length of which some bytes were there
	digits  int // those bytes
	filters int
	will    bool
}

// look looks at some of a body.
func (f *frame) look(p []byte, l *Limits) error {
	for len(p) > 0 {
		if n := min(f.body.skip, len(p)); n > 0 {
			f.body.skip -= n
			p = p[n:]
			continue
		}
		parts := bodies[f.kind()]
		if f.body.at == len(parts) {
			if f.body.filters == 0 {
				return nil
			}
			f.body.at = 2
		}
		used, err := f.step(parts[f.body.at], p[0])
		if err != nil {
			return err
		}
		if f.body.filters > l.MaxSubscriptions {
			return violation{packets.ErrQuotaExceeded, fmt.Errorf("a packet of type %d with more than %d filters (mqtt.limits.max_subscriptions)",
				f.kind(), l.MaxSubscriptions)}
		}
		p = p[used:]
	}
	return nil
}

// step looks at the next byte of a part, and says how many bytes it used: none where they are to be skipped, or the part is not there.
func (f *frame) step(next part, b byte) (used int, err error) {
	s := &f.body
	switch next {
	case partTwo:
		s.end(2)
	case partID:
		s.end(2 * min(1, int(f.first>>1&3)))
	case partOption:
		s.end(1)
	case partLevel:
		f.version = b
		s.end(1)
	case partReason:
		f.goodbye = b
		s.end(1)
	case partFlags:
		s.will = b&4 != 0
		s.end(1)
	case partText, partFilter:
		s.n = s.n<<8 | int(b)
		if s.digits++; s.digits < 2 {
			return 1, nil
		}
		if next == partFilter {
			s.filters++
		}
		s.end(s.n)
		return 1, nil
	case partProperties, partWill:
		if f.version != 5 || next == partWill && !s.will {
			s.end(0)
			return 0, nil
		}
		s.n |= int(b&0x7f) << (7 * s.digits)
		s.digits++
		switch {
		case b&0x80 == 0:
			err = f.mayHave(s.n)
			s.end(s.n)
		case s.digits == 4:
			err = errFrame
		}
		return 1, err
	}
	return 0, nil
}

// end is the end of a part, but for bytes that do not matter.
func (s *body) end(skip int) {
	s.at, s.skip, s.n, s.digits = s.at+1, skip, 0, 0
}

// mayHave says when a packet has too many properties.
func (f *frame) mayHave(n int) error {
	most := maxProperties
	if f.kind() == packets.Publish {
		most = packetOverhead
	}
	if n > most {
		return fmt.Errorf("a packet of type %d with %d bytes of properties, at most %d are allowed", f.kind(), n, most)
	}
	return nil
}
