package zigbee2mqtt

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/proto"

	"github.com/statehouse/statehouse/eventstore"
	entityv1 "github.com/statehouse/statehouse/gen/statehouse/entity/v1"
	eventv1 "github.com/statehouse/statehouse/gen/statehouse/event/v1"
	"github.com/statehouse/statehouse/internal/mqtt/dialect"
)

func TestWhatAUserDecidedStays(t *testing.T) {
	b := newBench(t, Options{})
	b.lists(device("0x1", "x", exposeTemperature, exposeQuality))
	b.expectKinds(b.say("zigbee2mqtt/x", `{"temperature":19,"linkquality":7}`), "state_changed sensor.x_temperature")
	yes, no := true, false
	b.house.Edit(t, "sensor.x_temperature", func(e *entityv1.Entity) {
		e.UserName, e.AreaId, e.UserDisabled = "Warm", "kitchen", &yes
	})
	b.house.Edit(t, "sensor.x_linkquality", func(e *entityv1.Entity) { e.UserDisabled = &no })
	b.house.User(t, eventstore.Event{Entity: "sensor.x_linkquality", Payload: &eventv1.Payload{
		Kind: &eventv1.Payload_EntityRenamed{EntityRenamed: &eventv1.EntityRenamed{NewId: "sensor.quality"}},
	}})
	before, _ := b.house.Registry.Revision().Device(b.deviceID("0x1"))
	d := proto.CloneOf(before)
	d.UserName, d.AreaId = "Box", "kitchen"
	b.house.User(t, eventstore.Event{Payload: &eventv1.Payload{
		Kind: &eventv1.Payload_DeviceRegistered{DeviceRegistered: &eventv1.DeviceRegistered{Device: d}},
	}})
	b.expectKinds(b.say("zigbee2mqtt/x", `{"temperature":20,"linkquality":7}`), "state_changed sensor.quality")
	b.expectKinds(b.lists(device("0x1", "x", exposeTemperature, exposeQuality)), "")

	changed := func(s string) string { return strings.ReplaceAll(strings.ReplaceAll(s, "°C", "°F"), "lqi", "%") }
	b.expectKinds(b.lists(device("0x1", "new", changed(exposeTemperature), changed(exposeQuality))),
		"device_registered, entity_registered sensor.x_temperature, entity_registered sensor.quality")
	e, _ := b.house.Registry.Revision().Entity("sensor.x_temperature")
	if e.GetUnit() != "°F" || e.GetUserName() != "Warm" || e.GetAreaId() != "kitchen" || !e.GetUserDisabled() {
		t.Error(e)
	}
	after, _ := b.house.Registry.Revision().Device(b.deviceID("0x1"))
	if after.GetName() != "new" || after.GetUserName() != "Box" || after.GetAreaId() != "kitchen" {
		t.Error(after)
	}
	b.expect("sensor.quality", `{"number":7}`)
}

func TestIDs(t *testing.T) {
	b := newBench(t, Options{})
	b.house.User(t, eventstore.Event{Entity: "sensor.b_temperature", Payload: &eventv1.Payload{
		Kind: &eventv1.Payload_StateChanged{StateChanged: &eventv1.StateChanged{Attributes: &entityv1.Attributes{}}},
	}})
	long := strings.Repeat("long", 70)
	b.lists(device("0x1", "a b", exposeTemperature), device("0x2", "a_b", exposeTemperature), device("0x3", "A  B!", exposeTemperature),
		device("0x4", "b", exposeTemperature), device("0x5", "кухня", exposeTemperature), device("0x6", "", exposeTemperature),
		device("0x7", long, exposeTemperature), device("0x8", long+"er", exposeTemperature))
	cut := strings.Repeat("long", 50)
	want := []string{"sensor.0x5_temperature", "sensor.0x6_temperature", "sensor.a_b_temperature", "sensor.a_b_temperature_2",
		"sensor.a_b_temperature_3", "sensor.b_temperature_2", "sensor." + cut + "_temperature", "sensor." + cut + "_temperature_2"}
	got := slices.DeleteFunc(b.ids(), func(id string) bool { return strings.HasPrefix(id, "(") })
	if !slices.Equal(got, want) {
		t.Errorf("ids\n got %q\nwant %q", got, want)
	}
	for name, want := range map[string]string{
		"Küche": "kuche", "Straße 5": "strasse_5", "  Anna's lamp ": "annas_lamp", "Łódź-Ørsted": "lodz_orsted", "灯": "", "a__b": "a_b",
		"Ǻ": "", "_": "",
	} {
		if got := dialect.Slug(name); got != want {
			t.Errorf("slug(%q) = %q, want %q", name, got, want)
		}
	}
}

