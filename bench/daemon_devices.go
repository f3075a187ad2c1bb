package main

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
)

// message is one that a device or a bridge publishes.
type message struct{ topic, payload string }

// ecosystem is a way in which devices make themselves known and report. Every device is one of the same kind: a sensor of the
// [properties], all of which are in each of its messages.
type ecosystem struct {
	name string
	// prefix is what the names of its devices begin with.
	prefix string
	// announce are the messages that make so many devices known, as they are retained.
	announce func(e *ecosystem, devices int) []message
	// topic is where a device of a name reports, and available where it says that it is there.
	topic, available string
}

// properties are what each device measures. What a device says of itself has one decimal.
var properties = [...]struct{ key, label, class, unit string }{
	{"temperature", "Temperature", "temperature", "°C"},
	{"humidity", "Humidity", "humidity", "%"},
	{"pressure", "Pressure", "pressure", "hPa"},
	{"illuminance", "Illuminance", "illuminance", "lx"},
	{"battery", "Battery", "battery", "%"},
}

var (
	zigbee = ecosystem{
		name: "Zigbee2MQTT", prefix: "zb", announce: bridgeLists, topic: "zigbee2mqtt/%s", available: "zigbee2mqtt/%s/availability",
	}
	discovery = ecosystem{
		name: "MQTT discovery", prefix: "ha", announce: discoveryConfigs, topic: "sensors/%s", available: "sensors/%s/availability",
	}
)

func (e *ecosystem) deviceName(i int) string { return fmt.Sprintf("%s_climate_%05d", e.prefix, i) }

// bridgeLists are the lists that a Zigbee2MQTT publishes.
func bridgeLists(e *ecosystem, devices int) []message {
	var exposes []any
	for _, p := range properties {
		exposes = append(exposes, map[string]any{
			"type": "numeric", "name": p.key, "property": p.key, "label": p.label, "access": 1, "unit": p.unit,
			"description": "Measured " + p.key + " value",
		})
	}
	list := make([]any, devices)
	for i := range list {
		list[i] = map[string]any{
			"ieee_address": fmt.Sprintf("0x%016x", i+1), "friendly_name": e.deviceName(i), "type": "EndDevice", "supported": true,
			"disabled": false, "interview_completed": true, "network_address": i + 1, "power_source": "Battery",
			"manufacturer": "LUMI", "model_id": "lumi.weather", "date_code": "20191205", "software_build_id": "3000-0001",
			"definition": map[string]any{
				"model": "WSDCGQ11LM", "vendor": "Aqara", "description": "Temperature and humidity sensor", "exposes": exposes,
			},
		}
	}
	return []message{{"zigbee2mqtt/bridge/devices", jsonText(list)}, {"zigbee2mqtt/bridge/groups", "[]"}}
}

// discoveryConfigs are the announcements of devices, one for each entity, with the keys that a bridge like Zigbee2MQTT gives.
func discoveryConfigs(e *ecosystem, devices int) []message {
	var all []message
	for i := range devices {
		name := e.deviceName(i)
		for _, p := range properties {
			config := map[string]any{
				"availability": []any{map[string]any{"topic": fmt.Sprintf(e.available, name)}},
				"device": map[string]any{
					"identifiers": []string{"sensors_" + name}, "manufacturer": "Aqara", "model": "Climate sensor", "name": name, "sw_version": "3000-0001",
				},
				"default_entity_id": "sensor." + name + "_" + p.key, "device_class": p.class, "name": p.label, "enabled_by_default": true,
				"origin":      map[string]any{"name": "Sensors", "sw": "2.14.1", "url": "https://sensors.example"},
				"state_class": "measurement", "state_topic": fmt.Sprintf(e.topic, name), "unit_of_measurement": p.unit,
				"unique_id": name + "_" + p.key + "_sensors", "value_template": "{{ value_json." + p.key + " }}",
			}
			all = append(all, message{"homeassistant/sensor/" + name + "/" + p.key + "/config", jsonText(config)})
		}
	}
	return all
}

func jsonText(v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err) // of our own strings and numbers
	}
	return string(text)
}

// device is one of an ecosystem, and what it measures, in tenths.
type device struct {
	name   string
	tenths [len(properties)]int
	topic  string
	next   int // the property that changes next
}

// devices makes so many of an ecosystem.
func (e *ecosystem) devices(count int) []*device {
	rng := rand.New(rand.NewPCG(31, 32))
	all := make([]*device, count)
	for i := range all {
		all[i] = &device{name: e.deviceName(i), next: rng.IntN(len(properties))}
		all[i].topic = fmt.Sprintf(e.topic, all[i].name)
		for p := range properties {
			all[i].tenths[p] = 100 + rng.IntN(800)
		}
	}
	return all
}

// change changes one of what a device measures.
func (d *device) change() {
	d.tenths[d.next] = 100 + (d.tenths[d.next]-100+1)%800
	d.next = (d.next + 1) % len(properties)
}

// report is what the device says.
func (d *device) report() message {
	var b strings.Builder
	for i, p := range properties {
		sep := byte(',')
		if i == 0 {
			sep = '{'
		}
		fmt.Fprintf(&b, `%c"%s":%d.%d`, sep, p.key, d.tenths[i]/10, d.tenths[i]%10)
	}
	b.WriteByte('}')
	return message{d.topic, b.String()}
}

// values adds what the entities of a device are to say, by id.
func (d *device) values(to map[string]float64) {
	for i, p := range properties {
		to["sensor."+d.name+"_"+p.key] = float64(d.tenths[i]) / 10
	}
}
