package client_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
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

// topicsOf are the topics of the messages that a recorder got, retained ones marked.
func topicsOf(r *recorder) (all []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, m := range r.got {
		topic := m.Topic
		if m.Retained {
			topic += " (retained)"
		}
		all = append(all, topic)
	}
	return all
}

// TestSubscribe: the messages of topics come, what was retained first, marked; also of those that were given before there was
// a connection, and with every later connection.
func TestSubscribe(t *testing.T) {
	path := t.TempDir() + "/mqtt.db"
	b := startBroker(t, broker.Options{DataPath: path})
	addr := b.Addr().String()
	publish(t, b, "early", "old", true)
	publish(t, b, "later", "old", true)
	h := &recorder{}
	c, err := client.New(client.Options{Endpoint: endpoint(b), Handler: h, ClientID: "s", MinBackoff: 10 * time.Millisecond, MaxBackoff: 50 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	c.Subscribe("early", "z/covered", "early")
	stop := start(t, c)
	defer stop()
	eventually(t, "the first", func() bool { return slices.Equal(topicsOf(h), []string{"early (retained)"}) })
	c.Subscribe("later")
	c.Subscribe("$SYS/x")
	eventually(t, "the second", func() bool {
		return slices.Equal(topicsOf(h), []string{"early (retained)", "later (retained)"})
	})
	publish(t, b, "other", "not asked for", false)
	publish(t, b, "early", "new", true)
	publish(t, b, "z/covered", "once", false)
	publish(t, b, "later", "new", false)
	want := []string{"early (retained)", "later (retained)", "early", "z/covered", "later"}
	eventually(t, "messages", func() bool { return len(topicsOf(h)) >= len(want) })
	if got := topicsOf(h); !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
	if s := c.Status(); s.Topics != 3 || s.TopicsRefused != 0 || s.TopicsLeftOut != 0 {
		t.Errorf("%+v", s)
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	b = startBroker(t, broker.Options{Address: addr}) // one that knows no session
	publish(t, b, "later", "newest", true)
	eventually(t, "a message after the restart", func() bool { return slices.Contains(h.payloads(), "newest") })
}

// start runs a client; the returned function stops it.
func start(t *testing.T, c *client.Client) (stop func()) {
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() { _ = c.Run(ctx) })
	return sync.OnceFunc(func() {
		cancel()
		wg.Wait()
	})
}

// TestSubscribeMany: any number of topics, given by any number of goroutines while connections are cut, are each subscribed to
// once in a connection, in packets of 100 topics and 64 KiB at most, of which one waits for the answer to the other.
func TestSubscribeMany(t *testing.T) {
	var unanswered atomic.Int32
	f := &fake{}
	f.grant = func(sub *packets.Subscribe) []byte {
		if unanswered.Add(1) > 1 {
			t.Error("two packets are under way")
		}
		size := 0
		for _, o := range sub.Subscriptions {
			size += len(o.Topic) + 3
		}
		if len(sub.Subscriptions) > 100 || size > 64<<10 {
			t.Errorf("%d topics of %d bytes", len(sub.Subscriptions), size)
		}
		unanswered.Add(-1)
		return bytes.Repeat([]byte{1}, len(sub.Subscriptions))
	}
	c, _ := run(t, client.Options{Endpoint: f.start(t), Handler: &recorder{}})
	var wg sync.WaitGroup
	var want []string
	for g := range 4 {
		var mine []string
		for i := range 300 {
			mine = append(mine, fmt.Sprintf("%d/%d", g, i))
		}
		for i := range 80 {
			mine = append(mine, fmt.Sprintf("%d/%d/%s", g, i, strings.Repeat("x", 1000)))
		}
		want = append(want, mine...)
		wg.Go(func() {
			for part := range slices.Chunk(mine, 37) {
				c.Subscribe(part...)
				time.Sleep(time.Millisecond)
			}
		})
	}
	for range 5 {
		time.Sleep(5 * time.Millisecond)
		f.cut()
	}
	wg.Wait()
	eventually(t, "all topics", func() bool { return len(f.filters()) == len(want)+1 })
	f.cut()
	eventually(t, "all topics again", func() bool { return len(f.filters()) == len(want)+1 && c.Connected() })
	got := f.filters()
	if got[0] != "z/#" {
		t.Errorf("the handler's filter does not come first: %q", got[0])
	}
	slices.Sort(got)
	slices.Sort(want)
	if want = append(want, "z/#"); !slices.Equal(got, want) {
		t.Error("other topics than were given")
	}
	if s := c.Status(); s.Topics != len(want)-1 {
		t.Errorf("%+v", s)
	}
}

// TestSubscribeRefused: topics that the broker refuses are counted and logged and cost nothing else; a filter of the handler's
// own is not: see TestCredentials.
func TestSubscribeRefused(t *testing.T) {
	var log syncBuffer
	b := startBroker(t, broker.Options{Users: []broker.User{{Name: "house", Password: "secret", Publish: []string{"statehouse/status"}, Subscribe: []string{"z/#", "y/#"}}}})
	ep := endpoint(b)
	ep.Username, ep.Password = "house", func() (string, error) { return "secret", nil }
	h := &recorder{}
	c, _ := run(t, client.Options{Endpoint: ep, Handler: h, Logger: slog.New(slog.NewTextHandler(&log, nil))})
	c.Subscribe("y/a", "x/b", "x/c", "y/d")
	eventually(t, "the refusals", func() bool { return c.Status().TopicsRefused == 2 })
	publish(t, b, "y/d", "one", false)
	publish(t, b, "x/b", "two", false)
	publish(t, b, "y/a", "three", false)
	eventually(t, "messages", func() bool { return len(h.payloads()) == 2 })
	if got := h.payloads(); !slices.Equal(got, []string{"one", "three"}) {
		t.Errorf("%q", got)
	}
	if s := c.Status(); s.Connects != 1 || s.TopicsLeftOut != 0 || s.Topics != 4 {
		t.Errorf("%+v", s)
	}
	if text := log.String(); strings.Count(text, "level=ERROR") != 1 || !strings.Contains(text, "topics=2 first=x/b") {
		t.Errorf("%s", text)
	}
}

// syncBuffer is a buffer for many.
type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// TestSubscribeBounded: topics that cannot be, and more than there is room for, are left out, with one line in the log.
func TestSubscribeBounded(t *testing.T) {
	var log bytes.Buffer
	c, err := client.New(client.Options{Endpoint: client.Endpoint{URL: "mqtt://x"}, ClientID: "x", Handler: &recorder{}, Logger: slog.New(slog.NewTextHandler(&log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	bad := []string{"", "a/+", "#", "a\x00", "a\x1b", "a\u0085b", "\xff", "a\ufdd0", "$share/g/a", strings.Repeat("x", 1025), strings.Repeat("/", 64)}
	c.Subscribe(bad...)
	if s := c.Status(); s.Topics != 0 || s.TopicsLeftOut != int64(len(bad)) {
		t.Errorf("%+v", s)
	}
	var many []string
	for i := range 50_000 {
		many = append(many, fmt.Sprintf("%036d", i))
	}
	c.Subscribe(many...)
	const room = 4 << 20 / (36 + 64)
	if s := c.Status(); s.Topics != room || s.TopicsLeftOut != int64(len(bad)+len(many)-room) {
		t.Errorf("%+v", s)
	}
	c.Subscribe(many[0], "z/x") // known, and covered
	if s := c.Status(); s.Topics != room || s.TopicsLeftOut != int64(len(bad)+len(many)-room) {
		t.Errorf("%+v", s)
	}
	if lines := strings.Count(log.String(), "\n"); lines != 2 || !strings.Contains(log.String(), "no room for more than 4194304 bytes") {
		t.Errorf("%d lines: %.600s", lines, log.String())
	}
}

// TestSubscribeAnswers: a SUBACK that fits no SUBSCRIBE ends the connection; one that never comes holds up nothing else.
func TestSubscribeAnswers(t *testing.T) {
	for name, codes := range map[string][]byte{"too few": {}, "too many": {1, 1, 1}} {
		f := &fake{}
		f.grant = func(sub *packets.Subscribe) []byte {
			if sub.Subscriptions[0].Topic == "a" {
				return codes
			}
			return []byte{1}
		}
		c, stop := run(t, client.Options{Endpoint: f.start(t), Handler: &recorder{}})
		c.Subscribe("a", "b")
		eventually(t, name, func() bool { return strings.Contains(c.Status().LastError, "SUBACK does not fit") })
		stop()
	}
	f := &fake{got: func(p *peer, pk *packets.ControlPacket) bool {
		m := pk.Content.(*packets.Publish)
		// An acknowledgement of a message is none of a subscription.
		for id := range uint16(5) {
			if id+1 != m.PacketID {
				p.ack(id+1, 0, "")
			}
		}
		p.ack(m.PacketID, 0, "")
		p.send(&packets.Publish{Topic: "z/echo", Properties: &packets.Properties{}})
		return true
	}}
	f.grant = func(sub *packets.Subscribe) []byte {
		if sub.Subscriptions[0].Topic == "a" {
			return nil
		}
		return []byte{1}
	}
	h := &recorder{}
	c, stop := run(t, client.Options{Endpoint: f.start(t), Handler: h})
	c.Subscribe("a")
	eventually(t, "the subscription", func() bool { return slices.Contains(f.filters(), "a") })
	c.Subscribe("b")
	if err := c.Publish(soon(t, time.Minute), mqtt.Publication{Topic: "x", QoS: 1}); err != nil {
		t.Error(err)
	}
	eventually(t, "a message", func() bool { return len(h.payloads()) == 1 })
	if slices.Contains(f.filters(), "b") {
		t.Error("the next packet did not wait for the answer")
	}
	stop()
}
