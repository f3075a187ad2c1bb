package discovery

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/statehouse/statehouse/internal/mqtt"
	"github.com/statehouse/statehouse/internal/mqtt/dialect"
)

// MappedDevice is a device that announces nothing, as the user describes it.
type MappedDevice struct {
	// Topic is what the device's topics begin with, and what "~" stands for in its entities. Levels of it may be "+": then
	// there is a device for each topic that is heard of, and {1}, {2} stand for what was there.
	Topic string
	// Name is the device's; empty means the last level of the topic.
	Name                string
	Manufacturer, Model string
	// Entities are what it has: the keys of Home Assistant's MQTT discovery, and besides these "component", and "path" instead of a
	// value_template: the names that lead to the value in a JSON payload, with dots between them.
	Entities []map[string]any
}

// Mapping translates what the user says of devices that announce nothing.
type Mapping struct {
	devices []mapped
	parser  *HomeAssistant

	mu        sync.Mutex      // guards announced
	announced map[string]bool // keys of devices that were heard of in this process
}

type mapped struct {
	MappedDevice
	levels []string
	wild   bool
}

var _ Translator = (*Mapping)(nil)

const (
	// mappedDevices is how many devices patterns may make.
	mappedDevices  = 10_000
	mappedEntities = maxDeviceEntities
)

// NewMapping checks what the user says of devices. The error names each device and entity that is wrong.
func NewMapping(devices []MappedDevice) (*Mapping, error) {
	m := &Mapping{parser: NewHomeAssistant(HomeAssistantOptions{}), announced: map[string]bool{}}
	var bad []error
	for _, d := range devices {
		one := mapped{MappedDevice: d, levels: strings.Split(d.Topic, "/")}
		one.wild = slices.Contains(one.levels, "+")
		err := one.check()
		if err == nil && slices.ContainsFunc(m.devices, func(o mapped) bool { return o.Topic == d.Topic }) {
			err = errors.New("the topic is given twice; put its entities together")
		}
		if err == nil {
			_, err = m.announce(one, one.sample())
		}
		if err != nil {
			bad = append(bad, fmt.Errorf("topic %.80q: %w", d.Topic, err))
			continue
		}
		m.devices = append(m.devices, one)
	}
	return m, errors.Join(bad...)
}

// check says what is wrong with a device, apart from its entities.
func (d *mapped) check() error {
	topic := strings.Join(d.sample(), "/")
	switch {
	case d.Topic == "":
		return errors.New("the topic is missing: write what the device's topics begin with")
	case mqtt.ValidTopic(topic) != nil || strings.HasPrefix(d.Topic, "/") || strings.HasSuffix(d.Topic, "/"):
		return errors.New("write a topic whose levels may be +, as in sensors/+, without / at its ends")
	case len(d.Entities) == 0:
		return errors.New("it has no entities")
	case len(d.Entities) > mappedEntities:
		return fmt.Errorf("it has %d entities, at most %d are taken", len(d.Entities), mappedEntities)
	}
	return nil
}

// sample is a topic that fits the pattern.
func (d *mapped) sample() []string {
	levels := slices.Clone(d.levels)
	for i := range levels {
		if levels[i] == "+" {
			levels[i] = "x"
		}
	}
	return levels
}

// Name implements [Translator].
func (m *Mapping) Name() string { return "mqtt" }

// Filters implements [Translator].
func (m *Mapping) Filters() []string {
	var filters []string
	for _, d := range m.devices {
		if d.wild {
			filters = append(filters, d.Topic, d.Topic+"/#")
		}
	}
	return filters
}

// Translate implements [Translator]: a device that a pattern fits is there as soon as it is heard of.
func (m *Mapping) Translate(topic string, payload []byte) ([]Announcement, error) {
	if len(payload) == 0 {
		return nil, nil
	}
	levels := strings.Split(topic, "/")
	var all []Announcement
	for _, d := range m.devices {
		if !d.wild || !d.fits(levels) {
			continue
		}
		a, err := m.announce(d, levels[:len(d.levels)])
		if err != nil {
			return all, err
		}
		if first, err := m.first(a.Key); err != nil {
			return all, err
		} else if first {
			all = append(all, a)
		}
	}
	return all, nil
}

// first says that a device was not announced before.
func (m *Mapping) first(key string) (bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case m.announced[key]:
		return false, nil
	case len(m.announced) >= mappedDevices:
		return false, fmt.Errorf("patterns make %d devices, and may make no more: write narrower ones", mappedDevices)
	}
	m.announced[key] = true
	return true, nil
}

// Forget implements [Forgetter].
func (m *Mapping) Forget(key string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.announced, key)
}

func (d *mapped) fits(levels []string) bool {
	if len(levels) < len(d.levels) {
		return false
	}
	for i, l := range d.levels {
		if l != "+" && l != levels[i] || levels[i] == "" {
			return false
		}
	}
	return true
}

