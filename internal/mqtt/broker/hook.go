package broker

import (
	"errors"
	"fmt"
	"time"

	mochi "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"

	"github.com/statehouse/statehouse/internal/mqtt"
)

// maxKeepAlive is the longest keepalive, in seconds, whose one and a half the library can compute: it overflows beyond.
const maxKeepAlive = 43690

// errHandled makes the library stop reading a connection. It looks at no other error of OnPacketRead.
var errHandled = packets.ErrRejectPacket

// hook is how the library asks and tells the broker. Methods run on the goroutine of the connection that they concern,
// except OnACLCheck, OnQosPublish, OnPublishDropped (of whoever publishes), OnPacketEncode and OnPacketSent (also of the library's
// writing goroutine) and the On…Expired ones (of its ticker).
type hook struct {
	mochi.HookBase
	b *Broker
}

// ID and Provides are the library's.
func (h *hook) ID() string { return "statehouse" }

func (h *hook) Provides(b byte) bool {
	switch b {
	case mochi.OnConnect, mochi.OnConnectAuthenticate, mochi.OnACLCheck, mochi.OnSessionEstablish, mochi.OnSessionEstablished,
		mochi.OnPacketRead, mochi.OnPacketEncode, mochi.OnPacketSent, mochi.OnPacketProcessed, mochi.OnSubscribe, mochi.OnSubscribed,
		mochi.OnUnsubscribed, mochi.OnPublish, mochi.OnPublishDropped, mochi.OnQosPublish, mochi.OnQosDropped,
		mochi.OnClientExpired:
		return true
	}
	return false
}

// OnConnect decides about a CONNECT that is well formed.
func (h *hook) OnConnect(cl *mochi.Client, pk packets.Packet) error {
	c := connOf(cl)
	if c == nil {
		return errors.New("not a connection of this broker")
	}
	c.cl = cl
	c.version.Store(int32(pk.ProtocolVersion))
	code, err := h.b.admit(c, cl, pk)
	if err == nil {
		return nil
	}
	if pk.ProtocolVersion < 5 {
		code = connackV3(code)
	}
	_ = h.b.server.SendConnack(cl, code, false, nil)
	c.mu.Lock()
	c.reason = err
	c.mu.Unlock()
	return err
}

// connackV3 are the few words that a CONNACK had before MQTT 5.
func connackV3(code packets.Code) packets.Code {
	switch code {
	case packets.ErrBadUsernameOrPassword:
		return packets.ErrMalformedUsernameOrPassword
	case packets.ErrClientIdentifierNotValid:
		return packets.Err3ClientIdentifierNotValid
	case packets.ErrServerBusy:
		return packets.Err3ServerUnavailable
	}
	return packets.Err3NotAuthorized
}

// OnConnectAuthenticate has nothing left to ask: OnConnect did.
func (h *hook) OnConnectAuthenticate(*mochi.Client, packets.Packet) bool { return true }

