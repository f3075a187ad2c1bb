package discovery

import (
	"fmt"
	"strings"
	"testing"
	"time"

	entityv1 "github.com/statehouse/statehouse/gen/statehouse/entity/v1"
	"github.com/statehouse/statehouse/internal/template"
)

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

// lightTemplated is a light with three templates of a color.
func lightTemplated(red, green, blue string) string {
	return fmt.Sprintf(`{"schema": "template", "command_topic": "x/set", "state_topic": "x", "command_on_template": "on", "command_off_template": "off",
		"red_template": %q, "green_template": %q, "blue_template": %q}`, red, green, blue)
}

// TestLightTemplateColorsKeepApart has templates that would be something else if they were simply put together.
func TestLightTemplateColorsKeepApart(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ red, green, blue, payload, want string }{
		"blanks":                   {" {{ 1 }}\n", "\n 2 ", "{{ 3 }} ", "x", `{"color_mode":"rgb","rgb":{"red":1,"green":2,"blue":3}}`},
		"what another sets":        {"{% set n = 1 %}{{ n }}", "{{ n | default(2) }}", "{{ n | default(3) }}", "x", `{"color_mode":"rgb","rgb":{"red":1,"green":2,"blue":3}}`},
		"stripped by another":      {"1 {%- if true -%} 1 {%- endif -%}", "{%- if true -%} 2 {%- endif -%}", "3", "x", `{"color_mode":"rgb","rgb":{"red":11,"green":2,"blue":3}}`},
		"no red":                   {"{{ value_json.r | default('') }}", "2", "3", `{}`, `{}`},
		"all of it, or nothing":    {"{{ value_json.r }}", "{{ value_json.g }}", "{{ value_json.b }}", `{"r":1,"g":2}`, `{}`},
		"raw, and a comment":       {"{% raw %}1{% endraw %}", "2{# {% endfilter %} #}", "{{ '3' }}", "x", `{"color_mode":"rgb","rgb":{"red":1,"green":2,"blue":3}}`},
		"several numbers at once":  {"1,2", "3", "", "x", `{}`},
		"a brace at its end":       {"1{", "2", "3", "x", `{}`},
		"what ends another's text": {"1{% endfilter %}", "2", "3{% filter trim %}", "x", `{}`},
	} {
		if got := newPart(t, lightComponent, lightTemplated(c.red, c.green, c.blue)).say("x", c.payload); got != c.want {
			t.Errorf("%s: %s, where %s was expected", name, got, c.want)
		}
	}
}

// TestLightTemplatesThatAreTooLong has three that fit one by one. Nothing is said of a color that cannot be read.
func TestLightTemplatesThatAreTooLong(t *testing.T) {
	t.Parallel()
	long := "7{# " + strings.Repeat("x", 30_000) + " #}"
	p := newPart(t, lightComponent, lightTemplated(long, long, long))
	if got := facetFeatureText(p.entity); got != "on w, flash w [short long]" {
		t.Errorf("it has %s", got)
	}
	if got := p.say("x", "x"); got != "{}" {
		t.Errorf("it is %s", got)
	}
}

// TestLightTemplateSetRendersNothing has a payload that says something else than what was made of it before.
func TestLightTemplateSetRendersNothing(t *testing.T) {
	t.Parallel()
	p := newPart(t, lightComponent, lightTemplated("{{ value }}", "{{ value }}", "{{ value }}"))
	said := Said{Text: "1,2,3", Payload: template.NewPayload([]byte("9")), At: time.Time{}}
	a := &entityv1.Attributes{}
	if err := p.component.Inputs(p.config)[0].Set(a, said); err != nil || a.GetLight().GetRgb().GetGreen() != 2 {
		t.Errorf("error %v, and %v", err, a)
	}
}
