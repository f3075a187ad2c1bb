package command

import (
	"math"

	entityv1 "github.com/statehouse/statehouse/gen/statehouse/entity/v1"
)

// colorArguments are the ways to say a color, of which a request has one.
var colorArguments = []string{argKelvin, argXY, argHS, argRGB, argRGBW, argRGBWW, argWhite}

// colorModes are the modes that follow from the arguments.
var colorModes = map[string]string{
	argKelvin: "color_temp", argXY: "xy", argHS: "hs", argRGB: "rgb", argRGBW: "rgbw", argRGBWW: "rgbww", argWhite: "white",
}

// resolveLight works out a step of the brightness, brings the color into a form that the light has, and takes a
// brightness of zero for what it means.
func resolveLight(c *checking) error {
	if err := c.stepBrightness(); err != nil {
		return err
	}
	for _, name := range []string{argBrightness, argWhite} {
		if n, ok := numberOf(c.args[name]); ok && n == 0 {
			c.keep(argTransition, argFlash)
			return c.become(turnOff)
		}
	}
	return c.convertColor()
}

func (c *checking) stepBrightness() error {
	step, ok := numberOf(c.args[argBrightnessStep])
	percent, isPercent := numberOf(c.args[argBrightnessPct])
	_, absolute := c.args[argBrightness]
	switch {
	case !ok && !isPercent:
		return nil
	case absolute || ok && isPercent:
		return invalid("give one of %s, %s, %s", argBrightness, argBrightnessStep, argBrightnessPct)
	case isPercent:
		step = math.Round(percent * 255 / 100)
	}
	now := float64(0)
	switch on, known := c.presentBool("on"); {
	case !known:
		return c.unknown("state")
	case on:
		v, ok := c.present(argBrightness)
		if !ok {
			return c.unknown(argBrightness)
		}
		now = float64(v.Uint())
	}
	delete(c.args, argBrightnessStep)
	delete(c.args, argBrightnessPct)
	c.args[argBrightness] = number(min(max(now+step, 0), 255))
	return nil
}

// convertColor brings a color into a form that the light has: the given one, or else xy, hs, rgb and those with white,
// in this order.
func (c *checking) convertColor() error {
	given := ""
	for _, name := range colorArguments {
		if _, ok := c.args[name]; !ok {
			continue
		}
		if given != "" {
			return invalid("%s and %s are two colors; give one", given, name)
		}
		given = name
	}
	if _, both := c.args[argBrightness]; both && given == argWhite {
		return invalid("%s is the brightness of the white channel; give it or %s", argWhite, argBrightness)
	}
	own := []string{given}
	if given == argKelvin {
		own = kelvinFeatures
	}
	if given == "" || given == argWhite {
		return nil
	}
	if _, ok := c.writable(own...); ok {
		return nil
	}
	for _, name := range colorFeatures {
		if _, ok := c.writable(name); ok {
			v := toColor(name, colorOf(given, c.args[given]))
			delete(c.args, given)
			c.args[name] = v
			return nil
		}
	}
	return nil // unreachable: the argument was taken because one of them is there
}

// colorOf is any color as a point in the CIE 1931 space, and as channels where it was given as these.
func colorOf(name string, v *entityv1.Value) color {
	all, _ := numbersOf(v)
	switch name {
	case argKelvin:
		n, _ := numberOf(v)
		return xyColor(kelvinToXY(n))
	case argXY:
		return xyColor(all[0], all[1])
	case argHS:
		return rgbColor(hsToRGB(all[0], all[1]))
	default:
		return rgbColor(all[0], all[1], all[2])
	}
}

// toColor is a color as the value of an argument.
func toColor(name string, c color) *entityv1.Value {
	switch name {
	case argXY:
		return numbers(round(c.x, 4), round(c.y, 4))
	case argHS:
		hue, saturation := rgbToHS(c.red, c.green, c.blue)
		return numbers(round(hue, 2), round(saturation, 2))
	case argRGB:
		return numbers(math.Round(c.red), math.Round(c.green), math.Round(c.blue))
	case argRGBW:
		return numbers(math.Round(c.red), math.Round(c.green), math.Round(c.blue), 0)
	default:
		return numbers(math.Round(c.red), math.Round(c.green), math.Round(c.blue), 0, 0)
	}
}