// Declared are the announcements of the devices that are there whether they are heard of or not.
func (m *Mapping) Declared() ([]Announcement, error) {
	var all []Announcement
	for _, d := range m.devices {
		if d.wild {
			continue
		}
		a, err := m.announce(d, d.levels)
		if err != nil {
			return nil, err
		}
		all = append(all, a)
	}
	return all, nil
}

// Describes says that a key is still that of a device that the user describes.
func (m *Mapping) Describes(key string) bool {
	return slices.ContainsFunc(m.devices, func(d mapped) bool {
		topic, pattern, wild := strings.Cut(key, "\n")
		return wild == d.wild && (!wild && topic == d.Topic || wild && pattern == d.Topic)
	})
}

// announce makes of a device what it would announce if it did, in the words of Home Assistant.
func (m *Mapping) announce(d mapped, levels []string) (Announcement, error) {
	topic := strings.Join(levels, "/")
	var captured []string
	for i, l := range d.levels {
		if l == "+" {
			captured = append(captured, levels[i])
		}
	}
	name := d.fill(d.Name, captured)
	if name == "" {
		name = levels[len(levels)-1]
	}
	parts := map[string]any{}
	for i, e := range d.Entities {
		part, key, err := d.entity(e, captured)
		if err != nil {
			return Announcement{}, fmt.Errorf("entity %d: %w", i+1, err)
		}
		if _, taken := parts[key]; taken {
			return Announcement{}, fmt.Errorf("entity %d: %q is there twice; give one of them another unique_id", i+1, key)
		}
		parts[key] = part
	}
	form, err := json.Marshal(map[string]any{
		"device": map[string]any{"identifiers": topic, "name": name, "manufacturer": d.Manufacturer, "model": d.Model},
		"origin": map[string]any{"name": "statehouse"}, "~": topic, "components": parts,
	})
	if err != nil {
		return Announcement{}, err
	}
	all, err := m.parser.Translate("homeassistant/device/mapped/config", form)
	if err != nil {
		return Announcement{}, err
	}
	if len(all) != 1 {
		return Announcement{}, errors.New("it comes to nothing")
	}
	a := all[0]
	if a.Key = topic; d.wild {
		a.Key += "\n" + d.Topic
	}
	a.Device.Topic = topic
	return a, nil
}

// entity is an entity in the words of Home Assistant, and what names it within its device.
func (d *mapped) entity(e map[string]any, captured []string) (part map[string]any, key string, err error) {
	part = make(map[string]any, len(e)+2)
	for k, v := range e {
		part[k] = d.fillAny(v, captured)
	}
	component, _ := part["component"].(string)
	if component == "" {
		return nil, "", errors.New("component is missing, as in component: sensor")
	}
	delete(part, "component")
	part["platform"] = component
	if path, ok := part["path"]; ok {
		text, isText := path.(string)
		if !isText || text == "" {
			return nil, "", errors.New("path: write the names that lead to the value, as in sensors.0.temperature")
		}
		if _, both := part["value_template"]; both {
			return nil, "", errors.New("give one of path and value_template")
		}
		delete(part, "path")
		part["value_template"] = pathTemplate(text)
	}
	key, _ = part["unique_id"].(string)
	if key == "" {
		name, _ := part["name"].(string)
		key = component + "_" + dialect.Slug(name)
	}
	part["unique_id"] = key
	return part, key, nil
}

// pathTemplate is the template of a value in a JSON payload. A number is the place in a list, and a name in an object like others.
func pathTemplate(path string) string {
	var walk strings.Builder
	at := "value_json"
	for name := range strings.SplitSeq(path, ".") {
		field := at + "['" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(name) + "']"
		n, err := strconv.ParseUint(name, 10, 16)
		if err != nil {
			at = field
			continue
		}
		fmt.Fprintf(&walk, "{%% set at = %s if %s is mapping else %s[%d] %%}", field, at, at, n)
		at = "at"
	}
	return walk.String() + "{{ " + at + " }}"
}

// fill puts what stood in the topic where a text asks for it.
func (d *mapped) fill(text string, captured []string) string {
	for i, c := range captured {
		text = strings.ReplaceAll(text, "{"+strconv.Itoa(i+1)+"}", c)
	}
	return text
}

func (d *mapped) fillAny(v any, captured []string) any {
	switch v := v.(type) {
	case string:
		return d.fill(v, captured)
	case []any:
		list := make([]any, len(v))
		for i, one := range v {
			list[i] = d.fillAny(one, captured)
		}
		return list
	case map[string]any:
		object := make(map[string]any, len(v))
		for k, one := range v {
			object[k] = d.fillAny(one, captured)
		}
		return object
	default:
		return v
	}
}
