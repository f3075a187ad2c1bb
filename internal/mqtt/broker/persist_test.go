package broker_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/statehouse/statehouse/internal/mqtt"
	"github.com/statehouse/statehouse/internal/mqtt/broker"
)

func retained(b *broker.Broker, filter string) (all []string) {
	for m := range b.Retained(filter) {
		all = append(all, m.Topic+"="+string(m.Payload))
	}
	return all
}

// TestRestart: retained messages, subscriptions and what was queued come back, the latter in order.
func TestRestart(t *testing.T) {
	eachVersion(t, func(t *testing.T, v byte) {
		path := dataPath(t)
		b := start(t, broker.Options{DataPath: path})
		s := dial(t, b)
		s.join(hello{version: v, id: "s", kept: true})
		s.subscribe(1, "q/#", 1)
		_ = s.c.Close()
		p := dial(t, b)
		p.join(hello{version: v, id: "p"})
		p.publish("r/1", "one", 1, 1, retain)
		p.expect(tPuback)
		p.publish("r/2", "two", 0, 0, retain)
		p.publish("r/3", "three", 2, 2, retain)
		p.expect(tPubrec)
		p.publish("r/3", "", 1, 3, retain)
		p.expect(tPuback)
		var want []string
		for i := range 50 {
			want = append(want, fmt.Sprint(i))
			p.publish(fmt.Sprintf("q/%d", i%3), want[i], 1, uint16(10+i), 0)
			p.expect(tPuback)
		}
		if err := b.Close(); err != nil {
			t.Fatal(err)
		}
		b = start(t, broker.Options{DataPath: path})
		if got := retained(b, "#"); !slices.Equal(got, []string{"r/1=one", "r/2=two"}) {
			t.Fatalf("retained %q", got)
		}
		if got := retained(b, "r/+"); len(got) != 2 {
			t.Fatalf("retained by filter: %q", got)
		}
		s = dial(t, b)
		if !s.join(hello{version: v, id: "s", kept: true}) {
			t.Fatal("no session")
		}
		var got []string
		for range want {
			m := s.message()
			got = append(got, m.payload)
			s.idPacket(tPuback, m.id)
		}
		if !slices.Equal(got, want) {
			t.Fatalf("queued messages came as %q", got)
		}
		s.expectSilence(50 * time.Millisecond)
		// The subscription is there too, and what was acknowledged does not come again.
		p = dial(t, b)
		p.join(hello{version: v, id: "p"})
		p.publish("q/x", "live", 1, 1, 0)
		p.expect(tPuback)
		if m := s.message(); m.payload != "live" {
			t.Fatalf("got %+v", m)
		}
		_ = s.c.Close()
		eventually(t, "disconnect", func() bool { return b.Stats().Connected == 1 })
		if err := b.Close(); err != nil {
			t.Fatal(err)
		}
		b = start(t, broker.Options{DataPath: path})
		s = dial(t, b)
		s.join(hello{version: v, id: "s", kept: true})
		if m := s.message(); m.payload != "live" || !m.dup {
			t.Fatalf("got %+v", m)
		}
		s.expectSilence(50 * time.Millisecond)
	})
}

