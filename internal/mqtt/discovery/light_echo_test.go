package discovery

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	entityv1 "github.com/statehouse/statehouse/gen/statehouse/entity/v1"
	"github.com/statehouse/statehouse/internal/command"
)

// facetEcho has an entity asked for something, echoes what is published for it as its state, and has that answer the command. Topics to
// command end in /set, those of states do not.
func facetEcho(t *rapid.T, p *part, words ...string) {
	r, err := command.ParseWords(p.entity.GetId(), words)
	if err != nil {
		t.Fatal(err)
	}
	c, err := command.Check(r, p.entity, p.attributes)
	if err != nil {
		t.Fatalf("%v: %v", words, err)
	}
	all, err := p.component.Command(p.config, c, p.attributes)
	if err != nil || len(all) == 0 {
		t.Fatalf("%v: published %v, error %v", words, all, err)
	}
	for _, one := range all {
		p.say(strings.TrimSuffix(one.Topic, "/set"), string(one.Payload))
		if isComplaint(p.unfit) {
			t.Fatalf("%v: %s %s is no state: %v", words, one.Topic, one.Payload, p.unfit)
		}
	}
	if !command.Answers(c.Expected, p.attributes) {
		t.Fatalf("%v: published %v; expected is %v, and the state is %v", words, all, c.Expected, p.attributes)
	}
}

// lightChannelCounts are colors made of numbers to 255.
var lightChannelCounts = map[string]int{"rgb": 3, "rgbw": 4, "rgbww": 5}

// lightWish is what a light that has these features may be asked for.
func lightWish(t *rapid.T, features []string) []string {
	if rapid.IntRange(0, 4).Draw(t, "off") == 0 {
		return []string{"turn_off"}
	}
	words := []string{"turn_on"}
	if rapid.Bool().Draw(t, "dim") {
		words = append(words, fmt.Sprint("brightness=", rapid.IntRange(1, 255).Draw(t, "brightness")))
	}
	number := func(high float64) string { return fmt.Sprint(rapid.Float64Range(0, high).Draw(t, "number")) }
	switch name := rapid.SampledFrom(append(features, "")).Draw(t, "color"); name {
	case "":
	case "color_temp":
		words = append(words, fmt.Sprint("color_temp_kelvin=", rapid.IntRange(2000, 6500).Draw(t, "kelvin")))
	case "effect":
		words = append(words, "effect="+rapid.SampledFrom([]string{"fire", "sea"}).Draw(t, "effect"))
	case "hs":
		words = append(words, "hs="+number(360)+","+number(100))
	case "xy":
		words = append(words, "xy="+number(1)+","+number(1))
	default:
		var all []string
		for range lightChannelCounts[name] {
			all = append(all, fmt.Sprint(rapid.IntRange(0, 255).Draw(t, "channel")))
		}
		words = append(words, name+"="+strings.Join(all, ","))
	}
	return words
}

// lightWishes are the features that lightWish knows.
var lightWishes = []string{"color_temp", "effect", "hs", "xy", "rgb", "rgbw", "rgbww"}

func TestLightDefaultEchoes(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		scale := rapid.SampledFrom([]int{1, 3, 10, 100, 254, 255, 256, 1000, 65535}).Draw(rt, "scale")
		features := rapid.SliceOfNDistinct(rapid.SampledFrom(lightWishes), 1, 4, rapid.ID[string]).Draw(rt, "features")
		keys := map[string]any{
			"command_topic": "x/set", "state_topic": "x", "brightness_scale": scale, "brightness_state_topic": "b",
			"brightness_command_topic": "b/set", "effect_list": []string{"fire", "sea"},
			"on_command_type":   rapid.SampledFrom([]string{"first", "last"}).Draw(rt, "when"),
			"color_temp_kelvin": rapid.Bool().Draw(rt, "kelvin"),
		}
		for _, name := range features {
			keys[name+"_state_topic"], keys[name+"_command_topic"] = name, name+"/set"
		}
		facetEchoes(t, rt, keys, features)
	})
}

func TestLightJSONEchoes(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		features := rapid.SliceOfNDistinct(rapid.SampledFrom(lightWishes), 1, 4, rapid.ID[string]).Draw(rt, "features")
		modes := []string{"brightness"}
		keys := map[string]any{
			"schema": "json", "command_topic": "x/set", "state_topic": "x", "brightness": true, "effect_list": []string{"fire", "sea"},
			"brightness_scale":  rapid.SampledFrom([]int{1, 3, 10, 100, 254, 255, 256, 1000, 65535}).Draw(rt, "scale"),
			"color_temp_kelvin": rapid.Bool().Draw(rt, "kelvin"),
		}
		for _, name := range features {
			if name == "effect" {
				keys["effect"] = true
				continue
			}
			modes = append(modes, name)
		}
		keys["supported_color_modes"] = modes
		facetEchoes(t, rt, keys, features)
	})
}

