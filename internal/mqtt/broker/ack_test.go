package broker_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/statehouse/statehouse/internal/mqtt"
	"github.com/statehouse/statehouse/internal/mqtt/broker"
)

// eachVersion runs a test for MQTT 3.1.1 and 5.
func eachVersion(t *testing.T, f func(t *testing.T, version byte)) {
	for _, v := range []byte{4, 5} {
		t.Run(fmt.Sprintf("v%d", v), func(t *testing.T) { f(t, v) })
	}
}

// answer is what a QoS is answered with.
func answer(qos byte) byte {
	if qos == 2 {
		return tPubrec
	}
	return tPuback
}

func TestAckOnlyAfterHandle(t *testing.T) {
	eachVersion(t, func(t *testing.T, v byte) {
		for qos := byte(1); qos <= 2; qos++ {
			release := make(chan struct{})
			h := &recorder{do: func(mqtt.Message) error { <-release; return nil }}
			w := dial(t, start(t, broker.Options{Handler: h, DataPath: dataPath(t)}))
			w.join(hello{version: v, id: "p"})
			w.publish("a/b", "x", qos, 7, 0)
			w.expectSilence(100 * time.Millisecond)
			close(release)
			if _, body := w.expect(answer(qos)); body[1] != 7 {
				t.Fatalf("acknowledged packet %d", body[1])
			}
			if qos == 2 {
				w.idPacket(tPubrel, 7)
				w.expect(tPubcomp)
			}
			if got := h.payloads(); !slices.Equal(got, []string{"x"}) {
				t.Fatalf("handled %q", got)
			}
		}
	})
}

// TestHandlerError: nothing is acknowledged, retained or passed on, and the connection ends.
func TestHandlerError(t *testing.T) {
	eachVersion(t, func(t *testing.T, v byte) {
		for qos := byte(0); qos <= 2; qos++ {
			for _, flags := range []byte{0, retain} {
				t.Run(fmt.Sprintf("qos%d/retain%d", qos, flags), func(t *testing.T) {
					h := &recorder{do: func(mqtt.Message) error { return errors.New("disk full") }}
					b := start(t, broker.Options{Handler: h, DataPath: dataPath(t)})
					sub := dial(t, b)
					sub.join(hello{version: v, id: "s"})
					sub.subscribe(1, "#", 1)
					w := dial(t, b)
					w.join(hello{version: v, id: "p"})
					w.publish("a/b", "x", qos, 7, flags)
					kinds := w.expectClosed()
					if want := map[byte][]byte{4: nil, 5: {tDisconnect}}[v]; !slices.Equal(kinds, want) {
						t.Fatalf("before the end: packets %v, want %v", kinds, want)
					}
					sub.expectSilence(50 * time.Millisecond)
					for m := range b.Retained("#") {
						t.Fatalf("retained %v", m.Topic)
					}
					if s := b.Stats(); s.Failed != 1 || s.Handled != 0 {
						t.Fatalf("stats %+v", s)
					}
				})
			}
		}
	})
}

// TestHandlerPanic costs the connection and no more.
func TestHandlerPanic(t *testing.T) {
	bad := true
	h := &recorder{do: func(m mqtt.Message) error {
		if string(m.Payload) == "bad" && bad {
			panic("bad")
		}
		return nil
	}}
	b := start(t, broker.Options{Handler: h})
	other := dial(t, b)
	other.join(hello{id: "other"})
	w := dial(t, b)
	w.join(hello{id: "p", will: "w/p", willPayload: "gone"})
	w.publish("a", "bad", 1, 1, 0)
	if kinds := w.expectClosed(); len(kinds) > 0 {
		t.Fatalf("packets %v before the end", kinds)
	}
	other.publish("a", "good", 1, 1, 0)
	other.expect(tPuback)
	eventually(t, "will after a panic", func() bool { return slices.Contains(h.payloads(), "gone") })
	if s := b.Stats(); s.Panics != 1 {
		t.Fatalf("stats %+v", s)
	}
	bad = false
}

// TestWillPanic: a will is handled when its connection is gone already; a panic there costs the will.
func TestWillPanic(t *testing.T) {
	b := start(t, broker.Options{Handler: &recorder{do: func(mqtt.Message) error { panic("bad") }}})
	w := dial(t, b)
	w.join(hello{id: "p", will: "w", willPayload: "x"})
	_ = w.c.Close()
	eventually(t, "will given up", func() bool { return b.Stats().WillsLost == 1 })
}

