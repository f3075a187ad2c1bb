package discovery

import (
	"errors"
	"fmt"
	"time"

	entityv1 "github.com/statehouse/statehouse/gen/statehouse/entity/v1"
	"github.com/statehouse/statehouse/internal/command"
	"github.com/statehouse/statehouse/internal/mqtt"
	"github.com/statehouse/statehouse/internal/mqtt/dialect"
	"github.com/statehouse/statehouse/internal/template"
	"github.com/statehouse/statehouse/state"
)

// Config is the configuration of one entity: the keys of Home Assistant's MQTT discovery, written out, with "~" put in.
//
// A key that names a topic to listen to may hold, instead of a topic, a list of objects with "topic" and "template": the
// value is then taken from whichever of them a message comes on. No announcement over MQTT can say that; native dialects
// and the user's configuration do.
type Config struct{ dialect.Node }

// Component is a kind of entity: "sensor", "light".
type Component struct {
	// Name is the component's own in discovery topics; Domain is that of the entity's id and of its attributes.
	Name, Domain string
	// Check says what is missing in a configuration or wrong with it, nil for nothing. Of templates it need not speak.
	Check func(c Config) error
	// Describe completes the entity's registry entry, in which what all components share is filled in (name, class, unit,
	// category, disabled): what it can do, and between which limits, in its Capabilities (never nil).
	Describe func(c Config, e *entityv1.Entity)
	// Inputs are what it takes from messages.
	Inputs func(c Config) []Input
	// Finish, where it is not nil, works out what follows from several inputs, after all of a message were set.
	Finish func(c Config, a *entityv1.Attributes)
	// Command is what has to be published for the entity to do what cmd says, in this order; nil where nothing can be asked
	// of it. now is its present state, which must not be modified.
	Command func(c Config, cmd command.Checked, now *entityv1.Attributes) ([]mqtt.Publication, error)
	// Stateless says that no state ever answers a command, whatever the configuration is.
	Stateless bool
	// KeepsExtra says that its own inputs put what no typed field holds into the extra.
	KeepsExtra bool
}

// Input is one thing that an entity takes from messages.
type Input struct {
	// Sources are where it comes from.
	Sources []Source
	// Set puts what a message says into attributes that it may modify: typed part, extra. It fails with [ErrUnfit] where
	// that is nothing that it knows, and then has changed nothing. Most inputs take "None" for "not known": see
	// [Said.Unknown].
	Set func(a *entityv1.Attributes, s Said) error
	// Momentary says that a message is something that happens, so that a stored one is none.
	Momentary bool
}

// Source is where an input comes from.
type Source struct {
	Topic string
	// Template makes of the payload what is said; nil leaves it as it is.
	Template *template.Template
}

// Said is what a message says to one input.
type Said struct {
	// Text is the payload, or what the template made of it.
	Text string
	// Payload is the message's own.
	Payload *template.Payload
	// At is when it was so.
	At time.Time

	read func() (*entityv1.Value, error) // what JSON answers; nil where nobody shares it
}

// JSON is Text as JSON. It is read at most once, before the writer's turn where it looks like an object, so that an input of many
// entities costs no more than of one. The value must not be modified.
func (s Said) JSON() (*entityv1.Value, error) {
	if s.read == nil {
		return state.ValueFromJSON([]byte(s.Text))
	}
	return s.read()
}

// Unknown says that the message says that the value is not known.
func (s Said) Unknown() bool { return s.Text == "None" }

// ErrUnfit is what an input fails with that can make nothing of what a message says.
var ErrUnfit = errors.New("it says nothing that the entity knows")

// unfit is an [ErrUnfit] that says what would be right.
func unfit(s Said, want string) error {
	return fmt.Errorf("%w: %.80q, where %s was expected", ErrUnfit, s.Text, want)
}