// What a user decided comes back with what it was decided of, and so does the id that it was first given.
func TestWhatAUserDecidedComesBack(t *testing.T) {
	b := newBench(t, Options{})
	list := func(devices ...string) []eventstore.Event {
		b.Helper()
		return b.say("zigbee2mqtt/bridge/devices", "["+strings.Join(append(devices, `{"ieee_address":"0xc","type":"Coordinator"}`), ",")+"]")
	}
	lamp := func(name string) string { return device("0x1", name, exposeLight, exposeTemperature, exposeQuality) }
	list(lamp("sofa_lamp"), device("0x2", "x", exposeTemperature))
	no, yes := false, true
	b.house.Edit(t, "sensor.sofa_lamp_temperature", func(e *entityv1.Entity) {
		e.UserName, e.AreaId, e.UserDisabled = "Warm", "kitchen", &yes
	})
	b.house.Edit(t, "sensor.sofa_lamp_linkquality", func(e *entityv1.Entity) { e.UserDisabled = &no })
	b.house.User(t, eventstore.Event{Entity: "sensor.sofa_lamp_linkquality", Payload: &eventv1.Payload{
		Kind: &eventv1.Payload_EntityRenamed{EntityRenamed: &eventv1.EntityRenamed{NewId: "sensor.quality"}},
	}})
	known, _ := b.house.Registry.Revision().Device(b.deviceID("0x1"))
	d := proto.CloneOf(known)
	d.UserName, d.AreaId = "Box", "kitchen"
	b.house.User(t, eventstore.Event{Payload: &eventv1.Payload{
		Kind: &eventv1.Payload_DeviceRegistered{DeviceRegistered: &eventv1.DeviceRegistered{Device: d}},
	}})
	b.say("zigbee2mqtt/sofa_lamp", `{"state":"ON"}`)
	before := b.registry()

	list()
	b.expectIDs()
	// It comes back together with another one that would take its ids, under the name that it has by then.
	list(device("0x3", "sofa_lamp", exposeLight), lamp("sofa_lamp"), device("0x2", "x", exposeTemperature))
	b.expectIDs("(sensor.sofa_lamp_last_seen)", "(sensor.sofa_lamp_last_seen_2)", "(sensor.sofa_lamp_temperature)", "(sensor.x_last_seen)",
		"light.sofa_lamp", "light.sofa_lamp_2", "sensor.quality", "sensor.x_temperature")
	b.expect("light.sofa_lamp", `{}`)
	list(lamp("sofa_lamp"), device("0x2", "x", exposeTemperature))
	if diff := cmp.Diff(before, b.registry()); diff != "" {
		t.Errorf("after it came back (-before +after):\n%s", diff)
	}
	// It does, too, if single entities went, and if a restart was between.
	list(device("0x1", "sofa_lamp", exposeLight), device("0x2", "x", exposeTemperature))
	b.Dialect = New(b.house, b.opts)
	list(device("0x2", "x", exposeTemperature))
	list(lamp("sofa_lamp"), device("0x2", "x", exposeTemperature))
	if diff := cmp.Diff(before, b.registry()); diff != "" {
		t.Errorf("after it came back again (-before +after):\n%s", diff)
	}
	// An id that another one has by then is that one's.
	list(device("0x2", "x", exposeTemperature))
	list(device("0x4", "sofa_lamp", exposeLight), device("0x2", "x", exposeTemperature))
	list(device("0x4", "sofa_lamp", exposeLight), lamp("couch"), device("0x2", "x", exposeTemperature))
	b.expectIDs("(sensor.couch_last_seen)", "(sensor.sofa_lamp_last_seen)", "(sensor.sofa_lamp_temperature)", "(sensor.x_last_seen)",
		"light.couch", "light.sofa_lamp", "sensor.quality", "sensor.x_temperature")
}

// registry is the registry as text, an entry a line.
func (b *bench) registry() []string {
	var lines []string
	rev := b.house.Registry.Revision()
	for _, d := range rev.DevicesBySource(b.Source()) {
		lines = append(lines, prototext.MarshalOptions{}.Format(d))
	}
	for _, e := range sortedEntities(rev) {
		lines = append(lines, prototext.MarshalOptions{}.Format(e))
	}
	return lines
}
