package broker

import (
	"bytes"
	"errors"
	"testing"

	"github.com/mochi-mqtt/server/v2/packets"
)

// FuzzFrame: the lengths in a stream are followed the same way however it is cut, and none beyond the limit is let through.
func FuzzFrame(f *testing.F) {
	for _, s := range []string{
		"\x10\x02ab\xc0\x00\x30\x05abcde", "\x10\xff\xff\xff\xff\xff", "\x30\x80\x80\x80\x01", "\x30\xff\x7f", "\x10", "", "\x30\x80\x00\x30\x00",
	} {
		f.Add([]byte(s), uint16(3))
	}
	f.Fuzz(func(t *testing.T, stream []byte, cut uint16) {
		limits := Limits{MaxPayload: 1000, MaxSubscriptions: 2, MaxTopicBytes: 10}
		var whole, parts frame
		err := whole.check(stream, &limits)
		at := min(int(cut), len(stream))
		errParts := parts.check(stream[:at], &limits)
		if errParts == nil {
			errParts = parts.check(stream[at:], &limits)
		}
		if (err == nil) != (errParts == nil) {
			t.Fatalf("%x cut at %d: %v, and %v whole", stream, at, errParts, err)
		}
		if err == nil && whole != parts {
			t.Errorf("%x cut at %d: %+v, and %+v whole", stream, at, parts, whole)
		}
		if whole.left > maxConnect || whole.packets > 1 && whole.left > 1000+packetOverhead {
			t.Errorf("%d bytes are awaited", whole.left)
		}
	})
}

// FuzzFrameBody: of a packet that is let through, the library decodes no more filters than there may be, and one with no more is let through.
func FuzzFrameBody(f *testing.F) {
	for _, s := range []string{"\x00\x01\x00\x01a\x00\x00\x01b\x00\x00\x01c\x00", "\x00\x01\x00\x00\x01a\x00\x00\x01b\x00\x00\x01c\x00",
		"\x00\x01\x07\x26\x00\x01k\x00\x01v\x00\x01a\x00\x00\x01b\x00", "\x00\x01\x00\x01a\x00\x01b\x00\x01c", "\x00\x01", ""} {
		f.Add([]byte(s), true, true)
		f.Add([]byte(s), false, true)
		f.Add([]byte(s), true, false)
	}
	f.Fuzz(func(t *testing.T, content []byte, subscribe, five bool) {
		pk := packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Unsubscribe, Qos: 1}, ProtocolVersion: 4}
		if five {
			pk.ProtocolVersion = 5
		}
		decode := pk.UnsubscribeDecode
		if subscribe {
			pk.FixedHeader.Type, decode = packets.Subscribe, pk.SubscribeDecode
		}
		if len(content) > 127 {
			return
		}
		connect := []byte{packets.Connect << 4, 13, 0, 4, 'M', 'Q', 'T', 'T', pk.ProtocolVersion, 2, 0, 60, 0, 0, 0}
		if !five {
			connect = append(connect[:1], append([]byte{12}, connect[2:14]...)...)
		}
		limits := Limits{MaxPayload: 1000, MaxSubscriptions: 2, MaxTopicBytes: 10}
		var frames frame
		err := frames.check(append(append(connect, pk.FixedHeader.Type<<4|2, byte(len(content))), content...), &limits)
		if err == nil && frames.inside() || frames.packets != 2 {
			t.Fatalf("%d packets, %v", frames.packets, err)
		}
		var bad error
		func() {
			defer func() {
				if recover() != nil { // as the library does with one that is cut
					bad = errFrame
				}
			}()
			bad = decode(content)
		}()
		// The library takes a length of the properties that has more than four bytes.
		if five && len(content) > 5 && content[2]&content[3]&content[4]&content[5]&0x80 != 0 {
			if !errors.Is(err, errFrame) {
				t.Errorf("a length of five bytes: %v", err)
			}
			return
		}
		if bad == nil && (err == nil) != (len(pk.Filters) <= 2) {
			t.Errorf("%d filters: %v", len(pk.Filters), err)
		}
	})
}

// FuzzStoredMessage: whatever a record of the data file is, it is a message or an error, and a message is stored as it is.
func FuzzStoredMessage(f *testing.F) {
	for _, m := range []message{{Topic: "a", Payload: []byte("x"), QoS: 1}, {Topic: "b/c", Seq: 7, Expires: 9, Sent: true}} {
		b, err := m.encode()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
		f.Add(b[:len(b)/2])
	}
	f.Add([]byte("\xff\xff\xff\xff\xff\xff\xff\xff\x7f{}"))
	f.Fuzz(func(t *testing.T, record []byte) {
		m, err := decodeMessage(record)
		if err != nil {
			return
		}
		b, err := m.encode()
		if err != nil {
			t.Fatalf("%+v: %v", m, err)
		}
		again, err := decodeMessage(b)
		if err != nil || again.Topic != m.Topic || !bytes.Equal(again.Payload, m.Payload) || again.QoS != m.QoS {
			t.Errorf("%+v is stored as %+v: %v", m, again, err)
		}
	})
}

// FuzzPasswordHash: whatever stands for a hash in the configuration, it is refused or costs no more than is allowed.
func FuzzPasswordHash(f *testing.F) {
	for _, s := range []string{
		"$pbkdf2-sha512$210000$c2FsdHNhbHRzYWx0c2FsdA$MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE", "$pbkdf2-sha512$-1$$", "$$$$", "",
		"$pbkdf2-sha512$99999999999$c2FsdHNhbHRzYWx0c2FsdA$MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		h, err := parseHash(text)
		if err == nil && (h.iterations < 1000 || h.iterations > hashMaxIter || len(h.salt) < 8 || len(h.key) != hashBytes) {
			t.Errorf("%q: %+v", text, h)
		}
	})
}
