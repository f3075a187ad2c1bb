package broker

// BreakStore makes every write to the data file fail from now on.
func (b *Broker) BreakStore() error { return b.store.db.Close() }

// Backlog is the number of bytes that wait for clients.
func (b *Broker) Backlog() int64 { return b.backlog.Load() }
