package command

import (
	"slices"
	"time"

	entityv1 "github.com/statehouse/statehouse/gen/statehouse/entity/v1"
)

// Names of arguments that code refers to.
const (
	argBrightness     = "brightness"
	argBrightnessStep = "brightness_step"
	argBrightnessPct  = "brightness_step_pct"
	argKelvin         = "color_temp_kelvin"
	argXY             = "xy"
	argHS             = "hs"
	argRGB            = "rgb"
	argRGBW           = "rgbw"
	argRGBWW          = "rgbww"
	argWhite          = "white"
	argTransition     = "transition"
	argFlash          = "flash"
	argPosition       = "position"
	argPercentage     = "percentage"
	argPercentageStep = "percentage_step"
	argPreset         = "preset_mode"
	argHvacMode       = "hvac_mode"
	argTemperature    = "temperature"
	argHigh           = "target_temp_high"
	argLow            = "target_temp_low"
	argOperation      = "operation_mode"
	argOption         = "option"
	argCycle          = "cycle"
	argVolume         = "volume_level"
	argVersion        = "version"
	argCode           = "code"
	argValue          = "value"
)

// Names of actions that code refers to.
const (
	turnOn          = "turn_on"
	turnOff         = "turn_off"
	toggle          = "toggle"
	setValue        = "set_value"
	setHvacMode     = "set_hvac_mode"
	setOperation    = "set_operation_mode"
	setPercentage   = "set_percentage"
	selectOption    = "select_option"
	mediaPlay       = "media_play"
	mediaPause      = "media_pause"
	volumeSet       = "volume_set"
	quick           = 10 * time.Second
	motors          = 2 * time.Minute
	locks           = 30 * time.Second
	robots          = 5 * time.Minute
	alarms          = 5 * time.Minute // an alarm gives who leaves a minute or more before it is armed
	updates         = 30 * time.Minute
	unitPercent     = "%"
	unitSeconds     = "s"
	unitTemperature = "°C" // or what the entity's own unit is
)

// domains are all domains of which something can be asked, by name.
var domains = func() map[string]*domain {
	all := make(map[string]*domain)
	for _, d := range slices.Concat(lights(), covers(), climates(), values(), appliances(), []*domain{mediaPlayers()}) {
		all[d.name] = d
	}
	return all
}()

var domainNames = func() []string {
	names := make([]string, 0, len(domains))
	for name := range domains {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}()

func ranged(name string, kind Kind, low, high float64, unit string, features ...string) param {
	return param{name: name, kind: kind, min: &low, max: &high, unit: unit, features: features}
}

// percent is a share that is 0 to 100 whatever scale the source has.
func percent(name, field string, features ...string) param {
	p := ranged(name, KindInteger, 0, 100, unitPercent, features...)
	p.field = field
	return p
}

// option is one of a list, which the feature has.
func option(name, feature string, options ...string) param {
	return param{name: name, kind: KindOption, features: []string{feature}, field: feature, options: options}
}

// limited is p with the limits of its feature, where that has any.
func limited(p param) param {
	p.limits = true
	return p
}

func need(p param) param {
	p.required = true
	return p
}

func answeredBy(p param, field string) param {
	p.field = field
	return p
}

func code() param { return param{name: argCode, kind: KindText, secret: true} }

func is(name string, v *entityv1.Value) []fact { return []fact{{name, v}} }

// onOff are the three actions of what is on or off.
func onOff(resolve func(*checking) error, on, off []param) []action {
	return []action{
		{name: turnOn, params: on, sets: is("on", boolean(true)), timeout: quick, resolve: resolve},
		{name: turnOff, params: off, sets: is("on", boolean(false)), timeout: quick},
		{name: toggle, params: on, timeout: quick, resolve: resolveToggle},
	}
}

var onOffWords = map[string]string{"on": turnOn, "off": turnOff, "toggle": toggle}
