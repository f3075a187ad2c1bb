package zigbee2mqtt

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/statehouse/statehouse"
	entityv1 "github.com/statehouse/statehouse/gen/statehouse/entity/v1"
	"github.com/statehouse/statehouse/internal/mqtt"
	"github.com/statehouse/statehouse/internal/mqtt/dialect"
)

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

	if n := b.Stats().Ignored[dialect.ReasonMalformed]; n != 1 {
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

// What comes to a device that is known to be offline, or behind a bridge that is, begins so, in the same batch, and is
// back with the others.
func TestNewEntitiesTakeOverTheAvailability(t *testing.T) {
	hidden := strings.Replace(exposeHumidity, `"access":1`, `"access":1,"homeassistant":{"enabledByDefault":false}`, 1)
	for name, test := range map[string]struct{ first, then, want string }{
		"new":               {exposeTemperature, exposeTemperature + "," + exposeHumidity, "entity_registered sensor.x_humidity"},
		"enabled by source": {exposeTemperature + "," + hidden, exposeTemperature + "," + exposeHumidity, "entity_registered sensor.x_humidity"},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, Options{})
			list := func(exposes string) string {
				b.Helper()
				return kinds(b.say("zigbee2mqtt/bridge/devices", "["+device("0x1", "x", exposes)+"]"))
			}
			expect := func(want string) {
				b.Helper()
				b.expect("sensor.x_temperature", want)
				b.expect("sensor.x_humidity", want)
			}
			changed := test.want + ", state_changed sensor.x_humidity"
			b.say("zigbee2mqtt/bridge/state", "online")
			list(test.first)
			for _, word := range []string{"online", "offline"} {
				b.say("zigbee2mqtt/x/availability", word)
				batches := b.house.Batches
				if got := list(test.then); got != changed || b.house.Batches != batches+1 {
					t.Errorf("%s while %s, %d batches", got, word, b.house.Batches-batches)
				}
				expect(`{"availability":"` + word + `"}`)
				list(test.first)
			}
			// The device is offline, and the bridge as well: it is still the device when the bridge is back.
			b.say("zigbee2mqtt/bridge/state", "offline")
			if got := list(test.then); got != changed {
				t.Error(got)
			}
			expect(`{"availability":"offline","extra":{"device_availability":"offline"}}`)
			b.say("zigbee2mqtt/bridge/state", "online")
			expect(`{"availability":"offline"}`)
			b.say("zigbee2mqtt/x/availability", "online")
			expect(`{"availability":"online"}`)
		})
	}
}

// What is unavailable because the bridge is names the event that said so as its cause. One that came in the same batch
// cannot be a cause, and neither is the bridge the cause of what a device says of itself.
func TestTheBridgeIsTheCause(t *testing.T) {
	b := newBench(t, Options{})
	b.say("zigbee2mqtt/bridge/state", "online")
	b.lists(device("0x1", "x", exposeTemperature))
	for _, e := range b.say("zigbee2mqtt/bridge/state", "offline") {
		if e.CausePosition != 0 {
			t.Errorf("in the batch of its cause: %v", e)
		}
	}
	st, _ := b.house.State("binary_sensor.zigbee2mqtt_bridge_connection_state")
	caused := 0
	for _, e := range b.say("zigbee2mqtt/bridge/devices", "["+device("0x1", "x", exposeTemperature, exposeHumidity)+","+device("0x2", "y", exposeTemperature)+"]") {
		switch {
		case e.Payload.GetStateChanged() != nil && e.CausePosition == st.Position:
			caused++
		case e.CausePosition != 0 || e.Payload.GetStateChanged() != nil:
			t.Errorf("the cause is not %d: %v", st.Position, e)
		}
	}
	if caused != 2 || st.Position == 0 {
		t.Errorf("%d events name the bridge at %d as their cause", caused, st.Position)
	}
	for _, e := range b.say("zigbee2mqtt/x/availability", "offline") {
		if e.CausePosition != 0 {
			t.Errorf("it is the device: %v", e)
		}
	}
}

