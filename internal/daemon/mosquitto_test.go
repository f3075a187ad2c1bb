package daemon

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/statehouse/statehouse/internal/check"
	"github.com/statehouse/statehouse/internal/mqtt/client"
	"github.com/statehouse/statehouse/internal/mqtt/play"
)

// otherBroker is Mosquitto, as Debian ships it.
type otherBroker struct {
	path, config string
	url          string
	cmd          *exec.Cmd
}

// newMosquitto prepares one that keeps its sessions, and skips the test where there is none.
func newMosquitto(t *testing.T) *otherBroker {
	t.Helper()
	path, err := exec.LookPath("mosquitto")
	if err != nil {
		path, err = exec.LookPath("/usr/sbin/mosquitto")
	}
	if err != nil {
		t.Skip("mosquitto is not installed")
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := l.Addr().(*net.TCPAddr).Port
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	m := &otherBroker{path: path, config: filepath.Join(dir, "mosquitto.conf"), url: fmt.Sprintf("mqtt://127.0.0.1:%d", port)}
	text := fmt.Sprintf("listener %d 127.0.0.1\nallow_anonymous true\npersistence true\npersistence_location %s/\n"+
		"max_queued_messages 0\nuser root\n", port, dir)
	if err := os.WriteFile(m.config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.stop)
	return m
}

func (m *otherBroker) start(t *testing.T) {
	t.Helper()
	m.cmd = exec.CommandContext(t.Context(), m.path, "-c", m.config)
	if err := m.cmd.Start(); err != nil {
		t.Fatal(err)
	}
}

// stop ends it so that it saves its sessions.
func (m *otherBroker) stop() {
	if m.cmd != nil {
		_ = m.cmd.Process.Signal(os.Interrupt)
		_ = m.cmd.Wait()
		m.cmd = nil
	}
}

// TestMosquitto runs the daemon as a client of somebody else's broker, which restarts in the middle of a recording: the
// daemon is not ready meanwhile, comes back, and what was published then is recorded.
func TestMosquitto(t *testing.T) {
	m := newMosquitto(t)
	m.start(t)
	c := testConfig(t)
	c.MQTT = MQTT{Broker: Broker{URL: m.url, ClientID: "statehouse-test"}}
	d := start(t, c, Options{})
	wait(t, "ready", func() bool { return statusOf(t, d.URL()+"/readyz") == http.StatusOK })

	from := playSome(t, m.url, 1, 2000)
	wait(t, "the first part", func() bool { return d.House().Now().State.Entities.Len() > 200 })
	m.stop()
	wait(t, "not ready", func() bool { return statusOf(t, d.URL()+"/readyz") == http.StatusServiceUnavailable })
	before := d.House().Now().Position()
	m.start(t)
	from = playSome(t, m.url, from, 3000)
	wait(t, "ready again", func() bool { return statusOf(t, d.URL()+"/readyz") == http.StatusOK })
	wait(t, "the second part", func() bool { return d.House().Now().Position() > before+100 })
	t.Logf("%d lines played, %d messages received, %d events", from-1, d.Received(), d.House().Now().Position())
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	d = start(t, c, Options{})
	if err := check.House(t.Context(), d.House()); err != nil {
		t.Error(err)
	}
}

// playSome plays lines at QoS 1 until n are acknowledged, and returns the next.
func playSome(t *testing.T, url string, from int, n int64) int {
	t.Helper()
	qos := byte(1)
	var acks atomic.Int64
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	opts := play.Options{
		File: filepath.Join("..", "..", "testdata", "zigbee2mqtt", "house.jsonl.gz"), From: from, QoS: &qos,
		Broker: client.Endpoint{URL: url}, Skip: []string{"zigbee2mqtt/bridge/logging"},
		OnAck: func(int) {
			if acks.Add(1) == n {
				cancel()
			}
		},
	}
	for range 50 { // the broker may be starting
		res, err := play.Run(ctx, opts)
		if acks.Load() >= n {
			return res.Next
		}
		if res.Sent > 0 {
			t.Fatal(err)
		}
		time.Sleep(100 * time.Millisecond)
	}
	t.Fatal("the broker does not answer")
	return 0
}

// wait waits until something is so.
func wait(t *testing.T, what string, so func() bool) {
	t.Helper()
	for range 300 {
		if so() {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Fatalf("%s: not within 15 s", what)
}
