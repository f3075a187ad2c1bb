package broker_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/statehouse/statehouse/internal/mqtt"
	"github.com/statehouse/statehouse/internal/mqtt/broker"
)

// TestQueueDrains: a client that comes back gets its whole queue on one connection, also where the queue is larger than what may be unsent, or
// all clients together have as much as they may: what waits in the queue is not the client's slowness.
func TestQueueDrains(t *testing.T) {
	for name, l := range map[string]broker.Limits{
		"unsent":  {MaxPayload: 64 << 10, MaxUnsent: 512 << 10, MaxQueuedBytes: 8 << 20},
		"backlog": {MaxBacklogBytes: 15 << 20, MaxQueuedBytes: 8 << 20},
	} {
		t.Run(name, func(t *testing.T) {
			b := start(t, broker.Options{Limits: l})
			for _, id := range []string{"s", "another, who stays away"} {
				w := dial(t, b)
				w.join(hello{id: id, kept: true})
				w.subscribe(1, "t", 1)
				w.leave(b)
				if name == "unsent" {
					break
				}
			}
			const n = 120
			for i := range n {
				if err := b.Publish(context.Background(), "t", append(fmt.Appendf(nil, "%04d", i), make([]byte, 60<<10)...), 1, false); err != nil {
					t.Fatal(err)
				}
			}
			w := dial(t, b)
			w.join(hello{id: "s", kept: true})
			for i := range n {
				m := w.message()
				if m.payload[:4] != fmt.Sprintf("%04d", i) {
					t.Fatalf("message %d is %q", i, m.payload[:4])
				}
				w.idPacket(tPuback, m.id)
			}
			if s := b.Stats(); s.SlowClients != 0 {
				t.Errorf("%d clients were disconnected as slow", s.SlowClients)
			}
		})
	}
}

// TestStuckQueue: a client that takes nothing is disconnected after the time that it has for it, also when nothing but its queue waits for it.
func TestStuckQueue(t *testing.T) {
	b := start(t, broker.Options{Limits: broker.Limits{WriteTimeout: 300 * time.Millisecond}})
	w := dial(t, b)
	w.join(hello{id: "s", kept: true})
	w.subscribe(1, "t", 1)
	for range 40 {
		if err := b.Publish(context.Background(), "t", make([]byte, 1<<20), 1, false); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "it is disconnected", func() bool { return b.Stats().Connected == 0 })
}

// TestTrickledEnd: a client that takes a little now and then holds up neither Close nor its own next connection until it has all.
func TestTrickledEnd(t *testing.T) {
	for name, end := range map[string]func(b *broker.Broker, next *wire) error{
		"close": func(b *broker.Broker, _ *wire) error { return b.Close() },
		"takeover": func(_ *broker.Broker, next *wire) error {
			next.send(hello{version: 4, id: "s", keepalive: 60}.encode())
			_, _, err := next.read(10 * time.Second)
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := start(t, broker.Options{})
			w := dial(t, b)
			w.join(hello{id: "s"})
			w.subscribe(1, "t", 0)
			const all = 40 << 20
			for range 40 {
				if err := b.Publish(context.Background(), "t", make([]byte, all/40), 0, false); err != nil {
					t.Fatal(err)
				}
			}
			next, ended := dial(t, b), make(chan error, 1)
			go func() { ended <- end(b, next) }()
			taken, piece := 0, make([]byte, 256<<10)
			for {
				select {
				case err := <-ended:
					if err != nil {
						t.Fatal(err)
					}
					return
				case <-time.After(100 * time.Millisecond):
				}
				if n, err := io.ReadFull(w.r, piece); err == nil {
					taken += n
				}
				if taken > all/2 {
					t.Fatalf("%d bytes were taken, and it has not ended", taken)
				}
			}
		})
	}
}

