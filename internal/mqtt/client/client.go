// Package client takes messages in from a broker that is somebody else's: MQTT 5 over TCP or TLS.
//
// # What it promises
//
// It subscribes at QoS 1 with a session that the broker keeps, and acknowledges each message only after the handler took it,
// in order, one at a time. When the handler fails, nothing is acknowledged and the connection is closed; the broker then
// sends the message again on the next connection, which comes after a pause. A message that was not acknowledged may thus be
// handled again. Messages that their publisher sends at QoS 0, and what exceeds the broker's own queue, can be lost while no
// connection is there; the retained messages come again at every connection, marked as such.
//
// # Ordering
//
// The handler is called by one goroutine, in the order in which the broker sends.
//
// # Memory
//
// One message is held at a time; the network holds up the rest, and the broker is told how much it may send ahead.
//
// # Testing
//
// The tests run against the embedded broker, and against mosquitto where it is installed.
package client

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"time"

	"github.com/eclipse/paho.golang/packets"

	"github.com/statehouse/statehouse/internal/mqtt"
)

// Client is one that [New] made. Run is called once.
type Client struct {
	opts    Options
	filters []string

	mu     sync.Mutex // guards what follows
	status Status
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
	// LastError is why the last connection ended or could not be made; empty when none did.
	LastError string
}

// New checks the options. It does not connect.
func New(opts Options) (*Client, error) {
	opts, err := opts.prepare()
	if err != nil {
		return nil, err
	}
	return &Client{opts: opts, filters: append([]string(nil), opts.Handler.Filters()...)}, nil
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
	return c.status
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
	defer func() { c.change(func(s *Status) { s.LastError = err.Error() }) }()
	link, err := c.opts.Link(ctx, c.hello(), c.opts.MaxPacket)
	if err != nil {
		return err
	}
	present := link.Hail.SessionPresent
	c.change(func(s *Status) {
		s.Connected, s.Since, s.SessionPresent = true, c.opts.Now(), present
		s.Connects++
	})
	c.opts.Logger.Info("mqtt client: connected", "broker", c.opts.URL, "client", c.opts.ClientID, "session_present", present)
	var wg sync.WaitGroup
	live, end := context.WithCancel(ctx)
	stop := context.AfterFunc(live, link.Interrupt)
	wg.Go(func() { c.ping(live, link, keepAlive(c.opts.KeepAlive, link.Hail)) })
	err = c.converse(ctx, link)
	end()
	stop()
	wg.Wait()
	if ctx.Err() != nil {
		// With its will: the broker then says "offline" in the client's name.
		_ = link.Write(&packets.Disconnect{ReasonCode: packets.DisconnectDisconnectWithWillMessage, Properties: &packets.Properties{}})
	}
	_ = link.Close()
	c.change(func(s *Status) { s.Connected, s.Since = false, c.opts.Now() })
	return err
}

