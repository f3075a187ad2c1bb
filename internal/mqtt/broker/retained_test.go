package broker_test

import (
	"bufio"
	"context"
	"fmt"
	"maps"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/statehouse/statehouse/internal/mqtt"
	"github.com/statehouse/statehouse/internal/mqtt/broker"
)

// afterSubscribe are the messages that follow a SUBACK, before the answer to a PINGREQ.
func (w *wire) afterSubscribe() (all []message) {
	w.t.Helper()
	w.send(packet(tPingreq << 4))
	for {
		first, body, err := w.read(10 * time.Second)
		if err != nil {
			w.t.Fatal(err)
		}
		if first>>4 == tPingresp {
			return all
		}
		all = append(all, w.decode(first, body))
	}
}

// TestRetainedModel: whoever subscribes gets what a plain map has, whatever was published and removed before, restarts included.
func TestRetainedModel(t *testing.T) {
	topics := []string{"a", "a/b", "a/b/c", "a-b", "a0/b", "b", "b/availability", "é/availability", "/", "/a", "a//b", "$own/a", "$own"}
	filters := []string{"#", "+", "a/#", "+/#", "a/+", "+/availability", "a", "b/availability", "$own/#", "$own/+", "/#", "/+", "a//#", "a/+/c", "+/+/+", "none"}
	rapid.Check(t, func(rt *rapid.T) {
		kept := rapid.IntRange(0, 5).Draw(rt, "kept") == 0 // seldom: it is slow
		opts := broker.Options{}
		if kept {
			opts.DataPath = dataPath(t)
		}
		b := start(t, opts)
		model := map[string]message{}
		id := 0
		rt.Repeat(map[string]func(*rapid.T){
			"publish": func(rt *rapid.T) {
				m := message{topic: rapid.SampledFrom(topics).Draw(rt, "topic"), payload: rapid.SampledFrom([]string{"", "x", "yy"}).Draw(rt, "payload"),
					qos: rapid.ByteMax(2).Draw(rt, "qos"), retain: true}
				if err := b.Publish(t.Context(), m.topic, []byte(m.payload), m.qos, true); err != nil {
					rt.Fatal(err)
				}
				if model[m.topic] = m; m.payload == "" {
					delete(model, m.topic)
				}
			},
			"subscribe": func(rt *rapid.T) {
				w := dial(t, b)
				defer func() { _ = w.c.Close() }()
				id++
				w.join(hello{version: rapid.SampledFrom([]byte{4, 5}).Draw(rt, "version"), id: fmt.Sprint(id)})
				filter, qos := rapid.SampledFrom(filters).Draw(rt, "filter"), rapid.ByteMax(2).Draw(rt, "qos")
				if code := w.subscribe(1, filter, qos); code != qos {
					rt.Fatalf("SUBACK %#x", code)
				}
				var want []message
				for _, topic := range slices.Sorted(maps.Keys(model)) {
					if m := model[topic]; mqtt.Match(filter, topic) {
						m.qos = min(m.qos, qos)
						want = append(want, m)
					}
				}
				got := w.afterSubscribe()
				for i := range got {
					got[i].id = 0
				}
				if diff := cmp.Diff(want, got, cmp.AllowUnexported(message{})); diff != "" {
					rt.Fatalf("%s: %s", filter, diff)
				}
			},
			"restart": func(rt *rapid.T) {
				if !kept {
					return
				}
				if err := b.Close(); err != nil {
					rt.Fatal(err)
				}
				b = start(t, opts)
			},
			"": func(rt *rapid.T) {
				size := int64(0)
				for topic, m := range model {
					size += int64(len(topic) + len(m.payload))
				}
				if s := b.Stats(); s.Retained != len(model) || s.RetainedBytes != size {
					rt.Fatalf("%d retained with %d bytes instead of %d with %d", s.Retained, s.RetainedBytes, len(model), size)
				}
			},
		})
		if err := b.Close(); err != nil {
			rt.Fatal(err)
		}
	})
}

// The options of an MQTT 5 subscription.
const (
	noLocal, asPublished = 4, 8
	onlyNew, never       = 1 << 4, 2 << 4
)

