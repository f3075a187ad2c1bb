package discovery

import (
	"math"
	"strings"

	entityv1 "github.com/statehouse/statehouse/gen/statehouse/entity/v1"
	"github.com/statehouse/statehouse/internal/command"
	"github.com/statehouse/statehouse/internal/mqtt"
	"github.com/statehouse/statehouse/internal/template"
)

// lightTemplate is a light whose templates make what it takes, and read all that it says from the messages of one topic.
var lightTemplate = lightSchema{
	needs:    []string{"command_on_template", "command_off_template"},
	describe: lightTemplateDescribe, inputs: lightTemplateInputs, command: lightTemplateCommand,
}

// lightColorTemplate makes one text of the three templates of a color, with commas between what they say, so that all of it is
// rendered before the writer's turn. It is nil where one of the three is missing or is no template, or where they are too long together.
// The filter keeps what a template sets from the next.
func lightColorTemplate(c Config) *template.Template {
	var parts []string
	for _, key := range []string{"red_template", "green_template", "blue_template"} {
		one, err := template.Compile(c.Str(key))
		if err != nil || one.Text() == "" {
			return nil
		}
		parts = append(parts, "{% filter trim %}"+one.Text()+"{% endfilter %}")
	}
	all, err := template.Compile(strings.Join(parts, ","))
	if err != nil {
		return nil
	}
	return all
}

func lightTemplateDescribe(c Config, e *entityv1.Entity) {
	says := answersOn(c, "state_topic")
	has := func(key string) bool { return c.Str(key) != "" }
	add := func(f *entityv1.Feature, has bool) { lightFeature(e, f, says && has, has) }
	lightFeature(e, &entityv1.Feature{Name: "on"}, says && has("state_template"), true)
	add(&entityv1.Feature{Name: "brightness"}, has("brightness_template"))
	add(lightTemperature(c), has("color_temp_template"))
	colored := lightColorTemplate(c) != nil
	add(&entityv1.Feature{Name: "rgb"}, colored)
	lightFeature(e, lightEffects(c), says && has("effect_template"), c.Has("effect_list"))
	lightFeature(e, lightFlash(), false, true)
	lightFeature(e, &entityv1.Feature{Name: "color_mode"}, says && (colored || has("color_temp_template")), false)
}

func lightTemplateInputs(c Config) []Input {
	from := func(key string, set setter) Input {
		if c.Str(key) == "" {
			return Input{}
		}
		return Input{Sources: c.Sources("state_topic", key), Set: unlessEmpty(set)}
	}
	inputs := []Input{
		from("state_template", facetOn("on", "off", func(a *entityv1.Attributes, on *bool) { lightOf(a).On = on })),
		from("brightness_template", facetFloat(0, math.MaxUint32, "", func(a *entityv1.Attributes, n *float64) { lightPutBrightness(a, n, 255) })),
		from("color_temp_template", lightTemplateTemperature(c)),
		from("effect_template", lightPutEffect),
	}
	if color := lightColorTemplate(c); color != nil {
		in := from("red_template", lightTemplateColor)
		for i := range in.Sources {
			in.Sources[i].Template = color
		}
		inputs = append(inputs, in)
	}
	return inputsOf(inputs...)
}

func lightTemplateTemperature(c Config) setter {
	set := lightDefaultTemperature(c)
	return func(a *entityv1.Attributes, s Said) error {
		if s.Unknown() && a.GetLight().GetColorMode() == entityv1.ColorMode_COLOR_MODE_COLOR_TEMP {
			lightOf(a).ColorMode = 0
		}
		return set(a, s)
	}
}

// lightTemplateColor takes what the three templates of a color say together. A message that has no red speaks of no color.
func lightTemplateColor(a *entityv1.Attributes, s Said) error {
	switch {
	case strings.HasPrefix(s.Text, ","):
		return ErrIgnored
	case s.Text == "None,None,None":
		if l := lightOf(a); l.GetColorMode() == entityv1.ColorMode_COLOR_MODE_RGB {
			l.ColorMode = 0
		}
		lightPutColor(lightOf(a), "rgb", nil)
		return nil
	}
	color, err := lightParseColor("rgb", s.Text)
	if err != nil {
		return err
	}
	lightPutColor(lightOf(a), "rgb", color)
	lightOf(a).ColorMode = entityv1.ColorMode_COLOR_MODE_RGB
	return nil
}

// lightTemplateCommand renders a template, which sees what is asked for, and nothing of what is not.
func lightTemplateCommand(c Config, cmd command.Checked, _ *entityv1.Light) ([]mqtt.Publication, error) {
	o := &facetOutbox{config: c}
	vars := map[string]any{"state": cmd.Action == "turn_on"}
	if transition, ok := cmd.Float("transition"); ok {
		vars["transition"] = transition
	}
	if flash, ok := cmd.String("flash"); ok {
		vars["flash"] = flash
	}
	if cmd.Action == "turn_off" {
		o.publishWith("command_topic", "command_off_template", "", vars)
		return o.done()
	}
	if brightness, ok := cmd.Float("brightness"); ok {
		vars["brightness"] = int(brightness)
	}
	if kelvin, ok := cmd.Float("color_temp_kelvin"); ok {
		vars["color_temp"] = lightDeviceTemperature(c, kelvin)
	}
	if rgb, ok := cmd.Floats("rgb"); ok {
		vars["red"], vars["green"], vars["blue"] = int(rgb[0]), int(rgb[1]), int(rgb[2])
		vars["hue"], vars["sat"] = lightHue(rgb)
	}
	if effect, ok := cmd.String("effect"); ok {
		vars["effect"] = effect
	}
	o.publishWith("command_topic", "command_on_template", "", vars)
	return o.done()
}