// TestPubrelAfterFile: a client is told to forget a QoS 2 message when the file has no more of it than that: after a kill it does not come again.
func TestPubrelAfterFile(t *testing.T) {
	path := dataPath(t)
	b := begin(t, broker.Options{DataPath: path})
	w := dial(t, b)
	w.join(hello{version: 5, id: "s", kept: true})
	w.subscribe(1, "t", 2)
	say(t, b, "once", 2, false)
	m := w.message()
	if err := b.BreakStore(); err != nil {
		t.Fatal(err)
	}
	w.idPacket(tPubrec, m.id)
	if kinds := w.expectClosed(); slices.Contains(kinds, tPubrel) {
		t.Errorf("packets %v, and the file has the message", kinds)
	}
	_ = b.Close() // the file is broken
	b = start(t, broker.Options{DataPath: path})
	w = dial(t, b)
	w.join(hello{version: 5, id: "s", kept: true})
	if again := w.message(); again.id != m.id || !again.dup {
		t.Errorf("%+v came again as %+v", m, again)
	}
	w.end(m)
	if more := w.came(); more != nil {
		t.Errorf("%+v", more)
	}
}

// TestQoS2InFileFirst: a QoS 2 message that the file does not have is not sent to a client whose session is kept: after a kill its packet id
// would be another message's, which the client drops as a repetition. One with QoS 1 need not wait.
func TestQoS2InFileFirst(t *testing.T) {
	b := begin(t, broker.Options{DataPath: dataPath(t)})
	defer func() { _ = b.Close() }() // the file is broken
	w := dial(t, b)
	w.join(hello{version: 5, id: "s", kept: true})
	w.subscribe(1, "t", 2)
	if err := b.BreakStore(); err != nil {
		t.Fatal(err)
	}
	for i, want := range []int{1, 0} {
		qos := byte(i + 1)
		if err := b.PublishAny(context.Background(), mqtt.Publication{Topic: "t", Payload: []byte("x"), QoS: qos}); err == nil {
			t.Error("published, without a file")
		}
		if got := w.came(); len(got) != want {
			t.Errorf("QoS %d: %+v came", qos, got)
		}
	}
}

// TestFileMended: what waited for a file that could not be written goes on when it can: a QoS 2 message is sent, and a PUBREL.
func TestFileMended(t *testing.T) {
	b := start(t, broker.Options{DataPath: dataPath(t)})
	w := dial(t, b)
	w.join(hello{version: 5, id: "s", kept: true})
	w.subscribe(1, "t", 2)
	mend := b.FailStore()
	if err := b.PublishAny(context.Background(), mqtt.Publication{Topic: "t", Payload: []byte("first"), QoS: 2}); err == nil {
		t.Error("published, without a file")
	}
	if got := w.came(); got != nil {
		t.Errorf("%+v came", got)
	}
	mend()
	say(t, b, "second", 1, false)
	first, second := w.message(), w.message()
	if first.payload != "first" || second.payload != "second" {
		t.Errorf("%+v and %+v came", first, second)
	}
	w.idPacket(tPuback, second.id)
	w.came()
	mend = b.FailStore()
	w.idPacket(tPubrec, first.id)
	if kinds := w.expectClosed(); slices.Contains(kinds, tPubrel) {
		t.Errorf("packets %v", kinds)
	}
	mend()
	w = dial(t, b)
	w.join(hello{version: 5, id: "s", kept: true})
	if _, body := w.expect(tPubrel); body[1] != byte(first.id) {
		t.Errorf("PUBREL % x", body)
	}
	w.idPacket(tPubcomp, first.id)
	if more := w.came(); more != nil {
		t.Errorf("%+v", more)
	}
}

// TestQoS2NotSentUnkept: a QoS 2 message that does not fit into the queue is not sent: nobody would remember that its packet id is in use.
func TestQoS2NotSentUnkept(t *testing.T) {
	b := start(t, broker.Options{Limits: broker.Limits{MaxQueued: 1}})
	w := dial(t, b)
	w.join(hello{version: 5, id: "s", kept: true})
	w.subscribe(1, "t", 2)
	say(t, b, "kept", 2, false)
	say(t, b, "too many", 2, false)
	if got := w.came(); len(got) != 1 || got[0].payload != "kept" {
		t.Errorf("%+v", got)
	}
	if n := b.Stats().Dropped; n != 1 {
		t.Errorf("%d dropped", n)
	}
}