// admit checks who connects, and takes over what the library does wrong later: wills, keepalives, topic aliases.
func (b *Broker) admit(c *conn, cl *mochi.Client, pk packets.Packet) (packets.Code, error) {
	if b.closing.Load() {
		return packets.ErrServerBusy, errors.New("the broker is closing")
	}
	if pk.Properties.AuthenticationMethod != "" {
		return packets.ErrBadAuthenticationMethod, fmt.Errorf("authentication method %.40q is not supported: use a user name and a password", pk.Properties.AuthenticationMethod)
	}
	if n, max := len(cl.ID), b.opts.Limits.MaxClientIDBytes; n > max {
		return packets.ErrClientIdentifierNotValid, fmt.Errorf("a client id of %d bytes, at most %d are allowed", n, max)
	}
	if b.users != nil {
		b.logins <- struct{}{}
		_, ok := b.users.login(c.user(), pk.Connect.Password)
		<-b.logins
		if !ok {
			return packets.ErrBadUsernameOrPassword, fmt.Errorf("user %q: bad user name or password", c.user())
		}
	}
	if old, ok := b.server.Clients.Get(cl.ID); ok {
		if b.users != nil && string(old.Properties.Username) != c.user() {
			return packets.ErrNotAuthorized, fmt.Errorf("the session of client %q belongs to user %q, not to %q", cl.ID, old.Properties.Username, c.user())
		}
	} else if max := b.opts.Limits.MaxSessions; b.server.Clients.Len() >= max {
		return packets.ErrServerBusy, fmt.Errorf("%d sessions are kept already (mqtt.limits.max_sessions)", max)
	}
	if err := c.takeWill(cl, pk); err != nil {
		return packets.ErrNotAuthorized, err
	}
	limitKeepAlive(cl, b.opts.Limits.MaxKeepAlive)
	// An alias would be stored with a queued message instead of its topic, and mean nothing to the next connection.
	cl.Properties.Props.TopicAliasMaximum = 0
	cl.State.TopicAliases.Outbound = mochi.NewOutboundTopicAliases(0)
	return packets.CodeSuccess, nil
}

// limitKeepAlive gives an MQTT 5 client a keepalive that it must follow. Before MQTT 5 the client's is the law, and 0 means
// none: TCP's own then finds dead peers.
func limitKeepAlive(cl *mochi.Client, longest time.Duration) {
	max := uint16(longest / time.Second)
	if cl.Properties.ProtocolVersion >= 5 {
		if k := cl.State.Keepalive; k == 0 || k > max {
			cl.State.Keepalive, cl.State.ServerKeepalive = max, true
		}
		return
	}
	cl.State.Keepalive = min(cl.State.Keepalive, maxKeepAlive)
}

// OnSessionEstablish runs when a client is admitted, before the library looks for its session. It ends the client's other
// connection and waits until that is settled: the library would settle both at once.
func (h *hook) OnSessionEstablish(cl *mochi.Client, pk packets.Packet) {
	b, c := h.b, connOf(cl)
	b.mu.Lock()
	before := b.connected[cl.ID]
	b.connected[cl.ID] = c
	b.mu.Unlock()
	c.settled = true
	if before != nil {
		before.refuse(packets.ErrSessionTakenOver, errors.New("the client connected anew"))
		<-before.done
	}
	b.cancelWill(cl.ID)
	// Until the session is this client's: what the library put on the other's list meanwhile would be on no list.
	b.delivery.Lock()
	c.arriving = true
	if pk.Connect.Clean {
		b.dropSession(cl.ID)
	}
	c.session = b.openSession(cl.ID)
	c.openSequence()
	if old, ok := b.server.Clients.Get(cl.ID); ok && !pk.Connect.Clean {
		c.session.restore(old)
	}
	kept := keeps(cl)
	c.session.setKept(kept)
	if kept {
		b.store.enqueue(putJSON(bucketClients, []byte(cl.ID), b.clientRecord(cl)))
	}
}

// OnSessionEstablished runs after CONNACK and what was queued.
func (h *hook) OnSessionEstablished(cl *mochi.Client, _ packets.Packet) {
	if c := connOf(cl); c != nil {
		c.arrived()
		c.beginReading()
		c.resumeDelivery()
		c.doneReading()
	}
	h.b.stats.connects.Add(1)
	h.b.log.Info("mqtt broker: client connected", "client", cl.ID, "remote", cl.Net.Remote, "user", string(cl.Properties.Username),
		"protocol", protocolName(cl.Properties.ProtocolVersion), "session_kept", keeps(cl))
}

// arrived lets messages go to subscribers again.
func (c *conn) arrived() {
	if c.arriving {
		c.arriving = false
		c.b.delivery.Unlock()
	}
}

// protocolName is how people call a protocol level.
func protocolName(version byte) string {
	return map[byte]string{3: "3.1", 4: "3.1.1", 5: "5"}[version]
}

