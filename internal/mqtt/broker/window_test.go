package broker_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/statehouse/statehouse/internal/mqtt"
	"github.com/statehouse/statehouse/internal/mqtt/broker"
)

// clock is the one on the wall, which can be put forward and back, and one that nobody sets, on which time passes when a test says so.
type clock struct{ ahead, passed atomic.Int64 }

func (c *clock) now() time.Time          { return time.Now().Add(time.Duration(c.ahead.Load())) }
func (c *clock) forward(d time.Duration) { c.ahead.Add(int64(d)) }
func (c *clock) elapsed() time.Duration  { return time.Duration(c.passed.Load()) }
func (c *clock) pass(d time.Duration)    { c.passed.Add(int64(d)) }

// say publishes a message that is good for a minute, or for ever.
func say(t interface {
	Helper()
	Fatal(args ...any)
}, b *broker.Broker, payload string, qos byte, minute bool) {
	t.Helper()
	p := mqtt.Publication{Topic: "t", Payload: []byte(payload), QoS: qos}
	if minute {
		p.Expiry = time.Minute
	}
	if err := b.PublishAny(context.Background(), p); err != nil {
		t.Fatal(err)
	}
}

// leave ends a client's connection, and waits until the broker knows.
func (w *wire) leave(b *broker.Broker) {
	w.t.Helper()
	before := b.Stats().Connected
	_ = w.c.Close()
	eventually(w.t, "the client is away", func() bool { return b.Stats().Connected < before })
}

// came are the packets that came before the broker answered a PINGREQ: all that it had to send.
func (w *wire) came() (all []message) {
	w.t.Helper()
	w.send(packet(tPingreq << 4))
	for {
		first, body, err := w.read(10 * time.Second)
		if err != nil {
			w.t.Fatal(err)
		}
		switch first >> 4 {
		case tPublish:
			all = append(all, w.decode(first, body))
		case tPubrel:
			all = append(all, message{topic: "PUBREL", id: uint16(body[0])<<8 | uint16(body[1])})
		case tPingresp:
			return all
		default:
			w.t.Fatalf("packet type %d (% x)", first>>4, body)
		}
	}
}

// TestReceiveMaximumHeld: whoever publishes, and however fast the client answers, it never has more unacknowledged messages than it said,
// no two of them with one packet id, gets each publisher's in order, and gets all.
func TestReceiveMaximumHeld(t *testing.T) {
	const publishers, each = 4, 2500
	for _, most := range []uint16{1, 2, 10} {
		b := start(t, broker.Options{Limits: broker.Limits{MaxQueued: publishers * each}})
		w := dial(t, b)
		w.join(hello{version: 5, id: "s", receiveMax: most})
		w.subscribe(1, "t", 1)
		var publishing sync.WaitGroup
		for p := range publishers {
			publishing.Go(func() {
				for i := range each {
					if err := b.Publish(context.Background(), "t", fmt.Appendf(nil, "%d %d", p, i), 1, false); err != nil {
						t.Error(err)
					}
				}
			})
		}
		var open []uint16 // ids
		next := [publishers]int{}
		for n := range publishers * each {
			first, body, err := w.read(10 * time.Second)
			if err != nil {
				t.Fatalf("receive maximum %d: message %d does not come, and %d are not acknowledged: %v", most, n, len(open), err)
			}
			m := w.decode(first, body)
			var p, i int
			if _, err := fmt.Sscan(m.payload, &p, &i); err != nil || next[p] != i {
				t.Fatalf("receive maximum %d: got %q, want message %d", most, m.payload, next[p])
			}
			next[p]++
			if slices.Contains(open, m.id) {
				t.Fatalf("packet id %d is in use", m.id)
			}
			if open = append(open, m.id); len(open) > int(most) {
				t.Fatalf("%d messages are not acknowledged, and the receive maximum is %d", len(open), most)
			}
			if len(open) == int(most) && n%10 == 0 {
				if more := w.came(); more != nil {
					t.Fatalf("receive maximum %d, and beyond it came %+v", most, more)
				}
			}
			// Some now, some when no more can come.
			for len(open) == int(most) || len(open) > 0 && rand.IntN(2) == 0 {
				k := rand.IntN(len(open))
				w.idPacket(tPuback, open[k])
				open = slices.Delete(open, k, k+1)
			}
		}
		publishing.Wait()
		w.expectSilence(20 * time.Millisecond)
	}
}

