package zigbee2mqtt

import (
	"slices"
	"time"

	entityv1 "github.com/statehouse/statehouse/gen/statehouse/entity/v1"
)

// The simple domains: one property, one value.

// Names of features that several domains have.
const (
	featureOn       = "on"
	featurePosition = "position"
	featureState    = "state"
)

func binaryEntities(e expose) []spec {
	domain := domainBinarySensor
	if e.settable() {
		domain = domainSwitch
	}
	s := e.simple(domain)
	on := e.describe(featureOn)
	if e.name == "garage_door_contact" {
		on.ValueOn, on.ValueOff = boolValue(false), boolValue(true) // it says closed where the class says open
	}
	s.entity.Capabilities.FeatureDetails = []*entityv1.Feature{on}
	s.entity.Capabilities.Options = nil
	classify(s, binaryFacts, e.name)
	return []spec{s}
}

func boolValue(b bool) *entityv1.Value {
	return &entityv1.Value{Kind: &entityv1.Value_BoolValue{BoolValue: b}}
}

// switchDifferent are the exposes of type switch that are settings, named by their property.
var switchDifferent = []string{
	"auto_lock", "away_mode", "comfort_smiley", "enable_display", "indicator", "tilt_mode", "valve_detection",
	"window_detection",
}

func switchEntities(e expose) []spec {
	state, ok := e.feature("state")
	if !ok {
		return nil
	}
	s := e.composite(domainSwitch, state.property, state.describe(featureOn))
	if slices.Contains(switchDifferent, state.property) {
		s.object, s.entity.Name = state.property, e.label
		s.entity.Category = entityv1.EntityCategory_ENTITY_CATEGORY_CONFIG
	}
	return []spec{s}
}

func numericEntities(e expose) []spec {
	if e.settable() {
		s := e.simple(domainNumber)
		classify(s, numericFacts, e.name)
		if s.entity.GetDeviceClass() != "temperature" {
			s.entity.DeviceClass = ""
		}
		s.entity.StateClass = entityv1.StateClass_STATE_CLASS_UNSPECIFIED
		return []spec{s}
	}
	s := e.simple(domainSensor)
	name := e.name
	if name == "voc" && (s.entity.GetUnit() == "ppb" || s.entity.GetUnit() == "ppm") {
		name = "voc_parts"
	}
	classify(s, numericFacts, name)
	if class, ok := unitClasses[s.entity.GetUnit()]; ok {
		s.entity.DeviceClass, s.entity.StateClass = class.device, class.state
	}
	if s.entity.GetUnit() == "" {
		s.entity.DeviceClass = "" // Home Assistant's classes mean nothing without a unit
	}
	if s.entity.GetCategory() == entityv1.EntityCategory_ENTITY_CATEGORY_CONFIG {
		s.entity.Category = entityv1.EntityCategory_ENTITY_CATEGORY_DIAGNOSTIC
	}
	return []spec{s}
}

func enumEntities(e expose) []spec {
	domain := domainSensor
	switch {
	case e.property == propertyAction:
		domain = domainEvent
	case e.settable() && len(e.list("values")) == 1:
		domain = domainButton
	case e.settable():
		domain = domainSelect
	case !e.reported():
		return nil
	}
	s := e.simple(domain)
	s.object = e.property
	classify(s, enumFacts, e.name)
	return []spec{s}
}

func otherEntities(e expose) []spec {
	if e.kind == "composite" && e.name == "warning" && e.settable() {
		return sirenEntities(e)
	}
	var s spec
	switch {
	case e.kind == "text" && e.settable():
		s = e.simple(domainText)
	case e.reported():
		s = e.simple(domainSensor)
	default:
		return nil
	}
	s.object = e.property
	s.entity.Unit = ""
	classify(s, otherFacts, e.name)
	return []spec{s}
}

func sirenEntities(e expose) []spec {
	s := e.composite(domainSiren, e.property)
	mode, ok := e.feature("mode")
	if !ok {
		return nil
	}
	tones := mode.describe("tone")
	tones.Property = e.property
	tones.Options = slices.DeleteFunc(tones.Options, func(w string) bool { return w == sirenStop })
	s.add(tones)
	for _, name := range []string{"level", "duration"} {
		if f, ok := e.feature(name); ok {
			d := f.describe(name)
			d.Property = e.property
			s.add(d)
		}
	}
	return []spec{s}
}

// lastSeen is the entity of a device that says when it was last heard of. Every device has one, disabled: who enables
// it gets an event for every report.
func lastSeen() spec {
	return spec{domain: domainSensor, key: propertyLastSeen, object: propertyLastSeen, entity: &entityv1.Entity{
		Name: "Last seen", Property: propertyLastSeen, DeviceClass: "timestamp", Disabled: true,
		Category:     entityv1.EntityCategory_ENTITY_CATEGORY_DIAGNOSTIC,
		Capabilities: &entityv1.Capabilities{Readable: true},
	}}
}

// A setter puts the value of one property into attributes that it may modify; v is nil where the value is not known.
// It returns what did not fit: nil, v itself, or what is left of v.
type setter func(a *entityv1.Attributes, v *entityv1.Value) (left *entityv1.Value)

