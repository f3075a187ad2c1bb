package daemon

import (
	"strings"
	"testing"

	"github.com/statehouse/statehouse/internal/check"
	door "github.com/statehouse/statehouse/internal/faults"
)

// TestPublishersKeepToTheirTopics: a user who may publish one device's reports can touch nothing else: no other device, no
// list, no availability, by no spelling of the topic, and not with a will or an empty retained message. What he may, he can.
func TestPublishersKeepToTheirTopics(t *testing.T) {
	c := testConfig(t)
	c.MQTT.Users = []User{
		{Name: "bridge", Password: "b", Publish: []string{"zigbee2mqtt/#"}},
		{Name: "lamp", Password: "l", Publish: []string{"zigbee2mqtt/dev0"}, Subscribe: []string{"none"}},
	}
	d := start(t, c, Options{})
	bridge, err := door.Dial(d.MQTTAddr(), "bridge", "bridge", "b")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = bridge.Close() }()
	if err := door.Announce(bridge, 2); err != nil {
		t.Fatal(err)
	}
	for i := range 2 {
		if err := bridge.Publish(door.Topic(i), door.ReportOf(20), false); err != nil {
			t.Fatal(err)
		}
	}
	before := d.House().Now()
	for _, topic := range []string{
		"zigbee2mqtt/dev1", "zigbee2mqtt/bridge/devices", "zigbee2mqtt/bridge/groups", "zigbee2mqtt/bridge/state", "zigbee2mqtt/bridge/info",
		"zigbee2mqtt/dev1/availability", "zigbee2mqtt/dev0/availability", "zigbee2mqtt/dev0/", "zigbee2mqtt//dev1", "/zigbee2mqtt/dev1",
		"zigbee2mqtt/+", "zigbee2mqtt/#", "#", "$share/x/zigbee2mqtt/dev1", "zigbee2mqtt/dev0/../dev1", "zigbee2mqtt/dev0\x00", "statehouse/status",
		"zigbee2mqtt/DEV1", "",
	} {
		for _, payload := range []string{door.ReportOf(99), "[]", "offline", ""} {
			for _, retain := range []bool{false, true} {
				thief, err := door.Dial(d.MQTTAddr(), "thief", "lamp", "l")
				if err != nil {
					t.Fatal(err)
				}
				if err := thief.Publish(topic, payload, retain); err == nil {
					t.Errorf("a message on %q was acknowledged", topic)
				}
				_ = thief.Close()
			}
		}
	}
	if _, err := door.Dial(d.MQTTAddr(), "dev1", "lamp", "b"); err == nil {
		t.Error("another user's password is taken")
	}
	after := d.House().Now()
	if after.Position() != before.Position() {
		t.Errorf("the log went from %d to %d", before.Position(), after.Position())
	}
	lamp, err := door.Dial(d.MQTTAddr(), "lamp", "lamp", "l")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = lamp.Close() }()
	if err := lamp.Publish(door.Topic(0), door.ReportOf(21), false); err != nil {
		t.Error(err)
	}
	for i, want := range []float64{21, 20} {
		s, _ := d.House().Now().State.Get(door.Temperature(i))
		if got := check.SensorValue(s.Attributes); got != want {
			t.Errorf("%s is %v, want %v", s.EntityID, got, want)
		}
	}
	for m := range d.broker.Load().Retained("zigbee2mqtt/bridge/devices") {
		if len(m.Payload) < 10 {
			t.Errorf("the retained list is %q", m.Payload)
		}
	}
}

// TestTooManyEntities: a bridge that invents devices is stopped at max_entities, and the log, the metrics and the message's
// reason say so; complaints that were not logged are counted.
func TestTooManyEntities(t *testing.T) {
	c := testConfig(t)
	c.MaxEntities = 50
	d := start(t, c, Options{})
	p, err := door.Dial(d.MQTTAddr(), "bridge", "", "")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = p.Close() }()
	for range 3 {
		if err := door.Announce(p, 100); err != nil {
			t.Fatal(err)
		}
	}
	if n := d.House().Now().Registry.Entities.Len(); n > 50 || n < 45 {
		t.Errorf("%d entities", n)
	}
	_, _, text := getFrom(t, d, "/metrics")
	for _, want := range []string{
		`statehouse_mqtt_dropped_total{reason="too_many_entities",source="zigbee2mqtt/default/zigbee2mqtt"} 3`,
		`statehouse_mqtt_complaints_suppressed_total{source="zigbee2mqtt/default/zigbee2mqtt"} 2`,
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %s", want)
		}
	}
}
