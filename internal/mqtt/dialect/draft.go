package dialect

import (
	"google.golang.org/protobuf/proto"

	entityv1 "github.com/statehouse/statehouse/gen/statehouse/entity/v1"
)

// Draft makes copies of attributes, of which most are found to say what the original says and are thrown away: those it uses again. The
// zero value works. It belongs to one run of one decision.
type Draft struct {
	attributes *entityv1.Attributes
	sensor     *entityv1.Attributes_Sensor
	extra      []*entityv1.Field
}

// Of is a copy of attributes, good until the next call unless [Draft.Keep] is called. Its fields may be set, those of its typed part, and
// its list of extra may be changed. What these refer to is shared with the original: it may be replaced, and must not be changed.
func (d *Draft) Of(old *entityv1.Attributes) *entityv1.Attributes {
	if d.attributes == nil {
		d.attributes = &entityv1.Attributes{}
	}
	a := d.attributes
	if hasUnknown(old) || !d.copyDomain(a, old) {
		return proto.CloneOf(old)
	}
	a.Availability, a.Extra = old.GetAvailability(), nil
	if len(old.GetExtra()) > 0 {
		d.extra = append(d.extra[:0], old.GetExtra()...)
		a.Extra = d.extra
	}
	return a
}

// Keep makes the last copy its taker's for good.
func (d *Draft) Keep() { *d = Draft{} }

// copyDomain copies the typed part, and is false for one that only [proto.CloneOf] copies.
func (d *Draft) copyDomain(a, old *entityv1.Attributes) bool {
	switch {
	case old.GetDomain() == nil:
		a.Domain = nil
		return true
	case old.GetSensor() != nil:
		was := old.GetSensor()
		if d.sensor == nil {
			d.sensor = &entityv1.Attributes_Sensor{Sensor: &entityv1.Sensor{}}
		}
		d.sensor.Sensor.Value, d.sensor.Sensor.LastReset = was.GetValue(), was.LastReset
		a.Domain = d.sensor
		return !hasUnknown(was)
	case old.GetBinarySensor() != nil:
		was := old.GetBinarySensor()
		a.Domain = &entityv1.Attributes_BinarySensor{BinarySensor: &entityv1.BinarySensor{On: was.On}}
		return !hasUnknown(was)
	case old.GetSwitch() != nil:
		was := old.GetSwitch()
		a.Domain = &entityv1.Attributes_Switch{Switch: &entityv1.Switch{On: was.On}}
		return !hasUnknown(was)
	default:
		return false
	}
}

// hasUnknown says that a newer program wrote what this one does not know.
func hasUnknown(m proto.Message) bool { return len(m.ProtoReflect().GetUnknown()) > 0 }
