package discovery

import (
	"fmt"
	"regexp"
	"unicode/utf8"

	entityv1 "github.com/statehouse/statehouse/gen/statehouse/entity/v1"
	"github.com/statehouse/statehouse/internal/command"
	"github.com/statehouse/statehouse/internal/mqtt"
)

// textComponent is a text that can be set. An empty one is a text as well.
var textComponent = Component{
	Name: "text", Domain: "text",
	Check: func(c Config) error {
		if low, high := textLimits(c); low > high || low < 0 {
			return fmt.Errorf("%w: min %v of a text is above its max %v, or below zero", ErrIncomplete, low, high)
		}
		return needsAll("text", "command_topic")(c)
	},
	Describe: func(c Config, e *entityv1.Entity) {
		describeValue(c, e)
		low, high := textLimits(c)
		e.Capabilities.Minimum, e.Capabilities.Maximum = &low, &high
	},
	Inputs: func(c Config) []Input {
		// A template writes None for null; without one it is the text.
		templated := c.Str("value_template") != "" || c.Str("state_topic") == ""
		return stateInput(c, func(a *entityv1.Attributes, s Said) error {
			text := &entityv1.Text{}
			if !templated || !s.Unknown() {
				text.Value = &s.Text
			}
			a.Domain = &entityv1.Attributes_Text{Text: text}
			return nil
		})
	},
	Command: func(c Config, cmd command.Checked, _ *entityv1.Attributes) ([]mqtt.Publication, error) {
		value, _ := cmd.String("value")
		if err := checkText(c, value); err != nil {
			return nil, err
		}
		return send(c, value, nil)
	},
}

// textLimits are the limits of a text's length.
func textLimits(c Config) (low, high float64) {
	return c.Float("min", 0), c.Float("max", command.MaxText)
}

// checkText says what is wrong with a text. It does not repeat it: the text may be a password.
func checkText(c Config, value string) error {
	low, high := textLimits(c)
	if n := float64(utf8.RuneCountInString(value)); n < low || n > high {
		return fmt.Errorf("%w: value has %v characters, where %v to %v are taken", command.ErrInvalid, n, low, high)
	}
	pattern := compiledPattern(c.Str("pattern"))
	if pattern != nil && !pattern.MatchString(value) {
		return fmt.Errorf("%w: value does not match %.80q", command.ErrInvalid, c.Str("pattern"))
	}
	return nil
}

// compiledPattern is a pattern that texts have to match from their beginning on, nil for none, or for one that is not known
// here, such as one with a look-ahead: the device knows it.
func compiledPattern(text string) *regexp.Regexp {
	const longest = 1 << 10
	if text == "" || len(text) > longest {
		return nil
	}
	pattern, err := regexp.Compile("^(?:" + text + ")")
	if err != nil {
		return nil
	}
	return pattern
}
