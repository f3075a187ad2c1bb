package discovery

import (
	"testing"

	entityv1 "github.com/statehouse/statehouse/gen/statehouse/entity/v1"
	"github.com/statehouse/statehouse/internal/mqtt/dialect"
)

func TestOthers(t *testing.T) {
	const at = `"occurred":"2026-11-24T10:00:00Z"`
	runScenarios(t, []scenario{
		{"plain", "siren", `{"state_topic":"s","command_topic":"c","available_tones":["low","high"]}`, [][2]string{
			{"s ON", `{"on":true}`}, {"s {}", "ignored"}, {`s {"state":"OFF","tone":"low"}`, `{"on":false,"extra":{"tone":"low"}}`},
			{`s {"tone":null,"volume_level":0.5}`, `{"on":false,"extra":{"volume_level":0.5}}`}, {`s {"state":"what","tone":"high"}`, "unfit"}, {"s what", "unfit"},
			{"s None", `{"extra":{"volume_level":0.5}}`},
			{"> on tone=high duration=5 volume_level=0.25", `c {"state":"ON","duration":5,"tone":"high","volume_level":0.25}`}, {"> off", `c {"state":"OFF"}`},
			{"> on tone=loud", "no option…"},
		}},
		{"templates", "siren", `{"command_topic":"c","support_volume_set":false,"command_template":"{{state}}{{duration|default(9)}}","command_off_template":"stop"}`, [][2]string{
			{"> on", "c ON9"}, {"> on duration=3", "c ON3"}, {"> off", "c stop"}, {"> on volume_level=0.5", "has no volume_level…"},
		}},
		{"more", "event", `{"state_topic":"s","event_types":["press","hold"]}`, [][2]string{
			{`s {"event_type":"press","button":2,"at":[1]}`, `{"event_type":"press",` + at + `,"extra":{"at":[1],"button":2}}`},
			{`s {"event_type":"twist"}`, "unfit"}, {"s press", "unfit"}, {"s {}", "ignored"}, {"s None", "ignored"}, {`s {"x":1}`, "unfit"},
			{`s {"event_type":"hold"}`, `{"event_type":"hold",` + at + `}`},
		}},
		{"zigbee2mqtt", "device_automation", `{"automation_type":"trigger","topic":"t","type":"action","subtype":"hold","payload":"hold"}`, [][2]string{
			{"t single", "ignored"}, {"t ", "ignored"}, {"t hold", `{"event_type":"hold",` + at + `,"extra":{"subtype":"hold","type":"action"}}`},
		}},
		{"any payload", "device_automation", `{"automation_type":"trigger","topic":"t","type":"button_short_press","subtype":"button_1","value_template":"{{value_json.b}}"}`, [][2]string{
			{`t {"b":1}`, `{"event_type":"button_short_press",` + at + `,"extra":{"subtype":"button_1","type":"button_short_press"}}`},
		}},
		{"id", "tag", `{"topic":"t","value_template":"{{value_json.uid}}"}`, [][2]string{
			{`t {"uid":"E9F35959"}`, `{"event_type":"scanned",` + at + `,"extra":{"tag_id":"E9F35959"}}`}, {`t {"uid":""}`, "ignored"}, {`t {"uid":null}`, "ignored"},
		}},
		{"signal", "infrared", `{"schema":"receiver","state_topic":"s"}`, [][2]string{
			{`s {"timings":[9000,-4500],"modulation":38000}`, `{"event_type":"received",` + at + `,"extra":{"modulation":38000,"timings":[9000,-4500]}}`},
			{`s {"timings":[]}`, "unfit"}, {`s {"timings":[1.5]}`, "unfit"}, {"s null", "ignored"}, {`s ""`, "ignored"},
		}},
		{"object", "update", `{"state_topic":"s","command_topic":"c","payload_install":"go","title":"Firmware"}`, [][2]string{
			{`s {"installed_version":"1","latest_version":2,"title":"other","in_progress":false,"update_percentage":null,"more":1}`,
				`{"installed_version":"1","latest_version":"2","in_progress":false,"title":"Firmware","extra":{"more":1}}`},
			{`s {"update_percentage":40}`, `{"installed_version":"1","latest_version":"2","in_progress":true,"update_percentage":40,"title":"Firmware","extra":{"more":1}}`},
			{"> install", "c go"},
			{`s {"in_progress":"yes","update_percentage":140,"latest_version":"None"}`,
				`{"installed_version":"1","title":"Firmware","extra":{"in_progress":"yes","more":1,"update_percentage":140}}`},
			{"s {}", "ignored"},
		}},
		{"numbers", "update", `{"state_topic":"s"}`, [][2]string{
			{`s {"installed_version":2.0,"latest_version":3}`, `{"installed_version":"2.0","latest_version":"3"}`},
		}},
		{"plain", "update", `{"state_topic":"s","latest_version_topic":"l"}`, [][2]string{
			{"s 1.10", `{"installed_version":"1.10"}`}, {"l 1.11", `{"installed_version":"1.10","latest_version":"1.11"}`}, {"s None", `{"latest_version":"1.11"}`},
			{"> install", "only be read…"},
		}},
		{"words", "device_tracker", `{"state_topic":"s","payload_home":"da","source_type":"router"}`, [][2]string{
			{"s da", `{"location":"home","source_type":"router"}`}, {"s not_home", `{"location":"not_home","source_type":"router"}`},
			{"s work", `{"location":"work","source_type":"router"}`}, {"s None", `{"source_type":"router"}`},
		}},
		{"place", "device_tracker", `{"json_attributes_topic":"j"}`, [][2]string{
			{`j {"latitude":48.2,"longitude":16.4,"gps_accuracy":12,"battery_level":80,"speed":1}`,
				`{"latitude":48.2,"longitude":16.4,"location_accuracy":12,"battery_level":80,"source_type":"gps"}`},
			{`j {"latitude":148.2,"longitude":16.4}`, `{"battery_level":80,"source_type":"gps"}`},
			{`j {"in_zones":["zone.home","zone.town"]}`, `{"location":"home","battery_level":80,"source_type":"gps"}`},
			{`j {"in_zones":["work"]}`, `{"location":"work","battery_level":80,"source_type":"gps"}`},
			{`j {"in_zones":[]}`, `{"location":"not_home","battery_level":80,"source_type":"gps"}`},
			{`j {"in_zones":["a","b"]}`, `{"battery_level":80,"source_type":"gps"}`},
			{"j x", "unfit"},
		}},
		{"object", "vacuum", `{"state_topic":"s","command_topic":"c","fan_speed_list":["min","max"],"set_fan_speed_topic":"f","send_command_topic":"x",
			"supported_features":["start","return_home","fan_speed","send_command"],"payload_start":"los"}`, [][2]string{
			{`s {"state":"docked","battery_level":100,"fan_speed":"max","error":null}`, `{"activity":"docked","fan_speed":"max","battery_level":100}`},
			{`s {"state":"dancing","battery_level":"full"}`, `{"fan_speed":"max","extra":{"battery_level":"full","state":"dancing"}}`},
			{`s {"state":"DOCKED"}`, `{"fan_speed":"max","extra":{"battery_level":"full","state":"DOCKED"}}`},
			{`s {"state":"error"}`, `{"activity":"error","fan_speed":"max","extra":{"battery_level":"full"}}`}, {"s docked", "unfit"},
			{"> start", "c los"}, {"> dock", "c return_to_base"}, {"> pause", "the robot has…"}, {"> speed=min", "f min"},
			{"> send_command command=map", "x map"}, {`> send_command command=go params={"to":[1,2],"command":"no"}`, `x {"command":"go","to":[1,2]}`},
		}},
		{"words", "lawn_mower", `{"activity_state_topic":"s","dock_command_topic":"d","start_mowing_command_topic":"m","start_mowing_command_template":"{{value|upper}}"}`, [][2]string{
			{"s mowing", `{"state":"mowing"}`}, {"s swimming", "unfit"}, {"s none", `{}`}, {"> start", "m START_MOWING"}, {"> dock", "d dock"}, {"> pause", "the mower has…"},
		}},
		{"address", "image", `{"url_topic":"u"}`, [][2]string{
			{"u https://x/y.png", `{"state":"https://x/y.png"}`}, {"u file:///etc/passwd", "unfit"}, {"u x", "unfit"}, {"u None", `{}`},
		}},
	})
}

