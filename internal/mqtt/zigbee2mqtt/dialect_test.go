package zigbee2mqtt

import (
	"errors"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"github.com/statehouse/statehouse/eventstore"
	entityv1 "github.com/statehouse/statehouse/gen/statehouse/entity/v1"
	eventv1 "github.com/statehouse/statehouse/gen/statehouse/event/v1"
	"github.com/statehouse/statehouse/internal/mqtt"
	"github.com/statehouse/statehouse/state"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func (b *bench) expectKinds(events []eventstore.Event, want string) {
	b.Helper()
	if got := kinds(events); got != want {
		b.Errorf("events\n got %s\nwant %s", got, want)
	}
}

func (b *bench) expectIDs(want ...string) {
	b.Helper()
	if got := b.ids(); !slices.Equal(got, want) {
		b.Errorf("entities\n got %q\nwant %q", got, want)
	}
}

func TestAReportIsOneBatchOfWhatChanged(t *testing.T) {
	b := newBench(t, Options{})
	b.lists(device("0x1", "Küche/Lampe", exposeLight, exposeTemperature, exposeQuality))
	b.expectIDs("(sensor.kuche_lampe_last_seen)", "(sensor.kuche_lampe_linkquality)", "light.kuche_lampe", "sensor.kuche_lampe_temperature")
	batches := b.house.batches
	b.expectKinds(b.say("zigbee2mqtt/Küche/Lampe", `{"state":"ON","temperature":20,"linkquality":5}`),
		"state_changed light.kuche_lampe, state_changed sensor.kuche_lampe_temperature")
	if b.house.batches != batches+1 {
		t.Errorf("%d batches", b.house.batches-batches)
	}
	b.expectKinds(b.say("zigbee2mqtt/Küche/Lampe", `{"temperature":20.5}`), "state_changed sensor.kuche_lampe_temperature")
	for _, nothing := range []string{
		`{}`, `{"state":"ON","temperature":20.5}`, `{"linkquality":9}`, `{"last_seen":"2026-11-23T01:45:00Z","linkquality":9}`,
		`{"elapsed":5}`, `{"device":{"model":"M"}}`, `{"linkquality":null}`,
	} {
		if events := b.say("zigbee2mqtt/Küche/Lampe", nothing); len(events) > 0 {
			t.Errorf("%s: %s", nothing, kinds(events))
		}
	}
	if got := b.Stats().Ignored[ReasonUnchanged]; got != 7+1 { // and the empty list of groups
		t.Errorf("%d unchanged", got)
	}
}

func TestSilence(t *testing.T) {
	b := newBench(t, Options{SilentAfter: time.Minute})
	b.lists(device("0x1", "x", exposeTemperature, exposeHumidity))
	b.say("zigbee2mqtt/x", `{"temperature":20,"humidity":50}`)
	b.now = base.Add(time.Minute - 1)
	b.expectKinds(b.say("zigbee2mqtt/x", `{"temperature":20}`), "")
	b.now = base.Add(time.Minute)
	b.expectKinds(b.stored("zigbee2mqtt/x", `{"temperature":20}`), "")
	b.expectKinds(b.say("zigbee2mqtt/x", `{"temperature":20,"humidity":null}`),
		"state_changed sensor.x_humidity, state_reported sensor.x_temperature")
	b.expectKinds(b.say("zigbee2mqtt/x", `{"temperature":20}`), "")
	b.now = base.Add(time.Hour)
	b.expectKinds(b.say("zigbee2mqtt/x", `{"linkquality":20,"humidity":null}`), "")
}

func TestTime(t *testing.T) {
	b := newBench(t, Options{})
	b.lists(device("0x1", "x", exposeTemperature))
	for i, test := range []struct {
		seen string
		want time.Time
	}{
		{`null`, base},
		{`"yesterday"`, base},
		{`"2026-11-23T01:45:00.5Z"`, time.Date(2026, 11, 23, 1, 45, 0, 5e8, time.UTC)},
		{`"2026-11-23T02:45:01+01:00"`, time.Date(2026, 11, 23, 1, 45, 1, 0, time.UTC)},
		{fmt.Sprint(base.Add(-time.Second).UnixMilli()), base.Add(-time.Second)},
		{fmt.Sprint(base.Add(time.Minute).UnixMilli()), base.Add(time.Minute)},
		{fmt.Sprint(base.Add(time.Minute + time.Millisecond).UnixMilli()), base},
		{fmt.Sprint(base.Add(-time.Hour).UnixMilli()), base.Add(-time.Hour)},
		{fmt.Sprint(base.Add(-time.Hour - time.Millisecond).UnixMilli()), base},
		{`9223372036854775807`, base}, {`-5`, base}, {`[]`, base}, {`1.5`, base},
	} {
		events := b.say("zigbee2mqtt/x", fmt.Sprintf(`{"temperature":%d,"last_seen":%s}`, i, test.seen))
		if len(events) != 1 || !events[0].Timestamp.Equal(test.want) {
			t.Errorf("last_seen %s: %v, want %v", test.seen, events, test.want)
		}
	}
}

func TestRetainedReportsFillOnlyWhatIsUnknown(t *testing.T) {
	b := newBench(t, Options{})
	b.lists(device("0x1", "x", exposeTemperature, exposeHumidity, exposeAction))
	b.say("zigbee2mqtt/x", `{"temperature":20}`)
	b.expectKinds(b.stored("zigbee2mqtt/x", `{"temperature":5,"humidity":50,"action":"single","unheard":1}`), "state_changed sensor.x_humidity")
	b.expect("sensor.x_temperature", `{"number":20}`)
	b.expect("event.x_action", `{}`)
	b.expectKinds(b.stored("zigbee2mqtt/x", `{"temperature":5,"humidity":51}`), "")
	if got := b.Stats().Ignored[ReasonRetained]; got != 1 {
		t.Errorf("%d ignored as retained", got)
	}
}

func TestActions(t *testing.T) {
	b := newBench(t, Options{})
	b.lists(device("0x1", "x", exposeAction, strings.ReplaceAll(exposeTemperature, "temperature", "action_angle")))
	id := "event.x_action"
	b.expectKinds(b.say("zigbee2mqtt/x", `{"action":"hold","action_angle":7}`), "state_changed event.x_action, state_changed sensor.x_action_angle")
	b.expect(id, fmt.Sprintf(`{"event_type":"hold","occurred":%q,"extra":{"action_angle":7}}`, base.UTC().Format(time.RFC3339Nano)))
	// The same key again within a tick of the clock is a second action.
	b.expectKinds(b.say("zigbee2mqtt/x", `{"action":"hold"}`), "state_changed event.x_action")
	b.expect(id, fmt.Sprintf(`{"event_type":"hold","occurred":%q}`, base.Add(1).UTC().Format(time.RFC3339Nano)))
	// The plain-text copy of it is none, and neither is what resets it.
	for topic, payload := range map[string]string{"zigbee2mqtt/x/action": "hold", "zigbee2mqtt/x": `{"action":""}`} {
		b.expectKinds(b.say(topic, payload), "")
	}
	b.expectKinds(b.say("zigbee2mqtt/x", `{"action":null}`), "")
	if got := b.Stats().Ignored[ReasonAction]; got != 1 {
		t.Errorf("%d copies", got)
	}
	// One that the device dates, delivered twice, is one.
	dated := `{"action":"single","last_seen":"2026-11-23T01:45:08.5Z"}`
	b.expectKinds(b.say("zigbee2mqtt/x", dated), "state_changed event.x_action")
	b.expectKinds(b.say("zigbee2mqtt/x", dated), "")
}

func TestAvailability(t *testing.T) {
	b := newBench(t, Options{})
	b.say("zigbee2mqtt/bridge/state", `{"state":"online"}`)
	b.lists(device("0x1", "x", exposeTemperature, exposeHumidity, exposeQuality), device("0x2", "y", exposeTemperature))
	b.say("zigbee2mqtt/x", `{"temperature":20}`)
	both := "state_changed sensor.x_humidity, state_changed sensor.x_temperature"
	b.expectKinds(b.say("zigbee2mqtt/x/availability", `{"state":"online"}`), both)
	b.expectKinds(b.say("zigbee2mqtt/x/availability", `online`), "")
	b.expect("sensor.x_temperature", `{"availability":"online","number":20}`)
	b.expectKinds(b.stored("zigbee2mqtt/x/availability", `offline`), both)
	b.expectKinds(b.say("zigbee2mqtt/x/availability", ``), "")
	b.expectKinds(b.say("zigbee2mqtt/x/availability", `{"state":"gone"}`), "")
	b.expectKinds(b.say("zigbee2mqtt/x/availability", `"online"`), both)

	if n := b.Stats().Ignored[ReasonMalformed]; n != 1 {
		t.Errorf("%d malformed", n)
	}

	// The bridge takes everything with it, and what is said of a device meanwhile is remembered, also over a restart.
	events := b.say("zigbee2mqtt/bridge/state", `{"state":"offline"}`)
	if got := kinds(events); strings.Count(got, "state_changed sensor.x") != 2 || strings.Count(got, "state_changed sensor.y") != 1 {
		t.Errorf("bridge offline: %s", got)
	}
	b.expect("sensor.x_temperature", `{"availability":"offline","number":20,"extra":{"device_availability":"online"}}`)
	b.expect("sensor.y_temperature", `{"availability":"offline","extra":{"device_availability":"unknown"}}`)
	b.expect("binary_sensor.zigbee2mqtt_bridge_connection_state", `{"on":false}`)
	b.expectKinds(b.say("zigbee2mqtt/bridge/state", `{"state":"offline"}`), "")
	b.Dialect = New(b.house, b.opts)
	b.expectKinds(b.stored("zigbee2mqtt/x/availability", `online`), "")
	b.stored("zigbee2mqtt/x/availability", `offline`)
	b.expect("sensor.x_temperature", `{"availability":"offline","number":20,"extra":{"device_availability":"offline"}}`)
	b.say("zigbee2mqtt/x", `{"temperature":21}`)
	b.say("zigbee2mqtt/bridge/state", `online`)
	b.expect("sensor.x_temperature", `{"availability":"offline","number":21}`)
	b.expect("sensor.y_temperature", `{}`)
	b.expect("binary_sensor.zigbee2mqtt_bridge_connection_state", `{"on":true}`)
	b.say("zigbee2mqtt/x/availability", `online`)
	b.expect("sensor.x_temperature", `{"availability":"online","number":21}`)
}

func TestBridgeInfo(t *testing.T) {
	b := newBench(t, Options{})
	info := `{"version":"2.1","log_level":"info","permit_join":%v,"restart_required":true,"coordinator":{"ieee_address":"0xc","type":"zStack","meta":{"revision":7}}}`
	b.say("zigbee2mqtt/bridge/info", fmt.Sprintf(info, true))
	b.expect("switch.zigbee2mqtt_bridge_permit_join", `{"on":true}`)
	b.expect("sensor.zigbee2mqtt_bridge_version", `{"text":"2.1"}`)
	b.expect("select.zigbee2mqtt_bridge_log_level", `{"option":"info"}`)
	b.expect("binary_sensor.zigbee2mqtt_bridge_restart_required", `none`)
	device, _ := b.house.registry.Revision().Device(b.bridgeID)
	if device.GetSoftwareVersion() != "2.1" || device.GetHardwareVersion() != "zStack 7" || device.GetAddress() != "0xc" {
		t.Error(device)
	}
	b.expectKinds(b.stored("zigbee2mqtt/bridge/info", fmt.Sprintf(info, false)), "state_changed switch.zigbee2mqtt_bridge_permit_join")
	b.expectKinds(b.say("zigbee2mqtt/bridge/info", fmt.Sprintf(info, false)), "")
}

func TestRenameKeepsEntitiesAndIDs(t *testing.T) {
	b := newBench(t, Options{})
	b.lists(device("0x1", "sofa_lamp", exposeLight))
	b.say("zigbee2mqtt/sofa_lamp", `{"state":"ON"}`)
	b.expectKinds(b.say("zigbee2mqtt/sofa_lamp", ``), "")
	b.expectKinds(b.say("zigbee2mqtt/bridge/devices", "["+device("0x1", "couch_lamp", exposeLight)+"]"), "device_registered")
	b.expectKinds(b.say("zigbee2mqtt/couch_lamp", `{"state":"OFF"}`), "state_changed light.sofa_lamp")
	b.expectKinds(b.say("zigbee2mqtt/sofa_lamp", `{"state":"ON"}`), "")
	b.expect("light.sofa_lamp", `{"on":false}`)
	if got := b.Stats().Ignored[ReasonUnknownDevice]; got != 1 {
		t.Errorf("%d of unknown devices", got)
	}
	// Two swap their names.
	b.lists(device("0x1", "a", exposeLight), device("0x2", "b", exposeSwitch))
	b.lists(device("0x1", "b", exposeLight), device("0x2", "a", exposeSwitch))
	b.expectKinds(b.say("zigbee2mqtt/a", `{"state":"ON"}`), "state_changed switch.b")
}

func TestRemovalIsForGood(t *testing.T) {
	b := newBench(t, Options{})
	b.lists(device("0x1", "x", exposeTemperature), device("0x2", "y", exposeTemperature))
	b.say("zigbee2mqtt/x", `{"temperature":20}`)
	b.expectKinds(b.say("zigbee2mqtt/bridge/devices", "["+device("0x2", "y", exposeTemperature)+"]"),
		"entity_unregistered sensor.x_last_seen, entity_unregistered sensor.x_temperature, device_unregistered")
	for topic, payload := range map[string]string{"x": `{"temperature":21}`, "x/availability": "online", "x/action": "hold"} {
		b.expectKinds(b.say("zigbee2mqtt/"+topic, payload), "")
	}
	if got := b.Stats().Ignored[ReasonUnknownDevice]; got != 3 {
		t.Errorf("%d of unknown devices", got)
	}
	b.expect("sensor.x_temperature", "none")
	// Another of the same name takes over the id, with nothing of the state.
	b.say("zigbee2mqtt/bridge/devices", "["+device("0x2", "y", exposeTemperature)+","+device("0x3", "x", exposeTemperature)+"]")
	b.say("zigbee2mqtt/x", `{"temperature":22}`)
	b.say("zigbee2mqtt/bridge/devices", "["+device("0x2", "y", exposeTemperature)+","+device("0x4", "x", exposeTemperature)+"]")
	b.expectIDs("(sensor.x_last_seen)", "(sensor.y_last_seen)", "sensor.x_temperature", "sensor.y_temperature")
	b.expect("sensor.x_temperature", `{}`)
}

func TestAListWithBadEntriesRemovesNothing(t *testing.T) {
	b := newBench(t, Options{})
	b.lists(device("0x1", "x", exposeTemperature), device("0x2", "y", exposeTemperature))
	for _, bad := range []string{`5`, `{}`, `{"ieee_address":7}`, `{"ieee_address":"group/1"}`, `{"ieee_address":"bridge"}`, `{"definition":"x","ieee_address":"0x1"}`} {
		b.expectKinds(b.say("zigbee2mqtt/bridge/devices", "["+device("0x2", "y", exposeTemperature)+","+bad+"]"), "")
	}
	for _, broken := range []string{`[`, `{}`, `null`, `[]]`, `[{]`, `{"a":[]}`, "[\xff]", `[],`} {
		b.expectKinds(b.say("zigbee2mqtt/bridge/devices", broken), "")
		b.expectKinds(b.say("zigbee2mqtt/bridge/groups", broken), "")
	}
	if got := b.Stats().Ignored[ReasonMalformed]; got != 6+16 {
		t.Errorf("%d malformed", got)
	}
	// A device whose definition is not there now keeps what it had.
	b.expectKinds(b.lists(`{"ieee_address":"0x1","friendly_name":"x","definition":null}`, device("0x2", "y", exposeTemperature)), "device_registered")
	b.expectIDs("(sensor.x_last_seen)", "(sensor.y_last_seen)", "sensor.x_temperature", "sensor.y_temperature")
	b.expectKinds(b.say("zigbee2mqtt/x", `{"temperature":5}`), "state_changed sensor.x_temperature")
	b.expectKinds(b.say("zigbee2mqtt/bridge/devices", ``), "")
	// What an entity is made of may go, and come back.
	b.expectKinds(b.lists(device("0x1", "x", exposeHumidity), device("0x2", "y", exposeTemperature)),
		"device_registered, entity_unregistered sensor.x_temperature, entity_registered sensor.x_humidity")
}

func TestWhatAUserDecidedStays(t *testing.T) {
	b := newBench(t, Options{})
	b.lists(device("0x1", "x", exposeTemperature, exposeQuality))
	b.expectKinds(b.say("zigbee2mqtt/x", `{"temperature":19,"linkquality":7}`), "state_changed sensor.x_temperature")
	yes, no := true, false
	b.house.edit(t, "sensor.x_temperature", func(e *entityv1.Entity) {
		e.UserName, e.AreaId, e.UserDisabled = "Warm", "kitchen", &yes
	})
	b.house.edit(t, "sensor.x_linkquality", func(e *entityv1.Entity) { e.UserDisabled = &no })
	b.house.user(t, eventstore.Event{Entity: "sensor.x_linkquality", Payload: &eventv1.Payload{
		Kind: &eventv1.Payload_EntityRenamed{EntityRenamed: &eventv1.EntityRenamed{NewId: "sensor.quality"}},
	}})
	before, _ := b.house.registry.Revision().Device(b.deviceID("0x1"))
	d := proto.CloneOf(before)
	d.UserName, d.AreaId = "Box", "kitchen"
	b.house.user(t, eventstore.Event{Payload: &eventv1.Payload{
		Kind: &eventv1.Payload_DeviceRegistered{DeviceRegistered: &eventv1.DeviceRegistered{Device: d}},
	}})
	b.expectKinds(b.say("zigbee2mqtt/x", `{"temperature":20,"linkquality":7}`), "state_changed sensor.quality")
	b.expectKinds(b.lists(device("0x1", "x", exposeTemperature, exposeQuality)), "")

	changed := func(s string) string { return strings.ReplaceAll(strings.ReplaceAll(s, "°C", "°F"), "lqi", "%") }
	b.expectKinds(b.lists(device("0x1", "new", changed(exposeTemperature), changed(exposeQuality))),
		"device_registered, entity_registered sensor.x_temperature, entity_registered sensor.quality")
	e, _ := b.house.registry.Revision().Entity("sensor.x_temperature")
	if e.GetUnit() != "°F" || e.GetUserName() != "Warm" || e.GetAreaId() != "kitchen" || !e.GetUserDisabled() {
		t.Error(e)
	}
	after, _ := b.house.registry.Revision().Device(b.deviceID("0x1"))
	if after.GetName() != "new" || after.GetUserName() != "Box" || after.GetAreaId() != "kitchen" {
		t.Error(after)
	}
	b.expect("sensor.quality", `{"number":7}`)
}

func TestIDs(t *testing.T) {
	b := newBench(t, Options{})
	b.house.user(t, eventstore.Event{Entity: "sensor.b_temperature", Payload: &eventv1.Payload{
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
		if got := slug(name); got != want {
			t.Errorf("slug(%q) = %q, want %q", name, got, want)
		}
	}
}

func TestTwoOfOneHouseDoNotCollide(t *testing.T) {
	b := newBench(t, Options{Broker: "a", BaseTopic: "b/c"})
	for _, other := range []Options{{Broker: "a/b", BaseTopic: "c"}, {Broker: "a", BaseTopic: "b%2Fc"}, {}, {Broker: strings.Repeat("x", 300)}, {Broker: strings.Repeat("x", 301)}} {
		d := New(b.house, other)
		if d.Source() == b.Source() || len(d.Source()) > 200 {
			t.Errorf("source %q", d.Source())
		}
		list := "[" + device("0x1", "x", exposeTemperature) + "]"
		for _, d := range []*Dialect{b.Dialect, d} {
			if err := d.Handle(t.Context(), mqtt.Message{Topic: d.opts.BaseTopic + "/bridge/devices", Payload: []byte(list), ReceivedAt: base}); err != nil {
				t.Fatal(err)
			}
		}
	}
	if got := b.Filters(); !slices.Equal(got, []string{"b/c/#"}) {
		t.Error(got)
	}
	all := slices.DeleteFunc(b.ids(), func(id string) bool { return !strings.HasPrefix(id, "sensor.x_temperature") })
	if len(all) != 6 {
		t.Errorf("%q", all)
	}
}

func TestUnknownDevicesWaitForTheLists(t *testing.T) {
	b := newBench(t, Options{MaxWaiting: 3})
	b.say("zigbee2mqtt/x", `{"temperature":1}`)
	b.now = base.Add(time.Second)
	b.say("zigbee2mqtt/x", `{"temperature":2}`)
	b.stored("zigbee2mqtt/x", `{"temperature":3}`)
	b.say("zigbee2mqtt/x/availability", `online`)
	b.say("zigbee2mqtt/y", `{"temperature":1}`)
	b.say("zigbee2mqtt/y/set", `{"temperature":1}`)
	if s := b.Stats(); s.Waiting != 3 || s.Events != 0 || s.Ignored[ReasonCommand] != 1 {
		t.Errorf("%+v", s)
	}
	b.say("zigbee2mqtt/g", `{"state":"ON"}`)
	if s := b.Stats(); s.Waiting != 3 || s.Ignored[ReasonWaitingFull] != 1 {
		t.Errorf("%+v", s)
	}
	// x's report was the oldest, since its newest came first.
	b.say("zigbee2mqtt/x", `{"temperature":4}`)
	if s := b.Stats(); s.Waiting != 3 || s.Ignored[ReasonWaitingFull] != 2 {
		t.Errorf("%+v", s)
	}
	b.now = base.Add(time.Minute)
	b.say("zigbee2mqtt/bridge/devices", "["+device("0x1", "x", exposeTemperature)+","+device("0x2", "lamp", exposeLight)+"]")
	b.expect("sensor.x_temperature", `{"number":4}`)
	if st, _ := b.house.cache.Get("sensor.x_temperature"); !st.UpdatedAt.Equal(base.Add(time.Second)) {
		t.Errorf("updated at %v", st.UpdatedAt)
	}
	if s := b.Stats(); s.Waiting != 2 || s.Ignored[ReasonUnknownDevice] != 0 {
		t.Errorf("%+v", s)
	}
	b.say("zigbee2mqtt/bridge/groups", `[{"id":1,"friendly_name":"g","members":[{"ieee_address":"0x2","endpoint":1}]}]`)
	b.expect("light.g", `{"on":true}`)
	if s := b.Stats(); s.Waiting != 0 || s.Ignored[ReasonUnknownDevice] != 1 {
		t.Errorf("%+v", s)
	}
	b.say("zigbee2mqtt/z", `{"temperature":1}`)
	if s := b.Stats(); s.Waiting != 0 || s.Ignored[ReasonUnknownDevice] != 2 {
		t.Errorf("%+v", s)
	}
}

func TestKnownDevicesDoNotWaitAfterARestart(t *testing.T) {
	b := newBench(t, Options{})
	b.lists(device("0x1", "x", exposeTemperature))
	b.Dialect = New(b.house, b.opts)
	b.expectKinds(b.say("zigbee2mqtt/x", `{"temperature":1}`), "state_changed sensor.x_temperature")
	b.expectKinds(b.say("zigbee2mqtt/x/y", `{"temperature":1}`), "")
	if s := b.Stats(); s.Waiting != 1 {
		t.Errorf("%+v", s)
	}
}

func TestAFreshMessageIsNotReplacedByAStoredOne(t *testing.T) {
	w := waiting{maxMessages: 9, maxBytes: 1000}
	add := func(payload string, retained bool) int {
		return w.add(mqtt.Message{Topic: "x", Payload: []byte(payload), Retained: retained})
	}
	add("stored", true)
	add("fresh", false)
	add("stored again", true)
	if got := w.take(); len(got) != 1 || string(got[0].Payload) != "fresh" || w.bytes != 0 {
		t.Errorf("%v, %d bytes", got, w.bytes)
	}
	if dropped := add(strings.Repeat("x", 1000), false); dropped != 1 || w.len() != 0 || w.bytes != 0 {
		t.Errorf("%d dropped, %d left", dropped, w.len())
	}
}

func TestSomebodyElseChangesTheRegistry(t *testing.T) {
	b := newBench(t, Options{})
	b.lists(device("0x1", "x", exposeTemperature))
	b.say("zigbee2mqtt/x", `{"temperature":1}`)
	known, _ := b.house.registry.Revision().Device(b.deviceID("0x1"))
	moved := proto.CloneOf(known)
	moved.Topic = "zigbee2mqtt/y"
	b.house.user(t, eventstore.Event{Payload: &eventv1.Payload{
		Kind: &eventv1.Payload_DeviceRegistered{DeviceRegistered: &eventv1.DeviceRegistered{Device: moved}},
	}})
	b.expectKinds(b.say("zigbee2mqtt/x", `{"temperature":2}`), "")
	b.expectKinds(b.say("zigbee2mqtt/y", `{"temperature":3}`), "state_changed sensor.x_temperature")
	b.expectKinds(b.say("zigbee2mqtt/x/availability", `online`), "")
	if got := b.Stats().Ignored[ReasonUnknownDevice]; got != 2 {
		t.Errorf("%d of unknown devices", got)
	}
}

func TestWhatTheHouseRefusesIsNotAccepted(t *testing.T) {
	b := newBench(t, Options{})
	list := "[" + device("0x1", "x", exposeTemperature) + "]"
	handle := func(topic, payload string) error {
		return b.Handle(t.Context(), mqtt.Message{Topic: topic, Payload: []byte(payload), ReceivedAt: base})
	}
	broken := errors.New("no space left")
	b.house.fail = broken
	for topic, payload := range map[string]string{
		"zigbee2mqtt/x": `{}`, "zigbee2mqtt/bridge/devices": list, "zigbee2mqtt/bridge/groups": `[]`,
		"zigbee2mqtt/bridge/state": "online", "zigbee2mqtt/bridge/info": `{}`,
	} {
		if err := handle(topic, payload); !errors.Is(err, broken) {
			t.Errorf("%s: %v", topic, err)
		}
	}
	b.house.fail = nil
	b.say("zigbee2mqtt/x", `{"temperature":1}`)
	b.house.fail = broken
	if err := handle("zigbee2mqtt/bridge/devices", list); !errors.Is(err, broken) || b.Stats().Waiting != 1 {
		t.Errorf("%v, %+v", err, b.Stats())
	}
	b.house.fail = nil
	b.say("zigbee2mqtt/bridge/devices", list)
	b.expect("sensor.x_temperature", `{"number":1}`)
	for _, refused := range []error{eventstore.ErrTooLarge, eventstore.ErrInvalid} {
		b.house.fail = refused
		b.say("zigbee2mqtt/x", `{"temperature":2}`)
	}
	if s := b.Stats(); s.Ignored[ReasonTooLarge] != 1 || s.Ignored[ReasonMalformed] != 1 {
		t.Errorf("%+v", s)
	}
}

func TestTopics(t *testing.T) {
	b := newBench(t, Options{MaxMessageBytes: 100})
	b.lists(device("0x1", "a", exposeTemperature), device("0x2", "a/set", exposeTemperature), device("0x3", "a/b/c", exposeTemperature))
	for _, test := range []struct {
		topic, payload, want string
		reason               Reason
	}{
		{"zigbee2mqtt/a/set", `{"temperature":1}`, "state_changed sensor.a_set_temperature", ""},
		{"zigbee2mqtt/a/b/c", `{"temperature":1}`, "state_changed sensor.a_b_c_temperature", ""},
		{"zigbee2mqtt/a/b/c/availability", `online`, "state_changed sensor.a_b_c_temperature", ""},
		{"zigbee2mqtt/a/b/c/get", `{"temperature":""}`, "", ReasonCommand},
		{"zigbee2mqtt/a/b/c/set/temperature", `5`, "", ReasonCommand},
		{"zigbee2mqtt/a/set/temperature", `5`, "", ReasonCopy}, // there is a device a/set
		{"zigbee2mqtt/a/left/set", `5`, "", ReasonCommand},
		{"zigbee2mqtt/a/left/set/state", `5`, "", ReasonCommand},
		{"zigbee2mqtt/a/left", `{"temperature":9}`, "", ReasonCopy},
		{"zigbee2mqtt/a/temperature", `9`, "", ReasonCopy},
		{"zigbee2mqtt/a/action", `hold`, "", ReasonAction},
		{"zigbee2mqtt/nobody", `{}`, "", ReasonUnknownDevice},
		{"zigbee2mqtt/nobody/set", `{}`, "", ReasonCommand},
		{"zigbee2mqtt/a", ``, "", ReasonEmpty},
		{"zigbee2mqtt/a", `{"temperature":1`, "", ReasonMalformed},
		{"zigbee2mqtt/a", `[1]`, "", ReasonMalformed},
		{"zigbee2mqtt/a", `1`, "", ReasonMalformed},
		{"zigbee2mqtt/a", "{\"temperature\":\"\xff\"}", "", ReasonMalformed},
		{"zigbee2mqtt/a", `{"x":` + strings.Repeat(" ", 100) + `1}`, "", ReasonTooLarge},
		{"zigbee2mqtt/a", `{"x":` + strings.Repeat("[", 80) + `}`, "", ReasonMalformed},
		{"zigbee2mqtt/bridge/logging", `{}`, "", ReasonLogging},
		{"zigbee2mqtt/bridge/response/device/rename", `{}`, "", ReasonBridge},
		{"zigbee2mqtt/bridge/state", `{"state":1}`, "", ReasonMalformed},
		{"zigbee2mqtt/bridge/state", `{`, "", ReasonMalformed},
		{"zigbee2mqtt/bridge/info", `[]`, "", ReasonMalformed},
		{"zigbee2mqtt/bridge/devices", ``, "", ReasonEmpty},
		{"zigbee2mqtt", `{}`, "", ReasonOther},
		{"zigbee2mqtt/", `{}`, "", ReasonOther},
		{"homeassistant/a", `{}`, "", ReasonOther},
	} {
		before := b.Stats()
		b.expectKinds(b.say(test.topic, test.payload), test.want)
		after := b.Stats()
		for reason, n := range after.Ignored {
			if want := before.Ignored[reason]; (test.reason == reason && n != want+1) || (test.reason != reason && n != want) {
				t.Errorf("%s %s: %d more of %s, want %q", test.topic, test.payload, n-want, reason, test.reason)
			}
		}
	}
}

func TestGroups(t *testing.T) {
	b := newBench(t, Options{})
	group := func(members ...string) string {
		var list []string
		for _, m := range members {
			list = append(list, fmt.Sprintf(`{"ieee_address":%q,"endpoint":1}`, m))
		}
		return `[{"id":1,"friendly_name":"living/room","members":[` + strings.Join(list, ",") + `],"scenes":[]}]`
	}
	// The groups may come before the devices: the broker delivers what it retains in any order.
	b.say("zigbee2mqtt/bridge/groups", group("0x1"))
	b.expectIDs()
	warm := strings.Replace(exposeLight, `]}`, `,{"type":"numeric","name":"color_temp","property":"color_temp","access":7,"value_min":%d,"value_max":%d}]}`, 1)
	devices := "[" + strings.Join([]string{
		device("0x1", "one", fmt.Sprintf(warm, 150, 500)), device("0x2", "two", fmt.Sprintf(warm, 200, 400)),
		device("0x3", "plug", exposeSwitch, feature("binary", "child_lock", `,"value_on":"LOCK","value_off":"UNLOCK"`)),
	}, ",") + "]"
	b.say("zigbee2mqtt/bridge/devices", devices)
	if !slices.Contains(b.ids(), "light.living_room") {
		t.Error("the group did not learn what its member can do")
	}
	b.expectKinds(b.say("zigbee2mqtt/bridge/groups", group("0x1", "0x2", "0x3")),
		"entity_registered light.living_room, entity_registered switch.living_room")
	e, _ := b.house.registry.Revision().Entity("light.living_room")
	limits := e.GetCapabilities().GetFeatureDetails()[2]
	if limits.GetName() != featureColorTemp || limits.GetMinimum() != 200 || limits.GetMaximum() != 400 {
		t.Error(limits)
	}
	b.expectKinds(b.say("zigbee2mqtt/living/room", `{"state":"ON","brightness":254,"color_temp":250}`),
		"state_changed light.living_room, state_changed switch.living_room")
	b.expect("light.living_room", `{"on":true,"brightness":255,"color_temp_kelvin":4000}`)
	b.expectKinds(b.say("zigbee2mqtt/living/room", `{"last_seen":"2026-11-23T01:45:08Z","linkquality":7,"elapsed":5}`), "")
	b.expectKinds(b.say("zigbee2mqtt/bridge/groups", group("0x1", "0x2", "0x3")), "")
	b.expectKinds(b.say("zigbee2mqtt/bridge/devices", devices), "")
	b.expectKinds(b.say("zigbee2mqtt/bridge/groups", group("0x1", "0x2")), "entity_unregistered switch.living_room")
	b.expectKinds(b.say("zigbee2mqtt/bridge/groups", `[{"friendly_name":"no id"}]`), "")
	b.expectKinds(b.say("zigbee2mqtt/bridge/groups", `[]`), "entity_unregistered light.living_room, device_unregistered")
	b.expectKinds(b.say("zigbee2mqtt/living/room", `{"state":"OFF"}`), "")
	if slices.Contains(b.ids(), "light.living_room") || len(b.ids()) != 7 {
		t.Error(b.ids())
	}
}

func TestPublishersAtOnce(t *testing.T) {
	b := newBench(t, Options{})
	b.house.once = true
	var wg sync.WaitGroup
	for n := range 4 {
		wg.Go(func() {
			for i := range 100 {
				topic, payload := fmt.Sprintf("zigbee2mqtt/x%d", n), fmt.Sprintf(`{"temperature":%d}`, i)
				switch {
				case i%10 == 0 && n == 0:
					topic, payload = "zigbee2mqtt/bridge/devices", "["+device("0x0", "x0", exposeTemperature)+","+device("0x1", "x1", exposeTemperature)+"]"
				case i == 50:
					topic, payload = "zigbee2mqtt/bridge/groups", "[]"
				}
				if err := b.Handle(t.Context(), mqtt.Message{Topic: topic, Payload: []byte(payload), ReceivedAt: base}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	b.expect("sensor.x0_temperature", `{"number":99}`)
	b.expect("sensor.x1_temperature", `{"number":99}`)
}

// TestPartialReports: in whatever parts and order the values come, the state is that of the values.
func TestPartialReports(t *testing.T) {
	exposes := []string{exposeTemperature, exposeHumidity, exposeLight, strings.ReplaceAll(exposeSwitch, "state", "state_2"),
		`{"type":"cover","features":[{"type":"enum","name":"state","property":"cover","access":3},` + feature("numeric", "position", "") + `]}`,
		feature("enum", "motor_state", `,"values":["opening","closing","stopped"]`)}
	values := map[string][]string{
		"temperature": {"1", "2.5", `"x"`, "null", "[]"}, "humidity": {"0", "null"}, "state": {`"ON"`, `"OFF"`, `"X"`, "null"},
		"brightness": {"0", "254", "-1", "null"}, "state_2": {`"ON"`, "null"}, "cover": {`"OPEN"`, `"CLOSE"`, `"STOP"`, "null"},
		"position": {"0", "50", "100", "1000", "null"}, "motor_state": {`"opening"`, `"closing"`, `"stopped"`, "null"}, "unheard": {"1", "{}", "null"},
	}
	dump := func(b *bench) string {
		var all []string
		for _, s := range b.house.cache.Revision().Sorted() {
			all = append(all, s.EntityID+" "+b.json(s.EntityID))
		}
		return strings.Join(all, "\n")
	}
	rapid.Check(t, func(r *rapid.T) {
		parts, whole := newBench(t, Options{}), newBench(t, Options{})
		for _, b := range []*bench{parts, whole} {
			b.lists(device("0x1", "x", exposes...))
		}
		final := make(map[string]string)
		for range rapid.IntRange(0, 20).Draw(r, "reports") {
			var fields []string
			for _, property := range rapid.SliceOfNDistinct(rapid.SampledFrom(slices.Sorted(maps.Keys(values))), 1, 4, rapid.ID).Draw(r, "properties") {
				v := rapid.SampledFrom(values[property]).Draw(r, property)
				final[property] = v
				fields = append(fields, fmt.Sprintf("%q:%s", property, v))
			}
			parts.say("zigbee2mqtt/x", "{"+strings.Join(fields, ",")+"}")
		}
		var fields []string
		for property, v := range final {
			fields = append(fields, fmt.Sprintf("%q:%s", property, v))
		}
		whole.say("zigbee2mqtt/x", "{"+strings.Join(fields, ",")+"}")
		if got, want := dump(parts), dump(whole); got != want {
			r.Fatalf("in parts\n%s\nat once\n%s", got, want)
		}
	})
}

// TestSame: what decides whether there is an event agrees with what the rest of the house calls equal.
func TestSame(t *testing.T) {
	b := newBench(t, Options{})
	seen := []*entityv1.Attributes{{}}
	for _, r := range house(t)[:6000] {
		for _, e := range b.message(r.message(t)) {
			if a := e.Payload.GetStateChanged().GetAttributes(); a != nil && len(seen) < 400 {
				seen = append(seen, a, proto.CloneOf(a))
			}
		}
	}
	for _, x := range seen {
		for _, y := range seen {
			if same(x, y) != state.Equal(x, y) {
				t.Fatalf("same is %v for %v and %v", same(x, y), x, y)
			}
		}
	}
}

func FuzzHandle(f *testing.F) {
	f.Add("zigbee2mqtt/x", []byte(`{"state":"ON","brightness":7,"temperature":null,"action":"hold","last_seen":5}`), false)
	f.Add("zigbee2mqtt/x/availability", []byte(`{"state":"offline"}`), true)
	f.Add("zigbee2mqtt/bridge/devices", []byte("["+device("0x1", "y", exposeLight)+"]"), true)
	f.Add("zigbee2mqtt/bridge/groups", []byte(`[{"id":1,"members":[{"ieee_address":"0x1"}]}]`), false)
	f.Add("zigbee2mqtt/bridge/info", []byte(`{"version":1}`), false)
	f.Add("zigbee2mqtt/bridge/state", []byte(`offline`), false)
	f.Fuzz(func(t *testing.T, topic string, payload []byte, retained bool) {
		b := newBench(t, Options{})
		b.lists(device("0x1", "x", exposeLight, exposeTemperature, exposeAction), device("0x2", "", exposeSwitch))
		for range 2 {
			b.message(mqtt.Message{Topic: topic, Payload: payload, Retained: retained, ReceivedAt: base})
		}
		for _, e := range b.house.events {
			if e.Entity != "" && eventstore.CheckEntityID(e.Entity) != nil || len(e.Source) > eventstore.MaxName {
				t.Errorf("%v", e)
			}
		}
		s := b.Stats()
		total := uint64(s.Waiting)
		for _, n := range s.Ignored {
			total += n
		}
		if s.Received != 4 {
			t.Errorf("%+v", s)
		}
	})
}

// TestAListOfManyMegabytes: what is of no use in a list costs nothing beyond the payload itself.
func TestAListOfManyMegabytes(t *testing.T) {
	if testing.Short() {
		t.Skip("27 MB")
	}
	var list strings.Builder
	const devices = 500
	padding := strings.Repeat(`{"cluster":"genBasic","attributes":[1,2,3]},`, 1200)
	for i := range devices {
		list.WriteString(map[bool]string{true: "[", false: ","}[i == 0])
		list.WriteString(strings.TrimSuffix(device(fmt.Sprintf("0x%d", i), fmt.Sprintf("device %d", i), exposeTemperature, exposeLight), "}"))
		list.WriteString(`,"endpoints":[` + strings.TrimSuffix(padding, ",") + `]}`)
	}
	list.WriteString("]")
	b := newBench(t, Options{})
	b.house.once = true
	var before, after runtime.MemStats
	payload := list.String()
	runtime.ReadMemStats(&before)
	start := time.Now()
	b.say("zigbee2mqtt/bridge/devices", payload)
	took := time.Since(start)
	runtime.ReadMemStats(&after)
	if got := b.house.registry.Revision().Entities.Len(); got != devices*3+len(bridgeEntities) {
		t.Errorf("%d entities", got)
	}
	allocated := float64(after.TotalAlloc-before.TotalAlloc) / float64(len(payload))
	t.Logf("%d bytes in %v, %.1f bytes allocated for each", len(payload), took, allocated)
	if allocated > 5 {
		t.Errorf("%.1f bytes allocated per byte of the list", allocated)
	}
}