// keeps reports whether a client's session outlives its connection.
func keeps(cl *mochi.Client) bool {
	if cl.Properties.ProtocolVersion >= 5 {
		return cl.Properties.Props.SessionExpiryInterval > 0
	}
	return !cl.Properties.Clean
}

// clientRecord is what the file keeps of a client.
func (b *Broker) clientRecord(cl *mochi.Client) client {
	longest := uint32(b.opts.Limits.SessionExpiry / time.Second)
	return client{ID: cl.ID, User: string(cl.Properties.Username), Version: cl.Properties.ProtocolVersion,
		Expiry: min(cl.Properties.Props.SessionExpiryInterval, longest), ReceiveMaximum: cl.Properties.Props.ReceiveMaximum,
		MaxPacket: cl.Properties.Props.MaximumPacketSize}
}

// OnPacketRead takes PUBLISH and PUBREL over wholly, and mends the others.
func (h *hook) OnPacketRead(cl *mochi.Client, pk packets.Packet) (packets.Packet, error) {
	c := connOf(cl)
	if c == nil {
		return pk, nil
	}
	c.leaveList()
	if c.session == nil { // CONNECT
		if pk.Connect.WillFlag {
			c.willRetain, pk.Connect.WillRetain = pk.Connect.WillRetain, false
		}
		return pk, nil
	}
	pk, err := h.read(c, cl, pk)
	if err == nil {
		return pk, nil
	}
	var v violation
	if !errors.As(err, &v) {
		v = violation{packets.ErrUnspecifiedError, err}
	}
	c.refuse(v.code, v.reason)
	return pk, errHandled
}

// nothing is what the library is given for a packet that was dealt with: a PUBACK for an id that is never used.
var nothing = packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Puback}}

// read deals with one packet.
func (h *hook) read(c *conn, cl *mochi.Client, pk packets.Packet) (packets.Packet, error) {
	switch pk.FixedHeader.Type {
	case packets.Publish:
		return nothing, c.publish(pk)
	case packets.Puback, packets.Pubrec, packets.Pubcomp:
		c.acknowledged(cl, pk)
		return pk, nil
	}
	if err := c.finish(); err != nil {
		return pk, err
	}
	switch pk.FixedHeader.Type {
	case packets.Pubrel:
		return nothing, c.release(pk)
	case packets.Subscribe:
		if code := pk.SubscribeValidate(); code != packets.CodeSuccess {
			return pk, violation{code, fmt.Errorf("SUBSCRIBE: %s", code.Reason)}
		}
		c.beginReading() // until OnPacketProcessed, or until the connection ends
		return c.borrowID(cl, pk)
	case packets.Unsubscribe:
		if code := pk.UnsubscribeValidate(); code != packets.CodeSuccess {
			return pk, violation{code, fmt.Errorf("UNSUBSCRIBE: %s", code.Reason)}
		}
		return c.borrowID(cl, pk)
	case packets.Disconnect:
		c.clean = pk.ReasonCode == 0
		pk.Properties.SessionExpiryInterval = min(pk.Properties.SessionExpiryInterval, uint32(h.b.opts.Limits.SessionExpiry/time.Second))
		return pk, nil
	case packets.Pingreq:
		return pk, nil
	}
	return pk, violation{packets.ErrProtocolViolation, fmt.Errorf("a client must not send packets of type %d here", pk.FixedHeader.Type)}
}

// acknowledged prepares the library for a client's answer. When the client's receive maximum is reached, the library takes
// a message off its list when it sends it, and then neither knows the answer nor gives the quota back. What is done with leaves
// our list first: once it is off the library's, its packet id may be another message's.
func (c *conn) acknowledged(cl *mochi.Client, pk packets.Packet) {
	m, ok := c.session.has(pk.PacketID)
	if !ok {
		return
	}
	if _, listed := cl.State.Inflight.Get(pk.PacketID); !listed {
		cl.State.Inflight.Set(inflight(m, pk.PacketID))
	}
	if pk.FixedHeader.Type != packets.Pubrec || pk.ReasonCode >= packets.ErrUnspecifiedError.Code || !pk.ReasonCodeValid() {
		if was, kept := c.session.dequeue(pk.PacketID); was && kept {
			c.b.store.enqueue(del(bucketQueued, idKey(c.session.id, pk.PacketID)))
		}
		c.moreRoom()
		return
	}
	if m, kept, first := c.session.received(pk.PacketID); first && kept {
		if ch, err := putMessage(bucketQueued, idKey(c.session.id, pk.PacketID), m); err == nil {
			c.b.store.enqueue(ch)
		}
	}
}