// TestWindowFreed: messages that are not sent at all take nothing of the receive maximum, and an answer gives its part back whenever it comes.
func TestWindowFreed(t *testing.T) {
	t.Run("too large for the client", func(t *testing.T) {
		b := start(t, broker.Options{})
		w := dial(t, b)
		w.join(hello{version: 5, id: "s", receiveMax: 1, maxPacket: 200})
		w.subscribe(1, "#", 1)
		say(t, b, strings.Repeat("x", 190), 1, false)
		say(t, b, strings.Repeat("x", 1000), 1, false)
		say(t, b, "small", 1, false)
		first := w.message()
		w.idPacket(tPuback, first.id)
		if m := w.message(); len(first.payload) != 190 || m.payload != "small" {
			t.Fatalf("%+v and %+v", first, m)
		}
		if n := b.Stats().Dropped; n != 1 {
			t.Errorf("%d dropped", n)
		}
		w.idPacket(tPuback, first.id+2)
		eventually(t, "nothing is queued", func() bool { return b.Backlog() == 0 })
	})
	t.Run("queue full", func(t *testing.T) {
		b := start(t, broker.Options{Limits: broker.Limits{MaxQueued: 4}})
		w := dial(t, b)
		w.join(hello{version: 5, id: "s", receiveMax: 2})
		w.subscribe(1, "#", 1)
		for round := range 3 {
			for i := range 9 {
				say(t, b, fmt.Sprint(round, i), 1, false)
			}
			for i := range 4 {
				m := w.message()
				if m.payload != fmt.Sprint(round, i) {
					t.Fatalf("%+v", m)
				}
				w.idPacket(tPuback, m.id)
			}
			if more := w.came(); more != nil {
				t.Fatalf("%+v", more)
			}
		}
	})
	t.Run("answered late", func(t *testing.T) {
		var c clock
		b := start(t, broker.Options{Now: c.now})
		w := dial(t, b)
		w.join(hello{version: 5, id: "s", receiveMax: 1})
		w.subscribe(1, "#", 1)
		say(t, b, "short-lived", 1, true)
		m := w.message()
		c.forward(10 * time.Minute)
		b.Tidy(c.now())
		say(t, b, "next", 1, false)
		if more := w.came(); more != nil {
			t.Fatalf("the first is not acknowledged, and %+v came", more)
		}
		w.idPacket(tPuback, m.id)
		if m := w.message(); m.payload != "next" {
			t.Fatalf("%+v", m)
		}
	})
}

// TestQueueFullSentOnce: a client that is connected and takes more with QoS 1 than the queue holds gets it, without its packet ids being given twice.
func TestQueueFullSentOnce(t *testing.T) {
	eachVersion(t, func(t *testing.T, v byte) {
		b := start(t, broker.Options{Limits: broker.Limits{MaxQueued: 3}})
		w := dial(t, b)
		w.join(hello{version: v, id: "s", kept: true})
		w.subscribe(1, "#", 2)
		for i := range 6 {
			if i == 5 {
				b.LastPacketID("s", 0)
			}
			say(t, b, fmt.Sprint(i), []byte{1, 2, 1, 1, 1, 1}[i], false)
		}
		var ids []uint16
		for i, m := range w.came() {
			if m.payload != fmt.Sprint(i) || slices.Contains(ids, m.id) {
				t.Fatalf("%+v is message %d; ids before %v", m, i, ids)
			}
			ids = append(ids, m.id)
		}
		if len(ids) != 6 {
			t.Fatalf("%d came", len(ids))
		}
		w.idPacket(tPuback, ids[5])
		w.leave(b)
		w = dial(t, b)
		w.join(hello{version: v, id: "s", kept: true})
		if again := w.came(); len(again) != 3 {
			t.Fatalf("after the reconnect: %+v", again)
		}
	})
}

