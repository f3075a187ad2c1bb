package discovery

import (
	"fmt"

	entityv1 "github.com/statehouse/statehouse/gen/statehouse/entity/v1"
	"github.com/statehouse/statehouse/internal/command"
	"github.com/statehouse/statehouse/internal/mqtt"
)

var humidifierComponent = Component{
	Name: "humidifier", Domain: "humidifier", Check: humidifierCheck, Describe: humidifierDescribe,
	Inputs:  func(c Config) []Input { return facetInputs(c, humidifierFacets(c), "") },
	Command: humidifierCommand,
}

func humidifierCheck(c Config) error {
	if err := needsAll("humidifier", "command_topic", "target_humidity_command_topic")(c); err != nil {
		return err
	}
	driest, wettest := c.Float("min_humidity", 0), c.Float("max_humidity", 100)
	if driest < 0 || driest >= wettest || wettest > 100 {
		return fmt.Errorf("%w: min_humidity %g and max_humidity %g: the first is to be below the second, both from 0 to 100",
			ErrIncomplete, driest, wettest)
	}
	return nil
}

func humidifierDescribe(c Config, e *entityv1.Entity) {
	if e.GetDeviceClass() == "" {
		e.DeviceClass = "humidifier"
	}
	facetFeatures(c, e, humidifierFacets(c))
}

func humidifierOf(a *entityv1.Attributes) *entityv1.Humidifier {
	if a.GetHumidifier() == nil {
		a.Domain = &entityv1.Attributes_Humidifier{Humidifier: &entityv1.Humidifier{}}
	}
	return a.GetHumidifier()
}

var humidifierActions = map[string]entityv1.HumidifierAction{
	"off":         entityv1.HumidifierAction_HUMIDIFIER_ACTION_OFF,
	"idle":        entityv1.HumidifierAction_HUMIDIFIER_ACTION_IDLE,
	"humidifying": entityv1.HumidifierAction_HUMIDIFIER_ACTION_HUMIDIFYING,
	"drying":      entityv1.HumidifierAction_HUMIDIFIER_ACTION_DRYING,
}

func humidifierFacets(c Config) []facet {
	modes := facetOptions(c, "modes")
	driest, wettest := c.Float("min_humidity", 0), c.Float("max_humidity", 100)
	reset := c.Word("payload_reset_humidity", "None")
	return []facet{
		{
			feature: "on", state: "state_topic", template: "state_value_template", command: "command_topic",
			set: facetOn(c.Word("payload_on", "ON"), c.Word("payload_off", "OFF"),
				func(a *entityv1.Attributes, on *bool) { humidifierOf(a).On = on }),
		},
		{
			feature: "mode", state: "mode_state_topic", template: "mode_state_template", command: "mode_command_topic", options: modes,
			set: facetOption(modes, c.Word("payload_reset_mode", "None"),
				func(a *entityv1.Attributes, mode *string) { humidifierOf(a).Mode = mode }),
		},
		{
			feature: "action", state: "action_topic", template: "action_template",
			set: facetWord(humidifierActions, func(a *entityv1.Attributes, action entityv1.HumidifierAction) { humidifierOf(a).Action = action }),
		},
		{
			feature: "current_humidity", state: "current_humidity_topic", template: "current_humidity_template", unit: "%",
			set: facetFloat(0, 100, reset, func(a *entityv1.Attributes, n *float64) { humidifierOf(a).CurrentHumidity = n }),
		},
		{
			feature: "target_humidity", state: "target_humidity_state_topic", template: "target_humidity_state_template",
			command: "target_humidity_command_topic", unit: "%", minimum: &driest, maximum: &wettest,
			set: facetFloat(0, 100, reset, func(a *entityv1.Attributes, n *float64) { humidifierOf(a).TargetHumidity = n }),
		},
	}
}

func humidifierCommand(c Config, cmd command.Checked, _ *entityv1.Attributes) ([]mqtt.Publication, error) {
	o := &facetOutbox{config: c}
	switch cmd.Action {
	case "turn_on":
		o.publish("command_topic", "command_template", c.Word("payload_on", "ON"))
	case "turn_off":
		o.publish("command_topic", "command_template", c.Word("payload_off", "OFF"))
	case "set_humidity":
		o.whole(cmd, "humidity", "target_humidity")
	case "set_mode":
		o.option(cmd, "mode", "mode")
	default:
		return nil, cannot(cmd, notOverMQTT)
	}
	return o.done()
}
