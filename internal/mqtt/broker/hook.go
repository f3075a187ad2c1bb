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
// except OnPacketEncode (also of whoever publishes).
type hook struct {
	mochi.HookBase
	b *Broker
}

// ID and Provides are the library's.
func (h *hook) ID() string { return "statehouse" }

func (h *hook) Provides(b byte) bool {
	switch b {
	case mochi.OnConnect, mochi.OnConnectAuthenticate, mochi.OnACLCheck, mochi.OnSessionEstablish, mochi.OnSessionEstablished,
		mochi.OnPacketRead, mochi.OnPacketEncode, mochi.OnPacketProcessed, mochi.OnSubscribe, mochi.OnSubscribed, mochi.OnUnsubscribed:
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
	if err := c.takeWill(cl, pk); err != nil {
		return packets.ErrNotAuthorized, err
	}
	limitKeepAlive(cl, b.opts.Limits.MaxKeepAlive)
	cl.Properties.Props.User = nil // the library would keep them as long as the session, and reads them never
	c.limitSession(&cl.Properties.Props)
	return b.claim(c, cl)
}

// claim is the last step of admitting: from here on the client id is this connection's.
func (b *Broker) claim(c *conn, cl *mochi.Client) (packets.Code, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	before, owner := b.connected[cl.ID], c.user()
	if max := b.opts.Limits.MaxClients; before == nil && len(b.connected) >= max {
		return packets.ErrServerBusy, fmt.Errorf("%d clients are connected already (mqtt.limits.max_clients)", max)
	}
	if kept, ok := b.server.Clients.Get(cl.ID); ok {
		owner = string(kept.Properties.Username)
	} else if before != nil {
		owner = before.user() // on its way to be one of the library's clients
	} else if max := b.opts.Limits.MaxSessions; b.server.Clients.Len() >= max {
		return packets.ErrServerBusy, fmt.Errorf("%d sessions are kept already (mqtt.limits.max_sessions)", max)
	}
	if b.users != nil && owner != c.user() {
		return packets.ErrNotAuthorized, fmt.Errorf("the session of client %q belongs to user %q, not to %q", cl.ID, owner, c.user())
	}
	b.connected[cl.ID], c.before, c.settled = c, before, true
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
	if before := c.before; before != nil {
		before.refuse(packets.ErrSessionTakenOver, errors.New("the client connected anew"))
		<-before.done
		c.before = nil
	}
	b.settleWill(cl.ID, pk.Connect.Clean)
	b.delivery.Lock() // until the session is this client's
	c.arriving = true
	if pk.Connect.Clean {
		b.dropSession(cl.ID)
	}
	c.session = b.openSession(cl.ID)
	c.openSequence()
	kept := keeps(cl)
	c.session.setKept(kept)
	if kept {
		b.store.enqueue(putClient(b.clientRecord(cl)))
	}
}

// OnSessionEstablished runs after CONNACK.
func (h *hook) OnSessionEstablished(cl *mochi.Client, _ packets.Packet) {
	if c := connOf(cl); c != nil {
		c.session.attach(c)
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
	return client{ID: cl.ID, User: string(cl.Properties.Username), Version: cl.Properties.ProtocolVersion,
		Expiry: cl.Properties.Props.SessionExpiryInterval, ReceiveMaximum: cl.Properties.Props.ReceiveMaximum,
		MaxPacket: cl.Properties.Props.MaximumPacketSize}
}

// OnPacketRead takes PUBLISH, PUBREL and the answers to ours over wholly, and mends the others.
func (h *hook) OnPacketRead(cl *mochi.Client, pk packets.Packet) (packets.Packet, error) {
	c := connOf(cl)
	if c == nil {
		return pk, nil
	}
	if c.session == nil { // CONNECT
		if pk.Connect.WillFlag { // it would refuse one to be retained, or an empty one
			c.willRetain, c.willPayload = pk.Connect.WillRetain, pk.Connect.WillPayload
			pk.Connect.WillRetain, pk.Connect.WillPayload = false, []byte{0}
		}
		pk.Connect.PasswordFlag = len(pk.Connect.Password) > 0 // or an empty password
		return pk, nil
	}
	pk, err := h.read(c, pk)
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

// errNoID is what a SUBSCRIBE or UNSUBSCRIBE breaks that has no packet id.
var errNoID = violation{packets.ErrProtocolViolationNoPacketID, errors.New("SUBSCRIBE or UNSUBSCRIBE without a packet id")}

// nothing is what the library is given for a packet that was dealt with: a PUBACK for an id that is never used.
var nothing = packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Puback}}

// read deals with one packet.
func (h *hook) read(c *conn, pk packets.Packet) (packets.Packet, error) {
	switch pk.FixedHeader.Type {
	case packets.Publish:
		return nothing, c.publish(pk)
	case packets.Puback, packets.Pubrec, packets.Pubcomp:
		c.acknowledged(pk)
		return nothing, nil
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
		if pk.PacketID == 0 {
			return pk, errNoID
		}
		c.beginReading() // until OnPacketProcessed, or until the connection ends
		return pk, nil
	case packets.Unsubscribe:
		if code := pk.UnsubscribeValidate(); code != packets.CodeSuccess {
			return pk, violation{code, fmt.Errorf("UNSUBSCRIBE: %s", code.Reason)}
		}
		if pk.PacketID == 0 {
			return pk, errNoID
		}
		return pk, nil
	case packets.Disconnect:
		if pk.FixedHeader.Remaining == 1 && c.version.Load() >= 5 { // the library looks at no reason without properties
			pk.ReasonCode = c.frame.goodbye
		}
		if err := c.changeSession(&pk); err != nil {
			return pk, err
		}
		c.clean = pk.ReasonCode == 0
		return pk, nil
	case packets.Pingreq:
		return pk, nil
	}
	return pk, violation{packets.ErrProtocolViolation, fmt.Errorf("a client must not send packets of type %d here", pk.FixedHeader.Type)}
}

// OnPacketEncode tells an MQTT 5 client the largest packet, and how long its session is kept if it wanted more. The user properties of a
// message are not the problem information that a client may not want.
func (h *hook) OnPacketEncode(cl *mochi.Client, pk packets.Packet) packets.Packet {
	c := connOf(cl)
	if c == nil {
		return pk
	}
	switch pk.FixedHeader.Type {
	case packets.Publish:
		pk.Mods.DisallowProblemInfo = false
		if pk.Mods.MaxSize > 0 && leastSize(pk) > int(pk.Mods.MaxSize) {
			pk.Mods.MaxSize = 1 // it is not sent; the library would leave its user properties out, and send the rest
		}
	case packets.Connack:
		pk.Properties.MaximumPacketSize = uint32(h.b.opts.Limits.MaxPayload + packetOverhead)
		pk.Properties.SessionExpiryInterval, pk.Properties.SessionExpiryIntervalFlag = cl.Properties.Props.SessionExpiryInterval, c.shorter
	}
	return pk
}

// leastSize is what a PUBLISH takes with its user properties, if not more.
func leastSize(pk packets.Packet) int {
	n := 2 + 2 + len(pk.TopicName) + 2*min(1, int(pk.FixedHeader.Qos)) + 1 + len(pk.Payload)
	for _, u := range pk.Properties.User {
		n += 1 + 2 + len(u.Key) + 2 + len(u.Val)
	}
	return n
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
			c.refuseFilter(sub.Filter, err)
			pk.Filters[i].Filter = ""
		}
	}
	c.wanted(pk.Filters)
	return pk
}

