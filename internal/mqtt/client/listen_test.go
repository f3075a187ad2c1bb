package client_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/eclipse/paho.golang/packets"

	"github.com/statehouse/statehouse/internal/mqtt"
	"github.com/statehouse/statehouse/internal/mqtt/broker"
	"github.com/statehouse/statehouse/internal/mqtt/client"
)

// TestListen: what matches is heard, what was retained marked; nothing is left at the broker.
func TestListen(t *testing.T) {
	b := startBroker(t, broker.Options{})
	publish(t, b, "a/old", "stored", true)
	h := &recorder{}
	ctx, stop := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	ready := make(chan struct{})
	wg.Go(func() {
		err := client.Listen(ctx, endpoint(b), []string{"a/#", "b"}, func() { close(ready) }, func(m mqtt.Message) error { return h.Handle(ctx, m) })
		if !errors.Is(err, context.Canceled) {
			t.Errorf("%v", err)
		}
	})
	<-ready
	publish(t, b, "b", "new", true)
	publish(t, b, "c", "other", false)
	publish(t, b, "a", "parent", false)
	eventually(t, "messages", func() bool { return len(h.payloads()) == 3 })
	if got := topicsOf(h); !slices.Equal(got, []string{"a/old (retained)", "b", "a"}) {
		t.Errorf("%q", got)
	}
	stop()
	wg.Wait()
	eventually(t, "its end", func() bool { s := b.Stats(); return s.Connected == 0 && s.Sessions == 0 })
	if s := b.Stats(); s.Received != 0 || s.Wills != 0 || s.Retained != 2 {
		t.Errorf("%+v", s)
	}
}

// TestListenEnds: what cannot go on is an error that says why.
func TestListenEnds(t *testing.T) {
	b := startBroker(t, broker.Options{Users: []broker.User{{Name: "house", Password: "secret", Subscribe: []string{"y/#"}}}})
	ep := endpoint(b)
	ep.Username, ep.Password = "house", func() (string, error) { return "secret", nil }
	enough := errors.New("enough")
	short := &fake{grant: func(*packets.Subscribe) []byte { return []byte{} }}
	shortEndpoint := short.start(t)
	for want, c := range map[string]struct {
		ep      client.Endpoint
		filters []string
	}{
		"enough": {ep, []string{"y/#"}}, `subscription to "x/#" (code 0x87) not authorized`: {ep, []string{"y/#", "x/#"}},
		"bad user name or password": {endpoint(b), []string{"#"}}, "no filters": {ep, nil}, "# must be the last": {ep, []string{"#/a"}},
		"write mqtt://": {client.Endpoint{URL: "x"}, []string{"#"}}, "SUBACK does not fit": {shortEndpoint, []string{"#"}},
	} {
		err := client.Listen(t.Context(), c.ep, c.filters, func() { publish(t, b, "y/a", "x", false) }, func(mqtt.Message) error { return enough })
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want %s, got %v", want, err)
		}
	}
	eventually(t, "the end of all", func() bool { return b.Stats().Connected == 0 })
}
