// Package broker is the MQTT broker inside the daemon, for homes that have none: MQTT 3.1, 3.1.1 and 5 over TCP or TLS.
//
// # What it promises
//
// A message is acknowledged (PUBACK, PUBREC) only when the handler has taken it and what the broker itself owes is on disk:
// a retained message, a QoS 2 packet id, and the queue of every kept session that it went to. When any of that fails, nothing
// is acknowledged and the publisher's connection is closed, so that it sends the message again: QoS 1 and 2 are then handled
// again. A QoS 2 message that was answered is not handled twice within its session, also over a restart of the broker.
//
// Towards a kept session QoS 2 holds over a kill, too: the file knows before the client of each step that the client may forget something after.
//
// A client never has more messages under way than it takes at once. One whose time is over is not sent to it, neither late nor again,
// also when the clock is set back meanwhile; over a restart only the clock can tell. When the clock is set forward, messages that end are
// over as much sooner, and sessions are not: they last by a clock that nobody sets.
//
// # Ordering
//
// Each client's messages are handled one after another, in the order in which it sent them; the messages of several clients
// at once. Subscribers get a publisher's messages in its order, also those that were queued while they were away.
//
// What is retained follows the SUBACK, ordered by topic, as fast as the subscriber takes it; messages that are published meanwhile come in
// between. A retained message never comes after a newer one of its topic. It is read from the file: nothing of it is kept in memory.
//
// # Failure
//
// A peer that breaks the protocol, a rule or a limit is disconnected, with a reason in the log. A panic while its packets are
// read costs that connection only. A client that reads too slowly is disconnected, and never holds up a publisher.
//
// It wraps mochi-mqtt, whose known defects and what is done about each are in docs/adr/0002-embedded-mqtt-broker.md.
package broker

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"log/slog"
	"math"
	"net"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	mochi "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/listeners"
	"github.com/mochi-mqtt/server/v2/packets"

	"github.com/statehouse/statehouse/internal/mqtt"
)

// Broker is a running one. All methods are safe for concurrent use.
//
// Lock order: retainLocks, topics, delivery, conn.piece, mu, session.mu, conn.mu.
type Broker struct {
	opts    Options
	log     *slog.Logger
	users   accounts
	filters []string // the handler's
	server  *mochi.Server
	parents *mochi.TopicsIndex // filters that end with +/#, without their last level
	store   *store
	ln      *listener
	ctx     context.Context // of the handler's calls and of what waits; ends in Close
	cancel  context.CancelFunc
	seed    maphash.Seed
	logins  chan struct{} // how many passwords may be hashed at once

	wg      sync.WaitGroup // connections, delayed wills and what tidies up
	closed  chan struct{}  // closed by Close, at its begin
	closing atomic.Bool
	once    sync.Once
	err     error // of Close

	stats        counters
	complaints   mqtt.Complaints // about clients
	queuedWrites atomic.Int64    // queued messages that were given to the store
	incoming     atomic.Int64    // bytes of the large packets that are being read
	backlog      atomic.Int64    // bytes that wait for clients, queued or unsent

	retainLocks [32]sync.Mutex // by topic: one retained message of a topic at a time
	expiries    expiries
	underWay    underWay
	// topics is held while a retained message goes to the subscribers, and for reading from a SUBSCRIBE until the first of what is retained for
	// it is handed over, and while more of it is: none of these sees half of the other.
	topics sync.RWMutex
	// delivery is held for reading while any message goes to the subscribers, and while a session changes its connection.
	delivery sync.RWMutex

	mu        sync.Mutex // guards what follows
	conns     map[*conn]struct{}
	connected map[string]*conn        // by client id
	sessions  map[string]*session     // by client id
	delayed   map[string]*delayedWill // by client id
}

// Start opens the file and the address, and serves until Close. ctx bounds the start; its values, not its end, are those of
// the handler's calls. Options that cannot be are refused before anything is opened; see [Options.Check].
func Start(ctx context.Context, opts Options) (*Broker, error) {
	opts, users, err := opts.prepare(ctx)
	if err != nil {
		return nil, fmt.Errorf("mqtt broker: %w", err)
	}
	ln, err := listen(ctx, opts)
	if err != nil {
		return nil, err
	}
	b, err := open(ctx, opts, users, ln)
	if err != nil {
		return nil, errors.Join(err, ln.Close())
	}
	return b, nil
}