// TestPropertiesWithoutProblemInfo: a client that wants no problem information gets the user properties of messages all the same.
func TestPropertiesWithoutProblemInfo(t *testing.T) {
	b := start(t, broker.Options{})
	w := dial(t, b)
	w.version = 5
	w.send(packet(tConnect<<4, str("MQTT"), []byte{5, 2, 0, 60, 2, 23, 0}, str("s")))
	w.expect(tConnack)
	w.subscribe(1, "t", 1)
	p := dial(t, b)
	p.join(hello{version: 5, id: "p"})
	p.publish5("t", "x", 1, 0, userProperty("key", "value"))
	if _, body := w.expect(tPublish); !bytes.Contains(body, userProperty("key", "value")) {
		t.Errorf("% x", body)
	}
}

// TestPropertiesTooLarge: a message is sent with all of its properties, or not at all to a client that does not take packets of that size.
func TestPropertiesTooLarge(t *testing.T) {
	for size, want := range map[uint32]int{90: 0, 97: 0, 99: 0, 100: 1} {
		for qos := range byte(2) {
			b := start(t, broker.Options{})
			w := dial(t, b)
			w.join(hello{version: 5, id: "s", maxPacket: size})
			w.subscribe(1, "t", qos)
			p := dial(t, b)
			p.join(hello{version: 5, id: "p"})
			id := 2 * int(qos)
			// Two bytes of the header, topic, packet id, length of the properties; a property has five of its own.
			property := userProperty("k", strings.Repeat("v", 100-2-3-id-1-5-1-1))
			p.send(packet(tPublish<<4|2, str("t"), []byte{0, 1}, sized(property), []byte("x")))
			p.expect(tPuback)
			if got := w.came(); len(got) != want {
				t.Errorf("QoS %d, up to %d bytes: %+v came", qos, size, got)
			}
		}
	}
}

// TestSharedAway: a message for a group goes to a member that is there, as long as there is one.
func TestSharedAway(t *testing.T) {
	for _, qos := range []byte{0, 1} {
		b := start(t, broker.Options{})
		here, away := dial(t, b), dial(t, b)
		for id, w := range map[string]*wire{"here": here, "away": away} {
			w.join(hello{version: 5, id: id, kept: true})
			w.subscribe(1, "$share/g/t", qos)
		}
		away.leave(b)
		const n = 50
		for range n {
			say(t, b, "x", qos, false)
		}
		if got := here.came(); len(got) != n {
			t.Errorf("QoS %d: %d of %d came", qos, len(got), n)
		}
		here.leave(b)
		say(t, b, "nobody is there", 1, false)
		total := 0
		for _, id := range []string{"here", "away"} {
			w := dial(t, b)
			w.join(hello{version: 5, id: id, kept: true})
			for _, m := range w.came() {
				if m.payload != "x" {
					total++
				}
			}
		}
		if total != int(qos) { // with QoS 0 nothing is queued
			t.Errorf("QoS %d: one member was to have what came while nobody was there, and %d have", qos, total)
		}
	}
}

// TestNoLocalOverlap: a subscription with No Local takes from its client nothing that another one brings.
func TestNoLocalOverlap(t *testing.T) {
	const noLocal = 4
	b := start(t, broker.Options{})
	w := dial(t, b)
	w.join(hello{version: 5, id: "s"})
	w.subscribe(1, "a/#", 1)
	w.subscribe(2, "a/b", 1|noLocal)
	w.subscribe(3, "b", 1|noLocal)
	w.subscribe(4, "c", 1|noLocal)
	w.subscribe(5, "$share/g/c", 1)
	for i, topic := range []string{"a/b", "b", "c"} {
		w.publish(topic, topic, 0, uint16(i), 0)
	}
	var got []string
	for _, m := range w.came() {
		got = append(got, m.payload)
	}
	if !slices.Equal(got, []string{"a/b", "c"}) {
		t.Errorf("%q came", got)
	}
}

