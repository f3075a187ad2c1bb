package discovery

import (
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"
)

func TestOpenings(t *testing.T) {
	runScenarios(t, []scenario{
		{"words", "cover", `{"state_topic":"s","command_topic":"c"}`, [][2]string{
			{"s stopped", `{}`}, {"s opening", `{"state":"opening"}`}, {"s stopped", `{"state":"open"}`}, {"s closing", `{"state":"closing"}`},
			{"s stopped", `{"state":"closed"}`}, {"s x", "unfit"}, {"s ", "ignored"}, {"s None", `{}`},
			{"> open", "c OPEN"}, {"> close", "c CLOSE"}, {"> stop", "c STOP"}, {"> 30", "has no position…"},
		}},
		{"position alone", "cover", `{"position_topic":"p","set_position_topic":"c"}`, [][2]string{
			{"p 0", `{"state":"closed","position":0}`}, {"p 0.6", `{"state":"open","position":1}`}, {"p 150", `{"state":"open","position":100}`},
			{"p -5", `{"state":"closed","position":0}`}, {"p up", "unfit"}, {"p None", `{}`},
			{"> open", "c 100"}, {"> close", "c 0"}, {"> 30", "c 30"}, {"> stop", "only be read…"},
		}},
		{"reversed", "cover", `{"state_topic":"s","position_topic":"s","value_template":"{{value_json.state}}","position_template":"{{value_json.at}}",
			"command_topic":"c","set_position_topic":"c/p","position_open":0,"position_closed":255,
			"set_position_template":"{{value}} {{position}} {{position_open}}-{{position_closed}}"}`, [][2]string{
			{`s {"state":"stopped","at":255}`, `{"state":"closed","position":0}`},
			{`s {"state":"stopped","at":128}`, `{"state":"open","position":50}`},
			{`s {"state":"closing","at":0}`, `{"state":"closing","position":100}`},
			{"> 50", "c/p 128 50 0-255"}, {"> 100", "c/p 0 100 0-255"}, {"> open", "c OPEN"},
		}},
		{"scale in templates", "cover", `{"position_topic":"p","position_open":200,"position_template":"{{ (value|int / 100 * position_open)|int }}"}`, [][2]string{
			{"p 50", `{"state":"open","position":50}`}, {"> open", "only be read…"},
		}},
		{"object", "cover", `{"position_topic":"p","tilt_max":50,"tilt_status_topic":"t"}`, [][2]string{
			{`p {"position":20,"tilt_position":25}`, `{"state":"open","position":20,"tilt_position":50}`},
			{`p {"tilt_position":10}`, "unfit"}, {`p {"position":30,"tilt_position":70}`, "unfit"}, {`p {"position":30`, "unfit"},
			{"t 51", "unfit"}, {"t 50", `{"state":"open","position":20,"tilt_position":100}`}, {"t None", `{"state":"open","position":20}`},
		}},
		{"tilt", "cover", `{"command_topic":"c","tilt_command_topic":"t","tilt_min":-90,"tilt_max":90,"tilt_opened_value":0,"tilt_closed_value":-90,
			"tilt_command_template":"{{value}}/{{tilt_position}}"}`, [][2]string{
			{"> open_cover_tilt", "t 0/0"}, {"> close_cover_tilt", "t -90/-90"}, {"> tilt=75", "t 45/75"}, {"> stop_cover_tilt", "t stop"},
		}},
		{"no words", "cover", `{"command_topic":"c","payload_open":null,"payload_stop":null}`, [][2]string{
			{"> open", "no payload_open…"}, {"> close", "c CLOSE"}, {"> stop", "cannot be stopped…"},
		}},
		{"words", "valve", `{"state_topic":"s","command_topic":"c","payload_stop":"HALT","command_template":"<{{value}}>"}`, [][2]string{
			{"s open", `{"state":"open"}`}, {`s {"state":"closing"}`, `{"state":"closing"}`}, {`s {"position":3}`, "unfit"}, {"s None", `{}`},
			{"> open", "c <OPEN>"}, {"> close", "c <CLOSE>"}, {"> stop", "c <HALT>"}, {"> 50", "has no position…"},
		}},
		{"position", "valve", `{"state_topic":"s","command_topic":"c","reports_position":true,"position_open":200}`, [][2]string{
			{"s 100", `{"state":"open","position":50}`}, {"s opening", `{"state":"opening","position":50}`}, {"s 120", `{"state":"opening","position":60}`},
			{"s 200", `{"state":"open","position":100}`}, {`s {"state":"closing","position":100}`, `{"state":"closing","position":50}`},
			{`s {"position":80}`, `{"state":"open","position":40}`}, {`s {"state":"opening"}`, "unfit"}, {"s what", "unfit"},
			{"s closing", `{"state":"closing","position":40}`}, {"s 0", `{"state":"closed","position":0}`}, {"s None", `{}`},
			{"> open", "c 200"}, {"> close", "c 0"}, {"> 25", "c 50"}, {"> stop", "cannot be stopped…"},
		}},
		{"words", "lock", `{"state_topic":"s","command_topic":"c","state_locked":"zu","payload_open":"AUF"}`, [][2]string{
			{"s zu", `{"state":"locked"}`}, {"s JAMMED", `{"state":"jammed"}`}, {"s UNLOCKING", `{"state":"unlocking"}`}, {"s OPEN", `{"state":"open"}`},
			{"s LOCKED", "unfit"}, {"s None", `{}`}, {"> lock", "c LOCK"}, {"> unlock", "c UNLOCK"}, {"> open", "c AUF"},
		}},
		{"code", "lock", `{"command_topic":"c","code_format":"^\\d{4}$","command_template":"{{value}}:{{code}}"}`, [][2]string{
			{"> unlock code=1234", "c UNLOCK:1234"}, {"> unlock", "not of the form…"}, {"> unlock code=xyz", "not of the form…"}, {"> open", "has no open…"},
		}},
		{"no code", "lock", `{"command_topic":"c","command_template":"{{value}}:{{code}}"}`, [][2]string{{"> lock", "c LOCK:None"}}},
		{"literal code", "alarm_control_panel", `{"state_topic":"s","command_topic":"c","code":1234,"code_arm_required":false,"supported_features":["arm_home"]}`, [][2]string{
			{"s armed_home", `{"state":"armed_home"}`}, {"s Armed_home", "unfit"}, {"s unspecified", "unfit"}, {"s triggered", `{"state":"triggered"}`}, {"s None", `{}`},
			{"> home", "c ARM_HOME"}, {"> away", "the alarm has…"}, {"> disarm", "missing or wrong…"}, {"> disarm code=1235", "missing or wrong…"},
			{"> disarm code=1234", "c DISARM"},
		}},
		{"remote code", "alarm_control_panel", `{"state_topic":"s","command_topic":"c","code":"REMOTE_CODE_TEXT","payload_arm_away":"weg",
			"command_template":"{{action}} {{code}}"}`, [][2]string{
			{"> away", "missing or wrong…"}, {"> away code=ab", "c weg ab"}, {"> trigger code=ab", "c TRIGGER ab"},
			{"> disarm code=REMOTE_CODE_TEXT", "c DISARM REMOTE_CODE_TEXT"},
		}},
		{"no code", "alarm_control_panel", `{"state_topic":"s","command_topic":"c"}`, [][2]string{{"> vacation", "c ARM_VACATION"}, {"> disarm", "c DISARM"}}},
	})
}

