package hass

import (
	"math"
	"slices"

	entityv1 "github.com/statehouse/statehouse/gen/statehouse/entity/v1"
)

var lightAttributes = []attribute[*entityv1.Light]{
	{"brightness", func(l *entityv1.Light) any { return known(l.Brightness) }},
	{"color_mode", func(l *entityv1.Light) any { return word(l.GetColorMode()) }},
	{"color_temp_kelvin", func(l *entityv1.Light) any { return known(l.ColorTempKelvin) }},
	{"effect", func(l *entityv1.Light) any { return known(l.Effect) }},
	{"xy_color", func(l *entityv1.Light) any {
		if c := l.GetXy(); c != nil {
			return numbers(c.GetX(), c.GetY())
		}
		return nil
	}},
	{"hs_color", func(l *entityv1.Light) any {
		if c := l.GetHs(); c != nil {
			return numbers(c.GetHue(), c.GetSaturation())
		}
		return nil
	}},
	{"rgb_color", func(l *entityv1.Light) any {
		if c := l.GetRgb(); c != nil {
			return []uint32{c.GetRed(), c.GetGreen(), c.GetBlue()}
		}
		return nil
	}},
	{"rgbw_color", func(l *entityv1.Light) any {
		if c := l.GetRgbw(); c != nil {
			return []uint32{c.GetRed(), c.GetGreen(), c.GetBlue(), c.GetWhite()}
		}
		return nil
	}},
	{"rgbww_color", func(l *entityv1.Light) any {
		if c := l.GetRgbww(); c != nil {
			return []uint32{c.GetRed(), c.GetGreen(), c.GetBlue(), c.GetColdWhite(), c.GetWarmWhite()}
		}
		return nil
	}},
}

var lightCapabilities = []attribute[*entityv1.Entity]{
	{"supported_color_modes", func(e *entityv1.Entity) any { return list(colorModes(e.GetCapabilities().GetFeatures())) }},
	{"effect_list", options("effect")},
	// The warmest is the most mireds, and the fewest kelvins.
	{"min_color_temp_kelvin", func(e *entityv1.Entity) any {
		if f := colorTemperature(e); f != nil {
			return kelvin(f, f.Minimum, f.Maximum)
		}
		return nil
	}},
	{"max_color_temp_kelvin", func(e *entityv1.Entity) any {
		if f := colorTemperature(e); f != nil {
			return kelvin(f, f.Maximum, f.Minimum)
		}
		return nil
	}},
}

// colorModes are the modes that a light with such features can be in: Home Assistant has those of brightness alone, and of
// being on or off alone, only where there is no other.
func colorModes(features []string) []string {
	if len(features) == 0 {
		return nil // nothing is known
	}
	var modes []string
	if slices.Contains(features, "color_temp_kelvin") && !slices.Contains(features, "color_temp") {
		modes = append(modes, "color_temp")
	}
	for _, f := range [...]string{"color_temp", "hs", "xy", "rgb", "rgbw", "rgbww", "white"} {
		if slices.Contains(features, f) {
			modes = append(modes, f)
		}
	}
	switch {
	case len(modes) > 0:
		return modes
	case slices.Contains(features, "brightness"):
		return []string{"brightness"}
	default:
		return []string{"onoff"}
	}
}

// colorTemperature is the feature of a light's color temperature, which sources call by one of two names; nil where it has none.
func colorTemperature(e *entityv1.Entity) *entityv1.Feature {
	if f := feature(e, "color_temp"); f != nil {
		return f
	}
	return feature(e, "color_temp_kelvin")
}

// kelvin is a limit of a color temperature, of which one is meant if the feature counts in kelvins, and the other one if it
// counts in mireds.
func kelvin(f *entityv1.Feature, inKelvin, inMired *float64) any {
	limit := inKelvin
	if f.GetUnit() != "K" {
		limit = inMired
	}
	if limit == nil || *limit <= 0 {
		return nil
	}
	if f.GetUnit() == "K" {
		return number(*limit)
	}
	return number(math.Floor(1e6 / *limit))
}
