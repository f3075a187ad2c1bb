package zigbee2mqtt

import (
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/statehouse/statehouse/eventstore"
	eventv1 "github.com/statehouse/statehouse/gen/statehouse/event/v1"
	"github.com/statehouse/statehouse/internal/mqtt/dialect"
)

func TestSomebodyElseChangesTheRegistry(t *testing.T) {
	b := newBench(t, Options{})
	b.lists(device("0x1", "x", exposeTemperature))
	b.say("zigbee2mqtt/x", `{"temperature":1}`)
	known, _ := b.house.Registry.Revision().Device(b.deviceID("0x1"))
	moved := proto.CloneOf(known)
	moved.Topic = "zigbee2mqtt/y"
	b.house.User(t, eventstore.Event{Payload: &eventv1.Payload{
		Kind: &eventv1.Payload_DeviceRegistered{DeviceRegistered: &eventv1.DeviceRegistered{Device: moved}},
	}})
	b.expectKinds(b.say("zigbee2mqtt/x", `{"temperature":2}`), "")
	b.expectKinds(b.say("zigbee2mqtt/y", `{"temperature":3}`), "state_changed sensor.x_temperature")
	b.expectKinds(b.say("zigbee2mqtt/x/availability", `online`), "")
	if got := b.Stats().Ignored[dialect.ReasonUnknownDevice]; got != 2 {
		t.Errorf("%d of unknown devices", got)
	}
}

func TestTopics(t *testing.T) {
	b := newBench(t, Options{MaxMessageBytes: 100})
	b.lists(device("0x1", "a", exposeTemperature), device("0x2", "a/set", exposeTemperature), device("0x3", "a/b/c", exposeTemperature))
	for _, test := range []struct {
		topic, payload, want string
		reason               dialect.Reason
	}{
		{"zigbee2mqtt/a/set", `{"temperature":1}`, "state_changed sensor.a_set_temperature", ""},
		{"zigbee2mqtt/a/b/c", `{"temperature":1}`, "state_changed sensor.a_b_c_temperature", ""},
		{"zigbee2mqtt/a/b/c/availability", `online`, "state_changed sensor.a_b_c_temperature", ""},
		{"zigbee2mqtt/a/b/c/get", `{"temperature":""}`, "", dialect.ReasonCommand},
		{"zigbee2mqtt/a/b/c/set/temperature", `5`, "", dialect.ReasonCommand},
		{"zigbee2mqtt/a/set/temperature", `5`, "", dialect.ReasonCopy}, // there is a device a/set
		{"zigbee2mqtt/a/left/set", `5`, "", dialect.ReasonCommand},
		{"zigbee2mqtt/a/left/set/state", `5`, "", dialect.ReasonCommand},
		{"zigbee2mqtt/a/left", `{"temperature":9}`, "", dialect.ReasonCopy},
		{"zigbee2mqtt/a/temperature", `9`, "", dialect.ReasonCopy},
		{"zigbee2mqtt/a/action", `hold`, "", dialect.ReasonAction},
		{"zigbee2mqtt/nobody", `{}`, "", dialect.ReasonUnknownDevice},
		{"zigbee2mqtt/nobody/set", `{}`, "", dialect.ReasonCommand},
		{"zigbee2mqtt/a", ``, "", dialect.ReasonEmpty},
		{"zigbee2mqtt/a", `{"temperature":1`, "", dialect.ReasonMalformed},
		{"zigbee2mqtt/a", `[1]`, "", dialect.ReasonMalformed},
		{"zigbee2mqtt/a", `1`, "", dialect.ReasonMalformed},
		{"zigbee2mqtt/a", "{\"temperature\":\"\xff\"}", "", dialect.ReasonMalformed},
		{"zigbee2mqtt/a", `{"x":` + strings.Repeat(" ", 100) + `1}`, "", dialect.ReasonTooLarge},
		{"zigbee2mqtt/a", `{"x":` + strings.Repeat("[", 80) + `}`, "", dialect.ReasonMalformed},
		{"zigbee2mqtt/bridge/logging", `{}`, "", dialect.ReasonLogging},
		{"zigbee2mqtt/bridge/response/device/rename", `{}`, "", dialect.ReasonBridge},
		{"zigbee2mqtt/bridge/state", `{"state":1}`, "", dialect.ReasonMalformed},
		{"zigbee2mqtt/bridge/state", `{`, "", dialect.ReasonMalformed},
		{"zigbee2mqtt/bridge/info", `[]`, "", dialect.ReasonMalformed},
		{"zigbee2mqtt/bridge/devices", ``, "", dialect.ReasonEmpty},
		{"zigbee2mqtt", `{}`, "", dialect.ReasonOther},
		{"zigbee2mqtt/", `{}`, "", dialect.ReasonOther},
		{"homeassistant/a", `{}`, "", dialect.ReasonOther},
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
