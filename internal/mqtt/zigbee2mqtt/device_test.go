package zigbee2mqtt

import (
	"fmt"
	"strings"
	"testing"

	"github.com/statehouse/statehouse/internal/mqtt/dialect"
)

func TestRenameKeepsEntitiesAndIDs(t *testing.T) {
	b := newBench(t, Options{})
	b.lists(device("0x1", "sofa_lamp", exposeLight))
	b.say("zigbee2mqtt/sofa_lamp", `{"state":"ON"}`)
	b.expectKinds(b.say("zigbee2mqtt/sofa_lamp", ``), "")
	b.expectKinds(b.say("zigbee2mqtt/bridge/devices", "["+device("0x1", "couch_lamp", exposeLight)+"]"), "device_registered")
	b.expectKinds(b.say("zigbee2mqtt/couch_lamp", `{"state":"OFF"}`), "state_changed light.sofa_lamp")
	b.expectKinds(b.say("zigbee2mqtt/sofa_lamp", `{"state":"ON"}`), "")
	b.expect("light.sofa_lamp", `{"on":false}`)
	if got := b.Stats().Ignored[dialect.ReasonUnknownDevice]; got != 1 {
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
	if got := b.Stats().Ignored[dialect.ReasonUnknownDevice]; got != 3 {
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
	if got := b.Stats().Ignored[dialect.ReasonMalformed]; got != 6+16 {
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

// An empty list is not what Zigbee2MQTT says when all devices are gone: its coordinator never is.
func TestAnEmptyListRemovesNothing(t *testing.T) {
	b := newBench(t, Options{})
	b.say("zigbee2mqtt/x", `{"temperature":20}`)
	b.say("zigbee2mqtt/bridge/groups", `[]`)
	b.expectKinds(b.say("zigbee2mqtt/bridge/devices", `[]`), "")
	if s := b.Stats(); s.Waiting != 1 || s.Ignored[dialect.ReasonMalformed] != 1 {
		t.Errorf("it counts as the list: %+v", s)
	}
	b.lists(device("0x1", "x", exposeTemperature))
	b.expectKinds(b.say("zigbee2mqtt/bridge/devices", ` [ ] `), "")
	b.expect("sensor.x_temperature", `{"number":20}`)
	b.expectKinds(b.say("zigbee2mqtt/bridge/devices", `[{"ieee_address":"0xc","type":"Coordinator"}]`),
		"device_registered, entity_unregistered sensor.x_last_seen, entity_unregistered sensor.x_temperature, device_unregistered")
}

func TestADefinitionWithoutExposesRemovesNothing(t *testing.T) {
	b := newBench(t, Options{})
	b.lists(device("0x1", "x", exposeTemperature))
	b.say("zigbee2mqtt/x", `{"temperature":20}`)
	for _, definition := range []string{`null`, `{}`, `{"model":"M","exposes":null}`, `{"exposes":["\ud800",` + strings.Repeat("[", 70) + strings.Repeat("]", 70) + `]}`} {
		b.lists(`{"ieee_address":"0x1","friendly_name":"x","definition":` + definition + `}`)
		b.expect("sensor.x_temperature", `{"number":20}`)
	}
}

// What is wrong with one entry is no reason to drop the others.
func TestOneBadEntryIsOne(t *testing.T) {
	large := strings.TrimSuffix(device("0x2", "y", exposeTemperature), "}") + `,"endpoints":"` + strings.Repeat("x", maxEntry) + `"}`
	many := make([]string, maxEntities+1)
	for i := range many {
		many[i] = strings.ReplaceAll(exposeTemperature, "temperature", fmt.Sprintf("p%d", i))
	}
	for name, test := range map[string]struct {
		entry   string
		removes bool // others may be removed, since it is known whose entry is bad
	}{
		"large":         {large, false},
		"many entities": {device("0x2", "y", many...), true},
		"wildcard":      {device("0x2", "y/#"), true},
		"NUL":           {`{"ieee_address":"0x2","friendly_name":"y\u0000"}`, true},
		"long name":     {device("0x2", strings.Repeat("y", 70_000)), true},
		"longer name":   {"{\"ieee_address\":\"0x2\",\"friendly_name\":\"" + strings.Repeat("\xff", 900_000) + "\"}", true},
		"twice":         {device("0x2", "y", exposeTemperature) + "," + device("0x2", "z", exposeHumidity), false},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, Options{})
			b.lists(device("0x1", "x", exposeTemperature), device("0x2", "y", exposeTemperature), device("0x3", "z", exposeTemperature))
			before := b.Stats().Ignored[dialect.ReasonMalformed]
			b.say("zigbee2mqtt/bridge/devices", "["+test.entry+","+device("0x1", "x", exposeTemperature, exposeHumidity)+"]")
			want := []string{"(sensor.x_last_seen)", "(sensor.y_last_seen)", "sensor.x_humidity", "sensor.x_temperature", "sensor.y_temperature"}
			if !test.removes {
				want = []string{"(sensor.x_last_seen)", "(sensor.y_last_seen)", "(sensor.z_last_seen)", "sensor.x_humidity", "sensor.x_temperature", "sensor.y_temperature", "sensor.z_temperature"}
			}
			b.expectIDs(want...)
			b.say("zigbee2mqtt/y", `{"temperature":1}`)
			b.expect("sensor.y_temperature", `{"number":1}`)
			if got := b.Stats().Ignored[dialect.ReasonMalformed] - before; got != 1 {
				t.Errorf("%d malformed", got)
			}
		})
	}
}
