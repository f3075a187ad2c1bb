package broker

import (
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	mochi "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"
)

// Sizes of a connection.
const (
	writeChunk = 64 << 10
	closeGrace = time.Second // for what is still to be written when a connection ends
	largeBytes = 64 << 10    // of a packet that takes its room of Limits.MaxIncomingBytes
	fewBytes   = 1 << 20     // unsent, with which a client is not disconnected because of others
)

// conn is one connection, under the library's feet: it bounds what is read before the library allocates for it, and takes
// what the library writes without ever blocking, since the library writes under the lock that publishers need. Its own
// goroutine writes to the network. The library's *Client finds its conn in Net.Conn.
type conn struct {
	net.Conn
	b    *Broker
	done chan struct{} // closed when all of the connection's goroutines have ended and its session is settled

	// Of the reading goroutine.
	frame   frame
	taken   int       // of Broker.incoming
	due     time.Time // when the packet that has begun must be here; zero between packets
	read    time.Time // when reading has last returned
	cl      *mochi.Client
	session *session
	will    *will
	clean   bool  // the client said goodbye: no will
	before  *conn // the client's other connection, which is to end first
	shorter bool  // its session is kept for less long than it wanted
	settled bool  // its session was established: there is something to settle when it ends

	sequence sequence
	deadline time.Time // the library's, for the keepalive

	refusals    refusals               // of the SUBSCRIBE under way
	willRetain  bool                   // what the library must not know of the will
	willPayload []byte                 // neither
	arriving    bool                   // it holds Broker.delivery
	reading     bool                   // it holds Broker.topics for reading
	asked       []bool                 // of the filters of a SUBSCRIBE: whether it is to bring what is retained
	granted     []packets.Subscription // those of them that were granted

	delivering atomic.Bool    // somebody delivers what is retained
	deliverers sync.WaitGroup // the goroutine that does
	piece      sync.Mutex     // held while some of it is handed over
	room       chan struct{}  // has one when the client took something
	ending     chan struct{}  // closed with the connection

	version atomic.Int32            // 0 before CONNECT
	feeder  atomic.Pointer[session] // whose queue it takes

	mu      sync.Mutex // guards what follows; last in the lock order
	wake    *sync.Cond
	pending []byte
	writing int
	starved bool // the queue waits until less is unsent
	closed  bool
	cutoff  time.Time // of what is still to be written, once it is closed
	reason  error     // why it was closed, the first one
	written chan struct{}
}

// newConn starts the writing goroutine, which ends after close.
func newConn(b *Broker, nc net.Conn) *conn {
	c := &conn{Conn: nc, b: b, done: make(chan struct{}), written: make(chan struct{}),
		room: make(chan struct{}, 1), ending: make(chan struct{})}
	c.wake = sync.NewCond(&c.mu)
	go c.writeLoop()
	return c
}

// connOf finds the connection of a library's client: nil for the daemon's own and for one that is away since the start.
func connOf(cl *mochi.Client) *conn {
	c, _ := cl.Net.Conn.(*conn)
	return c
}

// Read hands on what came, after looking at what the packets will cost.
func (c *conn) Read(p []byte) (int, error) {
	if err := c.finishBeforeRead(); err != nil {
		return 0, err
	}
	if c.frame.left == 0 {
		c.giveBack() // the library asks for more: it has done with what came before
	}
	if !c.due.IsZero() { // what was done since with what came before is not the client's time
		c.due = c.due.Add(time.Since(c.read))
	}
	c.hurry()
	n, err := c.Conn.Read(p)
	c.b.stats.bytesIn.Add(int64(n))
	began := c.frame.packets
	if ferr := c.frame.check(p[:n], &c.b.opts.Limits); ferr != nil {
		v := violation{packets.ErrPacketTooLarge, ferr}
		errors.As(ferr, &v)
		c.refuse(v.code, v.reason)
		return 0, ferr
	}
	switch {
	case !c.frame.inside():
		c.due = time.Time{}
	case c.due.IsZero() || began != c.frame.packets:
		c.due = time.Now().Add(c.b.opts.Limits.ConnectTimeout + time.Duration(c.frame.left>>16)*time.Second)
	}
	c.read = time.Now()
	if c.frame.left > largeBytes && c.taken == 0 {
		if err := c.take(c.frame.left); err != nil {
			c.refuse(packets.ErrQuotaExceeded, err)
			return 0, err
		}
	}
	return n, err
}

// take takes room for a large packet, before the library allocates for it; giveBack gives it back.
func (c *conn) take(n int) error {
	limit := c.b.opts.Limits.MaxIncomingBytes
	if held := c.b.incoming.Add(int64(n)); held > int64(limit) {
		c.b.incoming.Add(-int64(n))
		return fmt.Errorf("a packet of %d bytes, and clients are sending so many large ones that they would have more than the "+
			"%d bytes that there is room for (mqtt.limits.max_incoming_bytes)", n, limit)
	}
	c.taken = n
	return nil
}

func (c *conn) giveBack() {
	c.b.incoming.Add(-int64(c.taken))
	c.taken = 0
}

// hurry sets the deadline of a packet that has begun: the library's own is the keepalive, which may be never. The first
// packet has the one of the handshake.
func (c *conn) hurry() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.due.IsZero() && c.frame.packets > 0 && c.version.Load() > 0 && !c.closed {
		_ = c.SetReadDeadline(c.due) // reading tells if the connection has failed
	}
}

