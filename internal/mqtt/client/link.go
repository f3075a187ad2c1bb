package client

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"time"

	"github.com/eclipse/paho.golang/packets"
)

// writeTimeout bounds one packet's way into the network, lastWords that of a link that is interrupted, and stallTimeout the
// pauses within a packet from there.
const (
	writeTimeout = 30 * time.Second
	lastWords    = 2 * time.Second
	stallTimeout = 30 * time.Second
)

// ErrNoMQTT5 is what a broker is told apart by that speaks only older versions.
var ErrNoMQTT5 = errors.New("the broker does not speak MQTT 5: it needs to (mosquitto does since 1.6), or use the broker inside")

// Refused is a broker's no to a CONNECT.
type Refused struct {
	Code   byte
	Reason string
}

func (r *Refused) Error() string {
	return fmt.Sprintf("the broker refused the connection (code %#x) %s", r.Code, meaning(r.Code, r.Reason))
}

// meaning says what a reason code means, and what the broker said besides.
func meaning(code byte, reason string) string {
	s := map[byte]string{0x80: "without a reason", 0x83: "it cannot", 0x85: "client id not valid", 0x86: "bad user name or password",
		0x87: "not authorized", 0x88: "server unavailable", 0x89: "server busy", 0x8a: "banned", 0x8f: "topic filter not valid",
		0x90: "topic not valid", 0x91: "packet id in use", 0x95: "packet too large", 0x97: "quota exceeded", 0x99: "payload not valid",
		0x9a: "it retains nothing", 0x9b: "QoS not supported", 0x9f: "connection rate exceeded"}[code]
	if reason != "" && reason != s {
		s += fmt.Sprintf(": %.200s", reason)
	}
	return s
}

// Link is one connection to a broker that answered CONNECT. Reading is for one goroutine, writing for any.
type Link struct {
	// Hail is the broker's CONNACK.
	Hail *packets.Connack

	nc  net.Conn
	r   *bufio.Reader
	max int
	wmu sync.Mutex // guards writing
	rmu sync.Mutex // guards the deadlines and what follows; comes after wmu
	end bool       // Interrupt was called
}

// Link connects: CONNECT with the endpoint's credentials, CONNACK. Packets from the broker may have up to maxPacket bytes,
// which it is told. The caller closes the link.
func (e Endpoint) Link(ctx context.Context, hello *packets.Connect, maxPacket uint32) (*Link, error) {
	timeout := e.DialTimeout
	if timeout == 0 {
		timeout = 15 * time.Second
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	password, has, wrong := e.password()
	if wrong != nil {
		return nil, fmt.Errorf("mqtt client: %w", wrong)
	}
	hello.ProtocolName, hello.ProtocolVersion = "MQTT", 5
	hello.Username, hello.UsernameFlag = e.Username, e.Username != ""
	hello.Password, hello.PasswordFlag = []byte(password), has
	hello.Properties.MaximumPacketSize = &maxPacket
	nc, err := e.dial(ctx)
	if err != nil {
		return nil, err
	}
	l := &Link{nc: nc, r: bufio.NewReaderSize(nc, 32<<10), max: int(maxPacket)}
	stop := context.AfterFunc(ctx, func() { _ = nc.SetDeadline(time.Unix(1, 0)) })
	err = l.greet(hello)
	if !stop() && err == nil {
		err = ctx.Err()
	}
	if err != nil {
		_ = nc.Close()
		if ctx.Err() != nil && !errors.Is(err, ctx.Err()) {
			err = fmt.Errorf("%w (%w)", err, ctx.Err())
		}
		return nil, fmt.Errorf("mqtt client: connect to %s: %w", e.URL, err)
	}
	return l, nil
}

// greet sends CONNECT and reads CONNACK.
func (l *Link) greet(hello *packets.Connect) error {
	if err := l.Write(hello); err != nil {
		return err
	}
	head, body, err := l.read()
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return fmt.Errorf("it closed the connection before its CONNACK; perhaps %w", ErrNoMQTT5)
	case err != nil:
		return err
	case head[0]>>4 != packets.CONNACK || len(body) < 2:
		return fmt.Errorf("it answered CONNECT with a packet of type %d", head[0]>>4)
	case len(body) == 2 && body[1] != 0 || body[1] == 0x84:
		if body[1] == 1 || body[1] == 0x84 {
			return ErrNoMQTT5
		}
		return &Refused{Code: body[1]}
	}
	pk, err := decode(head, body)
	if err != nil {
		return err
	}
	l.Hail = pk.Content.(*packets.Connack)
	if code := l.Hail.ReasonCode; code >= 0x80 {
		return &Refused{Code: code, Reason: l.Hail.Properties.ReasonString}
	}
	return nil
}

