package zigbee2mqtt

import (
	"bytes"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"github.com/statehouse/statehouse/internal/mqtt"
	"github.com/statehouse/statehouse/internal/mqtt/dialect"
)

// Of two that have one name, the messages are the first one's, whatever the order in which they come.
func TestNamesThatCollide(t *testing.T) {
	b := newBench(t, Options{})
	group := `[{"id":1,"friendly_name":"x","members":[{"ieee_address":"0x1"}]}]`
	for range 2 {
		b.say("zigbee2mqtt/bridge/groups", group)
		b.lists(device("0x2", "x", exposeLight), device("0x1", "x", exposeLight))
		b.say("zigbee2mqtt/bridge/groups", group)
		b.restart()
	}
	b.expectIDs("(sensor.x_last_seen)", "(sensor.x_last_seen_2)", "light.x", "light.x_2", "light.x_3")
	b.expectKinds(b.say("zigbee2mqtt/x", `{"state":"ON"}`), "state_changed light.x_2")
	b.expectKinds(b.say("zigbee2mqtt/x/availability", `{"state":"offline"}`), "state_changed light.x_2")
	if e, _ := b.house.Registry.Revision().Entity("light.x_2"); e.GetDeviceId() != b.deviceID("0x1") {
		t.Error(e)
	}
}

// A device may be called like the bridge's topics, and takes nothing of the bridge.
func TestADeviceThatIsCalledBridge(t *testing.T) {
	b := newBench(t, Options{})
	b.say("zigbee2mqtt/bridge/state", "online")
	b.lists(device("0x1", "bridge", exposeTemperature), device("0x2", "bridge/state", exposeTemperature),
		device("0x3", "Zigbee2MQTT Bridge", `{"type":"numeric","name":"version","property":"version","access":1}`))
	b.expectKinds(b.say("zigbee2mqtt/bridge", `{"temperature":1}`), "state_changed sensor.bridge_temperature")
	b.expectKinds(b.say("zigbee2mqtt/bridge/state", `{"temperature":1}`), "")
	b.expectKinds(b.say("zigbee2mqtt/Zigbee2MQTT Bridge", `{"version":1}`), "state_changed sensor.zigbee2mqtt_bridge_version_2")
	b.expect("binary_sensor.zigbee2mqtt_bridge_connection_state", `{"on":true}`)
	if _, known := b.house.Registry.Revision().Device(b.bridgeID); !known {
		t.Error("the bridge is gone")
	}
	b.lists(device("0x1", "x", exposeTemperature))
	if _, known := b.house.Registry.Revision().Device(b.bridgeID); !known {
		t.Error("the bridge is gone")
	}
}

// Names go round among three devices, as fast as the lists come; each device stays what it is.
func TestRenamesInACycle(t *testing.T) {
	b := newBench(t, Options{})
	names := []string{"a", "a/b", "a/b/availability"}
	list := func(turn int) {
		b.Helper()
		var devices []string
		for i := range names {
			devices = append(devices, device(fmt.Sprintf("0x%d", i), names[(i+turn)%3], exposeTemperature))
		}
		b.lists(devices...)
	}
	list(0)
	ids := b.ids()
	for turn := range 7 {
		list(turn)
		for i := range names {
			b.say("zigbee2mqtt/"+names[(i+turn)%3], fmt.Sprintf(`{"temperature":%d}`, 10*turn+i))
		}
		for i, id := range []string{"sensor.a_temperature", "sensor.a_b_temperature", "sensor.a_b_availability_temperature"} {
			b.expect(id, fmt.Sprintf(`{"number":%d}`, 10*turn+i))
		}
	}
	if got := b.ids(); !slices.Equal(got, ids) {
		t.Errorf("%q, before %q", got, ids)
	}
}

// What a list costs the writer grows with the list, and not with its square.
func TestTheCostOfLists(t *testing.T) {
	const n = 1000
	b := newBench(t, Options{})
	same := func(first int) string {
		devices := make([]string, n)
		for i := range devices {
			devices[i] = device(fmt.Sprintf("0x%d", first+i), "x", exposeTemperature)
		}
		return strings.Join(devices, ",")
	}
	b.lists(same(0))
	b.house.Lookups = 0
	b.lists(same(0), same(n)) // whose ids all collide
	if b.house.Lookups > 50*2*n {
		t.Errorf("%d lookups for %d devices", b.house.Lookups, 2*n)
	}
	b.house.Lookups = 0
	b.say("zigbee2mqtt/bridge/groups", `[{"id":1,"members":[`+strings.Repeat(`{"ieee_address":"0x1"},`, n)+`{"ieee_address":"0x1"}]}]`)
	if b.house.Lookups > 50 {
		t.Errorf("%d lookups for a group of one device", b.house.Lookups)
	}
}

