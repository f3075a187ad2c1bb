package discovery

import (
	"encoding/json"
	"os"
	"strings"
	"testing"
)

// TestSamples: what Zigbee2MQTT announces, a component each, with its own reports and what it takes.
func TestSamples(t *testing.T) {
	for file, steps := range map[string][][2]string{
		"binary_sensor": {
			{`zigbee2mqtt/bridge/state {"state":"online"}`, `{"on":true}`}, {`zigbee2mqtt/bridge/state {"state":"offline"}`, `{"on":false}`},
		},
		"button": {{"> press", "zigbee2mqtt/bridge/request/restart "}},
		"cover": {
			{`zigbee2mqtt/office_blind {"position":0,"state":"CLOSE"}`, `{"state":"closed","position":0}`},
			{`zigbee2mqtt/office_blind {"position":40,"state":"STOP"}`, `{"state":"open","position":40}`},
			{"> 30", `zigbee2mqtt/office_blind/set { "position": 30 }`}, {"> open", "zigbee2mqtt/office_blind/set OPEN"}, {"> stop", "zigbee2mqtt/office_blind/set STOP"},
		},
		"device_automation": {
			{"zigbee2mqtt/double_wall_switch/action single", "ignored"},
			{"zigbee2mqtt/double_wall_switch/action hold", `{"event_type":"hold","occurred":"2026-11-24T10:00:00Z","extra":{"subtype":"hold","type":"action"}}`},
		},
		"infrared": {
			{`zigbee2mqtt/moes_ufo_r11_1893 {"learned_ir_timings":null}`, "ignored"},
			{`zigbee2mqtt/moes_ufo_r11_1893 {"learned_ir_timings":{"timings":[9000,-4500,560]}}`,
				`{"event_type":"received","occurred":"2026-11-24T10:00:00Z","extra":{"timings":[9000,-4500,560]}}`},
		},
		"lock": {
			{`zigbee2mqtt/front_lock {"state":"LOCK"}`, `{"state":"locked"}`}, {"> unlock", "zigbee2mqtt/front_lock/set UNLOCK"},
		},
		"number": {
			{`zigbee2mqtt/tv_plug {"countdown":30}`, `{"number":30}`}, {`zigbee2mqtt/tv_plug {"countdown":null}`, `{}`},
			{"> 60", "zigbee2mqtt/tv_plug/set/countdown 60"}, {"> 43201", "out of range…"},
		},
		"select": {
			{`zigbee2mqtt/tv_plug {"power_outage_memory":"restore"}`, `{"option":"restore"}`}, {"> off", "zigbee2mqtt/tv_plug/set/power_outage_memory off"},
		},
		"sensor": {
			{`zigbee2mqtt/tv_plug {"power":12.5}`, `{"number":12.5}`}, {`zigbee2mqtt/tv_plug {"power":null}`, `{}`},
		},
		"siren": {
			{"> on duration=5 volume_level=0.3", `zigbee2mqtt/siren/set {"warning": {"mode": "emergency", "level": "medium", "duration": 5}}`},
			{"> off", `zigbee2mqtt/siren/set {"warning": {"mode": "stop"}}`},
		},
		"switch": {
			{`zigbee2mqtt/tv_plug {"state":"ON"}`, `{"on":true}`}, {"> toggle", "zigbee2mqtt/tv_plug/set OFF"},
		},
		"text": {{"> #ff0000", "zigbee2mqtt/sofa_lamp/set/effect_color #ff0000"}},
		"update": {
			{`zigbee2mqtt/tv_plug {"update":{"installed_version":1,"latest_version":2,"state":"updating","progress":12.5}}`,
				`{"installed_version":"1","latest_version":"2","in_progress":true,"update_percentage":12.5}`},
			{`zigbee2mqtt/tv_plug {"update":{"installed_version":2,"latest_version":2,"state":"idle"}}`,
				`{"installed_version":"2","latest_version":"2","in_progress":false}`},
			{`zigbee2mqtt/tv_plug {"update":{"installed_version":2,"latest_version":3,"state":"available"}}`,
				`{"installed_version":"2","latest_version":"3","in_progress":false}`},
			{"> install", `zigbee2mqtt/bridge/request/device/ota_update/update {"id": "0x00158d0010000023"}`},
		},
	} {
		data, err := os.ReadFile("testdata/samples/" + file + ".json")
		if err != nil {
			t.Fatal(err)
		}
		var sample struct {
			Topic   string
			Payload json.RawMessage
		}
		if err := json.Unmarshal(data, &sample); err != nil {
			t.Fatal(err)
		}
		runScenarios(t, []scenario{{"sample", strings.Split(sample.Topic, "/")[1], string(sample.Payload), steps}})
	}
}
