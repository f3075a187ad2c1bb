package discovery

import (
	"context"
	"strings"
	"testing"

	"github.com/statehouse/statehouse/internal/mqtt"
	"github.com/statehouse/statehouse/internal/mqtt/dialect/dialecttest"
)

func mapHouse(t *testing.T, h *house, devices ...MappedDevice) *Mapping {
	t.Helper()
	m, err := NewMapping(devices)
	if err != nil {
		t.Fatal(err)
	}
	h.Engine = NewEngine(h.memory, m, Options{})
	declared, err := m.Declared()
	if err == nil {
		err = h.Declare(context.Background(), declared, m.Describes)
	}
	if err != nil {
		t.Fatal(err)
	}
	return m
}

var barrel = MappedDevice{Topic: "garden/barrel", Name: "Rain barrel", Entities: []map[string]any{
	{"component": "sensor", "name": "Level", "state_topic": "~/json", "path": "levels.0.percent", "unit_of_measurement": "%"},
	{"component": "switch", "name": "Pump", "state_topic": "~/pump", "command_topic": "~/pump/set", "payload_on": 1, "payload_off": 0},
}}

var climates = MappedDevice{Topic: "sensors/+/climate", Name: "Climate {1}", Entities: []map[string]any{
	{"component": "sensor", "name": "Temperature", "state_topic": "~", "path": "it's", "device_class": "temperature", "unit_of_measurement": "°C"},
}}

func TestDevicesThatAnnounceNothing(t *testing.T) {
	h := newHouse(t)
	mapHouse(t, h, barrel, climates)
	h.expect("sensor.rain_barrel_level", `{}`) // it is there before it is heard of
	h.say("garden/barrel/json", `{"levels":[{"percent":42}]}`)
	h.say("garden/barrel/pump", "1")
	h.expect("sensor.rain_barrel_level", `{"number":42}`)
	h.expect("switch.rain_barrel_pump", `{"on":true}`)
	h.expectKinds(h.say("sensors/cellar/climate", `{"it's":12.5}`), "device_registered, entity_registered sensor.climate_cellar_temperature, state_changed sensor.climate_cellar_temperature")
	h.expectKinds(h.say("sensors/cellar/climate", `{"it's":13}`), "state_changed sensor.climate_cellar_temperature")
	h.expectKinds(h.say("sensors/cellar/other", `{"it's":13}`), "")
	h.expectKinds(h.say("sensors//climate", `{"it's":13}`), "")

	// The same configuration changes nothing, another takes away what it does not say.
	before := len(h.memory.Events)
	mapHouse(t, h, climates, barrel)
	h.expectKinds(h.memory.Events[before:], "")
	h.say("sensors/attic/climate", `{"it's":30}`)
	before = len(h.memory.Events)
	without := barrel
	without.Entities = barrel.Entities[:1]
	mapHouse(t, h, without, climates)
	h.expectKinds(h.memory.Events[before:], "entity_unregistered switch.rain_barrel_pump")
	before = len(h.memory.Events)
	mapHouse(t, h, without)
	h.expectKinds(h.memory.Events[before:], "entity_unregistered sensor.climate_attic_temperature, device_unregistered, "+
		"entity_unregistered sensor.climate_cellar_temperature, device_unregistered")
}

