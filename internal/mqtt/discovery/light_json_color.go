package discovery

import (
	"fmt"

	entityv1 "github.com/statehouse/statehouse/gen/statehouse/entity/v1"
	"github.com/statehouse/statehouse/internal/mqtt/dialect"
)

// lightSaid are the colors that a message speaks of.
type lightSaid struct {
	// mode is the one that the light follows, where hasMode says that the message names one.
	mode    entityv1.ColorMode
	hasMode bool
	// kelvin is nil where the color temperature is not known, if hasKelvin says that the message speaks of it.
	kelvin    *uint32
	hasKelvin bool
	// colors are the other ones, by name, if hasColors says that the message speaks of them. They come together: what is not
	// among them is not known.
	colors    map[string][]float64
	hasColors bool
}

// lightJSONColor takes all that a message says of colors.
func lightJSONColor(c Config, a *entityv1.Attributes, n dialect.Node) error {
	said, err := lightReadColors(c, n)
	if err != nil {
		return err
	}
	if !said.hasMode && !said.hasKelvin && !said.hasColors {
		return ErrIgnored
	}
	said.conclude()
	l := lightOf(a)
	if said.hasColors {
		for _, name := range lightColors {
			lightPutColor(l, name, said.colors[name])
		}
	}
	if said.hasKelvin {
		l.ColorTempKelvin = said.kelvin
	}
	if said.hasMode {
		l.ColorMode = said.mode
	}
	return nil
}

func lightReadColors(c Config, n dialect.Node) (said lightSaid, err error) {
	mode, temperature, color := n.Get("color_mode"), n.Get("color_temp"), n.Get("color")
	said.hasMode, said.hasKelvin, said.hasColors = mode.Value != nil, temperature.Value != nil, color.Value != nil
	if !dialect.IsNull(mode.Value) {
		said.mode = lightModes[n.Str("color_mode")]
		if said.mode == 0 {
			return said, fmt.Errorf("%w: its color_mode is none that there is", ErrUnfit)
		}
	}
	if !dialect.IsNull(temperature.Value) {
		v, _ := number(temperature.Value)
		kelvin, ok := lightKelvin(c, v)
		if !ok {
			return said, fmt.Errorf("%w: its color_temp is none", ErrUnfit)
		}
		said.kelvin = &kelvin
	}
	if !dialect.IsNull(color.Value) {
		if said.colors = lightColorsOf(color, said.mode); len(said.colors) == 0 {
			return said, fmt.Errorf("%w: its color is none", ErrUnfit)
		}
	}
	return said, nil
}

// lightColorsOf are the colors that an object has whole. Red, green and blue are a color of their own or, with whites, part of
// one: the mode decides, and where it does not, what else there is.
func lightColorsOf(n dialect.Node, mode entityv1.ColorMode) map[string][]float64 {
	colors := make(map[string][]float64)
	for _, name := range lightColors {
		keys := lightJSONKeys[name]
		all := make([]float64, len(keys))
		whole := true
		for i, key := range keys {
			v, ok := number(n.Get(key).Value)
			all[i], whole = v, whole && ok
		}
		if whole && isColor(name, all) {
			colors[name] = all
		}
	}
	own := "" // the one that the mode names, or the one with the most channels
	for _, name := range []string{"rgb", "rgbw", "rgbww"} {
		if colors[name] != nil && (own == "" || lightModes[own] != mode) {
			own = name
		}
	}
	for _, name := range []string{"rgb", "rgbw", "rgbww"} {
		if name != own {
			delete(colors, name)
		}
	}
	return colors
}

// conclude works out what the message does not say. A light that says that it follows one color and which one, and nothing of
// another, has that one no more. A light that speaks of a single color and names no mode follows that.
func (s *lightSaid) conclude() {
	temperature, colored := s.kelvin != nil, len(s.colors) > 0
	switch {
	case s.hasMode && temperature && !s.hasColors && s.mode == entityv1.ColorMode_COLOR_MODE_COLOR_TEMP:
		s.hasColors = true
	case s.hasMode && colored && !s.hasKelvin && s.mode != entityv1.ColorMode_COLOR_MODE_COLOR_TEMP:
		s.hasKelvin = true
	case s.hasMode:
	case temperature && !colored:
		s.mode, s.hasMode = entityv1.ColorMode_COLOR_MODE_COLOR_TEMP, true
	case !temperature && len(s.colors) == 1:
		for name := range s.colors {
			s.mode, s.hasMode = lightModes[name], true
		}
	}
}
