package faults

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"time"
)

// Publisher is an MQTT 3.1.1 client that publishes at QoS 1 and knows what was acknowledged. It is for one goroutine.
type Publisher struct {
	conn net.Conn
	in   *bufio.Reader
	out  []byte
	// next is the id of the next packet, waiting are those that are not acknowledged, oldest first.
	next    uint16
	waiting []uint16
}

// Dial connects a publisher; user may be empty.
func Dial(addr, id, user, password string) (*Publisher, error) {
	conn, err := net.DialTimeout("tcp", addr, 10*time.Second)
	if err != nil {
		return nil, err
	}
	p := &Publisher{conn: conn, in: bufio.NewReader(conn)}
	flags := byte(2) // a clean session
	if user != "" {
		flags |= 0xc0
	}
	body := append(mqttString("MQTT"), 4, flags, 0, 0)
	body = append(body, mqttString(id)...)
	if user != "" {
		body = append(append(body, mqttString(user)...), mqttString(password)...)
	}
	if _, err = conn.Write(Packet(0x10, body)); err == nil {
		var answer [4]byte
		if _, err = io.ReadFull(p.in, answer[:]); err == nil && (answer[0] != 0x20 || answer[3] != 0) {
			err = fmt.Errorf("the broker answers CONNECT with %x", answer)
		}
	}
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return p, nil
}

func mqttString(s string) []byte {
	return append(binary.BigEndian.AppendUint16(nil, uint16(len(s))), s...) //nolint:gosec // the harnesses' own strings
}

// Packet is an MQTT packet with that first byte.
func Packet(first byte, body []byte) []byte {
	out := []byte{first}
	n := len(body)
	for more := true; more; {
		b := byte(n & 0x7f) //nolint:gosec // seven bits
		n >>= 7
		if more = n > 0; more {
			b |= 0x80
		}
		out = append(out, b)
	}
	return append(out, body...)
}

// Add adds a message to what the next Flush sends.
func (p *Publisher) Add(topic, payload string, retain bool) {
	if p.next++; p.next == 0 {
		p.next = 1
	}
	p.waiting = append(p.waiting, p.next)
	body := binary.BigEndian.AppendUint16(mqttString(topic), p.next)
	first := byte(0x32) // PUBLISH at QoS 1
	if retain {
		first |= 1
	}
	p.out = append(p.out, Packet(first, append(body, payload...))...)
}

// Flush sends what was added, and waits until all of it is acknowledged; acked is called for each message that is, in
// the order in which they were added.
func (p *Publisher) Flush(acked func()) error {
	_, err := p.conn.Write(p.out)
	p.out = p.out[:0]
	// What was acknowledged before the connection broke is acknowledged.
	for len(p.waiting) > 0 {
		var answer [4]byte
		if _, readErr := io.ReadFull(p.in, answer[:]); readErr != nil {
			return errors.Join(err, readErr)
		}
		if id := binary.BigEndian.Uint16(answer[2:]); answer[0] != 0x40 || answer[1] != 2 || id != p.waiting[0] {
			return fmt.Errorf("the broker sent %x, and the acknowledgement of packet %d is due", answer, p.waiting[0])
		}
		p.waiting = p.waiting[1:]
		acked()
	}
	return err
}

// Publish sends one message and waits until it is acknowledged.
func (p *Publisher) Publish(topic, payload string, retain bool) error {
	p.Add(topic, payload, retain)
	return p.Flush(func() {})
}

// Close ends the connection.
func (p *Publisher) Close() error { return p.conn.Close() }
