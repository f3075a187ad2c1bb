package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/statehouse/statehouse"
	"github.com/statehouse/statehouse/eventstore"
	"github.com/statehouse/statehouse/internal/api"
	"github.com/statehouse/statehouse/internal/check"
	"github.com/statehouse/statehouse/internal/daemon"
	"github.com/statehouse/statehouse/timeline"
)

// house is the recorded house.
var house = filepath.Join("..", "..", "testdata", "zigbee2mqtt", "house.jsonl.gz")

// startDaemon starts the whole program on free ports.
func startDaemon(t *testing.T, db string) *daemon.Daemon {
	t.Helper()
	cfg := daemon.Config{DB: db}
	cfg.HTTP.Address, cfg.MQTT.Address = "127.0.0.1:0", "127.0.0.1:0"
	cfg.SetDefaults()
	if err := cfg.Check(t.Context()); err != nil {
		t.Fatal(err)
	}
	d, err := daemon.Start(t.Context(), cfg, daemon.Options{Version: "test"})
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

// statehouseOutput runs a command that must succeed.
func statehouseOutput(t *testing.T, args ...string) string {
	t.Helper()
	var stdout, stderr bytes.Buffer
	if code := Run(t.Context(), args, strings.NewReader(""), &stdout, &stderr); code != 0 {
		t.Fatalf("statehouse %s: exit %d: %s", strings.Join(args, " "), code, stderr.String())
	}
	return stdout.String()
}

// TestPlayedHouse plays the recorded house into the whole program, and asks for it in every way that there is.
func TestPlayedHouse(t *testing.T) {
	db := filepath.Join(t.TempDir(), "home.db")
	d := startDaemon(t, db)
	args := []string{"play", house, "--broker", d.MQTTURL(), "--speed", "max", "--qos", "1"}
	if testing.Short() {
		args = append(args, "--skip", "zigbee2mqtt/bridge/logging")
	}
	played := statehouseOutput(t, args...)
	m := d.House().Now()
	t.Logf("%s→ %d events, %d entities, %d devices", played, m.Position(), m.State.Entities.Len(), m.Registry.Devices.Len())
	if m.State.Entities.Len() < 250 || m.Registry.Devices.Len() < 35 {
		t.Errorf("the house has %d entities and %d devices", m.State.Entities.Len(), m.Registry.Devices.Len())
	}
	until := "@" + count(m.Position())
	until = strings.ReplaceAll(until, ",", "")

	early, err := api.AtPosition(4000).Resolve(t.Context(), d.House())
	if err != nil {
		t.Fatal(err)
	}
	commands := [][]string{
		{"list", "-o", "json"},
		{"get", "light.sofa_lamp", "sensor.tv_plug_energy", "-o", "json"},
		{"history", "light.sofa_lamp", "--until", until, "-o", "json", "-n", "0"},
		{"history", "sensor.tv_plug_energy", "--since", "@100", "--until", "@5000", "-o", "json"},
		{"export", "--until", until},
		{"export", "--until", until, "--format", "csv", "--kind", "entity_registered"},
		{"device", "list", "-o", "json"},
		{"at", "@4000", "-o", "json"},
		{"at", early.RecordedAt.Format(time.RFC3339Nano), "light.sofa_lamp", "-o", "json"},
		{"diff", "@1500", "@4000", "-o", "json"},
		{"why", "light.sofa_lamp", "--at", until, "--saw", "-o", "json"},
	}
	var through []string
	for _, c := range commands {
		through = append(through, statehouseOutput(t, append(c, "--db", db)...))
		if got := statehouseOutput(t, append(c, "--server", d.URL(), "--token-file", daemon.FirstTokenPath(db))...); got != through[len(through)-1] {
			t.Errorf("%s: --server answers something else than --db", strings.Join(c, " "))
		}
	}
	compareHTTP(t, d, through[0], through[4])
	if err := check.House(t.Context(), d.House()); err != nil {
		t.Error(err)
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	for i, c := range commands {
		if got := statehouseOutput(t, append(c, "--db", db)...); normal(t, got) != normal(t, through[i]) {
			t.Errorf("%s: the database answers something else than the daemon did: %s", strings.Join(c, " "), cmp.Diff(through[i], got))
		}
	}
	restart(t, db, m)
}

// normal drops the position that list says its states are of, and when it was recorded, which the daemon's own last event moves.
func normal(t *testing.T, text string) string {
	t.Helper()
	if !strings.HasPrefix(text, "{\n  \"position\"") {
		return text
	}
	_, rest, _ := strings.Cut(text, "\n  \"final\"")
	return rest
}

// compareHTTP compares what the commands said with what the server says.
func compareHTTP(t *testing.T, d *daemon.Daemon, list, export string) {
	t.Helper()
	get := func(path string) string {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, d.URL()+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		token, err := os.ReadFile(daemon.FirstTokenPath(d.House().Path()))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+strings.TrimSpace(string(token)))
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = resp.Body.Close() }()
		text, err := io.ReadAll(resp.Body)
		if err != nil || resp.StatusCode != http.StatusOK {
			t.Fatalf("%s: %s %v", path, resp.Status, err)
		}
		return string(text)
	}
	var listed, served api.States
	if err := json.Unmarshal([]byte(list), &listed); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal([]byte(get("/v1/states")), &served); err != nil {
		t.Fatal(err)
	}
	for i := range listed.States {
		// The command indents.
		var b bytes.Buffer
		if err := json.Compact(&b, listed.States[i].Attributes); err != nil {
			t.Fatal(err)
		}
		listed.States[i].Attributes = b.Bytes()
	}
	if diff := cmp.Diff(served, listed); diff != "" {
		t.Errorf("list differs from /v1/states: %s", diff)
	}
	if get("/v1/events") != export {
		t.Error("export differs from /v1/events")
	}
	metrics := get("/metrics")
	for _, want := range []string{
		`statehouse_mqtt_received_total{source="zigbee2mqtt/default/zigbee2mqtt"}`, `statehouse_mqtt_dropped_total{reason="unchanged",source="zigbee2mqtt/default/zigbee2mqtt"}`,
		"statehouse_mqtt_broker_received_total", "statehouse_log_position", "statehouse_ready 1",
	} {
		if !strings.Contains(metrics, want) {
			t.Errorf("/metrics has no %s", want)
		}
	}
}

// restart starts the program again: its own event is all that is new, and the states stay bit for bit.
func restart(t *testing.T, db string, before timeline.Moment) {
	t.Helper()
	d := startDaemon(t, db)
	if diff := diffStates(before.State, d.House().Now().State); diff != "" {
		t.Errorf("the restart changed states: %s", diff)
	}
	for e, err := range d.House().Read(t.Context(), eventstore.Query{After: before.Position()}) {
		if err != nil {
			t.Fatal(err)
		}
		if e.Kind != eventstore.KindSystem {
			t.Errorf("the restart recorded %v", e)
		}
	}
}

// openHouse opens a database for a test to look at.
func openHouse(t *testing.T, db string) *statehouse.House {
	t.Helper()
	h, err := statehouse.OpenContext(context.Background(), db, statehouse.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return h
}
