package discovery

import "testing"

func TestFan(t *testing.T) {
	t.Parallel()
	facetPlay(t, fanComponent, `{"command_topic": "x/set", "state_topic": "x/state", "payload_on": "go", "payload_off": "halt",
		"percentage_state_topic": "x/speed", "percentage_command_topic": "x/speed/set", "speed_range_min": 1, "speed_range_max": 3,
		"preset_mode_state_topic": "x/preset", "preset_mode_command_topic": "x/preset/set", "preset_modes": ["auto", "sleep"],
		"payload_reset_percentage": "unknown", "payload_reset_preset_mode": "reset",
		"oscillation_state_topic": "x/swing", "oscillation_command_topic": "x/swing/set",
		"direction_state_topic": "x/direction", "direction_command_topic": "x/direction/set"}`, []facetStep{
		facetSaid("x/state", "go", `{"on":true}`),
		facetUnfits("x/state", "ON"),
		facetSaid("x/state", "", `{"on":true}`),
		facetSaid("x/speed", "2", `{"on":true,"percentage":66}`),
		facetUnfits("x/speed", "4"),
		facetUnfits("x/speed", "fast"),
		facetUnfits("x/speed", "-1"),
		facetSaid("x/speed", "0", `{"on":true,"percentage":0}`),
		facetSaid("x/speed", "unknown", `{"on":true}`),
		facetSaid("x/speed", "3", `{"on":true,"percentage":100}`),
		facetSaid("x/preset", "sleep", `{"on":true,"percentage":100,"preset_mode":"sleep"}`),
		facetUnfits("x/preset", "boost"),
		facetSaid("x/preset", "reset", `{"on":true,"percentage":100}`),
		facetSaid("x/swing", "oscillate_on", `{"on":true,"percentage":100,"oscillating":true}`),
		facetSaid("x/swing", "oscillate_off", `{"on":true,"percentage":100,"oscillating":false}`),
		facetSaid("x/swing", "None", `{"on":true,"percentage":100}`),
		facetSaid("x/direction", "reverse", `{"on":true,"percentage":100,"direction":"reverse"}`),
		facetUnfits("x/direction", "left"),
		facetSaid("x/direction", "None", `{"on":true,"percentage":100}`),
		facetSaid("x/state", "halt", `{"on":false,"percentage":100}`),
		facetSaid("x/state", "None", `{"percentage":100}`),

		facetAsked("on", "x/set go"),
		facetAsked("off", "x/set halt"),
		facetAsked("turn_on percentage=50", "x/set go", "x/speed/set 2"),
		facetAsked("turn_on preset_mode=sleep", "x/set go", "x/preset/set sleep"),
		facetAsked("set_percentage percentage=1", "x/speed/set 1"),
		facetAsked("set_percentage percentage=67", "x/speed/set 3"),
		facetAsked("set_percentage percentage=0", "x/set halt"),
		facetAsked("set_preset_mode preset_mode=auto", "x/preset/set auto"),
		facetAsked("set_preset_mode preset_mode=boost", "is no option"),
		facetAsked("oscillate oscillating=true", "x/swing/set oscillate_on"),
		facetAsked("oscillate oscillating=false", "x/swing/set oscillate_off"),
		facetAsked("set_direction direction=reverse", "x/direction/set reverse"),
	})
}

func TestFanTemplates(t *testing.T) {
	t.Parallel()
	facetPlay(t, fanComponent, `{"command_topic": "x/set", "command_template": "{\"state\": \"{{ value }}\"}",
		"state_topic": "x", "state_value_template": "{{ value_json.state }}",
		"percentage_command_topic": "x/set", "percentage_command_template": "{{ value + 1 }}", "speed_range_min": 5, "speed_range_max": 8,
		"percentage_state_topic": "x", "percentage_value_template": "{{ value_json.speed }}",
		"oscillation_command_topic": "x/set", "oscillation_command_template": "osc={{ value }}", "payload_oscillation_on": 1,
		"direction_command_topic": "x/set", "direction_command_template": "dir={{ value }}",
		"preset_mode_command_topic": "x/set", "preset_mode_command_template": "preset={{ value }}", "preset_modes": ["auto"]}`, []facetStep{
		facetSaid("x", `{"state": "ON", "speed": 6}`, `{"on":true,"percentage":50}`),
		facetSaid("x", `{"state": "OFF", "speed": 4}`, `{"on":false,"percentage":0}`),
		facetUnfits("x", `{"state": "ON?", "speed": 3}`),
		facetAsked("on", `x/set {"state": "ON"}`),
		facetAsked("set_percentage percentage=25", "x/set 6"),
		facetAsked("set_percentage percentage=100", "x/set 9"),
		facetAsked("oscillate oscillating=true", "x/set osc=1"),
		facetAsked("set_direction direction=forward", "x/set dir=forward"),
		facetAsked("set_preset_mode preset_mode=auto", "x/set preset=auto"),
	})
}

// TestFanOnly has a fan that can be switched and nothing else.
func TestFanOnly(t *testing.T) {
	t.Parallel()
	facetPlay(t, fanComponent, `{"command_topic": "x/set"}`, []facetStep{
		facetSaid("x/state", "ON", `{}`),
		facetAsked("on", "x/set ON"),
		facetAsked("set_percentage percentage=50", "has no percentage"),
		facetAsked("oscillate oscillating=true", "has no oscillating"),
		facetAsked("toggle", "not known now"),
	})
}

func TestFanCheck(t *testing.T) {
	t.Parallel()
	facetRefuses(t, fanComponent, map[string]string{
		`{}`:                       "command_topic",
		`{"command_topic": "x/#"}`: "command_topic",
		`{"command_topic": "x", "speed_range_min": 0}`:                          "speed_range_min",
		`{"command_topic": "x", "speed_range_min": 7, "speed_range_max": 7}`:    "speed_range_max",
		`{"command_topic": "x", "speed_range_min": 1, "speed_range_max": 1e40}`: "speed_range_max",
	})
}
