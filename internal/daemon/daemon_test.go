package daemon

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/statehouse/statehouse"
	"github.com/statehouse/statehouse/eventstore"
	"github.com/statehouse/statehouse/internal/mqtt/broker"
	"github.com/statehouse/statehouse/internal/mqtt/client"
	"github.com/statehouse/statehouse/internal/mqtt/play"
	"github.com/statehouse/statehouse/storage"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// testConfig is a daemon on free ports in a directory of its own.
func testConfig(t testing.TB) Config {
	t.Helper()
	c := Config{DB: filepath.Join(t.TempDir(), "home.db")}
	c.HTTP.Address, c.MQTT.Address = "127.0.0.1:0", "127.0.0.1:0"
	c.SetDefaults()
	if err := c.Check(t.Context()); err != nil {
		t.Fatal(err)
	}
	return c
}

func start(t testing.TB, c Config, opts Options) *Daemon {
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
	if got := ownEvents(t, c.DB); strings.Join(got, " ") != "started token_created stopped" {
		t.Errorf("the daemon recorded %v", got)
	}
}

// TestBehindALink: what is beside a database is beside itself, whatever link it is opened by: its tokens and its broker's messages are
// there by every name, and so is the daemon.
func TestBehindALink(t *testing.T) {
	c := testConfig(t)
	link := filepath.Join(t.TempDir(), "link.db")
	if err := os.Symlink(c.DB, link); err != nil {
		t.Skipf("there are no links: %v", err)
	}
	behind := c
	behind.DB = link
	d := start(t, behind, Options{})
	if err := d.broker.Load().Publish(t.Context(), "kept", []byte("x"), 1, true); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(SocketPath(c.DB)); err != nil {
		t.Errorf("the daemon is not where it is looked for: %v", err)
	}
	first, err := os.ReadFile(FirstTokenPath(c.DB))
	if err := errors.Join(err, d.Close()); err != nil {
		t.Error(err)
	}
	if beside, err := os.ReadDir(filepath.Dir(link)); err != nil || len(beside) != 1 {
		t.Errorf("beside the link there are %v, %v", beside, err)
	}
	d = start(t, c, Options{})
	if _, err := d.tokens.Authenticate("", strings.TrimSpace(string(first))); err != nil {
		t.Errorf("the token of before: %v", err)
	}
	if _, ok := d.broker.Load().RetainedOn("kept"); !ok {
		t.Error("the broker has not kept what it retained")
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
	var began eventstore.Event
	for e, err := range h.Read(t.Context(), eventstore.Query{Kinds: []eventstore.Kind{eventstore.KindSystem}, Sources: []string{source}}) {
		if err != nil {
			t.Fatal(err)
		}
		what = append(what, e.Payload.GetSystem().GetWhat())
		if what[len(what)-1] == "started" {
			began = e
		} else if e.CausePosition != began.Position || e.CorrelationID != began.CorrelationID {
			t.Errorf("it does not belong to the start at %d: %v", began.Position, e)
		}
	}
	return what
}

// getFrom asks a daemon as whoever has its first token, or, where there is none, as its owner.
func getFrom(t *testing.T, d *Daemon, path string) (status int, header http.Header, body string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, d.URL()+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{DisableKeepAlives: true}
	if token, err := os.ReadFile(FirstTokenPath(d.cfg.DB)); err == nil {
		req.Header.Set("Authorization", "Bearer "+strings.TrimSpace(string(token)))
	} else {
		transport.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", SocketPath(d.cfg.DB))
		}
	}
	resp, err := (&http.Client{Transport: transport}).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(resp.Body)
	if err = errors.Join(err, resp.Body.Close()); err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, resp.Header, string(text)
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
		"database":  func(c *Config) { c.DB = t.TempDir() },
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

// TestStoreRecovers: a store that could not write is noticed to be able to again, though nobody has anything to record, and
// the gap is explained. A trigger stands for the full disk.
func TestStoreRecovers(t *testing.T) {
	c := testConfig(t)
	d := start(t, c, Options{RetryEvery: 10 * time.Millisecond})
	db, err := sql.Open("sqlite", c.DB+"?_pragma=busy_timeout(10000)")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	if _, err := db.ExecContext(t.Context(), `CREATE TRIGGER full BEFORE INSERT ON segments BEGIN SELECT RAISE(ABORT, 'the disk is full'); END`); err != nil {
		t.Fatal(err)
	}
	if err := d.record(t.Context(), "test", ""); !errors.Is(err, eventstore.ErrUnavailable) {
		t.Fatalf("an append to a full disk: %v", err)
	}
	if status := statusOf(t, d.URL()+"/readyz"); status != http.StatusServiceUnavailable {
		t.Errorf("/readyz answers %d", status)
	}
	if _, err := db.ExecContext(t.Context(), `DROP TRIGGER full`); err != nil {
		t.Fatal(err)
	}
	wait(t, "ready again", func() bool { return statusOf(t, d.URL()+"/readyz") == http.StatusOK })
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	if got := ownEvents(t, c.DB); strings.Join(got, " ") != "started token_created resumed stopped" {
		t.Errorf("the daemon recorded %v", got)
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

// TestConfigCheck: what is wrong is said under its key, and a daemon refuses the same in the same words, before anything is
// opened.
func TestConfigCheck(t *testing.T) {
	user := User{Name: "a", Password: "geheim", Publish: []string{"#"}}
	external := func(b Broker) func(*Config) { return func(c *Config) { c.MQTT = MQTT{Broker: b} } }
	users := func(u ...User) func(*Config) { return func(c *Config) { c.MQTT.Users = u } }
	for _, test := range []struct {
		change func(*Config)
		want   string
	}{
		{func(c *Config) { c.HTTP.Address = "8321" }, "http.address: \"8321\": write host:port"},
		{func(c *Config) { c.HTTP.Address = "127.0.0.1:x" }, "http.address: "},
		{func(c *Config) { c.HTTP.Address = "0.0.0.0:1" }, "http.address: 0.0.0.0:1 can be reached from other machines"},
		{func(c *Config) { c.MQTT.Address = "[::]:1883" }, "mqtt.address: [::]:1883 can be reached from other machines"},
		{func(c *Config) { c.MQTT.TLS.Cert = "a" }, "mqtt.tls: give both cert and key"},
		{func(c *Config) { c.MQTT.TLS = TLS{Cert: "a", Key: "b"} }, "mqtt.tls: certificate \"a\" with key \"b\""},
		{func(c *Config) { c.MQTT.Limits.MaxClients = -1 }, "mqtt.limits.max_clients: -1: write"},
		{users(User{Name: "a", Publish: []string{"#"}}), "mqtt.users[0]: give one of password"},
		{users(User{Name: "a", Password: "geheim", PasswordFile: "x", Publish: []string{"#"}}), "mqtt.users[0]: give one of password"},
		{users(user, User{Name: "b", Password: "geheim"}), "mqtt.users[1]: user \"b\" could do nothing"},
		{users(User{Password: "geheim", Publish: []string{"#"}}), "mqtt.users[0].name"},
		{users(User{Name: "a", PasswordFile: "nowhere", Publish: []string{"#"}}), "mqtt.users[0].password_file: open nowhere"},
		{func(c *Config) { c.MQTT.Broker.Username = "a" }, "mqtt.broker.url: it is missing"},
		{external(Broker{URL: "mqtt://a:geheim@b"}), "mqtt.broker.url: it contains a user"},
		{external(Broker{URL: "mqtt:a:geheim@b"}), "mqtt.broker.url: it contains a user"},
		{external(Broker{URL: "ftp://b"}), "mqtt.broker.url: \"ftp://b\": write"},
		{external(Broker{URL: "mqtt://b", Password: "geheim", PasswordFile: "x"}), "mqtt.broker.password: give one"},
		{external(Broker{URL: "mqtt://b", PasswordFile: "nowhere"}), "mqtt.broker.password_file: open nowhere"},
		{external(Broker{URL: "mqtts://b", Key: "x"}), "mqtt.broker.cert: give both cert and key"},
		{external(Broker{URL: "mqtts://b", CA: "nowhere"}), "mqtt.broker.ca: open nowhere"},
		{func(c *Config) { c.MQTT = MQTT{Broker: Broker{URL: "mqtt://b"}, Users: []User{user}} }, "mqtt.broker.url: with a broker of your own"},
		{func(c *Config) { c.Zigbee2MQTT.BaseTopics = []string{"a/+"} }, "zigbee2mqtt.base_topics: \"a/+\""},
		{func(c *Config) { c.Zigbee2MQTT.BaseTopics = []string{"a", "b", "a"} }, "zigbee2mqtt.base_topics: \"a\" is given twice"},
		{func(c *Config) { c.Zigbee2MQTT.SilentAfter = time.Millisecond }, "zigbee2mqtt.silent_after"},
		{func(c *Config) { c.Log.Level = "loud" }, "log.level"},
		{func(c *Config) { c.Log.Format = "xml" }, "log.format"},
		{func(c *Config) { c.SnapshotEvery = 1 }, "snapshot_every"},
		{func(c *Config) { c.MaxEntities = -1 }, "max_entities: -1: write at least 1"},
		{func(c *Config) { *c.VerifyEvery = Interval(time.Second) }, "verify_every: 1s: write 0 for never, or at least 1m0s"},
		{func(c *Config) { *c.VerifyEvery = -1 }, "verify_every: -1ns: write 0"},
	} {
		c := testConfig(t)
		test.change(&c)
		err := c.Check(t.Context())
		if !errors.Is(err, ErrConfig) || !strings.HasPrefix(err.Error(), "configuration: "+test.want) || strings.ContainsAny(err.Error(), "\n") ||
			strings.Contains(err.Error(), "geheim") {
			t.Errorf("want %q, got %v", test.want, err)
			continue
		}
		if shown := fmt.Sprintf("%+v", c.Redacted()); strings.Contains(shown, "geheim") {
			t.Errorf("%s: it is shown as %s", test.want, shown)
		}
		if _, started := Start(t.Context(), c, Options{}); started == nil || started.Error() != err.Error() {
			t.Errorf("checked: %v\nstarted: %v", err, started)
		}
		if _, err := os.Stat(c.DB); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: there is a database: %v", test.want, err)
		}
	}
}

// TestAddressTaken: who listens on an address already, and what to do about it, is said.
func TestAddressTaken(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = taken.Close() }()
	for key, change := range map[string]func(*Config){
		"http": func(c *Config) { c.HTTP.Address = taken.Addr().String() },
		"mqtt": func(c *Config) { c.MQTT.Address = taken.Addr().String() },
	} {
		c := testConfig(t)
		change(&c)
		_, err := Start(t.Context(), c, Options{})
		for _, want := range []string{key + ".address: ", "another statehouse", taken.Addr().String(), "--" + key + "-address"} {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s is not in %v", want, err)
			}
		}
	}
}

