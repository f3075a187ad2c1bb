package broker

import (
	"errors"
	"fmt"
	"strings"
	"time"

	mochi "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"

	"github.com/statehouse/statehouse/internal/mqtt"
)

// Wills are the broker's, not the library's: the library publishes them without asking the rules or the handler, and forgets
// the retain flag of a delayed one whose session has ended. A will goes the way of a client's message, except that nobody
// waits for an answer: it is tried a few times.
const (
	willAttempts = 4
	willPause    = 250 * time.Millisecond
)

// will is what a client wants published when its connection ends without a goodbye.
type will struct {
	pk    packets.Packet
	delay time.Duration
}

// delayedWill is one that waits; off is closed when it is to wait no more.
type delayedWill struct {
	w   *will
	off chan struct{}
}

// takeWill takes a client's will off the library's hands.
func (c *conn) takeWill(cl *mochi.Client, pk packets.Packet) error {
	if !pk.Connect.WillFlag {
		return nil
	}
	cl.Properties.Will = mochi.Will{}
	topic := pk.Connect.WillTopic
	if err := mqtt.ValidTopic(topic); err != nil {
		return fmt.Errorf("will: %w", err)
	}
	if err := c.b.topicLimits(topic); err != nil {
		return fmt.Errorf("will: %w", err)
	}
	if strings.HasPrefix(topic, "$") || !c.b.users.mayPublish(c.user(), topic) {
		return refusal{packets.ErrNotAuthorized, fmt.Errorf("will: user %q may not publish to %q", c.user(), topic)}
	}
	p := pk.Connect.WillProperties
	p.WillDelayInterval = 0
	c.will = &will{
		pk: packets.Packet{
			FixedHeader: packets.FixedHeader{Type: packets.Publish, Qos: pk.Connect.WillQos, Retain: c.willRetain},
			TopicName:   topic,
			Payload:     c.willPayload,
			Properties:  p,
		},
		delay: time.Duration(pk.Connect.WillProperties.WillDelayInterval) * time.Second,
	}
	return nil
}

// sendWill publishes the will of a connection that ended: at once, or after its delay or when its session ends, whichever
// is first, unless the client is back before.
func (c *conn) sendWill(sessionExpiry time.Duration) {
	b, w := c.b, c.will
	c.will = nil
	if w == nil || c.clean || b.closing.Load() {
		return
	}
	delay := min(w.delay, sessionExpiry)
	if delay <= 0 {
		b.deliverWill(c.session.id, w)
		return
	}
	d := &delayedWill{w: w, off: make(chan struct{})}
	b.mu.Lock()
	b.delayed[c.session.id] = d
	b.mu.Unlock()
	b.wg.Go(func() {
		timer := time.NewTimer(delay)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-d.off:
			return
		case <-b.ctx.Done():
			return
		}
		b.mu.Lock()
		mine := b.delayed[c.session.id] == d
		if mine {
			delete(b.delayed, c.session.id)
		}
		b.mu.Unlock()
		if mine {
			b.deliverWill(c.session.id, w)
		}
	})
}

// settleWill is for a client that is back: to its session, which takes the will back, or to a new one. Then the old session has ended, and
// with it the delay: the will goes out before anything that the client says now.
func (b *Broker) settleWill(id string, sessionEnds bool) {
	b.mu.Lock()
	d := b.delayed[id]
	if d != nil {
		close(d.off)
		delete(b.delayed, id)
	}
	b.mu.Unlock()
	if d != nil && sessionEnds {
		b.deliverWill(id, d.w)
	}
}

// deliverWill publishes a will.
func (b *Broker) deliverWill(id string, w *will) {
	err := errors.New("not tried")
	if w.pk.FixedHeader.Retain {
		if qerr := b.retainQuota(newMessage(w.pk)); qerr != nil {
			b.stats.willsLost.Add(1)
			b.log.Error("mqtt broker: will not published", "client", id, "topic", w.pk.TopicName, "error", qerr)
			return
		}
	}
	for i := range willAttempts {
		if i > 0 {
			select {
			case <-time.After(willPause << i):
			case <-b.ctx.Done():
			}
		}
		if err = b.accept(b.ctx, incoming{pk: w.pk, client: id}); err == nil {
			b.stats.wills.Add(1)
			b.log.Info("mqtt broker: will published", "client", id, "topic", w.pk.TopicName)
			return
		}
	}
	b.stats.willsLost.Add(1)
	b.log.Error("mqtt broker: will not published", "client", id, "topic", w.pk.TopicName, "error", err)
}
