package discovery

import "testing"

func TestLightTemplate(t *testing.T) {
	t.Parallel()
	facetPlay(t, lightComponent, `{"schema": "template", "command_topic": "x/set", "state_topic": "x",
		"command_on_template": "on{% if brightness is defined %} b={{ brightness }}{% endif %}{% if red is defined %} #{{ red }},{{ green }},{{ blue }} {{ hue }},{{ sat }}{% endif %}{% if color_temp is defined %} t={{ color_temp }}{% endif %}{% if effect is defined %} e={{ effect }}{% endif %}{% if flash is defined %} f={{ flash }}{% endif %}{% if transition is defined %} d={{ transition }}{% endif %} {{ state }}",
		"command_off_template": "off{% if transition is defined %} d={{ transition }}{% endif %} {{ state }}",
		"state_template": "{{ value.split(',')[0] }}", "brightness_template": "{{ value.split(',')[1] }}",
		"red_template": "{{ value.split(',')[2] }}", "green_template": "{{ value.split(',')[3] }}", "blue_template": "{{ value.split(',')[4] }}",
		"color_temp_template": "{{ value.split(',')[5] }}", "effect_template": "{{ value.split(',')[6] }}", "effect_list": ["fire"]}`, []facetStep{
		facetSaid("x", "on,100,1,2,3,None,fire", `{"on":true,"brightness":100,"color_mode":"rgb","rgb":{"red":1,"green":2,"blue":3},"effect":"fire"}`),
		facetSaid("x", "off,0,None,None,None,250,None", `{"on":false,"brightness":100,"color_mode":"color_temp","color_temp_kelvin":4000}`),
		facetSaid("x", ",,,,,,", `{"on":false,"brightness":100,"color_mode":"color_temp","color_temp_kelvin":4000}`),
		facetUnfits("x", "ON,,,,,,"),
		facetUnfits("x", ",bright,,,,,"),
		facetUnfits("x", ",,1,2,256,,"),
		facetUnfits("x", ",,1,,3,,"),
		facetUnfits("x", ",,,,,0,"),
		facetSaid("x", "None,None,None,None,None,None,None", `{}`),
		facetSaid("x", "None,None,0,0,255,None,None", `{"color_mode":"rgb","rgb":{"red":0,"green":0,"blue":255}}`),
		facetSaid("x", "None,None,None,None,None,None,None", `{}`),

		facetAsked("on", "x/set on True"),
		facetAsked("off", "x/set off False"),
		facetAsked("turn_off transition=2", "x/set off d=2.0 False"),
		facetAsked("turn_on brightness=9", "x/set on b=9 True"),
		facetAsked("turn_on rgb=255,128,0", "x/set on #255,128,0 30.118,100.0 True"),
		facetAsked("turn_on color_temp_kelvin=4000 transition=0.5", "x/set on t=250 d=0.5 True"),
		facetAsked("turn_on effect=fire flash=long", "x/set on e=fire f=long True"),
	})
}

func TestLightTemplateKelvin(t *testing.T) {
	t.Parallel()
	facetPlay(t, lightComponent, `{"schema": "template", "command_topic": "x/set", "state_topic": "x", "color_temp_kelvin": true,
		"command_on_template": "{{ color_temp }}", "command_off_template": "off", "color_temp_template": "{{ value }}"}`, []facetStep{
		facetSaid("x", "2222", `{"color_mode":"color_temp","color_temp_kelvin":2222}`),
		facetAsked("turn_on color_temp_kelvin=3333", "x/set 3333"),
		facetAsked("turn_on brightness=3", "has no brightness"),
		facetAsked("turn_on rgb=1,2,3", "rgb"),
	})
}