func isOn(v *entityv1.Value, f *entityv1.Feature) (on *bool, fits bool) {
	switch {
	case v == nil:
		return nil, true
	case f.GetValueOn() != nil && sameValue(v, f.GetValueOn()):
		t := true
		return &t, true
	case f.GetValueOff() != nil && sameValue(v, f.GetValueOff()):
		t := false
		return &t, true
	default:
		return nil, false
	}
}

func rest(v *entityv1.Value, fits bool) *entityv1.Value {
	if fits {
		return nil
	}
	return v
}

func setBinarySensor(f *entityv1.Feature) setter {
	return func(a *entityv1.Attributes, v *entityv1.Value) *entityv1.Value {
		on, fits := isOn(v, f)
		a.Domain = &entityv1.Attributes_BinarySensor{BinarySensor: &entityv1.BinarySensor{On: on}}
		return rest(v, fits)
	}
}

func setSwitch(f *entityv1.Feature) setter {
	return func(a *entityv1.Attributes, v *entityv1.Value) *entityv1.Value {
		on, fits := isOn(v, f)
		a.Domain = &entityv1.Attributes_Switch{Switch: &entityv1.Switch{On: on}}
		return rest(v, fits)
	}
}

// setSensor takes numbers and texts; moments where the class says so.
func setSensor(e *entityv1.Entity) setter {
	moment := e.GetDeviceClass() == "timestamp"
	return func(a *entityv1.Attributes, v *entityv1.Value) *entityv1.Value {
		sensor := &entityv1.Sensor{}
		a.Domain = &entityv1.Attributes_Sensor{Sensor: sensor}
		if v == nil {
			return nil
		}
		if moment {
			at, ok := moments(v)
			if !ok {
				return v
			}
			sensor.Value = &entityv1.Sensor_Timestamp{Timestamp: at.UnixNano()}
			return nil
		}
		n, decimal, isNumber := number(v)
		s, isText := text(v)
		switch {
		case isNumber && decimal == "":
			sensor.Value = &entityv1.Sensor_Number{Number: n}
		case isNumber:
			sensor.Value = &entityv1.Sensor_Decimal{Decimal: decimal}
		case isText:
			sensor.Value = &entityv1.Sensor_Text{Text: s}
		default:
			return v
		}
		return nil
	}
}

func setNumber(a *entityv1.Attributes, v *entityv1.Value) *entityv1.Value {
	num := &entityv1.Number{}
	a.Domain = &entityv1.Attributes_Number{Number: num}
	if v == nil {
		return nil
	}
	n, decimal, ok := number(v)
	switch {
	case !ok:
		return v
	case decimal == "":
		num.Value = &entityv1.Number_Number{Number: n}
	default:
		num.Value = &entityv1.Number_Decimal{Decimal: decimal}
	}
	return nil
}

func setSelect(a *entityv1.Attributes, v *entityv1.Value) *entityv1.Value {
	sel := &entityv1.Select{}
	a.Domain = &entityv1.Attributes_Select{Select: sel}
	option, ok := word(v)
	if ok {
		sel.Option = &option
	}
	return rest(v, ok || v == nil)
}

func setText(a *entityv1.Attributes, v *entityv1.Value) *entityv1.Value {
	t := &entityv1.Text{}
	a.Domain = &entityv1.Attributes_Text{Text: t}
	s, ok := text(v)
	if ok {
		t.Value = &s
	}
	return rest(v, ok || v == nil)
}

// setNothing is for what is momentary: a button's echo is no state.
func setNothing(*entityv1.Attributes, *entityv1.Value) *entityv1.Value { return nil }

const sirenStop = "stop"

// setSiren reads the warning that a siren was told to give; its mode says whether it sounds.
func setSiren(a *entityv1.Attributes, v *entityv1.Value) *entityv1.Value {
	siren := &entityv1.Siren{}
	a.Domain = &entityv1.Attributes_Siren{Siren: siren}
	if mode, ok := text(node{v}.get("mode").v); ok {
		on := mode != sirenStop
		siren.On = &on
	}
	return v // with its tone, level and duration, which no field has
}

// moments is a value that is a moment: ISO 8601, or milliseconds since 1970.
func moments(v *entityv1.Value) (time.Time, bool) {
	if s, ok := text(v); ok {
		for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05.999999999Z0700"} {
			if t, err := time.Parse(layout, s); err == nil {
				return checkMoment(t.UTC())
			}
		}
		return time.Time{}, false
	}
	if ms, ok := whole64(v); ok {
		return checkMoment(time.UnixMilli(ms).UTC())
	}
	return time.Time{}, false
}

// checkMoment refuses what nanoseconds in 64 bits do not hold.
func checkMoment(t time.Time) (time.Time, bool) {
	return t, t.Year() >= 1970 && t.Year() < 2262
}

func whole64(v *entityv1.Value) (int64, bool) {
	k, ok := v.GetKind().(*entityv1.Value_IntValue)
	if !ok {
		return 0, false
	}
	return k.IntValue, true
}
