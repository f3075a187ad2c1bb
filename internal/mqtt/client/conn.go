package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"

	"github.com/eclipse/paho.golang/packets"

	"github.com/statehouse/statehouse/internal/mqtt"
)

// maxUnderWay is how many messages to the broker may wait for their acknowledgements, whatever the broker takes.
const maxUnderWay = 1000

// conn is one connection, from its CONNACK to its end, and what is under way on it to the broker. The writer writes what is
// published and subscribed; what came in is acknowledged by whoever reads.
type conn struct {
	link    *Link
	out     chan outgoing // to the writer, who takes one after another
	room    chan struct{} // holds one for each message that waits for its acknowledgement
	granted chan struct{} // closed when the handler's filters are in force
	ended   chan struct{} // closed when nobody will answer any more
	end     func()        // closes ended

	// What the broker takes.
	maxQoS    byte
	retains   bool
	maxPacket int

	mu      sync.Mutex // guards what follows
	waiting map[uint16]*request
	lastID  uint16
}

// outgoing is a packet on its way to the writer. done has room for what becomes of it.
type outgoing struct {
	packet interface {
		WriteTo(io.Writer) (int64, error)
	}
	done chan error
}

// request is a packet that waits for its answer.
type request struct {
	kind    byte        // PUBLISH, SUBSCRIBE or UNSUBSCRIBE
	filters []string    // a PUBLISH has none
	answer  chan answer // has room for it
}

// answer is what the broker said: a code for a message, or one for each filter.
type answer struct {
	codes  []byte
	reason string
}

// newConn is a connection that was just made.
func newConn(link *Link) *conn {
	n := &conn{
		link: link, out: make(chan outgoing), granted: make(chan struct{}), ended: make(chan struct{}),
		maxQoS: 1, retains: true, maxPacket: protocolMax, waiting: map[uint16]*request{},
	}
	n.end = sync.OnceFunc(func() { close(n.ended) })
	p, underWay := link.Hail.Properties, maxUnderWay
	if most := p.ReceiveMaximum; most != nil && *most > 0 { // 0 is no value that it may have
		underWay = min(underWay, int(*most))
	}
	n.room = make(chan struct{}, underWay)
	if p.MaximumQOS != nil {
		n.maxQoS = min(n.maxQoS, *p.MaximumQOS)
	}
	if p.RetainAvailable != nil {
		n.retains = *p.RetainAvailable != 0
	}
	if most := p.MaximumPacketSize; most != nil && *most > 0 && *most < protocolMax {
		n.maxPacket = int(*most)
	}
	return n
}

// write is the writer.
func (n *conn) write() {
	for {
		select {
		case o := <-n.out:
			err := n.link.Write(o.packet)
			if err != nil { // half a packet may have gone out
				n.end()
				n.link.Interrupt()
			}
			o.done <- err
		case <-n.ended:
			return
		}
	}
}

// send has a packet written. taken says that the writer has it, so that it may have gone out whatever the error is.
func (n *conn) send(ctx context.Context, o outgoing) (taken bool, err error) {
	o.done = make(chan error, 1)
	select {
	case n.out <- o:
	case <-n.ended:
		return false, mqtt.ErrNotConnected
	case <-ctx.Done():
		return false, ctx.Err()
	}
	select {
	case err := <-o.done:
		return true, err
	case <-ctx.Done():
		return true, ctx.Err()
	}
}

// expect notes that a packet will wait for its answer, under a packet id that no other one has.
func (n *conn) expect(kind byte, filters []string) (uint16, *request) {
	n.mu.Lock()
	defer n.mu.Unlock()
	r := &request{kind: kind, filters: filters, answer: make(chan answer, 1)}
	for { // there are far fewer than there are ids
		n.lastID++
		if _, used := n.waiting[n.lastID]; !used && n.lastID != 0 {
			n.waiting[n.lastID] = r
			return n.lastID, r
		}
	}
}

// answered takes the request of a kind that an answer is for out of those that wait; nil where none does.
func (n *conn) answered(id uint16, kind byte) *request {
	n.mu.Lock()
	defer n.mu.Unlock()
	r := n.waiting[id]
	if r == nil || r.kind != kind {
		return nil
	}
	delete(n.waiting, id)
	return r
}

// converse subscribes, and takes messages and answers until something ends it.
func (c *Client) converse(ctx context.Context, n *conn) error {
	id, own := n.expect(packets.SUBSCRIBE, c.filters)
	if err := n.link.Write(subscription(id, c.filters)); err != nil {
		return fmt.Errorf("mqtt client: subscribe: %w", err)
	}
	wait := keepAlive(c.opts.KeepAlive, n.link.Hail) * 3 / 2
	in := c.newReceiver(ctx, n.link)
	defer in.end()
	for {
		if !n.link.whole() { // nobody knows when more comes
			if err := in.finish(); err != nil {
				return err
			}
		}
		pk, err := n.link.Read(wait)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			return fmt.Errorf("mqtt client: read: %w", err)
		}
		switch p := pk.Content.(type) {
		case *packets.Publish:
			err = in.take(p)
		case *packets.Pubrel:
			delete(in.taken, p.PacketID)
			err = n.link.Write(&packets.Pubcomp{PacketID: p.PacketID, Properties: &packets.Properties{}})
		case *packets.Suback:
			err = c.subscribed(n, own, p)
		case *packets.Unsuback:
			err = n.unsubscribed(p)
		case *packets.Puback:
			n.acknowledged(p)
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
