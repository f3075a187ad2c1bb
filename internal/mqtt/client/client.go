// Package client takes messages in from a broker that is somebody else's, and publishes to it: MQTT 5 over TCP or TLS.
//
// # What it promises
//
// It subscribes at QoS 1 with a session that the broker keeps, and acknowledges each message only after the handler took it,
// in order. When the handler fails, neither that message nor one behind it is acknowledged, and the connection is closed; the broker then
// sends them again on the next connection, which comes after a pause. A message that was not acknowledged may thus be
// handled again. A handler that panics has failed: that is logged with its stack, and the process goes on. Like the embedded broker, the
// client never gives up a message by itself: one that the handler never takes comes again after every pause, and holds up those behind
// it. Messages that their publisher sends at QoS 0, and what exceeds the broker's own queue, can be lost while no
// connection is there; the retained messages come again at every connection, marked as such.
//
// # Ordering
//
// The handler is called by one goroutine, in the order in which the broker sends. Of a handler that is an [mqtt.Sequencer] up to 64
// messages are under way at once, if they are here already: a lone message waits for no other.
//
// # Publishing
//
// [Client.Publish] publishes over the connection that there is, or fails: nothing is kept for a later one, and nothing is
// sent a second time, since a command that comes late is worse than none. It fails in three ways. [mqtt.ErrNotConnected] and
// all errors but the next one say that the broker has not got the message; [mqtt.ErrUnknownOutcome] says that it may have. Messages
// go out in the order in which they are handed over, by a goroutine that no handler holds up. A handler may publish with QoS 0.
// With QoS 1 it would wait for an acknowledgement that is read only after it has returned: that is for other goroutines.
//
// # Topics
//
// [Client.Subscribe] adds topics to the handler's filters, in this connection and in every later one, in packets of up to
// 100 topics of which each waits for the answer to the one before. A topic that the broker refuses is logged, counted and tried
// again at the next connection; a filter of the handler that it refuses ends the connection. The broker's session remembers
// topics of an earlier process, so that a handler may get messages that nobody asked for this time.
//
// What is retained on a topic that is subscribed to already comes again, since the topic is subscribed to again; within a
// short time that is done once. A topic that a filter of the handler covers is subscribed to just until the broker has answered,
// and only when it is asked for within a connection. A message that is published in that moment may come twice. What the end
// of a connection leaves subscribed to is unsubscribed from at the next one.
//
// # Memory
//
// One message is held at a time, or as many as came with 32 KiB; the network holds up the rest, and the broker is told how much it may send ahead. Up to
// 1,000 messages wait for their acknowledgements. Up to 4 MiB of topics are remembered, and up to 4 MiB wait to be subscribed to
// again, each counted with 64 bytes more than it has.
//
// # Testing
//
// The tests run against the embedded broker, and against mosquitto where it is installed.
package client

import (
	"context"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/eclipse/paho.golang/packets"
)

// Client is one that [New] made. Run is called once.
type Client struct {
	opts    Options
	filters []string

	more chan struct{} // says that there are more topics

	mu     sync.Mutex // guards what follows
	status Status
	conn   *conn // nil while there is none
	topics topics
}

// Status is a snapshot for metrics.
type Status struct {
	// Connected since Since; else not connected since then.
	Connected bool
	Since     time.Time
	// SessionPresent says that the broker knew the session when the connection was made.
	SessionPresent bool
	// Connects counts connections, Attempts also those that failed.
	Connects, Attempts int64
	// Received counts messages, Acked those that were acknowledged (QoS 1 and 2), Failed those that the handler did not take.
	Received, Acked, Failed int64
	// Published counts messages that went out: that were acknowledged, where their QoS is 1. PublishFailed are those that did
	// not, or of which that is not known.
	Published, PublishFailed int64
	// Topics is how many topics Subscribe was given that are none of the handler's filters. TopicsRefused counts the broker's
	// refusals of them, TopicsLeftOut those that cannot be, or for which there was no room.
	Topics                       int
	TopicsRefused, TopicsLeftOut int64
	// LastError is why the last connection ended or could not be made; empty when none did.
	LastError string
}

// New checks the options. It does not connect.
func New(opts Options) (*Client, error) {
	opts, err := opts.prepare()
	if err != nil {
		return nil, err
	}
	return &Client{opts: opts, filters: slices.Clone(opts.Handler.Filters()), more: make(chan struct{}, 1)}, nil
}

// Run connects, and connects again whenever the connection ends, until ctx is done; it returns ctx's error then. A handler's
// call under way gets the same ctx.
func Run(ctx context.Context, opts Options) error {
	c, err := New(opts)
	if err != nil {
		return err
	}
	return c.Run(ctx)
}

