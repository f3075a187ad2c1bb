package discovery

import (
	"fmt"
	"math"
	"slices"

	entityv1 "github.com/statehouse/statehouse/gen/statehouse/entity/v1"
	"github.com/statehouse/statehouse/internal/command"
	"github.com/statehouse/statehouse/internal/mqtt"
	"github.com/statehouse/statehouse/internal/mqtt/dialect"
	"github.com/statehouse/statehouse/state"
)

// lightJSON is a light that says and takes everything as an object of JSON. What an object does not speak of stays as it is, and null
// is not known.
var lightJSON = lightSchema{describe: lightJSONDescribe, inputs: lightJSONInputs, command: lightJSONCommand}

// lightJSONModes are the color modes of a light. Lights that were made before there were modes say each of their
// colors with a flag.
func lightJSONModes(c Config) []string {
	if c.Has("supported_color_modes") {
		return c.Words("supported_color_modes")
	}
	var modes []string
	for _, mode := range []string{"brightness", "color_temp", "hs", "rgb", "xy"} {
		if c.Flag(mode, false) {
			modes = append(modes, mode)
		}
	}
	return modes
}

func lightJSONDescribe(c Config, e *entityv1.Entity) {
	says, modes := answersOn(c, "state_topic"), lightJSONModes(c)
	add := func(f *entityv1.Feature, has bool) { lightFeature(e, f, says && has, has) }
	add(&entityv1.Feature{Name: "on"}, true)
	dims := slices.ContainsFunc(modes, func(mode string) bool { return mode != "onoff" })
	add(lightScale(c, "brightness", "brightness_scale"), dims || c.Flag("brightness", false))
	add(lightTemperature(c), slices.Contains(modes, "color_temp"))
	for _, name := range lightColors {
		add(&entityv1.Feature{Name: name}, slices.Contains(modes, name))
	}
	lightFeature(e, lightScale(c, "white", "white_scale"), false, slices.Contains(modes, "white"))
	add(lightEffects(c), c.Flag("effect", false))
	lightFeature(e, lightFlash(), false, c.Flag("flash", true))
	colored := slices.ContainsFunc(modes, func(m string) bool { return isLightColor(m) || m == "color_temp" || m == "white" })
	lightFeature(e, &entityv1.Feature{Name: "color_mode"}, says && colored, false)
}

func lightJSONInputs(c Config) []Input {
	sources := c.Sources("state_topic", "")
	from := func(set func(a *entityv1.Attributes, n dialect.Node) error) Input {
		return Input{Sources: sources, Set: unlessEmpty(func(a *entityv1.Attributes, s Said) error {
			o := s.object()
			if o == nil {
				return unfit(s, "an object of JSON")
			}
			return set(a, o.Node)
		})}
	}
	scale := c.Float("brightness_scale", 255)
	return inputsOf(
		from(lightJSONOn),
		from(func(a *entityv1.Attributes, n dialect.Node) error { return lightJSONBrightness(a, n, scale) }),
		from(func(a *entityv1.Attributes, n dialect.Node) error { return lightJSONColor(c, a, n) }),
		from(lightJSONEffect),
	)
}

func lightJSONOn(a *entityv1.Attributes, n dialect.Node) error {
	if !n.Has("state") {
		return ErrIgnored
	}
	word := n.Str("state")
	switch {
	case dialect.IsNull(n.Get("state").Value):
		lightOf(a).On = nil
	case word == "ON" || word == "OFF":
		on := word == "ON"
		lightOf(a).On = &on
	default:
		return fmt.Errorf("%w: its state is neither ON nor OFF", ErrUnfit)
	}
	return nil
}

func lightJSONBrightness(a *entityv1.Attributes, n dialect.Node, scale float64) error {
	if !n.Has("brightness") {
		return ErrIgnored
	}
	v := n.Get("brightness").Value
	brightness, ok := number(v)
	switch {
	case dialect.IsNull(v):
		lightPutBrightness(a, nil, scale)
	case !ok || brightness < 0:
		return fmt.Errorf("%w: its brightness is no number from 0 to %g", ErrUnfit, scale)
	default:
		lightPutBrightness(a, &brightness, scale)
	}
	return nil
}

