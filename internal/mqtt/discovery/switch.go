package discovery

import (
	entityv1 "github.com/statehouse/statehouse/gen/statehouse/entity/v1"
	"github.com/statehouse/statehouse/internal/command"
	"github.com/statehouse/statehouse/internal/mqtt"
	"github.com/statehouse/statehouse/internal/mqtt/dialect"
)

// switchComponent is anything that is on or off and can be switched.
var switchComponent = Component{
	Name: "switch", Domain: "switch",
	Check: needsAll("switch", "command_topic"),
	Describe: func(c Config, e *entityv1.Entity) {
		on, off := onOffStates(c)
		addFeature(e, &entityv1.Feature{
			Name: "on", Readable: answersOn(c, "state_topic"), Writable: true,
			ValueOn: dialect.StringValue(on), ValueOff: dialect.StringValue(off),
		})
	},
	Inputs: func(c Config) []Input {
		on, off := onOffStates(c)
		return stateInput(c, onOffSetter(on, off, func(a *entityv1.Attributes, on *bool) {
			a.Domain = &entityv1.Attributes_Switch{Switch: &entityv1.Switch{On: on}}
		}))
	},
	Command: func(c Config, cmd command.Checked, _ *entityv1.Attributes) ([]mqtt.Publication, error) {
		if cmd.Action == "turn_off" {
			return send(c, c.Word("payload_off", "OFF"), nil)
		}
		return send(c, c.Word("payload_on", "ON"), nil)
	},
}

// onOffStates are the words of the state, which are those of the commands where nothing else is said.
func onOffStates(c Config) (on, off string) {
	return c.Word("state_on", c.Word("payload_on", "ON")), c.Word("state_off", c.Word("payload_off", "OFF"))
}