// TestTwoDaemonsAtOneBroker: each has a session of its own there, the same one after a restart.
func TestTwoDaemonsAtOneBroker(t *testing.T) {
	b, err := broker.Start(t.Context(), broker.Options{Address: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = b.Close() }()
	external := func() Config {
		c := Config{DB: filepath.Join(t.TempDir(), "home.db")}
		c.HTTP.Address, c.MQTT.Broker.URL = "127.0.0.1:0", "mqtt://"+b.Addr().String()
		c.SetDefaults()
		return c
	}
	c := external()
	d := start(t, c, Options{})
	start(t, external(), Options{})
	wait(t, "both are connected", func() bool { return b.Stats().Connected == 2 })
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	d = start(t, c, Options{})
	wait(t, "it is connected again", func() bool { return b.Stats().Connected == 2 && d.notReady() == nil })
	if s := d.client.Load().Status(); !s.SessionPresent || b.Stats().Sessions != 2 {
		t.Errorf("session present: %v, %d sessions", s.SessionPresent, b.Stats().Sessions)
	}
	if id := defaultClientID(d.House().Store().UUID()); len(id) != 23 {
		t.Errorf("the client id %q has %d bytes", id, len(id))
	}
}

func TestRecoveredLine(t *testing.T) {
	got := recoveredLine(eventstore.Recovery{Position: 1_204_331, Snapshot: 1_200_000, Replayed: 4_331, Took: 41 * time.Millisecond})
	if want := "recovered position 1,204,331 (snapshot 1,200,000 + 4,331 events) in 41 ms"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}
