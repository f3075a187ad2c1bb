package discovery

import (
	"fmt"

	entityv1 "github.com/statehouse/statehouse/gen/statehouse/entity/v1"
	"github.com/statehouse/statehouse/internal/mqtt/dialect"
)

// eventComponent is a source of momentary events. A message is an object with event_type, and more that is kept beside it.
var eventComponent = Component{
	Name: "event", Domain: "event", KeepsExtra: true,
	Check: func(c Config) error {
		if len(wordsOf(c, "event_types")) == 0 {
			return fmt.Errorf("%w: an event needs event_types", ErrIncomplete)
		}
		return needsAll("event", "state_topic")(c)
	},
	Describe: func(c Config, e *entityv1.Entity) { describeEvent(e, wordsOf(c, "event_types")...) },
	Inputs: func(c Config) []Input {
		kinds := make(map[string]bool)
		for _, w := range wordsOf(c, "event_types") {
			kinds[w] = true
		}
		return eventInput(c.Sources("state_topic", "value_template"), func(s Said) (string, []*entityv1.Field, error) {
			if s.Unknown() || s.Text == "{}" {
				return "", nil, ErrIgnored
			}
			o := s.object()
			if o == nil {
				return "", nil, unfit(s, "an object with event_type")
			}
			kind := o.Word("event_type", "")
			if !kinds[kind] {
				return "", nil, unfit(s, "an object whose event_type is one of event_types")
			}
			var more []*entityv1.Field
			for _, f := range o.Value.GetStructValue().GetFields() {
				if f.GetName() != "event_type" && len(more) < dialect.MaxOptions {
					more = append(more, f)
				}
			}
			return kind, more, nil
		})
	},
}
