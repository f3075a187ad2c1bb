package broker_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/statehouse/statehouse/internal/mqtt"
	"github.com/statehouse/statehouse/internal/mqtt/broker"
)

// logBuffer collects the log.
type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBuffer) contains(s string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Contains(l.b.String(), s)
}

func logger() (*slog.Logger, *logBuffer) {
	var l logBuffer
	return slog.New(slog.NewTextHandler(&l, nil)), &l
}

// TestMalformed: packets that are wrong each in one way end their connection, say why, and cost nobody else anything.
func TestMalformed(t *testing.T) {
	log, lines := logger()
	h := &recorder{}
	b := start(t, broker.Options{Handler: h, Logger: log})
	good := dial(t, b)
	good.join(hello{id: "good"})
	u16 := func(n uint16) []byte { return binary.BigEndian.AppendUint16(nil, n) }
	for name, c := range map[string]struct {
		version byte
		packet  []byte
		log     string
	}{
		"wildcard":            {4, packet(tPublish<<4|2, str("a/+"), u16(1), []byte("x")), "wildcard"},
		"wildcard qos 0":      {4, packet(tPublish<<4, str("#"), []byte("x")), "wildcard"},
		"not UTF-8":           {4, packet(tPublish<<4|2, str("a\xff\xfe"), u16(1), []byte("x")), "utf-8"},
		"NUL":                 {4, packet(tPublish<<4|2, str("a\x00"), u16(1), []byte("x")), "utf-8"},
		"empty topic":         {4, packet(tPublish<<4|2, str(""), u16(1), []byte("x")), "no topic"},
		"no packet id":        {4, packet(tPublish<<4|2, str("a"), u16(0), []byte("x")), "packet id"},
		"QoS 3":               {4, packet(tPublish<<4|6, str("a"), u16(1), []byte("x")), "qos"},
		"topic too long":      {4, packet(tPublish<<4, str(strings.Repeat("x", 1025)), []byte("x")), "a topic of 1025 bytes"},
		"too many levels":     {4, packet(tPublish<<4, str(strings.Repeat("/", 64)), []byte("x")), "a topic of 65 levels"},
		"topic beyond packet": {4, packet(tPublish<<4, []byte{0xff, 0xff, 'a'}), "malformed"},
		"alias":               {5, packet(tPublish<<4, str("a"), []byte{3, 35, 0, 1}, []byte("x")), "alias"},
		"second CONNECT":      {4, hello{version: 4, id: "x"}.encode(), "type 1"},
		"CONNACK":             {4, packet(tConnack<<4, []byte{0, 0}), "type 2"},
		"SUBACK":              {4, packet(tSuback<<4, []byte{0, 1, 0}), "type 9"},
		"length of 5 bytes":   {4, []byte{tPublish << 4, 0xff, 0xff, 0xff, 0xff, 0x7f}, "length"},
		"too long":            {5, []byte{tPublish << 4, 0xff, 0xff, 0xff, 0x7f}, "at most"},
		"cut SUBSCRIBE":       {5, packet(tSubscribe<<4|2, u16(1), []byte{0}, str("a")), "panic"},
		"SUBSCRIBE no filter": {5, packet(tSubscribe<<4|2, u16(1), []byte{0}), "filter"},
		"SUBSCRIBE id 0":      {4, packet(tSubscribe<<4|2, u16(0), str("a"), []byte{1}), "packet id"},
		"UNSUBSCRIBE cut":     {5, packet(tUnsubscribe<<4|2, u16(1), []byte{0, 0, 9}), "topic"},
		"AUTH":                {5, packet(15<<4, []byte{0x18, 0}), "type 15"},
		"properties cut":      {5, packet(tPublish<<4, str("a"), []byte{100}), "propert"},
		"PUBREL id 0":         {4, packet(tPubrel<<4|2, u16(0)), "packet id"},
		"PUBREL cut":          {4, packet(tPubrel<<4|2, []byte{1}), "malformed"},
		"type 0":              {4, packet(0), "type"},
	} {
		w := dial(t, b)
		id := "bad " + name
		w.join(hello{version: c.version, id: id})
		w.send(c.packet)
		kinds := w.expectClosed()
		if slices.Contains(kinds, tPuback) {
			t.Errorf("%s: acknowledged", name)
		}
		eventually(t, name+" in the log", func() bool {
			lines.mu.Lock()
			defer lines.mu.Unlock()
			for l := range strings.Lines(lines.b.String()) {
				if strings.Contains(l, id+`"`) && strings.Contains(strings.ToLower(l), strings.ToLower(c.log)) {
					return true
				}
			}
			return false
		})
	}
	good.publish("a", "x", 1, 1, 0)
	good.expect(tPuback)
	if got := h.payloads(); !slices.Equal(got, []string{"x"}) {
		t.Fatalf("handled %q", got)
	}
}

