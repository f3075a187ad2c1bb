package broker

// BreakStore makes every write to the data file fail from now on.
func (b *Broker) BreakStore() error { return b.store.db.Close() }
