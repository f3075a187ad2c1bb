package discovery

import (
	entityv1 "github.com/statehouse/statehouse/gen/statehouse/entity/v1"
	"github.com/statehouse/statehouse/internal/mqtt/dialect"
)

// binarySensorComponent is a sensor with two answers. That it is off again after
// off_delay is the engine's to see.
var binarySensorComponent = Component{
	Name: "binary_sensor", Domain: "binary_sensor",
	Check: needsAll("binary_sensor", "state_topic"),
	Describe: func(c Config, e *entityv1.Entity) {
		addFeature(e, &entityv1.Feature{
			Name: "on", Readable: true,
			ValueOn: dialect.StringValue(c.Word("payload_on", "ON")), ValueOff: dialect.StringValue(c.Word("payload_off", "OFF")),
		})
	},
	Inputs: func(c Config) []Input {
		return stateInput(c, onOffSetter(c.Word("payload_on", "ON"), c.Word("payload_off", "OFF"), func(a *entityv1.Attributes, on *bool) {
			a.Domain = &entityv1.Attributes_BinarySensor{BinarySensor: &entityv1.BinarySensor{On: on}}
		}))
	},
}

// onOffSetter takes a word for on, one for off, and None.
func onOffSetter(wordOn, wordOff string, put func(a *entityv1.Attributes, on *bool)) setter {
	return unlessEmpty(func(a *entityv1.Attributes, s Said) error {
		var on bool
		switch {
		case s.Text == wordOn:
			on = true
		case s.Text == wordOff:
		case s.Unknown():
			put(a, nil)
			return nil
		default:
			return unfit(s, wordOn+" or "+wordOff)
		}
		put(a, &on)
		return nil
	})
}
