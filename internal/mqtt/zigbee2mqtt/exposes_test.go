package zigbee2mqtt

import (
	"fmt"
	"strings"
	"testing"

	"github.com/statehouse/statehouse/internal/mqtt/dialect"
	"github.com/statehouse/statehouse/state"
)

// said is a report and the state that follows from it and from those before it.
type said struct{ report, entity, want string }

func feature(kind, name, rest string) string {
	return fmt.Sprintf(`{"type":%q,"name":%q,"property":%q,"label":%q,"access":7%s}`, kind, name, name, name, rest)
}

func TestExposesBecomeEntities(t *testing.T) {
	const colorLamp = `{"type":"light","features":[` + exposeState + `,
		{"type":"numeric","name":"brightness","property":"brightness","access":7,"value_max":254},
		{"type":"numeric","name":"color_temp","property":"color_temp","access":7,"value_min":153,"value_max":500},
		{"type":"composite","name":"color_xy","property":"color","access":7},
		{"type":"composite","name":"color_hs","property":"color","access":7}]},
		{"type":"enum","name":"effect","property":"effect","label":"Effect","access":2,"values":["blink","okay"]}`
	climate := `{"type":"climate","features":[` + strings.Join([]string{
		feature("numeric", "local_temperature", `,"unit":"°C"`),
		feature("numeric", "occupied_heating_setpoint", `,"unit":"°C","value_min":5,"value_max":30`),
		feature("numeric", "occupied_cooling_setpoint", `,"unit":"°C","value_min":5,"value_max":30`),
		feature("enum", "system_mode", `,"values":["off","heat","auto","sleep"]`),
		feature("enum", "running_state", `,"values":["idle","heat"]`),
		feature("enum", "fan_mode", `,"values":["low","auto"]`),
		feature("enum", "swing_mode", `,"values":["on","off"]`),
		feature("enum", "preset", `,"values":["eco"]`),
		feature("numeric", "local_temperature_calibration", `,"unit":"°C"`),
	}, ",") + `]},` + exposeHumidity
	cover := `{"type":"cover","features":[{"type":"enum","name":"state","property":"state","access":3,"values":["OPEN","CLOSE","STOP"]},` +
		feature("numeric", "position", `,"value_max":100`) + `,` + feature("numeric", "tilt", `,"value_max":100`) + `]}`
	motor := feature("enum", "motor_state", `,"values":["opening","closing","stopped"],"access":1`)
	tests := []struct {
		name, exposes string
		ids           string // without last_seen, which every device has
		said          []said
	}{
		{"light", exposeLight, "light.x", []said{
			{`{"state":"ON"}`, "light.x", `{"on":true}`},
			{`{"brightness":127}`, "light.x", `{"on":true,"brightness":128}`},
			{`{"brightness":254}`, "light.x", `{"on":true,"brightness":255}`},
			{`{"brightness":255}`, "light.x", `{"on":true,"brightness":255}`},
			{`{"brightness":0}`, "light.x", `{"on":true,"brightness":0}`},
			{`{"brightness":256}`, "light.x", `{"on":true,"extra":{"brightness":256}}`},
			{`{"brightness":-1}`, "light.x", `{"on":true,"extra":{"brightness":-1}}`},
			{`{"brightness":"abc"}`, "light.x", `{"on":true,"extra":{"brightness":"abc"}}`},
			{`{"brightness":null}`, "light.x", `{"on":true}`},
			{`{"state":"TOGGLE"}`, "light.x", `{"extra":{"state":"TOGGLE"}}`},
			{`{"state":true}`, "light.x", `{"extra":{"state":true}}`},
			{`{"state":"OFF","unheard":{"of":[1]}}`, "light.x", `{"on":false,"extra":{"unheard":{"of":[1]}}}`},
			{`{"unheard":null}`, "light.x", `{"on":false}`},
		}},
		{"color light", colorLamp, "light.x (select.x_effect)", []said{
			{`{"color_temp":250,"color_mode":"color_temp"}`, "light.x", `{"color_mode":"color_temp","color_temp_kelvin":4000}`},
			{`{"color_temp":0}`, "light.x", `{"color_mode":"color_temp","extra":{"color_temp":0}}`},
			{`{"color_temp":500}`, "light.x", `{"color_mode":"color_temp","color_temp_kelvin":2000}`},
			{`{"color":{"x":0.3,"y":0.4},"color_mode":"xy"}`, "light.x",
				`{"color_mode":"xy","color_temp_kelvin":2000,"xy":{"x":0.3,"y":0.4}}`},
			{`{"color":{"hue":10,"saturation":20,"h":10,"s":20}}`, "light.x",
				`{"color_mode":"xy","color_temp_kelvin":2000,"hs":{"hue":10,"saturation":20}}`},
			{`{"color":{"r":1,"g":2,"b":3}}`, "light.x",
				`{"color_mode":"xy","color_temp_kelvin":2000,"rgb":{"red":1,"green":2,"blue":3}}`},
			{`{"color":{"x":0.3}}`, "light.x", `{"color_mode":"xy","color_temp_kelvin":2000,"extra":{"color":{"x":0.3}}}`},
			{`{"color":"red","color_mode":"pink","color_temp":null}`, "light.x", `{"extra":{"color":"red","color_mode":"pink"}}`},
			{`{"color":null,"color_mode":null,"effect":"blink"}`, "light.x", `{"effect":"blink"}`},
		}},
		{"two lights of one device", `{"type":"light","endpoint":"l1","features":[{"type":"binary","name":"state","property":"state_l1",
			"endpoint":"l1","access":7,"value_on":"ON","value_off":"OFF"}]},{"type":"light","endpoint":"l2","features":[{"type":"binary",
			"name":"state","property":"state_l2","endpoint":"l2","access":7,"value_on":"ON","value_off":"OFF"}]}`,
			"light.x_l1 light.x_l2", []said{
				{`{"state_l1":"ON","state_l2":"OFF"}`, "light.x_l1", `{"on":true}`},
				{`{}`, "light.x_l2", `{"on":false}`},
			}},
		{"switch", exposeSwitch, "switch.x", []said{{`{"state":"ON"}`, "switch.x", `{"on":true}`}}},
		{"setting of type switch", `{"type":"switch","label":"Auto lock","features":[{"type":"binary","name":"state","property":"auto_lock",
			"access":3,"value_on":"AUTO","value_off":"MANUAL"}]}`, "switch.x_auto_lock",
			[]said{{`{"auto_lock":"AUTO"}`, "switch.x_auto_lock", `{"on":true}`}}},
		{"settable binary", feature("binary", "child_lock", `,"value_on":"LOCK","value_off":"UNLOCK"`), "switch.x_child_lock",
			[]said{{`{"child_lock":"UNLOCK"}`, "switch.x_child_lock", `{"on":false}`}}},
		{"read-only binary", feature("binary", "contact", `,"access":1,"value_on":false,"value_off":true`), "binary_sensor.x_contact",
			[]said{
				{`{"contact":false}`, "binary_sensor.x_contact", `{"on":true}`},
				{`{"contact":"closed"}`, "binary_sensor.x_contact", `{"extra":{"contact":"closed"}}`},
				{`{"contact":null}`, "binary_sensor.x_contact", `{}`},
			}},
		{"garage door", feature("binary", "garage_door_contact", `,"access":1,"value_on":true,"value_off":false`),
			"binary_sensor.x_garage_door_contact",
			[]said{{`{"garage_door_contact":false}`, "binary_sensor.x_garage_door_contact", `{"on":true}`}}},
		{"sensor", exposeTemperature, "sensor.x_temperature", []said{
			{`{"temperature":21.5}`, "sensor.x_temperature", `{"number":21.5}`},
			{`{"temperature":0}`, "sensor.x_temperature", `{"number":0}`},
			{`{"temperature":9007199254740993}`, "sensor.x_temperature", `{"decimal":9007199254740993}`},
			{`{"temperature":1.00000000000000000001}`, "sensor.x_temperature", `{"decimal":1.00000000000000000001}`},
			{`{"temperature":"hot"}`, "sensor.x_temperature", `{"text":"hot"}`},
			{`{"temperature":[1]}`, "sensor.x_temperature", `{"extra":{"temperature":[1]}}`},
			{`{"temperature":null}`, "sensor.x_temperature", `{}`},
		}},
		{"number", feature("numeric", "max_duration", `,"unit":"s","value_max":10`), "number.x_max_duration", []said{
			{`{"max_duration":5}`, "number.x_max_duration", `{"number":5}`},
			{`{"max_duration":"5"}`, "number.x_max_duration", `{"extra":{"max_duration":"5"}}`},
		}},
		{"select", feature("enum", "mode", `,"values":["a","b"]`), "select.x_mode", []said{
			{`{"mode":"a"}`, "select.x_mode", `{"option":"a"}`},
			{`{"mode":7}`, "select.x_mode", `{"option":"7"}`},
			{`{"mode":{}}`, "select.x_mode", `{"extra":{"mode":{}}}`},
		}},
		{"read-only enum", feature("enum", "air_quality", `,"access":1,"values":["good","poor"]`), "sensor.x_air_quality",
			[]said{{`{"air_quality":"good"}`, "sensor.x_air_quality", `{"text":"good"}`}}},
		{"write-only enum that is not settable", feature("enum", "odd", `,"access":0,"values":["a","b"]`), "", nil},
		{"button", feature("enum", "identify", `,"access":2,"values":["identify"]`), "button.x_identify",
			[]said{{`{"identify":"identify"}`, "button.x_identify", `{}`}}},
		{"text", feature("text", "name", ``), "text.x_name", []said{
			{`{"name":""}`, "text.x_name", `{"value":""}`},
			{`{"name":5}`, "text.x_name", `{"extra":{"name":5}}`},
		}},
		{"read-only text", feature("text", "error", `,"access":5`), "sensor.x_error", []said{{`{"error":"E5"}`, "sensor.x_error", `{"text":"E5"}`}}},
		{"composite", feature("composite", "pin_code", ``), "sensor.x_pin_code", []said{
			{`{"pin_code":{"user":1}}`, "sensor.x_pin_code", `{"extra":{"pin_code":{"user":1}}}`},
			{`{"pin_code":null}`, "sensor.x_pin_code", `{}`},
		}},
		{"siren", `{"type":"composite","name":"warning","property":"warning","access":2,"features":[` +
			feature("enum", "mode", `,"values":["stop","burglar"]`) + `]}`, "siren.x", []said{
			{`{"warning":{"mode":"burglar","duration":10}}`, "siren.x", `{"on":true,"extra":{"warning":{"duration":10,"mode":"burglar"}}}`},
			{`{"warning":{"mode":"stop"}}`, "siren.x", `{"on":false,"extra":{"warning":{"mode":"stop"}}}`},
			{`{"warning":null}`, "siren.x", `{}`},
		}},
		{"lock", `{"type":"lock","features":[{"type":"binary","name":"state","property":"state","access":7,"value_on":"LOCK","value_off":"UNLOCK"},` +
			feature("enum", "lock_state", `,"access":1`) + `]}`, "lock.x", []said{
			{`{"state":"LOCK","lock_state":"locked"}`, "lock.x", `{"state":"locked","extra":{"lock_state":"locked"}}`},
			{`{"state":"UNLOCK","lock_state":null}`, "lock.x", `{"state":"unlocked"}`},
			{`{"state":"AJAR"}`, "lock.x", `{"extra":{"state":"AJAR"}}`},
		}},
		{"cover", cover, "cover.x", []said{
			{`{"position":40}`, "cover.x", `{"position":40}`},
			{`{"state":"OPEN"}`, "cover.x", `{"state":"open","position":40}`},
			{`{"state":"CLOSE","tilt":7}`, "cover.x", `{"state":"closed","position":40,"tilt_position":7}`},
			{`{"state":"STOP"}`, "cover.x", `{"state":"open","position":40,"tilt_position":7,"extra":{"state":"STOP"}}`},
			{`{"position":0}`, "cover.x", `{"state":"closed","position":0,"tilt_position":7,"extra":{"state":"STOP"}}`},
			{`{"position":101,"tilt":null}`, "cover.x", `{"extra":{"position":101,"state":"STOP"}}`},
			{`{"state":null,"position":null}`, "cover.x", `{}`},
		}},
		{"cover with a motor", cover + "," + motor, "cover.x sensor.x_motor_state", []said{
			{`{"state":"OPEN","position":40,"motor_state":"closing"}`, "cover.x",
				`{"state":"closing","position":40,"extra":{"motor_state":"closing","state":"OPEN"}}`},
			{`{"motor_state":"stopped"}`, "cover.x", `{"state":"open","position":40,"extra":{"motor_state":"stopped","state":"OPEN"}}`},
			{`{"position":0}`, "cover.x", `{"state":"closed","position":0,"extra":{"motor_state":"stopped","state":"OPEN"}}`},
			{`{"motor_state":"opening","state":"CLOSE"}`, "cover.x", `{"state":"closed","position":0,"extra":{"motor_state":"opening","state":"CLOSE"}}`},
			{`{"motor_state":null,"state":null,"position":null}`, "cover.x", `{}`},
		}},
		{"fan with modes", `{"type":"fan","features":[{"type":"binary","name":"state","property":"fan_state","access":7,"value_on":"ON","value_off":"OFF"},
			{"type":"enum","name":"mode","property":"fan_mode","access":7,"values":["off","low","medium","high","auto"]}]}`, "fan.x", []said{
			{`{"fan_state":"ON","fan_mode":"low"}`, "fan.x", `{"on":true,"percentage":33}`},
			{`{"fan_mode":"high"}`, "fan.x", `{"on":true,"percentage":100}`},
			{`{"fan_mode":"auto"}`, "fan.x", `{"on":true,"preset_mode":"auto"}`},
			{`{"fan_mode":"off","fan_state":"OFF"}`, "fan.x", `{"on":false,"percentage":0}`},
			{`{"fan_mode":"turbo"}`, "fan.x", `{"on":false,"extra":{"fan_mode":"turbo"}}`},
		}},
		{"fan with speeds", `{"type":"fan","features":[` + exposeState + `,{"type":"numeric","name":"speed","property":"speed","access":7,
			"value_min":1,"value_max":4}]}`, "fan.x", []said{
			{`{"state":"ON","speed":1}`, "fan.x", `{"on":true,"percentage":25}`},
			{`{"speed":4}`, "fan.x", `{"on":true,"percentage":100}`},
			{`{"speed":0}`, "fan.x", `{"on":true,"percentage":0}`},
			{`{"speed":5}`, "fan.x", `{"on":true,"extra":{"speed":5}}`},
		}},
		{"climate", climate, "climate.x number.x_local_temperature_calibration sensor.x_humidity sensor.x_local_temperature", []said{
			{`{"local_temperature":20.5,"humidity":44,"system_mode":"heat","running_state":"idle"}`, "climate.x",
				`{"hvac_mode":"heat","hvac_action":"idle","current_temperature":20.5,"current_humidity":44}`},
			{`{}`, "sensor.x_humidity", `{"number":44}`},
			{`{"local_temperature":null,"humidity":null,"system_mode":"sleep","running_state":null}`, "climate.x", `{"extra":{"system_mode":"sleep"}}`},
			{`{"system_mode":"auto","occupied_heating_setpoint":19,"occupied_cooling_setpoint":25,"fan_mode":"low","swing_mode":"on","preset":"eco"}`,
				"climate.x", `{"hvac_mode":"auto","target_temperature_high":25,"target_temperature_low":19,"fan_mode":"low","swing_mode":"on","preset_mode":"eco"}`},
			{`{"local_temperature_calibration":-1.5}`, "number.x_local_temperature_calibration", `{"number":-1.5}`},
		}},
		{"disabled by default", exposeQuality + "," + exposeTemperature, "(sensor.x_linkquality) sensor.x_temperature",
			[]said{{`{"linkquality":7}`, "sensor.x_linkquality", "none"}}},
		{"what the source says of it", feature("binary", "contact", `,"access":1,"category":"config","homeassistant":{"name":null,
			"deviceClass":"window","enabledByDefault":false}`), "(binary_sensor.x_contact)", nil},
		{"two of one kind and property", exposeTemperature + "," + exposeTemperature, "sensor.x_temperature", nil},
		{"nothing that makes sense", `5,"x",null,[],{},{"type":7},{"type":"light"},{"type":"climate","features":7},{"type":"numeric"}`,
			"", nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			b := newBench(t, Options{})
			b.lists(device("0x1", "x", test.exposes))
			want := strings.Fields(strings.TrimSpace(test.ids + " (sensor.x_last_seen)"))
			got := b.ids()
			if strings.Join(sorted(got), " ") != strings.Join(sorted(want), " ") {
				t.Errorf("entities\n got %s\nwant %s", got, want)
			}
			for _, s := range test.said {
				b.say("zigbee2mqtt/x", s.report)
				if got := b.json(s.entity); got != s.want {
					t.Errorf("after %s, %s is\n     %s\nwant %s", s.report, s.entity, got, s.want)
				}
			}
		})
	}
}

