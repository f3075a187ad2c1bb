package discovery

import (
	"slices"

	entityv1 "github.com/statehouse/statehouse/gen/statehouse/entity/v1"
	"github.com/statehouse/statehouse/internal/command"
	"github.com/statehouse/statehouse/internal/mqtt"
)

var climateComponent = Component{
	Name: "climate", Domain: "climate", Check: needsAll("climate device"), Describe: climateDescribe,
	Inputs:  func(c Config) []Input { return facetInputs(c, climateFacets(c), "value_template") },
	Command: climateCommand,
}

func climateDescribe(c Config, e *entityv1.Entity) {
	climateUnit(c, e)
	facets := climateFacets(c)
	facetFeatures(c, e, facets)
	climatePower(c, e, facets[0])
}

// climateUnit says in the entity which unit its temperatures have, if it is not °C. Home Assistant takes its house's unit
// where the device does not say; a house here has none.
func climateUnit(c Config, e *entityv1.Entity) {
	if unit := c.Str("temperature_unit"); unit == "F" || unit == "°F" {
		e.Unit = "°F"
	}
}

func climateOf(a *entityv1.Attributes) *entityv1.Climate {
	if a.GetClimate() == nil {
		a.Domain = &entityv1.Attributes_Climate{Climate: &entityv1.Climate{}}
	}
	return a.GetClimate()
}

var climateHvacModes = map[string]entityv1.HvacMode{
	"off":       entityv1.HvacMode_HVAC_MODE_OFF,
	"heat":      entityv1.HvacMode_HVAC_MODE_HEAT,
	"cool":      entityv1.HvacMode_HVAC_MODE_COOL,
	"heat_cool": entityv1.HvacMode_HVAC_MODE_HEAT_COOL,
	"auto":      entityv1.HvacMode_HVAC_MODE_AUTO,
	"dry":       entityv1.HvacMode_HVAC_MODE_DRY,
	"fan_only":  entityv1.HvacMode_HVAC_MODE_FAN_ONLY,
}

var climateHvacActions = map[string]entityv1.HvacAction{
	"off":        entityv1.HvacAction_HVAC_ACTION_OFF,
	"idle":       entityv1.HvacAction_HVAC_ACTION_IDLE,
	"heating":    entityv1.HvacAction_HVAC_ACTION_HEATING,
	"preheating": entityv1.HvacAction_HVAC_ACTION_PREHEATING,
	"cooling":    entityv1.HvacAction_HVAC_ACTION_COOLING,
	"drying":     entityv1.HvacAction_HVAC_ACTION_DRYING,
	"fan":        entityv1.HvacAction_HVAC_ACTION_FAN,
	"defrosting": entityv1.HvacAction_HVAC_ACTION_DEFROSTING,
}

// climateNoPreset is the preset of a device that has none active. Devices also say it as None.
const climateNoPreset = "none"

// climateFacets begin with the mode, which the power belongs to.
func climateFacets(c Config) []facet {
	facets := []facet{
		{
			feature: "hvac_mode", state: "mode_state_topic", template: "mode_state_template", command: "mode_command_topic",
			options: facetOptions(c, "modes", "auto", "off", "cool", "heat", "dry", "fan_only"),
			set:     facetWord(climateHvacModes, func(a *entityv1.Attributes, mode entityv1.HvacMode) { climateOf(a).HvacMode = mode }),
		},
		{
			feature: "hvac_action", state: "action_topic", template: "action_template",
			set: facetWord(climateHvacActions, func(a *entityv1.Attributes, action entityv1.HvacAction) { climateOf(a).HvacAction = action }),
		},
		{
			feature: "current_temperature", state: "current_temperature_topic", template: "current_temperature_template",
			set: climateDegrees(func(a *entityv1.Attributes, n *float64) { climateOf(a).CurrentTemperature = n }),
		},
		climateTarget(c, "target_temperature", "temperature", func(a *entityv1.Attributes, n *float64) { climateOf(a).TargetTemperature = n }),
		climateTarget(c, "target_temperature_low", "temperature_low",
			func(a *entityv1.Attributes, n *float64) { climateOf(a).TargetTemperatureLow = n }),
		climateTarget(c, "target_temperature_high", "temperature_high",
			func(a *entityv1.Attributes, n *float64) { climateOf(a).TargetTemperatureHigh = n }),
		{
			feature: "current_humidity", state: "current_humidity_topic", template: "current_humidity_template", unit: "%",
			set: facetFloat(0, 100, "", func(a *entityv1.Attributes, n *float64) { climateOf(a).CurrentHumidity = n }),
		},
		{
			feature: "target_humidity", state: "target_humidity_state_topic", template: "target_humidity_state_template",
			command: "target_humidity_command_topic", unit: "%",
			minimum: facetLimit(c, "min_humidity"), maximum: facetLimit(c, "max_humidity"),
			set: facetFloat(0, 100, "", func(a *entityv1.Attributes, n *float64) { climateOf(a).TargetHumidity = n }),
		},
	}
	return append(facets, climateModes(c)...)
}

