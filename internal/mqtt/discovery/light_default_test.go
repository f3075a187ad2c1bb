package discovery

import "testing"

func TestLightOnOff(t *testing.T) {
	t.Parallel()
	facetPlay(t, lightComponent, `{"command_topic": "x/set", "state_topic": "x", "state_value_template": "{{ value_json.POWER }}",
		"payload_on": "1", "payload_off": 0}`, []facetStep{
		facetSaid("x", `{"POWER": 1}`, `{"on":true}`),
		facetSaid("x", `{"POWER": "0"}`, `{"on":false}`),
		facetUnfits("x", `{"POWER": "ON"}`),
		facetSaid("x", `{"POWER": ""}`, `{"on":false}`),
		facetSaid("x", `{"POWER": null}`, `{}`),
		facetAsked("on", "x/set 1"),
		facetAsked("off", "x/set 0"),
		facetAsked("turn_on brightness=5", "has no brightness"),
		facetAsked("turn_on rgb=1,2,3", "rgb"),
		facetAsked("turn_on flash=short", "flash"),
	})
}

func TestLightDefault(t *testing.T) {
	t.Parallel()
	facetPlay(t, lightComponent, `{"schema": "basic", "command_topic": "x/set", "state_topic": "x/state",
		"brightness_command_topic": "x/bri/set", "brightness_state_topic": "x/bri", "brightness_scale": 100,
		"color_temp_command_topic": "x/ct/set", "color_temp_state_topic": "x/ct", "min_mireds": 153, "max_mireds": 500,
		"effect_command_topic": "x/effect/set", "effect_state_topic": "x/effect", "effect_list": ["rainbow", "fire"],
		"hs_command_topic": "x/hs/set", "hs_state_topic": "x/hs", "xy_command_topic": "x/xy/set", "xy_state_topic": "x/xy",
		"rgb_command_topic": "x/rgb/set", "rgb_state_topic": "x/rgb", "rgbw_command_topic": "x/rgbw/set", "rgbw_state_topic": "x/rgbw",
		"rgbww_command_topic": "x/rgbww/set", "rgbww_state_topic": "x/rgbww",
		"white_command_topic": "x/white/set", "white_scale": 99, "color_mode_state_topic": "x/mode"}`, []facetStep{
		facetSaid("x/state", "ON", `{"on":true}`),
		facetSaid("x/bri", "50", `{"on":true,"brightness":128}`),
		facetSaid("x/bri", "0", `{"on":true,"brightness":128}`),
		facetSaid("x/bri", "120", `{"on":true,"brightness":255}`),
		facetUnfits("x/bri", "-1"),
		facetUnfits("x/bri", "bright"),
		facetSaid("x/bri", "None", `{"on":true}`),
		facetSaid("x/ct", "200", `{"on":true,"color_temp_kelvin":5000}`),
		facetUnfits("x/ct", "0"),
		facetUnfits("x/ct", "warm"),
		facetSaid("x/ct", "None", `{"on":true}`),
		facetSaid("x/mode", "hs", `{"on":true,"color_mode":"hs"}`),
		facetUnfits("x/mode", "plaid"),
		facetSaid("x/hs", "120.5,50", `{"on":true,"color_mode":"hs","hs":{"hue":120.5,"saturation":50}}`),
		facetUnfits("x/hs", "361,50"),
		facetUnfits("x/hs", "120"),
		facetUnfits("x/hs", "1,2,3"),
		facetSaid("x/hs", "None", `{"on":true,"color_mode":"hs"}`),
		facetSaid("x/mode", "None", `{"on":true}`),
		facetSaid("x/xy", "0.3, 0.4", `{"on":true,"xy":{"x":0.3,"y":0.4}}`),
		facetUnfits("x/xy", "0.3,1.1"),
		facetSaid("x/xy", "None", `{"on":true}`),
		facetSaid("x/rgb", "10,20,30", `{"on":true,"rgb":{"red":10,"green":20,"blue":30}}`),
		facetUnfits("x/rgb", "10,20,256"),
		facetSaid("x/rgb", "None", `{"on":true}`),
		facetSaid("x/rgbw", "1,2,3,4", `{"on":true,"rgbw":{"red":1,"green":2,"blue":3,"white":4}}`),
		facetSaid("x/rgbw", "None", `{"on":true}`),
		facetSaid("x/rgbww", "1,2,3,4,5", `{"on":true,"rgbww":{"red":1,"green":2,"blue":3,"cold_white":4,"warm_white":5}}`),
		facetSaid("x/rgbww", "None", `{"on":true}`),
		facetSaid("x/effect", "fire", `{"on":true,"effect":"fire"}`),
		facetSaid("x/effect", "None", `{"on":true}`),

		facetAsked("off", "x/set OFF"),
		facetAsked("on", "x/set ON"),
		facetAsked("turn_on brightness=128", "x/bri/set 50", "x/set ON"),
		facetAsked("turn_on brightness=1", "x/bri/set 1", "x/set ON"),
		facetAsked("turn_on brightness=0", "x/set OFF"),
		facetAsked("turn_on color_temp_kelvin=4000", "x/ct/set 250", "x/set ON"),
		facetAsked("turn_on color_temp_kelvin=6600", "out of range"),
		facetAsked("turn_on hs=30,80", "x/hs/set 30.0,80.0", "x/set ON"),
		facetAsked("turn_on xy=0.3,0.4", "x/xy/set 0.3,0.4", "x/set ON"),
		facetAsked("turn_on rgb=255,128,0 brightness=51", "x/rgb/set 255,128,0", "x/bri/set 20", "x/set ON"),
		facetAsked("turn_on rgbw=1,2,3,4", "x/rgbw/set 1,2,3,4", "x/set ON"),
		facetAsked("turn_on rgbww=1,2,3,4,5", "x/rgbww/set 1,2,3,4,5", "x/set ON"),
		facetAsked("turn_on white=255", "x/white/set 99", "x/set ON"),
		facetAsked("turn_on effect=rainbow", "x/effect/set rainbow", "x/set ON"),
		facetAsked("turn_on effect=snow", "is no option"),
		facetAsked("turn_on brightness=255 transition=3", "x/bri/set 100", "x/set ON"),
	})
}

