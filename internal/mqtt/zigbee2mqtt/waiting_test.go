package zigbee2mqtt

import (
	"strings"
	"testing"
	"time"

	"github.com/statehouse/statehouse/internal/mqtt"
	"github.com/statehouse/statehouse/internal/mqtt/dialect"
)

func TestUnknownDevicesWaitForTheLists(t *testing.T) {
	b := newBench(t, Options{MaxWaiting: 3})
	b.say("zigbee2mqtt/x", `{"temperature":1}`)
	b.now = base.Add(time.Second)
	b.say("zigbee2mqtt/x", `{"temperature":2}`)
	b.stored("zigbee2mqtt/x", `{"temperature":3}`)
	b.say("zigbee2mqtt/x/availability", `online`)
	b.say("zigbee2mqtt/y", `{"temperature":1}`)
	b.say("zigbee2mqtt/y/set", `{"temperature":1}`)
	if s := b.Stats(); s.Waiting != 3 || s.Events != 0 || s.Ignored[dialect.ReasonCommand] != 1 {
		t.Errorf("%+v", s)
	}
	b.say("zigbee2mqtt/g", `{"state":"ON"}`)
	if s := b.Stats(); s.Waiting != 3 || s.Ignored[dialect.ReasonWaitingFull] != 1 {
		t.Errorf("%+v", s)
	}
	// x's report was the oldest, since its newest came first.
	b.say("zigbee2mqtt/x", `{"temperature":4}`)
	if s := b.Stats(); s.Waiting != 3 || s.Ignored[dialect.ReasonWaitingFull] != 2 {
		t.Errorf("%+v", s)
	}
	b.now = base.Add(time.Minute)
	b.say("zigbee2mqtt/bridge/devices", "["+device("0x1", "x", exposeTemperature)+","+device("0x2", "lamp", exposeLight)+"]")
	b.expect("sensor.x_temperature", `{"number":4}`)
	if st, _ := b.house.Cache.Get("sensor.x_temperature"); !st.UpdatedAt.Equal(base.Add(time.Second)) {
		t.Errorf("updated at %v", st.UpdatedAt)
	}
	if s := b.Stats(); s.Waiting != 2 || s.Ignored[dialect.ReasonUnknownDevice] != 0 {
		t.Errorf("%+v", s)
	}
	b.say("zigbee2mqtt/bridge/groups", `[{"id":1,"friendly_name":"g","members":[{"ieee_address":"0x2","endpoint":1}]}]`)
	b.expect("light.g", `{"on":true}`)
	if s := b.Stats(); s.Waiting != 0 || s.Ignored[dialect.ReasonUnknownDevice] != 1 {
		t.Errorf("%+v", s)
	}
	b.say("zigbee2mqtt/z", `{"temperature":1}`)
	if s := b.Stats(); s.Waiting != 0 || s.Ignored[dialect.ReasonUnknownDevice] != 2 {
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
