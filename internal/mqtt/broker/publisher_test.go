package broker_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/statehouse/statehouse/internal/mqtt"
	"github.com/statehouse/statehouse/internal/mqtt/broker"
)

// TestPublisher: what the daemon publishes is retained and queued durably, also from within its handler, which does not see it.
func TestPublisher(t *testing.T) {
	path := dataPath(t)
	var p mqtt.Publisher
	h := &recorder{}
	h.do = func(m mqtt.Message) error {
		return p.Publish(t.Context(), mqtt.Publication{Topic: "echo", Payload: m.Payload})
	}
	opts := broker.Options{DataPath: path, Handler: h}
	b := start(t, opts)
	p = b.Publisher()
	away := dial(t, b)
	away.join(hello{version: 5, id: "away", kept: true})
	away.subscribe(1, "set/#", 1)
	_ = away.c.Close()
	here := dial(t, b)
	here.join(hello{version: 5, id: "here"})
	here.subscribe(1, "#", 1)
	here.publish("ask", "x", 0, 0, 0)
	var topics []string
	for range 2 { // the daemon's own goes out first: it was published while the other was handled
		topics = append(topics, here.message().topic)
	}
	if !slices.Equal(topics, []string{"echo", "ask"}) {
		t.Errorf("%q", topics)
	}
	payload := []byte("on")
	for _, m := range []mqtt.Publication{{Topic: "set/a", Payload: payload, QoS: 1}, {Topic: "set/b", Payload: payload, Retain: true}} {
		if err := p.Publish(t.Context(), m); err != nil {
			t.Fatal(err)
		}
	}
	copy(payload, "xx")
	if m := here.message(); m.topic != "set/a" || m.qos != 1 || m.payload != "on" {
		t.Errorf("%+v", m)
	}
	if got := h.payloads(); !slices.Equal(got, []string{"x"}) {
		t.Errorf("handled %q", got)
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	if err := p.Publish(context.Background(), mqtt.Publication{Topic: "set/a"}); !errors.Is(err, mqtt.ErrNotConnected) {
		t.Errorf("after the end: %v", err)
	}
	b = start(t, opts)
	again := dial(t, b)
	if !again.join(hello{version: 5, id: "away", kept: true}) {
		t.Error("the session is gone")
	}
	if m := again.message(); m.topic != "set/a" || m.payload != "on" {
		t.Errorf("%+v", m)
	}
	for m := range b.Retained("#") {
		if m.Topic != "set/b" || string(m.Payload) != "on" {
			t.Errorf("retained %s %s", m.Topic, m.Payload)
		}
	}
	if n := b.Stats().Retained; n != 1 {
		t.Errorf("%d retained", n)
	}
}

// TestPublisherOutcome: an error says that it is not known whether the broker has the message where subscribers, or the file, may have it,
// and nowhere else: who is told that a command was not sent sends it again.
func TestPublisherOutcome(t *testing.T) {
	b, err := broker.Start(t.Context(), broker.Options{Address: "127.0.0.1:0", DataPath: dataPath(t)})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = b.Close() }()
	w := dial(t, b)
	w.join(hello{id: "device", kept: true})
	w.subscribe(1, "#", 1)
	if err := b.BreakStore(); err != nil {
		t.Fatal(err)
	}
	command := mqtt.Publication{Topic: "lock/set", Payload: []byte("UNLOCK"), QoS: 1}
	if err := b.Publisher().Publish(t.Context(), command); !errors.Is(err, mqtt.ErrUnknownOutcome) {
		t.Errorf("sent, and then not written: %v", err)
	}
	if m := w.message(); m.payload != "UNLOCK" {
		t.Errorf("%+v", m)
	}
	command.Retain = true
	if err := b.Publisher().Publish(t.Context(), command); err == nil || errors.Is(err, mqtt.ErrUnknownOutcome) {
		t.Errorf("not retained, and so not sent: %v", err)
	}
	command.Topic = "lock/#"
	if err := b.Publisher().Publish(t.Context(), command); err == nil || errors.Is(err, mqtt.ErrUnknownOutcome) {
		t.Errorf("no topic: %v", err)
	}
	w.expectSilence(50 * time.Millisecond)
}

