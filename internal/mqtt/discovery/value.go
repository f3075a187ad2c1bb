package discovery

import (
	"errors"
	"fmt"
	"strings"
	"time"

	entityv1 "github.com/statehouse/statehouse/gen/statehouse/entity/v1"
	"github.com/statehouse/statehouse/internal/command"
	"github.com/statehouse/statehouse/internal/mqtt"
	"github.com/statehouse/statehouse/internal/mqtt/dialect"
	"github.com/statehouse/statehouse/state"
)

// valueComponents are those of one value.
var valueComponents = []Component{
	sensorComponent, binarySensorComponent, switchComponent, numberComponent, selectComponent, textComponent,
	buttonComponent, sceneComponent, dateComponent, timeComponent, datetimeComponent,
}

// ErrIncomplete is what a Check fails with where a configuration lacks a key, or has a value that no entity can work with.
var ErrIncomplete = errors.New("the configuration is not usable")

// ErrIgnored is the [ErrUnfit] of a message that says nothing to the entity and is no mistake: an empty one, or one that is
// for another trigger on the same topic. There is nothing to complain of.
var ErrIgnored = fmt.Errorf("%w: nothing is said", ErrUnfit)

// setter is an input's Set.
type setter = func(a *entityv1.Attributes, s Said) error

// unlessEmpty is a setter that ignores empty messages.
func unlessEmpty(set setter) setter {
	return func(a *entityv1.Attributes, s Said) error {
		if strings.TrimSpace(s.Text) == "" {
			return ErrIgnored
		}
		return set(a, s)
	}
}

// listens says that a key names a topic to listen to, or a list of them.
func listens(c Config, key string) bool { return c.Str(key) != "" || len(c.List(key)) > 0 }

// answersOn says that what comes on a topic answers commands: where a device is called optimistic, nobody shall wait.
func answersOn(c Config, key string) bool { return listens(c, key) && !c.Flag("optimistic", false) }

// isNullKey says that a key is there and null, which takes away what it has by default.
func isNullKey(c Config, key string) bool { return c.Has(key) && dialect.IsNull(c.Get(key).Value) }

// needsAll is a Check for keys of which each has to name a topic.
func needsAll(component string, keys ...string) func(Config) error {
	return func(c Config) error {
		for _, key := range keys {
			if !listens(c, key) {
				return fmt.Errorf("%w: a %s needs a %s", ErrIncomplete, component, key)
			}
		}
		return validTopics(c)
	}
}

// validTopics is the first error of the topics that a configuration names. None may be a filter: what comes on several topics is
// not the state of one thing.
func validTopics(c Config) error {
	for _, f := range c.Value.GetStructValue().GetFields() {
		name := f.GetName()
		topic, ok := dialect.TextOf(f.GetValue())
		if !ok || name != "topic" && !strings.HasSuffix(name, "_topic") || topic == "" {
			continue
		}
		if err := mqtt.ValidTopic(topic); err != nil {
			return fmt.Errorf("%w: %.80s: %w", ErrIncomplete, name, err)
		}
	}
	return nil
}

// wordsOf are the values of a list as words; one value may stand for a list of it.
func wordsOf(c Config, key string) []string {
	if words := c.Words(key); len(words) > 0 {
		return words
	}
	if word := c.Word(key, ""); word != "" {
		return []string{word}
	}
	return nil
}

// addFeature adds a feature to what an entity can do.
func addFeature(e *entityv1.Entity, f *entityv1.Feature) { dialect.Spec{Entity: e}.AddFeature(f) }

// describeValue fills what an entity of one value can do.
func describeValue(c Config, e *entityv1.Entity) {
	e.Capabilities.Readable = answersOn(c, "state_topic")
	e.Capabilities.Writable = c.Str("command_topic") != ""
}

// stateInput is the input of most components.
func stateInput(c Config, set setter) []Input {
	return inputsOf(Input{Sources: c.Sources("state_topic", "value_template"), Set: set})
}

// inputsOf are those of the inputs that have a source.
func inputsOf(all ...Input) []Input {
	var inputs []Input
	for _, in := range all {
		if len(in.Sources) > 0 {
			inputs = append(inputs, in)
		}
	}
	return inputs
}

// send is one publication on the command topic, through the command template.
func send(c Config, value string, vars map[string]any) ([]mqtt.Publication, error) {
	return sendOn(c, "command_topic", "command_template", value, vars)
}