// TestServerTopics: a client's message on $SYS is not accepted, and not acknowledged as if it were.
func TestServerTopics(t *testing.T) {
	b := start(t, broker.Options{Handler: &recorder{filters: []string{"$SYS/#", "#"}}})
	w := dial(t, b)
	w.join(hello{id: "3"})
	w.publish("$SYS/broker/x", "x", 1, 1, 0)
	if kinds := w.expectClosed(); len(kinds) > 0 {
		t.Fatalf("packets %v", kinds)
	}
	w = dial(t, b)
	w.join(hello{version: 5, id: "5"})
	w.publish("$SYS/broker/x", "x", 1, 1, retain)
	if _, body := w.expect(tPuback); len(body) < 3 || body[2] != 0x87 {
		t.Fatalf("PUBACK % x", body)
	}
	w.publish("$SYS/broker/x", "x", 2, 2, 0)
	if _, body := w.expect(tPubrec); len(body) < 3 || body[2] != 0x87 {
		t.Fatalf("PUBREC % x", body)
	}
	w.subscribe(3, "$SYS/#", 0)
	w.expectSilence(30 * time.Millisecond)
	if s := b.Stats(); s.Handled != 0 || s.Refused != 3 {
		t.Fatalf("%+v", s)
	}
}

func TestBadFilters(t *testing.T) {
	eachVersion(t, func(t *testing.T, v byte) {
		b := start(t, broker.Options{Limits: broker.Limits{MaxSubscriptions: 2}})
		w := dial(t, b)
		w.join(hello{version: v, id: "s"})
		want := map[byte]byte{4: 0x80, 5: 0x8f}[v]
		for i, f := range []string{"a#", "a/#/b", "a+/b", "", "$share/g", strings.Repeat("x", 1025), strings.Repeat("/", 64)} {
			if code := w.subscribe(uint16(i+1), f, 1); code != want {
				t.Errorf("%.20q: SUBACK %#x, want %#x", f, code, want)
			}
		}
		for i, f := range []string{"a", "b", "c", "a"} {
			if code := w.subscribe(uint16(i+1), f, 1); (code == 1) != (f != "c") {
				t.Errorf("subscription to %s with a limit of 2: %#x", f, code)
			}
		}
	})
}

