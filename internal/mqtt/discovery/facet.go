package discovery

import (
	"fmt"
	"math"
	"slices"
	"strconv"

	entityv1 "github.com/statehouse/statehouse/gen/statehouse/entity/v1"
	"github.com/statehouse/statehouse/internal/command"
	"github.com/statehouse/statehouse/internal/mqtt"
)

// facet is one of the things that an entity of several reports, takes, or both: a fan's direction.
type facet struct {
	// feature is the name of the entity's feature.
	feature string
	// state and template are the keys of the topic that says it and of what makes the value of its payloads; command is that
	// of the topic that takes it. Empty ones do not exist.
	state, template, command string
	// set is what [Input].Set is; nil where nothing says it.
	set setter
	// options, unit and limits are those of the feature.
	options                []string
	unit                   string
	minimum, maximum, step *float64
}

// facetFeatures adds the features of the facets that have a topic.
func facetFeatures(c Config, e *entityv1.Entity, facets []facet) {
	for _, f := range facets {
		feature := &entityv1.Feature{
			Name: f.feature, Readable: f.set != nil && answersOn(c, f.state), Writable: c.Str(f.command) != "",
			Options: f.options, Unit: f.unit, Minimum: f.minimum, Maximum: f.maximum, Step: f.step,
		}
		if f.set != nil && listens(c, f.state) || feature.GetWritable() {
			addFeature(e, feature)
		}
	}
}

// facetInputs are the inputs of the facets that some topic says. The template under the key otherwise stands for those
// that have none.
func facetInputs(c Config, facets []facet, otherwise string) []Input {
	var inputs []Input
	for _, f := range facets {
		template := f.template
		if c.Str(template) == "" {
			template = otherwise
		}
		if sources := c.Sources(f.state, template); f.set != nil && len(sources) > 0 {
			inputs = append(inputs, Input{Sources: sources, Set: unlessEmpty(f.set)})
		}
	}
	return inputs
}

// facetMaxOption is the longest option in bytes: a command could not name a longer one.
const facetMaxOption = command.MaxText

// facetOptions are the words under a key, each once, and otherwise where there is no such list.
func facetOptions(c Config, key string, otherwise ...string) []string {
	if !c.Has(key) {
		return otherwise
	}
	seen := make(map[string]bool)
	return slices.DeleteFunc(c.Words(key), func(w string) bool {
		unfit := w == "" || len(w) > facetMaxOption || seen[w]
		seen[w] = true
		return unfit
	})
}

// facetLimit is the number under a key, nil where there is none.
func facetLimit(c Config, key string) *float64 {
	n, ok := number(c.Get(key).Value)
	if !ok {
		return nil
	}
	return &n
}

// facetOn takes the words for on and off.
func facetOn(on, off string, put func(*entityv1.Attributes, *bool)) setter {
	return func(a *entityv1.Attributes, s Said) error {
		switch s.Text {
		case on, off:
			is := s.Text == on
			put(a, &is)
		case "None":
			put(a, nil)
		default:
			return unfit(s, fmt.Sprintf("%.40q or %.40q", on, off))
		}
		return nil
	}
}

// facetFloat takes a number between two limits; reset is a further word for one that is not known.
func facetFloat(low, high float64, reset string, put func(*entityv1.Attributes, *float64)) setter {
	return func(a *entityv1.Attributes, s Said) error {
		if s.Unknown() || s.Text == reset {
			put(a, nil)
			return nil
		}
		n, ok := parseNumber(s.Text)
		if !ok || n < low || n > high {
			return unfit(s, "a number from "+facetDecimals(low)+" to "+facetDecimals(high))
		}
		put(a, &n)
		return nil
	}
}

// facetOption takes one of a list; reset is a further word for one that is not known.
func facetOption(options []string, reset string, put func(*entityv1.Attributes, *string)) setter {
	return func(a *entityv1.Attributes, s Said) error {
		switch {
		case slices.Contains(options, s.Text):
			word := s.Text
			put(a, &word)
		case s.Unknown(), s.Text == reset:
			put(a, nil)
		default:
			return unfit(s, "one of its options")
		}
		return nil
	}
}

// facetWord takes one of the words that a typed field has.
func facetWord[T any](words map[string]T, put func(*entityv1.Attributes, T)) setter {
	return func(a *entityv1.Attributes, s Said) error {
		word, ok := words[s.Text]
		switch {
		case ok, s.Unknown():
			put(a, word)
		default:
			return unfit(s, "one of the words for it")
		}
		return nil
	}
}

// facetOutbox gathers what is to be published for a command, up to the first error.
type facetOutbox struct {
	config Config
	all    []mqtt.Publication
	err    error
}

// publish puts a value on the topic of one of the configuration's keys: see [Config].Publish. The value's Python form is the
// payload where there is no template, and what the template sees.
func (o *facetOutbox) publish(topicKey, templateKey string, value any) {
	o.publishWith(topicKey, templateKey, facetText(value), map[string]any{"value": value})
}

func (o *facetOutbox) publishWith(topicKey, templateKey, text string, vars map[string]any) {
	if o.err != nil {
		return
	}
	p, err := o.config.Publish(topicKey, templateKey, text, vars)
	if err != nil {
		o.err = err
		return
	}
	o.all = append(o.all, p)
}

// option publishes an argument that is a word, where it was given, under keys that begin with prefix.
func (o *facetOutbox) option(cmd command.Checked, argument, prefix string) {
	if word, ok := cmd.String(argument); ok {
		o.publish(prefix+"_command_topic", prefix+"_command_template", word)
	}
}

// float publishes an argument that is a number, where it was given, under keys that begin with prefix.
func (o *facetOutbox) float(cmd command.Checked, argument, prefix string) {
	if n, ok := cmd.Float(argument); ok {
		o.publish(prefix+"_command_topic", prefix+"_command_template", n)
	}
}

// whole is float for what Home Assistant writes without a fraction where it has none.
func (o *facetOutbox) whole(cmd command.Checked, argument, prefix string) {
	n, ok := cmd.Float(argument)
	switch {
	case ok && n == math.Trunc(n):
		o.publish(prefix+"_command_topic", prefix+"_command_template", int(n))
	case ok:
		o.publish(prefix+"_command_topic", prefix+"_command_template", n)
	}
}

func (o *facetOutbox) done() ([]mqtt.Publication, error) {
	if o.err != nil {
		return nil, o.err
	}
	return o.all, nil
}

// notOverMQTT is why an action is refused that no component of its kind has.
const notOverMQTT = "no device takes that over MQTT"

// facetText is a value as Python's str writes it, which is what Home Assistant publishes: a float never without a
// fraction.
func facetText(value any) string {
	switch v := value.(type) {
	case string:
		return v
	case float64:
		text := facetDecimals(v)
		if v == math.Trunc(v) {
			text += ".0"
		}
		return text
	default:
		return fmt.Sprint(v)
	}
}

func facetDecimals(n float64) string { return strconv.FormatFloat(n, 'f', -1, 64) }
