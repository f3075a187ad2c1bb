package discovery

import (
	"fmt"
	"math"
	"strings"

	entityv1 "github.com/statehouse/statehouse/gen/statehouse/entity/v1"
)

// Color temperatures that a light has which names no limits, as Home Assistant has them.
const (
	lightWarmest = 2000
	lightColdest = 6535
)

// lightTemperature is the feature of a color temperature, in kelvin. Limits in mired go before those in kelvin, as in Home
// Assistant.
func lightTemperature(c Config) *entityv1.Feature {
	low, high := c.Float("min_kelvin", lightWarmest), c.Float("max_kelvin", lightColdest)
	if n := c.Float("max_mireds", 0); n >= 1 {
		low = lightReciprocal(n)
	}
	if n := c.Float("min_mireds", 0); n >= 1 {
		high = lightReciprocal(n)
	}
	low, high = min(low, high), max(low, high)
	return &entityv1.Feature{Name: "color_temp", Unit: "K", Minimum: &low, Maximum: &high}
}

// lightReciprocal turns mired into kelvin and back. Home Assistant cuts the fraction off; rounded, what a light says is what it
// is told when the same is asked for again, and is what other dialects make of the same light.
func lightReciprocal(n float64) float64 { return math.Round(1e6 / n) }

// lightDeviceTemperature is a color temperature as the device writes it: in mired, or in kelvin where it says so.
func lightDeviceTemperature(c Config, kelvin float64) int {
	if c.Flag("color_temp_kelvin", false) {
		return int(kelvin)
	}
	return int(lightReciprocal(kelvin))
}

// lightKelvin is a color temperature that the device wrote, in kelvin.
func lightKelvin(c Config, n float64) (uint32, bool) {
	if n < 1 || n > 1e6 {
		return 0, false
	}
	if c.Flag("color_temp_kelvin", false) {
		return uint32(math.Round(n)), true
	}
	return uint32(lightReciprocal(n)), true
}

// lightOurBrightness is a brightness of the device, which is not zero, on our scale. It is never zero either: the light is on.
func lightOurBrightness(n, scale float64) uint32 {
	return uint32(min(max(math.RoundToEven(n*255/scale), 1), 255))
}

// lightDeviceBrightness is a brightness, which is not zero, on the device's scale. It is never zero either, which would be off.
func lightDeviceBrightness(n, scale float64) int {
	return int(min(max(math.RoundToEven(n*scale/255), 1), scale))
}

// lightPutBrightness takes a brightness on the device's scale. Zero says that the light is off, and not what it will come back with.
func lightPutBrightness(a *entityv1.Attributes, n *float64, scale float64) {
	switch {
	case n == nil:
		lightOf(a).Brightness = nil
	case *n > 0:
		brightness := lightOurBrightness(*n, scale)
		lightOf(a).Brightness = &brightness
	}
}

// lightChannels are the limits of the numbers of a color.
var lightChannels = map[string][]float64{
	"hs": {360, 100}, "xy": {1, 1}, "rgb": {255, 255, 255}, "rgbw": {255, 255, 255, 255}, "rgbww": {255, 255, 255, 255, 255},
}

// isColor says that numbers are a color of that name.
func isColor(name string, all []float64) bool {
	limits := lightChannels[name]
	if len(all) != len(limits) {
		return false
	}
	for i, n := range all {
		if !(n >= 0 && n <= limits[i]) {
			return false
		}
	}
	return true
}

// lightParseColor reads numbers with commas between them.
func lightParseColor(name, text string) ([]float64, error) {
	parts := strings.SplitN(text, ",", len(lightChannels[name])+1)
	all := make([]float64, len(parts))
	for i, part := range parts {
		n, ok := parseNumber(part)
		if !ok {
			n = -1
		}
		all[i] = n
	}
	if !isColor(name, all) {
		return nil, fmt.Errorf("%w: %.80q is no color %s", ErrUnfit, text, name)
	}
	return all, nil
}

// lightPutColor sets a color of a light, and takes it away where there are no numbers.
func lightPutColor(l *entityv1.Light, name string, all []float64) {
	n := make([]uint32, 5)
	for i, v := range all {
		n[i] = uint32(math.Round(v))
	}
	known := all != nil
	switch name {
	case "hs":
		l.Hs = nil
		if known {
			l.Hs = &entityv1.ColorHs{Hue: all[0], Saturation: all[1]}
		}
	case "xy":
		l.Xy = nil
		if known {
			l.Xy = &entityv1.ColorXy{X: all[0], Y: all[1]}
		}
	case "rgb":
		l.Rgb = nil
		if known {
			l.Rgb = &entityv1.ColorRgb{Red: n[0], Green: n[1], Blue: n[2]}
		}
	case "rgbw":
		l.Rgbw = nil
		if known {
			l.Rgbw = &entityv1.ColorRgbw{Red: n[0], Green: n[1], Blue: n[2], White: n[3]}
		}
	default:
		l.Rgbww = nil
		if known {
			l.Rgbww = &entityv1.ColorRgbww{Red: n[0], Green: n[1], Blue: n[2], ColdWhite: n[3], WarmWhite: n[4]}
		}
	}
}

// lightChannelsOf is a light's color of that name made of channels, nil where it is not known.
func lightChannelsOf(l *entityv1.Light, name string) []float64 {
	switch {
	case name == "rgb" && l.GetRgb() != nil:
		c := l.GetRgb()
		return []float64{float64(c.GetRed()), float64(c.GetGreen()), float64(c.GetBlue())}
	case name == "rgbw" && l.GetRgbw() != nil:
		c := l.GetRgbw()
		return []float64{float64(c.GetRed()), float64(c.GetGreen()), float64(c.GetBlue()), float64(c.GetWhite())}
	case name == "rgbww" && l.GetRgbww() != nil:
		c := l.GetRgbww()
		return []float64{
			float64(c.GetRed()), float64(c.GetGreen()), float64(c.GetBlue()), float64(c.GetColdWhite()), float64(c.GetWarmWhite()),
		}
	default:
		return nil
	}
}

// lightHue is the hue and the saturation of a color made of channels.
func lightHue(rgb []float64) (hue, saturation float64) {
	red, green, blue := rgb[0], rgb[1], rgb[2]
	top, low := max(red, green, blue), min(red, green, blue)
	if top == low {
		return 0, 0
	}
	span := top - low
	switch top {
	case red:
		hue = math.Mod((green-blue)/span+6, 6)
	case green:
		hue = (blue-red)/span + 2
	default:
		hue = (red-green)/span + 4
	}
	round := func(n float64) float64 { return math.Round(n*1000) / 1000 } // as Home Assistant does
	return round(60 * hue), round(100 * span / top)
}
