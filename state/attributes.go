package state

import (
	"encoding/base64"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	entityv1 "github.com/statehouse/statehouse/gen/statehouse/entity/v1"
)

// Home Assistant's words for the two states that every entity can have.
const (
	textUnknown     = "unknown"
	textUnavailable = "unavailable"
)

// How Home Assistant spells moments, always in UTC. Python's isoformat, which it uses, writes six decimals or none; the
// domains differ in what they ask of it.
const (
	momentSeconds      = "2006-01-02T15:04:05-07:00"
	momentMilliseconds = "2006-01-02T15:04:05.000-07:00"
	momentMicroseconds = "2006-01-02T15:04:05.000000-07:00"
)

// moments are the fields that hold a moment, in nanoseconds since 1970: to a descriptor they are like any other integer.
var moments = map[protoreflect.FullName]bool{
	"statehouse.entity.v1.Sensor.timestamp":                      true,
	"statehouse.entity.v1.Sensor.last_reset":                     true,
	"statehouse.entity.v1.Button.pressed":                        true,
	"statehouse.entity.v1.Event.occurred":                        true,
	"statehouse.entity.v1.MediaPlayer.media_position_updated_at": true,
	"statehouse.entity.v1.Scene.activated":                       true,
	"statehouse.entity.v1.DateTime.timestamp":                    true,
}

// Parts of the descriptor that tell one field of Attributes from the others.
var (
	attributesDomain = (*entityv1.Attributes)(nil).ProtoReflect().Descriptor().Oneofs().ByName("domain")
	attributesExtra  = (*entityv1.Attributes)(nil).ProtoReflect().Descriptor().Fields().ByName("extra")
)

// Domain is the domain of the typed part of a, by the name of its field: "light", "binary_sensor", "generic". It is "" if
// a is nil or has no typed part.
func Domain(a *entityv1.Attributes) string {
	if field := a.ProtoReflect().WhichOneof(attributesDomain); field != nil {
		return string(field.Name())
	}
	return ""
}

// Equal reports whether a and b say the same, field by field. What is not set differs from zero, NaN equals NaN, -0
// equals 0, and nil equals nothing but nil.
func Equal(a, b *entityv1.Attributes) bool {
	if otherNumbers(a, b) {
		return false
	}
	if proto.Equal(a, b) {
		return true
	}
	// What proto.Equal tells apart and ought not to, copies do not have.
	return (hasNegativeZeroColor(a) || hasNegativeZeroColor(b)) && proto.Equal(proto.CloneOf(a), proto.CloneOf(b))
}

// Text is the one value that a person would call the state, spelled as Home Assistant spells it: "on", "21.5", "heat",
// "clear-night", "2026-01-31T08:00:00+00:00". Numbers have the shortest form that reads back as the same number; a bool
// without a domain of its own is "on" or "off".
//
// It is "unavailable" if the source cannot reach the device, whatever was known before, and "unknown" if the value is
// not known, if a is nil, or if a is of a domain that a newer version wrote. It is empty only where the value is an
// empty text.
func Text(a *entityv1.Attributes) string {
	if a.GetAvailability() == entityv1.Availability_AVAILABILITY_OFFLINE {
		return textUnavailable
	}
	if !hasDomain(a) {
		return textUnknown
	}
	switch d := a.GetDomain().(type) {
	case *entityv1.Attributes_Light:
		return textOnOff(d.Light.On)
	case *entityv1.Attributes_Switch:
		return textOnOff(d.Switch.On)
	case *entityv1.Attributes_Sensor:
		return textSensor(d.Sensor)
	case *entityv1.Attributes_BinarySensor:
		return textOnOff(d.BinarySensor.On)
	case *entityv1.Attributes_Climate:
		return textEnum(d.Climate.GetHvacMode())
	case *entityv1.Attributes_Cover:
		return textEnum(d.Cover.GetState())
	case *entityv1.Attributes_Lock:
		return textEnum(d.Lock.GetState())
	case *entityv1.Attributes_Fan:
		return textOnOff(d.Fan.On)
	case *entityv1.Attributes_Number:
		return textNumber(d.Number)
	case *entityv1.Attributes_Select:
		return textString(d.Select.Option)
	case *entityv1.Attributes_Text:
		return textString(d.Text.Value)
	case *entityv1.Attributes_Button:
		return textPrecise(d.Button.Pressed)
	case *entityv1.Attributes_Event:
		return textMoment(d.Event.Occurred, momentMilliseconds)
	case *entityv1.Attributes_Update:
		return textUpdate(d.Update)
	case *entityv1.Attributes_Siren:
		return textOnOff(d.Siren.On)
	case *entityv1.Attributes_DeviceTracker:
		return textString(d.DeviceTracker.Location)
	case *entityv1.Attributes_MediaPlayer:
		return textEnum(d.MediaPlayer.GetState())
	case *entityv1.Attributes_Vacuum:
		return textEnum(d.Vacuum.GetActivity())
	case *entityv1.Attributes_Valve:
		return textEnum(d.Valve.GetState())
	case *entityv1.Attributes_Humidifier:
		return textOnOff(d.Humidifier.On)
	case *entityv1.Attributes_WaterHeater:
		return textString(d.WaterHeater.OperationMode)
	case *entityv1.Attributes_AlarmControlPanel:
		return textEnum(d.AlarmControlPanel.GetState())
	case *entityv1.Attributes_Weather:
		return textEnum(d.Weather.GetCondition())
	case *entityv1.Attributes_Person:
		return textString(d.Person.Location)
	case *entityv1.Attributes_Scene:
		return textPrecise(d.Scene.Activated)
	case *entityv1.Attributes_Date:
		return textString(d.Date.Value)
	case *entityv1.Attributes_Time:
		return textString(d.Time.Value)
	case *entityv1.Attributes_Datetime:
		return textMoment(d.Datetime.Timestamp, momentSeconds)
	case *entityv1.Attributes_Generic:
		return textValue(d.Generic.GetState())
	}
	return textUnknown
}

