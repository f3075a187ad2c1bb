package discovery

import (
	"fmt"
	"strings"

	entityv1 "github.com/statehouse/statehouse/gen/statehouse/entity/v1"
	"github.com/statehouse/statehouse/internal/command"
	"github.com/statehouse/statehouse/internal/mqtt"
)

// selectComponent is a choice of one among options.
var selectComponent = Component{
	Name: "select", Domain: "select",
	Check: func(c Config) error {
		if len(wordsOf(c, "options")) == 0 {
			return fmt.Errorf("%w: a select needs options", ErrIncomplete)
		}
		return needsAll("select", "command_topic")(c)
	},
	Describe: func(c Config, e *entityv1.Entity) {
		describeValue(c, e)
		e.Capabilities.Options = wordsOf(c, "options")
	},
	Inputs: func(c Config) []Input {
		isOption := optionTest(c)
		return stateInput(c, unlessEmpty(func(a *entityv1.Attributes, s Said) error {
			choice := &entityv1.Select{}
			switch {
			case isOption(s.Text): // also one that is called none
				choice.Option = &s.Text
			case !strings.EqualFold(s.Text, "none"):
				return unfit(s, "one of its options")
			}
			a.Domain = &entityv1.Attributes_Select{Select: choice}
			return nil
		}))
	},
	Command: func(c Config, cmd command.Checked, _ *entityv1.Attributes) ([]mqtt.Publication, error) {
		option, _ := cmd.String("option")
		return send(c, option, nil)
	},
}
