package discovery

import (
	"fmt"
	"slices"
	"strings"

	entityv1 "github.com/statehouse/statehouse/gen/statehouse/entity/v1"
	"github.com/statehouse/statehouse/internal/command"
	"github.com/statehouse/statehouse/internal/mqtt"
)

// lightComponents are lights, climate devices, fans, humidifiers and water heaters.
var lightComponents = []Component{lightComponent, climateComponent, fanComponent, humidifierComponent, waterHeaterComponent}

// lightComponent is one of three, by the schema of its configuration: what a light says and takes over a topic for each
// thing, as an object of JSON, or as its templates have it.
var lightComponent = Component{
	Name: "light", Domain: "light", Check: lightCheck,
	Describe: func(c Config, e *entityv1.Entity) { lightSchemaOf(c).describe(c, e) },
	Inputs:   func(c Config) []Input { return lightSchemaOf(c).inputs(c) },
	Command: func(c Config, cmd command.Checked, now *entityv1.Attributes) ([]mqtt.Publication, error) {
		switch cmd.Action {
		case "turn_on", "turn_off":
			return lightSchemaOf(c).command(c, cmd, now.GetLight())
		default:
			return nil, cannot(cmd, notOverMQTT)
		}
	},
}

// lightSchema is how a light speaks.
type lightSchema struct {
	// needs are the keys without which it does not.
	needs    []string
	describe func(c Config, e *entityv1.Entity)
	inputs   func(c Config) []Input
	// command is for turn_on and turn_off.
	command func(c Config, cmd command.Checked, now *entityv1.Light) ([]mqtt.Publication, error)
}

var lightSchemas = map[string]lightSchema{
	"":         lightDefault,
	"basic":    lightDefault,
	"default":  lightDefault,
	"json":     lightJSON,
	"template": lightTemplate,
}

func lightSchemaOf(c Config) lightSchema { return lightSchemas[strings.ToLower(c.Str("schema"))] }

func lightCheck(c Config) error {
	schema, ok := lightSchemas[strings.ToLower(c.Str("schema"))]
	if !ok {
		return fmt.Errorf("%w: schema %.40q; there are: default, json, template", ErrIncomplete, c.Str("schema"))
	}
	if err := needsAll("light", "command_topic")(c); err != nil {
		return err
	}
	for _, key := range schema.needs {
		if c.Str(key) == "" {
			return fmt.Errorf("%w: a light of schema %s needs a %s", ErrIncomplete, c.Str("schema"), key)
		}
	}
	for _, key := range []string{"brightness_scale", "white_scale"} {
		if scale := c.Float(key, 255); scale < 1 || scale > lightMaxScale {
			return fmt.Errorf("%w: %s %g, where 1 to %d is possible", ErrIncomplete, key, scale, lightMaxScale)
		}
	}
	if when := c.Word("on_command_type", lightOnLast); when != lightOnLast && when != lightOnFirst && when != lightOnBrightness {
		return fmt.Errorf("%w: on_command_type %.40q; there are: last, first, brightness", ErrIncomplete, when)
	}
	for _, mode := range c.Words("supported_color_modes") {
		if lightModes[mode] == 0 {
			return fmt.Errorf("%w: supported_color_modes: %.40q is no color mode", ErrIncomplete, mode)
		}
	}
	return nil
}

// lightMaxScale is the end of the longest scale: 31 bits are more than any lamp has steps.
const lightMaxScale = 1<<31 - 1

// When a light of the default schema gets its payload for on.
const (
	lightOnLast       = "last"       // after everything else
	lightOnFirst      = "first"      // before it
	lightOnBrightness = "brightness" // never: its brightness says it
)

func lightOf(a *entityv1.Attributes) *entityv1.Light {
	if a.GetLight() == nil {
		a.Domain = &entityv1.Attributes_Light{Light: &entityv1.Light{}}
	}
	return a.GetLight()
}

var lightModes = map[string]entityv1.ColorMode{
	"onoff":      entityv1.ColorMode_COLOR_MODE_ONOFF,
	"brightness": entityv1.ColorMode_COLOR_MODE_BRIGHTNESS,
	"color_temp": entityv1.ColorMode_COLOR_MODE_COLOR_TEMP,
	"hs":         entityv1.ColorMode_COLOR_MODE_HS,
	"xy":         entityv1.ColorMode_COLOR_MODE_XY,
	"rgb":        entityv1.ColorMode_COLOR_MODE_RGB,
	"rgbw":       entityv1.ColorMode_COLOR_MODE_RGBW,
	"rgbww":      entityv1.ColorMode_COLOR_MODE_RGBWW,
	"white":      entityv1.ColorMode_COLOR_MODE_WHITE,
}

// lightFeature adds a feature that the light reports, takes, or both.
func lightFeature(e *entityv1.Entity, f *entityv1.Feature, readable, writable bool) {
	if readable || writable {
		f.Readable, f.Writable = readable, writable
		addFeature(e, f)
	}
}

// lightEffects is the feature of the effects that a light lists.
func lightEffects(c Config) *entityv1.Feature {
	return &entityv1.Feature{Name: "effect", Options: facetOptions(c, "effect_list")}
}

// lightFlash is the feature of a light that can flash.
func lightFlash() *entityv1.Feature {
	return &entityv1.Feature{Name: "flash", Options: []string{"short", "long"}}
}

// lightScale is the feature of a level on a scale of the device's own.
func lightScale(c Config, name, key string) *entityv1.Feature {
	scale := c.Float(key, 255)
	return &entityv1.Feature{Name: name, Maximum: &scale}
}

// lightColors are the names of colors that are lists of numbers, in the order in which they are published.
var lightColors = []string{"hs", "rgb", "rgbw", "rgbww", "xy"}

// isLightColor says that a color mode is a color of lightColors.
func isLightColor(mode string) bool { return slices.Contains(lightColors, mode) }
