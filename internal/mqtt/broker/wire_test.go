package broker_test

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/statehouse/statehouse/internal/mqtt"
	"github.com/statehouse/statehouse/internal/mqtt/broker"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// The packet types of the wire.
const (
	tConnect, tConnack, tPublish, tPuback, tPubrec, tPubrel, tPubcomp = 1, 2, 3, 4, 5, 6, 7
	tSubscribe, tSuback, tUnsubscribe, tUnsuback                      = 8, 9, 10, 11
	tPingreq, tPingresp, tDisconnect                                  = 12, 13, 14
)

// wire is a client that encodes by hand, so that nothing corrects what a test does wrong on purpose.
type wire struct {
	t       testing.TB
	c       net.Conn
	r       *bufio.Reader
	version byte
}

func dial(t testing.TB, b *broker.Broker) *wire {
	t.Helper()
	c, err := net.Dial("tcp", b.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return &wire{t: t, c: c, r: bufio.NewReader(c), version: 4}
}

func str(s string) []byte { return append(binary.BigEndian.AppendUint16(nil, uint16(len(s))), s...) }

func packet(first byte, body ...[]byte) []byte {
	var all []byte
	for _, b := range body {
		all = append(all, b...)
	}
	n := len(all)
	out := []byte{first}
	for {
		b := byte(n % 128)
		if n /= 128; n > 0 {
			b |= 0x80
		}
		out = append(out, b)
		if n == 0 {
			break
		}
	}
	return append(out, all...)
}

func (w *wire) send(b []byte) {
	w.t.Helper()
	if _, err := w.c.Write(b); err != nil {
		w.t.Logf("write: %v", err)
	}
}

// hello is a CONNECT.
type hello struct {
	version        byte
	id             string
	kept           bool // a session that outlives the connection
	clean          bool // with kept: begin anew (MQTT 5)
	keepalive      uint16
	will           string // topic
	willPayload    string
	willRetain     bool
	willDelay      byte
	user, password string
	receiveMax     uint16
	expiry         uint32
	maxPacket      uint32
}

func (h hello) encode() []byte {
	flags := byte(0)
	if !h.kept || h.clean {
		flags |= 2
	}
	if h.will != "" {
		flags |= 4
		if h.willRetain {
			flags |= 0x20
		}
	}
	if h.user != "" {
		flags |= 0xc0
	}
	body := append(str("MQTT"), h.version, flags)
	body = binary.BigEndian.AppendUint16(body, h.keepalive)
	if h.version == 5 {
		var props []byte
		if h.kept {
			e := h.expiry
			if e == 0 {
				e = 3600
			}
			props = binary.BigEndian.AppendUint32(append(props, 17), e)
		}
		if h.receiveMax > 0 {
			props = binary.BigEndian.AppendUint16(append(props, 33), h.receiveMax)
		}
		if h.maxPacket > 0 {
			props = binary.BigEndian.AppendUint32(append(props, 39), h.maxPacket)
		}
		body = append(append(body, byte(len(props))), props...)
	}
	body = append(body, str(h.id)...)
	if h.will != "" {
		if h.version == 5 {
			if h.willDelay > 0 {
				body = append(body, 5, 24, 0, 0, 0, h.willDelay)
			} else {
				body = append(body, 0)
			}
		}
		body = append(append(body, str(h.will)...), str(h.willPayload)...)
	}
	if h.user != "" {
		body = append(append(body, str(h.user)...), str(h.password)...)
	}
	return packet(tConnect<<4, body)
}

// connect sends a CONNECT and returns CONNACK's code and session flag.
func (w *wire) connect(h hello) (code byte, present bool) {
	w.t.Helper()
	if h.version == 0 {
		h.version = 4
	}
	if h.keepalive == 0 {
		h.keepalive = 60
	}
	w.version = h.version
	w.send(h.encode())
	kind, body, err := w.read(5 * time.Second)
	if err != nil || kind>>4 != tConnack {
		w.t.Fatalf("CONNACK: kind %d, %v", kind>>4, err)
	}
	return body[1], body[0]&1 == 1
}

// join connects and expects that it works.
func (w *wire) join(h hello) (present bool) {
	w.t.Helper()
	code, present := w.connect(h)
	if code != 0 {
		w.t.Fatalf("CONNACK: code %#x", code)
	}
	return present
}

func (w *wire) read(timeout time.Duration) (first byte, body []byte, err error) {
	_ = w.c.SetReadDeadline(time.Now().Add(timeout))
	if first, err = w.r.ReadByte(); err != nil {
		return 0, nil, err
	}
	n, err := binary.ReadUvarint(w.r)
	if err != nil {
		return 0, nil, err
	}
	body = make([]byte, n)
	_, err = io.ReadFull(w.r, body)
	return first, body, err
}

// expect reads a packet of a kind.
func (w *wire) expect(kind byte) (first byte, body []byte) {
	w.t.Helper()
	first, body, err := w.read(10 * time.Second)
	if err != nil || first>>4 != kind {
		w.t.Fatalf("want packet type %d, got %d (% x): %v", kind, first>>4, body, err)
	}
	return first, body
}

// expectClosed reads until the end and returns what came before it: the connection must end by itself.
func (w *wire) expectClosed() (kinds []byte) {
	w.t.Helper()
	for {
		first, _, err := w.read(10 * time.Second)
		var ne net.Error
		if errors.As(err, &ne) && ne.Timeout() {
			w.t.Fatalf("the connection stayed open; packets before: %v", kinds)
		}
		if err != nil {
			return kinds
		}
		kinds = append(kinds, first>>4)
	}
}

// expectSilence fails if anything comes.
func (w *wire) expectSilence(d time.Duration) {
	w.t.Helper()
	first, body, err := w.read(d)
	var ne net.Error
	if !errors.As(err, &ne) || !ne.Timeout() {
		w.t.Fatalf("want silence, got type %d (% x): %v", first>>4, body, err)
	}
}

func (w *wire) publish(topic, payload string, qos byte, id uint16, flags byte) {
	first := byte(tPublish<<4) | qos<<1 | flags
	body := [][]byte{str(topic)}
	if qos > 0 {
		body = append(body, binary.BigEndian.AppendUint16(nil, id))
	}
	if w.version == 5 {
		body = append(body, []byte{0})
	}
	w.send(packet(first, append(body, []byte(payload))...))
}

// publish5 publishes with MQTT 5 properties, with QoS 1, and returns PUBACK's code.
func (w *wire) publish5(topic, payload string, id uint16, flags byte, props []byte) (code byte) {
	w.t.Helper()
	w.send(packet(tPublish<<4|1<<1|flags, str(topic), binary.BigEndian.AppendUint16(nil, id), sized(props), []byte(payload)))
	_, body := w.expect(tPuback)
	if len(body) > 2 {
		code = body[2]
	}
	return code
}

// sized is bytes after their length, as properties are.
func sized(b []byte) []byte { return packet(0, b)[1:] }

// userProperty is one of MQTT 5.
func userProperty(key, value string) []byte {
	return append(append([]byte{38}, str(key)...), str(value)...)
}

const (
	dup    = 8
	retain = 1
)

func (w *wire) idPacket(kind byte, id uint16) {
	first := kind << 4
	if kind == tPubrel {
		first |= 2
	}
	w.send(packet(first, binary.BigEndian.AppendUint16(nil, id)))
}

// subscribe subscribes and returns SUBACK's code.
func (w *wire) subscribe(id uint16, filter string, qos byte) byte {
	w.t.Helper()
	body := [][]byte{binary.BigEndian.AppendUint16(nil, id)}
	if w.version == 5 {
		body = append(body, []byte{0})
	}
	w.send(packet(tSubscribe<<4|2, append(body, str(filter), []byte{qos})...))
	_, ack := w.expect(tSuback)
	if got := binary.BigEndian.Uint16(ack); got != id {
		w.t.Fatalf("SUBACK for %d, want %d", got, id)
	}
	return ack[len(ack)-1]
}

// message is a received PUBLISH.
type message struct {
	topic, payload string
	qos            byte
	id             uint16
	dup, retain    bool
}

func (w *wire) message() message {
	w.t.Helper()
	first, body := w.expect(tPublish)
	return w.decode(first, body)
}

func (w *wire) decode(first byte, body []byte) message {
	n := binary.BigEndian.Uint16(body)
	m := message{topic: string(body[2 : 2+n]), qos: first >> 1 & 3, dup: first&dup != 0, retain: first&retain != 0}
	body = body[2+n:]
	if m.qos > 0 {
		m.id = binary.BigEndian.Uint16(body)
		body = body[2:]
	}
	if w.version == 5 {
		props, used := binary.Uvarint(body)
		body = body[used+int(props):]
	}
	m.payload = string(body)
	return m
}

// recorder is a handler that keeps what it was given, after what do said.
type recorder struct {
	filters []string
	do      func(mqtt.Message) error
	mu      sync.Mutex
	got     []mqtt.Message
}

func (r *recorder) Filters() []string {
	if r.filters == nil {
		return []string{"#"}
	}
	return r.filters
}

func (r *recorder) Handle(_ context.Context, m mqtt.Message) error {
	if r.do != nil {
		if err := r.do(m); err != nil {
			return err
		}
	}
	m.Payload = append([]byte(nil), m.Payload...)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.got = append(r.got, m)
	return nil
}

func (r *recorder) payloads() (all []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, m := range r.got {
		all = append(all, string(m.Payload))
	}
	return all
}

// start runs a broker on a free port for the length of a test.
func start(t testing.TB, opts broker.Options) *broker.Broker {
	t.Helper()
	if opts.Address == "" {
		opts.Address = "127.0.0.1:0"
	}
	if opts.Logger == nil && os.Getenv("MQTT_TEST_LOG") != "" {
		opts.Logger = slog.New(slog.NewTextHandler(os.Stderr, nil))
	}
	b, err := broker.Start(context.Background(), opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
	return b
}

func dataPath(t testing.TB) string { return filepath.Join(t.TempDir(), "data", "mqtt.db") }

// eventually waits for a condition.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if ok() {
			return
		}
	}
	t.Fatalf("did not happen: %s", what)
}
