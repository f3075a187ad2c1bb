package command

import (
	"math"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	entityv1 "github.com/statehouse/statehouse/gen/statehouse/entity/v1"
)

// tolerances are how far a field may be from what was asked for, because devices round: to their own scale of a
// brightness or a position, to halves of a degree, to whole percents of humidity, to the 50 steps of a volume, to
// seconds. Names are the same in all messages that have them.
var tolerances = map[protoreflect.Name]float64{
	argBrightness: 2, argPosition: 2, "tilt_position": 2, argPercentage: 2,
	"target_temperature": 0.25, "target_temperature_high": 0.25, "target_temperature_low": 0.25,
	"target_humidity": 1, argVolume: 0.02, "timestamp": 1e9,
}

// Tolerances of colors. Hues are in degrees and saturations in percent.
const (
	tolerantHS    = 3
	tolerantRGB   = 3
	tolerantXY    = 0.02
	tolerantMired = 0.02 // of the value
)

// epsilon is what arithmetic on doubles may add to a tolerance.
const epsilon = 1e-9

// alternatives are the words that answer a word as well: what is on its way counts where nothing but arriving can
// follow from it, and what devices say for the same thing. A lock that is locking or an alarm that is arming may yet fail, so
// these do not count.
var alternatives = map[string]map[string][]string{
	"cover":               {"open": {"opening"}, "closed": {"closing"}},
	"valve":               {"open": {"opening"}, "closed": {"closing"}},
	"lock":                {"unlocked": {"open"}, "open": {"opening"}},
	"vacuum":              {"returning": {"docked"}, "paused": {"idle"}, "idle": {"paused", "docked"}},
	"alarm_control_panel": {"triggered": {"pending"}},
	"generic":             {"docked": {"returning"}},
	"media_player": {
		"playing": {"buffering"}, "off": {"standby"}, "idle": {"off", "standby", "on"},
		"on": {"idle", "playing", "paused", "buffering"},
	},
}

// Answers says whether a state answers what was expected: every field that is set in the typed part of expected agrees, within
// what devices round. An update is answered by either of its fields. Nothing answers nil. It does not look at
// availability: a state that is new only in that it is offline answers nothing, which the caller has to see.
func Answers(expected, a *entityv1.Attributes) bool {
	want, have := typed(expected), typed(a)
	if want == nil || have == nil || !have.IsValid() || want.Descriptor() != have.Descriptor() {
		return false
	}
	if expected.GetUpdate() != nil {
		return answersUpdate(expected.GetUpdate(), a.GetUpdate())
	}
	any, all := false, true
	want.Range(func(field protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		any = true
		all = have.Has(field) && agrees(field, v, have.Get(field))
		return all
	})
	return any && all
}

func answersUpdate(want, have *entityv1.Update) bool {
	if want.GetInProgress() && have.GetInProgress() {
		return true
	}
	return want.InstalledVersion != nil && have.InstalledVersion != nil && want.GetInstalledVersion() == have.GetInstalledVersion()
}

// agrees says whether two values of a field are the same within what devices round.
func agrees(field protoreflect.FieldDescriptor, want, have protoreflect.Value) bool {
	near := func(a, b float64) bool { return math.Abs(a-b) <= tolerances[field.Name()]+epsilon }
	switch field.Kind() {
	case protoreflect.Uint32Kind:
		if field.Name() == argKelvin {
			return nearMired(float64(want.Uint()), float64(have.Uint()))
		}
		return near(float64(want.Uint()), float64(have.Uint()))
	case protoreflect.Sint64Kind:
		return near(float64(want.Int()), float64(have.Int()))
	case protoreflect.DoubleKind:
		if field.Name() == "number" { // a device may hold it in 32 bits
			return math.Abs(want.Float()-have.Float()) <= epsilon+1e-6*math.Abs(want.Float())
		}
		return near(want.Float(), have.Float())
	case protoreflect.EnumKind:
		if want.Enum() == have.Enum() {
			return true
		}
		domain := domainName(field.ContainingMessage())
		return instead(domain, enumWord(field.Enum(), want.Enum()), enumWord(field.Enum(), have.Enum()))
	case protoreflect.MessageKind:
		return agreeMessages(want.Message().Interface(), have.Message().Interface())
	default:
		return want.Equal(have)
	}
}

