package discovery

import (
	"fmt"
	"strings"

	entityv1 "github.com/statehouse/statehouse/gen/statehouse/entity/v1"
	"github.com/statehouse/statehouse/internal/mqtt/dialect"
)

// deviceAutomationComponent is a trigger: a key of a remote control, pressed in one way. Each is announced, and withdrawn, alone,
// so that each becomes an event of its own with one type. A native dialect that knows all keys of a device makes one
// event with all their types instead.
var deviceAutomationComponent = Component{
	Name: "device_automation", Domain: "event", KeepsExtra: true,
	Check: func(c Config) error {
		if kind := c.Word("automation_type", ""); kind != "trigger" {
			return fmt.Errorf("%w: an automation_type %.40q is not known, only trigger", ErrIncomplete, kind)
		}
		if triggerKind(c) == "" || c.Word("type", "") == "" || c.Word("subtype", "") == "" {
			return fmt.Errorf("%w: a device_automation needs a type and a subtype", ErrIncomplete)
		}
		return needsAll("device_automation", "topic")(c)
	},
	Describe: func(c Config, e *entityv1.Entity) { describeEvent(e, triggerKind(c)) },
	Inputs: func(c Config) []Input {
		kind, payload := triggerKind(c), c.Word("payload", "")
		more := []*entityv1.Field{
			{Name: "subtype", Value: dialect.StringValue(c.Word("subtype", ""))},
			{Name: "type", Value: dialect.StringValue(c.Word("type", ""))},
		}
		return eventInput(c.Sources("topic", "value_template"), func(s Said) (string, []*entityv1.Field, error) {
			if payload != "" && s.Text != payload {
				return "", nil, ErrIgnored // it is another trigger's
			}
			return kind, more, nil
		})
	},
}

// triggerKind is the type of a trigger's event. Home Assistant's own types (button_short_press) say what happened, and their
// subtypes to which key; any other type (action) says what kind of subtype there is.
func triggerKind(c Config) string {
	if kind := c.Word("type", ""); strings.HasPrefix(kind, "button_") {
		return kind
	}
	return c.Word("subtype", "")
}