func sorted(words []string) []string {
	out := append([]string(nil), words...)
	for i := range out {
		for j := i; j > 0 && out[j] < out[j-1]; j-- {
			out[j], out[j-1] = out[j-1], out[j]
		}
	}
	return out
}

func TestFirmwareUpdates(t *testing.T) {
	b := newBench(t, Options{})
	b.lists(strings.Replace(device("0x1", "x", exposeTemperature), `"model":"M"`, `"model":"M","supports_ota":true`, 1))
	for _, s := range []said{
		{`{"update":{"installed_version":-1,"latest_version":-1,"state":null}}`, "",
			`{"extra":{"update":{"installed_version":-1,"latest_version":-1}}}`},
		{`{"update":{"installed_version":10,"latest_version":12,"state":"available"}}`, "",
			`{"installed_version":"10","latest_version":"12","in_progress":false}`},
		{`{"update":{"installed_version":10,"latest_version":12,"state":"updating","progress":12.5,"remaining":60}}`, "",
			`{"installed_version":"10","latest_version":"12","in_progress":true,"update_percentage":12.5,"extra":{"update":{"remaining":60}}}`},
		{`{"update":{"installed_version":"1.2","latest_version":12,"state":"scheduled","latest_release_notes":"better"}}`, "",
			`{"installed_version":"1.2","latest_version":"12","in_progress":false,"release_summary":"better","extra":{"update":{"state":"scheduled"}}}`},
		{`{"update":"no"}`, "", `{"extra":{"update":"no"}}`},
		{`{"update":null}`, "", `{}`},
	} {
		b.say("zigbee2mqtt/x", s.report)
		b.expect("update.x", s.want)
	}
}

