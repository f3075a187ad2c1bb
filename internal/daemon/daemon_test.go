package daemon

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/statehouse/statehouse"
	"github.com/statehouse/statehouse/eventstore"
	"github.com/statehouse/statehouse/internal/mqtt/client"
	"github.com/statehouse/statehouse/internal/mqtt/play"
	"github.com/statehouse/statehouse/storage"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// testConfig is a daemon on free ports in a directory of its own.
func testConfig(t *testing.T) Config {
	t.Helper()
	c := Config{DB: filepath.Join(t.TempDir(), "home.db")}
	c.HTTP.Address, c.MQTT.Address = "127.0.0.1:0", "127.0.0.1:0"
	c.SetDefaults()
	if err := c.Check(); err != nil {
		t.Fatal(err)
	}
	return c
}

func start(t *testing.T, c Config, opts Options) *Daemon {
	t.Helper()
	d, err := Start(t.Context(), c, opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	return d
}

func TestStartAndClose(t *testing.T) {
	c := testConfig(t)
	var out bytes.Buffer
	d := start(t, c, Options{Out: &out, Version: "v1"})
	if got := out.String(); !strings.HasPrefix(got, "recovered position 0 (snapshot 0 + 0 events) in ") {
		t.Errorf("it printed %q", got)
	}
	if status := statusOf(t, d.URL()+"/readyz"); status != http.StatusOK {
		t.Errorf("/readyz answers %d", status)
	}
	holder, err := storage.ReadHolder(c.DB)
	if err != nil || holder.URL != d.URL() {
		t.Errorf("the lock says %+v, %v", holder, err)
	}
	for m := range d.broker.Load().Retained(statusTopic) {
		if string(m.Payload) != statusOnline {
			t.Errorf("%s is %q", m.Topic, m.Payload)
		}
	}
	if _, err := Start(t.Context(), c, Options{}); !errors.Is(err, storage.ErrLocked) {
		t.Errorf("a second daemon starts: %v", err)
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	if err := d.Close(); err != nil {
		t.Errorf("the second Close: %v", err)
	}
	if got := ownEvents(t, c.DB); strings.Join(got, " ") != "started stopped" {
		t.Errorf("the daemon recorded %v", got)
	}
}

// ownEvents are what a daemon recorded of its life.
func ownEvents(t *testing.T, db string) (what []string) {
	t.Helper()
	h, err := statehouse.Open(db)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = h.Close() }()
	for e, err := range h.Read(t.Context(), eventstore.Query{Kinds: []eventstore.Kind{eventstore.KindSystem}, Sources: []string{source}}) {
		if err != nil {
			t.Fatal(err)
		}
		what = append(what, e.Payload.GetSystem().GetWhat())
	}
	return what
}

func statusOf(t *testing.T, url string) int {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	// A connection that is kept would look like a leak.
	req.Close = true
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, resp.Body)
	_ = resp.Body.Close()
	return resp.StatusCode
}

// TestFailedStart fails at each step of the way up, and leaves nothing open and nothing recorded.
func TestFailedStart(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = taken.Close() }()
	for name, change := range map[string]func(*Config){
		"http port": func(c *Config) { c.HTTP.Address = taken.Addr().String() },
		"mqtt port": func(c *Config) { c.MQTT.Address = taken.Addr().String() },
		"password":  func(c *Config) { c.MQTT.Users = []User{{Name: "a", PasswordFile: "nowhere"}} },
		"database":  func(c *Config) { c.DB = t.TempDir() },
		"broker ca": func(c *Config) {
			c.MQTT = MQTT{Broker: Broker{URL: "mqtts://127.0.0.1:1", ClientID: "x", CA: "nowhere"}}
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := testConfig(t)
			db := c.DB
			change(&c)
			if _, err := Start(t.Context(), c, Options{}); err == nil {
				t.Fatal("it started")
			}
			if c.DB == db {
				if got := ownEvents(t, db); len(got) > 0 {
					t.Errorf("the daemon recorded %v", got)
				}
			}
		})
	}
}

