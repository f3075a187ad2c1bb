package broker

import (
	"maps"
	"slices"
	"strings"

	mochi "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"

	"github.com/statehouse/statehouse/internal/mqtt"
)

// parent is what the index of the library does not find by a filter that ends with +/#: what is on the level above, which # stands for, too.
func parent(filter string) (above string, ok bool) {
	return strings.TrimSuffix(filter, "/#"), strings.HasSuffix(filter, "+/#")
}

// subscribed and unsubscribed keep Broker.parents.
func (b *Broker) subscribed(id string, sub packets.Subscription) {
	if above, ok := parent(sub.Filter); ok {
		sub.Filter = above
		b.parents.Subscribe(id, sub)
	}
}

func (b *Broker) unsubscribed(id, filter string) {
	if above, ok := parent(filter); ok {
		b.parents.Unsubscribe(above, id)
	}
}

// subscribers are those to a topic, with the members that were chosen of groups that share a subscription.
func (b *Broker) subscribers(topic string) *mochi.Subscribers {
	all, above := b.chosen(b.server.Topics.Subscribers(topic)), b.chosen(b.parents.Subscribers(topic))
	for id, sub := range above.Subscriptions {
		have, also := all.Subscriptions[id]
		if !also {
			have = packets.Subscription{RetainAsPublished: sub.RetainAsPublished, Identifiers: map[string]int{}}
		}
		have.Qos, have.NoLocal = max(have.Qos, sub.Qos), have.NoLocal || sub.NoLocal
		for filter, n := range sub.Identifiers {
			have.Identifiers[filter+"/#"] = n
		}
		all.Subscriptions[id] = have
	}
	for id, sub := range above.SharedSelected {
		if have, also := all.SharedSelected[id]; also {
			sub = have.Merge(sub)
		}
		all.SharedSelected[id] = sub
	}
	return all
}

// chosen chooses members of groups.
func (b *Broker) chosen(all *mochi.Subscribers) *mochi.Subscribers {
	if len(all.Shared) > 0 {
		b.leaveOutAway(all.Shared)
		all.SelectShared()
		all.MergeSharedSelected()
	}
	return all
}

// toSubscribers gives a message to whoever subscribed to its topic: the library says who that is, and encodes. Broker.delivery is held.
func (b *Broker) toSubscribers(pk packets.Packet, origin string) {
	all := b.subscribers(pk.TopicName)
	if len(all.Subscriptions) == 0 {
		return
	}
	m := newMessage(pk)
	for id, sub := range all.Subscriptions {
		if sub.NoLocal && id == origin {
			var ok bool
			if sub, ok = b.withoutNoLocal(id, m.Topic, all.SharedSelected); !ok {
				continue
			}
		}
		b.toSubscriber(id, sub, m)
	}
}

// leaveOutAway leaves members that are away out of groups that share a subscription, as long as somebody is there: the library would choose
// any of them.
func (b *Broker) leaveOutAway(groups map[string]map[string]packets.Subscription) {
	for _, members := range groups {
		there := map[string]packets.Subscription{}
		for id, sub := range members {
			if cl, ok := b.server.Clients.Get(id); ok && !cl.Closed() {
				there[id] = sub
			}
		}
		if len(there) > 0 {
			maps.DeleteFunc(members, func(id string, _ packets.Subscription) bool { _, ok := there[id]; return !ok })
		}
	}
}

// withoutNoLocal is what a publisher itself has subscribed to on a topic, but for what is to bring none of its own: the library makes one
// subscription of all, which is No Local if any of them is.
func (b *Broker) withoutNoLocal(id, topic string, shared map[string]packets.Subscription) (all packets.Subscription, ok bool) {
	cl, there := b.server.Clients.Get(id)
	if !there {
		return all, false
	}
	add := func(sub packets.Subscription) {
		if !ok {
			all, ok = sub, true
		}
		all = all.Merge(sub)
	}
	for filter, sub := range cl.State.Subscriptions.GetAll() {
		if !sub.NoLocal && mqtt.Match(filter, topic) {
			add(sub)
		}
	}
	if sub, chosen := shared[id]; chosen {
		add(sub)
	}
	return all, ok
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
