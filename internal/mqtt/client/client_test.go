package client_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/statehouse/statehouse/internal/mqtt"
	"github.com/statehouse/statehouse/internal/mqtt/broker"
	"github.com/statehouse/statehouse/internal/mqtt/client"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// recorder keeps what it is given, after what do said.
type recorder struct {
	do  func(ctx context.Context, m mqtt.Message) error
	mu  sync.Mutex
	got []mqtt.Message
}

func (r *recorder) Filters() []string { return []string{"z/#"} }

func (r *recorder) Handle(ctx context.Context, m mqtt.Message) error {
	if r.do != nil {
		if err := r.do(ctx, m); err != nil {
			return err
		}
	}
	m.Payload = bytes.Clone(m.Payload)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.got = append(r.got, m)
	return nil
}

func (r *recorder) payloads() (all []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, m := range r.got {
		all = append(all, string(m.Payload))
	}
	return all
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(15 * time.Second); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if ok() {
			return
		}
	}
	t.Fatalf("did not happen: %s", what)
}

func startBroker(t *testing.T, opts broker.Options) *broker.Broker {
	t.Helper()
	if opts.Address == "" {
		opts.Address = "127.0.0.1:0"
	}
	b, err := broker.Start(context.Background(), opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close() })
	return b
}

// run starts a client; the returned function stops it and waits.
func run(t testing.TB, opts client.Options) (*client.Client, func()) {
	t.Helper()
	opts.MinBackoff, opts.MaxBackoff = 10*time.Millisecond, 50*time.Millisecond
	opts.ClientID = "statehouse"
	c, err := client.New(opts)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- c.Run(ctx) }()
	stop := sync.OnceFunc(func() {
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("Run returned %v", err)
		}
	})
	t.Cleanup(stop)
	return c, stop
}

func endpoint(b *broker.Broker) client.Endpoint {
	return client.Endpoint{URL: "mqtt://" + b.Addr().String()}
}

func publish(t *testing.T, b *broker.Broker, topic, payload string, retain bool) {
	t.Helper()
	if err := b.Publish(context.Background(), topic, []byte(payload), 1, retain); err != nil {
		t.Fatal(err)
	}
}

func status(b *broker.Broker) string {
	for m := range b.Retained("statehouse/status") {
		return string(m.Payload)
	}
	return ""
}

func TestDelivery(t *testing.T) {
	b := startBroker(t, broker.Options{})
	publish(t, b, "z/old", "stored", true)
	h := &recorder{}
	c, stop := run(t, client.Options{Endpoint: endpoint(b), Handler: h})
	eventually(t, "retained message", func() bool { return len(h.payloads()) == 1 })
	publish(t, b, "z/new", "fresh", true)
	publish(t, b, "other", "not for us", false)
	eventually(t, "message", func() bool { return len(h.payloads()) == 2 })
	if m := h.got[0]; !m.Retained || m.Topic != "z/old" {
		t.Errorf("%+v", m)
	}
	if m := h.got[1]; m.Retained || m.QoS != 1 || string(m.Payload) != "fresh" {
		t.Errorf("%+v", m)
	}
	eventually(t, "online", func() bool { return status(b) == "online" })
	if s := c.Status(); !s.Connected || s.Received != 2 || s.Acked != 2 || s.Connects != 1 {
		t.Errorf("%+v", s)
	}
	stop()
	eventually(t, "offline", func() bool { return status(b) == "offline" })
	if c.Status().Connected {
		t.Error("connected after its end")
	}
}

// TestHandlerFails: the message comes again, until it is taken, and the others after it in order.
func TestHandlerFails(t *testing.T) {
	b := startBroker(t, broker.Options{})
	fails := 3
	h := &recorder{do: func(_ context.Context, m mqtt.Message) error {
		if string(m.Payload) == "5" && fails > 0 {
			fails--
			return errors.New("disk full")
		}
		return nil
	}}
	c, _ := run(t, client.Options{Endpoint: endpoint(b), Handler: h})
	eventually(t, "connection", func() bool { return status(b) == "online" })
	var want []string
	for i := range 20 {
		want = append(want, fmt.Sprint(i))
		publish(t, b, "z/a", want[i], false)
	}
	eventually(t, "all messages", func() bool { return len(h.payloads()) >= 20 })
	// What was handled and acknowledged does not come again; the acknowledgement under way when it failed may.
	if got := slices.Compact(h.payloads()); !slices.Equal(got, want) {
		t.Errorf("handled %q", got)
	}
	if s := c.Status(); s.Failed != 3 || s.Connects != 4 || !s.SessionPresent {
		t.Errorf("%+v", s)
	}
}

