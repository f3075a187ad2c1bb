package discovery

import "testing"

func TestLightJSON(t *testing.T) {
	t.Parallel()
	facetPlay(t, lightComponent, `{"schema": "json", "command_topic": "x/set", "state_topic": "x", "brightness": true, "brightness_scale": 100,
		"supported_color_modes": ["color_temp", "hs", "xy", "rgb", "rgbw", "rgbww", "white"], "white_scale": 50,
		"effect": true, "effect_list": ["fire"], "flash_time_long": 7}`, []facetStep{
		facetSaid("x", `{"state": "ON", "brightness": 50}`, `{"on":true,"brightness":128}`),
		facetSaid("x", `{"state": "OFF"}`, `{"on":false,"brightness":128}`),
		facetSaid("x", `{"brightness": 0}`, `{"on":false,"brightness":128}`),
		facetSaid("x", `{"linkquality": 7}`, `{"on":false,"brightness":128}`),
		facetUnfits("x", `{"state": "on"}`),
		facetUnfits("x", `{"state": true}`),
		facetUnfits("x", `ON`),
		facetUnfits("x", `["ON"]`),
		facetUnfits("x", `{"brightness": "x"}`),
		facetUnfits("x", `{"brightness": -5}`),
		facetSaid("x", `{"state": null, "brightness": null}`, `{}`),
		facetSaid("x", `{"color_mode": "color_temp", "color_temp": 250}`, `{"color_mode":"color_temp","color_temp_kelvin":4000}`),
		facetUnfits("x", `{"color_temp": 0}`),
		facetUnfits("x", `{"color_mode": "plaid"}`),
		facetUnfits("x", `{"color_mode": 7}`),
		facetSaid("x", `{"color_mode": "hs", "color": {"h": 30, "s": 99.5}}`, `{"color_mode":"hs","hs":{"hue":30,"saturation":99.5}}`),
		facetSaid("x", `{"color_mode": "color_temp", "color_temp": 250}`, `{"color_mode":"color_temp","color_temp_kelvin":4000}`),
		facetSaid("x", `{"color_mode": "hs", "color": {"h": 30, "s": 99.5}}`, `{"color_mode":"hs","hs":{"hue":30,"saturation":99.5}}`),
		facetUnfits("x", `{"color": {"h": 30, "s": 101}}`),
		facetUnfits("x", `{"color": {"h": 30}}`),
		facetUnfits("x", `{"color": "red"}`),
		facetUnfits("x", `{"color": {}}`),
		facetSaid("x", `{"color_mode": "xy", "color": {"x": 0.1, "y": 0.2}, "color_temp": 200}`,
			`{"color_mode":"xy","color_temp_kelvin":5000,"xy":{"x":0.1,"y":0.2}}`),
		facetSaid("x", `{"color": {"r": 1, "g": 2, "b": 3}}`, `{"color_mode":"rgb","color_temp_kelvin":5000,"rgb":{"red":1,"green":2,"blue":3}}`),
		facetSaid("x", `{"color": {"r": 1, "g": 2, "b": 3, "w": 4}, "color_mode": "rgbw"}`,
			`{"color_mode":"rgbw","rgbw":{"red":1,"green":2,"blue":3,"white":4}}`),
		facetSaid("x", `{"color": {"r": 1, "g": 2, "b": 3, "c": 4, "w": 5}}`,
			`{"color_mode":"rgbww","rgbww":{"red":1,"green":2,"blue":3,"cold_white":4,"warm_white":5}}`),
		facetSaid("x", `{"color": {"r": 1, "g": 2, "b": 3, "w": 5}, "color_mode": "rgb"}`,
			`{"color_mode":"rgb","rgb":{"red":1,"green":2,"blue":3}}`),
		facetSaid("x", `{"color_temp": 200}`, `{"color_mode":"color_temp","color_temp_kelvin":5000,"rgb":{"red":1,"green":2,"blue":3}}`),
		facetSaid("x", `{"color_mode": "white", "color": null, "color_temp": null}`, `{"color_mode":"white"}`),
		facetSaid("x", `{"color_mode": null}`, `{}`),
		facetSaid("x", `{"effect": "snow"}`, `{"effect":"snow"}`),
		facetUnfits("x", `{"effect": {"a": 1}}`),
		facetSaid("x", `{"effect": null}`, `{}`),

		facetAsked("on", `x/set {"state":"ON"}`),
		facetAsked("off", `x/set {"state":"OFF"}`),
		facetAsked("turn_on brightness=128", `x/set {"state":"ON","brightness":50}`),
		facetAsked("turn_on brightness=1", `x/set {"state":"ON","brightness":1}`),
		facetAsked("turn_on hs=30,80 brightness=255 transition=2", `x/set {"state":"ON","color":{"h":30.0,"s":80.0},"transition":2.0,"brightness":100}`),
		facetAsked("turn_on xy=0.3,0.4", `x/set {"state":"ON","color":{"x":0.3,"y":0.4}}`),
		facetAsked("turn_on rgb=1,2,3 brightness=51", `x/set {"state":"ON","color":{"r":1,"g":2,"b":3},"brightness":20}`),
		facetAsked("turn_on rgbw=1,2,3,4", `x/set {"state":"ON","color":{"r":1,"g":2,"b":3,"w":4}}`),
		facetAsked("turn_on rgbww=1,2,3,4,5", `x/set {"state":"ON","color":{"r":1,"g":2,"b":3,"c":4,"w":5}}`),
		facetAsked("turn_on color_temp_kelvin=4000", `x/set {"state":"ON","color_temp":250}`),
		facetAsked("turn_on effect=fire", `x/set {"state":"ON","effect":"fire"}`),
		facetAsked("turn_on white=255", `x/set {"state":"ON","white":50}`),
		facetAsked("turn_on white=1", `x/set {"state":"ON","white":1}`),
		facetAsked("turn_on flash=short", `x/set {"state":"ON","flash":2}`),
		facetAsked("turn_off flash=long transition=1.5", `x/set {"state":"OFF","transition":1.5,"flash":7}`),
	})
}