// Read reads one packet, which must begin within the timeout and then may take as long as it keeps coming.
func (l *Link) Read(timeout time.Duration) (*packets.ControlPacket, error) {
	if err := l.readWithin(timeout); err != nil {
		return nil, err
	}
	head, body, err := l.read()
	if err != nil {
		return nil, err
	}
	return decode(head, body)
}

// whole says that a whole packet is here already, so that reading it waits for nothing.
func (l *Link) whole() bool {
	here, _ := l.r.Peek(l.r.Buffered())
	n, shift := 0, 0
	for i := 1; i < len(here) && shift <= 21; i, shift = i+1, shift+7 {
		n |= int(here[i]&0x7f) << shift
		if here[i]&0x80 == 0 {
			return len(here)-i-1 >= n
		}
	}
	return false
}

// read reads a packet's bytes: its header and its body.
func (l *Link) read() (head, body []byte, err error) {
	b, err := l.r.ReadByte()
	if err != nil {
		return nil, nil, err
	}
	head, n := []byte{b}, 0
	for shift := 0; ; shift += 7 {
		if shift > 21 {
			return nil, nil, errors.New("malformed packet: its length has more than four bytes")
		}
		if b, err = l.r.ReadByte(); err != nil {
			return nil, nil, noEOF(err)
		}
		head = append(head, b)
		n |= int(b&0x7f) << shift
		if b&0x80 == 0 {
			break
		}
	}
	if n > l.max {
		return nil, nil, fmt.Errorf("the broker sent a packet of %d bytes, at most %d are allowed", n, l.max)
	}
	// What a packet claims to have is not allocated before it is here.
	var buf bytes.Buffer
	buf.Grow(min(n, 64<<10))
	for buf.Len() < n {
		if _, err := io.CopyN(&buf, l.r, int64(min(n-buf.Len(), 64<<10))); err != nil {
			return nil, nil, noEOF(err)
		}
		if buf.Len() < n {
			if err := l.readWithin(stallTimeout); err != nil {
				return nil, nil, err
			}
		}
	}
	return head, buf.Bytes(), nil
}

// noEOF: an end within a packet is not an end.
func noEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// decode decodes a packet; a decoder's panic is an error.
func decode(head, body []byte) (pk *packets.ControlPacket, err error) {
	defer func() {
		if r := recover(); r != nil {
			pk, err = nil, fmt.Errorf("malformed packet of type %d: %v", head[0]>>4, r)
		}
	}()
	pk, err = packets.ReadPacket(io.MultiReader(bytes.NewReader(head), bytes.NewReader(body)))
	if err != nil {
		return nil, fmt.Errorf("malformed packet of type %d: %w", head[0]>>4, err)
	}
	return pk, nil
}

// Write writes one packet.
func (l *Link) Write(p interface {
	WriteTo(io.Writer) (int64, error)
}) error {
	l.wmu.Lock()
	defer l.wmu.Unlock()
	if err := l.writeWithin(); err != nil {
		return err
	}
	_, err := p.WriteTo(l.nc)
	return err
}

// writeWithin sets the write deadline.
func (l *Link) writeWithin() error {
	l.rmu.Lock()
	defer l.rmu.Unlock()
	timeout := writeTimeout
	if l.end {
		timeout = lastWords
	}
	return l.nc.SetWriteDeadline(time.Now().Add(timeout))
}

// readWithin sets the read deadline, unless the link was interrupted.
func (l *Link) readWithin(timeout time.Duration) error {
	l.rmu.Lock()
	defer l.rmu.Unlock()
	if l.end {
		return os.ErrDeadlineExceeded
	}
	return l.nc.SetReadDeadline(time.Now().Add(timeout))
}

// Interrupt makes a read under way, and every later one, return at once, and a write soon.
func (l *Link) Interrupt() {
	l.rmu.Lock()
	defer l.rmu.Unlock()
	if l.end {
		return
	}
	l.end = true
	_ = l.nc.SetReadDeadline(time.Unix(1, 0))
	_ = l.nc.SetWriteDeadline(time.Now().Add(lastWords))
}

// Close closes the connection, without a goodbye.
func (l *Link) Close() error { return l.nc.Close() }