// TestKill: what was acknowledged survives a kill. The test starts itself as the broker.
func TestKill(t *testing.T) {
	path := dataPath(t)
	for round := range 3 {
		cmd := exec.Command(os.Args[0], "-test.run=^TestKillChild$")
		cmd.Env = append(os.Environ(), "MQTT_KILL_CHILD="+path)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		line, err := bufio.NewReader(out).ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		c, err := net.Dial("tcp", strings.TrimSpace(line))
		if err != nil {
			t.Fatal(err)
		}
		w := &wire{t: t, c: c, r: bufio.NewReader(c)}
		if round == 0 {
			w.join(hello{id: "s", kept: true})
			w.subscribe(1, "k/#", 1)
			_ = c.Close()
			if c, err = net.Dial("tcp", strings.TrimSpace(line)); err != nil {
				t.Fatal(err)
			}
			w = &wire{t: t, c: c, r: bufio.NewReader(c)}
		}
		w.join(hello{id: "p"})
		for i := range 20 {
			w.publish(fmt.Sprintf("k/%d/%d", round, i), "x", 1, uint16(i+1), retain)
			w.expect(tPuback)
		}
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = cmd.Wait()
		_ = c.Close()
	}
	b := start(t, broker.Options{DataPath: path})
	if got := retained(b, "#"); len(got) != 60 {
		t.Fatalf("%d retained messages of 60", len(got))
	}
	s := dial(t, b)
	if !s.join(hello{id: "s", kept: true}) {
		t.Fatal("no session")
	}
	for i := range 60 {
		if m := s.message(); m.topic != fmt.Sprintf("k/%d/%d", i/20, i%20) {
			t.Fatalf("queued message %d is %+v", i, m)
		}
	}
}

// TestKillChild is the broker of TestKill.
func TestKillChild(t *testing.T) {
	path := os.Getenv("MQTT_KILL_CHILD")
	if path == "" {
		return
	}
	b := start(t, broker.Options{DataPath: path})
	fmt.Println(b.Addr())
	time.Sleep(time.Minute)
}

