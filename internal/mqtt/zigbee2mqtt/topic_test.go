package zigbee2mqtt

import (
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/statehouse/statehouse/eventstore"
	eventv1 "github.com/statehouse/statehouse/gen/statehouse/event/v1"
)

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
