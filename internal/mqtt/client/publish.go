package client

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/eclipse/paho.golang/packets"

	"github.com/statehouse/statehouse/internal/mqtt"
)

// What a topic may have that this client publishes on or subscribes to by itself: as much as the embedded broker takes. Others
// take more, but mosquitto ends the connection beyond 200 levels, and one such topic would do that at every connection.
const (
	maxTopicBytes  = 1024
	maxTopicLevels = 64
)

// checkTopic says why a topic cannot be published on or subscribed to.
func checkTopic(topic string) error {
	if err := mqtt.ValidTopic(topic); err != nil {
		return err
	}
	switch levels := strings.Count(topic, "/") + 1; {
	case len(topic) > maxTopicBytes:
		return fmt.Errorf("%w: topic %.80q has %d bytes, at most %d are possible", mqtt.ErrTopic, topic, len(topic), maxTopicBytes)
	case levels > maxTopicLevels:
		return fmt.Errorf("%w: topic %.80q has %d levels, at most %d are possible", mqtt.ErrTopic, topic, levels, maxTopicLevels)
	case strings.ContainsFunc(topic, unwelcome):
		return fmt.Errorf("%w: topic %.80q has a control character, for which brokers end the connection", mqtt.ErrTopic, topic)
	}
	return nil
}

// unwelcome are the code points that a broker may end the connection for, and mosquitto does: controls and non-characters.
func unwelcome(r rune) bool {
	return r < ' ' || r >= 0x7f && r <= 0x9f || r >= 0xfdd0 && r <= 0xfdef || r&0xfffe == 0xfffe
}

// Publish implements [mqtt.Publisher]. It returns when the message was acknowledged, or with QoS 0 when it was written; the
// package's comment says what its errors mean. While as many messages are under way as the broker takes, it waits for room. The
// payload may be modified when it has returned.
func (c *Client) Publish(ctx context.Context, p mqtt.Publication) error {
	err := c.publish(ctx, p)
	c.change(func(s *Status) {
		if err != nil {
			s.PublishFailed++
		} else {
			s.Published++
		}
	})
	if err != nil {
		return fmt.Errorf("mqtt client: publish on %.80q: %w", p.Topic, err)
	}
	return nil
}

func (c *Client) publish(ctx context.Context, p mqtt.Publication) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if p.QoS > 1 {
		return fmt.Errorf("QoS %d: use 0 or 1", p.QoS)
	}
	if err := checkTopic(p.Topic); err != nil {
		return err
	}
	n := c.current()
	if n == nil {
		return mqtt.ErrNotConnected
	}
	return n.publish(ctx, p)
}

// publish publishes over one connection.
func (n *conn) publish(ctx context.Context, p mqtt.Publication) error {
	if err := n.fits(p); err != nil {
		return err
	}
	// The writer may be at it when the caller has left.
	pk := &packets.Publish{Topic: p.Topic, Payload: bytes.Clone(p.Payload), QoS: p.QoS, Retain: p.Retain, Properties: &packets.Properties{}}
	if seconds := p.ExpirySeconds(); seconds > 0 {
		pk.Properties.MessageExpiry = &seconds
	}
	if p.QoS == 0 {
		return outcome(n.send(ctx, outgoing{packet: pk}))
	}
	select {
	case n.room <- struct{}{}:
	case <-n.ended:
		return mqtt.ErrNotConnected
	case <-ctx.Done():
		return fmt.Errorf("%d messages wait for the broker's acknowledgements: %w", cap(n.room), ctx.Err())
	}
	id, r := n.expect(packets.PUBLISH, nil)
	pk.PacketID = id
	taken, err := n.send(ctx, outgoing{packet: pk})
	if !taken {
		// One that was taken keeps its id and its room until the broker answers: another message under its id would be
		// taken for it.
		n.answered(id, packets.PUBLISH)
		<-n.room
	}
	if err != nil {
		return outcome(taken, err)
	}
	select {
	case a := <-r.answer:
		return a.refusal()
	case <-n.ended:
	case <-ctx.Done():
		return fmt.Errorf("%w: no acknowledgement came in time: %w", mqtt.ErrUnknownOutcome, ctx.Err())
	}
	select {
	case a := <-r.answer: // it was the last that came
		return a.refusal()
	default:
		return fmt.Errorf("%w: the connection ended before its acknowledgement", mqtt.ErrUnknownOutcome)
	}
}

// outcome is what a caller is told of what became of a packet.
func outcome(taken bool, err error) error {
	if err != nil && taken {
		return fmt.Errorf("%w: %w", mqtt.ErrUnknownOutcome, err)
	}
	return err
}

// refusal is the error that the broker's answer to a message is, nil where it has taken it.
func (a answer) refusal() error {
	if code := a.codes[0]; code >= 0x80 {
		return fmt.Errorf("the broker refused the message (code %#x) %s", code, meaning(code, a.reason))
	}
	return nil
}

// protocolMax is the largest packet that can be.
const protocolMax = 268435455 + 5

// fits asks whether the broker takes such a message.
func (n *conn) fits(p mqtt.Publication) error {
	rest := 2 + len(p.Topic) + 1 + len(p.Payload) // without properties
	if p.QoS > 0 {
		rest += 2
	}
	switch size := packetSize(rest); {
	case p.QoS > n.maxQoS:
		return fmt.Errorf("QoS %d: the broker takes QoS %d only", p.QoS, n.maxQoS)
	case p.Retain && !n.retains:
		return errors.New("the broker retains no messages; publish it without")
	case size > n.maxPacket:
		return fmt.Errorf("a packet of %d bytes: the broker takes %d at most", size, n.maxPacket)
	}
	return nil
}

// packetSize is the size of a packet with so many bytes after its header.
func packetSize(rest int) int {
	size := 2 + rest
	for n := rest >> 7; n > 0; n >>= 7 {
		size++
	}
	return size
}

// acknowledged gives a message's publisher the answer. One for which nobody waits is none of ours.
func (n *conn) acknowledged(p *packets.Puback) {
	if r := n.answered(p.PacketID, packets.PUBLISH); r != nil {
		<-n.room
		r.answer <- answer{[]byte{p.ReasonCode}, p.Properties.ReasonString}
	}
}

// birth says "online", which the will takes back.
func (c *Client) birth(ctx context.Context, n *conn) {
	status := "online"
	if c.opts.Absent {
		status = offline
	}
	err := n.publish(ctx, mqtt.Publication{Topic: c.opts.StatusTopic, Payload: []byte(status), QoS: min(1, n.maxQoS), Retain: n.retains})
	if err != nil && ctx.Err() == nil {
		c.opts.Logger.Warn("mqtt client: the status message is not published", "topic", c.opts.StatusTopic, "error", err)
	}
}
