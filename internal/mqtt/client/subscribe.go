package client

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/eclipse/paho.golang/packets"

	"github.com/statehouse/statehouse/internal/mqtt"
)

// What bounds the topics that are subscribed to beside the handler's filters, and the packets that do it.
const (
	maxTopicsBytes  = 4 << 20
	topicOverhead   = 64 // bytes that a topic is counted with, beside its own
	maxBatch        = 100
	maxBatchBytes   = 64 << 10
	subscribeHeader = 3 // packet id, and no properties
	filterOverhead  = 3 // its length, and its options
)

// topics are those that Subscribe was given, in that order.
type topics struct {
	list    []string
	known   map[string]int // their places in the list
	bytes   int
	sent    int // how many of the list were subscribed to in this connection
	repeats repeats
	leaving []string // those that are to be unsubscribed from, until the broker has answered; never more than a packet has
}

// errNoRoom says that there are too many topics.
var errNoRoom = fmt.Errorf("there is no room for more than %d bytes of topics", maxTopicsBytes)

// add remembers a topic that is not known.
func (t *topics) add(topic string) (added bool, err error) {
	if _, known := t.known[topic]; known {
		return false, nil
	}
	if t.bytes+len(topic)+topicOverhead > maxTopicsBytes {
		return false, errNoRoom
	}
	if t.known == nil {
		t.known = map[string]int{}
	}
	topic = strings.Clone(topic) // it may be a piece of a large payload
	t.known[topic] = len(t.list)
	t.list = append(t.list, topic)
	t.bytes += len(topic) + topicOverhead
	return true, nil
}

// restart is for a new connection: all topics are subscribed to, which brings all that is retained. A session that the broker
// does not know has nothing to leave.
func (t *topics) restart(present bool) {
	t.sent, t.repeats = 0, repeats{}
	if !present {
		t.leaving = nil
	}
}

// Subscribe implements [mqtt.Subscriber]. A topic without wildcards that none of the handler's filters covers is subscribed to
// at QoS 1, now and at every later connection; of any other one, what is retained comes again. One that cannot be, or that
// there is no room for, is logged and counted.
func (c *Client) Subscribe(topics ...string) {
	var added, left int
	var why error
	c.mu.Lock()
	for _, topic := range topics {
		isNew, err := c.want(topic)
		if isNew {
			added++
		}
		if err != nil {
			left++
			why = err
		}
	}
	c.status.TopicsLeftOut += int64(left)
	c.mu.Unlock()
	if left > 0 {
		c.opts.Logger.Error("mqtt client: topics are not subscribed to: nothing of them will be heard", "topics", left, "of", len(topics), "error", why)
	}
	if added > 0 {
		select {
		case c.more <- struct{}{}:
		default: // it is said already
		}
	}
}

// want notes a topic, with the lock held, and says whether there is something to do for it.
func (c *Client) want(topic string) (more bool, err error) {
	if err := checkSubscription(topic); err != nil {
		return false, err
	}
	if !c.covered(topic) {
		if added, err := c.topics.add(topic); added || err != nil {
			return added, err
		}
		if c.topics.known[topic] >= c.topics.sent {
			return false, nil
		}
	}
	if c.conn == nil {
		return false, nil // the next connection brings all that is retained
	}
	return c.topics.repeats.add(topic)
}

// checkSubscription says why a topic cannot be subscribed to.
func checkSubscription(topic string) error {
	if strings.HasPrefix(topic, "$share/") {
		return fmt.Errorf("%w: topic %.80q: a shared subscription would get only some of the messages", mqtt.ErrTopic, topic)
	}
	return checkTopic(topic)
}

// covered says that a filter of the handler brings a topic's messages.
func (c *Client) covered(topic string) bool {
	for _, f := range c.filters {
		if mqtt.Covers(f, topic) {
			return true
		}
	}
	return false
}