// JSON is a as one object for people and programs: what is known of its availability, the fields of its typed part, both
// under their names in the proto file and in its order, and "extra" with what the source said beyond them. The domain is
// not in it; Domain tells.
//
// What is not known is left out. Enums are words ("heat_cool"), moments are RFC 3339 in UTC to the nanosecond, every other
// integer is a JSON number, even where JavaScript would round it, and fields named decimal are numbers too. What
// JSON cannot express is written as AppendJSON does. Equal attributes give equal bytes, unless a Value in them is -0; nil
// gives {}.
//
// It fails only for a field of a kind that it does not know, which a test excludes for all that there are.
func JSON(a *entityv1.Attributes) ([]byte, error) {
	w := jsonWriter{dst: append(make([]byte, 0, 256), '{')}
	m := a.ProtoReflect()
	for i, fields := 0, m.Descriptor().Fields(); i < fields.Len(); i++ {
		field := fields.Get(i)
		switch {
		case field.ContainingOneof() == attributesDomain:
			if m.Has(field) {
				w.fields(m.Get(field).Message())
			}
		case field != attributesExtra: // which comes last
			w.field(m, field)
		}
	}
	if extra := a.GetExtra(); len(extra) > 0 {
		w.name("extra")
		w.dst = appendJSONFields(w.dst, extra)
	}
	if w.err != nil {
		return nil, fmt.Errorf("attributes to JSON: %w", w.err)
	}
	return append(w.dst, '}'), nil
}

// MessageJSON is any other message of ours, such as what is known of an entity, as one object by the rules of [JSON],
// but that a field which cannot be unknown is left out where it is empty or zero.
func MessageJSON(m proto.Message) ([]byte, error) {
	w := jsonWriter{dst: append(make([]byte, 0, 256), '{'), sparse: true}
	w.fields(m.ProtoReflect())
	if w.err != nil {
		return nil, fmt.Errorf("%s to JSON: %w", m.ProtoReflect().Descriptor().Name(), w.err)
	}
	return append(w.dst, '}'), nil
}

// hasDomain reports whether a has a typed part that is a message: a field of the oneof may hold a nil pointer.
func hasDomain(a *entityv1.Attributes) bool {
	m := a.ProtoReflect()
	field := m.WhichOneof(attributesDomain)
	return field != nil && m.Get(field).Message().IsValid()
}

// otherNumbers reports whether a and b are sensors with different numbers, which is what most attributes that are ever
// compared are, and is told in a thirtieth of the time that proto.Equal takes.
func otherNumbers(a, b *entityv1.Attributes) bool {
	x, ok1 := a.GetDomain().(*entityv1.Attributes_Sensor)
	y, ok2 := b.GetDomain().(*entityv1.Attributes_Sensor)
	if !ok1 || !ok2 {
		return false
	}
	n, ok1 := x.Sensor.GetValue().(*entityv1.Sensor_Number)
	m, ok2 := y.Sensor.GetValue().(*entityv1.Sensor_Number)
	return ok1 && ok2 && n.Number != m.Number && (n.Number == n.Number || m.Number == m.Number)
}