// borrowID gives a SUBSCRIBE or UNSUBSCRIBE a packet id that no message towards the client has: the library takes the two
// for one another. The answer gets the client's own back.
func (c *conn) borrowID(cl *mochi.Client, pk packets.Packet) (packets.Packet, error) {
	if pk.PacketID == 0 {
		return pk, violation{packets.ErrProtocolViolationNoPacketID, errors.New("SUBSCRIBE or UNSUBSCRIBE without a packet id")}
	}
	c.ackID = pk.PacketID
	for id := uint16(65535); id > 0; id-- {
		if _, used := cl.State.Inflight.Get(id); !used {
			pk.PacketID = id
			break
		}
	}
	return pk, nil
}

// OnPacketEncode gives answers their own packet ids back, and tells an MQTT 5 client the largest packet.
func (h *hook) OnPacketEncode(cl *mochi.Client, pk packets.Packet) packets.Packet {
	c := connOf(cl)
	if c == nil {
		return pk
	}
	switch pk.FixedHeader.Type {
	case packets.Suback, packets.Unsuback:
		pk.PacketID = c.ackID
	case packets.Connack:
		pk.Properties.MaximumPacketSize = uint32(h.b.opts.Limits.MaxPayload + packetOverhead)
	}
	return pk
}

// OnPacketSent takes a message off the count of the library's queue: the connection has it. One that is sent again was not in
// the queue.
func (h *hook) OnPacketSent(cl *mochi.Client, pk packets.Packet, _ []byte) {
	c := connOf(cl)
	if c == nil || pk.FixedHeader.Type != packets.Publish || pk.FixedHeader.Dup {
		return
	}
	// Not below 0: see awaitRoom.
	for n := c.unsent.Load(); n > 0 && !c.unsent.CompareAndSwap(n, n-1); n = c.unsent.Load() {
	}
}

// OnPacketProcessed ends what OnPacketRead began, and has what is retained follow the SUBACK.
func (h *hook) OnPacketProcessed(cl *mochi.Client, pk packets.Packet, err error) {
	c := connOf(cl)
	if c == nil {
		return
	}
	if pk.FixedHeader.Type == packets.Subscribe && err == nil {
		c.deliverRetained()
	}
	c.doneReading()
	if err == nil {
		c.enterList()
	}
}

// enterList keeps others from the library's list of the client, which the library looks at next, until leaveList. Nobody adds to
// that of a client without subscriptions.
func (c *conn) enterList() {
	if c.cl.State.Subscriptions.Len() > 0 || c.cl.State.Inflight.Len() > 0 {
		c.b.lists.Lock()
		c.listing = true
	}
}

// leaveList is called when the library reads on, or has ended.
func (c *conn) leaveList() {
	if c.listing {
		c.listing = false
		c.b.lists.Unlock()
	}
}

// beginReading keeps retained messages from going to subscribers until doneReading.
func (c *conn) beginReading() {
	c.b.topics.RLock()
	c.reading = true
}

func (c *conn) doneReading() {
	if c.reading {
		c.reading = false
		c.b.topics.RUnlock()
	}
}