func TestWhatOnlyHappensIsMomentary(t *testing.T) {
	for component, text := range map[string]string{
		"event": `{"state_topic":"s","event_types":["a"]}`, "tag": `{"topic":"s"}`, "infrared": `{"schema":"receiver","state_topic":"s"}`,
		"device_automation": `{"topic":"s","type":"a","subtype":"b"}`,
	} {
		if in := components[component].Inputs(config(t, text)); len(in) != 1 || !in[0].Momentary {
			t.Errorf("%s: %v", component, in)
		}
	}
}

func TestATrackersPlaceIsNotSaidTwice(t *testing.T) {
	latitude := 48.5
	a := &entityv1.Attributes{Domain: &entityv1.Attributes_DeviceTracker{DeviceTracker: &entityv1.DeviceTracker{Latitude: &latitude}}}
	double := func(n float64) *entityv1.Value {
		return &entityv1.Value{Kind: &entityv1.Value_DoubleValue{DoubleValue: n}}
	}
	dialect.SetExtra(a, "latitude", double(48.5))
	dialect.SetExtra(a, "battery_level", double(140)) // which the typed field cannot say
	deviceTrackerComponent.Finish(Config{}, a)
	if len(a.GetExtra()) != 1 || a.GetExtra()[0].GetName() != "battery_level" {
		t.Errorf("%v", a)
	}
}