// hasNegativeZeroColor reports whether a holds the one value for which proto.Equal finds attributes different from their
// own copy: a plain field that is -0, and only colors have plain fields of doubles, counts as set, but is not copied.
func hasNegativeZeroColor(a *entityv1.Attributes) bool {
	l := a.GetLight()
	if l.GetXy() == nil && l.GetHs() == nil {
		return false
	}
	for _, f := range [...]float64{l.GetXy().GetX(), l.GetXy().GetY(), l.GetHs().GetHue(), l.GetHs().GetSaturation()} {
		if f == 0 && math.Signbit(f) {
			return true
		}
	}
	return false
}

func textOnOff(on *bool) string {
	switch {
	case on == nil:
		return textUnknown
	case *on:
		return "on"
	}
	return "off"
}

func textString(s *string) string {
	if s == nil {
		return textUnknown
	}
	return *s
}

func textEnum(e protoreflect.Enum) string {
	if word, ok := enumWord(e.Descriptor(), e.Number()); ok {
		return word
	}
	return textUnknown
}

func textDouble(f float64) string {
	return strings.Trim(string(appendPlainDouble(nil, f)), `"`)
}

func textMoment(unixNano *int64, layout string) string {
	if unixNano == nil {
		return textUnknown
	}
	return time.Unix(0, *unixNano).UTC().Format(layout)
}

// textPrecise is the moment with six decimals, or none if they are all zero.
func textPrecise(unixNano *int64) string {
	if unixNano != nil && time.Unix(0, *unixNano).Nanosecond() < int(time.Microsecond) {
		return textMoment(unixNano, momentSeconds)
	}
	return textMoment(unixNano, momentMicroseconds)
}

func textSensor(s *entityv1.Sensor) string {
	switch v := s.GetValue().(type) {
	case *entityv1.Sensor_Number:
		return textDouble(v.Number)
	case *entityv1.Sensor_Text:
		return v.Text
	case *entityv1.Sensor_Timestamp:
		return textMoment(&v.Timestamp, momentSeconds)
	case *entityv1.Sensor_Date:
		return v.Date
	case *entityv1.Sensor_Decimal:
		return v.Decimal
	}
	return textUnknown
}

func textNumber(n *entityv1.Number) string {
	switch v := n.GetValue().(type) {
	case *entityv1.Number_Number:
		return textDouble(v.Number)
	case *entityv1.Number_Decimal:
		return v.Decimal
	}
	return textUnknown
}

// textUpdate is "on" if there is a newer version that the user has not declined.
func textUpdate(u *entityv1.Update) string {
	if u.InstalledVersion == nil || u.LatestVersion == nil {
		return textUnknown
	}
	latest := u.GetLatestVersion()
	declined := u.SkippedVersion != nil && u.GetSkippedVersion() == latest
	newer := !declined && versionNewer(latest, u.GetInstalledVersion())
	return textOnOff(&newer)
}

func textValue(v *entityv1.Value) string {
	switch k := v.GetKind().(type) {
	case nil, *entityv1.Value_NullValue:
		return textUnknown
	case *entityv1.Value_BoolValue:
		return textOnOff(&k.BoolValue)
	case *entityv1.Value_DoubleValue:
		return textDouble(k.DoubleValue)
	case *entityv1.Value_NumberValue:
		return k.NumberValue
	case *entityv1.Value_StringValue:
		return k.StringValue
	case *entityv1.Value_BytesValue:
		return base64.StdEncoding.EncodeToString(k.BytesValue)
	}
	return string(AppendJSON(nil, v))
}

// versionNewer reports whether version a is newer than b. Versions of numbers and dots are compared as such, so that a
// device that was given a newer version than its index knows is not offered the older one; of any others it is only
// known that they differ.
func versionNewer(a, b string) bool {
	aParts, aOK := versionParts(a)
	bParts, bOK := versionParts(b)
	if !aOK || !bOK {
		return a != b
	}
	for i := range max(len(aParts), len(bParts)) {
		var aPart, bPart string // a part that is not there counts as zero
		if i < len(aParts) {
			aPart = aParts[i]
		}
		if i < len(bParts) {
			bPart = bParts[i]
		}
		if len(aPart) != len(bPart) {
			return len(aPart) > len(bPart)
		}
		if aPart != bPart {
			return aPart > bPart
		}
	}
	return false
}

// versionParts are the numbers of a version like "v1.20.3", without leading zeros.
func versionParts(version string) (parts []string, ok bool) {
	parts = strings.Split(strings.TrimPrefix(version, "v"), ".")
	for i, part := range parts {
		if part == "" || strings.Trim(part, "0123456789") != "" {
			return nil, false
		}
		parts[i] = strings.TrimLeft(part, "0")
	}
	return parts, true
}