// TestPayloadLimit: 30 MB against a smaller limit, with others unaffected; and up to the limit it works.
func TestPayloadLimit(t *testing.T) {
	log, lines := logger()
	b := start(t, broker.Options{Logger: log, Limits: broker.Limits{MaxPayload: 1 << 20}})
	other := dial(t, b)
	other.join(hello{id: "other"})
	for _, v := range []byte{4, 5} {
		w := dial(t, b)
		w.join(hello{version: v, id: "big"})
		go w.publish("a", strings.Repeat("x", 30_000_000), 1, 1, 0)
		kinds := w.expectClosed()
		if slices.Contains(kinds, tPuback) || (v == 5 && !slices.Contains(kinds, tDisconnect)) {
			t.Fatalf("packets %v", kinds)
		}
		// Within what a packet may be, beyond what a payload may be.
		w = dial(t, b)
		w.join(hello{version: v, id: "big2"})
		w.publish("a", strings.Repeat("x", 1<<20+1), 1, 1, 0)
		if kinds := w.expectClosed(); slices.Contains(kinds, tPuback) {
			t.Fatalf("packets %v", kinds)
		}
	}
	if !lines.contains("30000") || !lines.contains("mqtt.limits.max_payload") {
		t.Error("the log does not say why")
	}
	other.publish("a", strings.Repeat("x", 1<<20), 1, 1, 0)
	other.expect(tPuback)
}

// TestLargePayload: the default limit takes what was seen of a very large house.
func TestLargePayload(t *testing.T) {
	h := &recorder{}
	b := start(t, broker.Options{Handler: h, DataPath: dataPath(t)})
	w := dial(t, b)
	w.join(hello{id: "z"})
	s := dial(t, b)
	s.join(hello{id: "s"})
	s.subscribe(1, "#", 1)
	big := strings.Repeat("devices ", 26_800_000/8)
	w.publish("bridge/devices", big, 1, 1, retain)
	if m := s.message(); len(m.payload) != len(big) {
		t.Fatalf("%d bytes", len(m.payload))
	}
	w.expect(tPuback)
	if got := h.payloads(); len(got) != 1 || got[0] != big {
		t.Fatal("not handled whole")
	}
}

// TestClientComesBack: a client that has lost its connection, which the broker does not know yet, is not one too many.
func TestClientComesBack(t *testing.T) {
	eachVersion(t, func(t *testing.T, v byte) {
		b := start(t, broker.Options{Limits: broker.Limits{MaxClients: 1}})
		for range 3 {
			w := dial(t, b)
			w.join(hello{version: v, id: "a"})
		}
		if code, _ := dial(t, b).connect(hello{version: v, id: "b"}); code == 0 {
			t.Error("two clients, where one may be")
		}
	})
}

// TestHalfOpen: a connection that never sends its CONNECT, or a piece of it, is closed.
func TestHalfOpen(t *testing.T) {
	b := start(t, broker.Options{Limits: broker.Limits{ConnectTimeout: 200 * time.Millisecond}})
	for _, head := range [][]byte{nil, {tConnect << 4}, hello{version: 4, id: "x"}.encode()[:8]} {
		w := dial(t, b)
		w.send(head)
		begin := time.Now()
		w.expectClosed()
		if d := time.Since(begin); d > 3*time.Second {
			t.Errorf("closed after %s", d)
		}
	}
	// A length that says more than any CONNECT has is not waited for.
	w := dial(t, b)
	w.send([]byte{tConnect << 4, 0xff, 0xff, 0xff, 0x7f})
	w.expectClosed()
}

func TestClientLimits(t *testing.T) {
	eachVersion(t, func(t *testing.T, v byte) {
		b := start(t, broker.Options{Limits: broker.Limits{MaxClients: 2, MaxSessions: 3, MaxClientIDBytes: 10}})
		w := dial(t, b)
		if code, _ := w.connect(hello{version: v, id: strings.Repeat("x", 11)}); code != map[byte]byte{4: 2, 5: 0x85}[v] {
			t.Errorf("a long client id: %#x", code)
		}
		one, two := dial(t, b), dial(t, b)
		one.join(hello{version: v, id: "1"})
		two.join(hello{version: v, id: "2"})
		busy := map[byte]byte{4: 3, 5: 0x89}[v]
		if code, _ := dial(t, b).connect(hello{version: v, id: "3"}); code != busy {
			t.Errorf("one client too many: %#x", code)
		}
		one.send(packet(tDisconnect << 4))
		two.send(packet(tDisconnect << 4))
		one.expectClosed()
		two.expectClosed()
		eventually(t, "room", func() bool { return b.Stats().Sessions == 0 })
		for i := range 4 {
			w := dial(t, b)
			code, _ := w.connect(hello{version: v, id: fmt.Sprint(i), kept: true})
			if (i < 3 && code != 0) || (i == 3 && code != busy) {
				t.Errorf("session %d of 3: %#x", i+1, code)
			}
			_ = w.c.Close()
			eventually(t, "gone", func() bool { return b.Stats().Connected == 0 })
		}
	})
}

