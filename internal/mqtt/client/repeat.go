package client

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/eclipse/paho.golang/packets"
)

// burst is how long topics are gathered before they are subscribed to again: what is asked for twice within it comes once.
const burst = 50 * time.Millisecond

// repeats are topics of which the broker's retained messages are to come again, in the order in which they were asked for.
type repeats struct {
	list    []string
	waiting map[string]struct{}
	bytes   int
}

// add notes a topic that does not wait already.
func (r *repeats) add(topic string) (added bool, err error) {
	if _, waits := r.waiting[topic]; waits {
		return false, nil
	}
	if r.bytes+len(topic)+topicOverhead > maxTopicsBytes {
		return false, errNoRoom
	}
	if r.waiting == nil {
		r.waiting = map[string]struct{}{}
	}
	topic = strings.Clone(topic) // it may be a piece of a large payload
	r.waiting[topic] = struct{}{}
	r.list = append(r.list, topic)
	r.bytes += len(topic) + topicOverhead
	return true, nil
}

// take takes the first ones out.
func (r *repeats) take(count int) []string {
	taken := r.list[:count:count]
	r.list = r.list[count:]
	for _, topic := range taken {
		delete(r.waiting, topic)
		r.bytes -= len(topic) + topicOverhead
	}
	if len(r.list) == 0 {
		*r = repeats{}
	}
	return taken
}

// repeat subscribes again to the topics that wait for it, and says whether the connection goes on. It unsubscribes from those
// that a filter of the handler covers as soon as it may: from then on their messages would come twice.
func (c *Client) repeat(ctx context.Context, n *conn) bool {
	if !c.repeatsWait() {
		return true
	}
	select {
	case <-time.After(burst):
	case <-n.ended:
		return false
	}
	for batch := c.repeated(n); len(batch) > 0; batch = c.repeated(n) {
		if !c.subscribeBatch(ctx, n, batch) || !c.leave(ctx, n) {
			return false
		}
	}
	return true
}

func (c *Client) repeatsWait() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.topics.repeats.list) > 0
}

// repeated takes the next ones that are to be subscribed to again. Those of them that must not stay are noted before they are
// subscribed to, since the connection may end at any time.
func (c *Client) repeated(n *conn) []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	t := &c.topics
	batch := t.repeats.take(n.fit(t.repeats.list))
	for _, topic := range batch {
		if c.covered(topic) {
			t.leaving = append(t.leaving, topic)
		}
	}
	return batch
}

// leave unsubscribes from the topics that must not stay, and says whether the connection goes on.
func (c *Client) leave(ctx context.Context, n *conn) bool {
	c.mu.Lock()
	leaving := c.topics.leaving
	c.mu.Unlock()
	if len(leaving) == 0 {
		return true
	}
	a, ok := n.ask(ctx, packets.UNSUBSCRIBE, leaving)
	if !ok {
		return false
	}
	c.mu.Lock()
	c.topics.leaving = nil
	c.mu.Unlock()
	for i, code := range a.codes {
		if code >= 0x80 {
			c.opts.Logger.Error("mqtt client: the broker refused to end a subscription: messages of its topic may come twice; allow it there",
				"topic", leaving[i], "code", fmt.Sprintf("%#x", code), "reason", meaning(code, a.reason))
			break
		}
	}
	return true
}

// ask sends a SUBSCRIBE or an UNSUBSCRIBE and waits for its answer. Where there is none, the connection has ended, and the
// reader says why.
func (n *conn) ask(ctx context.Context, kind byte, topics []string) (a answer, ok bool) {
	id, r := n.expect(kind, topics)
	o := outgoing{packet: subscription(id, topics)}
	if kind == packets.UNSUBSCRIBE {
		o.packet = &packets.Unsubscribe{PacketID: id, Topics: topics, Properties: &packets.Properties{}}
	}
	if _, err := n.send(ctx, o); err != nil {
		return answer{}, false
	}
	select {
	case a := <-r.answer:
		return a, true
	case <-n.ended:
		return answer{}, false
	}
}

// unsubscribed hands over the broker's answer to an UNSUBSCRIBE.
func (n *conn) unsubscribed(p *packets.Unsuback) error {
	r := n.answered(p.PacketID, packets.UNSUBSCRIBE)
	if r == nil || len(p.Reasons) != len(r.filters) {
		return errors.New("mqtt client: the broker's UNSUBACK does not fit the UNSUBSCRIBE")
	}
	r.answer <- answer{p.Reasons, p.Properties.ReasonString}
	return nil
}