// facetEchoes asks a light for a few things, one after another.
func facetEchoes(t *testing.T, rt *rapid.T, keys map[string]any, features []string) {
	text, err := json.Marshal(keys)
	if err != nil {
		rt.Fatal(err)
	}
	p := newPart(t, lightComponent, string(text))
	for range 5 {
		facetEcho(rt, p, lightWish(rt, features)...)
	}
}

// TestFacetEchoes is the same for fans, humidifiers and what heats.
func TestFacetEchoes(t *testing.T) {
	t.Parallel()
	parts := []struct {
		component Component
		config    string
		wishes    []string // a %d is a number from 0 to 100
	}{
		{fanComponent, `{"command_topic": "x/set", "state_topic": "x", "percentage_command_topic": "p/set", "percentage_state_topic": "p",
			"speed_range_max": %d, "preset_mode_command_topic": "m/set", "preset_mode_state_topic": "m", "preset_modes": ["auto"],
			"oscillation_command_topic": "o/set", "oscillation_state_topic": "o", "direction_command_topic": "d/set", "direction_state_topic": "d"}`,
			[]string{"turn_on percentage=%d", "turn_off", "turn_on preset_mode=auto", "oscillate oscillating=true", "set_direction direction=reverse"}},
		{humidifierComponent, `{"command_topic": "x/set", "state_topic": "x", "target_humidity_command_topic": "h/set", "target_humidity_state_topic": "h",
			"max_humidity": 100, "min_humidity": 0, "ignored": %d, "mode_command_topic": "m/set", "mode_state_topic": "m", "modes": ["eco"]}`,
			[]string{"turn_on", "turn_off", "set_humidity humidity=%d", "set_mode mode=eco"}},
		{climateComponent, `{"min_temp": 0, "max_temp": %d, "mode_command_topic": "m/set", "mode_state_topic": "m",
			"temperature_command_topic": "t/set", "temperature_state_topic": "t", "preset_mode_command_topic": "p/set", "preset_mode_state_topic": "p",
			"preset_modes": ["eco"], "fan_mode_command_topic": "f/set", "fan_mode_state_topic": "f"}`,
			[]string{"set_hvac_mode hvac_mode=cool", "set_temperature temperature=0.%d hvac_mode=heat", "set_preset_mode preset_mode=none",
				"set_preset_mode preset_mode=eco", "set_fan_mode fan_mode=high", "turn_off"}},
		{waterHeaterComponent, `{"max_temp": 100, "min_temp": 0, "ignored": %d, "mode_command_topic": "m/set", "mode_state_topic": "m",
			"temperature_command_topic": "t/set", "temperature_state_topic": "t"}`,
			[]string{"set_operation_mode operation_mode=eco", "set_temperature temperature=%d", "turn_off"}},
	}
	rapid.Check(t, func(rt *rapid.T) {
		one := rapid.SampledFrom(parts).Draw(rt, "component")
		p := newPart(t, one.component, fmt.Sprintf(one.config, rapid.IntRange(2, 120).Draw(rt, "limit")))
		for range 5 {
			wish := rapid.SampledFrom(one.wishes).Draw(rt, "wish")
			if strings.Contains(wish, "%d") {
				wish = fmt.Sprintf(wish, rapid.IntRange(0, 100).Draw(rt, "n"))
			}
			facetEcho(rt, p, strings.Fields(wish)...)
		}
	})
}

