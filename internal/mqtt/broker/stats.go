package broker

import (
	"fmt"
	"sync/atomic"
)

// Stats is what a broker has counted since its start, and what it holds now.
type Stats struct {
	// Connected clients, kept Sessions (connected or not), Subscriptions and Retained messages with their bytes (of
	// topics, payloads and properties), now.
	Connected, Sessions, Retained int
	RetainedBytes                 int64
	// Connects counts established connections, ConnectsRefused those that were sent away before.
	Connects, ConnectsRefused int64
	// Received counts PUBLISH packets, Handled those that the handler took, Failed those that were not accepted because the
	// handler or the file failed, Refused messages and subscriptions that a rule or limit forbids, Duplicates QoS 2 messages
	// that had been taken before.
	Received, Handled, Failed, Refused, Duplicates int64
	// Dropped counts messages towards clients that were not queued or not sent. SlowClients were disconnected for reading too
	// slowly. Panics were caught in a connection.
	Dropped, SlowClients, Panics int64
	// Wills counts published ones, WillsLost those that could not be.
	Wills, WillsLost int64
	// BytesIn and BytesOut are the network's.
	BytesIn, BytesOut int64
	// Fault says why the file cannot be written at present, nil if it can. It is tried again every few seconds.
	Fault error
}

// counters are the moving part of it.
type counters struct {
	connects, connectsRefused, received, handled, failed, refused, duplicates atomic.Int64
	dropped, slow, panics, wills, willsLost, bytesIn, bytesOut                atomic.Int64
}

// Stats takes a snapshot.
func (b *Broker) Stats() Stats {
	b.mu.Lock()
	connected, sessions := len(b.connected), len(b.sessions)
	b.mu.Unlock()
	c := &b.stats
	var fault error
	if f := b.store.fault.Load(); f != nil {
		fault = fmt.Errorf("mqtt broker: data file: %w", *f)
	}
	return Stats{
		Connected: connected, Sessions: sessions, Retained: int(b.store.retained.messages.Load()), RetainedBytes: b.store.retained.bytes.Load(),
		Connects: c.connects.Load(), ConnectsRefused: c.connectsRefused.Load(),
		Received: c.received.Load(), Handled: c.handled.Load(), Failed: c.failed.Load(), Refused: c.refused.Load(),
		Duplicates: c.duplicates.Load(), Dropped: c.dropped.Load(), SlowClients: c.slow.Load(), Panics: c.panics.Load(),
		Wills: c.wills.Load(), WillsLost: c.willsLost.Load(), BytesIn: c.bytesIn.Load(), BytesOut: c.bytesOut.Load(),
		Fault: fault,
	}
}