// sendOn is send with keys of its own.
func sendOn(c Config, topicKey, templateKey, value string, vars map[string]any) ([]mqtt.Publication, error) {
	p, err := c.Publish(topicKey, templateKey, value, vars)
	if err != nil {
		return nil, err
	}
	return []mqtt.Publication{p}, nil
}

// cannot is the error of a command that the device does not take.
func cannot(cmd command.Checked, why string) error {
	return fmt.Errorf("%w: %s: %s", command.ErrUnsupported, cmd.Action, why)
}

// exactNumber reads a number from a text: n where a double holds it as it is written, else its digits.
func exactNumber(text string) (n float64, decimal string, ok bool) {
	digits := strings.TrimSpace(text)
	if n, ok := shortNumber(digits); ok {
		return n, "", true
	}
	return longNumber(digits)
}

// longNumber is exactNumber for any number, without blanks around it.
func longNumber(digits string) (n float64, decimal string, ok bool) {
	const longest = 255
	if digits == "" || len(digits) > longest || strings.Trim(digits, "0123456789+-.eE") != "" {
		return 0, "", false
	}
	// JSON is stricter than what devices write: +7, 007, .5 and 5. are numbers.
	sign := ""
	if digits[0] == '-' || digits[0] == '+' {
		sign, digits = strings.TrimPrefix(digits[:1], "+"), digits[1:]
	}
	if digits == "" || (digits[0] < '0' || digits[0] > '9') && (len(digits) < 2 || digits[0] != '.') {
		return 0, "", false
	}
	digits = strings.TrimLeft(digits, "0")
	if digits == "" || digits[0] < '0' || digits[0] > '9' {
		digits = "0" + digits
	}
	v, err := state.ValueFromJSON([]byte(sign + strings.TrimSuffix(digits, ".")))
	if err != nil {
		return 0, "", false
	}
	return dialect.NumberOf(v)
}

// shortNumber reads what nearly every sensor says: digits, 15 at most, and a fraction or none. A double holds each of these as it is
// written, and one division of two whole numbers that doubles hold is the double next to it.
func shortNumber(text string) (n float64, ok bool) {
	const most = 15
	digits, negative := strings.CutPrefix(text, "-")
	whole, scale, point := int64(0), int64(1), -1
	if len(digits) > most+1 {
		return 0, false
	}
	for i := range len(digits) {
		switch c := digits[i]; {
		case c >= '0' && c <= '9':
			whole = whole*10 + int64(c-'0')
			if point >= 0 {
				scale *= 10
			}
		case c == '.' && point < 0:
			point = i
		default:
			return 0, false
		}
	}
	if whole == 0 || point < 0 && len(digits) > most { // zero may be a negative one
		return 0, false
	}
	if n = float64(whole) / float64(scale); negative {
		n = -n
	}
	return n, true
}

// clockLayouts are the ways to write a moment, without its zone.
var clockLayouts = []string{"2006-01-02T15:04:05", "2006-01-02 15:04:05", "2006-01-02T15:04", "2006-01-02 15:04"}

// zoneLayouts are the ways to write a zone.
var zoneLayouts = []string{"Z07:00", "Z0700", "Z07", " Z07:00", " Z0700"}

// parseClock reads a moment as ISO 8601 has it. Zoned says that its zone is written; where it is not, the moment is in UTC.
func parseClock(text string) (t time.Time, zoned, ok bool) {
	const longest = 64
	text = strings.TrimSpace(text)
	if len(text) > longest {
		return time.Time{}, false, false
	}
	for _, layout := range clockLayouts {
		for _, zone := range zoneLayouts {
			if t, err := time.Parse(layout+zone, text); err == nil {
				return t, true, true
			}
		}
		if t, err := time.Parse(layout, text); err == nil {
			return t, false, true
		}
	}
	return time.Time{}, false, false
}

// inRange says that nanoseconds in 64 bits hold a moment.
func inRange(t time.Time) bool { return t.UTC().Year() >= 1678 && t.UTC().Year() <= 2261 }

// parseDay reads a day, of which a moment has one as well.
func parseDay(text string) (string, bool) {
	text = strings.TrimSpace(text)
	t, err := time.Parse(time.DateOnly, text)
	if err != nil {
		var ok bool
		if t, _, ok = parseClock(text); !ok {
			return "", false
		}
	}
	return t.Format(time.DateOnly), t.Year() > 0
}
