package broker

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"unicode/utf8"

	"github.com/mochi-mqtt/server/v2/packets"
)

// message is a PUBLISH as the file keeps it: a length, this as JSON, and the payload as it is.
type message struct {
	Topic   string      `json:"t"`
	QoS     byte        `json:"q,omitempty"`
	Retain  bool        `json:"r,omitempty"`
	Origin  string      `json:"o,omitempty"` // the publisher's client id, of a retained message: a subscriber may want none of its own
	Expires int64       `json:"e,omitempty"` // Unix seconds, 0 for never
	Seq     int64       `json:"s,omitempty"` // order within a session
	Sent    bool        `json:"d,omitempty"` // a QoS 2 message that the client has; what is left is its PUBREL
	Props   *properties `json:"p,omitempty"`
	Payload []byte      `json:"-"`
}

// properties are those of MQTT 5 that go from publisher to subscriber.
type properties struct {
	Format        *byte                  `json:"f,omitempty"`
	ContentType   string                 `json:"c,omitempty"`
	ResponseTopic string                 `json:"r,omitempty"`
	Correlation   []byte                 `json:"d,omitempty"`
	User          []packets.UserProperty `json:"u,omitempty"`
}

// subscription is one as the file keeps it.
type subscription struct {
	Filter            string `json:"f"`
	QoS               byte   `json:"q,omitempty"`
	ID                int    `json:"i,omitempty"`
	NoLocal           bool   `json:"n,omitempty"`
	RetainAsPublished bool   `json:"p,omitempty"`
	RetainHandling    byte   `json:"h,omitempty"`
}

// client is a session's owner as the file keeps it.
type client struct {
	ID             string `json:"id"`
	User           string `json:"user,omitempty"`
	Version        byte   `json:"version"`
	Expiry         uint32 `json:"expiry,omitempty"` // seconds, MQTT 5
	ReceiveMaximum uint16 `json:"receive_maximum,omitempty"`
	MaxPacket      uint32 `json:"max_packet,omitempty"`
}

// newMessage takes of a packet what is kept.
func newMessage(pk packets.Packet) message {
	m := message{Topic: pk.TopicName, QoS: pk.FixedHeader.Qos, Retain: pk.FixedHeader.Retain, Payload: pk.Payload}
	if pk.Expiry > 0 {
		m.Expires = pk.Expiry
	}
	p := properties{ContentType: pk.Properties.ContentType, ResponseTopic: pk.Properties.ResponseTopic,
		Correlation: pk.Properties.CorrelationData, User: pk.Properties.User}
	if pk.Properties.PayloadFormatFlag {
		p.Format = &pk.Properties.PayloadFormat
	}
	if p.Format != nil || p.ContentType != "" || p.ResponseTopic != "" || len(p.Correlation) > 0 || len(p.User) > 0 {
		m.Props = &p
	}
	return m
}

// packet is the way back.
func (m message) packet() packets.Packet {
	pk := packets.Packet{
		FixedHeader:     packets.FixedHeader{Type: packets.Publish, Qos: m.QoS, Retain: m.Retain},
		ProtocolVersion: 5,
		TopicName:       m.Topic,
		Payload:         m.Payload,
		Expiry:          m.Expires,
		Origin:          m.Origin,
	}
	if p := m.Props; p != nil {
		if p.Format != nil {
			pk.Properties.PayloadFormat, pk.Properties.PayloadFormatFlag = *p.Format, true
		}
		pk.Properties.ContentType, pk.Properties.ResponseTopic = p.ContentType, p.ResponseTopic
		pk.Properties.CorrelationData, pk.Properties.User = p.Correlation, p.User
	}
	return pk
}

// errRecord is what a record that cannot be read is.
var errRecord = errors.New("damaged record")

// encode and decodeMessage are the bytes of it.
func (m message) encode() ([]byte, error) {
	head, err := json.Marshal(m)
	if err != nil {
		return nil, fmt.Errorf("encode message: %w", err)
	}
	b := make([]byte, 0, len(head)+len(m.Payload)+binary.MaxVarintLen32)
	b = binary.AppendUvarint(b, uint64(len(head)))
	b = append(b, head...)
	return append(b, m.Payload...), nil
}

// decodeMessage copies what it keeps: the file's pages go away.
func decodeMessage(b []byte) (message, error) {
	m, err := viewMessage(b)
	m.Payload = bytes.Clone(m.Payload)
	return m, err
}

// viewMessage is decodeMessage for as long as the record is there: the payload is the record's.
func viewMessage(b []byte) (message, error) {
	n, used := binary.Uvarint(b)
	if used <= 0 || n > uint64(len(b)-used) {
		return message{}, errRecord
	}
	var m message
	head := b[used : used+int(n)]
	if !m.decodePlain(head) {
		m = message{}
		if err := json.Unmarshal(head, &m); err != nil {
			return message{}, errRecord
		}
	}
	if m.Topic == "" || m.QoS > 2 {
		return message{}, errRecord
	}
	m.Payload = b[used+int(n):]
	return m, nil
}

// decodePlain reads the JSON that nearly all retained messages have: a topic without escapes, a QoS, the flag, a client id. It is a tenth
// of the work of the real decoder, and a start looks at every record. False means that it is not that.
func (m *message) decodePlain(head []byte) bool {
	rest, ok := bytes.CutPrefix(head, []byte(`{"t":"`))
	if !ok {
		return false
	}
	topic, rest, ok := bytes.Cut(rest, []byte(`"`))
	if !ok || !plain(topic) {
		return false
	}
	if after, ok := bytes.CutPrefix(rest, []byte(`,"q":`)); ok && len(after) > 0 && (after[0] == '1' || after[0] == '2') {
		m.QoS, rest = after[0]-'0', after[1:]
	}
	rest, m.Retain = bytes.CutPrefix(rest, []byte(`,"r":true`))
	var origin []byte
	if after, ok := bytes.CutPrefix(rest, []byte(`,"o":"`)); ok {
		if origin, rest, ok = bytes.Cut(after, []byte(`"`)); !ok || !plain(origin) {
			return false
		}
	}
	m.Topic, m.Origin = string(topic), string(origin)
	return string(rest) == "}"
}

// plain says that a JSON string is what it stands for.
func plain(s []byte) bool {
	for _, c := range s {
		if c < ' ' || c == '\\' {
			return false
		}
	}
	return utf8.Valid(s)
}