// TestQoS2Duplicate: sent again after a reconnect, also over a restart of the broker, a message is answered and not handled
// again; after its PUBREL the id is free for another one.
func TestQoS2Duplicate(t *testing.T) {
	eachVersion(t, func(t *testing.T, v byte) {
		for _, restart := range []bool{false, true} {
			t.Run(fmt.Sprintf("restart=%v", restart), func(t *testing.T) {
				h, path := &recorder{}, dataPath(t)
				b := start(t, broker.Options{Handler: h, DataPath: path})
				w := dial(t, b)
				w.join(hello{version: v, id: "p", kept: true})
				w.publish("a", "once", 2, 9, 0)
				w.expect(tPubrec)
				w.publish("a", "once", 2, 9, dup)
				w.expect(tPubrec)
				_ = w.c.Close()
				if restart {
					if err := b.Close(); err != nil {
						t.Fatal(err)
					}
					b = start(t, broker.Options{Handler: h, DataPath: path})
				}
				w = dial(t, b)
				if !w.join(hello{version: v, id: "p", kept: true}) {
					t.Fatal("no session")
				}
				w.publish("a", "once", 2, 9, dup)
				if _, body := w.expect(tPubrec); len(body) > 2 && body[2] >= 0x80 {
					t.Fatalf("a message that was taken is answered with code %#x", body[2])
				}
				w.idPacket(tPubrel, 9)
				w.expect(tPubcomp)
				w.publish("a", "again", 2, 9, 0)
				w.expect(tPubrec)
				w.idPacket(tPubrel, 9)
				w.expect(tPubcomp)
				if got := h.payloads(); !slices.Equal(got, []string{"once", "again"}) {
					t.Fatalf("handled %q", got)
				}
			})
		}
	})
}

// TestQoS2NewMessageWithoutDup: a client that lost its state uses an id again; its new message must not be taken for the old.
func TestQoS2NewMessageWithoutDup(t *testing.T) {
	h := &recorder{}
	w := dial(t, start(t, broker.Options{Handler: h}))
	w.join(hello{id: "p", kept: true})
	w.publish("a", "old", 2, 1, 0)
	w.expect(tPubrec)
	w.publish("a", "new", 2, 1, 0)
	w.expect(tPubrec)
	if got := h.payloads(); !slices.Equal(got, []string{"old", "new"}) {
		t.Fatalf("handled %q", got)
	}
}

// TestQoS2Reused: a message without DUP that takes the id of one that waits for its PUBREL replaces it. When it is not accepted, its repetition
// must not be taken for the old one's.
func TestQoS2Reused(t *testing.T) {
	var written atomic.Bool
	h := &recorder{}
	h.do = func(m mqtt.Message) error {
		if string(m.Payload) == "new" && !written.Load() {
			return errors.New("disk full")
		}
		return nil
	}
	b := start(t, broker.Options{Handler: h, DataPath: dataPath(t)})
	w := dial(t, b)
	w.join(hello{id: "p", kept: true})
	w.publish("a", "old", 2, 1, 0)
	w.expect(tPubrec)
	w.publish("a", "new", 2, 1, 0)
	if kinds := w.expectClosed(); len(kinds) > 0 {
		t.Fatalf("packets %v before the end", kinds)
	}
	written.Store(true)
	w = dial(t, b)
	w.join(hello{id: "p", kept: true})
	w.publish("a", "new", 2, 1, dup)
	w.expect(tPubrec)
	if got := h.payloads(); !slices.Equal(got, []string{"old", "new"}) {
		t.Fatalf("handled %q", got)
	}
}