// climateModes are the facets that are one of the device's own words.
func climateModes(c Config) []facet {
	mode := func(name, list string, put func(*entityv1.Attributes, *string), otherwise ...string) facet {
		options := facetOptions(c, list, otherwise...)
		return facet{
			feature: name, state: name + "_state_topic", template: name + "_state_template", command: name + "_command_topic",
			options: options, set: facetOption(options, "", put),
		}
	}
	presets := facetOptions(c, "preset_modes")
	if !slices.Contains(presets, climateNoPreset) {
		presets = slices.Insert(presets, 0, climateNoPreset)
	}
	return []facet{
		mode("fan_mode", "fan_modes", func(a *entityv1.Attributes, s *string) { climateOf(a).FanMode = s }, "auto", "low", "medium", "high"),
		mode("swing_mode", "swing_modes", func(a *entityv1.Attributes, s *string) { climateOf(a).SwingMode = s }, "on", "off"),
		mode("swing_horizontal_mode", "swing_horizontal_modes",
			func(a *entityv1.Attributes, s *string) { climateOf(a).SwingHorizontalMode = s }, "on", "off"),
		{
			feature: "preset_mode", state: "preset_mode_state_topic", template: "preset_mode_value_template",
			command: "preset_mode_command_topic", options: presets,
			set: facetOption(presets, "", func(a *entityv1.Attributes, s *string) {
				none := climateNoPreset
				if s == nil {
					s = &none
				}
				climateOf(a).PresetMode = s
			}),
		},
	}
}

// climateDegrees takes a temperature in the entity's unit.
func climateDegrees(put func(*entityv1.Attributes, *float64)) setter {
	const extreme = 1e6 // beyond anything that a device measures
	return facetFloat(-extreme, extreme, "", put)
}

// climateTarget is a temperature that a device is to reach, under keys that begin with prefix.
func climateTarget(c Config, feature, prefix string, put func(*entityv1.Attributes, *float64)) facet {
	return facet{
		feature: feature, state: prefix + "_state_topic", template: prefix + "_state_template", command: prefix + "_command_topic",
		minimum: facetLimit(c, "min_temp"), maximum: facetLimit(c, "max_temp"), step: facetLimit(c, "temp_step"),
		set: climateDegrees(put),
	}
}

const climateOff = "off"

// climatePower makes the mode of a device one that can be off if it is switched off over a topic of its own.
func climatePower(c Config, e *entityv1.Entity, mode facet) {
	if c.Str("power_command_topic") == "" {
		return
	}
	features := e.GetCapabilities().GetFeatureDetails()
	i := slices.IndexFunc(features, func(f *entityv1.Feature) bool { return f.GetName() == mode.feature })
	if i < 0 {
		mode.command = "power_command_topic"
		facetFeatures(c, e, []facet{mode})
		features = e.GetCapabilities().GetFeatureDetails()
		i = len(features) - 1
	}
	features[i].Writable, e.Capabilities.Writable = true, true
	if !slices.Contains(features[i].GetOptions(), climateOff) {
		features[i].Options = append(slices.Clone(features[i].GetOptions()), climateOff)
	}
}

// climateMode asks for a mode. A device with a power topic is switched on or off by it as well: Home Assistant has
// actions of their own for that, which here are modes too. The word off goes only to a device that knows such a mode.
func climateMode(o *facetOutbox, cmd command.Checked, argument string, modes []string) {
	mode, ok := cmd.String(argument)
	if !ok {
		return
	}
	if o.config.Str("power_command_topic") != "" {
		payload := o.config.Word("payload_on", "ON")
		if mode == climateOff {
			payload = o.config.Word("payload_off", "OFF")
		}
		o.publish("power_command_topic", "power_command_template", payload)
		if o.config.Str("mode_command_topic") == "" || mode == climateOff && !slices.Contains(modes, climateOff) {
			return
		}
	}
	o.publish("mode_command_topic", "mode_command_template", mode)
}

func climateCommand(c Config, cmd command.Checked, _ *entityv1.Attributes) ([]mqtt.Publication, error) {
	o := &facetOutbox{config: c}
	switch cmd.Action {
	case "set_hvac_mode", "set_temperature":
		climateMode(o, cmd, "hvac_mode", climateFacets(c)[0].options)
		o.float(cmd, "temperature", "temperature")
		o.float(cmd, "target_temp_low", "temperature_low")
		o.float(cmd, "target_temp_high", "temperature_high")
	case "set_humidity":
		o.whole(cmd, "humidity", "target_humidity")
	case "set_fan_mode", "set_swing_mode", "set_swing_horizontal_mode", "set_preset_mode":
		mode := cmd.Action[len("set_"):]
		o.option(cmd, mode, mode)
	default:
		return nil, cannot(cmd, notOverMQTT)
	}
	return o.done()
}