// TestPacketIDStays: a message that is not acknowledged keeps its packet id, also when the number comes round.
func TestPacketIDStays(t *testing.T) {
	b := start(t, broker.Options{})
	w := dial(t, b)
	w.join(hello{version: 5, id: "s", kept: true, receiveMax: 2})
	w.subscribe(1, "#", 1)
	for _, p := range []string{"a", "b", "held"} {
		say(t, b, p, 1, false)
	}
	first, second := w.message(), w.message()
	w.idPacket(tPuback, first.id)
	held := w.message()
	w.idPacket(tPuback, second.id)
	w.came()
	b.LastPacketID("s", 65533)
	for i := range 10 {
		say(t, b, fmt.Sprint(i), 1, false)
		m := w.message()
		if m.id == held.id || m.id == 0 {
			t.Fatalf("message %q has id %d, and %q has %d", m.payload, m.id, held.payload, held.id)
		}
		w.idPacket(tPuback, m.id)
		w.came()
	}
	w.leave(b)
	w = dial(t, b)
	w.join(hello{version: 5, id: "s", kept: true})
	if again := w.came(); len(again) != 1 || again[0].payload != "held" || again[0].id != held.id || !again[0].dup {
		t.Fatalf("sent again: %+v", again)
	}
}

// TestRetainedNotCrowdedOut: what is retained is not lost for a subscriber whose queue others fill at the same time.
func TestRetainedNotCrowdedOut(t *testing.T) {
	b := start(t, broker.Options{Limits: broker.Limits{MaxQueued: 2}})
	const n = 300
	manyRetained(t, b, n, 10, 1)
	w := dial(t, b)
	w.join(hello{version: 5, id: "s", receiveMax: 2})
	w.subscribe(1, "live", 1)
	stop := make(chan struct{})
	var publishing sync.WaitGroup
	for range 4 {
		publishing.Go(func() {
			for range 20_000 { // more than the others take
				select {
				case <-stop:
					return
				default:
					if err := b.Publish(context.Background(), "live", nil, 1, false); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	w.send(packet(tSubscribe<<4|2, []byte{0, 2, 0}, str("r/#"), []byte{1}))
	got := map[string]bool{}
	for len(got) < n {
		first, body, err := w.read(5 * time.Second)
		if err != nil {
			t.Errorf("%d of %d came: %v", len(got), n, err)
			break
		}
		if first>>4 != tPublish {
			continue
		}
		m := w.decode(first, body)
		w.idPacket(tPuback, m.id)
		if m.retain {
			got[m.topic] = true
		}
	}
	close(stop)
	publishing.Wait()
}

// modelled is a message of the model.
type modelled struct {
	payload             string
	order               int // of publishing, and then of PUBREC
	qos                 byte
	id                  uint16
	ends                time.Duration // the clock's position; 0: never
	received, out, sent bool          // sent: it may have been
}

// windowModel is what a session must have and send, written down plainly.
type windowModel struct {
	t     *rapid.T
	queue []*modelled
	most  int // 0: the client is away
	last  int // order
	at    time.Duration
	want  []*modelled // what must come, in order: each as a PUBLISH, or its PUBREL
	dups  []bool
}

func (s *windowModel) over(m *modelled) bool {
	return m.ends > 0 && m.ends < s.at && !m.received && !m.out
}

// end is what happens to a message whose time is over: false when a PUBREL takes its place.
func (s *windowModel) end(m *modelled) (gone bool) {
	if m.qos == 2 && m.sent {
		m.received = true
		return false
	}
	s.queue = slices.DeleteFunc(s.queue, func(o *modelled) bool { return o == m })
	return true
}

func (s *windowModel) out() (n int) {
	for _, m := range s.queue {
		if m.out {
			n++
		}
	}
	return n
}

// sendNext notes what must come now.
func (s *windowModel) sendNext() {
	for _, m := range slices.Clone(s.queue) {
		if m.out || s.out() >= s.most || s.over(m) && s.end(m) {
			continue
		}
		s.expect(m)
		m.out, m.sent = true, true
	}
}

// forward lets time pass.
func (s *windowModel) forward(d time.Duration) {
	s.at += d
	for _, m := range slices.Clone(s.queue) {
		if s.over(m) {
			s.end(m)
		}
	}
}

// come is the client coming back, or coming first.
func (s *windowModel) come(most int) {
	s.most = most
	s.forward(0)
	slices.SortFunc(s.queue, func(a, b *modelled) int {
		if a.received != b.received {
			return map[bool]int{true: -1, false: 1}[a.received]
		}
		return a.order - b.order
	})
	s.sendNext()
}

func (s *windowModel) gone() {
	s.most = 0
	for _, m := range s.queue {
		m.out = false
	}
}

// expect notes that a message must come, or its PUBREL.
func (s *windowModel) expect(m *modelled) { s.want, s.dups = append(s.want, m), append(s.dups, m.sent) }

// check compares what came with what must have.
func (s *windowModel) check(got []message) {
	var want []message
	for i, m := range s.want {
		if m.id == 0 && i < len(got) { // new: the broker chooses
			m.id = got[i].id
		}
		if m.received {
			want = append(want, message{topic: "PUBREL", id: m.id})
		} else {
			want = append(want, message{topic: "t", payload: m.payload, qos: m.qos, dup: s.dups[i], id: m.id})
		}
	}
	if !slices.Equal(got, want) {
		s.t.Fatalf("%+v came, want %+v", got, want)
	}
	ids := map[uint16]bool{}
	for _, m := range s.queue {
		if m.id > 0 && ids[m.id] {
			s.t.Fatalf("two messages have id %d", m.id)
		}
		ids[m.id] = true
	}
	s.want, s.dups = nil, nil
}

// TestWindowModel: whatever a client does, and the broker's restarts and the clock, messages with QoS 1 and 2 come when they must, as often as
// they must, and never when their time is over.
func TestWindowModel(t *testing.T) {
	dir, run := t.TempDir(), 0
	rapid.Check(t, func(rt *rapid.T) {
		run++
		var c clock
		opts, actions := broker.Options{Now: c.now}, []string{"publish", "publish", "publish", "answer", "answer", "answer", "leave or come", "time"}
		if rapid.IntRange(0, 9).Draw(rt, "file") == 0 { // every message takes a sync
			opts.DataPath, actions = filepath.Join(dir, fmt.Sprint(run), "mqtt.db"), append(actions, "restart")
		}
		b := start(t, opts)
		defer func() { _ = b.Close() }()
		s := &windowModel{t: rt}
		var w *wire
		come := func() {
			most := rapid.IntRange(1, 3).Draw(rt, "receive maximum")
			w = dial(t, b)
			w.join(hello{version: 5, id: "s", kept: true, receiveMax: uint16(most), expiry: 100_000})
			s.come(most)
		}
		come()
		w.subscribe(1, "t", 2)
		for i := range rapid.IntRange(1, 60).Draw(rt, "steps") {
			switch rapid.SampledFrom(actions).Draw(rt, "action") {
			case "publish":
				m := &modelled{payload: fmt.Sprint(i), qos: byte(rapid.IntRange(1, 2).Draw(rt, "qos"))}
				minute := rapid.Bool().Draw(rt, "minute")
				if minute {
					m.ends = s.at + time.Minute
				}
				say(rt, b, m.payload, m.qos, minute)
				s.last++
				m.order = s.last
				s.queue = append(s.queue, m)
				s.sendNext()
			case "answer":
				s.answer(w)
			case "leave or come":
				if s.most > 0 {
					w.leave(b)
					s.gone()
				} else {
					come()
				}
			case "restart":
				if err := b.Close(); err != nil {
					rt.Fatal(err)
				}
				b = start(t, opts)
				s.gone()
				for _, m := range s.queue {
					m.sent = true
				}
			case "time":
				c.forward(10 * time.Minute)
				b.Tidy(c.now()) // at once, so that it is certain what a restart finds
				s.forward(10 * time.Minute)
			}
			if s.most > 0 {
				got := w.came()
				for end := time.Now().Add(10 * time.Second); len(got) < len(s.want) && time.Now().Before(end); {
					got = append(got, w.came()...) // a PUBREL waits for the file
				}
				s.check(got)
			}
		}
	})
}

// answer answers one message that is under way.
func (s *windowModel) answer(w *wire) {
	var open []*modelled
	for _, m := range s.queue {
		if m.out && s.most > 0 {
			open = append(open, m)
		}
	}
	if len(open) == 0 {
		return
	}
	m := rapid.SampledFrom(open).Draw(s.t, "answered")
	if m.qos == 2 && !m.received {
		w.idPacket(tPubrec, m.id)
		s.last++
		m.received, m.order = true, s.last
		s.expect(m)
		return
	}
	w.idPacket(map[byte]byte{1: tPuback, 2: tPubcomp}[m.qos], m.id)
	s.queue = slices.DeleteFunc(s.queue, func(o *modelled) bool { return o == m })
	s.sendNext()
}