// Lists that a broken or a hostile publisher makes are dropped, or taken in as far as they make sense. What was there
// stays.
func TestHostileLists(t *testing.T) {
	deep := func(n int) string { return strings.Repeat("[", n) + strings.Repeat("]", n) }
	x := device("0x1", "x", exposeTemperature)
	many := func(n int, entry func(i int) string) string {
		all := make([]string, n)
		for i := range all {
			all[i] = entry(i)
		}
		return strings.Join(all, ",")
	}
	for name, list := range map[string]string{
		"deep":             deep(1000),
		"deeper":           deep(1_000_000),
		"deep unused":      "[" + strings.TrimSuffix(x, "}") + `,"endpoints":` + deep(9000) + "}]",
		"deep exposes":     "[" + device("0x1", "x", deep(9000)) + "]",
		"wrong types":      `[{"ieee_address":"0x2","friendly_name":5,"type":[],"definition":{"exposes":[1,"a",null,{"type":5,"features":{}},{"type":"light","features":[1]}]}},` + x + "]",
		"exposes of kinds": "[" + device("0x2", "y", `{"type":"light"}`, `{"type":"cover"}`, `{"type":"fan"}`, `{"type":"lock"}`, `{"type":"climate"}`, `{"type":"switch"}`, `{"type":"enum"}`, `{}`) + "," + x + "]",
		"invalid UTF-8":    "[" + device("0x2", "y\xff\xfe", exposeTemperature) + `,{"ieee_address":"0x3","friendly_name":"` + "\xc3\x28" + `"},` + x + "]",
		"one name":         "[" + many(2000, func(i int) string { return device(fmt.Sprintf("0xa%d", i), "x", exposeTemperature) }) + "," + x + "]",
		"one address":      "[" + x + "," + many(2000, func(int) string { return device("0x2", "y", exposeTemperature) }) + "]",
		"many lights":      "[" + device("0x2", "y", many(3000, func(i int) string { return fmt.Sprintf(`{"type":"light","endpoint":"%d","features":[]}`, i) })) + "," + x + "]",
		"long property":    "[" + device("0x2", "y", strings.ReplaceAll(exposeState, "state", strings.Repeat("s", 200_000))) + "," + x + "]",
		"many options":     "[" + device("0x2", "y", `{"type":"enum","name":"effect","property":"effect","access":7,"values":[`+many(100_000, func(i int) string { return fmt.Sprint(i) })+"]}") + "," + x + "]",
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, Options{})
			b.lists(x)
			b.say("zigbee2mqtt/x", `{"temperature":20}`)
			b.say("zigbee2mqtt/bridge/devices", list)
			b.say("zigbee2mqtt/bridge/groups", `[{"id":1,"friendly_name":"y","members":[`+many(2000, func(int) string { return `{"ieee_address":"0x2"}` })+`]}]`)
			b.say("zigbee2mqtt/bridge/groups", list)
			for _, e := range sortedEntities(b.house.Registry.Revision()) {
				if c := e.GetCapabilities(); len(e.GetUniqueId()) > 600 || len(c.GetOptions()) > dialect.MaxOptions {
					t.Errorf("%.80s has a unique id of %d bytes and %d options", e.GetId(), len(e.GetUniqueId()), len(c.GetOptions()))
				}
			}
			b.expect("sensor.x_temperature", `{"number":20}`)
			b.expectKinds(b.say("zigbee2mqtt/x", `{"temperature":21}`), "state_changed sensor.x_temperature")
			b.expectRecordable()
		})
	}
}

// Topics that no publisher may use arrive all the same from a broker that does not check them.
func TestHostileTopics(t *testing.T) {
	b := newBench(t, Options{})
	b.lists(device("0x1", "x", exposeTemperature))
	for _, name := range []string{"", "/", "//", "x/", "/x", "x//availability", "+", "#", "x/#", "\x00", "\xff", "bridge/", "bridge//state", "BRIDGE/state", strings.Repeat("x/", 30_000)} {
		for _, payload := range []string{"", "{}", "offline", `{"temperature":1}`} {
			b.expectKinds(b.message(mqtt.Message{Topic: "zigbee2mqtt/" + name, Payload: []byte(payload), ReceivedAt: base}), "")
		}
	}
}

// A source that invents devices makes no more entities than there may be, at once or one list after another; the error
// says so. What there is goes on, also what comes back; a device is taken in whole or not at all.
func TestTooManyEntities(t *testing.T) {
	const most = 40
	var log bytes.Buffer
	b := newBench(t, Options{MaxEntities: most, Logger: slog.New(slog.NewTextHandler(&log, nil))})
	count := func() int {
		devices, entities, former := b.house.Counts()
		if devices > most {
			t.Fatalf("%d devices", devices)
		}
		return entities + former
	}
	x := device("0x1", "x", exposeTemperature)
	b.lists(x)
	flood := func(round int) string {
		list := []string{x}
		for i := range 50 {
			list = append(list, device(fmt.Sprintf("0xf%d%d", round, i), fmt.Sprintf("f%d_%d", round, i), exposeTemperature, exposeState))
		}
		for i := range 50 { // not interviewed, and so without entities
			list = append(list, fmt.Sprintf(`{"ieee_address":"0xe%d%d","friendly_name":"e%d_%d","type":"Router"}`, round, i, round, i))
		}
		return strings.Join(list, ",")
	}
	for round := range 5 {
		b.lists(flood(round))
		if n := count(); n > most {
			t.Fatalf("%d entities after list %d", n, round+1)
		}
	}
	if n := count(); n < most-5 {
		t.Errorf("only %d entities, so that devices were left out that had room", n)
	}
	for _, d := range b.house.Devices(b.Source()) {
		if n := len(b.house.DeviceEntities(d.GetId())); n == 0 && strings.Contains(d.GetId(), "/0xf") {
			t.Errorf("%s was taken in without its entities", d.GetId())
		}
	}
	if n := b.Stats().Ignored[dialect.ReasonTooMany]; n == 0 || n > 10 {
		t.Errorf("%d complaints", n)
	}
	if !strings.Contains(log.String(), "may have 40; raise max_entities") {
		t.Errorf("the log says %.2000s", &log)
	}
	b.expectKinds(b.say("zigbee2mqtt/x", `{"temperature":21}`), "state_changed sensor.x_temperature")
	before := count()
	b.lists(flood(0)) // those of it that there were come back
	if n := count(); n != before {
		t.Errorf("%d entities, before the first ones came back %d", n, before)
	}
	if _, ok := b.house.Device("zigbee2mqtt/default/zigbee2mqtt/0xf00"); !ok {
		t.Error("a device that was there before does not come back")
	}
}
