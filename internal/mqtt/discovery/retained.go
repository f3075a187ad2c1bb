package discovery

import (
	"hash/maphash"
	"slices"
)

// What is retained comes again and again: at every connection to another broker, and when the topics of a new entity are subscribed to,
// which others may listen to already. Each entity takes it in once, and again when it is another message or the entity another one.
//
// From the embedded broker it is fetched, and a message of its publisher's may be under way meanwhile, or be decided already and not yet
// retained. So the writer's turn has the last word: an entity that has taken in something fresh on a topic takes in nothing there that is
// fetched. Another broker sends what is retained in its place among the others.

// store notes what a broker has stored on a topic. If it is something else than it was, no item has it.
func (c *catalog) store(topic string, payload []byte) {
	hash := max(maphash.Bytes(c.seed, payload), 1)
	c.mu.Lock()
	defer c.mu.Unlock()
	t := c.topics[topic]
	if t == nil || t.stored == hash {
		return
	}
	t.stored = hash
	for _, it := range t.uses {
		it.stored.remove(slices.Index(it.topics, topic))
	}
}

// took notes that items have what is stored on a topic: it is durable, or says nothing to them.
func (c *catalog) took(topic string, uses []*item) {
	for _, it := range uses {
		it.stored.add(slices.Index(it.topics, topic))
	}
}

// lacks says that an item has taken in nothing fresh on a topic. One that was replaced lacks nothing: the other one is told for itself.
func (c *catalog) lacks(it *item, at int) bool {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.items[it.unique] == it && !it.heard.has(at)
}

// hear notes, in the writer's turn, that an item takes in something fresh on a topic.
func (c *catalog) hear(it *item, at int) {
	if it.heard.has(at) {
		return
	}
	c.mu.RLock()
	defer c.mu.RUnlock()
	now := c.items[it.unique]
	if now == nil {
		return
	}
	if now != it {
		if at = slices.Index(now.topics, it.topics[at]); at < 0 {
			return
		}
	}
	now.heard.add(at)
}
