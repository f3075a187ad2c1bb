package client_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"github.com/eclipse/paho.golang/packets"
	"github.com/google/go-cmp/cmp"

	"github.com/statehouse/statehouse/internal/mqtt/broker"
	"github.com/statehouse/statehouse/internal/mqtt/client"
)

// TestSubscribeAgain: what is retained comes again with each Subscribe of a topic that is subscribed to already, or that a
// filter of the handler covers, and what is published later comes once.
func TestSubscribeAgain(t *testing.T) {
	b := startBroker(t, broker.Options{})
	publish(t, b, "known", "old", true)
	publish(t, b, "z/covered", "old", true)
	againAndOnce(t, client.Options{Endpoint: endpoint(b)}, func(topic, payload string) { publish(t, b, topic, payload, false) })
}

// TestMosquittoSubscribeAgain is the same with a broker that sends a message once for each subscription.
func TestMosquittoSubscribeAgain(t *testing.T) {
	s := startMosquitto(t, "")
	s.publish("known", "old", "-r")
	s.publish("z/covered", "old", "-r")
	againAndOnce(t, client.Options{Endpoint: s.endpoint()}, func(topic, payload string) { s.publish(topic, payload) })
}

func againAndOnce(t *testing.T, opts client.Options, send func(topic, payload string)) {
	h := &recorder{}
	opts.Handler = h
	c, stop := run(t, opts)
	defer stop()
	count := func(topic string) (n int) {
		for _, got := range topicsOf(h) {
			if got == topic {
				n++
			}
		}
		return n
	}
	eventually(t, "what the filter brings", func() bool { return count("z/covered (retained)") == 1 })
	c.Subscribe("known")
	eventually(t, "what the topic brings", func() bool { return count("known (retained)") == 1 })
	for round := 2; round < 5; round++ {
		c.Subscribe("known", "z/covered", "z/covered", "known")
		eventually(t, "both again", func() bool {
			return count("known (retained)") == round && count("z/covered (retained)") == round
		})
	}
	// The next packet waits until the topic was unsubscribed from.
	c.Subscribe("last")
	eventually(t, "a topic behind it", func() bool {
		send("last", "x")
		return count("last") > 0
	})
	send("z/covered", "press")
	send("known", "press")
	send("z/end", "")
	eventually(t, "the end", func() bool { return count("z/end") == 1 })
	if count("z/covered") != 1 || count("known") != 1 || count("known (retained)") != 4 || count("z/covered (retained)") != 4 {
		t.Errorf("%q", topicsOf(h))
	}
}

// TestSubscribeAgainPackets: topics that are asked for again within a burst are in one packet, once; those that are covered are
// unsubscribed from before anything else is subscribed to, and are not subscribed to at the next connection.
func TestSubscribeAgainPackets(t *testing.T) {
	f := &fake{knows: true}
	c, _ := run(t, client.Options{Endpoint: f.start(t), Handler: &recorder{}})
	c.Subscribe("a", "b")
	eventually(t, "the topics", func() bool { return slices.Equal(f.filters(), []string{"z/#", "a", "b"}) })
	c.Subscribe("b", "z/x", "c", "b", "a", "z/x", "z/y")
	eventually(t, "the answers", func() bool { return slices.Contains(f.filters(), "-z/y") })
	f.mu.Lock()
	got := slices.Clone(f.subscribed[len(f.subscribed)-3:])
	f.mu.Unlock()
	want := [][]string{{"c"}, {"b", "z/x", "a", "z/y"}, {"-z/x", "-z/y"}}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	f.cut()
	eventually(t, "the next connection", func() bool { return slices.Equal(f.filters(), []string{"z/#", "a", "b", "c"}) })
}