// TestKeepAlive: the library computes one and a half times the keepalive in 16 bits.
func TestKeepAlive(t *testing.T) {
	b := start(t, broker.Options{})
	for _, k := range []uint16{43691, 65535} {
		w := dial(t, b)
		w.join(hello{id: fmt.Sprint(k), keepalive: k})
		w.expectSilence(100 * time.Millisecond)
		w.send(packet(tPingreq << 4))
		w.expect(tPingresp)
	}
	w := dial(t, b)
	w.version = 5
	w.send(hello{version: 5, id: "k", keepalive: 65535}.encode())
	_, body := w.expect(tConnack)
	if !bytes.Contains(body, []byte{19, 600 >> 8, 600 & 0xff}) {
		t.Errorf("no server keepalive of 600 s in CONNACK % x", body)
	}
	if !bytes.Contains(body, []byte{39}) {
		t.Errorf("no maximum packet size in CONNACK % x", body)
	}
}

func TestQuotas(t *testing.T) {
	b := start(t, broker.Options{Limits: broker.Limits{MaxRetained: 2, MaxRetainedBytes: 100, MaxQueued: 5, MaxQueuedBytes: 1000, ReceiveMaximum: 3}})
	w := dial(t, b)
	w.join(hello{version: 5, id: "p"})
	for i, c := range []struct {
		topic string
		size  int
		code  int
	}{{"1", 40, -1}, {"2", 40, -1}, {"3", 1, 0x97}, {"1", 70, 0x97}, {"1", 50, -1}, {"1", 0, -1}, {"3", 1, -1}} {
		w.publish(c.topic, strings.Repeat("x", c.size), 1, uint16(i+1), retain)
		_, body := w.expect(tPuback)
		code := -1
		if len(body) > 2 {
			code = int(body[2])
		}
		if code != c.code {
			t.Errorf("retained message %d: code %#x, want %#x", i, code, c.code)
		}
	}
	s := dial(t, b)
	s.join(hello{id: "s", kept: true})
	s.subscribe(1, "q", 1)
	_ = s.c.Close()
	eventually(t, "gone", func() bool { return b.Stats().Connected == 1 })
	for i := range 9 {
		w.publish("q", fmt.Sprint(i), 1, uint16(i+1), 0)
		w.expect(tPuback)
	}
	s = dial(t, b)
	s.join(hello{id: "s", kept: true})
	for i := range 5 {
		m := s.message()
		if m.payload != fmt.Sprint(i) {
			t.Fatalf("queued %q", m.payload)
		}
		s.idPacket(tPuback, m.id)
	}
	s.expectSilence(30 * time.Millisecond)
	if got := b.Stats().Dropped; got != 4 {
		t.Errorf("%d dropped", got)
	}
	for i := range 4 {
		w.publish("a", "x", 2, uint16(i+1), 0)
	}
	kinds := w.expectClosed()
	if !slices.Equal(kinds, []byte{tPubrec, tPubrec, tPubrec, tDisconnect}) {
		t.Errorf("beyond the receive maximum: packets %v", kinds)
	}
}

