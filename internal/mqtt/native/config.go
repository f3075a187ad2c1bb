package native

import (
	"slices"
	"strings"

	entityv1 "github.com/statehouse/statehouse/gen/statehouse/entity/v1"
	"github.com/statehouse/statehouse/internal/mqtt/dialect"
	"github.com/statehouse/statehouse/internal/mqtt/discovery"
)

// fields are a configuration, or an object in one.
type fields map[string]any

// with is f and more.
func (f fields) with(more fields) fields {
	all := make(fields, len(f)+len(more))
	for _, some := range []fields{f, more} {
		for name, v := range some {
			all[name] = v
		}
	}
	return all
}

// source is a topic, and the template of what is said there. An empty template takes the payload as it is.
type source struct{ topic, template string }

// sources are the list form of a topic's key.
func sources(list ...source) []any {
	all := make([]any, len(list))
	for i, s := range list {
		f := fields{"topic": s.topic}
		if s.template != "" {
			f["template"] = s.template
		}
		all[i] = f
	}
	return all
}

// words are a list of strings.
func words(list ...string) []any {
	all := make([]any, len(list))
	for i, s := range list {
		all[i] = s
	}
	return all
}

// config is the configuration that the fields say.
func (f fields) config() discovery.Config {
	return discovery.Config{Node: dialect.Node{Value: valueOf(f)}}
}

// valueOf is a value of fields.
func valueOf(v any) *entityv1.Value {
	switch v := v.(type) {
	case string:
		return dialect.StringValue(v)
	case bool:
		return dialect.BoolValue(v)
	case int:
		return &entityv1.Value{Kind: &entityv1.Value_IntValue{IntValue: int64(v)}}
	case float64:
		return &entityv1.Value{Kind: &entityv1.Value_DoubleValue{DoubleValue: v}}
	case []any:
		list := &entityv1.ListValue{Values: make([]*entityv1.Value, len(v))}
		for i, one := range v {
			list.Values[i] = valueOf(one)
		}
		return &entityv1.Value{Kind: &entityv1.Value_ListValue{ListValue: list}}
	case fields:
		object := &entityv1.StructValue{Fields: make([]*entityv1.Field, 0, len(v))}
		for name, one := range v {
			object.Fields = append(object.Fields, &entityv1.Field{Name: name, Value: valueOf(one)})
		}
		slices.SortFunc(object.Fields, func(a, b *entityv1.Field) int { return strings.Compare(a.GetName(), b.GetName()) })
		return &entityv1.Value{Kind: &entityv1.Value_StructValue{StructValue: object}}
	default:
		return &entityv1.Value{Kind: &entityv1.Value_NullValue{}}
	}
}

// entity is one that is going to be announced.
type entity struct {
	component, key, name string
	reading
	config fields
}

// announced is the entity as package discovery has it.
func (e entity) announced() discovery.Announced {
	config := e.config
	if e.component == "sensor" { // whether it is a number follows from these
		config = config.with(nil)
		for key, word := range map[string]string{"device_class": e.class, "unit_of_measurement": e.unit, "state_class": stateClasses[e.kind]} {
			if word != "" {
				config[key] = word
			}
		}
		if e.numeric && e.class == "" && e.unit == "" && e.kind == 0 {
			config["suggested_display_precision"] = 3 // without any of these it would be a text
		}
		if len(e.options) > 0 {
			config["options"] = words(e.options...)
		}
	}
	return discovery.Announced{
		Component: e.component, Key: e.key, Object: e.name, Config: config.config(),
		Entity: &entityv1.Entity{
			Name: e.name, DeviceClass: e.class, Unit: e.unit, StateClass: e.kind, Category: e.category, Disabled: e.disabled,
		},
	}
}

// reading is what is known of a value by its name.
type reading struct {
	name, class, unit string
	kind              entityv1.StateClass
	category          entityv1.EntityCategory
	disabled          bool
	// options are the words of an enum.
	options []string
	// numeric says that it is a number, where nothing else does.
	numeric bool
	// on and off are the words of a binary sensor; on is empty for any other.
	on, off string
}

// Short names of what most readings have.
const (
	measurement = entityv1.StateClass_STATE_CLASS_MEASUREMENT
	total       = entityv1.StateClass_STATE_CLASS_TOTAL
	increasing  = entityv1.StateClass_STATE_CLASS_TOTAL_INCREASING
	diagnostic  = entityv1.EntityCategory_ENTITY_CATEGORY_DIAGNOSTIC
)

// stateClasses are the words for them in a configuration.
var stateClasses = map[entityv1.StateClass]string{measurement: "measurement", total: "total", increasing: "total_increasing"}

// measured is a reading that is measured.
func measured(name, class, unit string) reading {
	return reading{name: name, class: class, unit: unit, kind: measurement}
}

// counted is a reading that only grows.
func counted(name, class, unit string) reading {
	return reading{name: name, class: class, unit: unit, kind: increasing}
}

// flagged is a reading that is true or false, as templates write it.
func flagged(name, class string) reading {
	return reading{name: name, class: class, on: "True", off: "False"}
}

// enum is a reading that is one of some words.
func enum(name string, options ...string) reading {
	return reading{name: name, class: "enum", options: options}
}

// hidden is the reading as one that is disabled at first.
func (r reading) hidden() reading {
	r.disabled = true
	return r
}

// diagnosis is the reading as one about the device itself.
func (r reading) diagnosis() reading {
	r.category = diagnostic
	return r
}

// entity is the entity of a reading, a sensor or a binary sensor. It is called by its channel and what is read there.
func (r reading) entity(key, channel string, from []any, common fields) entity {
	e := entity{component: "sensor", key: key, name: join(channel, r.name), reading: r, config: common.with(fields{"state_topic": from})}
	if r.on != "" {
		e.component = "binary_sensor"
		e.config["payload_on"], e.config["payload_off"] = r.on, r.off
	}
	return e
}

// join is the name of a reading behind that of its channel, in lower case there, unless it is an abbreviation.
func join(channel, name string) string {
	switch {
	case channel == "":
		return name
	case name == "":
		return channel
	case len(name) > 1 && name[1] >= 'A' && name[1] <= 'Z':
		return channel + " " + name
	}
	return channel + " " + strings.ToLower(name[:1]) + name[1:]
}

// sleeperExpiry is after how many seconds what a sleeper said holds no more.
const sleeperExpiry = 25 * 3600

// common are the keys that all entities of a device have: whether it is online, or when it expires for a sleeper.
func common(topic, online, offline string, sleeps bool) fields {
	if sleeps {
		return fields{"expire_after": sleeperExpiry}
	}
	return fields{"availability": []any{fields{"topic": topic, "payload_available": online, "payload_not_available": offline}}}
}