func TestLightDefaultTemplates(t *testing.T) {
	t.Parallel()
	facetPlay(t, lightComponent, `{"command_topic": "x/set", "state_topic": "x", "state_value_template": "{{ value_json.s }}",
		"brightness_command_topic": "x/c", "brightness_command_template": "b={{ value + 0 }}",
		"brightness_state_topic": "x", "brightness_value_template": "{{ value_json.b }}",
		"color_temp_command_topic": "x/c", "color_temp_command_template": "k={{ value }}", "color_temp_kelvin": true,
		"color_temp_state_topic": "x", "color_temp_value_template": "{{ value_json.k }}", "min_kelvin": 2700, "max_kelvin": 6500,
		"effect_command_topic": "x/c", "effect_command_template": "e={{ value }}", "effect_list": ["fire"],
		"hs_command_topic": "x/c", "hs_command_template": "{{ hue | int }}/{{ sat }}",
		"xy_command_topic": "x/c", "xy_command_template": "{{ x }}/{{ y }}", "xy_state_topic": "x", "xy_value_template": "{{ value_json.xy | join(',') }}",
		"rgb_command_topic": "x/c", "rgb_command_template": "#{{ '%02x%02x%02x' | format(red, green, blue) }}",
		"rgbw_command_topic": "x/c", "rgbw_command_template": "{{ red + green + blue + white }}",
		"rgbww_command_topic": "x/c", "rgbww_command_template": "{{ value }}/{{ cold_white }}/{{ warm_white }}"}`, []facetStep{
		facetSaid("x", `{"s": "ON", "b": 12, "k": 3000, "xy": [0.1, 0.2]}`,
			`{"on":true,"brightness":12,"color_mode":"xy","color_temp_kelvin":3000,"xy":{"x":0.1,"y":0.2}}`),
		facetAsked("turn_on brightness=7", "x/c b=7", "x/set ON"),
		facetAsked("turn_on color_temp_kelvin=2700", "x/c k=2700", "x/set ON"),
		facetAsked("turn_on color_temp_kelvin=2699", "out of range"),
		facetAsked("turn_on effect=fire", "x/c e=fire", "x/set ON"),
		facetAsked("turn_on hs=30,80.5", "x/c 30/80.5", "x/set ON"),
		facetAsked("turn_on xy=0,1", "x/c 0.0/1.0", "x/set ON"),
		facetAsked("turn_on rgb=255,128,0", "x/c #ff8000", "x/set ON"),
		facetAsked("turn_on rgbw=1,2,3,4", "x/c 10", "x/set ON"),
		facetAsked("turn_on rgbww=1,2,3,4,5", "x/c 1,2,3,4,5/4/5", "x/set ON"),
	})
}