// TestStuckSubscriber: a subscriber that does not read holds up nobody, costs bounded memory, and is disconnected.
func TestStuckSubscriber(t *testing.T) {
	eachVersion(t, func(t *testing.T, v byte) {
		log, lines := logger()
		b := start(t, broker.Options{Logger: log, Limits: broker.Limits{MaxPayload: 1 << 20, MaxUnsent: 4 << 20, MaxQueuedBytes: 2 << 20}})
		stuck := dial(t, b)
		stuck.join(hello{version: v, id: "stuck", kept: true})
		stuck.subscribe(1, "1/#", 1)
		stuck.subscribe(2, "0/#", 0)
		p := dial(t, b)
		p.join(hello{version: v, id: "p"})
		payload := strings.Repeat("x", 100_000)
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		for i := range 400 {
			begin := time.Now()
			p.publish([]string{"0/a", "1/a"}[i%2], payload, 1, uint16(i+1), 0)
			p.expect(tPuback)
			if d := time.Since(begin); d > 2*time.Second {
				t.Fatalf("message %d took %s", i, d)
			}
		}
		runtime.GC()
		runtime.ReadMemStats(&after)
		if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > 20<<20 {
			t.Errorf("%d MB more on the heap", grown>>20)
		}
		eventually(t, "slow client disconnected", func() bool { return b.Stats().Connected == 1 && lines.contains("reads too slowly") })
	})
}

// TestGarbage: seconds of noise on the wire, before and after CONNECT; then everything works.
func TestGarbage(t *testing.T) {
	h := &recorder{}
	b := start(t, broker.Options{Handler: h, Limits: broker.Limits{ConnectTimeout: time.Second}})
	deadline := time.Now().Add(4 * time.Second)
	var wg sync.WaitGroup
	for i := range 4 {
		rnd := rand.New(rand.NewPCG(uint64(i), 42))
		wg.Go(func() {
			for n := 0; time.Now().Before(deadline); n++ {
				garbage(b, rnd, fmt.Sprintf("g%d-%d", i, n%50))
			}
		})
	}
	wg.Wait()
	w := dial(t, b)
	w.join(hello{version: 5, id: "after", kept: true})
	w.subscribe(1, "x/#", 1)
	w.publish("x/y", "fine", 1, 2, 0)
	for range 2 {
		first, body, err := w.read(5 * time.Second)
		if err != nil {
			t.Fatal(err)
		}
		if first>>4 == tPublish {
			w.idPacket(tPuback, w.decode(first, body).id)
		}
	}
	if !slices.Contains(h.payloads(), "fine") {
		t.Fatal("not handled")
	}
	t.Logf("%+v", b.Stats())
}

// garbage is one connection: noise, or valid packets with bytes changed.
func garbage(b *broker.Broker, rnd *rand.Rand, id string) {
	c, err := net.Dial("tcp", b.Addr().String())
	if err != nil {
		return
	}
	defer func() { _ = c.Close() }()
	v := byte(4 + rnd.IntN(2))
	w := &wire{version: v}
	good := [][]byte{
		hello{version: v, id: id, will: "w/x", willPayload: "w", kept: rnd.IntN(2) == 0}.encode(),
		packet(tPublish<<4|byte(rnd.IntN(2))<<1, str("a/b"), []byte{0, 1, 0}, []byte("x")),
		packet(tSubscribe<<4|2, []byte{0, 2, 0}, str("a/#"), []byte{1}),
		packet(tUnsubscribe<<4|2, []byte{0, 3, 0}, str("a/#")),
		packet(tPubrel<<4|2, []byte{0, 1}), packet(tPubrec<<4, []byte{0, 1}), packet(tPuback<<4, []byte{0, 1}),
		packet(tPingreq << 4), packet(tDisconnect<<4, []byte{0}), packet(15<<4, []byte{0, 0}),
	}
	out := slices.Clone(good[0])
	if rnd.IntN(5) == 0 {
		out = make([]byte, rnd.IntN(200))
		for i := range out {
			out[i] = byte(rnd.Uint32())
		}
	}
	for range rnd.IntN(12) {
		p := slices.Clone(good[rnd.IntN(len(good))])
		for range rnd.IntN(4) {
			p[rnd.IntN(len(p))] = byte(rnd.Uint32())
		}
		if rnd.IntN(6) == 0 {
			p = p[:rnd.IntN(len(p)+1)]
		}
		out = append(out, p...)
	}
	_ = w
	_ = c.SetDeadline(time.Now().Add(300 * time.Millisecond))
	_, _ = c.Write(out)
	if rnd.IntN(3) == 0 {
		buf := make([]byte, 4096)
		_, _ = c.Read(buf)
	}
}