// OnSubscribed keeps a kept session's subscriptions, before SUBACK says so.
func (h *hook) OnSubscribed(cl *mochi.Client, pk packets.Packet, codes []byte) {
	c := connOf(cl)
	if c == nil {
		return
	}
	c.complainFilters()
	c.grant(pk.Filters, codes)
	var changes []change
	for i, sub := range pk.Filters {
		if i >= len(codes) || codes[i] > 2 {
			continue
		}
		h.b.subscribed(cl.ID, sub)
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

// OnUnsubscribed forgets them, and what they were still to bring, before UNSUBACK says so. A session that ends goes as a whole.
func (h *hook) OnUnsubscribed(cl *mochi.Client, pk packets.Packet) {
	for _, sub := range pk.Filters {
		h.b.unsubscribed(cl.ID, sub.Filter)
	}
	c := connOf(cl)
	if c == nil || c.session == nil || pk.PacketID == 0 {
		return
	}
	var changes []change
	c.piece.Lock()
	for _, sub := range pk.Filters {
		c.session.stopDelivery(sub.Filter)
		changes = append(changes, del(bucketSubs, append(sessionPrefix(cl.ID), sub.Filter...)))
	}
	c.piece.Unlock()
	if !c.session.isKept() {
		return
	}
	if err := h.b.store.write(changes...); err != nil {
		c.refuse(packets.ErrImplementationSpecificError, fmt.Errorf("UNSUBSCRIBE: data file: %w", err))
	}
}

// OnACLCheck asks the rules about a filter in a SUBSCRIBE.
func (h *hook) OnACLCheck(cl *mochi.Client, filter string, write bool) bool {
	if write {
		return false // see conn.publish
	}
	if h.b.users.maySubscribe(string(cl.Properties.Username), filter) {
		return true
	}
	if c := connOf(cl); c != nil {
		c.refuseFilter(filter, errors.New("no rule allows it"))
	}
	return false
}