// TestPubrecOfConnectionBefore: a client that has a QoS 2 message of the connection before may say so before it is sent again, and then it is not.
func TestPubrecOfConnectionBefore(t *testing.T) {
	b := start(t, broker.Options{DataPath: dataPath(t)})
	w := dial(t, b)
	w.join(hello{version: 5, id: "s", kept: true, receiveMax: 2})
	w.subscribe(1, "t", 2)
	for _, p := range []string{"a", "b", "never sent"} {
		say(t, b, p, 2, false)
	}
	first, second := w.message(), w.message()
	w.leave(b)
	w = dial(t, b)
	w.join(hello{version: 5, id: "s", kept: true, receiveMax: 1})
	w.message()
	w.idPacket(tPubrec, second.id)
	w.idPacket(tPubrec, second.id+1)
	if _, body := w.expect(tPubrel); body[1] != byte(second.id+1) || len(body) < 3 { // not found
		t.Fatalf("PUBREL % x", body)
	}
	w.end(first)
	if _, body := w.expect(tPubrel); body[1] != byte(second.id) || len(body) > 2 {
		t.Fatalf("PUBREL % x", body)
	}
	w.idPacket(tPubcomp, second.id)
	if m := w.message(); m.payload != "never sent" {
		t.Fatalf("%+v", m)
	}
}

// begin runs a broker that the test closes.
func begin(t *testing.T, opts broker.Options) *broker.Broker {
	t.Helper()
	opts.Address = "127.0.0.1:0"
	b, err := broker.Start(context.Background(), opts)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestLevelAbove: # stands for the level above it, too, also where a + stands for that: live, over a restart and a takeover, alone, beside
// another subscription and for a group, until it is unsubscribed from or the session ends.
func TestLevelAbove(t *testing.T) {
	for name, filters := range map[string][]string{
		"alone": {"a/+/#"}, "from the top": {"+/+/#"}, "twice": {"a/+/#", "+/b/+/#", "+/+/#"}, "beside the level itself": {"a/+", "a/+/#"},
		"a group": {"$share/g/a/+/#"},
	} {
		t.Run(name, func(t *testing.T) {
			path := dataPath(t)
			b := start(t, broker.Options{DataPath: path})
			come := func() *wire {
				w := dial(t, b)
				w.join(hello{version: 5, id: "s", kept: true})
				return w
			}
			publish := func(payload string) {
				t.Helper()
				if err := b.PublishAny(t.Context(), mqtt.Publication{Topic: "a/b", Payload: []byte(payload), QoS: 1}); err != nil {
					t.Fatal(err)
				}
			}
			w := come()
			for i, filter := range filters { // with its own identifier
				w.send(packet(tSubscribe<<4|2, []byte{0, byte(i + 1), 2, 11, byte(i + 1)}, str(filter), []byte{1}))
				w.expect(tSuback)
			}
			publish("live")
			_, body := w.expect(tPublish)
			var ids []byte
			for i, filter := range filters {
				if mqtt.Match(mqtt.SharedFilter(filter), "a/b") {
					ids = append(ids, 11, byte(i+1))
				}
			}
			if want := slices.Concat(sized(ids), []byte("live")); !bytes.HasSuffix(body, want) {
				t.Errorf("properties and payload are % x, not % x", body, want)
			}
			w.idPacket(tPuback, 1)
			come() // takes over
			publish("after a takeover")
			if err := b.Close(); err != nil {
				t.Fatal(err)
			}
			b = start(t, broker.Options{DataPath: path})
			publish("after a restart")
			w = come()
			for _, want := range []string{"after a takeover", "after a restart"} {
				if got := w.message(); got.payload != want {
					t.Errorf("%q came, not %q", got.payload, want)
				}
			}
			for i, filter := range filters {
				w.send(packet(tUnsubscribe<<4|2, []byte{0, byte(i + 1), 0}, str(filter)))
				w.expect(tUnsuback)
			}
			publish("unsubscribed")
			for _, filter := range filters {
				w.subscribe(9, filter, 1)
			}
			w = dial(t, b)
			w.join(hello{version: 5, id: "s", kept: true, clean: true})
			publish("another session")
			if got := w.came(); len(got) > 0 {
				t.Errorf("%+v came", got)
			}
		})
	}
}
