package client_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/eclipse/paho.golang/packets"

	"github.com/statehouse/statehouse/internal/mqtt"
	"github.com/statehouse/statehouse/internal/mqtt/broker"
	"github.com/statehouse/statehouse/internal/mqtt/client"
)

// heard is a broker's handler that takes everything but the status.
type heard struct{ recorder }

func (h *heard) Filters() []string { return []string{"set/#"} }

// soon is a context that ends after a while in which everything that can come has come.
func soon(t *testing.T, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

// TestPublish: every message of many goroutines arrives once, with what was asked for it, each goroutine's in its order.
func TestPublish(t *testing.T) {
	h := &heard{}
	b := startBroker(t, broker.Options{Handler: h})
	c, _ := run(t, client.Options{Endpoint: endpoint(b), Handler: &recorder{}})
	eventually(t, "connection", c.Connected)
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			for i := range 50 {
				payload := []byte(fmt.Sprintf("%d %d", g, i))
				err := c.Publish(t.Context(), mqtt.Publication{Topic: fmt.Sprintf("set/%d", g), Payload: payload, QoS: byte(i % 2), Retain: i == 49})
				if err != nil {
					t.Error(err)
				}
				clear(payload) // it is the caller's again
			}
		})
	}
	wg.Wait()
	eventually(t, "all messages", func() bool { return len(h.payloads()) == 400 })
	next := map[string]int{}
	for _, m := range h.got {
		g, i := m.Topic[len("set/"):], next[m.Topic]
		next[m.Topic]++
		if want := fmt.Sprintf("%s %d", g, i); string(m.Payload) != want || m.QoS != byte(i%2) || m.Retain != (i == 49) || m.Client != "statehouse" {
			t.Fatalf("%+v %s, want %s", m, m.Payload, want)
		}
	}
	if s := c.Status(); s.Published != 400 || s.PublishFailed != 0 {
		t.Errorf("%+v", s)
	}
}

// TestPublishInHandler: a handler publishes with QoS 0 itself, and has others publish with QoS 1.
func TestPublishInHandler(t *testing.T) {
	h := &heard{}
	b := startBroker(t, broker.Options{Handler: h})
	var c *client.Client
	var wg sync.WaitGroup
	connected := make(chan struct{})
	own := &recorder{do: func(ctx context.Context, _ mqtt.Message) error {
		<-connected
		wg.Go(func() {
			if err := c.Publish(ctx, mqtt.Publication{Topic: "set/later", Payload: []byte("later"), QoS: 1}); err != nil {
				t.Error(err)
			}
		})
		return c.Publish(ctx, mqtt.Publication{Topic: "set/now", Payload: []byte("now")})
	}}
	c, _ = run(t, client.Options{Endpoint: endpoint(b), Handler: own})
	close(connected)
	eventually(t, "online", func() bool { return status(b) == "online" })
	for range 20 {
		publish(t, b, "z/a", "x", false)
	}
	eventually(t, "all messages", func() bool { return len(own.payloads()) == 20 && len(h.payloads()) == 40 })
	wg.Wait()
	if s := c.Status(); s.Connects != 1 || s.Acked != 20 {
		t.Errorf("%+v", s)
	}
}

// TestPublishNotConnected: without a connection it fails at once, and nothing comes later.
func TestPublishNotConnected(t *testing.T) {
	h := &heard{}
	b := startBroker(t, broker.Options{Handler: h})
	late, err := client.New(client.Options{Endpoint: endpoint(b), Handler: &recorder{}, ClientID: "late"})
	if err != nil {
		t.Fatal(err)
	}
	if err := late.Publish(t.Context(), mqtt.Publication{Topic: "set/x", QoS: 1}); !errors.Is(err, mqtt.ErrNotConnected) || late.Connected() {
		t.Errorf("never run: %v", err)
	}
	c, stop := run(t, client.Options{Endpoint: endpoint(b), Handler: &recorder{}})
	eventually(t, "connection", c.Connected)
	stop()
	for qos := range byte(2) {
		if err := c.Publish(t.Context(), mqtt.Publication{Topic: "set/x", QoS: qos}); !errors.Is(err, mqtt.ErrNotConnected) || errors.Is(err, mqtt.ErrUnknownOutcome) {
			t.Errorf("QoS %d: %v", qos, err)
		}
	}
	c, _ = run(t, client.Options{Endpoint: endpoint(b), Handler: &recorder{}})
	eventually(t, "connection", c.Connected)
	if err := c.Publish(t.Context(), mqtt.Publication{Topic: "set/x", Payload: []byte("this"), QoS: 1}); err != nil {
		t.Fatal(err)
	}
	if got := h.payloads(); !slices.Equal(got, []string{"this"}) {
		t.Errorf("handled %q", got)
	}
}

