package broker

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"log/slog"
	"runtime/debug"
	"strings"
	"sync"

	"github.com/mochi-mqtt/server/v2/packets"
	"go.etcd.io/bbolt"

	"github.com/statehouse/statehouse/internal/mqtt"
)

// The way of a message that a client publishes. The library's own way answers it before it is stored, answers it even when
// a hook says no, and keeps its packet id in one list with the ids towards the client; so none of it is used:
//
//  1. topic, size, rules and quotas are checked
//  2. a QoS 2 message that waits for its PUBREL and is sent again is answered, and that is all
//  3. Handle
//  4. the retained message is written, synced
//  5. the message goes to the subscribers; what is queued for kept sessions, and after it the QoS 2 packet id, is written, synced
//  6. PUBACK or PUBREC
//
// Any error in 3 to 5 ends the connection without an acknowledgement, so that the client sends the message again, and all that
// follow it: none of them is acknowledged either, also where several are under way at once (underway.go). PUBREC,
// not PUBCOMP, takes the message over: after it the client may forget the message and keeps only its id.

// refusal is an error that the client is told by an acknowledgement (MQTT 5), and that costs nothing but the message.
type refusal struct {
	code   packets.Code
	reason error
}

func (r refusal) Error() string { return r.reason.Error() }
func (r refusal) Unwrap() error { return r.reason }

// violation is an error for which the connection ends, with the code that says it.
type violation struct {
	code   packets.Code
	reason error
}

func (v violation) Error() string { return v.reason.Error() }
func (v violation) Unwrap() error { return v.reason }

// publish takes a client's PUBLISH. A nil error means that it was answered, or is under way.
func (c *conn) publish(pk packets.Packet) error {
	b, qos := c.b, pk.FixedHeader.Qos
	b.stats.received.Add(1)
	if err := c.validate(pk); err != nil {
		return cmp.Or(c.finish(), err)
	}
	no := c.permit(pk)
	if no == nil {
		if taken, err := c.begin(pk); taken || err != nil {
			return err
		}
	}
	if err := c.finish(); err != nil { // in order
		return err
	}
	if no != nil {
		return c.refused(pk, no)
	}
	if qos == 2 {
		if again, err := c.repeated(pk); again || err != nil {
			return err
		}
	}
	if err := b.accept(b.ctx, incoming{pk: pk, client: c.session.id, session: c.session}); err != nil {
		return b.notAccepted(pk, err)
	}
	if qos == 0 {
		return nil
	}
	return c.ack(ackKind(qos), pk.PacketID, 0)
}

// refused answers a message that is not permitted.
func (c *conn) refused(pk packets.Packet, err error) error {
	b, qos := c.b, pk.FixedHeader.Qos
	var no refusal
	if !errors.As(err, &no) {
		return err
	}
	b.stats.refused.Add(1)
	if qos > 0 && c.version.Load() < 5 {
		// Before MQTT 5 there is no way to say no but to hang up.
		return violation(no)
	}
	b.complain(slog.LevelWarn, "message refused", c.session.id, pk.TopicName, "client", c.session.id, "topic", mqtt.Clip(pk.TopicName), "reason", no.reason)
	if qos == 0 {
		return nil
	}
	return c.ack(ackKind(qos), pk.PacketID, no.code.Code)
}

// repeated answers a QoS 2 message that waits for its PUBREL and is sent again. An error says that too many do.
func (c *conn) repeated(pk packets.Packet) (again bool, err error) {
	b := c.b
	// A compliant client sends a message again with DUP set. Without DUP it is another message, from a client that has
	// lost its state: better twice than never.
	switch seen := c.session.seen(pk.PacketID); {
	case seen && pk.FixedHeader.Dup:
		b.stats.duplicates.Add(1)
		return true, c.ack(packets.Pubrec, pk.PacketID, 0)
	case seen: // until the new one is taken over, a repetition is the new one's
		return false, c.forget(pk.PacketID)
	case !seen && c.session.incomingLen() >= b.opts.Limits.ReceiveMaximum:
		return false, violation{packets.ErrReceiveMaximum, fmt.Errorf("more than %d QoS 2 messages under way (limit ReceiveMaximum)", b.opts.Limits.ReceiveMaximum)}
	}
	return false, nil
}

