package hass

import (
	"bytes"
	"encoding/json"
	"math"
	"strings"
	"time"

	"google.golang.org/protobuf/reflect/protoreflect"

	entityv1 "github.com/statehouse/statehouse/gen/statehouse/entity/v1"
	"github.com/statehouse/statehouse/registry"
	"github.com/statehouse/statehouse/state"
)

// attributes are a state's, by Home Assistant's names, each as JSON. What is not known is left out.
type attributes map[string]json.RawMessage

// attribute is one of Home Assistant's attributes: its name, and what it is of a message. nil means that it is not known.
type attribute[T any] struct {
	name string
	of   func(T) any
}

// fill adds the attributes of a table.
func fill[T any](a attributes, table []attribute[T], from T) {
	for _, row := range table {
		if v := row.of(from); v != nil {
			a[row.name] = encode(v)
		}
	}
}

// attributesOf are the attributes of an entity's state. As in Home Assistant, one whose device cannot be reached keeps
// only what does not depend on its state.
func attributesOf(r registry.Revision, id string, a *entityv1.Attributes) attributes {
	w := attributes{"friendly_name": encode(r.DisplayName(id))}
	domain, _, _ := strings.Cut(id, ".")
	if entity, ok := r.Entity(id); ok {
		fill(w, registered, entity)
		fill(w, capabilities[domain], entity)
		if bits, ok := supportedFeaturesOf(domain, entity); ok {
			w["supported_features"] = encode(bits)
		}
		if unit := entity.GetUnit(); unit != "" && domain != "climate" && domain != "water_heater" {
			w["unit_of_measurement"] = encode(unit)
		}
	}
	if a.GetAvailability() == entityv1.Availability_AVAILABILITY_OFFLINE {
		return w
	}
	if hasDomain(a) {
		typed(w, a)
	}
	for _, field := range a.GetExtra() {
		if _, taken := w[field.GetName()]; !taken {
			w[field.GetName()] = state.AppendJSON(nil, field.GetValue())
		}
	}
	return w
}

// registered are the attributes that entities of every domain may have, from the registry.
var registered = []attribute[*entityv1.Entity]{
	{"device_class", func(e *entityv1.Entity) any { return nonempty(e.GetDeviceClass()) }},
	{"state_class", func(e *entityv1.Entity) any { return word(e.GetStateClass()) }},
}

// capabilities are the attributes that say what an entity can do and between which limits, by domain.
var capabilities = map[string][]attribute[*entityv1.Entity]{
	"light": lightCapabilities, "climate": climateCapabilities, "water_heater": waterHeaterCapabilities,
	"humidifier": humidifierCapabilities, "fan": fanCapabilities, "siren": sirenCapabilities,
	"sensor": sensorCapabilities, "number": numberCapabilities, "select": selectCapabilities, "event": eventCapabilities,
	"media_player": mediaPlayerCapabilities, "vacuum": vacuumCapabilities,
}

// typed adds the attributes of the typed part of a state.
func typed(w attributes, a *entityv1.Attributes) {
	switch d := a.GetDomain().(type) {
	case *entityv1.Attributes_Light:
		fill(w, lightAttributes, d.Light)
	case *entityv1.Attributes_Sensor:
		fill(w, sensorAttributes, d.Sensor)
	case *entityv1.Attributes_Climate:
		fill(w, climateAttributes, d.Climate)
	case *entityv1.Attributes_WaterHeater:
		fill(w, waterHeaterAttributes, d.WaterHeater)
	case *entityv1.Attributes_Humidifier:
		fill(w, humidifierAttributes, d.Humidifier)
	case *entityv1.Attributes_Fan:
		fill(w, fanAttributes, d.Fan)
	case *entityv1.Attributes_Cover:
		fill(w, coverAttributes, d.Cover)
	case *entityv1.Attributes_Valve:
		fill(w, valveAttributes, d.Valve)
	case *entityv1.Attributes_Lock:
		fill(w, lockAttributes, d.Lock)
	case *entityv1.Attributes_AlarmControlPanel:
		fill(w, alarmAttributes, d.AlarmControlPanel)
	case *entityv1.Attributes_Event:
		fill(w, eventAttributes, d.Event)
	case *entityv1.Attributes_Update:
		fill(w, updateAttributes, d.Update)
	case *entityv1.Attributes_DeviceTracker:
		fill(w, deviceTrackerAttributes, d.DeviceTracker)
	case *entityv1.Attributes_Person:
		fill(w, personAttributes, d.Person)
	case *entityv1.Attributes_MediaPlayer:
		fill(w, mediaPlayerAttributes, d.MediaPlayer)
	case *entityv1.Attributes_Vacuum:
		fill(w, vacuumAttributes, d.Vacuum)
	case *entityv1.Attributes_Weather:
		fill(w, weatherAttributes, d.Weather)
	}
	// The others are their state and nothing else: a switch, a button, a date.
}