// hello is the CONNECT.
func (c *Client) hello() *packets.Connect {
	expiry := uint32(c.opts.SessionExpiry / time.Second)
	ahead := c.opts.ReceiveMaximum
	return &packets.Connect{
		ClientID:   c.opts.ClientID,
		KeepAlive:  uint16(c.opts.KeepAlive / time.Second),
		CleanStart: false,
		Properties: &packets.Properties{SessionExpiryInterval: &expiry, ReceiveMaximum: &ahead},
		WillFlag:   true, WillQOS: 1, WillRetain: true, WillTopic: c.opts.StatusTopic, WillMessage: []byte("offline"),
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
func (c *Client) ping(ctx context.Context, link *Link, every time.Duration) {
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

// The packet ids of the only two packets that the client sends with one.
const (
	idSubscribe = 1
	idBirth     = 2
)

// converse subscribes, says "online", and takes messages until something ends it.
func (c *Client) converse(ctx context.Context, link *Link) error {
	sub := &packets.Subscribe{PacketID: idSubscribe, Properties: &packets.Properties{}}
	for _, f := range c.filters {
		// Not retain-as-published: with it a stored message cannot be told from one that was just published with the retain
		// flag. And the stored ones at every connection (retain handling 0): what was published at QoS 0 while nobody was
		// here is nowhere else.
		sub.Subscriptions = append(sub.Subscriptions, packets.SubOptions{Topic: f, QoS: 1})
	}
	if err := link.Write(sub); err != nil {
		return fmt.Errorf("mqtt client: subscribe: %w", err)
	}
	wait := keepAlive(c.opts.KeepAlive, link.Hail) * 3 / 2
	taken := map[uint16]bool{} // QoS 2 messages between PUBREC and PUBREL, should the broker send any
	for {
		pk, err := link.Read(wait)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			return fmt.Errorf("mqtt client: read: %w", err)
		}
		switch p := pk.Content.(type) {
		case *packets.Publish:
			err = c.take(ctx, link, p, taken)
		case *packets.Pubrel:
			delete(taken, p.PacketID)
			err = link.Write(&packets.Pubcomp{PacketID: p.PacketID, Properties: &packets.Properties{}})
		case *packets.Suback:
			err = c.subscribed(link, p)
		case *packets.Puback:
			if p.ReasonCode >= 0x80 {
				c.opts.Logger.Warn("mqtt client: the broker refused the status message", "topic", c.opts.StatusTopic, "code", p.ReasonCode, "reason", p.Properties.ReasonString)
			}
		case *packets.Disconnect:
			return goodbye(p)
		case *packets.Pingresp:
		default:
			return fmt.Errorf("mqtt client: the broker sent a packet of type %d", pk.Type)
		}
		if err != nil {
			return err
		}
	}
}

// goodbye is the broker's, as an error.
func goodbye(p *packets.Disconnect) error {
	reason := p.Properties.ReasonString
	if p.ReasonCode == packets.DisconnectSessionTakenOver {
		return errors.New("mqtt client: another client connected with the same client id; give each its own (mqtt.broker.client_id)")
	}
	return errors.New(strings.TrimSpace(fmt.Sprintf("mqtt client: the broker ended the connection (code %#x) %s", p.ReasonCode, reason)))
}

// subscribed looks at the broker's answer, and then says "online".
func (c *Client) subscribed(link *Link, p *packets.Suback) error {
	if p.PacketID != idSubscribe || len(p.Reasons) != len(c.filters) {
		return errors.New("mqtt client: the broker's SUBACK does not fit the SUBSCRIBE")
	}
	for i, code := range p.Reasons {
		switch {
		case code >= 0x80:
			return fmt.Errorf("mqtt client: the broker refused the subscription to %q (code %#x) %s: allow it there", c.filters[i], code, p.Properties.ReasonString)
		case code == 0:
			c.opts.Logger.Warn("mqtt client: the broker grants QoS 0 only: messages can be lost", "filter", c.filters[i])
		}
	}
	birth := &packets.Publish{PacketID: idBirth, QoS: 1, Retain: true, Topic: c.opts.StatusTopic, Payload: []byte("online"), Properties: &packets.Properties{}}
	if most := link.Hail.Properties.MaximumQOS; most != nil && *most == 0 {
		birth.QoS, birth.PacketID = 0, 0
	}
	if err := link.Write(birth); err != nil {
		return fmt.Errorf("mqtt client: publish on %q: %w", c.opts.StatusTopic, err)
	}
	return nil
}

// take hands a message to the handler, and acknowledges it when that returned nil.
func (c *Client) take(ctx context.Context, link *Link, p *packets.Publish, taken map[uint16]bool) error {
	c.change(func(s *Status) { s.Received++ })
	if err := mqtt.ValidTopic(p.Topic); err != nil {
		return fmt.Errorf("mqtt client: the broker sent: %w", err)
	}
	if p.QoS != 2 || !taken[p.PacketID] {
		m := mqtt.Message{Topic: p.Topic, Payload: p.Payload, QoS: p.QoS, Retained: p.Retain, ReceivedAt: c.opts.Now()}
		if err := c.opts.Handler.Handle(ctx, m); err != nil {
			c.change(func(s *Status) { s.Failed++ })
			return fmt.Errorf("mqtt client: message on %q not accepted: %w", p.Topic, err)
		}
	}
	var err error
	switch p.QoS {
	case 0:
		return nil
	case 1:
		err = link.Write(&packets.Puback{PacketID: p.PacketID, Properties: &packets.Properties{}})
	default:
		taken[p.PacketID] = true
		err = link.Write(&packets.Pubrec{PacketID: p.PacketID, Properties: &packets.Properties{}})
	}
	if err != nil {
		return fmt.Errorf("mqtt client: acknowledge: %w", err)
	}
	c.change(func(s *Status) { s.Acked++ })
	return nil
}