// domainName is the name of the domain whose message it is.
func domainName(m protoreflect.MessageDescriptor) string {
	for i, fields := 0, domainOneof.Fields(); i < fields.Len(); i++ {
		if fields.Get(i).Message() == m {
			return string(fields.Get(i).Name())
		}
	}
	return ""
}

func instead(domain, want, have string) bool {
	for _, word := range alternatives[domain][want] {
		if word == have {
			return true
		}
	}
	return false
}

func nearMired(want, have float64) bool {
	if want == 0 || have == 0 {
		return want == have
	}
	return math.Abs(want/have-1) <= tolerantMired+epsilon // what mireds differ by, in parts of the one expected
}

func agreeMessages(want, have proto.Message) bool {
	switch w := want.(type) {
	case *entityv1.ColorXy:
		h, ok := have.(*entityv1.ColorXy)
		return ok && within(tolerantXY, w.GetX(), h.GetX(), w.GetY(), h.GetY())
	case *entityv1.ColorHs:
		h, ok := have.(*entityv1.ColorHs)
		if !ok || !within(tolerantHS, w.GetSaturation(), h.GetSaturation()) {
			return false
		}
		turn := math.Abs(w.GetHue() - h.GetHue())
		return min(turn, 360-turn) <= tolerantHS+epsilon || w.GetSaturation() <= tolerantHS // white has no hue
	case *entityv1.ColorRgb, *entityv1.ColorRgbw, *entityv1.ColorRgbww:
		return agreeChannels(want.ProtoReflect(), have.ProtoReflect())
	case *entityv1.Value:
		h, ok := have.(*entityv1.Value)
		if !ok {
			return false
		}
		wanted, _ := textOf(w)
		said, _ := textOf(h)
		return proto.Equal(w, h) || instead("generic", wanted, said)
	default:
		return proto.Equal(want, have)
	}
}

func agreeChannels(want, have protoreflect.Message) bool {
	for i, fields := 0, want.Descriptor().Fields(); i < fields.Len(); i++ {
		if !within(tolerantRGB, float64(want.Get(fields.Get(i)).Uint()), float64(have.Get(fields.Get(i)).Uint())) {
			return false
		}
	}
	return true
}

// within compares pairs of numbers.
func within(tolerance float64, pairs ...float64) bool {
	for i := 0; i+1 < len(pairs); i += 2 {
		if !(math.Abs(pairs[i]-pairs[i+1]) <= tolerance+epsilon) {
			return false
		}
	}
	return true
}

// colorFields are the fields of a light that say a color, of which it follows one.
var colorFields = []protoreflect.Name{argKelvin, argXY, argHS, argRGB, argRGBW, argRGBWW}

// Merge is a with every field of the typed part of expected put in: the state of a device that says nothing of it. Where
// expected has a color, the colors that it does not have are no longer known. It modifies neither.
func Merge(expected, a *entityv1.Attributes) *entityv1.Attributes {
	merged := &entityv1.Attributes{}
	if a != nil {
		merged = proto.CloneOf(a)
	}
	from := typed(expected)
	if from == nil {
		return merged
	}
	into := typedOf(merged, protoreflect.Name(domainName(from.Descriptor())))
	if expected.GetLight() != nil {
		forgetColors(from, into)
	}
	from.Range(func(field protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		if field.Kind() == protoreflect.MessageKind {
			v = protoreflect.ValueOfMessage(proto.Clone(v.Message().Interface()).ProtoReflect())
		}
		into.Set(field, v)
		return true
	})
	return merged
}

func forgetColors(from, into protoreflect.Message) {
	fields := from.Descriptor().Fields()
	for _, name := range colorFields {
		if !from.Has(fields.ByName(name)) {
			continue
		}
		for _, old := range colorFields {
			into.Clear(fields.ByName(old))
		}
		return
	}
}
