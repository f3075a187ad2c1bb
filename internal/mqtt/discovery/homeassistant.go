package discovery

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/statehouse/statehouse/eventstore"
	entityv1 "github.com/statehouse/statehouse/gen/statehouse/entity/v1"
	"github.com/statehouse/statehouse/internal/mqtt"
	"github.com/statehouse/statehouse/internal/mqtt/dialect"
	"github.com/statehouse/statehouse/state"
)

// HomeAssistantOptions are what a [HomeAssistant] lets be set. The zero value works.
type HomeAssistantOptions struct {
	// Prefix is what discovery topics begin with. Empty means "homeassistant".
	Prefix string
	// Covered are beginnings of topics, such as "zigbee2mqtt/", whose devices another dialect takes in.
	Covered []string
}

// HomeAssistant translates Home Assistant's own MQTT discovery. It keeps nothing between two messages.
//
// It is as strict as Home Assistant where a mistake would be a wrong state or a command that goes nowhere, and more lenient
// elsewhere: keys that nobody knows are ignored, null is as good as absent, a device without a name is named by its
// identifier, and of a device form the components that are right are taken. Areas are the user's: suggested_area is
// ignored. So are icons, pictures and links, which say nothing of the house.
type HomeAssistant struct {
	prefix     string
	covered    []string
	components map[string]Component
}

var _ Translator = (*HomeAssistant)(nil)

// What a message may be.
const (
	maxAnnouncement   = 1 << 20
	maxFormComponents = 1000
)

// The errors of [HomeAssistant.Translate] that mean something to its caller.
var (
	// ErrCovered says that an announcement is of a device that another dialect takes in: nothing is wrong.
	ErrCovered = errors.New("another dialect takes the device in")
	// ErrUnknownComponent says that an announcement is of a kind of entity that there is not.
	ErrUnknownComponent = errors.New("unknown component")
	// ErrAnnouncementTooLarge matches [eventstore.ErrTooLarge].
	ErrAnnouncementTooLarge = fmt.Errorf("%w: too much for an announcement", eventstore.ErrTooLarge)
)

// NewHomeAssistant makes a translator.
func NewHomeAssistant(opts HomeAssistantOptions) *HomeAssistant {
	prefix := strings.Trim(opts.Prefix, "/")
	if prefix == "" {
		prefix = "homeassistant"
	}
	return &HomeAssistant{prefix: prefix, covered: slices.Clone(opts.Covered), components: components}
}

// Name implements [Translator].
func (h *HomeAssistant) Name() string { return "homeassistant" }

// Filters implements [Translator].
func (h *HomeAssistant) Filters() []string {
	return []string{h.prefix + "/+/+/config", h.prefix + "/+/+/+/config"}
}

// Translate implements [Translator]. An announcement that is wrong in some components of a device form is returned with the
// others, not Complete, together with an error that says what is wrong with each.
func (h *HomeAssistant) Translate(topic string, payload []byte) ([]Announcement, error) {
	at, err := h.place(topic)
	if err != nil {
		return nil, err
	}
	a := Announcement{Key: topic, Complete: true}
	if len(payload) == 0 {
		return []Announcement{a}, nil
	}
	if len(payload) > maxAnnouncement {
		return nil, fmt.Errorf("%w: %d bytes, at most %d are taken", ErrAnnouncementTooLarge, len(payload), maxAnnouncement)
	}
	v, err := state.ValueFromJSON(payload)
	if err != nil {
		return nil, err
	}
	o, ok := haObjectOf(v)
	if !ok {
		return nil, haWrong("the payload", v, "a JSON object")
	}
	o.expand(coreAbbreviations)
	if v, ok := o["migrate_discovery"]; ok {
		if yes, ok := haBool(v); !ok || !yes || len(o) > 1 {
			return nil, haWrong("migrate_discovery", v, "true, and no other key")
		}
		a.Complete, a.Migrates = false, true
		return []Announcement{a}, nil
	}
	switch {
	case at.component == "device":
		return h.translateForm(a, at, o)
	case len(o) == 0: // as Home Assistant has it
		return []Announcement{a}, nil
	}
	return h.translateSingle(a, at, o)
}