// Sources are where an input comes from by the keys of its topic and of its template; nil where there is no topic. A template
// that does not compile has been refused before.
func (c Config) Sources(topicKey, templateKey string) []Source {
	compiled := func(n dialect.Node, key string) *template.Template {
		text := n.Str(key)
		if text == "" {
			return nil
		}
		t, err := template.Compile(text)
		if err != nil {
			return nil
		}
		return t
	}
	if list := c.List(topicKey); len(list) > 0 {
		sources := make([]Source, 0, len(list))
		for _, n := range list {
			sources = append(sources, Source{Topic: n.Str("topic"), Template: compiled(n, "template")})
		}
		return sources
	}
	topic := c.Str(topicKey)
	if topic == "" {
		return nil
	}
	return []Source{{Topic: topic, Template: compiled(c.Node, templateKey)}}
}

// Word is the field of that name as a string, also where it is a number or a bool: what payloads and options are. It is
// otherwise where there is no such field.
func (c Config) Word(key, otherwise string) string {
	if w, ok := wordOf(c.Get(key).Value); ok {
		return w
	}
	return otherwise
}

// Words are the values of a list as words, [dialect.MaxOptions] at most.
func (c Config) Words(key string) []string {
	var words []string
	for _, n := range c.List(key) {
		if w, ok := wordOf(n.Value); ok && len(words) < dialect.MaxOptions {
			words = append(words, w)
		}
	}
	return words
}

// wordOf is a value as a word as Python writes it, and templates therefore do: True, 1.0.
func wordOf(v *entityv1.Value) (string, bool) {
	switch k := v.GetKind().(type) {
	case *entityv1.Value_BoolValue:
		if k.BoolValue {
			return "True", true
		}
		return "False", true
	case *entityv1.Value_DoubleValue:
		return facetText(k.DoubleValue), true
	default:
		return dialect.WordOf(v)
	}
}

// Float is the field of that name as a number, also where it is one in a string, and otherwise where it is none.
func (c Config) Float(key string, otherwise float64) float64 {
	if f, ok := number(c.Get(key).Value); ok {
		return f
	}
	return otherwise
}

// Flag is the field of that name as a bool, otherwise where it is none.
func (c Config) Flag(key string, otherwise bool) bool {
	switch k := c.Get(key).Value.GetKind().(type) {
	case *entityv1.Value_BoolValue:
		return k.BoolValue
	case *entityv1.Value_StringValue:
		switch k.StringValue {
		case "true", "True", "on", "yes", "1":
			return true
		case "false", "False", "off", "no", "0":
			return false
		}
	}
	return otherwise
}

// Publish is a message on the topic that a key names. Its quality of service is 1, since the broker's acknowledgement is the
// least that a command is to get, and it is never retained, whatever the configuration asks for: a broker would give a device
// that comes back tomorrow what was wanted today. The template under templateKey, where there is one, makes the payload of
// vars, and of value where that is not among them; else value is the payload. It fails where there is no such topic or the
// template does.
func (c Config) Publish(topicKey, templateKey string, value string, vars map[string]any) (mqtt.Publication, error) {
	p := mqtt.Publication{Topic: c.Str(topicKey), Payload: []byte(value), QoS: 1}
	if p.Topic == "" {
		return p, fmt.Errorf("%w: the device takes no %s", ErrNoTopic, topicKey)
	}
	text := c.Str(templateKey)
	if text == "" {
		return p, nil
	}
	t, err := template.Compile(text)
	if err != nil {
		return p, fmt.Errorf("%s: %w", templateKey, err)
	}
	all := map[string]any{"value": value}
	for name, v := range vars {
		all[name] = v
	}
	payload, err := t.RenderCommand(all)
	if err != nil {
		return p, fmt.Errorf("%s: %w", templateKey, err)
	}
	p.Payload = []byte(payload)
	return p, nil
}

// ErrNoTopic says that a configuration names no topic for what is asked.
var ErrNoTopic = errors.New("no topic")
