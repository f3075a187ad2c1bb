package discovery

import (
	"errors"
	"math"
	"testing"

	"pgregory.net/rapid"
)

func TestValues(t *testing.T) {
	runScenarios(t, []scenario{
		{"number", "sensor", `{"state_topic":"s","device_class":"power","unit_of_measurement":"W"}`, [][2]string{
			{"s 21.5", `{"number":21.5}`},
			{"s 12345678901234567890.5", `{"decimal":12345678901234567890.5}`},
			{"s  -007 ", `{"number":-7}`},
			{"s +.5", `{"number":0.5}`},
			{"s 5.", `{"number":5}`},
			{"s 1e3", `{"number":1000}`},
			{"s twelve", "unfit"}, {"s 0x10", "unfit"}, {"s .", "unfit"}, {"s --5", "unfit"}, {"s e5", "unfit"}, {"s inf", "unfit"},
			{"s ", "ignored"},
			{"s NaN", `{}`},
			{"s 0", `{"number":0}`},
			{"s None", `{}`},
			{"> 5", "only report…"},
		}},
		{"number without a unit", "sensor", `{"state_topic":"s","suggested_display_precision":0}`, [][2]string{
			{"s 21.5", `{"number":21.5}`}, {"s twelve", "unfit"},
		}},
		{"text", "sensor", `{"state_topic":"s"}`, [][2]string{
			{"s 007", `{"text":"007"}`},
			{"s ", `{"text":""}`},
			{"s None", `{}`},
		}},
		{"options", "sensor", `{"state_topic":"s","device_class":"enum","options":["a","b",3]}`, [][2]string{
			{"s a", `{"text":"a"}`}, {"s c", "unfit"}, {"s 3", `{"text":"3"}`}, {"s ", "ignored"},
		}},
		{"words as templates write them", "select", `{"state_topic":"s","command_topic":"c","value_template":"{{ value_json }}","options":[0.5,1.0,2,true]}`, [][2]string{
			{"s 0.5", `{"option":"0.5"}`}, {"s 1.0", `{"option":"1.0"}`}, {"s 2", `{"option":"2"}`}, {"s true", `{"option":"True"}`}, {"s 1", "unfit"},
			{"> 1.0", "c 1.0"}, {"> 2", "c 2"},
		}},
		{"numbers for on and off", "switch", `{"state_topic":"s","command_topic":"c","value_template":"{{ value_json.x }}","payload_on":1.0,"payload_off":0.0}`, [][2]string{
			{`s {"x":1.0}`, `{"on":true}`}, {`s {"x":0.0}`, `{"on":false}`}, {"> on", "c 1.0"},
		}},
		{"moment", "sensor", `{"state_topic":"s","device_class":"timestamp"}`, [][2]string{
			{"s 2026-11-24T10:00:00+01:00", `{"timestamp":"2026-11-24T09:00:00Z"}`},
			{"s 2026-11-24 10:00:00.5Z", `{"timestamp":"2026-11-24T10:00:00.5Z"}`},
			{"s 2026-11-24T10:00+0200", `{"timestamp":"2026-11-24T08:00:00Z"}`},
			{"s 2026-11-24T10:00:00", "unfit"}, {"s 1700000000", "unfit"}, {"s 9999-01-01T00:00:00Z", "unfit"}, {"s 0001-01-01T00:00:00Z", "unfit"},
		}},
		{"day", "sensor", `{"state_topic":"s","device_class":"date"}`, [][2]string{
			{"s 2026-11-24", `{"date":"2026-11-24"}`},
			{"s 2026-11-25T23:00:00-05:00", `{"date":"2026-11-25"}`},
			{"s 2026-02-30", "unfit"},
		}},
		{"last reset", "sensor", `{"state_topic":"s","state_class":"total","value_template":"{{value_json.n}}","last_reset_value_template":"{{value_json.r}}"}`, [][2]string{
			{`s {"n":1,"r":"2026-11-01T00:00:00+00:00"}`, `{"number":1,"last_reset":"2026-11-01T00:00:00Z"}`},
			{`s {"n":3,"r":null}`, `{"number":3}`},
		}},
		{"bool", "binary_sensor", `{"state_topic":"s","value_template":"{{value_json.o}}","payload_on":true,"payload_off":false}`, [][2]string{
			{`s {"o":true}`, `{"on":true}`}, {`s {"o":false}`, `{"on":false}`},
			{`s {"o":null}`, `{}`}, {`s {"o":"on"}`, "unfit"}, {`s {"o":""}`, "ignored"},
		}},
		{"words", "switch", `{"state_topic":"s","command_topic":"c","state_on":"1","payload_on":"yes","command_template":"<{{ value }}>"}`, [][2]string{
			{"s 1", `{"on":true}`}, {"s OFF", `{"on":false}`}, {"s yes", "unfit"}, {"s None", `{}`},
			{"> on", "c <yes>"}, {"> off", "c <OFF>"},
		}},
		{"plain", "number", `{"state_topic":"s","command_topic":"c","min":-5,"max":10.5,"step":0.5,"payload_reset":"RESET"}`, [][2]string{
			{"s 2.5", `{"number":2.5}`}, {"s 99", `{"number":99}`}, {"s RESET", `{}`}, {"s 5", `{"number":5}`}, {"s None", `{}`}, {"s x", "unfit"}, {"s ", "ignored"},
			{"> 3", "c 3"}, {"> 3.5", "c 3.5"}, {"> 0.00001", "c 1e-05"}, {"> 11", "out of range…"},
		}},
		{"template", "number", `{"command_topic":"c","command_template":"{\"v\": {{ value * 2 }} }"}`, [][2]string{
			{"> 4", `c {"v": 8 }`}, {"> 0", "out of range…"}, {"> 101", "out of range…"},
		}},
		{"options", "select", `{"state_topic":"s","command_topic":"c","options":["auto","None","3"]}`, [][2]string{
			{"s auto", `{"option":"auto"}`}, {"s None", `{"option":"None"}`}, {"s none", `{}`}, {"s x", "unfit"},
			{"> AUTO", "c auto"}, {"> x", "no option…"},
		}},
		{"length", "text", `{"state_topic":"s","command_topic":"c","min":2,"max":4,"pattern":"[a-z]+$"}`, [][2]string{
			{"s abc", `{"value":"abc"}`}, {"s ", `{"value":""}`}, {"s None", `{"value":"None"}`},
			{"> abc", "c abc"}, {"> a", "2 to 4…"}, {"> ABC", "does not match…"}, {"> abcde", "longer…"},
		}},
		{"null", "text", `{"state_topic":"s","command_topic":"c","value_template":"{{value_json.v}}"}`, [][2]string{
			{`s {"v":null}`, `{}`}, {`s {"v":"x"}`, `{"value":"x"}`},
		}},
		{"press", "button", `{"command_topic":"c","command_template":"{{value|lower}}","retain":true}`, [][2]string{{"> press", "c press"}}},
		{"empty", "button", `{"command_topic":"c","payload_press":""}`, [][2]string{{"> press", "c "}}},
		{"activate", "scene", `{"command_topic":"c"}`, [][2]string{{"> on", "c ON"}}},
		{"day", "date", `{"state_topic":"s","command_topic":"c"}`, [][2]string{
			{"s 2026-11-24", `{"value":"2026-11-24"}`}, {"s x", "unfit"}, {"s None", `{}`}, {"> 2026-12-01", "c 2026-12-01"},
		}},
		{"time", "time", `{"state_topic":"s","command_topic":"c"}`, [][2]string{
			{"s 08:30", `{"value":"08:30:00"}`}, {"s 2026-11-24T23:59:58", `{"value":"23:59:58"}`}, {"s 25:00", "unfit"},
			{"> 08:00", "c 08:00:00"},
		}},
		{"zone", "datetime", `{"state_topic":"s","command_topic":"c","timezone":"Europe/Vienna"}`, [][2]string{
			{"s 2026-11-24T10:00:00", `{"timestamp":"2026-11-24T09:00:00Z"}`},
			{"s 2026-11-24T10:00:00Z", `{"timestamp":"2026-11-24T10:00:00Z"}`},
			{"> 2026-11-24T10:00:00+01:00", "c 2026-11-24T09:00:00+00:00"},
		}},
		{"no zone", "datetime", `{"state_topic":"s","command_topic":"c","command_template":"{{ value.year }}"}`, [][2]string{
			{"s 2026-11-24T10:00:00", "unfit"}, {"s None", `{}`}, {"> 2026-11-24T10:00:00.5Z", "c 2026"},
		}},
	})
}

