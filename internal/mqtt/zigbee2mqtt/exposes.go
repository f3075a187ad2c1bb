package zigbee2mqtt

import (
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/statehouse/statehouse/eventstore"
	entityv1 "github.com/statehouse/statehouse/gen/statehouse/entity/v1"
	"github.com/statehouse/statehouse/internal/mqtt/dialect"
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

// expose is one entry of a device's exposes, or a feature of one.
type expose struct {
	dialect.Node
	kind, name, property, label, endpoint, category string
	access                                          int
}

func newExpose(v *entityv1.Value) expose {
	n := dialect.Node{Value: v}
	e := expose{
		Node: n, kind: n.Str("type"), name: n.Str("name"), property: n.Str("property"), label: n.Str("label"),
		endpoint: n.Str("endpoint"), category: n.Str("category"),
	}
	if a := n.Num("access"); a != nil && *a >= 0 && *a < 8 {
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
	nodes := e.List("features")
	features := make([]expose, len(nodes))
	for i, n := range nodes {
		features[i] = newExpose(n.Value)
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
		Name: name, Property: e.property, Unit: dialect.NormalizeUnit(e.Str("unit"), ""),
		Readable: e.access&(accessState|accessGet) != 0, Writable: e.settable(),
		Minimum: e.Num("value_min"), Maximum: e.Num("value_max"), Step: e.Num("value_step"),
		Options: e.Words("values"),
		ValueOn: e.Get("value_on").Value, ValueOff: e.Get("value_off").Value, ValueToggle: e.Get("value_toggle").Value,
	}
}

// maxDefinition is the largest definition, in fields and values, that an entity keeps as its source said it. Real ones
// have a hundred; the limit keeps a hostile one from making events that no log takes.
const maxDefinition = 5000

// simple starts the spec of an entity that has one property.
func (e expose) simple(domain string) dialect.Spec {
	return dialect.Spec{
		Domain: domain, Key: e.property, Object: e.object(),
		Entity: &entityv1.Entity{
			Name: e.title(), Property: e.property, Unit: dialect.NormalizeUnit(e.Str("unit"), ""),
			Capabilities: &entityv1.Capabilities{
				Readable: e.access&(accessState|accessGet) != 0, Writable: e.settable(),
				Minimum: e.Num("value_min"), Maximum: e.Num("value_max"), Step: e.Num("value_step"),
				Options: e.Words("values"), Definition: e.definition(),
			},
		},
	}
}

// composite starts the spec of an entity that is made of several features. It is its device's main entity, or one of
// several that are told apart by their endpoints.
func (e expose) composite(domain, key string, features ...*entityv1.Feature) dialect.Spec {
	s := dialect.Spec{
		Domain: domain, Key: key, Object: e.endpoint,
		Entity: &entityv1.Entity{
			Name: capitalize(e.endpoint), Property: key,
			Capabilities: &entityv1.Capabilities{Definition: e.definition()},
		},
	}
	for _, f := range features {
		s.AddFeature(f)
	}
	return s
}

func (e expose) definition() *entityv1.Value {
	if weight(e.Value) > maxDefinition {
		return nil
	}
	return e.Value
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
func entities(exposes []expose, ota bool) []dialect.Spec {
	var specs []dialect.Spec
	for _, e := range exposes {
		specs = append(specs, entitiesOf(e, exposes)...)
	}
	specs = append(specs, lastSeen())
	if ota {
		specs = append(specs, update())
	}
	// Of two with the same identity the first one counts, and a property whose name fills a page is none.
	seen := make(map[[2]string]bool, len(specs))
	return slices.DeleteFunc(specs, func(s dialect.Spec) bool {
		id := [2]string{s.Domain, s.Key}
		dup := seen[id] || s.Key == "" || len(s.Key) > eventstore.MaxName
		seen[id] = true
		return dup
	})
}

func entitiesOf(e expose, all []expose) []dialect.Spec {
	var specs []dialect.Spec
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
func override(s dialect.Spec, e expose) {
	entity := s.Entity
	switch e.category {
	case "config":
		entity.Category = entityv1.EntityCategory_ENTITY_CATEGORY_CONFIG
	case "diagnostic":
		entity.Category = entityv1.EntityCategory_ENTITY_CATEGORY_DIAGNOSTIC
	}
	if ha := e.Get("homeassistant"); ha.Value != nil {
		overrideHomeAssistant(entity, ha)
	}
	readOnly := s.Domain == domainSensor || s.Domain == domainBinarySensor
	if readOnly && entity.GetCategory() == entityv1.EntityCategory_ENTITY_CATEGORY_CONFIG {
		entity.Category = entityv1.EntityCategory_ENTITY_CATEGORY_DIAGNOSTIC // nothing can be configured with it
	}
	if s.Domain == domainEvent {
		entity.Category = entityv1.EntityCategory_ENTITY_CATEGORY_UNSPECIFIED
	}
}

func overrideHomeAssistant(entity *entityv1.Entity, ha dialect.Node) {
	if category, ok := dialect.TextOf(ha.Get("entityCategory").Value); ok {
		entity.Category = categories[category]
	}
	if class, ok := dialect.TextOf(ha.Get("deviceClass").Value); ok {
		entity.DeviceClass = class
	}
	if enabled, ok := ha.Get("enabledByDefault").Value.GetKind().(*entityv1.Value_BoolValue); ok {
		entity.Disabled = !enabled.BoolValue
	}
	if ha.Has("name") {
		entity.Name = ha.Str("name")
	}
}

var categories = map[string]entityv1.EntityCategory{
	"config":     entityv1.EntityCategory_ENTITY_CATEGORY_CONFIG,
	"diagnostic": entityv1.EntityCategory_ENTITY_CATEGORY_DIAGNOSTIC,
}