// subscription is a SUBSCRIBE.
func subscription(id uint16, filters []string) *packets.Subscribe {
	sub := &packets.Subscribe{PacketID: id, Properties: &packets.Properties{}}
	for _, f := range filters {
		// Not retain-as-published: with it a stored message cannot be told from one that was just published with the retain
		// flag. And the stored ones at every connection (retain handling 0): what was published at QoS 0 while nobody was
		// here is nowhere else.
		sub.Subscriptions = append(sub.Subscriptions, packets.SubOptions{Topic: f, QoS: 1})
	}
	return sub
}

// subscribed looks at the broker's answer to a SUBSCRIBE, of which own is that of the handler's filters.
func (c *Client) subscribed(n *conn, own *request, p *packets.Suback) error {
	r := n.answered(p.PacketID, packets.SUBSCRIBE)
	if r == nil || len(p.Reasons) != len(r.filters) {
		return errors.New("mqtt client: the broker's SUBACK does not fit the SUBSCRIBE")
	}
	if r != own {
		r.answer <- answer{p.Reasons, p.Properties.ReasonString}
		return nil
	}
	for i, code := range p.Reasons {
		switch {
		case code >= 0x80:
			return fmt.Errorf("mqtt client: the broker refused the subscription to %q (code %#x) %s: allow it there",
				c.filters[i], code, meaning(code, p.Properties.ReasonString))
		case code == 0:
			c.opts.Logger.Warn("mqtt client: the broker grants QoS 0 only: messages can be lost", "filter", c.filters[i])
		}
	}
	close(n.granted)
	return nil
}

// subscribeTopics says "online" when the handler's filters are in force, and subscribes to the topics that there are, and to
// those that are added or asked for again, until the connection ends.
func (c *Client) subscribeTopics(ctx context.Context, n *conn) {
	select {
	case <-n.granted:
	case <-n.ended:
		return
	}
	c.birth(ctx, n)
	if !c.leave(ctx, n) {
		return
	}
	for {
		for batch := c.newTopics(n); len(batch) > 0; batch = c.newTopics(n) {
			if !c.subscribeBatch(ctx, n, batch) {
				return
			}
		}
		if !c.repeat(ctx, n) {
			return
		}
		select {
		case <-c.more:
		case <-n.ended:
			return
		}
	}
}

// newTopics are the next ones that were not subscribed to in this connection.
func (c *Client) newTopics(n *conn) []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	t := &c.topics
	first := t.sent
	t.sent += n.fit(t.list[first:])
	return t.list[first:t.sent:t.sent] // what is behind is only ever added to
}

// fit is how many of some topics go into one packet, the first in any case.
func (n *conn) fit(topics []string) int {
	most, rest := min(maxBatchBytes, n.maxPacket), subscribeHeader
	for i, topic := range topics {
		rest += filterOverhead + len(topic)
		if i == maxBatch || i > 0 && packetSize(rest) > most {
			return i
		}
	}
	return len(topics)
}

// subscribeBatch subscribes to some topics, and says whether the connection goes on.
func (c *Client) subscribeBatch(ctx context.Context, n *conn, batch []string) bool {
	a, ok := n.ask(ctx, packets.SUBSCRIBE, batch)
	if !ok {
		return false
	}
	var refused, lossy int
	first := 0
	for i, code := range a.codes {
		switch {
		case code >= 0x80:
			if refused++; refused == 1 {
				first = i
			}
		case code == 0:
			lossy++
		}
	}
	if refused > 0 {
		c.change(func(s *Status) { s.TopicsRefused += int64(refused) })
		c.opts.Logger.Error("mqtt client: the broker refused subscriptions: nothing of these topics will be heard, or not what is retained there; allow them there",
			"topics", refused, "first", batch[first], "code", fmt.Sprintf("%#x", a.codes[first]), "reason", meaning(a.codes[first], a.reason))
	}
	if lossy > 0 {
		c.opts.Logger.Warn("mqtt client: the broker grants QoS 0 only: messages can be lost", "topics", lossy)
	}
	return true
}
