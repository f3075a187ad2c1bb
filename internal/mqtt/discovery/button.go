package discovery

import (
	entityv1 "github.com/statehouse/statehouse/gen/statehouse/entity/v1"
	"github.com/statehouse/statehouse/internal/command"
	"github.com/statehouse/statehouse/internal/mqtt"
)

// buttonComponent can be pressed, sceneComponent activated; neither ever has a state.
var (
	buttonComponent = momentaryComponent("button", "payload_press", "PRESS")
	sceneComponent  = momentaryComponent("scene", "payload_on", "ON")
)

func momentaryComponent(name, payloadKey, payload string) Component {
	return Component{
		Name: name, Domain: name, Stateless: true,
		Check:    needsAll(name, "command_topic"),
		Describe: func(_ Config, e *entityv1.Entity) { e.Capabilities.Writable = true },
		Inputs:   func(Config) []Input { return nil },
		Command: func(c Config, _ command.Checked, _ *entityv1.Attributes) ([]mqtt.Publication, error) {
			return send(c, c.Word(payloadKey, payload), nil)
		},
	}
}