// TestRunUntilCancelled ends Run as a signal does.
func TestRunUntilCancelled(t *testing.T) {
	c := testConfig(t)
	ctx, cancel := context.WithCancel(t.Context())
	out := make(lines, 1)
	ended := make(chan error)
	go func() { ended <- Run(ctx, c, Options{Out: out}) }()
	<-out
	cancel()
	if err := <-ended; err != nil {
		t.Errorf("Run: %v", err)
	}
}

type lines chan string

func (l lines) Write(p []byte) (int, error) {
	l <- string(p)
	return len(p), nil
}

// TestRetainedComeFirst restarts a daemon whose broker retains the list of devices: devices are known at once.
func TestRetainedComeFirst(t *testing.T) {
	c := testConfig(t)
	d := start(t, c, Options{})
	publish(t, d.MQTTURL(), `{"ms":0,"topic":"zigbee2mqtt/bridge/state","qos":1,"retain":true,"payload":"{\"state\":\"online\"}"}`)
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	d = start(t, c, Options{})
	if got := d.Received(); got != 1 {
		t.Errorf("the dialects were handed %d messages", got)
	}
}

// publish plays lines to a broker.
func publish(t *testing.T, url string, recording ...string) {
	t.Helper()
	if _, err := play.Run(t.Context(), play.Options{
		File: "-", Stdin: strings.NewReader(strings.Join(recording, "\n")), Broker: client.Endpoint{URL: url},
	}); err != nil {
		t.Fatal(err)
	}
}

func TestConfigCheck(t *testing.T) {
	for _, test := range []struct {
		change func(*Config)
		want   string
	}{
		{func(c *Config) { c.HTTP.Address = "8321" }, "http.address"},
		{func(c *Config) { c.HTTP.Address = "127.0.0.1:x" }, "is no port"},
		{func(c *Config) { c.HTTP.Address = "0.0.0.0:1" }, "other machines"},
		{func(c *Config) { c.MQTT.Address = "[::]:1883" }, "mqtt.tls and mqtt.users"},
		{func(c *Config) { c.MQTT.TLS.Cert = "a" }, "both cert and key"},
		{func(c *Config) { c.MQTT.Users = []User{{Name: "a"}} }, "mqtt.users[0]: give one of password"},
		{func(c *Config) { c.MQTT.Users = []User{{Password: "geheim"}} }, "mqtt.users[0].name"},
		{func(c *Config) { c.MQTT.Broker.Username = "a" }, "mqtt.broker.url: it is missing"},
		{func(c *Config) { c.MQTT = MQTT{Broker: Broker{URL: "mqtt://a:geheim@b"}} }, "no credentials in the URL"},
		{func(c *Config) { c.MQTT = MQTT{Broker: Broker{URL: "ftp://b"}} }, "mqtts://host:8883"},
		{func(c *Config) { c.MQTT = MQTT{Broker: Broker{URL: "mqtt://b", Password: "geheim", PasswordFile: "x"}} }, "one of password"},
		{func(c *Config) { c.MQTT = MQTT{Broker: Broker{URL: "mqtt://b", Key: "x"}} }, "both cert and key"},
		{func(c *Config) { c.Zigbee2MQTT.BaseTopics = []string{"a/+"} }, "base_topics"},
		{func(c *Config) { c.Zigbee2MQTT.SilentAfter = time.Millisecond }, "silent_after"},
		{func(c *Config) { c.Log.Level = "loud" }, "log.level"},
		{func(c *Config) { c.Log.Format = "xml" }, "log.format"},
		{func(c *Config) { c.SnapshotEvery = 1 }, "snapshot_every"},
	} {
		c := testConfig(t)
		test.change(&c)
		err := c.Check()
		if !errors.Is(err, ErrConfig) || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "geheim") {
			t.Errorf("want %q, got %v", test.want, err)
		}
	}
}

func TestRecoveredLine(t *testing.T) {
	got := recoveredLine(eventstore.Recovery{Position: 1_204_331, Snapshot: 1_200_000, Replayed: 4_331, Took: 41 * time.Millisecond})
	if want := "recovered position 1,204,331 (snapshot 1,200,000 + 4,331 events) in 41 ms"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}
