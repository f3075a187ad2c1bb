package discovery

import (
	"fmt"
	"math"
	"strconv"

	entityv1 "github.com/statehouse/statehouse/gen/statehouse/entity/v1"
	"github.com/statehouse/statehouse/internal/command"
	"github.com/statehouse/statehouse/internal/mqtt"
)

// numberComponent is a number that can be set. Its limits are for commands: what the device reports beyond them is so all
// the same.
var numberComponent = Component{
	Name: "number", Domain: "number",
	Check: func(c Config) error {
		if low, high := numberLimits(c); low > high {
			return fmt.Errorf("%w: min %v of a number is above its max %v", ErrIncomplete, low, high)
		}
		return needsAll("number", "command_topic")(c)
	},
	Describe: func(c Config, e *entityv1.Entity) {
		describeValue(c, e)
		low, high := numberLimits(c)
		e.Capabilities.Minimum, e.Capabilities.Maximum = &low, &high
		if step := c.Float("step", 1); step > 0 {
			e.Capabilities.Step = &step
		}
	},
	Inputs: func(c Config) []Input {
		return stateInput(c, unlessEmpty(numberSetter(c.Word("payload_reset", "None"))))
	},
	Command: func(c Config, cmd command.Checked, _ *entityv1.Attributes) ([]mqtt.Publication, error) {
		n, _ := cmd.Float("value")
		value, text := wholeOrNot(n)
		return send(c, text, map[string]any{"value": value})
	},
}

func numberLimits(c Config) (low, high float64) { return c.Float("min", 1), c.Float("max", 100) }

func numberSetter(reset string) setter {
	return func(a *entityv1.Attributes, s Said) error {
		number := &entityv1.Number{}
		n, decimal, ok := exactNumber(s.Text)
		switch {
		case s.Text == reset || s.Unknown():
		case !ok:
			return unfit(s, "a number")
		case decimal != "":
			number.Value = &entityv1.Number_Decimal{Decimal: decimal}
		default:
			number.Value = &entityv1.Number_Number{Number: n}
		}
		a.Domain = &entityv1.Attributes_Number{Number: number}
		return nil
	}
}

// wholeOrNot is a number as templates see it and as it is written: 21, and not 21.0.
func wholeOrNot(n float64) (value any, text string) {
	const exact = 1 << 53
	if n == math.Trunc(n) && math.Abs(n) <= exact {
		return int64(n), strconv.FormatInt(int64(n), 10)
	}
	if abs := math.Abs(n); abs < 1e-4 || abs >= 1e16 { // as Python writes it
		return n, strconv.FormatFloat(n, 'e', -1, 64)
	}
	return n, strconv.FormatFloat(n, 'f', -1, 64)
}
