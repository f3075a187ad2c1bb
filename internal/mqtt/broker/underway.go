package broker

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/mochi-mqtt/server/v2/packets"

	"github.com/statehouse/statehouse/internal/mqtt"
)

// Messages of a connection that came together are under way together: step 3 of each is begun when it is read, and steps 3 to 6
// are finished, one message after another, before the connection reads what is not here yet, and before any other packet but an answer
// of the client's is dealt with. So they share a commit, and a lone message waits for no other. All of it is the reading goroutine's:
// when a connection ends, nothing of it is under way any more.
const (
	maxUnderWay = 32
	// readBuffer is how much is read at once, and so bounds what is under way together: a window of 20, which clients have by
	// default, of 400 bytes. A larger message can only be the first.
	readBuffer = 8 << 10
)

// Why what is under way is given up.
var (
	errAbandoned = errors.New("a message before it was not accepted")
	errEnds      = errors.New("the connection ends")
)

// sequence are the messages of a connection that are under way.
type sequence struct {
	handler mqtt.Sequence // nil: one message after another
	ctx     context.Context
	cancel  context.CancelCauseFunc
	begun   []begun
	done    int   // of begun, how many were finished
	failed  error // why the connection ends: nothing is accepted any more
}

// begun is a message between steps 3 and 4.
type begun struct {
	pk   packets.Packet
	wait func() error
}

// openSequence makes the connection ready for several messages under way, if the handler is.
func (c *conn) openSequence() {
	if h, ok := c.b.opts.Handler.(mqtt.Sequencer); ok {
		s := &c.sequence
		s.ctx, s.cancel = context.WithCancelCause(c.b.ctx)
		s.handler = h.Sequence()
	}
}

// begin takes a message that can be under way beside others. What is retained, and QoS 2, changes what the next message meets. An
// error is that of one before it, where there was no room.
func (c *conn) begin(pk packets.Packet) (taken bool, err error) {
	s := &c.sequence
	if s.handler == nil || pk.FixedHeader.Retain || pk.FixedHeader.Qos > 1 || !c.b.handles(pk.TopicName) {
		return false, nil
	}
	if len(s.begun) >= maxUnderWay {
		if err := c.finish(); err != nil {
			return false, err
		}
	}
	m := c.b.message(pk, c.session.id)
	var wait func() error
	panicked := c.b.contain(m.Topic, func() error { wait = s.handler.Begin(s.ctx, m); return nil })
	if panicked != nil { // in its place: those before it are none the worse
		wait = func() error { return panicked }
	}
	if wait == nil {
		return false, nil
	}
	s.begun = append(s.begun, begun{pk, wait})
	return true, nil
}

// finish finishes what is under way. After an error nothing is answered any more.
func (c *conn) finish() error {
	s := &c.sequence
	for s.failed == nil && s.done < len(s.begun) {
		s.done++
		s.failed = c.finishOne(&s.begun[s.done-1])
	}
	if s.failed != nil {
		c.abandon(errAbandoned)
	}
	clear(s.begun)
	s.begun, s.done = s.begun[:0], 0
	return s.failed
}

// finishOne is what is left of steps 3 to 6.
func (c *conn) finishOne(m *begun) error {
	err := c.b.contain(m.pk.TopicName, m.wait)
	if err != nil {
		err = fmt.Errorf("handler: %w", err)
	} else {
		c.b.stats.handled.Add(1)
		err = c.b.pass(incoming{pk: m.pk, client: c.session.id, session: c.session})
	}
	if err != nil {
		return c.b.notAccepted(m.pk, err)
	}
	if m.pk.FixedHeader.Qos > 0 {
		_ = c.ack(packets.Puback, m.pk.PacketID, 0) // it fails if the connection is closed, which reading says: the others were taken in, too
	}
	return nil
}

// abandon waits for what is left under way, and answers none of it.
func (c *conn) abandon(reason error) {
	s := &c.sequence
	if s.cancel != nil {
		s.cancel(reason)
	}
	for _, m := range s.begun[s.done:] {
		_ = c.b.contain(m.pk.TopicName, m.wait) // whatever it is: the client sends it again
		c.b.stats.failed.Add(1)
	}
	s.done = len(s.begun)
}

// endSequence finishes what a connection that ends left under way: after a packet that was malformed, or a panic.
func (c *conn) endSequence() {
	defer c.abandon(errEnds)
	if err := c.b.contain("", c.finish); err != nil {
		c.b.log.Warn("mqtt broker: message under way when the connection ended", "error", err)
	}
}

// finishBeforeRead is finish before the connection waits for what is not here. The client's time does not run meanwhile.
func (c *conn) finishBeforeRead() error {
	if len(c.sequence.begun) == 0 {
		return nil
	}
	began := time.Now()
	if err := c.finish(); err != nil {
		var v violation
		if errors.As(err, &v) {
			c.refuse(v.code, v.reason)
		}
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.deadline.IsZero() && !c.closed {
		_ = c.SetReadDeadline(c.deadline.Add(time.Since(began))) // reading tells if the connection has failed
	}
	return nil
}