// open builds a broker on an open address.
func open(ctx context.Context, opts Options, users accounts, ln net.Listener) (*Broker, error) {
	st, err := openStore(opts.DataPath, opts.Logger)
	if err != nil {
		return nil, err
	}
	b := &Broker{
		opts: opts, log: opts.Logger, users: users, store: st, parents: mochi.NewTopicsIndex(), seed: maphash.MakeSeed(), logins: make(chan struct{}, 2),
		conns: map[*conn]struct{}{}, connected: map[string]*conn{}, sessions: map[string]*session{}, delayed: map[string]*delayedWill{},
		closed: make(chan struct{}), expiries: expiries{at: map[string]int64{}}, underWay: underWay{records: map[string][]byte{}},
	}
	b.ctx, b.cancel = context.WithCancel(context.WithoutCancel(ctx))
	b.ln = &listener{b: b, ln: ln, open: make(chan struct{}), ended: make(chan struct{})}
	if opts.Handler != nil {
		b.filters = slices.Clone(opts.Handler.Filters())
	}
	b.server = mochi.New(libraryOptions(opts))
	err = b.server.AddHook(&hook{b: b}, nil)
	if err == nil {
		err = b.restore()
	}
	if err == nil {
		err = b.server.AddListener(b.ln)
	}
	if err == nil {
		err = b.server.Serve()
	}
	if err != nil {
		b.cancel()
		return nil, errors.Join(err, st.close())
	}
	b.dropServerTopics()
	b.wg.Go(b.tidy)
	b.log.Info("mqtt broker: listening", "address", ln.Addr().String(), "tls", opts.TLS != nil, "users", len(users),
		"retained", b.store.retained.messages.Load(), "sessions", len(b.sessions))
	close(b.ln.open)
	return b, nil
}

// never is how often the library publishes its own topics: it stops the world for them each time.
const never = 1 << 31 // seconds

// libraryOptions are the library's limits and habits.
func libraryOptions(opts Options) *mochi.Options {
	l := opts.Limits
	caps := mochi.NewDefaultServerCapabilities()
	caps.MaximumClients = math.MaxInt64                // see hook.go: it would count a connection that its client comes back from, too
	caps.MaximumMessageExpiryInterval = 0              // else retained messages end after a day
	caps.MaximumClientWritesPending = 0                // nothing waits there: see window.go and outbound.go
	caps.MaximumSessionExpiryInterval = math.MaxUint32 // out of reach: see expiry.go
	caps.MaximumPacketSize = uint32(l.MaxPayload + packetOverhead)
	caps.ReceiveMaximum = uint16(l.ReceiveMaximum)
	caps.MaximumInflight = math.MaxUint16 // else it changes what a client says that it takes
	caps.TopicAliasMaximum = 0
	caps.RetainAvailable = 0 // for the library: what is retained is ours
	return &mochi.Options{Capabilities: caps, Logger: quietLogger(opts.Logger), SysTopicResendInterval: never,
		ClientNetReadBufferSize: readBuffer}
}

// dropServerTopics takes away the $SYS topics that the library published once, at its start.
func (b *Broker) dropServerTopics() {
	for topic := range b.server.Topics.Retained.GetAll() {
		if strings.HasPrefix(topic, mochi.SysPrefix) {
			b.server.Topics.RetainMessage(packets.Packet{TopicName: topic})
		}
	}
}

// restore puts what the file keeps into the library.
func (b *Broker) restore() error {
	all, err := b.store.load()
	if err != nil {
		return err
	}
	if all.bad > 0 {
		b.log.Error("mqtt broker: damaged records in the data file were left out", "records", all.bad)
	}
	for _, m := range all.expiring {
		b.expiries.set(m.Topic, m.Expires)
	}
	for id, s := range all.sessions {
		if user := s.client.User; b.users != nil && b.users[user] == nil {
			// Nobody else may have it, and it would keep its client out.
			b.store.enqueue(delSession(id))
			b.log.Warn("mqtt broker: session ended: its user is none any more", "client", id, "user", user, "queued", len(s.queued))
			continue
		}
		b.restoreSession(s)
	}
	return nil
}

