package broker

// BreakStore makes every write to the data file fail from now on.
func (b *Broker) BreakStore() error { return b.store.db.Close() }

// Backlog is the number of bytes that wait for clients.
func (b *Broker) Backlog() int64 { return b.backlog.Load() }

// HoldDelivery is a retained message that is on its way to subscribers until release is called.
func (b *Broker) HoldDelivery() (release func()) {
	b.topics.Lock()
	b.delivery.RLock()
	return func() {
		b.delivery.RUnlock()
		b.topics.Unlock()
	}
}