func FuzzExposes(f *testing.F) {
	f.Add(exposeTemperature+","+exposeLight+","+exposeSwitch+","+exposeAction, `{"state":"ON","temperature":5,"action":"hold"}`)
	for _, r := range house(f) {
		if strings.HasSuffix(r.Topic, "bridge/devices") {
			list := r.Payload
			for range 40 {
				i := strings.Index(list, `"exposes":[`)
				if i < 0 {
					break
				}
				list = list[i+len(`"exposes":[`):]
				if end := strings.Index(list, `],"model"`); end > 0 && end < 20_000 {
					f.Add(list[:end], `{"state":"OFF","position":5,"brightness":7,"system_mode":"heat"}`)
				}
			}
			break
		}
	}
	f.Fuzz(func(t *testing.T, exposes, report string) {
		b := newBench(t, Options{})
		b.lists(device("0x1", "x", exposes))
		b.say("zigbee2mqtt/x", report)
		b.say("zigbee2mqtt/x", report)
		if events := b.lists(device("0x1", "x", exposes)); len(events) != 0 {
			t.Errorf("the same list again: %s", kinds(events))
		}
		for _, s := range b.house.Cache.Revision().Sorted() {
			if _, err := state.JSON(s.Attributes); err != nil {
				t.Error(err)
			}
			if state.Domain(s.Attributes) != "" && dialect.IsEmpty(s.Attributes) {
				t.Errorf("%s has an empty typed part", s.EntityID)
			}
		}
	})
}
