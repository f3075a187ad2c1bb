package discovery

import (
	entityv1 "github.com/statehouse/statehouse/gen/statehouse/entity/v1"
	"github.com/statehouse/statehouse/internal/command"
	"github.com/statehouse/statehouse/internal/mqtt"
)

var waterHeaterComponent = Component{
	Name: "water_heater", Domain: "water_heater", Check: needsAll("water heater"), Describe: waterHeaterDescribe,
	Inputs:  func(c Config) []Input { return facetInputs(c, waterHeaterFacets(c), "value_template") },
	Command: waterHeaterCommand,
}

func waterHeaterDescribe(c Config, e *entityv1.Entity) {
	climateUnit(c, e)
	facets := waterHeaterFacets(c)
	facetFeatures(c, e, facets)
	climatePower(c, e, facets[0])
}

func waterHeaterOf(a *entityv1.Attributes) *entityv1.WaterHeater {
	if a.GetWaterHeater() == nil {
		a.Domain = &entityv1.Attributes_WaterHeater{WaterHeater: &entityv1.WaterHeater{}}
	}
	return a.GetWaterHeater()
}

// waterHeaterFacets begin with the mode, which the power belongs to.
func waterHeaterFacets(c Config) []facet {
	modes := facetOptions(c, "modes", "eco", "electric", "gas", "heat_pump", "high_demand", "performance", climateOff)
	return []facet{
		{
			feature: "operation_mode", state: "mode_state_topic", template: "mode_state_template", command: "mode_command_topic",
			options: modes,
			set:     facetOption(modes, "", func(a *entityv1.Attributes, mode *string) { waterHeaterOf(a).OperationMode = mode }),
		},
		{
			feature: "current_temperature", state: "current_temperature_topic", template: "current_temperature_template",
			set: climateDegrees(func(a *entityv1.Attributes, n *float64) { waterHeaterOf(a).CurrentTemperature = n }),
		},
		climateTarget(c, "target_temperature", "temperature",
			func(a *entityv1.Attributes, n *float64) { waterHeaterOf(a).TargetTemperature = n }),
	}
}

func waterHeaterCommand(c Config, cmd command.Checked, _ *entityv1.Attributes) ([]mqtt.Publication, error) {
	o := &facetOutbox{config: c}
	switch cmd.Action {
	case "set_operation_mode", "set_temperature":
		climateMode(o, cmd, "operation_mode", waterHeaterFacets(c)[0].options)
		o.float(cmd, "temperature", "temperature")
	default:
		return nil, cannot(cmd, notOverMQTT)
	}
	return o.done()
}