func TestErrorsDoNotRepeatCodes(t *testing.T) {
	for _, one := range [][2]string{
		{"lock", `{"command_topic":"c","command_template":"{{ ('x' ~ code)|int }}"}`},
		{"lock", `{"command_topic":"c","code_format":"^\\d$"}`},
		{"alarm_control_panel", `{"state_topic":"s","command_topic":"c","code":"4711"}`},
		{"alarm_control_panel", `{"state_topic":"s","command_topic":"c","command_template":"{{ code|int('x') + {} }}"}`},
	} {
		p := newPart(t, components[one[0]], one[1])
		action := map[string]string{"lock": "unlock", "alarm_control_panel": "disarm"}[one[0]]
		got := p.ask(action, "code=987654")
		if strings.HasPrefix(got, "c ") || strings.Contains(got, "987654") || strings.Contains(got, "4711") {
			t.Errorf("%s: %s", one[1], got)
		}
	}
}

func TestASealedAlarmKnowsItsCode(t *testing.T) {
	plain := config(t, `{"state_topic":"s","command_topic":"c","code":"1234","name":"x"}`)
	sealed := plain.Sealed()
	if text := proto.CloneOf(sealed.Value).String(); strings.Contains(text, "1234") || !plain.Has("code") || sealed.Has("code") {
		t.Errorf("sealed: %s", text)
	}
	if !proto.Equal(sealed.Value, plain.Sealed().Value) || !proto.Equal(sealed.Value, sealed.Sealed().Value) {
		t.Error("sealed twice it is another")
	}
	p := newPart(t, alarmComponent, `{"state_topic":"s","command_topic":"c"}`)
	p.config = sealed
	for words, want := range map[string]string{"disarm code=1234": "c DISARM\n", "disarm code=1235": "wrong", "disarm": "missing"} {
		if got := p.ask(strings.Split(words, " ")...); !strings.Contains(got, want) {
			t.Errorf("%s: %s", words, got)
		}
	}
	for _, text := range []string{`{"command_topic":"c"}`, `{"code":"REMOTE_CODE"}`} {
		if c := config(t, text); !proto.Equal(c.Value, c.Sealed().Value) {
			t.Errorf("%s is %v", text, c.Sealed().Value)
		}
	}
	broken := config(t, `{"command_topic":"c","code_sealed":""}`)
	if checkCode(broken, "") == nil || checkCode(broken, "1") == nil {
		t.Error("a seal that nobody made lets everybody in")
	}
}