// TestPublisherLimits: what no client may publish, the daemon does not either.
func TestPublisherLimits(t *testing.T) {
	b := start(t, broker.Options{Limits: broker.Limits{MaxPayload: 10, MaxRetained: 1, MaxTopicLevels: 3}})
	p := b.Publisher()
	if err := p.Publish(t.Context(), mqtt.Publication{Topic: "a", Payload: []byte("0123456789"), Retain: true}); err != nil {
		t.Fatal(err)
	}
	ended, end := context.WithCancel(t.Context())
	end()
	for want, c := range map[string]struct {
		ctx context.Context
		m   mqtt.Publication
	}{
		"context canceled":       {ended, mqtt.Publication{Topic: "b"}},
		"QoS 2: use 0 or 1":      {t.Context(), mqtt.Publication{Topic: "b", QoS: 2}},
		"the wildcard":           {t.Context(), mqtt.Publication{Topic: "b/#"}},
		"the topic is empty":     {t.Context(), mqtt.Publication{}},
		"the server's own":       {t.Context(), mqtt.Publication{Topic: "$SYS/x"}},
		"a topic of 4 levels":    {t.Context(), mqtt.Publication{Topic: "a/b/c/d"}},
		"a payload of 11 bytes":  {t.Context(), mqtt.Publication{Topic: "b", Payload: []byte("0123456789a")}},
		"1 messages are retaine": {t.Context(), mqtt.Publication{Topic: "b", Payload: []byte("x"), Retain: true}},
	} {
		if err := p.Publish(c.ctx, c.m); err == nil || !strings.Contains(err.Error(), want) || errors.Is(err, mqtt.ErrNotConnected) {
			t.Errorf("want %q, got %v", want, err)
		}
	}
	if s := b.Stats(); s.Retained != 1 {
		t.Errorf("%+v", s)
	}
}

// TestHandlerOfEverything: a handler with the filter # gets what clients publish, wills and retained messages among it, and
// neither the server's own topics nor what the daemon publishes.
func TestHandlerOfEverything(t *testing.T) {
	h := &recorder{}
	b := start(t, broker.Options{Handler: h})
	w := dial(t, b)
	w.join(hello{version: 5, id: "w", will: "gone", willPayload: "bye", willRetain: true})
	w.publish("a/b", "stored", 1, 1, retain)
	w.expect(tPuback)
	w.publish("$SYS/x", "no", 1, 2, 0)
	w.expect(tPuback)
	if err := b.Publisher().Publish(t.Context(), mqtt.Publication{Topic: "a/set", Payload: []byte("own"), QoS: 1}); err != nil {
		t.Fatal(err)
	}
	_ = w.c.Close()
	eventually(t, "the will", func() bool { return len(h.payloads()) == 2 })
	if got := h.payloads(); !slices.Equal(got, []string{"stored", "bye"}) {
		t.Errorf("handled %q", got)
	}
	var topics []string
	for m := range b.Retained("#") {
		topics = append(topics, m.Topic)
	}
	if !slices.Equal(topics, []string{"a/b", "gone"}) {
		t.Errorf("retained %q", topics)
	}
	if s := b.Stats(); s.Handled != 2 || s.Failed != 0 || s.Wills != 1 || s.WillsLost != 0 {
		t.Errorf("%+v", s)
	}
}

// TestExpiry: what is too late for a subscriber that was away does not come, whoever published it and whether the broker was restarted
// meanwhile.
func TestExpiry(t *testing.T) {
	for _, restart := range []bool{false, true} {
		opts := broker.Options{DataPath: dataPath(t)}
		b := start(t, opts)
		away := dial(t, b)
		away.join(hello{version: 4, id: "away", kept: true})
		away.subscribe(1, "set/#", 1)
		_ = away.c.Close()
		eventually(t, "disconnect", func() bool { return b.Stats().Connected == 0 })
		for _, m := range []mqtt.Publication{
			{Topic: "set/a", Payload: []byte("late"), QoS: 1, Expiry: time.Millisecond},
			{Topic: "set/b", Payload: []byte("for ever"), QoS: 1},
			{Topic: "set/c", Payload: []byte("in time"), QoS: 1, Expiry: time.Hour},
		} {
			if err := b.Publisher().Publish(t.Context(), m); err != nil {
				t.Fatal(err)
			}
		}
		if restart {
			if err := b.Close(); err != nil {
				t.Fatal(err)
			}
			b = start(t, opts)
		}
		time.Sleep(3200 * time.Millisecond) // the library looks once a second, at whole seconds
		again := dial(t, b)
		if !again.join(hello{version: 4, id: "away", kept: true}) {
			t.Fatal("the session is gone")
		}
		var got []string
		for range 2 {
			m := again.message()
			got = append(got, m.payload)
			again.idPacket(tPuback, m.id)
		}
		again.expectSilence(50 * time.Millisecond)
		if !slices.Equal(got, []string{"for ever", "in time"}) {
			t.Errorf("restarted: %v: %q", restart, got)
		}
	}
}
