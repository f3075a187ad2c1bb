package hass

import (
	"cmp"

	entityv1 "github.com/statehouse/statehouse/gen/statehouse/entity/v1"
	"github.com/statehouse/statehouse/internal/command"
)

// Of what keeps air and water as somebody wants them: climate, water_heater, humidifier, fan.

var climateAttributes = []attribute[*entityv1.Climate]{
	{"hvac_action", func(c *entityv1.Climate) any { return word(c.GetHvacAction()) }},
	{"current_temperature", func(c *entityv1.Climate) any { return known(c.CurrentTemperature) }},
	{"temperature", func(c *entityv1.Climate) any { return known(c.TargetTemperature) }},
	{"target_temp_high", func(c *entityv1.Climate) any { return known(c.TargetTemperatureHigh) }},
	{"target_temp_low", func(c *entityv1.Climate) any { return known(c.TargetTemperatureLow) }},
	{"current_humidity", func(c *entityv1.Climate) any { return known(c.CurrentHumidity) }},
	{"humidity", func(c *entityv1.Climate) any { return known(c.TargetHumidity) }},
	{"fan_mode", func(c *entityv1.Climate) any { return known(c.FanMode) }},
	{"swing_mode", func(c *entityv1.Climate) any { return known(c.SwingMode) }},
	{"swing_horizontal_mode", func(c *entityv1.Climate) any { return known(c.SwingHorizontalMode) }},
	{"preset_mode", func(c *entityv1.Climate) any { return known(c.PresetMode) }},
}

var climateCapabilities = []attribute[*entityv1.Entity]{
	{"hvac_modes", options("hvac_mode")},
	{"min_temp", lowestTarget},
	{"max_temp", highestTarget},
	{"target_temp_step", first(step("target_temperature"), step("target_temperature_low"), step("target_temperature_high"))},
	{"min_humidity", minimum("target_humidity")},
	{"max_humidity", maximum("target_humidity")},
	{"fan_modes", options("fan_mode")},
	{"swing_modes", options("swing_mode")},
	{"swing_horizontal_modes", options("swing_horizontal_mode")},
	{"preset_modes", options("preset_mode")},
}

// The limits of a temperature that is set, for what has a range of them too.
var (
	lowestTarget  = first(minimum("target_temperature"), minimum("target_temperature_low"))
	highestTarget = first(maximum("target_temperature"), maximum("target_temperature_high"))
)

var waterHeaterAttributes = []attribute[*entityv1.WaterHeater]{
	{"operation_mode", func(h *entityv1.WaterHeater) any { return known(h.OperationMode) }},
	{"current_temperature", func(h *entityv1.WaterHeater) any { return known(h.CurrentTemperature) }},
	{"temperature", func(h *entityv1.WaterHeater) any { return known(h.TargetTemperature) }},
	{"target_temp_high", func(h *entityv1.WaterHeater) any { return known(h.TargetTemperatureHigh) }},
	{"target_temp_low", func(h *entityv1.WaterHeater) any { return known(h.TargetTemperatureLow) }},
	{"away_mode", func(h *entityv1.WaterHeater) any {
		switch {
		case h.AwayMode == nil:
			return nil
		case h.GetAwayMode():
			return "on"
		default:
			return "off"
		}
	}},
}

var waterHeaterCapabilities = []attribute[*entityv1.Entity]{
	{"operation_list", options("operation_mode")},
	{"min_temp", lowestTarget},
	{"max_temp", highestTarget},
}

var humidifierAttributes = []attribute[*entityv1.Humidifier]{
	{"mode", func(h *entityv1.Humidifier) any { return known(h.Mode) }},
	{"action", func(h *entityv1.Humidifier) any { return word(h.GetAction()) }},
	{"current_humidity", func(h *entityv1.Humidifier) any { return known(h.CurrentHumidity) }},
	{"humidity", func(h *entityv1.Humidifier) any { return known(h.TargetHumidity) }},
}

var humidifierCapabilities = []attribute[*entityv1.Entity]{
	{"available_modes", options("mode")},
	{"min_humidity", minimum("target_humidity")},
	{"max_humidity", maximum("target_humidity")},
}

var fanAttributes = []attribute[*entityv1.Fan]{
	{"percentage", func(f *entityv1.Fan) any { return known(f.Percentage) }},
	{"preset_mode", func(f *entityv1.Fan) any { return known(f.PresetMode) }},
	{"oscillating", func(f *entityv1.Fan) any { return known(f.Oscillating) }},
	{"direction", func(f *entityv1.Fan) any { return word(f.GetDirection()) }},
}

var fanCapabilities = []attribute[*entityv1.Entity]{
	{"percentage_step", func(e *entityv1.Entity) any {
		f := feature(e, "percentage")
		if f == nil {
			return nil
		}
		return 100 / cmp.Or(command.Speeds(f), 100)
	}},
	{"preset_modes", options("preset_mode")},
}
