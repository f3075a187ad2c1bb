package discovery

import (
	"fmt"
	"slices"
	"strings"

	entityv1 "github.com/statehouse/statehouse/gen/statehouse/entity/v1"
	"github.com/statehouse/statehouse/internal/command"
	"github.com/statehouse/statehouse/internal/mqtt"
	"github.com/statehouse/statehouse/internal/mqtt/dialect"
)

// lawnMowerComponent is a mowing robot.
var lawnMowerComponent = Component{
	Name: "lawn_mower", Domain: "lawn_mower",
	Check: func(c Config) error {
		if !listens(c, "activity_state_topic") && len(mowerActionsOf(c)) == 0 {
			return fmt.Errorf("%w: a lawn_mower needs an activity_state_topic or a topic for a command, as start_mowing_command_topic", ErrIncomplete)
		}
		return validTopics(c)
	},
	Describe: func(c Config, e *entityv1.Entity) {
		can := mowerActionsOf(c)
		addFeature(e, &entityv1.Feature{Name: "state", Readable: answersOn(c, "activity_state_topic"), Writable: len(can) > 0, Options: can})
	},
	Inputs: func(c Config) []Input {
		return inputsOf(Input{Sources: c.Sources("activity_state_topic", "activity_value_template"), Set: unlessEmpty(setMower)})
	},
	Command: func(c Config, cmd command.Checked, _ *entityv1.Attributes) ([]mqtt.Publication, error) {
		if can := mowerActionsOf(c); !slices.Contains(can, cmd.Action) {
			return nil, cannot(cmd, "the mower has: "+strings.Join(can, ", "))
		}
		return sendOn(c, cmd.Action+"_command_topic", cmd.Action+"_command_template", cmd.Action, nil)
	},
}

// mowerActionsOf are what a mower can be asked.
func mowerActionsOf(c Config) []string {
	return slices.DeleteFunc([]string{"start_mowing", "pause", "dock"}, func(a string) bool { return c.Str(a+"_command_topic") == "" })
}

// mowerActivities are what a mower may be doing.
var mowerActivities = []string{"mowing", "paused", "docked", "returning", "error"}

func setMower(a *entityv1.Attributes, s Said) error {
	switch {
	case strings.EqualFold(s.Text, "none"):
		genericOf(a).State = nil
	case !slices.Contains(mowerActivities, s.Text):
		return unfit(s, "one of "+strings.Join(mowerActivities, ", "))
	default:
		genericOf(a).State = dialect.StringValue(s.Text)
	}
	return nil
}
