package zigbee2mqtt

import (
	entityv1 "github.com/statehouse/statehouse/gen/statehouse/entity/v1"
	"github.com/statehouse/statehouse/internal/mqtt/dialect"
)

// Features of a climate device.
const (
	featureHvacMode    = "hvac_mode"
	featureHvacAction  = "hvac_action"
	featureTemperature = "current_temperature"
	featureTarget      = "target_temperature"
	featureTargetHigh  = "target_temperature_high"
	featureTargetLow   = "target_temperature_low"
	featureHumidity    = "current_humidity"
	featureFanMode     = "fan_mode"
	featureSwingMode   = "swing_mode"
)

// keyClimate stands for the property that a climate device does not have: it is made of many.
const keyClimate = "climate"

// climateFeatures are the features by the names of the exposes.
var climateFeatures = map[string]string{
	"system_mode":               featureHvacMode,
	"running_state":             featureHvacAction,
	"local_temperature":         featureTemperature,
	"occupied_heating_setpoint": featureTarget,
	"current_heating_setpoint":  featureTarget,
	"occupied_cooling_setpoint": featureTarget,
	"fan_mode":                  featureFanMode,
	"swing_mode":                featureSwingMode,
	"preset":                    featurePreset,
}

func climateEntities(e expose, all []expose) []dialect.Spec {
	if len(e.features()) == 0 {
		return nil
	}
	heating, heats := e.feature("occupied_heating_setpoint", "current_heating_setpoint")
	cooling, cools := e.feature("occupied_cooling_setpoint")
	s := e.composite(domainClimate, withEndpoint(keyClimate, e.endpoint))
	s.Entity.Property = ""
	specs := []dialect.Spec{s}
	for _, f := range e.features() {
		switch f.name {
		case "local_temperature_calibration", "pi_heating_demand", "pi_cooling_demand":
			specs = append(specs, climateExtra(f, e.endpoint))
			continue
		}
		name, ok := climateFeatures[f.name]
		switch {
		case !ok:
			name = f.name // kept as extra
		case heats && cools && f.name == heating.name:
			name = featureTargetLow
		case heats && cools && f.name == cooling.name:
			name = featureTargetHigh
		}
		s.AddFeature(f.describe(name))
	}
	if local, ok := e.feature("local_temperature"); ok && !measures(all, "temperature") && !measures(all, "local_temperature") {
		sensor := climateExtra(local, e.endpoint)
		sensor.Entity.DeviceClass, sensor.Entity.StateClass = "temperature", measured
		specs = append(specs, sensor)
	}
	humidity, ok := find(all, func(o expose) bool { return o.kind == "numeric" && o.name == "humidity" && o.reported() })
	if ok {
		s.AddFeature(humidity.describe(featureHumidity))
	}
	return specs
}

func measures(all []expose, name string) bool {
	_, ok := find(all, func(o expose) bool { return o.kind == "numeric" && o.name == name && o.reported() })
	return ok
}

// climateExtra is a feature of a climate device that is an entity of its own.
func climateExtra(f expose, endpoint string) dialect.Spec {
	f.endpoint = endpoint
	if !f.settable() || f.name == "local_temperature" || f.name == "pi_cooling_demand" {
		s := f.simple(domainSensor)
		if f.name != "local_temperature" {
			s.Entity.Category = diagnostic
		}
		return s
	}
	s := f.simple(domainNumber)
	if f.name == "local_temperature_calibration" {
		s.Entity.DeviceClass, s.Entity.Category = "temperature_delta", config
	}
	return s
}

func climate(a *entityv1.Attributes) *entityv1.Climate {
	if a.GetClimate() == nil {
		a.Domain = &entityv1.Attributes_Climate{Climate: &entityv1.Climate{}}
	}
	return a.GetClimate()
}

var hvacModes = map[string]entityv1.HvacMode{
	"off":       entityv1.HvacMode_HVAC_MODE_OFF,
	"heat":      entityv1.HvacMode_HVAC_MODE_HEAT,
	"cool":      entityv1.HvacMode_HVAC_MODE_COOL,
	"heat_cool": entityv1.HvacMode_HVAC_MODE_HEAT_COOL,
	"auto":      entityv1.HvacMode_HVAC_MODE_AUTO,
	"dry":       entityv1.HvacMode_HVAC_MODE_DRY,
	"fan_only":  entityv1.HvacMode_HVAC_MODE_FAN_ONLY,
}

var hvacActions = map[string]entityv1.HvacAction{
	"off":      entityv1.HvacAction_HVAC_ACTION_OFF,
	"idle":     entityv1.HvacAction_HVAC_ACTION_IDLE,
	"heat":     entityv1.HvacAction_HVAC_ACTION_HEATING,
	"cool":     entityv1.HvacAction_HVAC_ACTION_COOLING,
	"fan_only": entityv1.HvacAction_HVAC_ACTION_FAN,
}

func climateSetter(f *entityv1.Feature) setter {
	switch f.GetName() {
	case featureHvacMode:
		return func(a *entityv1.Attributes, v *entityv1.Value) *entityv1.Value {
			s, _ := dialect.TextOf(v)
			climate(a).HvacMode = hvacModes[s]
			return rest(v, v == nil || hvacModes[s] != 0)
		}
	case featureHvacAction:
		return func(a *entityv1.Attributes, v *entityv1.Value) *entityv1.Value {
			s, _ := dialect.TextOf(v)
			climate(a).HvacAction = hvacActions[s]
			return rest(v, v == nil || hvacActions[s] != 0)
		}
	case featureTemperature:
		return setDouble(func(c *entityv1.Climate, n *float64) { c.CurrentTemperature = n })
	case featureTarget:
		return setDouble(func(c *entityv1.Climate, n *float64) { c.TargetTemperature = n })
	case featureTargetHigh:
		return setDouble(func(c *entityv1.Climate, n *float64) { c.TargetTemperatureHigh = n })
	case featureTargetLow:
		return setDouble(func(c *entityv1.Climate, n *float64) { c.TargetTemperatureLow = n })
	case featureHumidity:
		return setDouble(func(c *entityv1.Climate, n *float64) { c.CurrentHumidity = n })
	case featureFanMode:
		return setWord(func(c *entityv1.Climate, s *string) { c.FanMode = s })
	case featureSwingMode:
		return setWord(func(c *entityv1.Climate, s *string) { c.SwingMode = s })
	case featurePreset:
		return setWord(func(c *entityv1.Climate, s *string) { c.PresetMode = s })
	default:
		return keep
	}
}

func setDouble(set func(*entityv1.Climate, *float64)) setter {
	return func(a *entityv1.Attributes, v *entityv1.Value) *entityv1.Value {
		n, ok := dialect.DoubleOf(v)
		if !ok {
			set(climate(a), nil)
			return rest(v, v == nil)
		}
		set(climate(a), &n)
		return nil
	}
}

func setWord(set func(*entityv1.Climate, *string)) setter {
	return func(a *entityv1.Attributes, v *entityv1.Value) *entityv1.Value {
		s, ok := dialect.TextOf(v)
		if !ok {
			set(climate(a), nil)
			return rest(v, v == nil)
		}
		set(climate(a), &s)
		return nil
	}
}
