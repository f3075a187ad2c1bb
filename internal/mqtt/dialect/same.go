package dialect

import (
	"slices"

	"google.golang.org/protobuf/proto"

	entityv1 "github.com/statehouse/statehouse/gen/statehouse/entity/v1"
	"github.com/statehouse/statehouse/state"
)

// Same is state.Equal for attributes of the same entity, at a tenth of the time for the simple domains: it runs in the
// writer's turn, for every entity of every report.
func Same(a, b *entityv1.Attributes) bool {
	if a.GetAvailability() != b.GetAvailability() {
		return false
	}
	sameField := func(a, b *entityv1.Field) bool {
		return a == b || a.GetName() == b.GetName() && SameValue(a.GetValue(), b.GetValue())
	}
	if !slices.EqualFunc(a.GetExtra(), b.GetExtra(), sameField) {
		return false
	}
	if a.GetDomain() == nil || b.GetDomain() == nil {
		return a.GetDomain() == nil && b.GetDomain() == nil
	}
	if x, y := a.GetSensor(), b.GetSensor(); x != nil && y != nil && x.LastReset == nil && y.LastReset == nil {
		nx, isNumber := x.GetValue().(*entityv1.Sensor_Number)
		ny, both := y.GetValue().(*entityv1.Sensor_Number)
		if isNumber && both {
			return nx.Number == ny.Number
		}
	}
	if same, known := sameOn(a, b); known {
		return same
	}
	x, y := Typed(a), Typed(b)
	if x == nil || y == nil {
		return state.Equal(a, b) // a domain of somebody else's
	}
	return proto.Equal(x, y)
}

// sameOn compares what is nothing but on or off, and says whether both are.
func sameOn(a, b *entityv1.Attributes) (same, known bool) {
	same = a.GetBinarySensor().GetOn() == b.GetBinarySensor().GetOn() && a.GetSwitch().GetOn() == b.GetSwitch().GetOn()
	if x, y := a.GetBinarySensor(), b.GetBinarySensor(); x != nil && y != nil {
		return same && (x.On == nil) == (y.On == nil), true
	}
	if x, y := a.GetSwitch(), b.GetSwitch(); x != nil && y != nil {
		return same && (x.On == nil) == (y.On == nil), true
	}
	return false, false
}

// IsEmpty says that the typed part of a says nothing.
func IsEmpty(a *entityv1.Attributes) bool {
	if a.GetSensor().GetValue() != nil || a.GetBinarySensor().GetOn() || a.GetSwitch().GetOn() {
		return false // quicker than to count
	}
	m := Typed(a)
	return m == nil || proto.Size(m) == 0
}

// Typed is the typed part of a, of the domains that this package makes.
func Typed(a *entityv1.Attributes) proto.Message {
	switch d := a.GetDomain().(type) {
	case *entityv1.Attributes_Light:
		return d.Light
	case *entityv1.Attributes_Switch:
		return d.Switch
	case *entityv1.Attributes_Sensor:
		return d.Sensor
	case *entityv1.Attributes_BinarySensor:
		return d.BinarySensor
	case *entityv1.Attributes_Climate:
		return d.Climate
	case *entityv1.Attributes_Cover:
		return d.Cover
	case *entityv1.Attributes_Lock:
		return d.Lock
	case *entityv1.Attributes_Fan:
		return d.Fan
	case *entityv1.Attributes_Number:
		return d.Number
	case *entityv1.Attributes_Select:
		return d.Select
	case *entityv1.Attributes_Text:
		return d.Text
	case *entityv1.Attributes_Event:
		return d.Event
	case *entityv1.Attributes_Update:
		return d.Update
	case *entityv1.Attributes_Siren:
		return d.Siren
	case *entityv1.Attributes_DeviceTracker:
		return d.DeviceTracker
	case *entityv1.Attributes_MediaPlayer:
		return d.MediaPlayer
	case *entityv1.Attributes_Vacuum:
		return d.Vacuum
	case *entityv1.Attributes_Valve:
		return d.Valve
	case *entityv1.Attributes_Humidifier:
		return d.Humidifier
	case *entityv1.Attributes_WaterHeater:
		return d.WaterHeater
	case *entityv1.Attributes_AlarmControlPanel:
		return d.AlarmControlPanel
	case *entityv1.Attributes_Button:
		return d.Button
	case *entityv1.Attributes_Scene:
		return d.Scene
	case *entityv1.Attributes_Date:
		return d.Date
	case *entityv1.Attributes_Time:
		return d.Time
	case *entityv1.Attributes_Datetime:
		return d.Datetime
	case *entityv1.Attributes_Generic:
		return d.Generic
	default:
		return nil
	}
}