// translateSingle is the message of one entity.
func (h *HomeAssistant) translateSingle(a Announcement, at haPlace, o haObject) ([]Announcement, error) {
	if err := o.base(nil); err != nil {
		return nil, err
	}
	if err := h.covers(o); err != nil {
		return nil, err
	}
	device, err := haDeviceOf(o["device"])
	if err != nil {
		return nil, err
	}
	one, err := h.entity(at, o, device)
	if err != nil {
		return nil, err
	}
	if device == nil { // one of its own, whose main entity it is
		device = &entityv1.Device{Id: haID("entity:" + one.Component + ":" + one.Key), Name: one.Entity.GetName()}
		one.Entity.Name, one.Object = "", ""
	}
	a.Device, a.Entities = device, []Announced{one}
	return []Announcement{a}, nil
}

// haPlace is what a discovery topic says.
type haPlace struct{ component, node, object string }

// key names an entity that has no unique id. That of a component of a device form is that of the topic it would have alone.
func (p haPlace) key() string {
	if p.node == "" {
		return p.component + "/" + p.object
	}
	return p.component + "/" + p.node + "/" + p.object
}

func (h *HomeAssistant) place(topic string) (haPlace, error) {
	form := h.prefix + "/<component>/[<node>/]<object>/config"
	rest, ok := strings.CutPrefix(topic, h.prefix+"/")
	rest, config := strings.CutSuffix(rest, "/config")
	levels := strings.Split(rest, "/")
	if !ok || !config || len(levels) < 2 || len(levels) > 3 || len(topic) > mqtt.MaxTopicBytes {
		return haPlace{}, fmt.Errorf("topic %.80q: announcements are on %s", topic, form)
	}
	for _, level := range levels {
		if level == "" || strings.IndexFunc(level, func(r rune) bool { return !haIDRune(r) }) >= 0 {
			return haPlace{}, fmt.Errorf("topic %.80q: %.80q, where only a-z, A-Z, 0-9, _ and - may be in %s", topic, level, form)
		}
	}
	p := haPlace{component: levels[0], object: levels[len(levels)-1]}
	if len(levels) == 3 {
		p.node = levels[1]
	}
	return p, nil
}

func haIDRune(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '_' || r == '-'
}

// covers says by an [ErrCovered] that one of a configuration's topics is another dialect's.
func (h *HomeAssistant) covers(o haObject) error {
	for topic := range o.topics() {
		for _, prefix := range h.covered {
			if strings.HasPrefix(topic+"/", strings.TrimSuffix(prefix, "/")+"/") {
				return fmt.Errorf("%w: its topic %.80q is under %q", ErrCovered, topic, prefix)
			}
		}
	}
	return nil
}

// component is the kind of entity of that name.
func (h *HomeAssistant) component(name string) (Component, error) {
	c, ok := h.components[name]
	if !ok {
		return c, fmt.Errorf("%w %.40q; there are %s", ErrUnknownComponent, name, strings.Join(sortedKeys(h.components), ", "))
	}
	return c, nil
}

// entity is one entity as its configuration describes it, whose topics are written out. Of device, nil where the
// configuration names none, it needs the name.
func (h *HomeAssistant) entity(at haPlace, o haObject, device *entityv1.Device) (Announced, error) {
	component, err := h.component(at.component)
	if err != nil {
		return Announced{}, err
	}
	one := Announced{Component: at.component}
	if one.Key, err = haKey(at, o); err != nil {
		return Announced{}, err
	}
	if one.Entity, err = haEntity(o); err != nil {
		return Announced{}, err
	}
	if one.Entity.Name, err = haName(at.component, o, device.GetName()); err != nil {
		return Announced{}, err
	}
	if one.Wish, err = haWish(o); err != nil {
		return Announced{}, err
	}
	if one.Entity.GetName() != "" {
		one.Object = dialect.Slug(one.Entity.GetName())
		if one.Object == "" { // a script that slugs do not spell
			one.Object = dialect.Slug(at.object)
		}
	}
	if one.Config, err = haConfig(o); err != nil {
		return Announced{}, err
	}
	if component.Check != nil {
		if err := component.Check(one.Config); err != nil {
			return Announced{}, err
		}
	}
	return one, nil
}
