package broker

import (
	"bytes"
	"testing"
)

// FuzzFrame: the lengths in a stream are followed the same way however it is cut, and none beyond the limit is let through.
func FuzzFrame(f *testing.F) {
	for _, s := range []string{
		"\x10\x02ab\xc0\x00\x30\x05abcde", "\x10\xff\xff\xff\xff\xff", "\x30\x80\x80\x80\x01", "\x30\xff\x7f", "\x10", "", "\x30\x80\x00\x30\x00",
	} {
		f.Add([]byte(s), uint16(3))
	}
	f.Fuzz(func(t *testing.T, stream []byte, cut uint16) {
		const most = 1000
		limit := func(bool) int { return most }
		var whole, parts frame
		err := whole.check(stream, limit)
		at := min(int(cut), len(stream))
		errParts := parts.check(stream[:at], limit)
		if errParts == nil {
			errParts = parts.check(stream[at:], limit)
		}
		if (err == nil) != (errParts == nil) {
			t.Fatalf("%x cut at %d: %v, and %v whole", stream, at, errParts, err)
		}
		if err == nil && whole != parts {
			t.Errorf("%x cut at %d: %+v, and %+v whole", stream, at, parts, whole)
		}
		if whole.left > most {
			t.Errorf("%d bytes are awaited", whole.left)
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
