package zigbee2mqtt

import (
	"slices"

	entityv1 "github.com/statehouse/statehouse/gen/statehouse/entity/v1"
	"github.com/statehouse/statehouse/internal/mqtt/dialect"
)

// The simple domains: one property, one value.

// Names of features that several domains have.
const (
	featureOn       = "on"
	featurePosition = "position"
	featureState    = "state"
)

func binaryEntities(e expose) []dialect.Spec {
	domain := domainBinarySensor
	if e.settable() {
		domain = domainSwitch
	}
	s := e.simple(domain)
	on := e.describe(featureOn)
	if e.name == "garage_door_contact" {
		on.ValueOn, on.ValueOff = dialect.BoolValue(false), dialect.BoolValue(true) // it says closed where the class says open
	}
	s.Entity.Capabilities.FeatureDetails = []*entityv1.Feature{on}
	s.Entity.Capabilities.Options = nil
	classify(s, binaryFacts, e.name)
	return []dialect.Spec{s}
}

// switchDifferent are the exposes of type switch that are settings, named by their property.
var switchDifferent = []string{
	"auto_lock", "away_mode", "comfort_smiley", "enable_display", "indicator", "tilt_mode", "valve_detection",
	"window_detection",
}

func switchEntities(e expose) []dialect.Spec {
	state, ok := e.feature("state")
	if !ok {
		return nil
	}
	s := e.composite(domainSwitch, state.property, state.describe(featureOn))
	if slices.Contains(switchDifferent, state.property) {
		s.Object, s.Entity.Name = state.property, e.label
		s.Entity.Category = entityv1.EntityCategory_ENTITY_CATEGORY_CONFIG
	}
	return []dialect.Spec{s}
}

func numericEntities(e expose) []dialect.Spec {
	if e.settable() {
		s := e.simple(domainNumber)
		classify(s, numericFacts, e.name)
		if s.Entity.GetDeviceClass() != "temperature" {
			s.Entity.DeviceClass = ""
		}
		s.Entity.StateClass = entityv1.StateClass_STATE_CLASS_UNSPECIFIED
		return []dialect.Spec{s}
	}
	s := e.simple(domainSensor)
	name := e.name
	if name == "voc" && (s.Entity.GetUnit() == "ppb" || s.Entity.GetUnit() == "ppm") {
		name = "voc_parts"
	}
	classify(s, numericFacts, name)
	if class, ok := unitClasses[s.Entity.GetUnit()]; ok {
		s.Entity.DeviceClass, s.Entity.StateClass = class.device, class.state
	}
	if s.Entity.GetUnit() == "" {
		s.Entity.DeviceClass = "" // Home Assistant's classes mean nothing without a unit
	}
	if s.Entity.GetCategory() == entityv1.EntityCategory_ENTITY_CATEGORY_CONFIG {
		s.Entity.Category = entityv1.EntityCategory_ENTITY_CATEGORY_DIAGNOSTIC
	}
	return []dialect.Spec{s}
}

func enumEntities(e expose) []dialect.Spec {
	domain := domainSensor
	switch {
	case e.property == propertyAction:
		domain = domainEvent
	case e.settable() && len(e.List("values")) == 1:
		domain = domainButton
	case e.settable():
		domain = domainSelect
	case !e.reported():
		return nil
	}
	s := e.simple(domain)
	s.Object = e.property
	classify(s, enumFacts, e.name)
	return []dialect.Spec{s}
}

func otherEntities(e expose) []dialect.Spec {
	if e.kind == "composite" && e.name == "warning" && e.settable() {
		return sirenEntities(e)
	}
	var s dialect.Spec
	switch {
	case e.kind == "text" && e.settable():
		s = e.simple(domainText)
	case e.reported():
		s = e.simple(domainSensor)
	default:
		return nil
	}
	s.Object = e.property
	s.Entity.Unit = ""
	classify(s, otherFacts, e.name)
	return []dialect.Spec{s}
}

func sirenEntities(e expose) []dialect.Spec {
	s := e.composite(domainSiren, e.property)
	mode, ok := e.feature("mode")
	if !ok {
		return nil
	}
	tones := mode.describe("tone")
	tones.Property = e.property
	tones.Options = slices.DeleteFunc(tones.Options, func(w string) bool { return w == sirenStop })
	s.AddFeature(tones)
	for _, name := range []string{"level", "duration"} {
		if f, ok := e.feature(name); ok {
			d := f.describe(name)
			d.Property = e.property
			s.AddFeature(d)
		}
	}
	return []dialect.Spec{s}
}

// lastSeen is the entity of a device that says when it was last heard of. Every device has one, disabled: who enables
// it gets an event for every report.
func lastSeen() dialect.Spec {
	return dialect.Spec{Domain: domainSensor, Key: propertyLastSeen, Object: propertyLastSeen, Entity: &entityv1.Entity{
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
	case f.GetValueOn() != nil && dialect.SameValue(v, f.GetValueOn()):
		t := true
		return &t, true
	case f.GetValueOff() != nil && dialect.SameValue(v, f.GetValueOff()):
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

// isMoment says that a sensor's values are moments.
func isMoment(e *entityv1.Entity) bool { return e.GetDeviceClass() == "timestamp" }

// sensorSays is what tells that a sensor has a number or a text already.
func sensorSays(e *entityv1.Entity) func(*entityv1.Attributes, *entityv1.Value) bool {
	if isMoment(e) {
		return nil
	}
	return func(a *entityv1.Attributes, v *entityv1.Value) bool {
		sensor := a.GetSensor()
		if sensor == nil || sensor.LastReset != nil {
			return false
		}
		switch has := sensor.GetValue().(type) {
		case *entityv1.Sensor_Number:
			n, decimal, ok := dialect.NumberOf(v)
			return ok && decimal == "" && n == has.Number
		case *entityv1.Sensor_Text:
			text, ok := dialect.TextOf(v)
			return ok && text == has.Text
		default:
			return false
		}
	}
}

// setSensor takes numbers and texts; moments where the class says so.
func setSensor(e *entityv1.Entity) setter {
	moment := isMoment(e)
	return func(a *entityv1.Attributes, v *entityv1.Value) *entityv1.Value {
		sensor := &entityv1.Sensor{}
		a.Domain = &entityv1.Attributes_Sensor{Sensor: sensor}
		if v == nil {
			return nil
		}
		if moment {
			at, ok := dialect.MomentOf(v)
			if !ok {
				return v
			}
			sensor.Value = &entityv1.Sensor_Timestamp{Timestamp: at.UnixNano()}
			return nil
		}
		n, decimal, isNumber := dialect.NumberOf(v)
		s, isText := dialect.TextOf(v)
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
	n, decimal, ok := dialect.NumberOf(v)
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
	option, ok := dialect.WordOf(v)
	if ok {
		sel.Option = &option
	}
	return rest(v, ok || v == nil)
}

func setText(a *entityv1.Attributes, v *entityv1.Value) *entityv1.Value {
	t := &entityv1.Text{}
	a.Domain = &entityv1.Attributes_Text{Text: t}
	s, ok := dialect.TextOf(v)
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
	if mode, ok := dialect.TextOf(dialect.Node{Value: v}.Get("mode").Value); ok {
		on := mode != sirenStop
		siren.On = &on
	}
	return v // with its tone, level and duration, which no field has
}
