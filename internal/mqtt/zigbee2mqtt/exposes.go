package zigbee2mqtt

import (
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/statehouse/statehouse/eventstore"
	entityv1 "github.com/statehouse/statehouse/gen/statehouse/entity/v1"
)

// Domains of the entities that exposes become.
const (
	domainLight        = "light"
	domainSwitch       = "switch"
	domainSensor       = "sensor"
	domainBinarySensor = "binary_sensor"
	domainClimate      = "climate"
	domainCover        = "cover"
	domainLock         = "lock"
	domainFan          = "fan"
	domainNumber       = "number"
	domainSelect       = "select"
	domainText         = "text"
	domainButton       = "button"
	domainEvent        = "event"
	domainUpdate       = "update"
	domainSiren        = "siren"
)

// Bits of an expose's access.
const (
	accessState = 1 // its value is in the device's reports
	accessSet   = 2
	accessGet   = 4 // it is reported when asked for
)

// spec is an entity as an expose describes it: everything but what depends on its device and on the registry.
type spec struct {
	// domain and key are the entity's identity within its device; key is the property, or "climate".
	domain, key string
	// object is what follows the device's name in the entity's id, empty for the main entity.
	object string
	// entity is the registry entry without id, unique id, device and source.
	entity *entityv1.Entity
}

// expose is one entry of a device's exposes, or a feature of one.
type expose struct {
	node
	kind, name, property, label, endpoint, category string
	access                                          int
}

func newExpose(v *entityv1.Value) expose {
	n := node{v}
	e := expose{
		node: n, kind: n.str("type"), name: n.str("name"), property: n.str("property"), label: n.str("label"),
		endpoint: n.str("endpoint"), category: n.str("category"),
	}
	if a := n.num("access"); a != nil && *a >= 0 && *a < 8 {
		e.access = int(*a)
	}
	if e.property == "" {
		e.property = e.name
	}
	if e.label == "" {
		e.label = e.name
	}
	return e
}

func (e expose) settable() bool { return e.access&accessSet != 0 }
func (e expose) reported() bool { return e.access&accessState != 0 }

// features are the parts of a composite expose.
func (e expose) features() []expose {
	nodes := e.list("features")
	features := make([]expose, len(nodes))
	for i, n := range nodes {
		features[i] = newExpose(n.v)
	}
	return features
}

// feature finds the first part with one of the names.
func (e expose) feature(names ...string) (expose, bool) {
	return find(e.features(), func(f expose) bool { return slices.Contains(names, f.name) })
}

func find(all []expose, is func(expose) bool) (expose, bool) {
	if i := slices.IndexFunc(all, is); i >= 0 {
		return all[i], true
	}
	return expose{}, false
}

// title is the entity's own name.
func (e expose) title() string {
	if e.endpoint == "" {
		return e.label
	}
	return e.label + " " + e.endpoint
}

// object is the name with the endpoint, as the end of an id.
func (e expose) object() string {
	if e.endpoint == "" {
		return e.name
	}
	return e.name + "_" + e.endpoint
}

// describe is the expose as a feature of an entity, under the name of the field of the typed attributes.
func (e expose) describe(name string) *entityv1.Feature {
	return &entityv1.Feature{
		Name: name, Property: e.property, Unit: e.str("unit"),
		Readable: e.access&(accessState|accessGet) != 0, Writable: e.settable(),
		Minimum: e.num("value_min"), Maximum: e.num("value_max"), Step: e.num("value_step"),
		Options: e.words(),
		ValueOn: e.get("value_on").v, ValueOff: e.get("value_off").v, ValueToggle: e.get("value_toggle").v,
	}
}

// maxDefinition is the largest definition, in fields and values, that an entity keeps as its source said it. Real ones
// have a hundred; the limit keeps a hostile one from making events that no log takes.
const maxDefinition = 5000

// simple starts the spec of an entity that has one property.
func (e expose) simple(domain string) spec {
	return spec{
		domain: domain, key: e.property, object: e.object(),
		entity: &entityv1.Entity{
			Name: e.title(), Property: e.property, Unit: e.str("unit"),
			Capabilities: &entityv1.Capabilities{
				Readable: e.access&(accessState|accessGet) != 0, Writable: e.settable(),
				Minimum: e.num("value_min"), Maximum: e.num("value_max"), Step: e.num("value_step"),
				Options: e.words(), Definition: e.definition(),
			},
		},
	}
}