// OnSubscribe replaces filters that cannot be by one that the library refuses too: its own check lets a#/b+ pass.
func (h *hook) OnSubscribe(cl *mochi.Client, pk packets.Packet) packets.Packet {
	c := connOf(cl)
	if c == nil {
		return pk
	}
	room := h.b.opts.Limits.MaxSubscriptions - cl.State.Subscriptions.Len()
	for i, sub := range pk.Filters {
		err := mqtt.ValidFilter(sub.Filter)
		if err == nil {
			err = h.b.topicLimits(sub.Filter)
		}
		if _, again := cl.State.Subscriptions.Get(sub.Filter); err == nil && !again {
			if room--; room < 0 {
				err = fmt.Errorf("%d subscriptions already (mqtt.limits.max_subscriptions)", h.b.opts.Limits.MaxSubscriptions)
			}
		}
		if err != nil {
			h.b.stats.refused.Add(1)
			h.b.log.Warn("mqtt broker: subscription refused", "client", cl.ID, "reason", err)
			pk.Filters[i].Filter = ""
		}
	}
	c.wanted(pk.Filters)
	c.checking.Store(true)
	return pk
}

// OnSubscribed keeps a kept session's subscriptions, before SUBACK says so.
func (h *hook) OnSubscribed(cl *mochi.Client, pk packets.Packet, codes []byte) {
	c := connOf(cl)
	if c == nil {
		return
	}
	c.checking.Store(false)
	c.grant(pk.Filters, codes)
	var changes []change
	for i, sub := range pk.Filters {
		if i >= len(codes) || codes[i] > 2 {
			continue
		}
		changes = append(changes, putJSON(bucketSubs, append(sessionPrefix(cl.ID), sub.Filter...), subscription{
			Filter: sub.Filter, QoS: codes[i], ID: sub.Identifier, NoLocal: sub.NoLocal,
			RetainAsPublished: sub.RetainAsPublished, RetainHandling: sub.RetainHandling}))
	}
	if len(changes) == 0 || !c.session.isKept() {
		return
	}
	if err := h.b.store.write(changes...); err != nil {
		c.refuse(packets.ErrImplementationSpecificError, fmt.Errorf("SUBSCRIBE: data file: %w", err))
	}
}

// OnUnsubscribed forgets them, and what they were still to bring.
func (h *hook) OnUnsubscribed(cl *mochi.Client, pk packets.Packet) {
	if c := connOf(cl); c != nil && c.session != nil {
		c.piece.Lock()
		for _, sub := range pk.Filters {
			c.session.stopDelivery(sub.Filter)
		}
		c.piece.Unlock()
	}
	if !keeps(cl) || cl.IsTakenOver() {
		return
	}
	for _, sub := range pk.Filters {
		h.b.store.enqueue(del(bucketSubs, append(sessionPrefix(cl.ID), sub.Filter...)))
	}
}

// The library's queue towards a client, and how far it may fill before those who publish wait a little for the library's
// own writing goroutine. That one never waits for the network, so the wait is short.
const (
	writesPending = 8192
	writesHigh    = 6000
	writesNap     = 200 * time.Microsecond
	writesNaps    = 100
)

// OnACLCheck asks the rules: about a filter in a SUBSCRIBE, or about a message that is to be delivered.
func (h *hook) OnACLCheck(cl *mochi.Client, topic string, write bool) bool {
	if write {
		return false // see conn.publish
	}
	c := connOf(cl)
	if h.b.users.maySubscribe(string(cl.Properties.Username), topic) {
		if c != nil && !c.checking.Load() && !cl.Closed() {
			c.awaitRoom(cl)
		}
		return true
	}
	if c != nil && c.checking.Load() {
		h.b.stats.refused.Add(1)
		h.b.log.Warn("mqtt broker: subscription refused", "client", cl.ID, "user", string(cl.Properties.Username), "filter", topic, "reason", "no rule allows it")
	}
	return false
}

// awaitRoom counts one more packet into the library's queue, which drops what does not fit.
func (c *conn) awaitRoom(cl *mochi.Client) {
	if c.unsent.Add(1) < writesHigh {
		return
	}
	for range writesNaps {
		if c.unsent.Load() < writesHigh || cl.Closed() {
			return
		}
		time.Sleep(writesNap)
	}
	c.unsent.Store(0) // the count is only about right: packets that the library did not queue after all
}