// TestQoS2KilledBeforeDelivery: a broker that is killed before a message is in the queues of the kept sessions has not taken it over. The
// repetition goes to them, though the message may be retained already.
func TestQoS2KilledBeforeDelivery(t *testing.T) {
	path := dataPath(t)
	b := start(t, broker.Options{DataPath: path})
	s := dial(t, b)
	s.join(hello{id: "s", kept: true})
	s.subscribe(1, "t", 2)
	_ = s.c.Close()
	p := dial(t, b)
	p.join(hello{id: "p", kept: true})
	eventually(t, "the subscriber is away", func() bool { return b.Stats().Connected == 1 })

	release := b.HoldDelivery()
	p.publish("t", "precious", 2, 7, retain)
	eventually(t, "the message is in the file", func() bool { return b.Stats().Retained == 1 })
	image, err := os.ReadFile(path) // what a kill leaves
	release()
	if err != nil {
		t.Fatal(err)
	}
	p.expect(tPubrec)

	after := filepath.Join(t.TempDir(), "mqtt.db")
	if err := os.WriteFile(after, image, 0o600); err != nil {
		t.Fatal(err)
	}
	b = start(t, broker.Options{DataPath: after})
	p = dial(t, b)
	if !p.join(hello{id: "p", kept: true}) {
		t.Fatal("no session")
	}
	for range 2 { // the second one is a repetition indeed
		p.publish("t", "precious", 2, 7, retain|dup)
		p.expect(tPubrec)
	}
	p.idPacket(tPubrel, 7)
	p.expect(tPubcomp)
	s = dial(t, b)
	if !s.join(hello{id: "s", kept: true}) {
		t.Fatal("no session")
	}
	if m := s.message(); m.payload != "precious" || m.qos != 2 {
		t.Errorf("%+v", m)
	}
	s.expectSilence(50 * time.Millisecond)
}

// TestQoS2NotQueued: where the queue of a kept session could not be written, the message was not taken over, and its repetition is none.
func TestQoS2NotQueued(t *testing.T) {
	b, err := broker.Start(t.Context(), broker.Options{Address: "127.0.0.1:0", DataPath: dataPath(t)})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = b.Close() }()
	s := dial(t, b)
	s.join(hello{id: "s", kept: true})
	s.subscribe(1, "t", 1)
	p := dial(t, b)
	p.join(hello{id: "p", kept: true})
	release := b.HoldDelivery()
	p.publish("t", "precious", 2, 7, retain)
	eventually(t, "the message is in the file", func() bool { return b.Stats().Retained == 1 })
	err = b.BreakStore()
	release()
	if err != nil {
		t.Fatal(err)
	}
	if kinds := p.expectClosed(); len(kinds) > 0 {
		t.Fatalf("packets %v before the end", kinds)
	}
	p = dial(t, b)
	p.join(hello{id: "p", kept: true})
	p.publish("t", "precious", 2, 7, retain|dup)
	if kinds := p.expectClosed(); len(kinds) > 0 {
		t.Fatalf("packets %v before the end", kinds)
	}
	if n := b.Stats().Duplicates; n > 0 {
		t.Errorf("%d taken for a repetition", n)
	}
}

// TestPacketIDsOfBothDirections: the client's ids and the broker's are two spaces. With one list for both, a message towards
// a client is lost when the client uses its id.
func TestPacketIDsOfBothDirections(t *testing.T) {
	eachVersion(t, func(t *testing.T, v byte) {
		for qos := byte(1); qos <= 2; qos++ {
			h := &recorder{}
			b := start(t, broker.Options{Handler: h})
			w := dial(t, b)
			w.join(hello{version: v, id: "both", kept: true})
			w.subscribe(1, "to/me", 1)
			p := dial(t, b)
			p.join(hello{version: v, id: "p"})
			p.publish("to/me", "for you", 1, 1, 0)
			p.expect(tPuback)
			m := w.message() // not acknowledged
			w.publish("from/me", "x", qos, m.id, 0)
			w.expect(answer(qos))
			if qos == 2 {
				w.idPacket(tPubrel, m.id)
				w.expect(tPubcomp)
			}
			if code := w.subscribe(m.id, "more", 1); code != 1 {
				t.Fatalf("SUBSCRIBE with the id of a message towards the client: code %#x", code)
			}
			_ = w.c.Close()
			w = dial(t, b)
			w.join(hello{version: v, id: "both", kept: true})
			if again := w.message(); again.payload != "for you" || again.id != m.id || !again.dup {
				t.Fatalf("sent again: %+v", again)
			}
		}
	})
}

func TestOrderPerClient(t *testing.T) {
	h := &recorder{}
	w := dial(t, start(t, broker.Options{Handler: h}))
	w.join(hello{id: "p"})
	var want []string
	for i := range 500 {
		want = append(want, fmt.Sprint(i))
		w.publish("a", want[i], 1, uint16(i+1), 0)
	}
	for i := range 500 {
		if _, body := w.expect(tPuback); int(body[0])<<8|int(body[1]) != i+1 {
			t.Fatalf("acknowledgement %d is for % x", i+1, body)
		}
	}
	if got := h.payloads(); !slices.Equal(got, want) {
		t.Fatal("handled in another order")
	}
}