// TestSubscriptionOptions: those of MQTT 5 that are about retained messages.
func TestSubscriptionOptions(t *testing.T) {
	path := dataPath(t)
	b := start(t, broker.Options{DataPath: path})
	s := dial(t, b)
	s.join(hello{version: 5, id: "s"})
	s.publish("a/own", "x", 1, 1, retain)
	s.expect(tPuback)
	if err := b.Publish(t.Context(), "a/other", []byte("y"), 1, true); err != nil {
		t.Fatal(err)
	}
	for restarted := range 2 {
		if restarted == 1 {
			if err := b.Close(); err != nil {
				t.Fatal(err)
			}
			b = start(t, broker.Options{DataPath: path})
			s = dial(t, b)
			s.join(hello{version: 5, id: "s"})
		}
		for i, c := range []struct {
			filter  string
			options byte
			want    string
		}{
			{"a/#", 0, "a/other a/own"}, {"a/#", 0, "a/other a/own"}, {"a/#", onlyNew, ""}, {"a/+", onlyNew, "a/other a/own"}, {"a/+", never, ""},
			{"+/own", never, ""}, {"+/#", noLocal, "a/other"}, {"$share/g/a/#", 0, ""},
		} {
			if code := s.subscribe(uint16(i+1), c.filter, c.options); code != 0 {
				t.Fatalf("%s: SUBACK %#x", c.filter, code)
			}
			var got []string
			for _, m := range s.afterSubscribe() {
				got = append(got, m.topic)
				if !m.retain {
					t.Errorf("%s: %+v", c.filter, m)
				}
			}
			if strings.Join(got, " ") != c.want {
				t.Errorf("%s with options %#x: %q", c.filter, c.options, got)
			}
		}
	}
	for version, flagged := range map[byte]bool{4: false, 5: true} {
		live := dial(t, b)
		live.join(hello{version: version, id: "live"})
		options := byte(0)
		if flagged {
			options = asPublished
		}
		live.subscribe(1, "b/"+fmt.Sprint(version), options)
		if err := b.Publish(t.Context(), "b/"+fmt.Sprint(version), []byte("y"), 1, true); err != nil {
			t.Fatal(err)
		}
		if m := live.message(); m.retain != flagged {
			t.Errorf("MQTT %d: %+v", version, m)
		}
	}
}

// TestRetainedExpiryInterval: a subscriber is told how long a message has left, and what subscription it is for.
func TestRetainedExpiryInterval(t *testing.T) {
	b := start(t, broker.Options{})
	if err := b.Publisher().Publish(t.Context(), mqtt.Publication{Topic: "r", Payload: []byte("x"), Retain: true, Expiry: 100 * time.Second}); err != nil {
		t.Fatal(err)
	}
	s := dial(t, b)
	s.join(hello{version: 5, id: "s"})
	s.send(packet(tSubscribe<<4|2, []byte{0, 1, 2, 11, 7}, str("r"), []byte{0}))
	s.expect(tSuback)
	_, body := s.expect(tPublish)
	props := body[3:]
	if len(props) != 1+5+2+1 || props[0] != 7 || !slices.Contains(props[1:], 11) || !slices.Contains(props[1:], 7) {
		t.Fatalf("properties % x", props)
	}
	if i := slices.Index(props, 2); i < 0 || props[i+4] < 90 || props[i+4] > 100 {
		t.Errorf("expiry in % x", props)
	}
}

