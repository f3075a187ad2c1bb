package client

import (
	"context"
	"fmt"
	"runtime/debug"

	"github.com/eclipse/paho.golang/packets"

	"github.com/statehouse/statehouse/internal/mqtt"
)

// maxBegun is how many messages may be under way at once. All but the first of them were in the link's buffer together, which bounds
// their bytes.
const maxBegun = 64

// receiver takes in what a connection brings, and acknowledges it: several messages at once where the handler can, since they share
// a commit then, and otherwise one after another. It is the reading goroutine's.
type receiver struct {
	c        *Client
	link     *Link
	ctx      context.Context // of all messages of the connection
	cancel   context.CancelFunc
	sequence mqtt.Sequence // nil: one message after another
	begun    []begun
	taken    map[uint16]bool // QoS 2 messages between PUBREC and PUBREL, should the broker send any
}

// begun is a message that is under way.
type begun struct {
	topic string
	qos   byte
	id    uint16
	wait  func() error
}

func (c *Client) newReceiver(ctx context.Context, link *Link) *receiver {
	r := &receiver{c: c, link: link, taken: map[uint16]bool{}}
	r.ctx, r.cancel = context.WithCancel(ctx)
	if h, ok := c.opts.Handler.(mqtt.Sequencer); ok {
		r.sequence = h.Sequence()
	}
	return r
}

// take begins to take a message in. An error may be that of one before it.
func (r *receiver) take(p *packets.Publish) error {
	r.c.change(func(s *Status) { s.Received++ })
	if err := mqtt.ValidTopic(p.Topic); err != nil {
		return fmt.Errorf("mqtt client: the broker sent: %w", err)
	}
	m := mqtt.Message{Topic: p.Topic, Payload: p.Payload, QoS: p.QoS, Retained: p.Retain, ReceivedAt: r.c.opts.Now()}
	one := begun{topic: p.Topic, qos: p.QoS, id: p.PacketID}
	if r.sequence != nil && p.QoS < 2 {
		if len(r.begun) >= maxBegun {
			if err := r.finish(); err != nil {
				return err
			}
		}
		panicked := r.c.contain(m.Topic, func() error { one.wait = r.sequence.Begin(r.ctx, m); return nil })
		if panicked != nil { // in its place: those before it are none the worse
			one.wait = func() error { return panicked }
		}
	}
	if one.wait != nil {
		r.begun = append(r.begun, one)
		return nil
	}
	if err := r.finish(); err != nil { // it is to meet what they did
		return err
	}
	one.wait = func() error {
		if p.QoS == 2 && r.taken[p.PacketID] {
			return nil
		}
		return r.c.opts.Handler.Handle(r.ctx, m)
	}
	return r.finishOne(one)
}

// finish waits for what is under way and acknowledges it, in order. After an error nothing more of it is acknowledged.
func (r *receiver) finish() error {
	for len(r.begun) > 0 {
		one := r.begun[0]
		r.begun = r.begun[1:]
		if err := r.finishOne(one); err != nil {
			r.abandon()
			return err
		}
	}
	r.begun = nil
	return nil
}

// finishOne waits for a message and acknowledges it.
func (r *receiver) finishOne(one begun) error {
	if err := r.c.contain(one.topic, one.wait); err != nil {
		r.c.change(func(s *Status) { s.Failed++ })
		return fmt.Errorf("mqtt client: message on %q not accepted: %w", one.topic, err)
	}
	var err error
	switch one.qos {
	case 0:
		return nil
	case 1:
		err = r.link.Write(&packets.Puback{PacketID: one.id, Properties: &packets.Properties{}})
	default:
		r.taken[one.id] = true
		err = r.link.Write(&packets.Pubrec{PacketID: one.id, Properties: &packets.Properties{}})
	}
	if err != nil {
		return fmt.Errorf("mqtt client: acknowledge: %w", err)
	}
	r.c.change(func(s *Status) { s.Acked++ })
	return nil
}

// contain makes an error of a panic in the handler, like any other: the message was not taken.
func (c *Client) contain(topic string, f func() error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			c.opts.Logger.Error("mqtt client: panic in the handler", "topic", topic, "panic", r, "stack", string(debug.Stack()))
			err = fmt.Errorf("panic: %v", r)
		}
	}()
	return f()
}

// abandon waits for what is under way, whatever comes of it: the broker sends it again.
func (r *receiver) abandon() {
	r.cancel()
	for _, one := range r.begun {
		if r.c.contain(one.topic, one.wait) != nil {
			r.c.change(func(s *Status) { s.Failed++ })
		}
	}
	r.begun = nil
}

// end finishes what the end of the connection leaves under way, and says nothing of what comes of it.
func (r *receiver) end() {
	defer r.cancel()
	_ = r.finish() // the connection has ended for another reason
}