// drain waits until the library has handed the connection what was published before, or until the deadline: it drops its queue
// when the connection ends.
func (c *conn) drain(deadline time.Time) {
	for c.unsent.Load() > 0 && time.Now().Before(deadline) {
		select {
		case <-c.done:
			return
		case <-time.After(writesNap):
		}
	}
}

// OnPublish gives the daemon's own packets their publisher back, and a number that the library sorts by.
func (h *hook) OnPublish(_ *mochi.Client, pk packets.Packet) (packets.Packet, error) {
	pk.Origin, pk.Connect.ClientIdentifier = pk.Connect.ClientIdentifier, ""
	pk.Created = h.b.seq.Add(1)
	return pk, nil
}

// OnPublishDropped runs when the library's queue towards a client is full. What is dropped there would be missed without a
// word, so the client is disconnected: it comes back to its queue and to the retained messages.
func (h *hook) OnPublishDropped(cl *mochi.Client, _ packets.Packet) {
	h.b.stats.dropped.Add(1)
	if c := connOf(cl); c != nil {
		h.b.stats.slow.Add(1)
		c.refuse(packets.ErrQuotaExceeded, fmt.Errorf("%d packets wait for it", writesPending))
	}
}

// OnQosPublish runs when the library has put a message towards a client on its list, and when it sends one again.
func (h *hook) OnQosPublish(cl *mochi.Client, pk packets.Packet, _ int64, _ int) {
	if pk.FixedHeader.Type != packets.Publish || pk.FixedHeader.Dup {
		return
	}
	if max := cl.Properties.Props.MaximumPacketSize; max > 0 && len(pk.Payload)+len(pk.TopicName)+16 > int(max) {
		cl.State.Inflight.Delete(pk.PacketID) // the client does not take packets of this size: as if it had it
		h.b.stats.dropped.Add(1)
		return
	}
	h.b.enqueue(cl, pk)
}

// enqueue notes that a message towards a client, which is on the library's list, is not acknowledged. What does not fit is taken off the
// list, and false.
func (b *Broker) enqueue(cl *mochi.Client, pk packets.Packet) bool {
	s := b.findSession(cl.ID)
	if s == nil {
		return true
	}
	m := newMessage(pk)
	m.Seq = pk.Created
	ok, kept, first := s.enqueue(pk.PacketID, m, b.opts.Limits)
	if !ok {
		cl.State.Inflight.Delete(pk.PacketID)
		b.stats.dropped.Add(1)
		if first {
			b.log.Warn("mqtt broker: messages are not queued", "client", cl.ID, "topic", pk.TopicName,
				"reason", "its queue is full (mqtt.limits.max_queued, max_queued_bytes), or all of them together (max_backlog_bytes)")
		}
		return false
	}
	if !kept {
		return true
	}
	if c, err := putMessage(bucketQueued, idKey(cl.ID, pk.PacketID), m); err == nil {
		b.queuedWrites.Add(1)
		b.store.enqueue(c)
	}
	return true
}

// OnQosDropped runs when the library took a message off its list unacknowledged: because its time is over, or with the whole session. By then
// the packet id may be another message's.
func (h *hook) OnQosDropped(cl *mochi.Client, pk packets.Packet) {
	s := h.b.findSession(cl.ID)
	if s == nil || cl.IsTakenOver() { // its list went to the next connection
		return
	}
	if was, kept := s.dequeueExpired(pk.PacketID, time.Now().Unix()); was && kept {
		h.b.store.enqueue(del(bucketQueued, idKey(cl.ID, pk.PacketID)))
	}
}

// OnClientExpired ends a session whose time is over. The library would leave its subscriptions where they are.
func (h *hook) OnClientExpired(cl *mochi.Client) {
	h.b.endSession(cl)
	h.b.log.Info("mqtt broker: session expired", "client", cl.ID)
}