// manyRetained retains messages of a size, and says how their topics go.
func manyRetained(t *testing.T, b *broker.Broker, n, size int, qos byte) (topic func(i int) string) {
	topic = func(i int) string { return fmt.Sprintf("r/%05d", i) }
	payload := []byte(strings.Repeat("x", size))
	const publishers = 16 // one sync serves them all
	var wg sync.WaitGroup
	for p := range publishers {
		wg.Go(func() {
			for i := p; i < n; i += publishers {
				if err := b.Publish(context.Background(), topic(i), payload, qos, true); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	return topic
}

// TestSlowSubscriber: for a subscriber that does not read, what is retained stays where it is, nobody waits, the file grows, and it gets
// all when it reads.
func TestSlowSubscriber(t *testing.T) {
	eachVersion(t, func(t *testing.T, v byte) {
		b := start(t, broker.Options{DataPath: dataPath(t), Limits: broker.Limits{MaxPayload: 64 << 10, MaxUnsent: 1 << 20}})
		const n = 800
		topic := manyRetained(t, b, n, 40_000, 0)
		s := dial(t, b)
		s.join(hello{version: v, id: "s"})
		s.subscribe(1, "r/#", 0)
		other := dial(t, b)
		other.join(hello{version: v, id: "other"})
		for i := range 30 {
			if err := b.Publish(t.Context(), fmt.Sprint("new/", i), []byte(strings.Repeat("y", 60_000)), 1, true); err != nil {
				t.Fatal(err)
			}
		}
		other.subscribe(1, "new/7", 0)
		other.message()
		if held := b.Backlog(); held > 1<<20 {
			t.Errorf("%d bytes wait for it", held)
		}
		for i := range n {
			if m := s.message(); m.topic != topic(i) || len(m.payload) != 40_000 || !m.retain {
				t.Fatalf("message %d is %s", i, m.topic)
			}
		}
		if st := b.Stats(); st.Dropped != 0 || st.SlowClients != 0 {
			t.Errorf("%+v", st)
		}
	})
}

// TestRetainedAcknowledged: with QoS 1 there are as many on their way as the client and the limits allow, and all come, also those that it
// had not got when its connection ended.
func TestRetainedAcknowledged(t *testing.T) {
	eachVersion(t, func(t *testing.T, v byte) {
		b := start(t, broker.Options{DataPath: dataPath(t), Limits: broker.Limits{MaxQueued: 40}})
		const n = 500
		topic := manyRetained(t, b, n, 10, 1)
		s := dial(t, b)
		s.join(hello{version: v, id: "s", kept: true, receiveMax: 7})
		s.subscribe(1, "r/#", 1)
		window := map[byte]int{4: 20, 5: 7}[v]
		got := map[string]bool{}
		take := func(ack bool) uint16 {
			m := s.message()
			got[m.topic] = true
			if ack {
				s.idPacket(tPuback, m.id)
			}
			return m.id
		}
		for range 100 {
			take(true)
		}
		for range window {
			take(false)
		}
		s.expectSilence(50 * time.Millisecond)
		_ = s.c.Close()
		s = dial(t, b)
		if !s.join(hello{version: v, id: "s", kept: true, receiveMax: 7}) {
			t.Fatal("no session")
		}
		for len(got) < n {
			take(true)
		}
		s.expectSilence(50 * time.Millisecond)
		for i := range n {
			if !got[topic(i)] {
				t.Fatalf("%s did not come", topic(i))
			}
		}
		if st := b.Stats(); st.Dropped != 0 {
			t.Errorf("%+v", st)
		}
	})
}

// TestUnsubscribeEndsDelivery: after UNSUBACK nothing more comes, and a new subscription begins anew.
func TestUnsubscribeEndsDelivery(t *testing.T) {
	b := start(t, broker.Options{Limits: broker.Limits{MaxPayload: 64 << 10, MaxUnsent: 1 << 20}})
	const n = 800
	manyRetained(t, b, n, 40_000, 0)
	s := dial(t, b)
	s.join(hello{id: "s"})
	s.subscribe(1, "r/#", 0)
	s.send(packet(tUnsubscribe<<4|2, []byte{0, 2}, str("r/#")))
	before := 0
	for kind := byte(0); kind != tUnsuback; before++ {
		first, _, err := s.read(10 * time.Second)
		if err != nil {
			t.Fatal(err)
		}
		kind = first >> 4
	}
	if before >= n {
		t.Fatalf("%d messages came before UNSUBACK", before)
	}
	s.expectSilence(50 * time.Millisecond)
	s.subscribe(3, "r/#", 0)
	for range n {
		s.message()
	}
	s.expectSilence(50 * time.Millisecond)
}

// TestNewestIsLast: while retained messages change, who subscribes ends with what the file has.
func TestNewestIsLast(t *testing.T) {
	b := start(t, broker.Options{DataPath: dataPath(t)})
	const topics, rounds, subscribers = 20, 60, 6
	var publishing, subscribing sync.WaitGroup
	for p := range 2 {
		publishing.Go(func() {
			for r := range rounds {
				for i := p; i < topics; i += 2 {
					if err := b.Publish(context.Background(), fmt.Sprint("n/", i), fmt.Append(nil, r+1), byte(i%3), true); err != nil {
						t.Error(err)
					}
				}
			}
			if err := b.Publish(context.Background(), fmt.Sprint("n/end", p), []byte("end"), 0, true); err != nil {
				t.Error(err)
			}
		})
	}
	for i := range subscribers {
		w := dial(t, b)
		w.join(hello{version: byte(4 + i%2), id: fmt.Sprint(i)})
		subscribing.Go(func() {
			time.Sleep(time.Duration(i) * 20 * time.Millisecond)
			w.send(packet(tSubscribe<<4|2, []byte{0, 1}, map[byte][]byte{4: nil, 5: {0}}[w.version], str("n/#"), []byte{0}))
			last := map[string]string{}
			for last["n/end0"] == "" || last["n/end1"] == "" {
				first, body, err := w.read(20 * time.Second)
				if err != nil {
					t.Error(err)
					return
				}
				if first>>4 == tPublish {
					m := w.decode(first, body)
					last[m.topic] = m.payload
				}
			}
			for i := range topics {
				if got := last[fmt.Sprint("n/", i)]; got != fmt.Sprint(rounds) {
					t.Errorf("n/%d ends with %q", i, got)
				}
			}
		})
	}
	publishing.Wait()
	subscribing.Wait()
}

// TestDeliveryWaits: nothing of what is retained is read while a message is on its way to subscribers, which could be newer; and no session
// changes its connection.
func TestDeliveryWaits(t *testing.T) {
	eachVersion(t, func(t *testing.T, v byte) {
		b := start(t, broker.Options{})
		manyRetained(t, b, 1, 1, 0)
		s := dial(t, b)
		s.join(hello{version: v, id: "s", kept: true})
		release := b.HoldDelivery()
		s.send(packet(tSubscribe<<4|2, []byte{0, 1}, map[byte][]byte{4: nil, 5: {0}}[v], str("r/#"), []byte{0}))
		s.expectSilence(50 * time.Millisecond)
		release()
		s.expect(tSuback)
		s.message()
		release = b.HoldDelivery()
		again := dial(t, b)
		again.version = v
		again.send(hello{version: v, id: "s", kept: true, keepalive: 60}.encode())
		again.expectSilence(50 * time.Millisecond)
		release()
		again.expect(tConnack)
	})
}

// TestRetainedOnce: what is published after a SUBACK comes once, live, and not also as what is retained.
func TestRetainedOnce(t *testing.T) {
	for _, path := range []string{"", dataPath(t)} {
		b := start(t, broker.Options{DataPath: path})
		for i := range 100 {
			topic := fmt.Sprint("o/", i)
			s := dial(t, b)
			s.join(hello{version: byte(4 + i%2), id: "s"})
			s.subscribe(1, topic, 0)
			if err := b.Publish(t.Context(), topic, []byte("x"), 1, true); err != nil {
				t.Fatal(err)
			}
			first := s.message()
			if more := s.afterSubscribe(); first.retain || more != nil {
				t.Fatalf("round %d: %+v and %+v", i, first, more)
			}
			_ = s.c.Close()
		}
	}
}

// TestPublishDuringTakeover: what is published while a client comes back to its session is not left in its queue.
func TestPublishDuringTakeover(t *testing.T) {
	b := start(t, broker.Options{})
	const connections = 300
	join := func() *wire {
		c, err := net.Dial("tcp", b.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		w := &wire{t: t, c: c, r: bufio.NewReader(c)}
		w.join(hello{id: "s", kept: true})
		return w
	}
	s := join()
	s.subscribe(1, "a", 1)
	stop, ended, room := make(chan struct{}), make(chan int), make(chan struct{}, 100) // fewer than the queue may have
	go func() {
		n := 0
		for {
			select {
			case <-stop:
				ended <- n
				return
			case room <- struct{}{}:
			}
			if err := b.Publish(context.Background(), "a", fmt.Append(nil, n), 1, false); err != nil {
				t.Error(err)
			}
			n++
		}
	}()
	got := map[string]bool{}
	take := func(s *wire, timeout time.Duration) bool {
		first, body, err := s.read(timeout)
		if err != nil || first>>4 != tPublish {
			return false
		}
		m := s.decode(first, body)
		if !got[m.payload] {
			got[m.payload] = true
			<-room
		}
		s.idPacket(tPuback, m.id)
		return true
	}
	for range connections {
		next := join()
		for range 20 {
			take(next, time.Second)
		}
		_ = s.c.Close()
		s = next
	}
	close(stop)
	n := <-ended
	for len(got) < n && take(s, 2*time.Second) {
	}
	_ = s.c.Close()
	for i := range n {
		if !got[fmt.Sprint(i)] {
			t.Fatalf("message %d of %d did not come, and %d did", i, n, len(got))
		}
	}
	if st := b.Stats(); st.Dropped != 0 {
		t.Errorf("%+v", st)
	}
}