// restoreSession makes a client of a session that is away. Its time to live begins anew.
func (b *Broker) restoreSession(s *savedSession) {
	c := s.client
	cl := b.server.NewClient(nil, b.ln.ID(), c.ID, false)
	cl.Properties.Username, cl.Properties.ProtocolVersion = []byte(c.User), c.Version
	cl.Properties.Props.SessionExpiryInterval = c.Expiry
	cl.Properties.Props.ReceiveMaximum, cl.Properties.Props.MaximumPacketSize = c.ReceiveMaximum, c.MaxPacket
	cl.Stop(packets.ErrServerShuttingDown)
	b.server.Clients.Add(cl)
	for _, sub := range s.subs {
		ps := packets.Subscription{Filter: sub.Filter, Qos: sub.QoS, Identifier: sub.ID, NoLocal: sub.NoLocal,
			RetainAsPublished: sub.RetainAsPublished, RetainHandling: sub.RetainHandling}
		b.server.Topics.Subscribe(c.ID, ps)
		b.subscribed(c.ID, ps)
		cl.State.Subscriptions.Add(sub.Filter, ps)
	}
	sess := b.openSession(c.ID)
	sess.kept, sess.leftAt = true, b.opts.elapsed()
	for _, id := range s.incoming {
		sess.incoming[id] = struct{}{}
	}
	sess.restore(s.queued)
}

// openSession finds or makes the session of a client id; findSession may find none.
func (b *Broker) openSession(id string) *session {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := b.sessions[id]
	if s == nil {
		s = newSession(id, b)
		b.sessions[id] = s
	}
	return s
}

func (b *Broker) findSession(id string) *session {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.sessions[id]
}

// dropSession forgets a session, in memory and in the file.
func (b *Broker) dropSession(id string) {
	b.mu.Lock()
	s := b.sessions[id]
	delete(b.sessions, id)
	b.mu.Unlock()
	if s == nil {
		return
	}
	s.end()
	if s.isKept() {
		b.store.enqueue(delSession(id))
	}
}

// endSession forgets a session, and what the library has of it.
func (b *Broker) endSession(cl *mochi.Client) {
	b.server.UnsubscribeClient(cl)
	if now, ok := b.server.Clients.Get(cl.ID); ok && now == cl {
		b.server.Clients.Delete(cl.ID)
	}
	b.dropSession(cl.ID)
}

// adopt starts a connection's goroutine, unless there are too many.
func (b *Broker) adopt(nc net.Conn, establish listeners.EstablishFn) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.conns) >= b.opts.Limits.MaxClients+halfOpen || b.closing.Load() {
		return false
	}
	if tc, ok := nc.(*net.TCPConn); ok {
		_ = tc.SetKeepAliveConfig(net.KeepAliveConfig{Enable: true, Idle: time.Minute, Interval: 15 * time.Second, Count: 4})
	}
	c := newConn(b, nc)
	b.conns[c] = struct{}{}
	b.wg.Go(func() { b.serve(c, establish) })
	return true
}

// serve is a connection's life.
func (b *Broker) serve(c *conn, establish listeners.EstablishFn) {
	remote := c.Conn.RemoteAddr().String()
	err := c.run(establish)
	c.arrived()
	c.doneReading()
	c.endSequence()
	reason := c.why(err)
	c.endDelivery()
	c.settle()
	<-c.written
	c.giveBack()
	b.mu.Lock()
	delete(b.conns, c)
	if c.settled && b.connected[c.cl.ID] == c {
		delete(b.connected, c.cl.ID)
	}
	b.mu.Unlock()
	close(c.done)
	switch {
	case !c.settled:
		b.stats.connectsRefused.Add(1)
		host, _, _ := net.SplitHostPort(remote)
		about := "connection" // what reading said has ports in it
		if own := c.why(nil); own != nil {
			about = own.Error()
		}
		b.complain(slog.LevelWarn, "connection ended before its client was admitted", host, about, "remote", remote, "reason", reason)
	case c.clean:
		b.log.Info("mqtt broker: client left", "client", c.cl.ID, "remote", remote)
	default:
		b.log.Warn("mqtt broker: client lost", "client", c.cl.ID, "remote", remote, "reason", reason)
	}
}