// enumWord is the word for a value of an enum: its name in lower case, without the prefix that all names of the enum
// share. It fails for the value that means unknown, and for one that a newer version wrote.
func enumWord(enum protoreflect.EnumDescriptor, number protoreflect.EnumNumber) (string, bool) {
	value := enum.Values().ByNumber(number)
	if number == 0 || value == nil {
		return "", false
	}
	prefix := strings.TrimSuffix(string(enum.Values().ByNumber(0).Name()), "UNSPECIFIED")
	word := strings.ToLower(strings.TrimPrefix(string(value.Name()), prefix))
	if enum.Name() == "WeatherCondition" {
		// Home Assistant's only words with hyphens, which a name in a proto file cannot have.
		word = strings.ReplaceAll(word, "_", "-")
	}
	return word, true
}

// appendPlainDouble is appendJSONDouble with one zero: Equal does not tell -0 from 0, so a reader must not see a
// difference that no event made.
func appendPlainDouble(dst []byte, f float64) []byte {
	if f == 0 {
		f = 0
	}
	return appendJSONDouble(dst, f)
}

// jsonWriter writes the fields of messages into the object that is open at the end of dst.
type jsonWriter struct {
	dst    []byte
	err    error // the first
	sparse bool  // leave out what is zero
}

// fields writes what is known of m's fields.
func (w *jsonWriter) fields(m protoreflect.Message) {
	for i, fields := 0, m.Descriptor().Fields(); i < fields.Len(); i++ {
		w.field(m, fields.Get(i))
	}
}

// field writes one field of m with its name, unless its value is not known.
func (w *jsonWriter) field(m protoreflect.Message, field protoreflect.FieldDescriptor) {
	optional := w.sparse || field.HasPresence() || field.IsList() || field.IsMap() || field.Enum() != nil
	if optional && !m.Has(field) {
		return
	}
	w.name(string(field.Name()))
	switch {
	case field.IsMap():
		w.fail(field)
	case field.IsList():
		list := m.Get(field).List()
		w.dst = append(w.dst, '[')
		for i := range list.Len() {
			if i > 0 {
				w.dst = append(w.dst, ',')
			}
			w.value(field, list.Get(i))
		}
		w.dst = append(w.dst, ']')
	default:
		w.value(field, m.Get(field))
	}
}

// name writes the name of the object's next field.
func (w *jsonWriter) name(name string) {
	if w.dst[len(w.dst)-1] != '{' {
		w.dst = append(w.dst, ',')
	}
	w.dst = appendJSONString(w.dst, name)
	w.dst = append(w.dst, ':')
}

// value writes one value of field.
func (w *jsonWriter) value(field protoreflect.FieldDescriptor, v protoreflect.Value) {
	switch field.Kind() {
	case protoreflect.BoolKind:
		w.dst = strconv.AppendBool(w.dst, v.Bool())
	case protoreflect.Int32Kind, protoreflect.Sint32Kind, protoreflect.Sfixed32Kind,
		protoreflect.Int64Kind, protoreflect.Sint64Kind, protoreflect.Sfixed64Kind:
		if moments[field.FullName()] {
			w.dst = time.Unix(0, v.Int()).UTC().AppendFormat(w.dst, `"`+time.RFC3339Nano+`"`)
			return
		}
		w.dst = strconv.AppendInt(w.dst, v.Int(), 10)
	case protoreflect.Uint32Kind, protoreflect.Fixed32Kind, protoreflect.Uint64Kind, protoreflect.Fixed64Kind:
		w.dst = strconv.AppendUint(w.dst, v.Uint(), 10)
	case protoreflect.DoubleKind:
		w.dst = appendPlainDouble(w.dst, v.Float())
	case protoreflect.StringKind:
		if field.Name() == "decimal" {
			w.dst = appendJSONDigits(w.dst, v.String())
			return
		}
		w.dst = appendJSONString(w.dst, v.String())
	case protoreflect.BytesKind:
		w.dst = appendJSONBytes(w.dst, v.Bytes())
	case protoreflect.EnumKind:
		if word, ok := enumWord(field.Enum(), v.Enum()); ok {
			w.dst = appendJSONString(w.dst, word)
			return
		}
		w.dst = strconv.AppendInt(w.dst, int64(v.Enum()), 10)
	case protoreflect.MessageKind:
		if value, ok := v.Message().Interface().(*entityv1.Value); ok {
			w.dst = AppendJSON(w.dst, value)
			return
		}
		w.dst = append(w.dst, '{')
		w.fields(v.Message())
		w.dst = append(w.dst, '}')
	default: // a float, whose shortest form would be another's, and a group
		w.fail(field)
	}
}

// fail notes that there is no JSON for field.
func (w *jsonWriter) fail(field protoreflect.FieldDescriptor) {
	if w.err == nil {
		w.err = fmt.Errorf("field %s: no JSON for its kind, %s", field.FullName(), field.Kind())
	}
}
