package discovery

import (
	"math"
	"slices"

	entityv1 "github.com/statehouse/statehouse/gen/statehouse/entity/v1"
	"github.com/statehouse/statehouse/internal/command"
	"github.com/statehouse/statehouse/internal/mqtt"
)

// lightDefault is a light with a topic for each thing that it says or takes. Where it has none for its brightness,
// channels of red, green and blue carry it: a color at half its brightness has half the numbers.
var lightDefault = lightSchema{describe: lightDefaultDescribe, inputs: lightDefaultInputs, command: lightDefaultCommand}

// lightDimsByColor says that a light's brightness is in its color.
func lightDimsByColor(c Config) bool {
	return c.Str("brightness_command_topic") == "" && !listens(c, "brightness_state_topic")
}

// lightHasChannels says that one of the colors that carry a brightness has a topic.
func lightHasChannels(has func(key string) bool, end string) bool {
	return has("rgb"+end) || has("rgbw"+end) || has("rgbww"+end)
}

func lightDefaultDescribe(c Config, e *entityv1.Entity) {
	says := func(key string) bool { return answersOn(c, key) }
	takes := func(key string) bool { return c.Str(key) != "" }
	lightFeature(e, &entityv1.Feature{Name: "on"}, says("state_topic"), true)
	brightness := lightScale(c, "brightness", "brightness_scale")
	if lightDimsByColor(c) {
		brightness.Maximum = nil
		lightFeature(e, brightness, lightHasChannels(says, "_state_topic"), lightHasChannels(takes, "_command_topic"))
	} else {
		lightFeature(e, brightness, says("brightness_state_topic"),
			takes("brightness_command_topic") || lightHasChannels(takes, "_command_topic"))
	}
	lightFeature(e, lightTemperature(c), says("color_temp_state_topic"), takes("color_temp_command_topic"))
	colored := says("color_mode_state_topic") || says("color_temp_state_topic")
	for _, name := range lightColors {
		lightFeature(e, &entityv1.Feature{Name: name}, says(name+"_state_topic"), takes(name+"_command_topic"))
		colored = colored || says(name+"_state_topic")
	}
	lightFeature(e, lightScale(c, "white", "white_scale"), false, takes("white_command_topic"))
	lightFeature(e, lightEffects(c), says("effect_state_topic"), takes("effect_command_topic"))
	lightFeature(e, &entityv1.Feature{Name: "color_mode"}, colored, false)
}

func lightDefaultInputs(c Config) []Input {
	from := func(name string, set setter) Input {
		return Input{Sources: c.Sources(name+"_state_topic", name+"_value_template"), Set: unlessEmpty(set)}
	}
	scale := c.Float("brightness_scale", 255)
	inputs := []Input{
		{
			Sources: c.Sources("state_topic", "state_value_template"),
			Set: unlessEmpty(facetOn(c.Word("payload_on", "ON"), c.Word("payload_off", "OFF"),
				func(a *entityv1.Attributes, on *bool) { lightOf(a).On = on })),
		},
		from("brightness", facetFloat(0, math.MaxUint32, "", func(a *entityv1.Attributes, n *float64) { lightPutBrightness(a, n, scale) })),
		from("color_temp", lightDefaultTemperature(c)),
		from("effect", lightPutEffect),
	}
	for _, name := range lightColors {
		inputs = append(inputs, from(name, lightDefaultColor(c, name)))
	}
	inputs = append(inputs, from("color_mode", facetWord(lightModes, func(a *entityv1.Attributes, mode entityv1.ColorMode) {
		lightOf(a).ColorMode = mode
	})))
	return inputsOf(inputs...)
}

// lightFollows makes a color the one that the light follows, unless it says itself which one that is.
func lightFollows(c Config, l *entityv1.Light, mode string) {
	if !listens(c, "color_mode_state_topic") {
		l.ColorMode = lightModes[mode]
	}
}

func lightDefaultTemperature(c Config) setter {
	return func(a *entityv1.Attributes, s Said) error {
		if s.Unknown() {
			lightOf(a).ColorTempKelvin = nil
			return nil
		}
		n, _ := parseNumber(s.Text)
		kelvin, ok := lightKelvin(c, n)
		if !ok {
			return unfit(s, "a color temperature")
		}
		lightOf(a).ColorTempKelvin = &kelvin
		lightFollows(c, lightOf(a), "color_temp")
		return nil
	}
}

// lightPutEffect takes the name of an effect, whether the light lists it or not.
func lightPutEffect(a *entityv1.Attributes, s Said) error {
	switch {
	case s.Unknown():
		lightOf(a).Effect = nil
	case len(s.Text) > facetMaxOption:
		return unfit(s, "the name of an effect")
	default:
		effect := s.Text
		lightOf(a).Effect = &effect
	}
	return nil
}