// TestLightDimsByColor has a light whose brightness is in its channels.
func TestLightDimsByColor(t *testing.T) {
	t.Parallel()
	facetPlay(t, lightComponent, `{"command_topic": "x/set", "rgb_command_topic": "x/rgb/set", "rgb_state_topic": "x/rgb"}`, []facetStep{
		facetAsked("turn_on brightness=128", "x/rgb/set 128,128,128", "x/set ON"),
		facetSaid("x/rgb", "100,50,0", `{"brightness":100,"color_mode":"rgb","rgb":{"red":255,"green":128,"blue":0}}`),
		facetSaid("x/rgb", "0,0,0", `{"brightness":100,"color_mode":"rgb","rgb":{"red":255,"green":128,"blue":0}}`),
		facetAsked("turn_on brightness=51", "x/rgb/set 51,25,0", "x/set ON"),
		facetAsked("turn_on rgb=255,0,0", "x/rgb/set 100,0,0", "x/set ON"),
		facetAsked("turn_on rgb=255,128,3 brightness=255", "x/rgb/set 255,128,3", "x/set ON"),
		facetAsked("turn_on color_temp_kelvin=6500", "x/rgb/set 95,97,100", "x/set ON"),
	})
	facetPlay(t, lightComponent, `{"command_topic": "x/set", "rgbww_command_topic": "x/c", "rgbww_state_topic": "x/s"}`, []facetStep{
		facetSaid("x/s", "0,0,0,51,102", `{"brightness":102,"color_mode":"rgbww","rgbww":{"red":0,"green":0,"blue":0,"cold_white":128,"warm_white":255}}`),
		facetAsked("turn_on brightness=255", "x/c 0,0,0,128,255", "x/set ON"),
	})
	facetPlay(t, lightComponent, `{"command_topic": "x/set", "rgbw_command_topic": "x/c"}`, []facetStep{
		facetAsked("turn_on brightness=10", "x/c 10,10,10,10", "x/set ON"),
		facetAsked("turn_on rgbw=255,0,0,255", "x/c 255,0,0,255", "x/set ON"),
	})
}

func TestLightOnCommandType(t *testing.T) {
	t.Parallel()
	const config = `{"command_topic": "x/set", "brightness_command_topic": "x/bri", "brightness_state_topic": "x/b", "effect_command_topic": "x/e",
		"white_command_topic": "x/w", "on_command_type": `
	facetPlay(t, lightComponent, config+`"first"}`, []facetStep{
		facetAsked("on", "x/set ON"),
		facetAsked("turn_on brightness=9", "x/set ON", "x/bri 9"),
	})
	facetPlay(t, lightComponent, config+`"brightness"}`, []facetStep{
		facetAsked("on", "x/bri 255"),
		facetSaid("x/b", "40", `{"brightness":40}`),
		facetAsked("on", "x/bri 40"),
		facetAsked("turn_on brightness=9", "x/bri 9"),
		facetAsked("turn_on white=9", "x/w 9"),
		facetAsked("turn_on effect=any", "x/bri 40", "x/e any"),
		facetAsked("off", "x/set OFF"),
	})
	facetPlay(t, lightComponent, `{"command_topic": "x/set", "on_command_type": "brightness"}`, []facetStep{facetAsked("on", "x/set ON")})
}

func TestLightCheck(t *testing.T) {
	t.Parallel()
	facetRefuses(t, lightComponent, map[string]string{
		`{}`:                       "command_topic",
		`{"schema": "xml"}`:        "schema",
		`{"command_topic": "x/+"}`: "command_topic",
		`{"command_topic": "x", "brightness_scale": 0}`:                               "brightness_scale",
		`{"command_topic": "x", "white_scale": 1e10}`:                                 "white_scale",
		`{"command_topic": "x", "on_command_type": "never"}`:                          "on_command_type",
		`{"schema": "json", "state_topic": "x"}`:                                      "command_topic",
		`{"schema": "json", "command_topic": "x", "supported_color_modes": ["hsv"]}`:  "supported_color_modes",
		`{"schema": "template", "command_topic": "x", "command_on_template": "on"}`:   "command_off_template",
		`{"schema": "template", "command_topic": "x", "command_off_template": "off"}`: "command_on_template",
	})
	if err := lightComponent.Check(config(t, `{"schema": "JSON", "command_topic": "x"}`)); err != nil {
		t.Error(err)
	}
}
