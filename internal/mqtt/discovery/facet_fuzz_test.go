package discovery

import (
	"errors"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	entityv1 "github.com/statehouse/statehouse/gen/statehouse/entity/v1"
	"github.com/statehouse/statehouse/internal/command"
	"github.com/statehouse/statehouse/internal/mqtt"
	"github.com/statehouse/statehouse/internal/mqtt/dialect"
	"github.com/statehouse/statehouse/internal/template"
	"github.com/statehouse/statehouse/state"
)

// FuzzLightComponents has each component take any configuration, any message and any wish.
func FuzzLightComponents(f *testing.F) {
	f.Add(0, `{"command_topic": "x/set", "state_topic": "x", "rgb_state_topic": "x", "rgb_command_topic": "y", "brightness_scale": 3}`, "255,0,9", "turn_on rgb=1,2,3")
	f.Add(0, `{"command_topic": "x/set", "color_temp_state_topic": "x", "hs_state_topic": "x", "effect_state_topic": "x"}`, "250", "turn_on")
	f.Add(0, `{"schema": "json", "command_topic": "x/set", "state_topic": "x", "supported_color_modes": ["rgbw", "color_temp", "white"]}`,
		`{"state": "ON", "brightness": 9, "color": {"r": 1, "g": 2, "b": 3, "w": 4}, "color_mode": "rgbw", "color_temp": null}`, "turn_on white=9")
	f.Add(0, `{"schema": "template", "command_topic": "x/set", "state_topic": "x", "command_on_template": "{{ red }}", "command_off_template": "0",
		"red_template": "{{ value }}", "green_template": "{{ value }}", "blue_template": "{{ value }}", "color_temp_template": "{{ value }}"}`, "7", "turn_on rgb=1,2,3")
	f.Add(1, `{"mode_state_topic": "x", "mode_command_topic": "y", "power_command_topic": "z", "temperature_state_topic": "x", "preset_mode_state_topic": "x"}`, "heat", "set_hvac_mode hvac_mode=heat")
	f.Add(2, `{"command_topic": "x/set", "percentage_state_topic": "x", "speed_range_max": 7, "percentage_command_topic": "y"}`, "6", "set_percentage percentage=50")
	f.Add(3, `{"command_topic": "x/set", "target_humidity_command_topic": "y", "target_humidity_state_topic": "x"}`, "50", "set_humidity humidity=40")
	f.Add(4, `{"temperature_command_topic": "y", "temperature_state_topic": "x", "temperature_unit": "F"}`, "50", "set_temperature temperature=40")
	f.Fuzz(func(t *testing.T, which int, text, payload, words string) {
		v, err := state.ValueFromJSON([]byte(text))
		if which < 0 || err != nil || len(text) > 10_000 {
			return
		}
		c, cfg := lightComponents[which%len(lightComponents)], Config{dialect.Node{Value: v}}
		if c.Check(cfg) != nil {
			return
		}
		e := &entityv1.Entity{Id: c.Domain + ".x", Capabilities: &entityv1.Capabilities{}}
		c.Describe(cfg, e)
		if len(e.GetCapabilities().GetFeatures()) != len(e.GetCapabilities().GetFeatureDetails()) {
			t.Errorf("features %v", e.GetCapabilities())
		}
		command.Actions(e)
		a := &entityv1.Attributes{}
		facetHear(t, c.Inputs(cfg), a, payload)
		facetWish(t, c, cfg, e, a, words)
	})
}

// facetHear has all inputs take a message.
func facetHear(t *testing.T, inputs []Input, a *entityv1.Attributes, payload string) {
	said := template.NewPayload([]byte(payload))
	for _, in := range inputs {
		for _, s := range in.Sources {
			text, before := payload, proto.CloneOf(a)
			if s.Template != nil {
				var err error
				if text, err = s.Template.Render(said, nil); err != nil {
					continue
				}
			}
			if err := in.Set(a, Said{Text: text, Payload: said, At: moment}); err != nil && (!errors.Is(err, ErrUnfit) || !proto.Equal(before, a)) {
				t.Errorf("%v, and %v became %v", err, before, a)
			}
		}
	}
	if l := a.GetLight(); l.GetBrightness() > 255 || l.GetRgbww().GetWarmWhite() > 255 || a.GetFan().GetPercentage() > 100 {
		t.Errorf("out of range: %v", a)
	}
	if _, err := state.JSON(a); err != nil {
		t.Error(err)
	}
}

func facetWish(t *testing.T, c Component, cfg Config, e *entityv1.Entity, a *entityv1.Attributes, words string) {
	r, err := command.ParseWords(e.GetId(), strings.Fields(words))
	if err != nil {
		return
	}
	checked, err := command.Check(r, e, a)
	if err != nil {
		return
	}
	before := proto.CloneOf(a)
	all, err := c.Command(cfg, checked, a)
	if !proto.Equal(before, a) {
		t.Errorf("the command changed %v to %v", before, a)
	}
	if errors.Is(err, ErrNoTopic) || err == nil && len(all) == 0 {
		t.Errorf("%v was taken, and %v came of it: %v", checked.Action, all, err)
	}
	for _, one := range all {
		if mqtt.ValidTopic(one.Topic) != nil || one.QoS > 1 {
			t.Errorf("%v is no publication", one)
		}
	}
}
