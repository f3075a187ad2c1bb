package load

import "github.com/statehouse/statehouse/internal/faults/trace"

// Said follows what the program sends, and knows which messages it has acknowledged. The zero value has heard nothing.
type Said struct {
	// Acked are the numbers of the messages, in the order of their acknowledgements.
	Acked []int

	streams map[int]*stream
}

// stream is what was sent on a connection and not understood yet.
type stream struct {
	rest []byte
	// other says that it does not speak MQTT.
	other bool
}

// Restart forgets the connections: the program was started anew.
func (s *Said) Restart() { s.streams = nil }

const (
	typeConnack = 2
	typePuback  = 4
)

// Hear follows one event. What the program has begun to send counts: the other side may have it.
func (s *Said) Hear(e trace.Event) {
	if e.Kind != trace.Send || e.End {
		return
	}
	if s.streams == nil {
		s.streams = map[int]*stream{}
	}
	st := s.streams[e.File]
	if st == nil {
		st = &stream{}
		s.streams[e.File] = st
		st.other = len(e.Data) == 0 || e.Data[0]>>4 != typeConnack
	}
	if st.other {
		return
	}
	st.rest = append(st.rest, e.Data...)
	for {
		kind, body, rest, ok := packet(st.rest)
		if !ok {
			return
		}
		st.rest = rest
		if kind == typePuback && len(body) >= 2 && (len(body) == 2 || body[2] < 0x80) {
			s.Acked = append(s.Acked, int(body[0])<<8|int(body[1]))
		}
	}
}

// packet cuts the first packet off, if all of it is there.
func packet(b []byte) (kind byte, body, rest []byte, ok bool) {
	size, at := 0, 1
	for shift := 0; ; shift += 7 {
		if at >= len(b) || shift > 21 {
			return 0, nil, nil, false
		}
		size |= int(b[at]&0x7f) << shift
		at++
		if b[at-1]&0x80 == 0 {
			break
		}
	}
	if len(b) < at+size {
		return 0, nil, nil, false
	}
	return b[0] >> 4, b[at : at+size], b[at+size:], true
}