// Run is [Run] for a client whose status somebody reads.
func (c *Client) Run(ctx context.Context) error {
	backoff := c.opts.MinBackoff
	for {
		acked := c.Status().Acked
		began := time.Now()
		err := c.connection(ctx)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if c.Status().Acked > acked || time.Since(began) > c.opts.MaxBackoff {
			backoff = c.opts.MinBackoff
		}
		pause := backoff/2 + rand.N(backoff/2+1)
		c.opts.Logger.Warn("mqtt client: not connected", "broker", c.opts.URL, "error", err, "retry_in", pause)
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return ctx.Err()
		}
		backoff = min(2*backoff, c.opts.MaxBackoff)
	}
}

// Status takes a snapshot.
func (c *Client) Status() Status {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.status
	s.Topics = len(c.topics.list)
	return s
}

// Connected reports whether there is a connection, so that Publish makes sense.
func (c *Client) Connected() bool {
	n := c.current()
	if n == nil {
		return false
	}
	select {
	case <-n.ended:
		return false
	default:
		return true
	}
}

// current is the connection that there is, or nil.
func (c *Client) current() *conn {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.conn
}

// change changes the status.
func (c *Client) change(f func(*Status)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f(&c.status)
}

// connection is one connection's life; its error is never nil.
func (c *Client) connection(ctx context.Context) (err error) {
	c.change(func(s *Status) { s.Attempts++ })
	defer func() {
		if err != nil { // it is nil in a panic, which is not to be hidden
			c.change(func(s *Status) { s.LastError = err.Error() })
		}
	}()
	link, err := c.opts.Link(ctx, c.hello(), c.opts.MaxPacket)
	if err != nil {
		return err
	}
	n := newConn(link)
	c.begun(n)
	var wg sync.WaitGroup
	live, end := context.WithCancel(ctx)
	stop := context.AfterFunc(live, link.Interrupt)
	wg.Go(func() { ping(live, link, keepAlive(c.opts.KeepAlive, link.Hail)) })
	wg.Go(n.write)
	wg.Go(func() { c.subscribeTopics(live, n) })
	err = c.converse(ctx, n)
	end()
	stop()
	link.Interrupt() // bounds what is being written
	c.over(n)
	wg.Wait()
	if ctx.Err() != nil {
		// With its will: the broker then says "offline" in the client's name.
		_ = link.Write(&packets.Disconnect{ReasonCode: packets.DisconnectDisconnectWithWillMessage, Properties: &packets.Properties{}})
	}
	_ = link.Close()
	return err
}

// begun notes a connection that was made.
func (c *Client) begun(n *conn) {
	present := n.link.Hail.SessionPresent
	c.change(func(s *Status) {
		s.Connected, s.Since, s.SessionPresent = true, c.opts.Now(), present
		s.Connects++
		c.conn = n
		c.topics.restart(present)
	})
	c.opts.Logger.Info("mqtt client: connected", "broker", c.opts.URL, "client", c.opts.ClientID, "session_present", present)
}

// over notes that it has ended, and lets go whoever waits for something of it.
func (c *Client) over(n *conn) {
	c.change(func(s *Status) {
		s.Connected, s.Since = false, c.opts.Now()
		c.conn = nil
	})
	n.end()
}

// offline is what is said of who is not there.
const offline = "offline"

// hello is the CONNECT.
func (c *Client) hello() *packets.Connect {
	expiry := uint32(c.opts.SessionExpiry / time.Second)
	ahead := c.opts.ReceiveMaximum
	return &packets.Connect{
		ClientID:   c.opts.ClientID,
		KeepAlive:  uint16(c.opts.KeepAlive / time.Second),
		CleanStart: false,
		Properties: &packets.Properties{SessionExpiryInterval: &expiry, ReceiveMaximum: &ahead},
		WillFlag:   true, WillQOS: 1, WillRetain: true, WillTopic: c.opts.StatusTopic, WillMessage: []byte(offline),
		WillProperties: &packets.Properties{},
	}
}

// keepAlive is the client's, unless the broker has another.
func keepAlive(own time.Duration, hail *packets.Connack) time.Duration {
	if k := hail.Properties.ServerKeepAlive; k != nil && *k > 0 {
		return time.Duration(*k) * time.Second
	}
	return own
}

// ping keeps the connection, also while the handler is at work. Its own errors are the reader's to notice.
func ping(ctx context.Context, link *Link, every time.Duration) {
	t := time.NewTicker(every / 2)
	defer t.Stop()
	for {
		select {
		case <-t.C:
			if err := link.Write(&packets.Pingreq{}); err != nil {
				link.Interrupt()
				return
			}
		case <-ctx.Done():
			return
		}
	}
}