// run reads until the connection ends. The library's decoders panic on some packets; that costs the connection.
func (c *conn) run(establish listeners.EstablishFn) (err error) {
	defer func() {
		if r := recover(); r != nil {
			c.b.stats.panics.Add(1)
			c.b.complain(slog.LevelError, "panic in a connection", "", fmt.Sprint(r), "panic", r, "stack", string(debug.Stack()))
			err = fmt.Errorf("panic: %v", r)
			c.refuse(packets.ErrImplementationSpecificError, err)
		}
	}()
	nc, err := c.b.handshake(c.Conn)
	if err != nil {
		return err
	}
	c.mu.Lock()
	c.Conn = nc
	c.mu.Unlock()
	return establish(c.b.ln.ID(), c)
}

// settle ends or keeps the session, and publishes the will. The library does so too, but not on every way out.
func (c *conn) settle() {
	if !c.settled {
		return
	}
	if c.session == nil { // a panic on the way in
		c.session = c.b.openSession(c.cl.ID)
	}
	c.session.left(c.b.moment())
	expiry := c.b.sessionExpiry(c.cl)
	if expiry > 0 {
		c.b.store.enqueue(putClient(c.b.clientRecord(c.cl)))
	} else {
		c.b.endSession(c.cl)
	}
	c.sendWill(expiry)
}

// Addr is where the broker listens.
func (b *Broker) Addr() net.Addr { return b.ln.ln.Addr() }

// Publish publishes a message of the daemon's own, which its handler does not see. It returns when the message is retained,
// if it is to be, and queued for kept sessions, durably both. ctx is looked at before that, not during.
func (b *Broker) Publish(ctx context.Context, topic string, payload []byte, qos byte, retain bool) error {
	return b.publish(ctx, mqtt.Publication{Topic: topic, Payload: payload, QoS: qos, Retain: retain})
}

func (b *Broker) publish(ctx context.Context, p mqtt.Publication) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if p.QoS > 2 {
		return fmt.Errorf("mqtt broker: publish on %q: QoS %d: use 0, 1 or 2", p.Topic, p.QoS)
	}
	if err := mqtt.ValidTopic(p.Topic); err != nil {
		return fmt.Errorf("mqtt broker: publish: %w", err)
	}
	pk := packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Publish, Qos: p.QoS, Retain: p.Retain},
		TopicName: p.Topic, Payload: slices.Clone(p.Payload)}
	pk.Properties.MessageExpiryInterval = p.ExpirySeconds()
	if err := b.accept(ctx, incoming{pk: pk, own: true}); err != nil {
		return fmt.Errorf("mqtt broker: publish on %q: %w", p.Topic, err)
	}
	return nil
}

// Close ends all connections, without their wills, waits for the messages that are being handled, and closes the file. What was
// published before is sent to the connected subscribers first, if they take it within about a second. After Limits.CloseTimeout the handler's context is cancelled. Close may be called more than once.
func (b *Broker) Close() error {
	b.once.Do(func() { b.err = b.close() })
	return b.err
}

// close is Close, once.
func (b *Broker) close() error {
	close(b.closed)
	b.mu.Lock()
	b.closing.Store(true)
	conns := make([]*conn, 0, len(b.conns))
	for c := range b.conns {
		conns = append(conns, c)
	}
	for id, w := range b.delayed {
		close(w.off)
		delete(b.delayed, id)
	}
	b.mu.Unlock()
	err := b.ln.ln.Close()
	<-b.ln.ended
	for _, c := range conns {
		c.goodbye()
	}
	patience := time.AfterFunc(b.opts.Limits.CloseTimeout, b.cancel)
	defer patience.Stop()
	b.wg.Wait()
	b.cancel()
	err = errors.Join(err, b.server.Close(), b.store.close())
	if err != nil {
		return fmt.Errorf("mqtt broker: close: %w", err)
	}
	return nil
}

// goodbye ends a connection because the broker closes. It runs on another goroutine than the connection's, and so leaves the
// library's client alone: reading ends with the connection.
func (c *conn) goodbye() {
	c.mu.Lock()
	if c.reason == nil {
		c.reason = errors.New("the broker is closing")
	}
	c.mu.Unlock()
	if c.version.Load() >= 5 {
		_, _ = c.Write(disconnect(packets.ErrServerShuttingDown.Code))
	}
	_ = c.Close()
}