var domainField = (*entityv1.Attributes)(nil).ProtoReflect().Descriptor().Oneofs().ByName("domain")

// hasDomain reports whether there is a typed part that is a message: its field may hold a nil pointer.
func hasDomain(a *entityv1.Attributes) bool {
	m := a.ProtoReflect()
	field := m.WhichOneof(domainField)
	return field != nil && m.Get(field).Message().IsValid()
}

// encode is a value as JSON, on one line.
func encode(v any) json.RawMessage {
	var buf bytes.Buffer
	e := json.NewEncoder(&buf)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return json.RawMessage("null") // nothing here has such values; a test sets every field
	}
	return bytes.TrimSuffix(buf.Bytes(), []byte("\n"))
}

// known is what a field points to.
func known[T any](v *T) any {
	if v == nil {
		return nil
	}
	if f, ok := any(*v).(float64); ok {
		return number(f)
	}
	return *v
}

// number is a number, where JSON has it.
func number(f float64) any {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return nil
	}
	return f + 0 // -0 is 0
}

// numbers is a list of them, or nothing.
func numbers(all ...float64) any {
	for _, f := range all {
		if number(f) == nil {
			return nil
		}
	}
	return all
}

func nonempty(text string) any {
	if text == "" {
		return nil
	}
	return text
}

func list(all []string) any {
	if len(all) == 0 {
		return nil
	}
	return all
}

// word is an enum's value in Home Assistant's words: its name in lower case, without what all names of the enum begin with.
func word(e protoreflect.Enum) any {
	values := e.Descriptor().Values()
	value := values.ByNumber(e.Number())
	if e.Number() == 0 || value == nil {
		return nil
	}
	prefix := strings.TrimSuffix(string(values.ByNumber(0).Name()), "UNSPECIFIED")
	return strings.ToLower(strings.TrimPrefix(string(value.Name()), prefix))
}

// instant is a moment in nanoseconds since 1970.
func instant(nanos *int64) any {
	if nanos == nil {
		return nil
	}
	return stamp(time.Unix(0, *nanos))
}

// feature is a feature of an entity by the name of its field; nil where it has none.
func feature(e *entityv1.Entity, name string) *entityv1.Feature {
	for _, f := range e.GetCapabilities().GetFeatureDetails() {
		if f.GetName() == name {
			return f
		}
	}
	return nil
}

// options are the words that a feature of an entity may take.
func options(name string) func(*entityv1.Entity) any {
	return func(e *entityv1.Entity) any { return list(feature(e, name).GetOptions()) }
}

// minimum, maximum and step are the limits of a feature.
func minimum(name string) func(*entityv1.Entity) any {
	return func(e *entityv1.Entity) any {
		if f := feature(e, name); f != nil {
			return known(f.Minimum)
		}
		return nil
	}
}

func maximum(name string) func(*entityv1.Entity) any {
	return func(e *entityv1.Entity) any {
		if f := feature(e, name); f != nil {
			return known(f.Maximum)
		}
		return nil
	}
}

func step(name string) func(*entityv1.Entity) any {
	return func(e *entityv1.Entity) any {
		if f := feature(e, name); f != nil {
			return known(f.Step)
		}
		return nil
	}
}

// first is what the first of several says that says something.
func first(all ...func(*entityv1.Entity) any) func(*entityv1.Entity) any {
	return func(e *entityv1.Entity) any {
		for _, of := range all {
			if v := of(e); v != nil {
				return v
			}
		}
		return nil
	}
}