func lightJSONEffect(a *entityv1.Attributes, n dialect.Node) error {
	if !n.Has("effect") {
		return ErrIgnored
	}
	v := n.Get("effect").Value
	effect, ok := wordOf(v)
	switch {
	case dialect.IsNull(v):
		lightOf(a).Effect = nil
	case !ok || len(effect) > facetMaxOption:
		return fmt.Errorf("%w: its effect is no name", ErrUnfit)
	default:
		lightOf(a).Effect = &effect
	}
	return nil
}

// lightJSONCommand writes an object as Home Assistant does, in its order.
func lightJSONCommand(c Config, cmd command.Checked, _ *entityv1.Light) ([]mqtt.Publication, error) {
	message := &lightMessage{}
	brightness, dims := cmd.Float("brightness")
	if cmd.Action == "turn_off" {
		message.add("state", "OFF")
	} else {
		message.add("state", "ON")
		if lightJSONPublishColor(c, message, cmd, brightness) {
			dims = false
		}
	}
	if transition, ok := cmd.Float("transition"); ok && c.Flag("transition", true) {
		message.add("transition", transition)
	}
	if flash, ok := cmd.String("flash"); ok {
		message.add("flash", lightJSONFlash(c, flash))
	}
	if dims {
		message.add("brightness", lightDeviceBrightness(brightness, c.Float("brightness_scale", 255)))
	}
	if kelvin, ok := cmd.Float("color_temp_kelvin"); ok {
		message.add("color_temp", lightDeviceTemperature(c, kelvin))
	}
	if effect, ok := cmd.String("effect"); ok {
		message.add("effect", effect)
	}
	if white, ok := cmd.Float("white"); ok {
		message.add("white", lightDeviceBrightness(white, c.Float("white_scale", 255)))
	}
	o := &facetOutbox{config: c}
	o.publish("command_topic", "", string(state.AppendJSON(nil, message.value())))
	return o.done()
}

// lightJSONFlash is how many seconds a light flashes.
func lightJSONFlash(c Config, length string) int {
	seconds := c.Float("flash_time_short", 2)
	if length == "long" {
		seconds = c.Float("flash_time_long", 10)
	}
	return int(min(max(seconds, 0), math.MaxInt32))
}

// lightJSONKeys are the names of a color's numbers.
var lightJSONKeys = map[string][]string{
	"hs": {"h", "s"}, "xy": {"x", "y"}, "rgb": {"r", "g", "b"}, "rgbw": {"r", "g", "b", "w"}, "rgbww": {"r", "g", "b", "c", "w"},
}

// lightJSONPublishColor adds the color that is asked for and says whether its channels carry the brightness, as they do
// where the light is not said to have one.
func lightJSONPublishColor(c Config, message *lightMessage, cmd command.Checked, brightness float64) (carries bool) {
	for _, name := range lightColors {
		color, ok := cmd.Floats(name)
		if !ok {
			continue
		}
		channels := name != "hs" && name != "xy"
		carries = channels && brightness > 0 && !c.Flag("brightness", false)
		parts := &lightMessage{}
		for i, key := range lightJSONKeys[name] {
			switch {
			case carries:
				parts.add(key, int(math.RoundToEven(color[i]/255*brightness)))
			case channels:
				parts.add(key, int(color[i]))
			default:
				parts.add(key, color[i])
			}
		}
		message.add("color", parts)
	}
	return carries
}

// lightMessage is an object of JSON with its fields in the order in which they are added.
type lightMessage struct{ fields []*entityv1.Field }

func (o *lightMessage) value() *entityv1.Value {
	return &entityv1.Value{Kind: &entityv1.Value_StructValue{StructValue: &entityv1.StructValue{Fields: o.fields}}}
}

// add adds a string, an int, a float64, or an object.
func (o *lightMessage) add(name string, value any) {
	field := &entityv1.Field{Name: name}
	switch v := value.(type) {
	case string:
		field.Value = dialect.StringValue(v)
	case int:
		field.Value = &entityv1.Value{Kind: &entityv1.Value_IntValue{IntValue: int64(v)}}
	case float64:
		field.Value = &entityv1.Value{Kind: &entityv1.Value_DoubleValue{DoubleValue: v}}
	case *lightMessage:
		field.Value = v.value()
	}
	o.fields = append(o.fields, field)
}