// TestRetainedFlood: a subscriber to everything gets every retained message, however many.
func TestRetainedFlood(t *testing.T) {
	b := start(t, broker.Options{})
	const n = 20_000
	for i := range n {
		if err := b.Publish(context.Background(), fmt.Sprintf("r/%d", i), []byte("x"), 0, true); err != nil {
			t.Fatal(err)
		}
	}
	s := dial(t, b)
	s.join(hello{id: "s"})
	s.subscribe(1, "#", 0)
	for i := range n {
		first, _, err := s.read(10 * time.Second)
		if err != nil || first>>4 != tPublish || first&retain == 0 {
			t.Fatalf("message %d of %d: type %d, %v", i, n, first>>4, err)
		}
	}
	if s := b.Stats(); s.Dropped != 0 {
		t.Errorf("%+v", s)
	}
}

// TestConcurrentRetained: subscribing while retained messages change is safe.
func TestConcurrentRetained(t *testing.T) {
	b := start(t, broker.Options{})
	var wg sync.WaitGroup
	for i := range 3 {
		w, s := dial(t, b), dial(t, b)
		w.join(hello{id: fmt.Sprint("p", i)})
		s.join(hello{id: fmt.Sprint("s", i)})
		wg.Go(func() {
			for n := range 200 {
				payload := ""
				if n%3 > 0 {
					payload = "x"
				}
				w.publish(fmt.Sprintf("r/%d", n%10), payload, 1, uint16(n+1), retain)
				w.expect(tPuback)
			}
		})
		wg.Go(func() {
			for n := range 200 {
				s.send(packet(tSubscribe<<4|2, []byte{0, byte(n + 1)}, str("r/+"), []byte{0}))
				if n%2 == 0 {
					s.send(packet(tUnsubscribe<<4|2, []byte{0, byte(n + 1)}, str("r/+")))
				}
			}
		})
		go func() { _, _ = s.r.WriteTo(discard{}) }()
	}
	wg.Wait()
}

type discard struct{}

func (discard) Write(p []byte) (int, error) { return len(p), nil }

// TestClaimedLengths: clients that claim to send as much as is allowed, and do not, cost no more memory than is allowed for
// all of them together; whoever is honest goes on, also with large messages when they are gone.
func TestClaimedLengths(t *testing.T) {
	const claimed = 8 << 20
	log, lines := logger()
	b := start(t, broker.Options{Logger: log, Limits: broker.Limits{
		MaxPayload: claimed, MaxIncomingBytes: 24 << 20,
	}})
	honest := dial(t, b)
	honest.join(hello{version: 4, id: "honest"})
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	claim := packet(tPublish<<4, str("a"), make([]byte, claimed-1000))[:100]
	var liars []*wire
	for i := range 40 {
		w := dial(t, b)
		w.join(hello{version: 4, id: fmt.Sprint("liar", i)})
		w.send(claim)
		liars = append(liars, w)
	}
	honest.publish("a", strings.Repeat("x", 50_000), 1, 1, 0)
	honest.expect(tPuback)
	eventually(t, "some are sent away at once", func() bool { return b.Stats().Connected < 10 && lines.contains("max_incoming_bytes") })
	runtime.GC()
	runtime.ReadMemStats(&after)
	if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > 60<<20 {
		t.Errorf("%d MB more on the heap", grown>>20)
	}
	for _, w := range liars {
		_ = w.c.Close()
	}
	eventually(t, "room", func() bool { return b.Stats().Connected == 1 })
	honest.publish("a", strings.Repeat("x", claimed-1000), 1, 2, 0)
	honest.expect(tPuback)
}

