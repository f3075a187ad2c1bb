package broker_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/statehouse/statehouse/internal/mqtt/broker"
)

// TestExpiredNotSent: a command whose time is over does not reach its device any more, wherever it waited: behind others that the device had
// not acknowledged or not taken, or in the file; nor a second time, if its first one may have been lost.
func TestExpiredNotSent(t *testing.T) {
	for _, qos := range []byte{1, 2} {
		for name, f := range map[string]func(t *testing.T, b *broker.Broker, c *clock, w *wire, again func(perhaps bool) *wire){
			"away": func(t *testing.T, b *broker.Broker, c *clock, w *wire, again func(perhaps bool) *wire) {
				w.leave(b)
				say(t, b, "before", qos, false)
				say(t, b, "UNLOCK", qos, true)
				c.forward(10 * time.Minute)
				w = again(false)
				w.end(w.message())
			},
			"at the receive maximum": func(t *testing.T, b *broker.Broker, c *clock, w *wire, _ func(bool) *wire) {
				say(t, b, "before", qos, false)
				say(t, b, "UNLOCK", qos, true)
				before := w.message()
				c.forward(10 * time.Minute)
				w.end(before)
			},
			"sent before": func(t *testing.T, b *broker.Broker, c *clock, w *wire, again func(perhaps bool) *wire) {
				say(t, b, "UNLOCK", qos, true)
				w.message()
				w.leave(b)
				c.forward(10 * time.Minute)
				again(true)
			},
		} {
			for _, restart := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s/qos%d/restart=%v", name, qos, restart), func(t *testing.T) {
					var c clock
					opts := broker.Options{Now: c.now, DataPath: dataPath(t)}
					b := start(t, opts)
					w := dial(t, b)
					device := hello{version: 5, id: "device", kept: true, receiveMax: 1}
					w.join(device)
					w.subscribe(1, "t", qos)
					again := func(perhaps bool) *wire { // the device has perhaps the command
						if restart {
							perhaps = true // nobody knows
							if err := b.Close(); err != nil {
								t.Fatal(err)
							}
							b = start(t, opts)
						}
						w = dial(t, b)
						if !w.join(device) {
							t.Fatal("no session")
						}
						if qos == 2 && perhaps { // it ends properly, and without its content
							_, body := w.expect(tPubrel)
							w.idPacket(tPubcomp, uint16(body[1]))
						}
						return w
					}
					f(t, b, &c, w, again)
					for _, m := range w.came() {
						if m.payload != "" {
							t.Errorf("late: %+v", m)
						}
					}
					say(t, b, "after", qos, false)
					if m := w.message(); m.payload != "after" {
						t.Errorf("%+v", m)
					}
				})
			}
		}
	}
}

// end acknowledges a message wholly.
func (w *wire) end(m message) {
	w.t.Helper()
	if m.qos == 2 {
		w.idPacket(tPubrec, m.id)
		w.expect(tPubrel)
		w.idPacket(tPubcomp, m.id)
		return
	}
	w.idPacket(tPuback, m.id)
}