func TestABadResetLeavesTheValue(t *testing.T) {
	p := newPart(t, sensorComponent, `{"state_topic":"s","state_class":"total","value_template":"{{value_json.n}}","last_reset_value_template":"{{value_json.r}}"}`)
	p.say("s", `{"n":1,"r":"2026-11-01T00:00:00+00:00"}`)
	for _, reset := range []string{`"soon"`, `""`, `"3000-01-01T00:00:00Z"`} {
		if got := p.say("s", `{"n":2,"r":`+reset+`}`); got != `{"number":2,"last_reset":"2026-11-01T00:00:00Z"}` || p.unfit == nil {
			t.Errorf("%s: %s, %v", reset, got, p.unfit)
		}
	}
}

func TestIncompleteConfigurations(t *testing.T) {
	for component, texts := range map[string][]string{
		"sensor":              {`{}`, `{"state_topic":"a/#"}`},
		"binary_sensor":       {`{}`},
		"switch":              {`{"state_topic":"s"}`, `{"command_topic":"c/+"}`},
		"number":              {`{}`, `{"command_topic":"c","min":2,"max":1}`},
		"select":              {`{"command_topic":"c"}`, `{"options":["a"]}`},
		"text":                {`{}`, `{"command_topic":"c","min":2,"max":1}`},
		"button":              {`{}`},
		"cover":               {`{}`, `{"position_topic":"p","position_open":0}`, `{"tilt_command_topic":"p","tilt_min":100}`},
		"valve":               {`{}`, `{"state_topic":"s","position_open":0}`},
		"lock":                {`{}`},
		"alarm_control_panel": {`{"state_topic":"s"}`, `{"command_topic":"s"}`},
		"siren":               {`{}`},
		"event":               {`{"state_topic":"s"}`, `{"event_types":["a"]}`},
		"update":              {`{}`},
		"device_tracker":      {`{}`, `{"state_topic":"s","source_type":"magic"}`},
		"device_automation": {
			`{"automation_type":"trigger","topic":"t","type":"x"}`, `{"automation_type":"action","topic":"t","type":"x","subtype":"y"}`,
			`{"automation_type":"trigger","type":"x","subtype":"y"}`,
		},
		"vacuum": {`{}`}, "lawn_mower": {`{}`}, "tag": {`{}`}, "image": {`{}`}, "infrared": {`{"state_topic":"s"}`, `{"schema":"receiver"}`},
	} {
		for _, text := range texts {
			if err := components[component].Check(config(t, text)); !errors.Is(err, ErrIncomplete) {
				t.Errorf("%s %s: %v", component, text, err)
			}
		}
	}
	for component, text := range map[string]string{
		"camera": `{"topic":"t"}`, "notify": `{"command_topic":"c"}`, "image": `{"image_topic":"t"}`, "infrared": `{"schema":"emitter","command_topic":"c"}`,
	} {
		if err := components[component].Check(config(t, text)); !errors.Is(err, ErrNoState) {
			t.Errorf("%s: %v", component, err)
		}
	}
}

// The quick way to read a number reads nothing that the other one would read otherwise.
func TestShortNumbers(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		text := rapid.StringMatching(`-?[0-9]{0,17}(\.[0-9]{0,17})?`).Draw(rt, "text")
		got, ok := shortNumber(text)
		if !ok {
			return
		}
		want, decimal, valid := longNumber(text)
		if !valid || decimal != "" || math.Float64bits(got) != math.Float64bits(want) {
			rt.Errorf("%q is %v, where %v %q %v was expected", text, got, want, decimal, valid)
		}
	})
}