// TestStoppedBeforeAck: a message whose handling was cut off is sent to the next one with the session.
func TestStoppedBeforeAck(t *testing.T) {
	b := startBroker(t, broker.Options{})
	begun := make(chan struct{}, 1)
	h := &recorder{do: func(ctx context.Context, _ mqtt.Message) error {
		begun <- struct{}{}
		<-ctx.Done()
		return ctx.Err()
	}}
	_, stop := run(t, client.Options{Endpoint: endpoint(b), Handler: h})
	eventually(t, "connection", func() bool { return status(b) == "online" })
	publish(t, b, "z/a", "one", false)
	<-begun
	publish(t, b, "z/a", "two", false)
	stop()
	publish(t, b, "z/a", "three", false)
	again := &recorder{}
	run(t, client.Options{Endpoint: endpoint(b), Handler: again})
	eventually(t, "redelivery", func() bool { return len(again.payloads()) == 3 })
	if got := again.payloads(); !slices.Equal(got, []string{"one", "two", "three"}) || len(h.payloads()) != 0 {
		t.Errorf("handled %q", got)
	}
}

// TestBrokerRestarts: what was published while the client was away comes when it is back.
func TestBrokerRestarts(t *testing.T) {
	path := t.TempDir() + "/mqtt.db"
	b := startBroker(t, broker.Options{DataPath: path})
	addr := b.Addr().String()
	h := &recorder{}
	c, _ := run(t, client.Options{Endpoint: endpoint(b), Handler: h})
	eventually(t, "connection", func() bool { return status(b) == "online" })
	publish(t, b, "z/a", "before", false)
	eventually(t, "message", func() bool { return len(h.payloads()) == 1 })
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "disconnect", func() bool { return !c.Status().Connected })
	b = startBroker(t, broker.Options{DataPath: path, Address: addr})
	publish(t, b, "z/a", "after", false)
	eventually(t, "message", func() bool { return slices.Contains(h.payloads(), "after") })
	// The acknowledgement of the first may have been under way when the broker closed.
	if got := slices.Compact(h.payloads()); !slices.Equal(got, []string{"before", "after"}) {
		t.Errorf("handled %q", got)
	}
	if s := c.Status(); s.Connects != 2 || !s.SessionPresent || s.LastError == "" {
		t.Errorf("%+v", s)
	}
}

// TestLongHandling: the connection is kept while the handler takes longer than the keepalive.
func TestLongHandling(t *testing.T) {
	b := startBroker(t, broker.Options{})
	h := &recorder{do: func(context.Context, mqtt.Message) error { time.Sleep(3500 * time.Millisecond); return nil }}
	c, _ := run(t, client.Options{Endpoint: endpoint(b), Handler: h, KeepAlive: time.Second})
	eventually(t, "connection", func() bool { return status(b) == "online" })
	publish(t, b, "z/a", "x", false)
	eventually(t, "acknowledgement", func() bool { return c.Status().Acked == 1 })
	time.Sleep(300 * time.Millisecond)
	if s := c.Status(); s.Attempts != 1 || !s.Connected {
		t.Errorf("%+v", s)
	}
}

func TestCredentials(t *testing.T) {
	b := startBroker(t, broker.Options{Users: []broker.User{{Name: "house", Password: "secret", Publish: []string{"statehouse/status"}, Subscribe: []string{"y/#"}}}})
	for name, c := range map[string]struct {
		password, want string
	}{"wrong": {"wrong", "bad user name or password"}, "no rule": {"secret", `refused the subscription to "z/#"`}} {
		ep := endpoint(b)
		ep.Username, ep.Password = "house", func() (string, error) { return c.password, nil }
		cl, stop := run(t, client.Options{Endpoint: ep, Handler: &recorder{}})
		eventually(t, name, func() bool { return strings.Contains(cl.Status().LastError, c.want) })
		if strings.Contains(cl.Status().LastError, c.password+" ") {
			t.Error("the error contains the password")
		}
		stop()
	}
}