// TestExpiredLeavesFile: nothing is left of an expired message, also without its client.
func TestExpiredLeavesFile(t *testing.T) {
	var c clock
	opts := broker.Options{Now: c.now, DataPath: dataPath(t)}
	b := start(t, opts)
	w := dial(t, b)
	w.join(hello{version: 5, id: "s", kept: true})
	w.subscribe(1, "t", 1)
	w.leave(b)
	say(t, b, "stays", 1, false)
	stays := b.Backlog()
	say(t, b, "goes", 1, true)
	c.forward(10 * time.Minute)
	b.Tidy(c.now())
	if n := b.Backlog(); n != stays {
		t.Errorf("%d bytes wait, want %d", n, stays)
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	c.forward(-10 * time.Minute)
	b = start(t, opts)
	w = dial(t, b)
	w.join(hello{version: 5, id: "s", kept: true})
	if got := w.came(); len(got) != 1 || got[0].payload != "stays" {
		t.Errorf("%+v", got)
	}
}

// TestExpiredUnderWay: a message whose time is over is under way for as long as its connection lasts, and then it is gone, without its client.
func TestExpiredUnderWay(t *testing.T) {
	var c clock
	b := start(t, broker.Options{Now: c.now})
	w := dial(t, b)
	w.join(hello{version: 5, id: "s", kept: true, receiveMax: 1})
	w.subscribe(1, "t", 1)
	say(t, b, "goes", 1, true)
	w.message()
	c.forward(10 * time.Minute)
	b.Tidy(c.now())
	if b.Backlog() == 0 {
		t.Error("it was given up while it is under way")
	}
	w.leave(b)
	b.Tidy(c.now())
	if n := b.Backlog(); n != 0 {
		t.Errorf("%d bytes wait", n)
	}
}

// TestClockSetBack: when the clock on the wall is set back, a message is good for no longer than its publisher said, wherever it waits.
func TestClockSetBack(t *testing.T) {
	for _, away := range []bool{false, true} {
		var c clock
		b := start(t, broker.Options{Now: c.now}.WithElapsed(c.elapsed))
		w := dial(t, b)
		w.join(hello{version: 5, id: "s", kept: true, receiveMax: 1})
		w.subscribe(1, "t", 1)
		wait := func() { // for the receive maximum, or the client
			if away {
				w.leave(b)
			} else {
				say(t, b, "before", 1, false)
			}
		}
		arrive := func() {
			if away {
				w = dial(t, b)
				w.join(hello{version: 5, id: "s", kept: true, receiveMax: 1})
			} else {
				w.end(w.message())
			}
		}
		wait()
		say(t, b, "good", 1, true)
		c.forward(-time.Hour)
		c.pass(59 * time.Second)
		arrive()
		m := w.message()
		if m.payload != "good" {
			t.Fatalf("%+v", m)
		}
		w.end(m)
		w.came()
		wait()
		say(t, b, "UNLOCK", 1, true)
		c.forward(-time.Hour)
		c.pass(62 * time.Second)
		arrive()
		if late := w.came(); late != nil {
			t.Errorf("away: %v: late: %+v", away, late)
		}
		wait()
		say(t, b, "UNLOCK", 1, true)
		before := b.Backlog()
		c.forward(-time.Hour)
		c.pass(62 * time.Second)
		b.Tidy(c.now())
		if n := b.Backlog(); n >= before {
			t.Errorf("away: %v: %d bytes wait, as before", away, n)
		}
	}
}

// TestClockSetForward: a session is kept for as long as was said, also when the clock on the wall is set after the start, as on a board that has
// none of its own.
func TestClockSetForward(t *testing.T) {
	for _, restart := range []bool{false, true} {
		var c clock
		opts := broker.Options{DataPath: dataPath(t), Now: c.now}.WithElapsed(c.elapsed)
		b := start(t, opts)
		c.pass(10 * time.Minute)
		w := dial(t, b)
		w.join(hello{version: 5, id: "s", kept: true, expiry: 3600})
		c.pass(2 * time.Hour)
		w.leave(b)
		if restart {
			if err := b.Close(); err != nil {
				t.Fatal(err)
			}
			b = start(t, opts)
		}
		c.forward(20 * 365 * 24 * time.Hour)
		c.pass(59 * time.Minute)
		b.Tidy(c.now())
		if n := b.Stats().Sessions; n != 1 {
			t.Errorf("restart: %v: %d sessions after 59 minutes of an hour", restart, n)
		}
		c.pass(2 * time.Minute)
		b.Tidy(c.now())
		if n := b.Stats().Sessions; n != 0 {
			t.Errorf("restart: %v: %d sessions after 61 minutes of an hour", restart, n)
		}
	}
}

// TestSessionNoLongerKept: a session that is taken up for the length of a connection ends with it, also in the file.
func TestSessionNoLongerKept(t *testing.T) {
	path := dataPath(t)
	b := start(t, broker.Options{DataPath: path})
	w := dial(t, b)
	w.join(hello{version: 5, id: "s", kept: true})
	w.subscribe(1, "t", 1)
	w.leave(b)
	say(t, b, "once", 1, false)
	w = dial(t, b)
	w.version = 5
	w.send(packet(tConnect<<4, str("MQTT"), []byte{5, 0, 0, 60, 0}, str("s"))) // Clean Start 0, no session expiry
	if _, body := w.expect(tConnack); body[0] != 1 || body[1] != 0 {
		t.Fatalf("CONNACK % x", body)
	}
	w.end(w.message())
	w.came()
	w.send(packet(tDisconnect << 4))
	w.expectClosed()
	eventually(t, "the session has ended", func() bool { return b.Stats().Sessions == 0 })
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	b = start(t, broker.Options{DataPath: path})
	if n := b.Stats().Sessions; n != 0 {
		t.Errorf("%d sessions after the restart", n)
	}
	w = dial(t, b)
	if w.join(hello{version: 5, id: "s", kept: true}) {
		t.Error("a session that had ended is present")
	}
	if got := w.came(); got != nil {
		t.Errorf("%+v came again", got)
	}
}

// TestSessionEndsOrGoesOn: when a session's time is over at the moment in which its client comes back, it is whole or it is gone: a client that was
// told that its session is present has its subscriptions. That of a client that is there never ends.
func TestSessionEndsOrGoesOn(t *testing.T) {
	b := start(t, broker.Options{DataPath: dataPath(t)})
	far := time.Now().Add(365 * 24 * time.Hour)
	outcomes := map[bool]int{}
	for i := range 60 {
		v := byte(4 + i%2)
		w := dial(t, b)
		w.join(hello{version: v, id: "s", kept: true})
		w.subscribe(1, "t", 1)
		b.Tidy(far)
		w.leave(b)
		w = dial(t, b)
		var tidying sync.WaitGroup
		tidying.Go(func() {
			for range i % 8 {
				time.Sleep(20 * time.Microsecond)
			}
			b.Tidy(far)
		})
		present := w.join(hello{version: v, id: "s", kept: true})
		tidying.Wait()
		outcomes[present]++
		say(t, b, "x", 1, false)
		if got := w.came(); (len(got) == 1) != present {
			t.Fatalf("session present: %v, and %+v came", present, got)
		}
		w.leave(b)
		b.Tidy(far)
		if n := b.Stats().Sessions; n != 0 {
			t.Fatalf("%d sessions are left", n)
		}
	}
	t.Logf("present or not: %v", outcomes)
}

// TestSessionExpiryOfDisconnect: a DISCONNECT changes how long a session is kept, but cannot make one last that was not to.
func TestSessionExpiryOfDisconnect(t *testing.T) {
	b := start(t, broker.Options{Limits: broker.Limits{SessionExpiry: time.Hour}})
	expiry := func(seconds byte) []byte { return packet(tDisconnect<<4, []byte{0, 5, 17, 0, 0, 0, seconds}) }
	w := dial(t, b)
	w.version = 5
	w.send(hello{version: 5, id: "s", kept: true, expiry: 4000, keepalive: 60}.encode())
	if _, body := w.expect(tConnack); !slices.Contains(body, 17) {
		t.Errorf("CONNACK % x does not say that the session is kept for less", body)
	}
	w.send(expiry(50))
	w.expectClosed()
	eventually(t, "away", func() bool { return b.Stats().Connected == 0 })
	b.Tidy(time.Now().Add(30 * time.Second))
	if n := b.Stats().Sessions; n != 1 {
		t.Fatalf("%d sessions", n)
	}
	b.Tidy(time.Now().Add(100 * time.Second))
	if n := b.Stats().Sessions; n != 0 {
		t.Fatalf("%d sessions", n)
	}
	h := dial(t, b)
	h.join(hello{version: 5, id: "s"})
	h.send(expiry(50))
	if kinds := h.expectClosed(); !slices.Equal(kinds, []byte{tDisconnect}) {
		t.Errorf("packets %v", kinds)
	}
	eventually(t, "gone", func() bool { return b.Stats().Sessions == 0 })
}

// TestUnsubscribeDurable: UNSUBACK is not sent when the file has the subscription still.
func TestUnsubscribeDurable(t *testing.T) {
	eachVersion(t, func(t *testing.T, v byte) {
		b, err := broker.Start(context.Background(), broker.Options{Address: "127.0.0.1:0", DataPath: dataPath(t)})
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = b.Close() }()
		w := dial(t, b)
		w.join(hello{version: v, id: "s", kept: true})
		w.subscribe(1, "t", 1)
		if err := b.BreakStore(); err != nil {
			t.Fatal(err)
		}
		w.send(packet(tUnsubscribe<<4|2, []byte{0, 2}, map[byte][]byte{4: nil, 5: {0}}[v], str("t")))
		if kinds := w.expectClosed(); slices.Contains(kinds, tUnsuback) {
			t.Errorf("packets %v", kinds)
		}
	})
}

// TestDelayedWillOfCleanStart: a client that begins anew has ended its old session, and with it the will's delay: it is published before
// anything that the client says now. One that takes the session up has taken the will back.
func TestDelayedWillOfCleanStart(t *testing.T) {
	h := &recorder{}
	b := start(t, broker.Options{Handler: h})
	for _, clean := range []bool{false, true} {
		w := dial(t, b)
		w.join(hello{version: 5, id: "p", kept: true, will: "w", willPayload: "late", willDelay: 200})
		w.leave(b)
		w = dial(t, b)
		w.join(hello{version: 5, id: "p", kept: true, clean: clean})
		w.publish("w", "again", 1, 1, 0)
		w.expect(tPuback)
		w.send(packet(tDisconnect << 4))
		w.expectClosed()
	}
	if got := h.payloads(); !slices.Equal(got, []string{"again", "late", "again"}) {
		t.Errorf("published %q", got)
	}
}
