package discovery

import (
	"testing"

	entityv1 "github.com/statehouse/statehouse/gen/statehouse/entity/v1"
)

func TestHumidifier(t *testing.T) {
	t.Parallel()
	facetPlay(t, humidifierComponent, `{"command_topic": "x/set", "state_topic": "x/state",
		"target_humidity_command_topic": "x/target/set", "target_humidity_state_topic": "x/target", "min_humidity": 30, "max_humidity": 80,
		"current_humidity_topic": "x/current", "action_topic": "x/action",
		"mode_command_topic": "x/mode/set", "mode_state_topic": "x/mode", "modes": ["normal", "eco"],
		"payload_reset_humidity": "dry?", "payload_reset_mode": "gone"}`, []facetStep{
		facetSaid("x/state", "ON", `{"on":true}`),
		facetUnfits("x/state", "on"),
		facetSaid("x/state", "None", `{}`),
		facetSaid("x/state", "OFF", `{"on":false}`),
		facetSaid("x/target", "45.5", `{"on":false,"target_humidity":45.5}`),
		facetUnfits("x/target", "101"),
		facetUnfits("x/target", "NaN"),
		facetSaid("x/target", "dry?", `{"on":false}`),
		facetSaid("x/current", "52", `{"on":false,"current_humidity":52}`),
		facetUnfits("x/current", "-0.1"),
		facetSaid("x/current", "None", `{"on":false}`),
		facetSaid("x/action", "humidifying", `{"on":false,"action":"humidifying"}`),
		facetUnfits("x/action", "boiling"),
		facetSaid("x/action", "None", `{"on":false}`),
		facetSaid("x/mode", "eco", `{"on":false,"mode":"eco"}`),
		facetUnfits("x/mode", "boost"),
		facetSaid("x/mode", "gone", `{"on":false}`),

		facetAsked("on", "x/set ON"),
		facetAsked("off", "x/set OFF"),
		facetAsked("set_humidity humidity=50", "x/target/set 50"),
		facetAsked("set_humidity humidity=81", "out of range"),
		facetAsked("set_mode mode=eco", "x/mode/set eco"),
		facetAsked("set_mode mode=boost", "is no option"),
	})
}

func TestHumidifierTemplates(t *testing.T) {
	t.Parallel()
	facetPlay(t, humidifierComponent, `{"command_topic": "x/set", "command_template": "p={{ value }}", "payload_on": "1", "payload_off": "0",
		"state_topic": "x", "state_value_template": "{{ value_json.p }}",
		"target_humidity_command_topic": "x/set", "target_humidity_command_template": "h={{ value * 2 }}",
		"target_humidity_state_topic": "x", "target_humidity_state_template": "{{ value_json.h / 2 }}",
		"current_humidity_topic": "x", "current_humidity_template": "{{ value_json.c }}",
		"action_topic": "x", "action_template": "{{ value_json.a }}",
		"mode_command_topic": "x/set", "mode_command_template": "m={{ value }}",
		"mode_state_topic": "x", "mode_state_template": "{{ value_json.m }}", "modes": ["auto"]}`, []facetStep{
		facetSaid("x", `{"p": 1, "h": 90, "c": 33.3, "a": "idle", "m": "auto"}`,
			`{"on":true,"mode":"auto","action":"idle","current_humidity":33.3,"target_humidity":45}`),
		facetAsked("off", "x/set p=0"),
		facetAsked("set_humidity humidity=45", "x/set h=90"),
		facetAsked("set_mode mode=auto", "x/set m=auto"),
	})
}

func TestHumidifierClass(t *testing.T) {
	t.Parallel()
	for given, want := range map[string]string{"": "humidifier", "dehumidifier": "dehumidifier"} {
		e := &entityv1.Entity{DeviceClass: given, Capabilities: &entityv1.Capabilities{}}
		humidifierComponent.Describe(config(t, `{"command_topic": "x", "target_humidity_command_topic": "y"}`), e)
		if e.GetDeviceClass() != want {
			t.Errorf("%q became %q", given, e.GetDeviceClass())
		}
	}
}

func TestHumidifierCheck(t *testing.T) {
	t.Parallel()
	facetRefuses(t, humidifierComponent, map[string]string{
		`{"target_humidity_command_topic": "x"}`: "command_topic",
		`{"command_topic": "x"}`:                 "target_humidity_command_topic",
		`{"command_topic": "x", "target_humidity_command_topic": "y", "max_humidity": 101}`:                    "max_humidity",
		`{"command_topic": "x", "target_humidity_command_topic": "y", "min_humidity": 60, "max_humidity": 60}`: "min_humidity",
	})
}