// notAccepted is how a connection ends whose message was not.
func (b *Broker) notAccepted(pk packets.Packet, err error) error {
	b.stats.failed.Add(1)
	return violation{packets.ErrImplementationSpecificError, fmt.Errorf("message on %q not accepted: %w", pk.TopicName, err)}
}

// ackKind is what a PUBLISH is answered with.
func ackKind(qos byte) byte {
	if qos == 2 {
		return packets.Pubrec
	}
	return packets.Puback
}

// validate checks what makes a packet malformed.
func (c *conn) validate(pk packets.Packet) error {
	if code := pk.PublishValidate(0); code != packets.CodeSuccess {
		return violation{code, fmt.Errorf("PUBLISH on %.80q: %s", pk.TopicName, code.Reason)}
	}
	if err := mqtt.ValidTopic(pk.TopicName); err != nil {
		return violation{packets.ErrTopicNameInvalid, err}
	}
	if n, max := len(pk.Payload), c.b.opts.Limits.MaxPayload; n > max {
		return violation{packets.ErrPacketTooLarge, fmt.Errorf("a payload of %d bytes on %q, at most %d are allowed (mqtt.limits.max_payload)", n, pk.TopicName, max)}
	}
	return c.b.topicLimits(pk.TopicName)
}

// topicLimits checks a topic or filter against the limits.
func (b *Broker) topicLimits(topic string) error {
	l := b.opts.Limits
	if len(topic) > l.MaxTopicBytes {
		return violation{packets.ErrTopicNameInvalid, fmt.Errorf("a topic of %d bytes, at most %d are allowed", len(topic), l.MaxTopicBytes)}
	}
	if n := strings.Count(topic, "/") + 1; n > l.MaxTopicLevels {
		return violation{packets.ErrTopicNameInvalid, fmt.Errorf("a topic of %d levels, at most %d are allowed", n, l.MaxTopicLevels)}
	}
	return nil
}

// permit asks the rules and quotas.
func (c *conn) permit(pk packets.Packet) error {
	switch topic := pk.TopicName; {
	case strings.HasPrefix(topic, "$"):
		return refusal{packets.ErrNotAuthorized, fmt.Errorf("topics that begin with $ are the server's own")}
	case !c.b.users.mayPublish(c.user(), topic):
		return refusal{packets.ErrNotAuthorized, fmt.Errorf("user %q may not publish to it", c.user())}
	case pk.FixedHeader.Retain:
		return c.b.retainQuota(newMessage(pk))
	}
	return nil
}

// user is who the client said it is, and proved where there are users.
func (c *conn) user() string { return string(c.cl.Properties.Username) }

// incoming is a message on its way in: of a client, a will, or of the daemon itself.
type incoming struct {
	pk      packets.Packet
	client  string
	session *session // that the QoS 2 packet id is noted in; nil for wills and the daemon's
	own     bool     // the daemon's: its handler does not see it
}

// accept is steps 3 to 5.
func (b *Broker) accept(ctx context.Context, in incoming) error {
	pk := in.pk
	if !in.own && b.handles(pk.TopicName) {
		if err := b.handle(ctx, b.message(pk, in.client)); err != nil {
			return fmt.Errorf("handler: %w", err)
		}
		b.stats.handled.Add(1)
	}
	return b.pass(in)
}

// message is what the handler gets of a packet.
func (b *Broker) message(pk packets.Packet, client string) mqtt.Message {
	return mqtt.Message{Topic: pk.TopicName, Payload: pk.Payload, QoS: pk.FixedHeader.Qos, Retain: pk.FixedHeader.Retain,
		ReceivedAt: b.opts.Now(), Client: client}
}

// pass is steps 4 and 5.
func (b *Broker) pass(in incoming) error {
	pk := in.pk
	pk.Expiry = 0
	if s := pk.Properties.MessageExpiryInterval; s > 0 {
		pk.Expiry = b.now() + int64(s)
	}
	if pk.FixedHeader.Retain {
		// One order for the file and for the subscribers: whoever is last in the one is last in the other.
		lock := b.retainLock(pk.TopicName)
		lock.Lock()
		defer lock.Unlock()
		if err := b.keep(pk, in.client); err != nil {
			return err
		}
	}
	return b.fanOut(in, pk)
}

