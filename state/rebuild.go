package state

import "github.com/statehouse/statehouse/eventstore"

// Fresh implements eventstore.Rebuilder.
func (c *Cache) Fresh() eventstore.Projector {
	fresh := New()
	fresh.detector = c.detector
	return fresh
}

// Adopt implements eventstore.Rebuilder: readers see what the other cache has promoted, which may go on.
func (c *Cache) Adopt(fresh eventstore.Projector) {
	r := fresh.(*Cache).current.Load()
	c.pending, c.replay, c.position = nil, nil, r.Position
	c.current.Store(r)
	c.promotions.wake()
}