// TestLightFeatures has the capabilities say what each light reports (r) and takes (w).
func TestLightFeatures(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		`{"command_topic": "x"}`:                                                                                                    "on w",
		`{"command_topic": "x", "state_topic": "y"}`:                                                                                "on rw",
		`{"command_topic": "x", "state_topic": "y", "optimistic": true}`:                                                            "on w",
		`{"command_topic": "x", "state_topic": [{"topic": "y"}]}`:                                                                   "on rw",
		`{"command_topic": "x", "brightness_state_topic": "y"}`:                                                                     "on w, brightness r 255",
		`{"command_topic": "x", "rgb_command_topic": "y"}`:                                                                          "on w, brightness w, rgb w",
		`{"command_topic": "x", "brightness_state_topic": "y", "rgb_command_topic": "z"}`:                                           "on w, brightness rw 255, rgb w",
		`{"command_topic": "x", "hs_command_topic": "y"}`:                                                                           "on w, hs w",
		`{"command_topic": "x", "rgbw_state_topic": "y"}`:                                                                           "on w, brightness r, rgbw r, color_mode r",
		`{"command_topic": "x", "white_command_topic": "y"}`:                                                                        "on w, white w 255",
		`{"command_topic": "x", "brightness_command_topic": "y", "brightness_state_topic": "z", "brightness_scale": "99"}`:          "on w, brightness rw 99",
		`{"command_topic": "x", "color_temp_command_topic": "y", "max_mireds": 400}`:                                                "on w, color_temp w 2500-6535K",
		`{"command_topic": "x", "color_temp_command_topic": "y", "min_kelvin": 9000, "max_kelvin": 3000}`:                           "on w, color_temp w 3000-9000K",
		`{"command_topic": "x", "effect_command_topic": "y", "effect_list": ["a", "a", "", 7]}`:                                     "on w, effect w [a 7]",
		`{"schema": "json", "command_topic": "x"}`:                                                                                  "on w, flash w [short long]",
		`{"schema": "json", "command_topic": "x", "state_topic": "y", "flash": false, "supported_color_modes": ["onoff"]}`:          "on rw",
		`{"schema": "json", "command_topic": "x", "state_topic": "y", "flash": false, "supported_color_modes": ["xy", "white"]}`:    "on rw, brightness rw 255, xy rw, white w 255, color_mode r",
		`{"schema": "json", "command_topic": "x", "flash": false, "effect": true}`:                                                  "on w, effect w",
		`{"schema": "template", "command_topic": "x", "command_on_template": "1", "command_off_template": "0", "state_topic": "y"}`: "on w, flash w [short long]",
	} {
		p := newPart(t, lightComponent, text)
		if got := facetFeatureText(p.entity); got != want {
			t.Errorf("%s:\ngot  %s\nwant %s", text, got, want)
		}
	}
}

// TestFacetFeatures is the same for other components.
func TestFacetFeatures(t *testing.T) {
	t.Parallel()
	const fan = `"command_topic": "x", "state_topic": "y", "percentage_command_topic": "z", "speed_range_max": 3`
	for text, want := range map[string]string{
		`{` + fan + `}`:                        "on rw, percentage w 1-3",
		`{` + fan + `, "optimistic": true}`:    "on w, percentage w 1-3",
		`{` + fan + `, "preset_modes": ["a"]}`: "on rw, percentage w 1-3",
	} {
		if got := facetFeatureText(newPart(t, fanComponent, text).entity); got != want {
			t.Errorf("%s:\ngot  %s\nwant %s", text, got, want)
		}
	}
}

// TestLightLevels has a level that is not off never be rounded to off.
func TestLightLevels(t *testing.T) {
	t.Parallel()
	for _, scale := range []float64{1, 10, 100, 254, 255, 1000, lightMaxScale} {
		if n := lightDeviceBrightness(1, scale); n < 1 || float64(n) > scale {
			t.Errorf("the lowest level is %d on a scale to %g", n, scale)
		}
		if n := lightOurBrightness(1, scale); n < 1 || n > 255 {
			t.Errorf("1 on a scale to %g is %d", scale, n)
		}
		if n := lightDeviceBrightness(255, scale); float64(n) != scale {
			t.Errorf("the highest level is %d on a scale to %g", n, scale)
		}
	}
}

// TestLightWithoutPayload has the text be all that there is, as a native dialect may have it.
func TestLightWithoutPayload(t *testing.T) {
	t.Parallel()
	for text, says := range map[string]string{
		`{"schema": "json", "command_topic": "x", "state_topic": "y"}`: `{"state": "ON"}`,
		`{"schema": "template", "command_topic": "x", "state_topic": "y", "command_on_template": "1", "command_off_template": "0",
			"red_template": "{{ value }}", "green_template": "{{ value }}", "blue_template": "{{ value }}"}`: "7,7,7",
	} {
		p := newPart(t, lightComponent, text)
		if err := p.component.Inputs(p.config)[0].Set(p.attributes, Said{Text: says}); err != nil || p.attributes.GetLight() == nil {
			t.Errorf("%s: error %v, and %v", text, err, p.attributes)
		}
	}
}

// facetFeatureText writes features as a line.
func facetFeatureText(e *entityv1.Entity) string {
	var all []string
	for _, f := range e.GetCapabilities().GetFeatureDetails() {
		text := f.GetName() + " "
		if f.GetReadable() {
			text += "r"
		}
		if f.GetWritable() {
			text += "w"
		}
		if f.Minimum != nil {
			text += fmt.Sprintf(" %g-%g%s", f.GetMinimum(), f.GetMaximum(), f.GetUnit())
		} else if f.Maximum != nil {
			text += fmt.Sprintf(" %g", f.GetMaximum())
		}
		if len(f.GetOptions()) > 0 {
			text += fmt.Sprint(" ", f.GetOptions())
		}
		all = append(all, text)
	}
	return strings.Join(all, ", ")
}
