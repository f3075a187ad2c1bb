package broker

import (
	"bytes"
	"fmt"
	"iter"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/mochi-mqtt/server/v2/packets"

	"github.com/statehouse/statehouse/internal/mqtt"
)

// The bounds of a piece that is read of the retained messages at once: messages (one is always taken), their bytes, and the
// topics that are looked at.
const (
	pieceMessages = 128
	pieceBytes    = 128 << 10
	pieceTopics   = 4096
)

// piece reads the next few retained messages that match, from a topic on, and where to go on; that is empty at the end. The
// messages are copies. Records that except says true for are left out.
func (b *Broker) piece(p pattern, from string, most int, except func(topic string, record []byte) bool) (all []message, next string, err error) {
	now, size := b.now(), 0
	err = b.store.view(func(cur cursor) {
		next = p.walk(cur, from, pieceTopics, func(topic, record []byte) bool {
			m, err := viewMessage(record)
			if err != nil || m.Topic != string(topic) || m.Expires > 0 && m.Expires < now || except(m.Topic, record) {
				return true
			}
			if len(all) == most || len(all) > 0 && size+len(record) > pieceBytes {
				return false
			}
			size += len(record)
			m.Payload, m.Retain = slices.Clone(m.Payload), true
			all = append(all, m)
			return true
		})
	})
	b.store.wasRead(size)
	if err != nil {
		return nil, "", fmt.Errorf("retained messages of %q: %w", p.filter, err)
	}
	return all, next, nil
}

// Retained iterates over the retained messages that match a filter, ordered by topic, with Retained set: what a daemon hands
// to its handler when it starts. They are read a few at a time: one that changes meanwhile comes as it was or as it is, once.
// Payloads must not be modified. When the file cannot be read, which is logged, it ends.
func (b *Broker) Retained(filter string) iter.Seq[mqtt.Message] {
	return func(yield func(mqtt.Message) bool) {
		p, now := newPattern(filter), b.opts.Now()
		nothing := func(string, []byte) bool { return false }
		for next, more := "", true; more; more = next != "" {
			var all []message
			var err error
			if all, next, err = b.piece(p, next, pieceMessages, nothing); err != nil {
				b.log.Error("mqtt broker: cannot read what is retained", "error", err)
				return
			}
			for _, m := range all {
				if !yield(m.retained(now)) {
					return
				}
			}
		}
	}
}

// RetainedOn is the message that is retained on a topic, with Retained set; false where there is none. Its payload must not be
// modified.
func (b *Broker) RetainedOn(topic string) (mqtt.Message, bool) {
	for m := range b.Retained(topic) {
		return m, m.Topic == topic
	}
	return mqtt.Message{}, false
}

// retained is a message as the daemon's handler gets it.
func (m message) retained(at time.Time) mqtt.Message {
	return mqtt.Message{Topic: m.Topic, Payload: m.Payload, QoS: m.QoS, Retained: true, Retain: true, ReceivedAt: at}
}

// retainedRecord is what the file is to have about a message that a client, or nobody, wants retained: nothing for an empty one.
func retainedRecord(pk packets.Packet, origin string) ([]byte, error) {
	if len(pk.Payload) == 0 {
		return nil, nil
	}
	m := newMessage(pk)
	m.Origin = origin
	return m.encode()
}

// retainQuota says when another retained message is too much. One that is no larger than what it replaces never is: there may be more than
// the limits allow, since they were changed.
func (b *Broker) retainQuota(m message) error {
	if len(m.Payload) == 0 {
		return nil
	}
	l, have, size := b.opts.Limits, &b.store.retained, int64(m.size())
	if have.messages.Load() < int64(l.MaxRetained) && have.bytes.Load()+size <= int64(l.MaxRetainedBytes) {
		return nil
	}
	old, replaces, err := b.store.retainedSize(m.Topic)
	switch {
	case err != nil:
		return fmt.Errorf("data file: %w", err)
	case !replaces && have.messages.Load() >= int64(l.MaxRetained):
		return refusal{packets.ErrQuotaExceeded, fmt.Errorf("%d messages are retained already (mqtt.limits.max_retained)", l.MaxRetained)}
	}
	if more := size - int64(old); more > 0 && have.bytes.Load()+more > int64(l.MaxRetainedBytes) {
		return refusal{packets.ErrQuotaExceeded, fmt.Errorf("%d bytes are retained already (mqtt.limits.max_retained_bytes)", have.bytes.Load())}
	}
	return nil
}

// underWay are the records of retained messages that may be in the file already, and have not gone to the subscribers yet.
type underWay struct {
	mu      sync.Mutex // guards records
	records map[string][]byte
}

// begin is called before a topic's record is written, end when the message goes to the subscribers or is given up.
func (u *underWay) begin(topic string, record []byte) {
	u.mu.Lock()
	u.records[topic] = record
	u.mu.Unlock()
}

func (u *underWay) end(topic string) {
	u.mu.Lock()
	delete(u.records, topic)
	u.mu.Unlock()
}

// has says that a record of the file is such a one.
func (u *underWay) has(topic string, record []byte) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	r, ok := u.records[topic]
	return ok && bytes.Equal(r, record)
}

// expiries are the retained messages whose publisher gave them an end.
type expiries struct {
	mu sync.Mutex // guards at
	at map[string]int64
}

// set notes when a topic's message ends: 0 for never. Its caller holds the topic's lock.
func (e *expiries) set(topic string, at int64) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if at == 0 {
		delete(e.at, topic)
		return
	}
	e.at[topic] = at
}

// due are the topics whose messages have ended: the second that they end in is theirs, as it is of what is queued.
func (e *expiries) due(now int64) (topics []string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for topic, at := range maps.All(e.at) {
		if at < now {
			topics = append(topics, topic)
		}
	}
	return topics
}

// over says whether a topic's message has ended.
func (e *expiries) over(topic string, now int64) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	at, ok := e.at[topic]
	return ok && at < now
}

// The times of tidying up.
const (
	expireEvery  = time.Second
	releaseEvery = 10 // times that
)

// tidy removes retained messages, sessions and their messages whose time is over, and gives back the file's pages that the writer has touched, until the broker closes.
func (b *Broker) tidy() {
	tick := time.NewTicker(expireEvery)
	defer tick.Stop()
	for n := 1; ; n++ {
		select {
		case <-b.closed:
			return
		case <-tick.C:
		}
		for _, topic := range b.expiries.due(b.now()) {
			b.expire(topic)
		}
		b.tidySessions(b.moment())
		if n%releaseEvery == 0 {
			b.store.release()
		}
	}
}

// expire removes a topic's retained message, unless there is another by now.
func (b *Broker) expire(topic string) {
	lock := b.retainLock(topic)
	lock.Lock()
	defer lock.Unlock()
	if !b.expiries.over(topic, b.now()) {
		return
	}
	if err := b.store.retain(topic, nil); err != nil {
		b.log.Warn("mqtt broker: a retained message whose time is over stays in the file", "topic", topic, "error", err)
		return // and is tried again
	}
	b.expiries.set(topic, 0)
}