// TestSlowHandler: the time that is spent on a message is not that of the client that has begun the next one.
func TestSlowHandler(t *testing.T) {
	const timeout = 400 * time.Millisecond
	h := &recorder{do: func(m mqtt.Message) error {
		if string(m.Payload) == "1" {
			time.Sleep(timeout + timeout/2) // it is slow
		}
		return nil
	}}
	w := dial(t, start(t, broker.Options{Handler: h, Limits: broker.Limits{ConnectTimeout: timeout}}))
	w.join(hello{id: "p"})
	both := publications(4, 1, 2)
	w.send(both[:len(both)-1])
	w.expect(tPuback)
	w.send(both[len(both)-1:])
	w.expect(tPuback)
}

// TestTrickle: a packet that has begun has to come to its end, also of a client whose keepalive is never.
func TestTrickle(t *testing.T) {
	b := start(t, broker.Options{Limits: broker.Limits{ConnectTimeout: 300 * time.Millisecond}})
	for name, n := range map[string]int{"a header": 1, "a small packet": 60, "a large packet": 70_000} {
		idle, w := dial(t, b), dial(t, b)
		idle.join(hello{version: 4, id: "idle"})
		w.join(hello{version: 4, id: "trickle"})
		whole := packet(tPublish<<4, str("a"), make([]byte, max(2*n, 60)))
		w.send(whole[:n])
		var dripping sync.WaitGroup
		dripping.Go(func() {
			for _, c := range whole[n:] { // one byte at a time, until the connection is closed
				if _, err := w.c.Write([]byte{c}); err != nil {
					return
				}
				time.Sleep(50 * time.Millisecond)
			}
		})
		began := time.Now()
		w.expectClosed()
		dripping.Wait()
		t.Logf("%s: closed after %s", name, time.Since(began))
		idle.publish("a", "idle is not late", 1, 1, 0)
		idle.expect(tPuback)
	}
}

// TestBacklog: what waits for all clients together is bounded, whoever they are; who reads goes on.
func TestBacklog(t *testing.T) {
	log, lines := logger()
	const backlog = 8 << 20
	b := start(t, broker.Options{Logger: log, Limits: broker.Limits{MaxPayload: 1 << 20, MaxBacklogBytes: backlog}})
	for i := range 20 {
		w := dial(t, b)
		w.join(hello{version: 5, id: fmt.Sprint("away", i), kept: true})
		w.subscribe(1, "q/#", 1)
		w.send(packet(tDisconnect << 4))
		w.expectClosed()
	}
	p := dial(t, b)
	p.join(hello{version: 4, id: "p"})
	for i := range 20 {
		p.publish(fmt.Sprint("q/", i), strings.Repeat("x", 100_000), 1, uint16(i+1), 0)
		p.expect(tPuback)
	}
	if n := b.Backlog(); n > backlog || n < backlog-200_000 {
		t.Errorf("%d bytes wait", n)
	}
	if !lines.contains("max_backlog_bytes") {
		t.Error("nobody is told")
	}
	reader := dial(t, b)
	reader.join(hello{version: 4, id: "reader"})
	reader.subscribe(1, "r", 0)
	p.publish("r", strings.Repeat("x", 500_000), 1, 100, 0)
	reader.expect(tPublish)
	p.expect(tPuback)
	for i := range 20 {
		w := dial(t, b)
		w.join(hello{version: 5, id: fmt.Sprint("away", i), kept: true, clean: true}) // begins anew, and so ends what waits
		_ = w.c.Close()
	}
	eventually(t, "nothing waits", func() bool { return b.Backlog() == 0 })
}
