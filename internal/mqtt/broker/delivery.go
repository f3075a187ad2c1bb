package broker

import (
	"time"

	mochi "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"
)

// What is retained goes to a subscriber after its SUBACK, piece by piece, as fast as the subscriber takes it: the library, which keeps
// none of it, has no part in that but the encoding. A piece is read and handed over while no retained message is on its way to the
// subscribers (Broker.topics), so that what is retained on a topic never comes after something newer that is retained there. What is in the
// file already and on its way afterwards comes then. Only what is published while a long delivery goes on may come twice, live and as
// what is retained.
//
// What a session has not got yet when its connection ends, it gets when the client is back, as far as it is kept and the broker goes on.

// retainedDelivery is what a subscription is still to get.
type retainedDelivery struct {
	sub     packets.Subscription
	pattern pattern
	next    string // the topic to go on with
}

// The bounds of a delivery.
const (
	deliverAhead  = 256 << 10              // bytes that may be unsent
	deliverWindow = 100                    // unacknowledged messages, where neither the client nor the limits want fewer
	deliverPause  = 100 * time.Millisecond // until it looks again although nobody said that there is room
	deliverAtOnce = 4                      // pieces before the subscriber's next packet is read
)

// deliverRetained begins what the client just subscribed to: granted were its filters, in the order of its packet. A few messages are
// there before its next packet is dealt with; the rest comes beside.
func (c *conn) deliverRetained() {
	for _, sub := range c.granted {
		c.session.deliver(&retainedDelivery{sub: sub, pattern: newPattern(sub.Filter)})
	}
	c.granted = nil
	c.resumeDelivery()
}

// resumeDelivery goes on with what the session has not got. It belongs to the reading goroutine, which holds Broker.topics.
func (c *conn) resumeDelivery() {
	if !c.delivering.CompareAndSwap(false, true) {
		return // it sees what there is
	}
	for range deliverAtOnce {
		if d := c.session.nextDelivery(); d == nil || !c.deliverPiece(d) {
			break
		}
	}
	if c.session.nextDelivery() == nil {
		c.delivering.Store(false)
		return
	}
	c.deliverers.Go(c.deliverRest)
}

// deliverRest delivers until nothing is left or the connection ends.
func (c *conn) deliverRest() {
	pause := time.NewTicker(deliverPause)
	defer pause.Stop()
	for {
		d := c.session.nextDelivery()
		if d == nil {
			c.delivering.Store(false)
			if c.session.nextDelivery() == nil || !c.delivering.CompareAndSwap(false, true) {
				return
			}
			continue
		}
		select {
		case <-c.ending:
			return
		default:
		}
		if c.deliveryRoom(d) > 0 {
			c.b.topics.RLock()
			more := c.deliverPiece(d)
			c.b.topics.RUnlock()
			if more {
				continue
			}
		}
		select {
		case <-c.ending:
			return
		case <-c.room:
		case <-pause.C:
		}
	}
}

// moreRoom wakes a delivery that waits.
func (c *conn) moreRoom() {
	select {
	case c.room <- struct{}{}:
	default:
	}
}

// deliveryRoom is how many messages the client may get now.
func (c *conn) deliveryRoom(d *retainedDelivery) int {
	c.mu.Lock()
	waiting := len(c.pending) + c.writing
	c.mu.Unlock()
	if waiting > deliverAhead {
		return 0
	}
	if d.sub.Qos == 0 {
		return pieceMessages
	}
	window := min(deliverWindow, max(1, c.b.opts.Limits.MaxQueued/2)) // the rest is for what is published meanwhile
	if most := int(c.cl.Properties.Props.ReceiveMaximum); most > 0 {
		window = min(window, most)
	}
	return max(0, window-c.session.queueLen())
}

// deliverPiece hands the next few messages over. False means that there is no room for more. Broker.topics is held.
func (c *conn) deliverPiece(d *retainedDelivery) bool {
	most := c.deliveryRoom(d)
	if most == 0 {
		return false
	}
	c.piece.Lock() // UNSUBSCRIBE waits for it
	defer c.piece.Unlock()
	if !c.session.delivers(d) {
		return true
	}
	all, next, err := c.b.piece(d.pattern, d.next, most, c.b.underWay.has)
	if err != nil {
		c.b.log.Error("mqtt broker: cannot read what is retained", "client", c.session.id, "error", err)
	}
	room := true
	for _, m := range all {
		if room = c.sendRetained(d.sub, m); !room {
			next = m.Topic
			break
		}
	}
	if d.next = next; next == "" {
		c.session.delivered(d)
	}
	return room
}

// sendRetained sends one message, if the client is to have it. False means that there is no room for it.
func (c *conn) sendRetained(sub packets.Subscription, m message) bool {
	b, cl := c.b, c.cl
	if sub.NoLocal && m.Origin == cl.ID || !b.users.maySubscribe(c.user(), m.Topic) {
		return true
	}
	var subs []int
	if sub.Identifier > 0 {
		subs = []int{sub.Identifier}
	}
	m.Retain, m.QoS, m.Origin = true, min(m.QoS, sub.Qos), ""
	if m.QoS > 0 {
		return c.session.offer(m, subs)
	}
	c.sendOnce(m, subs)
	return true
}

// endDelivery stops what delivers; the reading goroutine has ended, or does.
func (c *conn) endDelivery() {
	_ = c.Close()
	c.deliverers.Wait()
	if c.session != nil {
		c.session.detach()
	}
}

// wanted notes which of a SUBSCRIBE's filters are to bring what is retained, before the library knows them.
func (c *conn) wanted(filters packets.Subscriptions) {
	c.asked = make([]bool, len(filters))
	seen := map[string]bool{}
	for i, sub := range filters {
		_, existed := c.cl.State.Subscriptions.Get(sub.Filter)
		existed = existed || seen[sub.Filter]
		seen[sub.Filter] = true
		c.asked[i] = sub.RetainHandling != 2 && (sub.RetainHandling != 1 || !existed)
	}
}

// grant notes which of those the library granted. A shared subscription brings nothing.
func (c *conn) grant(filters packets.Subscriptions, codes []byte) {
	c.granted = nil
	for i, sub := range filters {
		if i < len(codes) && codes[i] <= 2 && i < len(c.asked) && c.asked[i] && !mochi.IsSharedFilter(sub.Filter) {
			sub.Qos = codes[i]
			c.granted = append(c.granted, sub)
		}
	}
}
