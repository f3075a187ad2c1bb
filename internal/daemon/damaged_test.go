package daemon

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/statehouse/statehouse/client"
	"github.com/statehouse/statehouse/eventstore"
	"github.com/statehouse/statehouse/internal/api"
	"github.com/statehouse/statehouse/internal/mqtt"
	"github.com/statehouse/statehouse/internal/mqtt/broker"
)

// A daemon with a damaged log serves what can be read of it, records nothing, takes no message, and says so everywhere.
func TestDamagedLogIsServed(t *testing.T) {
	c := testConfig(t)
	c.Devices = []Device{{Topic: "garden/pump", Entities: []map[string]any{{"component": "switch", "name": "Pump", "command_topic": "~/set"}}}}
	d := start(t, c, Options{})
	publish(t, d.MQTTURL(), `{"ms":0,"topic":"zigbee2mqtt/bridge/state","qos":1,"retain":true,"payload":"{\"state\":\"online\"}"}`)
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	behind(t, c.DB, `UPDATE segments SET body = zeroblob(length(body)) WHERE last_position = (SELECT max(last_position) FROM segments)`)
	before, err := os.ReadFile(c.DB)
	if err != nil {
		t.Fatal(err)
	}
	const where = "its checksum does not fit"
	log := &journal{}
	var out bytes.Buffer
	d = start(t, c, Options{Out: &out, Logger: slog.New(slog.NewTextHandler(log, nil)), RetryEvery: time.Millisecond})
	if log.count("level=ERROR msg=\"the log is damaged: it is served as far as it can be read") != 1 || !strings.Contains(out.String(), where) {
		t.Errorf("it says %q", out.String())
	}
	for path, want := range map[string]struct {
		status int
		text   string
	}{
		"/readyz":         {http.StatusServiceUnavailable, where},
		"/v1/info":        {http.StatusOK, `"status":"read_only"`},
		"/v1/events?at=1": {http.StatusBadRequest, ""},
		"/v1/states":      {http.StatusOK, ""},
		"/metrics":        {http.StatusOK, "\nstatehouse_log_damaged 1\n"},
	} {
		status, header, body := getFrom(t, d, path)
		if text := strings.ReplaceAll(body, `": "`, `":"`); status != want.status || !strings.Contains(text, want.text) {
			t.Errorf("%s: %d %s", path, status, body)
		}
		if header := header.Get(api.DamageHeader); strings.HasPrefix(path, "/v1/") && !strings.Contains(header, where) {
			t.Errorf("%s has the header %q", path, header)
		}
	}
	err = d.intake.Load().Handle(t.Context(), mqtt.Message{Topic: "zigbee2mqtt/bridge/state", Payload: []byte(`{"state":"offline"}`), QoS: 1})
	if !errors.Is(err, eventstore.ErrReadOnly) {
		t.Errorf("a message: %v", err)
	}
	things, err := client.Dial(d.URL(), client.WithTokenFile(FirstTokenPath(c.DB)))
	if err != nil {
		t.Fatal(err)
	}
	defer things.Close()
	if _, err := things.Call(t.Context(), client.Command{Entity: "switch.pump", Action: "turn_on"}); !errors.Is(err, eventstore.ErrReadOnly) {
		t.Errorf("a command: %v", err)
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	if after, err := os.ReadFile(c.DB); err != nil || !bytes.Equal(before, after) {
		t.Errorf("the database was changed, %v", err)
	}
}

// statuses are what a broker hears on the status topic.
type statuses struct{ heard chan string }

func (s *statuses) Filters() []string { return []string{statusTopic} }

func (s *statuses) Handle(_ context.Context, m mqtt.Message) error {
	s.heard <- string(m.Payload)
	return nil
}

// At a broker of the user's, too, the status topic does not say that somebody takes messages in.
func TestDamagedLogAtAnotherBroker(t *testing.T) {
	said := &statuses{heard: make(chan string, 100)}
	b, err := broker.Start(t.Context(), broker.Options{Address: "127.0.0.1:0", Handler: said})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = b.Close() }()
	c := Config{DB: filepath.Join(t.TempDir(), "home.db")}
	c.HTTP.Address, c.MQTT.Broker.URL = "127.0.0.1:0", "mqtt://"+b.Addr().String()
	c.SetDefaults()
	d := start(t, c, Options{})
	if status := <-said.heard; status != statusOnline {
		t.Errorf("a sound one says %q", status)
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	if status := <-said.heard; status != statusOffline {
		t.Errorf("when it ends it says %q", status)
	}
	behind(t, c.DB, `UPDATE segments SET body = zeroblob(length(body)) WHERE last_position = (SELECT max(last_position) FROM segments)`)
	start(t, c, Options{})
	if status := <-said.heard; status != statusOffline {
		t.Errorf("a damaged one says %q", status)
	}
}