// TestPublishRefused: what the broker says no to, and what it would, is an error that says why; the connection goes on.
func TestPublishRefused(t *testing.T) {
	zero, size, one := byte(0), uint32(100), uint16(1)
	f := &fake{hail: packets.Properties{MaximumPacketSize: &size, ReceiveMaximum: &one}, got: func(p *peer, pk *packets.ControlPacket) bool {
		m := pk.Content.(*packets.Publish)
		code := map[string]byte{"no": 0x87, "quota": 0x97, "nobody": 0x10}[m.Topic]
		if m.QoS > 0 {
			p.ack(m.PacketID+100, 0x87, "") // for which nobody waits
			p.ack(m.PacketID, code, strings.Repeat("r", int(code/0x80)*1000))
		}
		return true
	}}
	c, _ := run(t, client.Options{Endpoint: f.start(t), Handler: &recorder{}})
	g := &fake{hail: packets.Properties{MaximumQOS: &zero, RetainAvailable: &zero}, got: func(*peer, *packets.ControlPacket) bool { return true }}
	modest, _ := run(t, client.Options{Endpoint: g.start(t), Handler: &recorder{}})
	eventually(t, "connections", func() bool { return c.Connected() && modest.Connected() })
	fits := make([]byte, 100-2-2-len("large")-2-1)
	for _, test := range []struct {
		c    *client.Client
		m    mqtt.Publication
		want string
	}{
		{c, mqtt.Publication{Topic: "no", QoS: 1}, "(code 0x87) not authorized: rrr"},
		{c, mqtt.Publication{Topic: "quota", QoS: 1}, "quota exceeded"},
		{c, mqtt.Publication{Topic: "nobody", QoS: 1}, ""},
		{c, mqtt.Publication{Topic: "large", QoS: 1, Payload: append(fits, 'x')}, "a packet of 101 bytes: the broker takes 100 at most"},
		{c, mqtt.Publication{Topic: "large", QoS: 1, Payload: fits}, ""},
		{c, mqtt.Publication{Topic: "large", Payload: append(fits, 'x', 'y')}, ""},
		{c, mqtt.Publication{Topic: "large", Payload: append(fits, 'x', 'y', 'z')}, "a packet of 101 bytes"},
		{c, mqtt.Publication{Topic: "x", QoS: 2}, "use 0 or 1"},
		{c, mqtt.Publication{Topic: "a/+", QoS: 1}, "wildcard"},
		{c, mqtt.Publication{Topic: "a\x01b", QoS: 1}, "control character"},
		{c, mqtt.Publication{Topic: "a\uffffb", QoS: 1}, "control character"},
		{c, mqtt.Publication{Topic: strings.Repeat("/", 64), QoS: 1}, "65 levels"},
		{c, mqtt.Publication{Topic: strings.Repeat("x", 1025), QoS: 1}, "1025 bytes"},
		{modest, mqtt.Publication{Topic: "x", QoS: 1}, "takes QoS 0 only"},
		{modest, mqtt.Publication{Topic: "x", Retain: true}, "retains no messages"},
		{modest, mqtt.Publication{Topic: "x"}, ""},
	} {
		err := test.c.Publish(soon(t, time.Minute), test.m)
		if (err == nil) != (test.want == "") || err != nil && (!strings.Contains(err.Error(), test.want) || len(err.Error()) > 500) {
			t.Errorf("%.20q: want %q, got %v", test.m.Topic, test.want, err)
		}
		if errors.Is(err, mqtt.ErrUnknownOutcome) || errors.Is(err, mqtt.ErrNotConnected) {
			t.Errorf("%.20q: %v", test.m.Topic, err)
		}
	}
	if c.Status().Connects != 1 || modest.Status().Connects != 1 {
		t.Errorf("%+v\n%+v", c.Status(), modest.Status())
	}
}

