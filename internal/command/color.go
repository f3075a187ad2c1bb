package command

import "math"

// color is a color in both forms that the others are made of.
type color struct {
	x, y             float64 // CIE 1931
	red, green, blue float64 // 0 to 255, as bright as they go
}

func xyColor(x, y float64) color {
	red, green, blue := xyToRGB(x, y)
	return color{x, y, red, green, blue}
}

func rgbColor(red, green, blue float64) color {
	x, y := rgbToXY(red, green, blue)
	return color{x, y, red, green, blue}
}

// The white that red, green and blue make together: what has no color is shown as this.
const (
	whiteX = 0.3227
	whiteY = 0.3290
)

// rgbToXY is the point of a color in the wide gamut of lamps, with the gamma of sRGB. Home Assistant and Zigbee2MQTT have the
// same matrix; the one of sRGB, whose red is a screen's, would make a lamp's red orange.
func rgbToXY(red, green, blue float64) (x, y float64) {
	r, g, b := linear(red/255), linear(green/255), linear(blue/255)
	bigX := 0.664511*r + 0.154324*g + 0.162028*b
	bigY := 0.283881*r + 0.668433*g + 0.047685*b
	bigZ := 0.000088*r + 0.072310*g + 0.986039*b
	sum := bigX + bigY + bigZ
	if sum == 0 {
		return whiteX, whiteY // black has no color
	}
	return bigX / sum, bigY / sum
}

// xyToRGB is the brightest color of red, green and blue at a point, or one near it where they do not reach.
func xyToRGB(x, y float64) (red, green, blue float64) {
	if y <= 0 {
		y = 1e-4 // on the edge of the space, where no color is
	}
	bigX, bigZ := x/y, max(0, 1-x-y)/y
	r := max(0, 1.656492*bigX-0.354851-0.255038*bigZ)
	g := max(0, -0.707196*bigX+1.655397+0.036152*bigZ)
	b := max(0, 0.051713*bigX-0.121364+1.011530*bigZ)
	top := max(r, g, b)
	if top == 0 {
		return 255, 255, 255
	}
	return 255 * gamma(r/top), 255 * gamma(g/top), 255 * gamma(b/top)
}

func linear(c float64) float64 {
	if c <= 0.04045 {
		return c / 12.92
	}
	return math.Pow((c+0.055)/1.055, 2.4)
}

func gamma(c float64) float64 {
	if c <= 0.0031308 {
		return 12.92 * c
	}
	return 1.055*math.Pow(c, 1/2.4) - 0.055
}

// hsToRGB is a hue in degrees and a saturation in percent at full brightness.
func hsToRGB(hue, saturation float64) (red, green, blue float64) {
	channel := func(offset float64) float64 {
		k := math.Mod(offset+hue/60, 6)
		return 255 * (1 - saturation/100*max(0, min(k, 4-k, 1)))
	}
	return channel(5), channel(3), channel(1)
}

func rgbToHS(red, green, blue float64) (hue, saturation float64) {
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
	return 60 * hue, 100 * span / top
}

// kelvinToXY is the point of a black body on the Planckian locus, by the cubic splines of Kim et al. (US patent 7024034),
// which hold from 1667 to 25000 K.
func kelvinToXY(kelvin float64) (x, y float64) {
	t := min(max(kelvin, 1667), 25000)
	inverse := 1000 / t
	cubic := func(a, b, c, d, v float64) float64 { return ((a*v+b)*v+c)*v + d }
	if t <= 4000 {
		x = cubic(-0.2661239, -0.2343589, 0.8776956, 0.179910, inverse)
	} else {
		x = cubic(-3.0258469, 2.1070379, 0.2226347, 0.240390, inverse)
	}
	switch {
	case t <= 2222:
		y = cubic(-1.1063814, -1.34811020, 2.18555832, -0.20219683, x)
	case t <= 4000:
		y = cubic(-0.9549476, -1.37418593, 2.09137015, -0.16748867, x)
	default:
		y = cubic(3.0817580, -5.87338670, 3.75112997, -0.37001483, x)
	}
	return x, y
}

func round(n float64, digits int) float64 {
	scale := math.Pow10(digits)
	return math.Round(n*scale) / scale
}
