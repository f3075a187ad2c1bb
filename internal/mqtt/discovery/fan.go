package discovery

import (
	"fmt"
	"math"

	entityv1 "github.com/statehouse/statehouse/gen/statehouse/entity/v1"
	"github.com/statehouse/statehouse/internal/command"
	"github.com/statehouse/statehouse/internal/mqtt"
)

var fanComponent = Component{
	Name: "fan", Domain: "fan", Check: fanCheck,
	Describe: func(c Config, e *entityv1.Entity) { facetFeatures(c, e, fanFacets(c)) },
	Inputs:   func(c Config) []Input { return facetInputs(c, fanFacets(c), "") },
	Command:  fanCommand,
}

func fanCheck(c Config) error {
	if err := needsAll("fan", "command_topic")(c); err != nil {
		return err
	}
	slowest, fastest := fanRange(c)
	if slowest < 1 || fastest <= slowest || fastest > math.MaxInt32 {
		return fmt.Errorf("%w: speed_range_min %g and speed_range_max %g: the first is to be above 0, the second above the first",
			ErrIncomplete, slowest, fastest)
	}
	return nil
}

// fanRange are the numbers of the slowest and of the fastest speed; the one below the slowest is off.
func fanRange(c Config) (slowest, fastest float64) {
	return math.Trunc(c.Float("speed_range_min", 1)), math.Trunc(c.Float("speed_range_max", 100))
}

func fanOf(a *entityv1.Attributes) *entityv1.Fan {
	if a.GetFan() == nil {
		a.Domain = &entityv1.Attributes_Fan{Fan: &entityv1.Fan{}}
	}
	return a.GetFan()
}

var fanDirections = map[string]entityv1.FanDirection{
	"forward": entityv1.FanDirection_FAN_DIRECTION_FORWARD,
	"reverse": entityv1.FanDirection_FAN_DIRECTION_REVERSE,
}

func fanFacets(c Config) []facet {
	slowest, fastest := fanRange(c)
	presets := facetOptions(c, "preset_modes")
	return []facet{
		{
			feature: "on", state: "state_topic", template: "state_value_template", command: "command_topic",
			set: facetOn(c.Word("payload_on", "ON"), c.Word("payload_off", "OFF"),
				func(a *entityv1.Attributes, on *bool) { fanOf(a).On = on }),
		},
		{
			feature: "percentage", state: "percentage_state_topic", template: "percentage_value_template",
			command: "percentage_command_topic", minimum: &slowest, maximum: &fastest,
			set: fanSpeed(slowest, fastest, c.Word("payload_reset_percentage", "None")),
		},
		{
			feature: "preset_mode", state: "preset_mode_state_topic", template: "preset_mode_value_template",
			command: "preset_mode_command_topic", options: presets,
			set: facetOption(presets, c.Word("payload_reset_preset_mode", "None"),
				func(a *entityv1.Attributes, mode *string) { fanOf(a).PresetMode = mode }),
		},
		{
			feature: "oscillating", state: "oscillation_state_topic", template: "oscillation_value_template",
			command: "oscillation_command_topic",
			set: facetOn(c.Word("payload_oscillation_on", "oscillate_on"), c.Word("payload_oscillation_off", "oscillate_off"),
				func(a *entityv1.Attributes, on *bool) { fanOf(a).Oscillating = on }),
		},
		{
			feature: "direction", state: "direction_state_topic", template: "direction_value_template",
			command: "direction_command_topic", options: []string{"forward", "reverse"},
			set: facetWord(fanDirections, func(a *entityv1.Attributes, d entityv1.FanDirection) { fanOf(a).Direction = d }),
		},
	}
}

// fanSpeed takes the number of a speed. Speeds are steps of equal height, as Home Assistant has them.
func fanSpeed(slowest, fastest float64, reset string) setter {
	return facetFloat(slowest-1, fastest, reset, func(a *entityv1.Attributes, speed *float64) {
		fanOf(a).Percentage = nil
		if speed != nil {
			percentage := uint32(math.Floor(100 * (math.Trunc(*speed) - slowest + 1) / (fastest - slowest + 1)))
			fanOf(a).Percentage = &percentage
		}
	})
}

func fanCommand(c Config, cmd command.Checked, _ *entityv1.Attributes) ([]mqtt.Publication, error) {
	o := &facetOutbox{config: c}
	switch cmd.Action {
	case "turn_on":
		o.publish("command_topic", "command_template", c.Word("payload_on", "ON"))
	case "turn_off":
		o.publish("command_topic", "command_template", c.Word("payload_off", "OFF"))
	case "set_percentage", "set_preset_mode", "set_direction":
	case "oscillate":
		if oscillating, _ := cmd.Bool("oscillating"); oscillating {
			o.publish("oscillation_command_topic", "oscillation_command_template", c.Word("payload_oscillation_on", "oscillate_on"))
		} else {
			o.publish("oscillation_command_topic", "oscillation_command_template", c.Word("payload_oscillation_off", "oscillate_off"))
		}
	default:
		return nil, cannot(cmd, notOverMQTT)
	}
	if percentage, ok := cmd.Float("percentage"); ok {
		slowest, fastest := fanRange(c)
		speed := math.Ceil(percentage*(fastest-slowest+1)/100 + slowest - 1)
		o.publish("percentage_command_topic", "percentage_command_template", int(speed))
	}
	o.option(cmd, "preset_mode", "preset_mode")
	o.option(cmd, "direction", "direction")
	return o.done()
}