// TestSubscribeAgainMany: any number of topics is subscribed to again in packets of 100 and 64 KiB, one after the other.
func TestSubscribeAgainMany(t *testing.T) {
	f := &fake{}
	c, _ := run(t, client.Options{Endpoint: f.start(t), Handler: &recorder{}})
	eventually(t, "connection", c.Connected)
	var want []string
	for i := range 1000 {
		want = append(want, fmt.Sprintf("z/%d/%s", i, strings.Repeat("x", i)))
	}
	c.Subscribe(want...)
	eventually(t, "all", func() bool { return len(f.filters()) == 2*len(want)+1 })
	f.mu.Lock()
	defer f.mu.Unlock()
	var got []string
	for i := 1; i < len(f.subscribed); i += 2 {
		batch, left := f.subscribed[i], f.subscribed[i+1]
		if len(batch) > 100 || len(strings.Join(batch, "...")) > 64<<10 {
			t.Errorf("%d topics", len(batch))
		}
		for k, topic := range batch {
			if left[k] != "-"+topic {
				t.Fatalf("%.40s behind %.40s", left[k], topic)
			}
		}
		got = append(got, batch...)
	}
	if !slices.Equal(got, want) {
		t.Error("other topics than were asked for")
	}
	if s := c.Status(); s.Topics != 0 || s.TopicsLeftOut != 0 {
		t.Errorf("%+v", s)
	}
}

// TestSubscribeAgainBounded: topics that wait to be subscribed to again have bounded room.
func TestSubscribeAgainBounded(t *testing.T) {
	f := &fake{grant: func(sub *packets.Subscribe) []byte {
		if sub.Subscriptions[0].Topic == "z/#" {
			return []byte{1}
		}
		return nil
	}}
	c, _ := run(t, client.Options{Endpoint: f.start(t), Handler: &recorder{}})
	c.Subscribe("stuck")
	eventually(t, "a packet without an answer", func() bool { return slices.Contains(f.filters(), "stuck") })
	var many []string
	for i := range 50_000 {
		many = append(many, fmt.Sprintf("z/%034d", i))
	}
	c.Subscribe(many...)
	c.Subscribe(many[:1000]...) // they wait already
	const room = 4 << 20 / (36 + 64)
	if s := c.Status(); s.TopicsLeftOut != int64(len(many)-room) {
		t.Errorf("%+v", s)
	}
}

// TestSubscribeAgainCut: what the end of a connection leaves subscribed to is unsubscribed from at the next one, unless the
// broker has forgotten the session.
func TestSubscribeAgainCut(t *testing.T) {
	for _, knows := range []bool{true, false} {
		f := &fake{knows: knows}
		f.grant = func(sub *packets.Subscribe) []byte {
			if sub.Subscriptions[0].Topic == "z/x" {
				f.cut()
			}
			return bytes.Repeat([]byte{1}, len(sub.Subscriptions))
		}
		c, stop := run(t, client.Options{Endpoint: f.start(t), Handler: &recorder{}})
		eventually(t, "connection", c.Connected)
		c.Subscribe("z/x")
		eventually(t, "the next connection", func() bool { return c.Status().Connects == 2 })
		c.Subscribe("a")
		want := []string{"z/#", "-z/x", "a"}
		if !knows {
			want = []string{"z/#", "a"}
		}
		eventually(t, "the topic", func() bool { return slices.Contains(f.filters(), "a") })
		if got := f.filters(); !slices.Equal(got, want) {
			t.Errorf("%q, want %q", got, want)
		}
		stop()
	}
}

// TestUnsubscribeAnswers: an UNSUBACK that fits no UNSUBSCRIBE ends the connection; a refusal is logged and costs nothing else.
func TestUnsubscribeAnswers(t *testing.T) {
	for name, codes := range map[string][]byte{"too few": {}, "too many": {0, 0}} {
		f := &fake{leave: func(*packets.Unsubscribe) []byte { return codes }}
		c, stop := run(t, client.Options{Endpoint: f.start(t), Handler: &recorder{}})
		eventually(t, "connection", c.Connected)
		c.Subscribe("z/x")
		eventually(t, name, func() bool { return strings.Contains(c.Status().LastError, "UNSUBACK does not fit") })
		stop()
	}
	var log syncBuffer
	f := &fake{leave: func(*packets.Unsubscribe) []byte { return []byte{0, 0x87, 0x11} }}
	c, _ := run(t, client.Options{Endpoint: f.start(t), Handler: &recorder{}, Logger: slog.New(slog.NewTextHandler(&log, nil))})
	eventually(t, "connection", c.Connected)
	c.Subscribe("z/x", "z/y", "z/z")
	eventually(t, "the refusal", func() bool { return strings.Contains(log.String(), "topic=z/y code=0x87") })
	c.Subscribe("a")
	eventually(t, "the next topic", func() bool { return slices.Contains(f.filters(), "a") })
	if s := c.Status(); s.Connects != 1 || strings.Count(log.String(), "level=ERROR") != 1 {
		t.Errorf("%+v\n%s", s, log.String())
	}
}