// TestPublishUnanswered: a broker that never acknowledges holds nobody beyond his time, and is sent no more than it takes; what
// waits keeps its packet id and its room until it is acknowledged.
func TestPublishUnanswered(t *testing.T) {
	two := uint16(2)
	var sent []uint16
	var mu sync.Mutex
	var silent atomic.Bool
	silent.Store(true)
	f := &fake{hail: packets.Properties{ReceiveMaximum: &two}, got: func(p *peer, pk *packets.ControlPacket) bool {
		mu.Lock()
		defer mu.Unlock()
		m := pk.Content.(*packets.Publish)
		sent = append(sent, m.PacketID)
		if !silent.Load() {
			p.ack(m.PacketID, 0, "")
		}
		return true
	}}
	ep := f.start(t)
	c, _ := run(t, client.Options{Endpoint: ep, Handler: &recorder{}})
	eventually(t, "status", func() bool { return len(f.filters()) > 0 && c.Connected() })
	for i := range 2 {
		err := c.Publish(soon(t, 100*time.Millisecond), mqtt.Publication{Topic: "a", QoS: 1})
		if !errors.Is(err, mqtt.ErrUnknownOutcome) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%d: %v", i, err)
		}
	}
	err := c.Publish(soon(t, 100*time.Millisecond), mqtt.Publication{Topic: "a", QoS: 1})
	if errors.Is(err, mqtt.ErrUnknownOutcome) || !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "2 messages wait") {
		t.Errorf("no room: %v", err)
	}
	if err := c.Publish(soon(t, time.Minute), mqtt.Publication{Topic: "a"}); err != nil {
		t.Errorf("QoS 0 needs no room: %v", err)
	}
	silent.Store(false)
	f.mu.Lock()
	mu.Lock()
	f.peers[0].ack(sent[0], 0, "")
	mu.Unlock()
	f.mu.Unlock()
	for range 3 {
		if err := c.Publish(soon(t, time.Minute), mqtt.Publication{Topic: "a", QoS: 1}); err != nil {
			t.Errorf("room again: %v", err)
		}
	}
	mu.Lock()
	defer mu.Unlock()
	if len(sent) != 6 || slices.Contains(sent[2:], sent[1]) {
		t.Errorf("packet ids %d", sent)
	}
}

// TestPublishCut: when the connection ends, whoever waits is told that the outcome is not known, whoever waits for room that
// there is no connection, and the next connection begins with all its room.
func TestPublishCut(t *testing.T) {
	two := uint16(2)
	var silent atomic.Bool
	silent.Store(true)
	f := &fake{hail: packets.Properties{ReceiveMaximum: &two}, got: func(p *peer, pk *packets.ControlPacket) bool {
		if m := pk.Content.(*packets.Publish); !silent.Load() && m.QoS > 0 {
			p.ack(m.PacketID, 0, "")
		}
		return true
	}}
	c, _ := run(t, client.Options{Endpoint: f.start(t), Handler: &recorder{}})
	for round := range 5 {
		eventually(t, "connection", c.Connected)
		errs := make(chan error, 6)
		for range cap(errs) {
			go func() { errs <- c.Publish(soon(t, time.Minute), mqtt.Publication{Topic: "a", QoS: 1}) }()
		}
		time.Sleep(20 * time.Millisecond) // so that most are under way
		f.cut()
		for range cap(errs) {
			switch err := <-errs; {
			case errors.Is(err, mqtt.ErrNotConnected), errors.Is(err, mqtt.ErrUnknownOutcome):
			default:
				t.Errorf("round %d: %v", round, err)
			}
		}
		connects := c.Status().Connects
		eventually(t, "next connection", func() bool { return c.Connected() && c.Status().Connects >= connects })
	}
	silent.Store(false)
	f.cut()
	eventually(t, "messages", func() bool {
		return c.Publish(soon(t, time.Minute), mqtt.Publication{Topic: "a", QoS: 1}) == nil
	})
	for range 5 {
		if err := c.Publish(soon(t, time.Minute), mqtt.Publication{Topic: "a", QoS: 1}); err != nil {
			t.Errorf("the room is not all there again: %v", err)
		}
	}
}

// TestPublishAcrossRestarts: while a broker goes and comes, each message that is acknowledged was handled, and none twice.
func TestPublishAcrossRestarts(t *testing.T) {
	h := &heard{}
	b := startBroker(t, broker.Options{Handler: h})
	addr := b.Addr().String()
	c, _ := run(t, client.Options{Endpoint: endpoint(b), Handler: &recorder{}})
	stop := make(chan struct{})
	var wg sync.WaitGroup
	var mu sync.Mutex
	acked, unknown := map[string]bool{}, map[string]bool{}
	for g := range 4 {
		wg.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				payload := fmt.Sprintf("%d %d", g, i)
				err := c.Publish(soon(t, time.Minute), mqtt.Publication{Topic: "set/x", Payload: []byte(payload), QoS: 1})
				mu.Lock()
				switch {
				case err == nil:
					acked[payload] = true
				case errors.Is(err, mqtt.ErrUnknownOutcome):
					unknown[payload] = true
				case !errors.Is(err, mqtt.ErrNotConnected):
					t.Errorf("%v", err)
				}
				mu.Unlock()
				if err != nil {
					time.Sleep(time.Millisecond)
				}
			}
		})
	}
	count := func() int { mu.Lock(); defer mu.Unlock(); return len(acked) }
	for range 4 {
		before := count()
		eventually(t, "messages", func() bool { return count() > before+20 })
		if err := b.Close(); err != nil {
			t.Fatal(err)
		}
		b = startBroker(t, broker.Options{Handler: h, Address: addr})
	}
	close(stop)
	wg.Wait()
	handled := map[string]int{}
	for _, p := range h.payloads() {
		if handled[p]++; handled[p] > 1 || !acked[p] && !unknown[p] {
			t.Errorf("%q was handled %d times: acknowledged %v, unknown %v", p, handled[p], acked[p], unknown[p])
		}
	}
	for p := range acked {
		if handled[p] != 1 {
			t.Errorf("%q was acknowledged and not handled", p)
		}
	}
}

