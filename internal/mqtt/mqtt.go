// Package mqtt is what its sub-packages share: a message as it came in, and who takes it.
//
// The embedded broker (package broker) and the client of somebody else's broker (package client) hand every message
// that matches a [Handler]'s filters to it, in the order in which each publisher sent them, and acknowledge a message
// only after Handle returned nil.
package mqtt

import (
	"context"
	"errors"
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
	// Fetched says of a retained message that it was looked up in the embedded broker, at some time: what its topic has brought
	// meanwhile is newer.
	Fetched bool
	// Retain says that the publisher asked to retain the message. A client of another broker cannot know it.
	Retain bool
	// ReceivedAt is when the message arrived; of one that the embedded broker had retained, when it was handed over: the broker's file does
	// not say when it came.
	ReceivedAt time.Time
	// Client is the publisher's client id, empty where it is not known.
	Client string
}

// Publication is a message that is to be published.
type Publication struct {
	// Topic has no wildcards.
	Topic   string
	Payload []byte
	// QoS is 0 or 1.
	QoS    byte
	Retain bool
	// Expiry is how long brokers keep the message for a subscriber that is away, in whole seconds, a part of one counting as one.
	// Zero means for as long as they keep its session.
	Expiry time.Duration
}

// ExpirySeconds is Expiry as MQTT has it, 0 for none.
func (p Publication) ExpirySeconds() uint32 {
	if p.Expiry <= 0 {
		return 0
	}
	const most = 1<<32 - 1
	return uint32(min((p.Expiry+time.Second-1)/time.Second, most))
}

// Publisher publishes messages. Publish returns when the broker has the message, where its QoS is 1 and acknowledged, and
// otherwise when it is sent. It fails at once with [ErrNotConnected] while no broker is there: nothing is kept to be
// published later. After [ErrUnknownOutcome] the broker may have it.
type Publisher interface {
	Publish(ctx context.Context, p Publication) error
}

// The errors of publishing that mean something to its caller.
var (
	// ErrNotConnected says that there is no connection to a broker.
	ErrNotConnected = errors.New("not connected to the MQTT broker")
	// ErrUnknownOutcome says that the broker may have a message, or not: the connection or the caller's time ended between its
	// way out and its acknowledgement. It is not sent again.
	ErrUnknownOutcome = errors.New("it is not known whether the broker has the message")
)

// Subscriber has a handler get more messages. Subscribe returns at once: messages of the topics, those that the broker has
// retained included, come to the handler as all others do, soon after.
type Subscriber interface {
	Subscribe(topics ...string)
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

// Sequencer is a [Handler] that can have several messages of one publisher under way at once.
type Sequencer interface {
	Handler
	// Sequence begins one, for the messages of one publisher.
	Sequence() Sequence
}

// Sequence takes messages in, in order. It is for one goroutine.
//
// Begin does of a message what need not wait until it is durable, and returns a function that waits and returns what Handle would.
// These functions are to be called, each once, in the order of the messages. When one of them has returned an error, ctx is to be
// cancelled, and then the others are to be called: a message that follows one that was not accepted may have been taken in, and must not
// be acknowledged. A message's payload must not be modified before its function has returned.
//
// nil says that the message cannot be under way beside others, and that nothing was done: it is for Handle, when those before it were
// waited for.
type Sequence interface {
	Begin(ctx context.Context, m Message) (wait func() error)
}
