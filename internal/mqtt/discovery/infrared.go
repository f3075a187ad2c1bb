package discovery

import (
	"fmt"

	entityv1 "github.com/statehouse/statehouse/gen/statehouse/entity/v1"
	"github.com/statehouse/statehouse/internal/mqtt/dialect"
)

// infraredComponent is a receiver of infrared signals: an event with the signal's timings. An emitter has no state.
var infraredComponent = Component{
	Name: "infrared", Domain: "event", KeepsExtra: true,
	Check: func(c Config) error {
		switch schema := c.Str("schema"); schema {
		case "receiver":
			return needsAll("infrared", "state_topic")(c)
		case "emitter":
			return fmt.Errorf("%w: an infrared emitter only sends", ErrNoState)
		default:
			return fmt.Errorf("%w: an infrared schema %.40q is not known; there are receiver and emitter", ErrIncomplete, schema)
		}
	},
	Describe: func(_ Config, e *entityv1.Entity) { describeEvent(e, infraredReceived) },
	Inputs: func(c Config) []Input {
		return eventInput(c.Sources("state_topic", "value_template"), func(s Said) (string, []*entityv1.Field, error) {
			if s.Unknown() || s.Text == "null" || s.Text == `""` {
				return "", nil, ErrIgnored
			}
			o := s.object()
			if o == nil || !infraredTimings(o.List("timings")) {
				return "", nil, unfit(s, "an object with timings, a list of whole numbers")
			}
			more := []*entityv1.Field{{Name: "timings", Value: o.Get("timings").Value}}
			if n := o.Get("modulation"); !dialect.IsNull(n.Value) {
				more = append(more, &entityv1.Field{Name: "modulation", Value: n.Value})
			}
			return infraredReceived, more, nil
		})
	},
}

const infraredReceived = "received"

// infraredTimings says that a list is that of a signal; the longest real one has some 500.
func infraredTimings(list []dialect.Node) bool {
	const most = 10_000
	for _, n := range list {
		if _, ok := n.Value.GetKind().(*entityv1.Value_IntValue); !ok {
			return false
		}
	}
	return len(list) > 0 && len(list) <= most
}