func TestDataFile(t *testing.T) {
	path := dataPath(t)
	b := start(t, broker.Options{DataPath: path})
	for p, want := range map[string]os.FileMode{path: 0o600, filepath.Dir(path): 0o700} {
		if fi, err := os.Stat(p); err != nil || fi.Mode().Perm() != want {
			t.Errorf("%s: mode %v, %v", p, fi.Mode(), err)
		}
	}
	_, err := broker.Start(context.Background(), broker.Options{Address: "127.0.0.1:0", DataPath: path})
	if err == nil || !strings.Contains(err.Error(), "in use") {
		t.Errorf("a second broker on one file: %v", err)
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string][]byte{"text": []byte(strings.Repeat("not a database\n", 2000)), "cut": readHead(t, path, 5000)} {
		bad := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(bad, content, 0o600); err != nil {
			t.Fatal(err)
		}
		b, err := broker.Start(context.Background(), broker.Options{Address: "127.0.0.1:0", DataPath: bad})
		if err == nil {
			_ = b.Close()
		}
		if err == nil || !strings.Contains(err.Error(), "damaged") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func readHead(t *testing.T, path string, n int) []byte {
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b[:n]
}

// TestSessionEnds: a clean start forgets, and a session that nobody keeps leaves nothing.
func TestSessionEnds(t *testing.T) {
	eachVersion(t, func(t *testing.T, v byte) {
		b := start(t, broker.Options{DataPath: dataPath(t)})
		w := dial(t, b)
		w.join(hello{version: v, id: "s", kept: true})
		w.subscribe(1, "a", 1)
		_ = w.c.Close()
		eventually(t, "gone", func() bool { return b.Stats().Connected == 0 })
		if err := b.Publish(context.Background(), "a", []byte("x"), 1, false); err != nil {
			t.Fatal(err)
		}
		w = dial(t, b)
		if w.join(hello{version: v, id: "s"}) {
			t.Fatal("a clean start found a session")
		}
		w.expectSilence(50 * time.Millisecond)
		w.send(packet(tDisconnect << 4))
		w.expectClosed()
		eventually(t, "session gone", func() bool { return b.Stats().Sessions == 0 })
		w = dial(t, b)
		if w.join(hello{version: v, id: "s", kept: true}) {
			t.Fatal("a session that was not kept")
		}
	})
}

// TestSessionExpires: when its time is over, nothing of it is left: no subscription, no queue.
func TestSessionExpires(t *testing.T) {
	path := dataPath(t)
	b := start(t, broker.Options{DataPath: path})
	w := dial(t, b)
	w.join(hello{version: 5, id: "s", kept: true, expiry: 1})
	w.subscribe(1, "a", 1)
	_ = w.c.Close()
	eventually(t, "expiry", func() bool { return b.Stats().Sessions == 0 })
	w = dial(t, b)
	if w.join(hello{version: 5, id: "s", kept: true}) {
		t.Fatal("an expired session")
	}
	if err := b.Publish(context.Background(), "a", []byte("x"), 1, false); err != nil {
		t.Fatal(err)
	}
	w.expectSilence(50 * time.Millisecond)
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	b = start(t, broker.Options{DataPath: path})
	if err := b.Publish(context.Background(), "a", []byte("x"), 1, false); err != nil {
		t.Fatal(err)
	}
	w = dial(t, b)
	if !w.join(hello{version: 5, id: "s", kept: true}) {
		t.Fatal("no session")
	}
	w.expectSilence(50 * time.Millisecond)
}

// TestTakeover: the new connection has the session, the old one is closed, and messages go on.
func TestTakeover(t *testing.T) {
	eachVersion(t, func(t *testing.T, v byte) {
		for _, kept := range []bool{false, true} {
			b := start(t, broker.Options{})
			var last *wire
			for i := range 20 {
				w := dial(t, b)
				if present := w.join(hello{version: v, id: "same", kept: kept}); present != (kept && i > 0) {
					t.Fatalf("connection %d: session present %v", i, present)
				}
				if code := w.subscribe(1, "a", 1); code != 1 {
					t.Fatalf("SUBACK %#x", code)
				}
				if last != nil {
					last.expectClosed()
				}
				if err := b.Publish(context.Background(), "a", []byte("x"), 1, false); err != nil {
					t.Fatal(err)
				}
				m := w.message()
				w.idPacket(tPuback, m.id)
				w.send(packet(tPingreq << 4)) // answered when the PUBACK was taken
				w.expect(tPingresp)
				last = w
			}
			if s := b.Stats(); s.Connected != 1 || s.Sessions != 1 {
				t.Fatalf("%+v", s)
			}
		}
	})
}

// TestReceiveMaximum: a client that takes one message at a time gets all, in order, and those that it did not acknowledge again.
func TestReceiveMaximum(t *testing.T) {
	b := start(t, broker.Options{})
	s := dial(t, b)
	s.join(hello{version: 5, id: "s", kept: true, receiveMax: 2})
	s.subscribe(1, "a", 1)
	for i := range 30 {
		if err := b.Publish(context.Background(), "a", fmt.Append(nil, i), 1, false); err != nil {
			t.Fatal(err)
		}
	}
	var got []message
	got = append(got, s.message(), s.message())
	s.expectSilence(30 * time.Millisecond)
	for range 18 {
		s.idPacket(tPuback, got[len(got)-2].id)
		got = append(got, s.message())
	}
	for i, m := range got {
		if m.payload != fmt.Sprint(i) {
			t.Fatalf("message %d is %q", i, m.payload)
		}
	}
	// 18 are acknowledged.
	_ = s.c.Close()
	s = dial(t, b)
	s.join(hello{version: 5, id: "s", kept: true})
	for i := 18; i < 30; i++ {
		if m := s.message(); m.payload != fmt.Sprint(i) {
			t.Fatalf("message %d is %q after the reconnect", i, m.payload)
		}
	}
	s.expectSilence(30 * time.Millisecond)
}

// TestQoS2ToSubscriber: PUBREC is enough for the broker not to send the message again, only its PUBREL.
func TestQoS2ToSubscriber(t *testing.T) {
	path := dataPath(t)
	b := start(t, broker.Options{DataPath: path})
	s := dial(t, b)
	s.join(hello{id: "s", kept: true})
	s.subscribe(1, "a", 2)
	for _, p := range []string{"one", "two"} {
		if err := b.Publish(context.Background(), "a", []byte(p), 2, false); err != nil {
			t.Fatal(err)
		}
	}
	one, _ := s.message(), s.message()
	s.idPacket(tPubrec, one.id)
	s.expect(tPubrel)
	_ = s.c.Close()
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	b = start(t, broker.Options{DataPath: path})
	s = dial(t, b)
	s.join(hello{id: "s", kept: true})
	if first, body := s.expect(tPubrel); first != tPubrel<<4|2 || body[1] != byte(one.id) {
		t.Fatalf("PUBREL % x", body)
	}
	if m := s.message(); m.payload != "two" {
		t.Fatalf("%+v", m)
	}
	s.idPacket(tPubcomp, one.id)
}

func TestWill(t *testing.T) {
	eachVersion(t, func(t *testing.T, v byte) {
		h, path := &recorder{}, dataPath(t)
		b := start(t, broker.Options{Handler: h, DataPath: path})
		w := dial(t, b)
		w.join(hello{version: v, id: "p", will: "w/p", willPayload: "offline", willRetain: true})
		_ = w.c.Close()
		eventually(t, "will", func() bool { return slices.Equal(h.payloads(), []string{"offline"}) })
		if m := h.got[0]; m.Topic != "w/p" || !m.Retain || m.Retained || m.Client != "p" {
			t.Fatalf("%+v", m)
		}
		eventually(t, "retained will", func() bool { return slices.Equal(retained(b, "#"), []string{"w/p=offline"}) })
		// A goodbye, and the broker's end, are no loss.
		w = dial(t, b)
		w.join(hello{version: v, id: "p", will: "w/p", willPayload: "not this"})
		w.send(packet(tDisconnect << 4))
		w.expectClosed()
		w = dial(t, b)
		w.join(hello{version: v, id: "p", will: "w/p", willPayload: "nor this"})
		if err := b.Close(); err != nil {
			t.Fatal(err)
		}
		if got := h.payloads(); len(got) != 1 {
			t.Fatalf("handled %q", got)
		}
		b = start(t, broker.Options{DataPath: path})
		if got := retained(b, "#"); !slices.Equal(got, []string{"w/p=offline"}) {
			t.Fatalf("after a restart: %q", got)
		}
	})
}

// TestEmptyWill: a will may be empty, and takes away what is retained then.
func TestEmptyWill(t *testing.T) {
	eachVersion(t, func(t *testing.T, v byte) {
		b := start(t, broker.Options{})
		if err := b.Publish(t.Context(), "w", []byte("online"), 1, true); err != nil {
			t.Fatal(err)
		}
		w := dial(t, b)
		w.join(hello{version: v, id: "p", will: "w", willRetain: true})
		_ = w.c.Close()
		eventually(t, "the will", func() bool { return b.Stats().Wills == 1 })
		if got := retained(b, "#"); got != nil {
			t.Errorf("retained %q", got)
		}
	})
}

// TestGoodbyes: a DISCONNECT takes the will back when its reason is 0, in whichever of its three lengths, and no other does.
func TestGoodbyes(t *testing.T) {
	for _, c := range []struct {
		body  []byte
		wills int64
	}{{nil, 0}, {[]byte{0}, 0}, {[]byte{0, 0}, 0}, {[]byte{4}, 1}, {[]byte{4, 0}, 1}, {[]byte{0x80}, 1}, {[]byte{0x80, 0}, 1}} {
		b := start(t, broker.Options{})
		w := dial(t, b)
		w.join(hello{version: 5, id: "p", will: "w", willPayload: "x"})
		w.send(packet(tDisconnect<<4, c.body))
		eventually(t, "the connection is over", func() bool { return b.Stats().Connected == 0 })
		if n := b.Stats().Wills; n != c.wills {
			t.Errorf("DISCONNECT % x: %d wills", c.body, n)
		}
	}
}

func TestDelayedWill(t *testing.T) {
	h := &recorder{}
	b := start(t, broker.Options{Handler: h})
	w := dial(t, b)
	w.join(hello{version: 5, id: "p", kept: true, will: "w", willPayload: "late", willDelay: 1})
	_ = w.c.Close()
	w = dial(t, b)
	w.join(hello{version: 5, id: "p", kept: true, will: "w", willPayload: "later", willDelay: 1})
	time.Sleep(1200 * time.Millisecond)
	if got := h.payloads(); got != nil {
		t.Fatalf("the client came back, and %q", got)
	}
	_ = w.c.Close()
	eventually(t, "delayed will", func() bool { return slices.Equal(h.payloads(), []string{"later"}) })
}

// TestWillTriedAgain: nobody waits for a will's acknowledgement, so it is tried a few times.
func TestWillTriedAgain(t *testing.T) {
	n := 0
	h := &recorder{do: func(mqtt.Message) error {
		if n++; n < 3 {
			return errors.New("not now")
		}
		return nil
	}}
	b := start(t, broker.Options{Handler: h})
	w := dial(t, b)
	w.join(hello{id: "p", will: "w", willPayload: "x"})
	_ = w.c.Close()
	eventually(t, "will", func() bool { return b.Stats().Wills == 1 })
}

// TestHalfAFile: of somebody who did not finish making the file nothing is in the way, and the file is there in whole or not
// at all.
func TestHalfAFile(t *testing.T) {
	path := dataPath(t)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path+".new", make([]byte, 5000), 0o600); err != nil {
		t.Fatal(err)
	}
	b := start(t, broker.Options{DataPath: path})
	if err := b.Publish(t.Context(), "r", []byte("x"), 1, true); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path + ".new"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the draft is still there: %v", err)
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	if got := retained(start(t, broker.Options{DataPath: path}), "#"); !slices.Equal(got, []string{"r=x"}) {
		t.Errorf("retained %q", got)
	}
}

// TestStoreFails: what needs the file is not acknowledged when the file cannot be written, and what does not need it is.
func TestStoreFails(t *testing.T) {
	eachVersion(t, func(t *testing.T, v byte) {
		b := start(t, broker.Options{DataPath: dataPath(t)})
		s := dial(t, b)
		s.join(hello{version: v, id: "s", kept: true})
		s.subscribe(1, "q", 1)
		_ = s.c.Close()
		q2 := dial(t, b)
		q2.join(hello{version: v, id: "q2", kept: true})
		q2.publish("a", "x", 2, 1, 0)
		q2.expect(tPubrec)
		if err := b.Stats().Fault; err != nil {
			t.Errorf("before anything fails: %v", err)
		}
		if err := b.BreakStore(); err != nil {
			t.Fatal(err)
		}
		for name, c := range map[string]struct {
			topic string
			qos   byte
			flags byte
		}{"retained": {"r", 1, retain}, "retained, QoS 0": {"r", 0, retain}, "queued": {"q", 1, 0}, "QoS 2 id": {"a", 2, 0}} {
			w := dial(t, b)
			w.join(hello{version: v, id: "p", kept: true})
			w.publish(c.topic, "x", c.qos, 1, c.flags)
			if kinds := w.expectClosed(); slices.Contains(kinds, tPuback) || slices.Contains(kinds, tPubrec) {
				t.Errorf("%s: packets %v", name, kinds)
			}
		}
		if b.Stats().Fault == nil {
			t.Error("the broker does not say that it cannot write its file")
		}
		q2.idPacket(tPubrel, 1)
		if kinds := q2.expectClosed(); slices.Contains(kinds, tPubcomp) {
			t.Error("PUBREL was answered, and its id is in the file still")
		}
		if got := retained(b, "#"); got != nil {
			t.Errorf("retained %q", got)
		}
		w := dial(t, b)
		w.join(hello{version: v, id: "p"})
		w.publish("a", "x", 1, 1, 0)
		w.expect(tPuback)
	})
}

// TestQoS2Forgotten: an id that was released is free, also after a restart: a message that used it and whose answer was lost
// comes with DUP, and is not the old one.
func TestQoS2Forgotten(t *testing.T) {
	h, path := &recorder{}, dataPath(t)
	b := start(t, broker.Options{Handler: h, DataPath: path})
	w := dial(t, b)
	w.join(hello{id: "p", kept: true})
	w.publish("a", "old", 2, 1, 0)
	w.expect(tPubrec)
	w.idPacket(tPubrel, 1)
	w.expect(tPubcomp)
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	b = start(t, broker.Options{Handler: h, DataPath: path})
	w = dial(t, b)
	w.join(hello{id: "p", kept: true})
	w.publish("a", "new", 2, 1, dup)
	w.expect(tPubrec)
	if got := h.payloads(); !slices.Equal(got, []string{"old", "new"}) {
		t.Fatalf("handled %q", got)
	}
}

// TestRetainedStays: retained messages have no age. The library removes them after a day by default.
func TestRetainedStays(t *testing.T) {
	b := start(t, broker.Options{})
	if err := b.Publish(context.Background(), "r", []byte("x"), 0, true); err != nil {
		t.Fatal(err)
	}
	time.Sleep(1300 * time.Millisecond) // its ticker runs every second
	if got := retained(b, "#"); len(got) != 1 {
		t.Fatalf("retained %q", got)
	}
}

// TestRetainedExpires: only a message that says so itself does.
func TestRetainedExpires(t *testing.T) {
	path := dataPath(t)
	b := start(t, broker.Options{DataPath: path})
	w := dial(t, b)
	w.join(hello{version: 5, id: "p"})
	w.send(packet(tPublish<<4|2|retain, str("r"), []byte{0, 1, 5, 2, 0, 0, 0, 1}, []byte("x")))
	w.expect(tPuback)
	if got := retained(b, "#"); len(got) != 1 {
		t.Fatalf("retained %q", got)
	}
	eventually(t, "expiry", func() bool { return len(retained(b, "#")) == 0 && b.Stats().RetainedBytes == 0 })
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	if got := retained(start(t, broker.Options{DataPath: path}), "#"); got != nil {
		t.Fatalf("after a restart: %q", got)
	}
}

// TestRetainedLasts: what is retained is there for as long as its publisher said, and up to a second more.
func TestRetainedLasts(t *testing.T) {
	var at atomic.Int64 // milliseconds
	at.Store(1_000_999)
	b := start(t, broker.Options{Now: func() time.Time { return time.UnixMilli(at.Load()) }})
	if err := b.PublishAny(t.Context(), mqtt.Publication{Topic: "r", Payload: []byte("x"), Retain: true, Expiry: time.Second}); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		after time.Duration
		there int
	}{{0, 1}, {time.Second, 1}, {2 * time.Second, 0}} {
		at.Store(1_000_999 + c.after.Milliseconds())
		if got := retained(b, "#"); len(got) != c.there {
			t.Errorf("after %s: %q", c.after, got)
		}
	}
}

// TestLastWords: what is published right before the end still reaches the clients that are connected.
func TestLastWords(t *testing.T) {
	for round := range 10 {
		b := start(t, broker.Options{})
		var subscribers []*wire
		for i, version := range []byte{4, 5, 4, 5, 4} {
			w := dial(t, b)
			w.join(hello{version: version, id: fmt.Sprint(i), clean: true})
			w.subscribe(1, "last/#", byte(i%3))
			subscribers = append(subscribers, w)
		}
		for _, payload := range []string{"one", "two", "three"} {
			if err := b.Publish(t.Context(), "last/words", []byte(payload), 1, true); err != nil {
				t.Fatal(err)
			}
		}
		if err := b.Close(); err != nil {
			t.Fatal(err)
		}
		for i, w := range subscribers {
			for _, want := range []string{"one", "two", "three"} {
				if got := w.message().payload; got != want {
					t.Fatalf("round %d: subscriber %d got %q instead of %q", round, i, got, want)
				}
			}
		}
	}
}