// TestPublishStuck: a broker that reads no more holds nobody beyond his time, not the handler's messages, and not the end of Run.
func TestPublishStuck(t *testing.T) {
	two, release := uint16(2), make(chan struct{})
	large := make([]byte, 16<<20)
	arrived := make(chan []byte, 2)
	f := &fake{hail: packets.Properties{ReceiveMaximum: &two}, got: func(p *peer, pk *packets.ControlPacket) bool {
		switch m := pk.Content.(*packets.Publish); {
		case m.Topic == "hold":
			p.send(&packets.Publish{Topic: "z/a", Properties: &packets.Properties{}})
			<-release
		case m.Topic == "large":
			arrived <- m.Payload
		case m.QoS > 0:
			p.ack(m.PacketID, 0, "")
		}
		return true
	}}
	h := &recorder{}
	c, stop := run(t, client.Options{Endpoint: f.start(t), Handler: h})
	t.Cleanup(func() { close(release) }) // before the fake's own end
	eventually(t, "connection", c.Connected)
	jam := func() {
		t.Helper()
		if err := c.Publish(soon(t, time.Minute), mqtt.Publication{Topic: "hold"}); err != nil {
			t.Fatal(err)
		}
		err := c.Publish(soon(t, 2*time.Second), mqtt.Publication{Topic: "large", Payload: large})
		if !errors.Is(err, mqtt.ErrUnknownOutcome) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%v", err)
		}
	}
	jam()
	for i := range large { // it is the caller's again, though the writer is still at it
		large[i] = 'x'
	}
	for range 5 { // what the writer did not take takes no room
		err := c.Publish(soon(t, 20*time.Millisecond), mqtt.Publication{Topic: "a", QoS: 1})
		if errors.Is(err, mqtt.ErrUnknownOutcome) || !errors.Is(err, context.DeadlineExceeded) || strings.Contains(err.Error(), "messages wait") {
			t.Errorf("%v", err)
		}
	}
	eventually(t, "a message", func() bool { return len(h.payloads()) == 1 })
	release <- struct{}{}
	if payload := <-arrived; len(payload) != len(large) || bytes.IndexByte(payload, 'x') >= 0 {
		t.Error("it arrived as its caller changed it later")
	}
	if err := c.Publish(soon(t, time.Minute), mqtt.Publication{Topic: "a", QoS: 1}); err != nil {
		t.Errorf("when the broker reads again: %v", err)
	}
	jam()
	waiting := make(chan error, 1)
	go func() { waiting <- c.Publish(soon(t, time.Minute), mqtt.Publication{Topic: "a", QoS: 1}) }()
	time.Sleep(20 * time.Millisecond)
	stop()
	if err := <-waiting; !errors.Is(err, mqtt.ErrNotConnected) {
		t.Errorf("at the end: %v", err)
	}
}

// TestPublishExpiry: a message says for how long it is good, in whole seconds, or nothing.
func TestPublishExpiry(t *testing.T) {
	got := make(chan *uint32, 10)
	f := &fake{got: func(p *peer, pk *packets.ControlPacket) bool {
		m, ok := pk.Content.(*packets.Publish)
		switch {
		case ok && m.Topic == "set/x":
			got <- m.Properties.MessageExpiry
		case ok && m.QoS > 0: // that it is there
			p.ack(m.PacketID, 0, "")
		}
		return true
	}}
	c, _ := run(t, client.Options{Endpoint: f.start(t), Handler: &recorder{}})
	eventually(t, "connection", c.Connected)
	for expiry, want := range map[time.Duration]uint32{0: 0, time.Millisecond: 1, 1500 * time.Millisecond: 2, time.Minute: 60} {
		if err := c.Publish(soon(t, 10*time.Second), mqtt.Publication{Topic: "set/x", Expiry: expiry}); err != nil {
			t.Fatal(err)
		}
		if e := <-got; (e == nil) != (want == 0) || e != nil && *e != want {
			t.Errorf("%s: %v", expiry, e)
		}
	}
}