// Write takes a whole packet, or several, and never blocks.
func (c *conn) Write(p []byte) (int, error) {
	if len(p) > 0 && p[0] == packets.Disconnect<<4 && c.version.Load() < 5 {
		return len(p), nil // before MQTT 5 a server has no DISCONNECT
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return 0, net.ErrClosed
	}
	l, all := c.b.opts.Limits, c.b.backlog.Load()+int64(len(p))
	if waiting := len(c.pending) + c.writing; waiting+len(p) > l.MaxUnsent || waiting > fewBytes && all > int64(l.MaxBacklogBytes) {
		c.b.stats.slow.Add(1)
		c.closeLocked(fmt.Errorf("%d bytes wait for it and it reads too slowly", waiting))
		return 0, net.ErrClosed
	}
	c.pending = append(c.pending, p...)
	c.b.backlog.Add(int64(len(p)))
	c.wake.Signal()
	return len(p), nil
}

// hasRoom says that a message from the queue may be written, which takes up to n bytes. After no, the queue is told when it may ask again.
func (c *conn) hasRoom(n int) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	most, waiting := c.b.opts.Limits.MaxUnsent, len(c.pending)+c.writing
	c.starved = !c.closed && waiting > 0 && (waiting > min(fewBytes, most/2) || waiting+n > most)
	return !c.starved
}

// writeLoop writes until the connection is closed and nothing is left.
func (c *conn) writeLoop() {
	defer close(c.written)
	defer c.closeNet()
	for {
		c.mu.Lock()
		for len(c.pending) == 0 && !c.closed {
			c.wake.Wait()
		}
		if len(c.pending) == 0 {
			c.mu.Unlock()
			return
		}
		out := c.pending
		c.pending, c.writing = nil, len(out)
		c.mu.Unlock()
		err := c.send(out)
		c.mu.Lock()
		c.b.backlog.Add(-int64(c.writing))
		c.writing = 0
		c.moreRoom()
		if err != nil {
			c.closeLocked(fmt.Errorf("write: %w", err))
			c.b.backlog.Add(-int64(len(c.pending)))
			c.pending = nil
		}
		starved := c.starved
		c.starved = false
		c.mu.Unlock()
		if s := c.feeder.Load(); s != nil && starved {
			s.feed(c) // takes session.mu, which comes before c.mu
		}
	}
}

// closeNet closes the network's connection, which becomes another one with the TLS handshake.
func (c *conn) closeNet() {
	c.mu.Lock()
	nc := c.Conn
	c.mu.Unlock()
	_ = nc.Close()
}

// send writes piece by piece, so that a client must keep taking some.
func (c *conn) send(out []byte) error {
	for len(out) > 0 {
		n := min(len(out), writeChunk)
		if err := c.hurryWrite(); err != nil {
			return err
		}
		if _, err := c.Conn.Write(out[:n]); err != nil {
			return err
		}
		c.b.stats.bytesOut.Add(int64(n))
		out = out[n:]
	}
	return nil
}

// hurryWrite sets the deadline of the next piece. Once the connection is closed all of them have one and the same.
func (c *conn) hurryWrite() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return c.SetWriteDeadline(c.cutoff)
	}
	return c.SetWriteDeadline(time.Now().Add(c.b.opts.Limits.WriteTimeout))
}

// SetDeadline is called by the library for the keepalive, and concerns reading only. That has ended with a closed connection.
func (c *conn) SetDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.deadline = t
	if c.closed {
		return nil
	}
	return c.SetReadDeadline(t)
}

// Close is called by the library and ends reading at once; what was written before it still goes out for a moment.
func (c *conn) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closeLocked(nil)
	return nil
}

// closeLocked closes with a reason. The first reason stays.
func (c *conn) closeLocked(reason error) {
	if c.reason == nil {
		c.reason = reason
	}
	if c.closed {
		return
	}
	c.closed = true
	close(c.ending)
	c.wake.Signal()
	past := time.Unix(1, 0)
	_ = c.SetReadDeadline(past)
	c.cutoff = time.Now().Add(closeGrace)
	_ = c.SetWriteDeadline(c.cutoff)
}

// refuse ends the connection for a reason that is logged, and that an MQTT 5 client is told.
func (c *conn) refuse(code packets.Code, reason error) {
	c.mu.Lock()
	if c.reason == nil {
		c.reason = reason
	}
	c.mu.Unlock()
	if c.version.Load() >= 5 {
		_, _ = c.Write(disconnect(code.Code))
	}
	_ = c.Close()
	if c.cl != nil {
		c.cl.Stop(code)
	}
}

// why is the reason that the connection was closed for, or what reading said.
func (c *conn) why(err error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.reason != nil {
		return c.reason
	}
	return err
}

// disconnect is the MQTT 5 DISCONNECT packet.
func disconnect(code byte) []byte { return []byte{packets.Disconnect << 4, 2, code, 0} }

// ack writes PUBACK, PUBREC or PUBCOMP. Code 0 is the short form that every version has.
func (c *conn) ack(kind byte, id uint16, code byte) error {
	b := []byte{kind << 4, 2, byte(id >> 8), byte(id)}
	if code != 0 {
		b = append(b, code)
		b[1]++
	}
	if _, err := c.Write(b); err != nil {
		return fmt.Errorf("acknowledge: %w", err)
	}
	return nil
}