func TestNewDevicesTakeOverTheAvailabilityOfTheBridge(t *testing.T) {
	b := newBench(t, Options{})
	b.say("zigbee2mqtt/bridge/state", "offline")
	b.lists(device("0x1", "x", exposeTemperature))
	b.say("zigbee2mqtt/bridge/groups", `[{"id":1,"friendly_name":"g","members":[]}]`)
	b.say("zigbee2mqtt/bridge/devices", "["+device("0x1", "x", exposeTemperature, exposeLight)+"]")
	b.say("zigbee2mqtt/bridge/groups", `[{"id":1,"friendly_name":"g","members":[{"ieee_address":"0x1"}]}]`)
	for _, id := range []string{"sensor.x_temperature", "light.x", "light.g"} {
		b.expect(id, `{"availability":"offline","extra":{"device_availability":"unknown"}}`)
	}
	b.say("zigbee2mqtt/bridge/state", "online")
	for _, id := range []string{"sensor.x_temperature", "light.x", "light.g"} {
		b.expect(id, `{}`)
	}
}

// The bridge is known to be offline also where its connection state is disabled.
func TestTheBridgeIsOfflineWithoutItsConnectionState(t *testing.T) {
	b := newBench(t, Options{})
	b.lists(device("0x1", "x", exposeTemperature))
	yes := true
	b.house.Edit(t, "binary_sensor.zigbee2mqtt_bridge_connection_state", func(e *entityv1.Entity) { e.UserDisabled = &yes })
	b.say("zigbee2mqtt/bridge/state", "offline")
	b.say("zigbee2mqtt/x/availability", "online")
	b.expect("sensor.x_temperature", `{"availability":"offline","extra":{"device_availability":"online"}}`)
	b.say("zigbee2mqtt/bridge/state", "online")
	b.expect("sensor.x_temperature", `{"availability":"online"}`)
}

// A user enables entities through the house, which knows nothing of the bridge.
func TestEnabledEntitiesTakeOverTheAvailability(t *testing.T) {
	h := open(t, filepath.Join(t.TempDir(), "home.db"))
	defer func() {
		if err := h.Close(); err != nil {
			t.Error(err)
		}
	}()
	d := New(h, Options{})
	say := func(topic, payload string) {
		t.Helper()
		if err := d.Handle(t.Context(), mqtt.Message{Topic: "zigbee2mqtt/" + topic, Payload: []byte(payload), ReceivedAt: base}); err != nil {
			t.Fatal(err)
		}
	}
	set := func(id string, disabled bool) {
		t.Helper()
		span, err := h.EditEntity(t.Context(), "user", id, statehouse.EntityEdit{Disabled: &disabled})
		if _, want := h.Now().State.Get(id); err != nil || want == disabled || span.Len() == 0 {
			t.Fatal(span, err)
		}
	}
	expect := func(want entityv1.Availability, ids ...string) {
		t.Helper()
		for _, id := range ids {
			if s, ok := h.Now().State.Get(id); !ok || s.Attributes.GetAvailability() != want || len(s.Attributes.GetExtra()) > 0 && want != off {
				t.Errorf("%s is %v", id, s.Attributes)
			}
		}
	}
	say("bridge/state", "online")
	say("bridge/devices", "["+device("0x1", "x", exposeTemperature, exposeQuality)+","+device("0x2", "y", exposeTemperature)+"]")
	all := []string{"sensor.x_temperature", "sensor.x_linkquality", "sensor.x_last_seen"}
	say("x/availability", "online")
	set("sensor.x_linkquality", false)
	expect(on, all[:2]...)
	say("bridge/state", "offline")
	set("sensor.x_last_seen", false)
	expect(off, all...)
	say("bridge/state", "online")
	expect(on, all...)
	say("x/availability", "offline")
	set("sensor.x_last_seen", true)
	set("sensor.x_last_seen", false)
	expect(off, all...)
	say("x/availability", "online")
	expect(on, all...)

	// Of a device whose only entity was disabled nothing is known but that the bridge was offline.
	set("sensor.y_temperature", true)
	say("bridge/state", "offline")
	set("sensor.y_temperature", false)
	set("binary_sensor.zigbee2mqtt_bridge_restart_required", false)
	set("binary_sensor.zigbee2mqtt_bridge_connection_state", true)
	set("binary_sensor.zigbee2mqtt_bridge_connection_state", false)
	expect(off, "sensor.y_temperature", "binary_sensor.zigbee2mqtt_bridge_restart_required")
	say("bridge/state", "online")
	expect(entityv1.Availability_AVAILABILITY_UNSPECIFIED, "sensor.y_temperature", "binary_sensor.zigbee2mqtt_bridge_connection_state")
	expect(on, "binary_sensor.zigbee2mqtt_bridge_restart_required")
}

const (
	on  = entityv1.Availability_AVAILABILITY_ONLINE
	off = entityv1.Availability_AVAILABILITY_OFFLINE
)