// TestForeignAnswers: brokers that are none, or old.
func TestForeignAnswers(t *testing.T) {
	for name, c := range map[string]struct {
		answer []byte
		want   string
	}{
		"3.1.1":      {[]byte{0x20, 2, 0, 1}, "does not speak MQTT 5"},
		"closed":     {nil, "does not speak MQTT 5"},
		"code 0x84":  {[]byte{0x20, 3, 0, 0x84, 0}, "does not speak MQTT 5"},
		"http":       {[]byte("HTTP/1.1 400 Bad Request\r\n\r\n"), "mqtt client"},
		"too large":  {[]byte{0x20, 0xff, 0xff, 0xff, 0x7f}, "at most"},
		"bad length": {[]byte{0x20, 0xff, 0xff, 0xff, 0xff, 1}, "malformed"},
		"no CONNACK": {[]byte{0xd0, 0}, "type 13"},
		"garbage":    {[]byte{0x20, 5, 0, 0, 200, 1, 1}, "malformed"},
		"after":      {[]byte{0x20, 3, 0, 0, 0, 0x30, 5, 0, 200, 1, 2, 3}, "malformed"},
		"wildcard":   {[]byte{0x20, 3, 0, 0, 0, 0x30, 5, 0, 1, '#', 0, 'x'}, "wildcard"},
	} {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		done := make(chan struct{})
		go func() {
			defer close(done)
			for {
				nc, err := ln.Accept()
				if err != nil {
					return
				}
				_, _ = nc.Read(make([]byte, 1000))
				_, _ = nc.Write(c.answer)
				_ = nc.(*net.TCPConn).CloseWrite()
				time.Sleep(20 * time.Millisecond)
				_ = nc.Close()
			}
		}()
		cl, stop := run(t, client.Options{Endpoint: client.Endpoint{URL: "mqtt://" + ln.Addr().String()}, Handler: &recorder{}})
		eventually(t, name, func() bool { return cl.Status().Attempts > 1 })
		if got := cl.Status().LastError; !strings.Contains(got, c.want) {
			t.Errorf("%s: %q does not contain %q", name, got, c.want)
		}
		stop()
		_ = ln.Close()
		<-done
	}
}

// TestBadOptions: what cannot work is refused before anything is connected to, under the key of the configuration file; no
// password is quoted.
func TestBadOptions(t *testing.T) {
	h := &recorder{}
	hush := func() (string, error) { return "hush", nil }
	empty := filepath.Join(t.TempDir(), "empty")
	if err := os.WriteFile(empty, []byte("\nhush\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for want, opts := range map[string]client.Options{
		`url: "": write mqtt://host:1883`:                  {},
		`url: "http://x": write`:                           {Endpoint: client.Endpoint{URL: "http://x"}},
		"url: it contains a user":                          {Endpoint: client.Endpoint{URL: "mqtt://me:hush@x"}},
		"url: it cannot be read":                           {Endpoint: client.Endpoint{URL: "mqtt://me:hush%x"}},
		`url: "mqtt://:1883" has no host`:                  {Endpoint: client.Endpoint{URL: "mqtt://:1883"}},
		`url: "mqtt://x/y" has more`:                       {Endpoint: client.Endpoint{URL: "mqtt://x/y"}},
		"ca: open missing.pem":                             {Endpoint: client.Endpoint{URL: "mqtts://x", CAFile: "missing.pem"}},
		`url: "mqtt://x" speaks no TLS`:                    {Endpoint: client.Endpoint{URL: "mqtt://x", CAFile: "missing.pem"}},
		"cert: give both":                                  {Endpoint: client.Endpoint{URL: "mqtts://x", CertFile: "missing.pem"}},
		"cert: missing.pem with key missing.key":           {Endpoint: client.Endpoint{URL: "mqtts://x", CertFile: "missing.pem", KeyFile: "missing.key"}},
		"password: give one of password and password_file": {Endpoint: client.Endpoint{URL: "mqtt://x", Password: hush, PasswordFile: "x"}},
		"password_file: open missing":                      {Endpoint: client.Endpoint{URL: "mqtt://x", PasswordFile: "missing"}},
		"password_file: the first line":                    {Endpoint: client.Endpoint{URL: "mqtt://x", PasswordFile: empty}},
		"":                                                 {Endpoint: client.Endpoint{URL: "mqtt://x"}},
	} {
		opts.ClientID, opts.Handler = "me", h
		_, err := client.New(opts)
		checked := opts.Check()
		if want == "" {
			if err != nil || checked != nil {
				t.Errorf("good options: %v, %v", err, checked)
			}
			continue
		}
		if checked == nil || !strings.HasPrefix(checked.Error(), want) || strings.Contains(checked.Error(), "hush") ||
			err == nil || !strings.HasSuffix(err.Error(), checked.Error()) {
			t.Errorf("want %s\ngot %v\nand of New %v", want, checked, err)
		}
	}
	x := client.Endpoint{URL: "mqtt://x"}
	for name, opts := range map[string]client.Options{
		"no handler":   {Endpoint: x, ClientID: "me"},
		"no client id": {Endpoint: x, Handler: h},
		"topic":        {Endpoint: x, ClientID: "me", Handler: h, StatusTopic: "a/#"},
		"keepalive":    {Endpoint: x, ClientID: "me", Handler: h, KeepAlive: time.Millisecond},
	} {
		if _, err := client.New(opts); err == nil {
			t.Errorf("%s: it was accepted", name)
		}
	}
}