// composite starts the spec of an entity that is made of several features. It is its device's main entity, or one of
// several that are told apart by their endpoints.
func (e expose) composite(domain, key string, features ...*entityv1.Feature) spec {
	s := spec{
		domain: domain, key: key, object: e.endpoint,
		entity: &entityv1.Entity{
			Name: capitalize(e.endpoint), Property: key,
			Capabilities: &entityv1.Capabilities{Definition: e.definition()},
		},
	}
	for _, f := range features {
		s.add(f)
	}
	return s
}

func (s spec) add(f *entityv1.Feature) {
	c := s.entity.GetCapabilities()
	c.Features = append(c.Features, f.GetName())
	c.FeatureDetails = append(c.FeatureDetails, f)
	c.Readable = c.GetReadable() || f.GetReadable()
	c.Writable = c.GetWritable() || f.GetWritable()
}

func (e expose) definition() *entityv1.Value {
	if weight(e.v) > maxDefinition {
		return nil
	}
	return e.v
}

// weight counts the values in v, long strings for more.
func weight(v *entityv1.Value) int {
	w := 1
	for _, f := range v.GetStructValue().GetFields() {
		w += len(f.GetName())/64 + weight(f.GetValue())
	}
	for _, e := range v.GetListValue().GetValues() {
		w += weight(e)
	}
	return w + len(v.GetStringValue())/64
}

func capitalize(s string) string {
	_, size := utf8.DecodeRuneInString(s)
	return strings.ToUpper(s[:size]) + s[size:]
}

// entities are the entities that a device with these exposes has. The mapping follows the one that Zigbee2MQTT itself
// announces to Home Assistant, so that a house looks the same from both.
func entities(exposes []expose, ota bool) []spec {
	var specs []spec
	for _, e := range exposes {
		specs = append(specs, entitiesOf(e, exposes)...)
	}
	specs = append(specs, lastSeen())
	if ota {
		specs = append(specs, update())
	}
	// Of two with the same identity the first one counts, and a property whose name fills a page is none.
	seen := make(map[[2]string]bool, len(specs))
	return slices.DeleteFunc(specs, func(s spec) bool {
		id := [2]string{s.domain, s.key}
		dup := seen[id] || s.key == "" || len(s.key) > eventstore.MaxName
		seen[id] = true
		return dup
	})
}

func entitiesOf(e expose, all []expose) []spec {
	var specs []spec
	switch e.kind {
	case "light":
		specs = lightEntities(e, all)
	case "switch":
		specs = switchEntities(e)
	case "lock":
		specs = lockEntities(e)
	case "cover":
		specs = coverEntities(e, all)
	case "fan":
		specs = fanEntities(e)
	case "climate":
		specs = climateEntities(e, all)
	case "binary":
		specs = binaryEntities(e)
	case "numeric":
		specs = numericEntities(e)
	case "enum":
		specs = enumEntities(e)
	default: // text, composite, list, and what a newer Zigbee2MQTT may bring
		specs = otherEntities(e)
	}
	for _, s := range specs {
		override(s, e)
	}
	return specs
}

// override applies what an expose says of its own presentation, which goes before what its name suggests.
func override(s spec, e expose) {
	entity := s.entity
	switch e.category {
	case "config":
		entity.Category = entityv1.EntityCategory_ENTITY_CATEGORY_CONFIG
	case "diagnostic":
		entity.Category = entityv1.EntityCategory_ENTITY_CATEGORY_DIAGNOSTIC
	}
	if ha := e.get("homeassistant"); ha.v != nil {
		overrideHomeAssistant(entity, ha)
	}
	readOnly := s.domain == domainSensor || s.domain == domainBinarySensor
	if readOnly && entity.GetCategory() == entityv1.EntityCategory_ENTITY_CATEGORY_CONFIG {
		entity.Category = entityv1.EntityCategory_ENTITY_CATEGORY_DIAGNOSTIC // nothing can be configured with it
	}
	if s.domain == domainEvent {
		entity.Category = entityv1.EntityCategory_ENTITY_CATEGORY_UNSPECIFIED
	}
}

func overrideHomeAssistant(entity *entityv1.Entity, ha node) {
	if category, ok := text(ha.get("entityCategory").v); ok {
		entity.Category = categories[category]
	}
	if class, ok := text(ha.get("deviceClass").v); ok {
		entity.DeviceClass = class
	}
	if enabled, ok := ha.get("enabledByDefault").v.GetKind().(*entityv1.Value_BoolValue); ok {
		entity.Disabled = !enabled.BoolValue
	}
	if ha.has("name") {
		entity.Name = ha.str("name")
	}
}

var categories = map[string]entityv1.EntityCategory{
	"config":     entityv1.EntityCategory_ENTITY_CATEGORY_CONFIG,
	"diagnostic": entityv1.EntityCategory_ENTITY_CATEGORY_DIAGNOSTIC,
}