// keep is step 4.
func (b *Broker) keep(pk packets.Packet, origin string) error {
	record, err := retainedRecord(pk, origin)
	if err != nil {
		return err
	}
	if record == nil {
		pk.Expiry = 0
	}
	b.underWay.begin(pk.TopicName, record)
	if err := b.store.retain(pk.TopicName, record); err != nil {
		b.underWay.end(pk.TopicName)
		if errors.Is(err, errCommit) { // who subscribes may get it
			err = errors.Join(mqtt.ErrUnknownOutcome, err)
		}
		return fmt.Errorf("data file: %w", err)
	}
	b.expiries.set(pk.TopicName, pk.Expiry)
	return nil
}

// retainLock is the lock of a topic's retained message.
func (b *Broker) retainLock(topic string) *sync.Mutex {
	return &b.retainLocks[maphash.String(b.seed, topic)%uint64(len(b.retainLocks))]
}

// handle calls the handler.
func (b *Broker) handle(ctx context.Context, m mqtt.Message) error {
	return b.contain(m.Topic, func() error { return b.opts.Handler.Handle(ctx, m) })
}

// contain makes an error of a panic in the handler, like any other: the message was not taken.
func (b *Broker) contain(topic string, f func() error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			b.stats.panics.Add(1)
			b.log.Error("mqtt broker: panic in the handler", "topic", topic, "panic", r, "stack", string(debug.Stack()))
			err = fmt.Errorf("panic: %v", r)
		}
	}()
	return f()
}

// fanOut is step 5. From here on subscribers may have the message, so that after an error its outcome is not known.
func (b *Broker) fanOut(in incoming, pk packets.Packet) error {
	before := b.queuedWrites.Load()
	if pk.FixedHeader.Retain {
		b.topics.Lock()
	}
	b.delivery.RLock()
	b.toSubscribers(pk, in.client)
	b.delivery.RUnlock()
	if pk.FixedHeader.Retain {
		b.underWay.end(pk.TopicName)
		b.topics.Unlock()
	}
	if err := b.takeOver(in, b.queuedWrites.Load() != before); err != nil {
		return fmt.Errorf("data file: %w: %w", mqtt.ErrUnknownOutcome, err)
	}
	return nil
}

// takeOver notes a QoS 2 packet id, in the file behind what was queued for kept sessions, which the store writes in the order in which it
// gets it: a repetition that is only answered has gone to all of them.
func (b *Broker) takeOver(in incoming, queued bool) error {
	last := func(*bbolt.Tx) error { return nil }
	twice := in.session != nil && in.pk.FixedHeader.Qos == 2
	kept := twice && in.session.isKept()
	if kept {
		last = put(bucketIncoming, idKey(in.client, in.pk.PacketID), nil)
	}
	if kept || queued {
		if err := b.store.write(last); err != nil {
			return err
		}
	}
	if twice {
		in.session.note(in.pk.PacketID)
	}
	return nil
}

// handles reports whether the handler wants a topic.
func (b *Broker) handles(topic string) bool {
	for _, f := range b.filters {
		if mqtt.Match(f, topic) {
			return true
		}
	}
	return false
}

// release takes a client's PUBREL: its packet id is forgotten, for good before PUBCOMP says so, since the client may use
// the id for another message then.
func (c *conn) release(pk packets.Packet) error {
	if pk.PacketID == 0 {
		return violation{packets.ErrProtocolViolationNoPacketID, errors.New("PUBREL without a packet id")}
	}
	if !c.session.seen(pk.PacketID) {
		code := byte(0)
		if c.version.Load() >= 5 {
			code = packets.ErrPacketIdentifierNotFound.Code
		}
		return c.ack(packets.Pubcomp, pk.PacketID, code)
	}
	if err := c.forget(pk.PacketID); err != nil {
		return err
	}
	return c.ack(packets.Pubcomp, pk.PacketID, 0)
}

// forget forgets a QoS 2 packet id for good.
func (c *conn) forget(id uint16) error {
	if c.session.isKept() {
		if err := c.b.store.write(del(bucketIncoming, idKey(c.session.id, id))); err != nil {
			return violation{packets.ErrImplementationSpecificError, fmt.Errorf("QoS 2 packet id %d: data file: %w", id, err)}
		}
	}
	c.session.forget(id)
	return nil
}
