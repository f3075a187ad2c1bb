package zigbee2mqtt

import (
	"math"

	entityv1 "github.com/statehouse/statehouse/gen/statehouse/entity/v1"
	"github.com/statehouse/statehouse/internal/mqtt/dialect"
)

// Features of a light.
const (
	featureBrightness = "brightness"
	featureColorTemp  = "color_temp"
	featureXy         = "xy"
	featureHs         = "hs"
	featureColorMode  = "color_mode"
	featureEffect     = "effect"
)

// defaultBrightness is Zigbee's brightest.
const defaultBrightness = 254

func lightEntities(e expose, all []expose) []dialect.Spec {
	state, ok := e.feature("state")
	if !ok {
		return nil
	}
	s := e.composite(domainLight, state.property, state.describe(featureOn))
	color := ""
	for _, f := range e.features() {
		switch f.name {
		case "state":
		case "brightness":
			s.AddFeature(f.describe(featureBrightness))
		case "color_temp":
			s.AddFeature(f.describe(featureColorTemp))
		case "color_xy":
			s.AddFeature(f.describe(featureXy))
			color = f.property
		case "color_hs":
			s.AddFeature(f.describe(featureHs))
			color = f.property
		default:
			s.AddFeature(f.describe(f.name)) // kept as extra
		}
	}
	if color != "" {
		// No expose names it, but every report of a colored light has it.
		s.AddFeature(&entityv1.Feature{Name: featureColorMode, Property: withEndpoint("color_mode", e.endpoint), Readable: true})
	}
	effect, ok := find(all, func(o expose) bool { return o.name == "effect" && o.kind == "enum" && o.endpoint == e.endpoint })
	if ok {
		s.AddFeature(effect.describe(featureEffect))
	}
	return []dialect.Spec{s}
}

func withEndpoint(property, endpoint string) string {
	if endpoint == "" {
		return property
	}
	return property + "_" + endpoint
}

// light is the light in a, made where there is none.
func light(a *entityv1.Attributes) *entityv1.Light {
	if a.GetLight() == nil {
		a.Domain = &entityv1.Attributes_Light{Light: &entityv1.Light{}}
	}
	return a.GetLight()
}

func lightSetter(f *entityv1.Feature) setter {
	switch f.GetName() {
	case featureOn:
		return func(a *entityv1.Attributes, v *entityv1.Value) *entityv1.Value {
			on, fits := isOn(v, f)
			light(a).On = on
			return rest(v, fits)
		}
	case featureBrightness:
		return setBrightness(f.Maximum)
	case featureColorTemp:
		return setColorTemp
	case featureXy, featureHs:
		return setColor
	case featureColorMode:
		return setColorMode
	case featureEffect:
		return func(a *entityv1.Attributes, v *entityv1.Value) *entityv1.Value {
			effect, ok := dialect.TextOf(v)
			light(a).Effect = nil
			if ok {
				light(a).Effect = &effect
			}
			return rest(v, ok || v == nil)
		}
	default:
		return keep
	}
}

// keep leaves everything to the extra.
func keep(_ *entityv1.Attributes, v *entityv1.Value) *entityv1.Value { return v }

// setBrightness turns the source's scale, which mostly ends at 254, into ours, which ends at 255. No two values of a
// scale up to 255 become the same.
func setBrightness(maximum *float64) setter {
	brightest := float64(defaultBrightness)
	if maximum != nil && *maximum > 0 && *maximum <= math.MaxUint32 {
		brightest = *maximum
	}
	return func(a *entityv1.Attributes, v *entityv1.Value) *entityv1.Value {
		l := light(a)
		l.Brightness = nil
		if v == nil {
			return nil
		}
		n, ok := dialect.WholeOf(v, max(brightest, 255)) // some lamps report 255 against their own definition
		if !ok {
			return v
		}
		scaled := uint32(math.Round(min(float64(n), brightest) * 255 / brightest))
		l.Brightness = &scaled
		return nil
	}
}

// setColorTemp turns mireds into kelvins.
func setColorTemp(a *entityv1.Attributes, v *entityv1.Value) *entityv1.Value {
	l := light(a)
	l.ColorTempKelvin = nil
	if v == nil {
		return nil
	}
	mired, ok := dialect.DoubleOf(v)
	if !ok || mired < 1 || mired > 1e6 {
		return v
	}
	kelvin := uint32(math.Round(1e6 / mired))
	l.ColorTempKelvin = &kelvin
	return nil
}

// setColor reads the object in which all ways of saying a color stand together. It comes whole: what it does not
// say is not known.
func setColor(a *entityv1.Attributes, v *entityv1.Value) *entityv1.Value {
	l := light(a)
	l.Xy, l.Hs, l.Rgb = nil, nil, nil
	if v == nil {
		return nil
	}
	fields := v.GetStructValue().GetFields()
	n := dialect.Node{Value: v}
	used := 0
	if x, y := n.Num("x"), n.Num("y"); x != nil && y != nil {
		l.Xy = &entityv1.ColorXy{X: *x, Y: *y}
		used += 2
	}
	for _, names := range [][2]string{{"h", "s"}, {"hue", "saturation"}} { // the same twice, where Home Assistant listens
		if hue, saturation := n.Num(names[0]), n.Num(names[1]); hue != nil && saturation != nil {
			if l.Hs != nil && (l.GetHs().GetHue() != *hue || l.GetHs().GetSaturation() != *saturation) {
				used -= 2 // they differ, so that one of them would be lost
			}
			l.Hs = &entityv1.ColorHs{Hue: *hue, Saturation: *saturation}
			used += 2
		}
	}
	red, isRed := dialect.WholeOf(n.Get("r").Value, 255)
	green, isGreen := dialect.WholeOf(n.Get("g").Value, 255)
	blue, isBlue := dialect.WholeOf(n.Get("b").Value, 255)
	if isRed && isGreen && isBlue {
		l.Rgb = &entityv1.ColorRgb{Red: red, Green: green, Blue: blue}
		used += 3
	}
	return rest(v, used == len(fields) && used > 0)
}

var colorModes = map[string]entityv1.ColorMode{
	"color_temp": entityv1.ColorMode_COLOR_MODE_COLOR_TEMP,
	"hs":         entityv1.ColorMode_COLOR_MODE_HS,
	"xy":         entityv1.ColorMode_COLOR_MODE_XY,
	"rgb":        entityv1.ColorMode_COLOR_MODE_RGB,
	"rgbw":       entityv1.ColorMode_COLOR_MODE_RGBW,
	"rgbww":      entityv1.ColorMode_COLOR_MODE_RGBWW,
	"white":      entityv1.ColorMode_COLOR_MODE_WHITE,
	"brightness": entityv1.ColorMode_COLOR_MODE_BRIGHTNESS,
	"onoff":      entityv1.ColorMode_COLOR_MODE_ONOFF,
}

func setColorMode(a *entityv1.Attributes, v *entityv1.Value) *entityv1.Value {
	s, _ := dialect.TextOf(v)
	mode, ok := colorModes[s]
	light(a).ColorMode = mode
	return rest(v, ok || v == nil)
}
