// Package mqtt is what its sub-packages share: a message as it came in, and who takes it.
//
// The embedded broker (package broker) and the client of somebody else's broker (package client) hand every message
// that matches a [Handler]'s filters to it, in the order in which each publisher sent them, and acknowledge a message
// only after Handle returned nil.
package mqtt

import (
	"context"
	"time"
)

// Message is one MQTT PUBLISH as it arrived.
type Message struct {
	// Topic has no wildcards.
	Topic string
	// Payload must not be modified or kept after Handle returned.
	Payload []byte
	// QoS is 0, 1 or 2.
	QoS byte
	// Retained says that the broker delivered a stored message, so that it is no fresh report. A message that a
	// publisher sends with the retain flag is fresh: for the embedded broker Retained is false, and Retain true.
	Retained bool
	// Retain says that the publisher asked to retain the message. A client of another broker cannot know it.
	Retain bool
	// ReceivedAt is when the message arrived.
	ReceivedAt time.Time
	// Client is the publisher's client id, empty where it is not known.
	Client string
}

// Now is the time in whole microseconds: what a clock is good for, and a third less to store than nanoseconds.
func Now() time.Time { return time.Now().UTC().Truncate(time.Microsecond) }

// Handler takes messages in. Handle returns nil when everything that follows from the message is durable, or when the
// message was dropped on purpose and counted. Any error means that the message was not accepted: it must not be
// acknowledged. Handle may be called by several goroutines at once, but never by two for one publisher.
type Handler interface {
	// Filters are the MQTT topic filters that the handler takes, wildcards included.
	Filters() []string
	Handle(ctx context.Context, m Message) error
}
