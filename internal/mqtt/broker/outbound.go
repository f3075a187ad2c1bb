package broker

import (
	"slices"

	"github.com/mochi-mqtt/server/v2/packets"
)

// toSubscribers gives a message to whoever subscribed to its topic: the library says who that is, and encodes. Broker.delivery is held.
func (b *Broker) toSubscribers(pk packets.Packet, origin string) {
	all := b.server.Topics.Subscribers(pk.TopicName)
	if len(all.Shared) > 0 {
		all.SelectShared()
		all.MergeSharedSelected()
	}
	if len(all.Subscriptions) == 0 {
		return
	}
	m := newMessage(pk)
	for id, sub := range all.Subscriptions {
		if !sub.NoLocal || id != origin {
			b.toSubscriber(id, sub, m)
		}
	}
}

// toSubscriber gives a message to one of them, connected or not.
func (b *Broker) toSubscriber(id string, sub packets.Subscription, m message) {
	cl, ok := b.server.Clients.Get(id)
	if !ok || !b.users.maySubscribe(string(cl.Properties.Username), m.Topic) {
		return
	}
	m.QoS = min(m.QoS, sub.Qos)
	m.Retain = m.Retain && sub.RetainAsPublished && cl.Properties.ProtocolVersion >= 5
	var subs []int
	for _, n := range sub.Identifiers {
		if n > 0 {
			subs = append(subs, n)
		}
	}
	slices.Sort(subs)
	if m.QoS > 0 {
		if s := b.findSession(id); s != nil {
			s.enqueue(m, subs)
		}
	} else if c := connOf(cl); c != nil {
		c.sendOnce(m, subs)
	}
}

// sendOnce sends a message with QoS 0: a client that is gone or does not take packets of this size has none of it.
func (c *conn) sendOnce(m message, subs []int) {
	pk := m.packet()
	pk.Properties.SubscriptionIdentifier = subs
	if err := c.cl.WritePacket(pk); err != nil {
		if !c.cl.Closed() {
			c.b.stats.dropped.Add(1)
		}
		c.b.log.Debug("mqtt broker: message not sent", "client", c.cl.ID, "topic", m.Topic, "error", err)
	}
}
