package zigbee2mqtt

import (
	"math"
	"slices"

	entityv1 "github.com/statehouse/statehouse/gen/statehouse/entity/v1"
	"github.com/statehouse/statehouse/internal/mqtt/dialect"
)

// Features of a fan.
const (
	featurePercentage = "percentage"
	featurePreset     = "preset_mode"
)

const fanOff = "off"

// Modes of a fan that are speeds, from slow to fast; every other one is a preset.
var fanSpeeds = []string{"low", "medium", "high", "1", "2", "3", "4", "5", "6", "7", "8", "9"}

func fanEntities(e expose) []dialect.Spec {
	state, ok := e.feature("state")
	if !ok {
		return nil
	}
	s := e.composite(domainFan, state.property, state.describe(featureOn))
	for _, f := range e.features() {
		switch {
		case f.name == "state":
		case f.name == "mode" && f.kind == "enum":
			modes := f.Words("values")
			speeds, presets := f.describe(featurePercentage), f.describe(featurePreset)
			speeds.Options = slices.DeleteFunc(slices.Clone(fanSpeeds), func(w string) bool { return !slices.Contains(modes, w) })
			presets.Options = slices.DeleteFunc(modes, func(w string) bool { return w == fanOff || slices.Contains(fanSpeeds, w) })
			s.AddFeature(speeds)
			s.AddFeature(presets)
		case f.name == "speed" && f.kind == "numeric":
			s.AddFeature(f.describe(featurePercentage))
		default:
			s.AddFeature(f.describe(f.name)) // kept as extra
		}
	}
	return []dialect.Spec{s}
}

func fan(a *entityv1.Attributes) *entityv1.Fan {
	if a.GetFan() == nil {
		a.Domain = &entityv1.Attributes_Fan{Fan: &entityv1.Fan{}}
	}
	return a.GetFan()
}

// fanSetter returns nil for a feature that another one's setter sets, too.
func fanSetter(f *entityv1.Feature, all []*entityv1.Feature) setter {
	switch {
	case f.GetName() == featureOn:
		return func(a *entityv1.Attributes, v *entityv1.Value) *entityv1.Value {
			on, fits := isOn(v, f)
			fan(a).On = on
			return rest(v, fits)
		}
	case f.GetName() == featurePreset:
		return nil
	case f.GetName() == featurePercentage && len(f.GetOptions()) > 0:
		var presets []string
		for _, o := range all {
			if o.GetName() == featurePreset {
				presets = o.GetOptions()
			}
		}
		return setFanMode(f.GetOptions(), presets)
	case f.GetName() == featurePercentage && f.Minimum != nil && f.Maximum != nil:
		return setFanSpeed(f.GetMinimum(), f.GetMaximum())
	default:
		return keep
	}
}

// setFanMode reads a mode, which is a speed or a preset. Speeds are steps of equal height, as Home Assistant has them.
func setFanMode(speeds, presets []string) setter {
	return func(a *entityv1.Attributes, v *entityv1.Value) *entityv1.Value {
		fn := fan(a)
		fn.Percentage, fn.PresetMode = nil, nil
		if v == nil {
			return nil
		}
		mode, _ := dialect.WordOf(v)
		if i := slices.Index(speeds, mode); i >= 0 {
			percentage := uint32(100 * (i + 1) / len(speeds))
			fn.Percentage = &percentage
			return nil
		}
		if mode == fanOff {
			fn.Percentage = new(uint32)
			return nil
		}
		if slices.Contains(presets, mode) {
			fn.PresetMode = &mode
			return nil
		}
		return v
	}
}

// setFanSpeed reads a speed between two limits.
func setFanSpeed(slowest, fastest float64) setter {
	return func(a *entityv1.Attributes, v *entityv1.Value) *entityv1.Value {
		fn := fan(a)
		fn.Percentage = nil
		if v == nil {
			return nil
		}
		n, ok := dialect.DoubleOf(v)
		if !ok || n < 0 || n > fastest || fastest < slowest {
			return v
		}
		percentage := uint32(0)
		if n >= slowest && n > 0 {
			percentage = uint32(math.Floor(100 * (n - slowest + 1) / (fastest - slowest + 1)))
		}
		fn.Percentage = &percentage
		return nil
	}
}
