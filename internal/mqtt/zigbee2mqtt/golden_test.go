package zigbee2mqtt

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/statehouse/statehouse"
	"github.com/statehouse/statehouse/eventstore"
	"github.com/statehouse/statehouse/internal/mqtt"
	"github.com/statehouse/statehouse/internal/mqtt/dialect"
	"github.com/statehouse/statehouse/registry"
	"github.com/statehouse/statehouse/state"
)

var rewrite = flag.Bool("update", false, "rewrite the golden files in testdata")

// open opens a house of the test's own.
func open(t testing.TB, path string) *statehouse.House {
	t.Helper()
	h, err := statehouse.OpenContext(t.Context(), path, statehouse.Options{Clock: func() time.Time { return base }})
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// dump is the house as text: its devices, its entities with their states, sorted by id.
func dump(t testing.TB, reg registry.Revision, states state.Revision) string {
	t.Helper()
	var b strings.Builder
	var devices []string
	for _, d := range reg.Devices.All() {
		devices = append(devices, fmt.Sprintf("%s %s %q %q %q %q topic=%s via=%s\n", d.GetKind(), d.GetId(), d.GetName(), d.GetManufacturer(),
			d.GetModel(), d.GetModelId(), d.GetTopic(), d.GetViaDevice()))
	}
	slices.Sort(devices)
	b.WriteString(strings.Join(devices, ""))
	for _, e := range sortedEntities(reg) {
		s, ok := states.Get(e.GetId())
		if !ok {
			fmt.Fprintf(&b, "%s (disabled)\n", e.GetId())
			continue
		}
		data, err := state.JSON(s.Attributes)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&b, "%s %s %s %s\n", e.GetId(), s.UpdatedAt.Sub(base), s.ChangedAt.Sub(base), data)
	}
	return b.String()
}

// golden compares got with a file of testdata.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *rewrite {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(got, "\n")); diff != "" {
		t.Errorf("%s differs (-want +got):\n%s", path, diff)
	}
}

func counts(d *Dialect, events map[eventstore.Kind]int) string {
	var b strings.Builder
	s := d.Stats()
	fmt.Fprintf(&b, "received %d\nevents %d\nwaiting %d\n", s.Received, s.Events, s.Waiting)
	for _, k := range slices.Sorted(maps.Keys(events)) {
		fmt.Fprintf(&b, "%s %d\n", k, events[k])
	}
	for _, r := range dialect.Reasons() {
		fmt.Fprintf(&b, "ignored %s %d\n", r, s.Ignored[r])
	}
	return b.String()
}

func TestTheRecordedHouse(t *testing.T) {
	path := filepath.Join(t.TempDir(), "home.db")
	h := open(t, path)
	d := New(h, Options{Broker: "local"})
	all := house(t)
	for i, r := range all {
		if i == len(all)-1 { // the broker's will: the bridge is offline, and everything with it
			golden(t, "house.golden", dump(t, h.Now().Registry, h.Now().State))
		}
		if err := d.Handle(t.Context(), r.message(t)); err != nil {
			t.Fatal(err)
		}
	}
	events := make(map[eventstore.Kind]int)
	for e, err := range h.Read(t.Context(), eventstore.Query{}) {
		if err != nil {
			t.Fatal(err)
		}
		events[e.Kind]++
		if e.Source != d.Source() {
			t.Fatalf("event %d is of %q", e.Position, e.Source)
		}
	}
	now := h.Now()
	first := dump(t, now.Registry, now.State)
	for _, s := range now.State.Sorted() {
		if s.EntityID != "binary_sensor.zigbee2mqtt_bridge_connection_state" && state.Text(s.Attributes) != "unavailable" {
			t.Errorf("%s is %s after the bridge went offline", s.EntityID, state.Text(s.Attributes))
		}
	}
	golden(t, "counts.golden", counts(d, events))

	// A restart changes nothing, and the lists say nothing new.
	if err := h.Close(); err != nil {
		t.Fatal(err)
	}
	h = open(t, path)
	defer func() {
		if err := h.Close(); err != nil {
			t.Error(err)
		}
	}()
	now = h.Now()
	if diff := cmp.Diff(first, dump(t, now.Registry, now.State)); diff != "" {
		t.Errorf("after a restart (-before +after):\n%s", diff)
	}
	head := now.Position()
	d = New(h, Options{Broker: "local"})
	for _, topic := range []string{"zigbee2mqtt/bridge/devices", "zigbee2mqtt/bridge/groups", "zigbee2mqtt/bridge/info", "zigbee2mqtt/bridge/state"} {
		last := slices.IndexFunc(all, func(r recorded) bool { return r.Topic == topic })
		for i, r := range all {
			if r.Topic == topic {
				last = i
			}
		}
		m := all[last].message(t)
		m.Retained = true
		if err := d.Handle(t.Context(), m); err != nil {
			t.Fatal(err)
		}
	}
	if got := h.Now().Position(); got != head {
		t.Errorf("the same lists again: %d events", got-head)
	}
}

func TestTheSecondTimeRegistersOnlyWhatHadChanged(t *testing.T) {
	b := newBench(t, Options{})
	registered := 0
	for round := range 2 {
		registered = 0
		for _, r := range house(t) {
			for _, e := range b.message(r.message(t)) {
				switch eventstore.KindOf(e.Payload) {
				case eventstore.KindEntityRegistered, eventstore.KindDeviceRegistered:
					registered++
				}
			}
		}
		if round == 0 && registered != 420 {
			t.Errorf("%d registrations in the first round", registered)
		}
	}
	// sofa_lamp is called so again and renamed, cellar_climate comes back with its seven entities, the group is
	// removed and made, with and without its second member.
	if registered > 20 {
		t.Errorf("%d registrations in the second round", registered)
	}
	if err := b.house.Cache.CheckMutations(); err != nil {
		t.Error(err)
	}
}

func BenchmarkReports(b *testing.B) {
	bn := newBench(b, Options{})
	all := house(b)
	var reports []recorded
	for _, r := range all {
		switch {
		case strings.HasPrefix(r.Topic, "zigbee2mqtt/bridge/"):
			if r.MS < 120_000 && !strings.HasSuffix(r.Topic, "logging") {
				bn.message(r.message(b))
			}
		case strings.Count(r.Topic, "/") == 1 && r.Payload != "":
			reports = append(reports, r)
		}
	}
	bn.house.Once = true
	messages := make([]mqtt.Message, len(reports))
	for i, r := range reports {
		messages[i] = r.message(b)
	}
	b.ReportAllocs()
	b.ResetTimer()
	for i := range b.N {
		if err := bn.Handle(b.Context(), messages[i%len(messages)]); err != nil {
			b.Fatal(err)
		}
	}
}
