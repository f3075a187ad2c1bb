package discovery

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	entityv1 "github.com/statehouse/statehouse/gen/statehouse/entity/v1"
	"github.com/statehouse/statehouse/internal/mqtt/dialect"
	"github.com/statehouse/statehouse/state"
)

// definition is what the registry keeps of an entity, so that a restart needs no announcement: the component, the key that
// announced it, and the configuration. It is kept as text, which takes a tenth of the memory that the values would.
type definition struct {
	component Component
	key       string
	config    Config
}

// Fields of a definition.
const (
	fieldComponent = "component"
	fieldKey       = "key"
	fieldConfig    = "config"
)

// Keys of a configuration that every component has.
const (
	keyAvailability     = "availability"
	keyAvailabilityMode = "availability_mode"
	keyEncoding         = "encoding"
	keyExpireAfter      = "expire_after"
	keyForceUpdate      = "force_update"
	keyJSONAttributes   = "json_attributes_topic"
	keyOffDelay         = "off_delay"
)

// maxDefinition is far beyond every real one.
const maxDefinition = 64 << 10

var errNoDefinition = errors.New("the entity has no definition that can be read")

// define writes the definition of an entity.
func define(component, key string, c Config) (string, error) {
	c = c.Sealed() // the log keeps it for good
	text := jsonText(&entityv1.Value{Kind: &entityv1.Value_StructValue{StructValue: &entityv1.StructValue{
		Fields: []*entityv1.Field{
			{Name: fieldComponent, Value: dialect.StringValue(component)},
			{Name: fieldConfig, Value: c.Value},
			{Name: fieldKey, Value: dialect.StringValue(key)},
		},
	}}})
	if len(text) > maxDefinition {
		return "", fmt.Errorf("a configuration of %d bytes, at most %d are taken", len(text), maxDefinition)
	}
	return text, nil
}

// rooms are for what is written and counted, or copied, at once.
var rooms = sync.Pool{New: func() any { return new([]byte) }}

// jsonText is a value as JSON.
func jsonText(v *entityv1.Value) string {
	room := rooms.Get().(*[]byte)
	defer rooms.Put(room)
	*room = state.AppendJSON((*room)[:0], v)
	return string(*room)
}

// jsonSize is how long a value is as JSON.
func jsonSize(v *entityv1.Value) int {
	room := rooms.Get().(*[]byte)
	defer rooms.Put(room)
	*room = state.AppendJSON((*room)[:0], v)
	return len(*room)
}

// definitionOf is the text of an entity's definition, empty where it has none.
func definitionOf(e *entityv1.Entity) string {
	text, _ := dialect.TextOf(e.GetCapabilities().GetDefinition())
	return text
}

// parseDefinition reads what define has written.
func parseDefinition(text string) (definition, error) {
	v, err := state.ValueFromJSON([]byte(text))
	if err != nil {
		return definition{}, fmt.Errorf("%w: %w", errNoDefinition, err)
	}
	n := dialect.Node{Value: v}
	component, ok := components[n.Str(fieldComponent)]
	if !ok {
		return definition{}, fmt.Errorf("%w: component %.40q", errNoDefinition, n.Str(fieldComponent))
	}
	return definition{component: component, key: n.Str(fieldKey), config: Config{n.Get(fieldConfig)}}, nil
}

// inputs are what the entity takes from messages, those included that every component has.
func (d definition) inputs() []Input {
	inputs := d.component.Inputs(d.config)
	if sources := d.config.Sources(keyJSONAttributes, "json_attributes_template"); sources != nil {
		set := setJSONAttributes
		if d.component.KeepsExtra {
			set = addJSONAttributes
		}
		inputs = append(slices.Clip(inputs), Input{Sources: sources, Set: set})
	}
	return inputs
}

// setJSONAttributes keeps the fields of an object as they are, in the place of those of the one before: devices name fields after days.
func setJSONAttributes(a *entityv1.Attributes, s Said) error {
	before := a.Extra
	a.Extra = nil
	err := addJSONAttributes(a, s)
	if err != nil {
		a.Extra = before
	}
	return err
}

// addJSONAttributes is setJSONAttributes beside what else is in the extra.
func addJSONAttributes(a *entityv1.Attributes, s Said) error {
	if len(s.Text) > dialect.MaxState {
		return fmt.Errorf("%w: an object of %d bytes, at most %d are kept", ErrUnfit, len(s.Text), dialect.MaxState)
	}
	v, err := s.JSON()
	if err != nil || v.GetStructValue() == nil {
		return unfit(s, "a JSON object")
	}
	for _, f := range v.GetStructValue().GetFields() {
		value := f.GetValue()
		if dialect.IsNull(value) {
			value = nil
		}
		dialect.SetExtra(a, f.GetName(), value)
	}
	return nil
}

// answers says that a state comes back for what the entity is asked to do.
func (d definition) answers() bool {
	if d.component.Stateless || d.config.Flag("optimistic", false) {
		return false
	}
	return slices.ContainsFunc(d.component.Inputs(d.config), func(in Input) bool { return !in.Momentary && len(in.Sources) > 0 })
}

// seconds is a duration that a configuration gives in seconds, 0 where it gives none; a year at most.
func (c Config) seconds(key string) time.Duration {
	const most = 366 * 24 * 3600
	s := c.Float(key, 0)
	if !(s > 0) {
		return 0
	}
	return time.Duration(min(s, most) * float64(time.Second))
}

// domainKey is what names an announced entity within its device and domain.
func (a Announced) domainKey() string {
	if c := components[a.Component]; c.Domain != c.Name {
		return a.Component + ":" + a.Key
	}
	return a.Key
}

// sourceName names an ecosystem at a broker: "<ecosystem>/<broker>". Slashes within are escaped, so that no two get the same.
func sourceName(name, broker string) string {
	escape := strings.NewReplacer("%", "%25", "/", "%2F")
	return escape.Replace(name) + "/" + escape.Replace(cmp.Or(broker, "default"))
}