func lightDefaultColor(c Config, name string) setter {
	bright := lightDimsByColor(c) && name != "hs" && name != "xy"
	return func(a *entityv1.Attributes, s Said) error {
		if s.Unknown() {
			lightPutColor(lightOf(a), name, nil)
			return nil
		}
		color, err := lightParseColor(name, s.Text)
		if err != nil {
			return err
		}
		if bright {
			top := math.Round(slices.Max(color))
			if top == 0 {
				return nil // it is off: see lightPutBrightness
			}
			lightPutBrightness(a, &top, 255)
			for i, n := range color {
				color[i] = min(math.RoundToEven(n/top*255), 255)
			}
		}
		lightPutColor(lightOf(a), name, color)
		lightFollows(c, lightOf(a), name)
		return nil
	}
}

func lightDefaultCommand(c Config, cmd command.Checked, now *entityv1.Light) ([]mqtt.Publication, error) {
	o := &facetOutbox{config: c}
	if cmd.Action == "turn_off" {
		o.publish("command_topic", "", c.Word("payload_off", "OFF"))
		return o.done()
	}
	when := c.Word("on_command_type", lightOnLast)
	on := func() { o.publish("command_topic", "", c.Word("payload_on", "ON")) }
	if when == lightOnFirst {
		on()
	}
	brightness, dims := cmd.Float("brightness")
	white, isWhite := cmd.Float("white")
	if when == lightOnBrightness && !dims && !isWhite {
		brightness, dims = 255, true
		if now.GetBrightness() > 0 {
			brightness = float64(now.GetBrightness())
		}
	}
	colored := lightDefaultPublishColor(o, cmd, now, brightness)
	if dims {
		lightDefaultPublishBrightness(o, now, brightness, colored)
	}
	if kelvin, ok := cmd.Float("color_temp_kelvin"); ok {
		o.publish("color_temp_command_topic", "color_temp_command_template", lightDeviceTemperature(c, kelvin))
	}
	if effect, ok := cmd.String("effect"); ok {
		o.publish("effect_command_topic", "effect_command_template", effect)
	}
	if isWhite {
		o.publish("white_command_topic", "", lightDeviceBrightness(white, c.Float("white_scale", 255)))
	}
	if when == lightOnLast || o.err == nil && len(o.all) == 0 { // nothing has switched it on
		on()
	}
	return o.done()
}

// lightDefaultPublishColor publishes the color that is asked for and says whether its channels carry the brightness.
func lightDefaultPublishColor(o *facetOutbox, cmd command.Checked, now *entityv1.Light, brightness float64) (carries bool) {
	for _, name := range lightColors {
		color, ok := cmd.Floats(name)
		switch {
		case !ok:
		case name == "hs":
			o.publishWith("hs_command_topic", "hs_command_template", lightJoined(color[0], color[1]),
				map[string]any{"hue": color[0], "sat": color[1]})
		case name == "xy":
			o.publishWith("xy_command_topic", "xy_command_template", lightJoined(color[0], color[1]),
				map[string]any{"x": color[0], "y": color[1]})
		default:
			carries = o.config.Str("brightness_command_topic") == ""
			if brightness == 0 {
				brightness = float64(now.GetBrightness())
			}
			if !carries || brightness == 0 {
				brightness = 255
			}
			lightPublishChannels(o, name, color, brightness)
		}
	}
	return carries
}

// lightDefaultPublishBrightness publishes a brightness on its topic, or as the present color at that brightness, unless a
// color carries it already.
func lightDefaultPublishBrightness(o *facetOutbox, now *entityv1.Light, brightness float64, carried bool) {
	if o.config.Str("brightness_command_topic") != "" {
		scale := o.config.Float("brightness_scale", 255)
		o.publish("brightness_command_topic", "brightness_command_template", lightDeviceBrightness(brightness, scale))
		return
	}
	for _, name := range []string{"rgb", "rgbw", "rgbww"} {
		if carried || o.config.Str(name+"_command_topic") == "" {
			continue
		}
		color := lightChannelsOf(now, name)
		if color == nil {
			color = slices.Repeat([]float64{255}, len(lightChannels[name]))
		}
		lightPublishChannels(o, name, color, brightness)
		return
	}
}

// lightVariables are what templates call the channels of a color.
var lightVariables = map[string][]string{
	"rgb":   {"red", "green", "blue"},
	"rgbw":  {"red", "green", "blue", "white"},
	"rgbww": {"red", "green", "blue", "cold_white", "warm_white"},
}

// lightPublishChannels publishes a color at a brightness. Fractions are cut off, as Home Assistant does.
func lightPublishChannels(o *facetOutbox, name string, color []float64, brightness float64) {
	vars := make(map[string]any)
	channels := make([]any, len(color))
	for i, variable := range lightVariables[name] {
		n := int(color[i] * brightness / 255)
		channels[i], vars[variable] = n, n
	}
	text := lightJoined(channels...)
	o.publishWith(name+"_command_topic", name+"_command_template", text, vars)
}

// lightJoined are values with commas between them.
func lightJoined(values ...any) string {
	text := ""
	for i, v := range values {
		if i > 0 {
			text += ","
		}
		text += facetText(v)
	}
	return text
}