// A number in a path is the place in a list, or a name like others.
func TestPaths(t *testing.T) {
	for path, payloads := range map[string]map[string]string{
		"a.b":     {`{"a":{"b":1}}`: `{"text":"1"}`, `{"a":{}}`: `{}`, `{"a":[1]}`: `{}`, `{}`: `{}`, `[]`: `{}`},
		"a.0.b":   {`{"a":[{"b":1}]}`: `{"text":"1"}`, `{"a":{"0":{"b":1}}}`: `{"text":"1"}`, `{"a":[]}`: `{}`, `{"a":{}}`: `{}`, `{}`: `{}`, `5`: `{}`},
		"1":       {`[1,2]`: `{"text":"2"}`, `{"1":2}`: `{"text":"2"}`, `[1]`: `{}`, `no JSON`: `{}`},
		"0.1.a":   {`[[1,{"a":3}]]`: `{"text":"3"}`, `{"0":{"1":{"a":3}}}`: `{"text":"3"}`, `[{"1":{"a":3}}]`: `{"text":"3"}`, `[[1]]`: `{}`},
		`it's.01`: {`{"it's":{"01":4}}`: `{"text":"4"}`},
	} {
		for payload, want := range payloads {
			h := newHouse(t)
			mapHouse(t, h, MappedDevice{Topic: "x", Entities: []map[string]any{{"component": "sensor", "name": "A", "state_topic": "~", "path": path}}})
			h.say("x", payload)
			if got := h.shown("sensor.x_a"); got != want {
				t.Errorf("%s in %s: %s, not %s", path, payload, got, want)
			}
		}
	}
}

func TestAPatternThatChangedIsFollowedWhenItIsHeardOf(t *testing.T) {
	h := newHouse(t)
	mapHouse(t, h, climates)
	h.say("sensors/cellar/climate", `{"it's":12.5}`)
	more := climates
	more.Entities = append(more.Entities[:1:1], map[string]any{"component": "sensor", "name": "Humidity", "state_topic": "~", "path": "h"})
	mapHouse(t, h, more)
	h.expectKinds(h.say("sensors/cellar/climate", `{"h":50}`), "entity_registered sensor.climate_cellar_humidity, state_changed sensor.climate_cellar_humidity")
}

func TestWhatIsWrongInAMapping(t *testing.T) {
	good := barrel.Entities[0]
	change := func(key string, v any) MappedDevice {
		e := map[string]any{}
		for k, v := range good {
			e[k] = v
		}
		if e[key] = v; v == nil {
			delete(e, key)
		}
		return MappedDevice{Topic: "a/b", Entities: []map[string]any{e}}
	}
	for want, devices := range map[string][]MappedDevice{
		"topic is missing":          {{Entities: barrel.Entities}},
		"without / at its ends":     {{Topic: "/a", Entities: barrel.Entities}},
		"levels may be +":           {{Topic: "a/#", Entities: barrel.Entities}},
		"it has no entities":        {{Topic: "a"}},
		"given twice":               {barrel, barrel},
		"component is missing":      {change("component", nil)},
		"kettle":                    {change("component", "kettle")},
		"state_topic":               {change("state_topic", nil)},
		"one of path and":           {change("value_template", "{{ value }}")},
		"names that lead":           {change("path", 5)},
		"value_template":            {func() MappedDevice { d := change("path", nil); d.Entities[0]["value_template"] = "{{"; return d }()},
		"is there twice":            {{Topic: "a", Entities: []map[string]any{good, good}}},
		`topic "x/y": it has no en`: {barrel, {Topic: "x/y"}},
	} {
		_, err := NewMapping(devices)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
}

func FuzzMapping(f *testing.F) {
	f.Add("sensors/+/climate", "{1}", "a.0.b", "sensors/cellar/climate", `{"a":[{"b":1}]}`)
	f.Add("a", "b", "it's", "a", "1")
	f.Fuzz(func(t *testing.T, pattern, name, path, topic, payload string) {
		m, err := NewMapping([]MappedDevice{{Topic: pattern, Name: name, Entities: []map[string]any{
			{"component": "sensor", "name": name, "state_topic": "~", "path": path},
		}}})
		if err != nil || mqtt.ValidTopic(topic) != nil {
			return
		}
		e := NewEngine(dialecttest.NewMemory(), m, Options{})
		declared, err := m.Declared()
		if err == nil {
			err = e.Declare(t.Context(), declared, m.Describes)
		}
		if err == nil {
			err = e.Handle(t.Context(), mqtt.Message{Topic: topic, Payload: []byte(payload), ReceivedAt: dialecttest.Base})
		}
		if err != nil {
			t.Error(err)
		}
	})
}
