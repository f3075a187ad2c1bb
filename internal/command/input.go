package command

import (
	"math"
	"slices"
	"strconv"
	"strings"

	entityv1 "github.com/statehouse/statehouse/gen/statehouse/entity/v1"
)

// lightInputs are what Home Assistant's clients, and people, say instead of a light's arguments.
var lightInputs = map[string]input{
	"brightness_pct": {KindNumber, brightnessPercent},
	"color_temp":     {KindNumber, miredInput},
	"mired":          {KindNumber, miredInput},
	"kelvin":         {KindInteger, as(argKelvin)},
	"color":          {KindText, colorInput},
	"color_name":     {KindText, colorInput},
	"rgb_color":      {KindRGB, as(argRGB)},
	"rgbw_color":     {KindRGBW, as(argRGBW)},
	"rgbww_color":    {KindRGBWW, as(argRGBWW)},
	"hs_color":       {KindHS, as(argHS)},
	"xy_color":       {KindXY, as(argXY)},
	"profile":        {KindText, profileInput},
}

func as(name string) func(*entityv1.Value) ([]*entityv1.Field, error) {
	return func(v *entityv1.Value) ([]*entityv1.Field, error) { return []*entityv1.Field{field(name, v)}, nil }
}

func brightnessPercent(v *entityv1.Value) ([]*entityv1.Field, error) {
	n, ok := numberOf(v)
	if !ok || n < 0 || n > 100 {
		return nil, invalid("brightness_pct is a number from 0 to 100 %%")
	}
	return []*entityv1.Field{field(argBrightness, number(brightness(n)))}, nil
}

// brightness is a percentage of full brightness. What is not zero is not off.
func brightness(percent float64) float64 {
	if percent > 0 {
		return max(1, math.Round(percent*255/100))
	}
	return math.Round(percent * 255 / 100)
}

func miredInput(v *entityv1.Value) ([]*entityv1.Field, error) {
	n, ok := numberOf(v)
	if !ok || n < 1 || n > 10000 {
		return nil, invalid("a color temperature in mired is a number from 1 to 10000; color_temp_kelvin is in kelvin")
	}
	return []*entityv1.Field{field(argKelvin, number(math.Round(1e6/n)))}, nil
}

func colorInput(v *entityv1.Value) ([]*entityv1.Field, error) {
	s, _ := textOf(v)
	rgb, ok := parseColor(s)
	if !ok {
		names := make([]string, 0, len(colorNames))
		for name := range colorNames {
			names = append(names, name)
		}
		slices.Sort(names)
		return nil, invalid("color %s is neither a name of CSS nor as #ff8800; %s", shown(s), suggest(s, names))
	}
	return []*entityv1.Field{field(argRGB, numbers(float64(rgb>>16), float64(rgb>>8&0xff), float64(rgb&0xff)))}, nil
}

// parseColor reads a name, or three or six hexadecimal digits behind a #.
func parseColor(s string) (uint32, bool) {
	digits, isHex := strings.CutPrefix(s, "#")
	if !isHex {
		if len(s) > 64 {
			return 0, false
		}
		rgb, ok := colorNames[strings.ToLower(strings.ReplaceAll(s, " ", ""))]
		return rgb, ok
	}
	if len(digits) == 3 {
		digits = string([]byte{digits[0], digits[0], digits[1], digits[1], digits[2], digits[2]})
	}
	n, err := strconv.ParseUint(digits, 16, 32)
	return uint32(n), err == nil && len(digits) == 6
}

// profile is one of the colors that Home Assistant brings under a name.
type profile struct{ x, y, brightness float64 }

var profiles = map[string]profile{
	"relax":       {0.5119, 0.4147, 144},
	"energize":    {0.368, 0.3686, 203},
	"concentrate": {0.5119, 0.4147, 219},
	"reading":     {0.4448, 0.4066, 240},
}

func profileInput(v *entityv1.Value) ([]*entityv1.Field, error) {
	s, _ := textOf(v)
	p, ok := profiles[s]
	if !ok {
		return nil, invalid("profile %s is not known; there are: concentrate, energize, reading, relax", shown(s))
	}
	return []*entityv1.Field{field(argXY, numbers(p.x, p.y)), field(argBrightness, number(p.brightness))}, nil
}

// mediaInput is what Home Assistant's choice of media gives.
func mediaInput(v *entityv1.Value) ([]*entityv1.Field, error) {
	var fields []*entityv1.Field
	for _, f := range v.GetStructValue().GetFields() {
		switch f.GetName() {
		case "media_content_id", "media_content_type":
			fields = append(fields, field(f.GetName(), f.GetValue()))
		case "metadata", "entity_id": // what it looks like, and who plays it
		default:
			return nil, invalid("media has no %s; it has media_content_id and media_content_type", shown(f.GetName()))
		}
	}
	if len(fields) != 2 {
		return nil, invalid("media needs media_content_id and media_content_type, each once")
	}
	return fields, nil
}