func TestLightJSONKelvin(t *testing.T) {
	t.Parallel()
	facetPlay(t, lightComponent, `{"schema": "json", "command_topic": "x/set", "state_topic": "x", "supported_color_modes": ["color_temp"],
		"color_temp_kelvin": true, "max_kelvin": 9000, "transition": false, "flash": false}`, []facetStep{
		facetSaid("x", `{"color_temp": 3210}`, `{"color_mode":"color_temp","color_temp_kelvin":3210}`),
		facetAsked("turn_on color_temp_kelvin=9000", `x/set {"state":"ON","color_temp":9000}`),
		facetAsked("turn_on color_temp_kelvin=9001", "out of range"),
		facetAsked("turn_on brightness=255 transition=1", `x/set {"state":"ON","brightness":255}`),
		facetAsked("turn_on flash=long", "flash"),
		facetAsked("turn_on effect=fire", "effect"),
	})
}

// TestLightJSONFlags has a light from before there were color modes.
func TestLightJSONFlags(t *testing.T) {
	t.Parallel()
	facetPlay(t, lightComponent, `{"schema": "json", "command_topic": "x/set", "state_topic": "x",
		"brightness": true, "rgb": true, "color_temp": true}`, []facetStep{
		facetSaid("x", `{"state": "ON", "brightness": 255, "color": {"r": 255, "g": 0, "b": 9}}`,
			`{"on":true,"brightness":255,"color_mode":"rgb","rgb":{"red":255,"green":0,"blue":9}}`),
		facetAsked("turn_on rgb=9,8,7", `x/set {"state":"ON","color":{"r":9,"g":8,"b":7}}`),
		facetAsked("turn_on color_temp_kelvin=2000", `x/set {"state":"ON","color_temp":500}`),
	})
	facetPlay(t, lightComponent, `{"schema": "json", "command_topic": "x/set"}`, []facetStep{
		facetSaid("x", `{"state": "ON"}`, `{}`),
		facetAsked("on", `x/set {"state":"ON"}`),
		facetAsked("turn_on flash=long", `x/set {"state":"ON","flash":10}`),
		facetAsked("turn_on brightness=255", "has no brightness"),
	})
}

// TestLightJSONDimsByColor has a light whose channels carry the brightness, since it is not said to have one.
func TestLightJSONDimsByColor(t *testing.T) {
	t.Parallel()
	facetPlay(t, lightComponent, `{"schema": "json", "command_topic": "x/set", "supported_color_modes": ["rgb"]}`, []facetStep{
		facetAsked("turn_on rgb=50,100,150 brightness=50", `x/set {"state":"ON","color":{"r":10,"g":20,"b":29}}`),
		facetAsked("turn_on rgb=50,100,150", `x/set {"state":"ON","color":{"r":50,"g":100,"b":150}}`),
		facetAsked("turn_on brightness=50", `x/set {"state":"ON","brightness":50}`),
	})
}

// TestLightJSONFromTemplate has the object come from a template, as no announcement can say it.
func TestLightJSONFromTemplate(t *testing.T) {
	t.Parallel()
	facetPlay(t, lightComponent, `{"schema": "json", "command_topic": "x/set", "brightness": true,
		"state_topic": [{"topic": "x", "template": "{{ value_json.light | tojson }}"}, {"topic": "y"}]}`, []facetStep{
		facetSaid("x", `{"light": {"state": "ON", "brightness": 3}, "state": "OFF"}`, `{"on":true,"brightness":3}`),
		facetSaid("y", `{"state": "OFF"}`, `{"on":false,"brightness":3}`),
	})
}
