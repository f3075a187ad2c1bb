package dialect

import (
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	entityv1 "github.com/statehouse/statehouse/gen/statehouse/entity/v1"
)

// Whatever is made of a draft, neither the original nor a draft that was kept changes.
func TestDraft(t *testing.T) {
	attributes := rapid.Custom(func(rt *rapid.T) *entityv1.Attributes {
		a := &entityv1.Attributes{Availability: entityv1.Availability(rapid.IntRange(0, 2).Draw(rt, "availability"))}
		for i := range rapid.IntRange(0, 2).Draw(rt, "extra") {
			SetExtra(a, string(rune('a'+i)), StringValue("x"))
		}
		on := proto.Bool(rapid.Bool().Draw(rt, "on"))
		switch rapid.IntRange(0, 5).Draw(rt, "domain") {
		case 0:
			a.Domain = &entityv1.Attributes_Sensor{Sensor: &entityv1.Sensor{Value: &entityv1.Sensor_Number{Number: 1}, LastReset: proto.Int64(3)}}
		case 1:
			a.Domain = &entityv1.Attributes_BinarySensor{BinarySensor: &entityv1.BinarySensor{On: on}}
		case 2:
			a.Domain = &entityv1.Attributes_Switch{Switch: &entityv1.Switch{On: on}}
		case 3:
			a.Domain = &entityv1.Attributes_Light{Light: &entityv1.Light{On: on}}
		case 4:
			s := &entityv1.Sensor{}
			s.ProtoReflect().SetUnknown(protowire.AppendVarint(protowire.AppendTag(nil, 999, protowire.VarintType), 1))
			a.Domain = &entityv1.Attributes_Sensor{Sensor: s}
		}
		return a
	})
	rapid.Check(t, func(rt *rapid.T) {
		var draft Draft
		type pair struct{ is, was *entityv1.Attributes }
		var all []pair
		for range rapid.IntRange(1, 6).Draw(rt, "steps") {
			old := attributes.Draw(rt, "old")
			all = append(all, pair{old, proto.CloneOf(old)})
			a := draft.Of(old)
			if !proto.Equal(a, old) || proto.Size(a) != proto.Size(old) {
				rt.Fatalf("the draft of %v is %v", old, a)
			}
			a.Availability = 2
			SetExtra(a, "a", StringValue("other"))
			SetExtra(a, "0", StringValue("first"))
			switch d := a.GetDomain().(type) {
			case *entityv1.Attributes_Sensor:
				d.Sensor.Value, d.Sensor.LastReset = &entityv1.Sensor_Text{Text: "x"}, nil
			case *entityv1.Attributes_BinarySensor:
				d.BinarySensor.On = nil
			case *entityv1.Attributes_Switch:
				d.Switch.On = proto.Bool(!d.Switch.GetOn())
			}
			if rapid.Bool().Draw(rt, "keep") {
				draft.Keep()
				all = append(all, pair{a, proto.CloneOf(a)})
			}
		}
		for _, p := range all {
			if !proto.Equal(p.is, p.was) {
				rt.Errorf("%v has become %v", p.was, p.is)
			}
		}
	})
}

// The quick ways to compare, and to find that something is empty or small, say what the slow ones say.
func TestQuickWays(t *testing.T) {
	var all []*entityv1.Attributes
	for _, on := range []*bool{nil, proto.Bool(false), proto.Bool(true)} {
		all = append(all,
			&entityv1.Attributes{Domain: &entityv1.Attributes_BinarySensor{BinarySensor: &entityv1.BinarySensor{On: on}}},
			&entityv1.Attributes{Domain: &entityv1.Attributes_Switch{Switch: &entityv1.Switch{On: on}}})
	}
	all = append(all, &entityv1.Attributes{}, &entityv1.Attributes{Domain: &entityv1.Attributes_Sensor{Sensor: &entityv1.Sensor{}}},
		&entityv1.Attributes{Domain: &entityv1.Attributes_Sensor{Sensor: &entityv1.Sensor{Value: &entityv1.Sensor_Number{}}}},
		&entityv1.Attributes{Domain: &entityv1.Attributes_Sensor{Sensor: &entityv1.Sensor{Value: &entityv1.Sensor_Text{}}}})
	for _, a := range all {
		for _, b := range all {
			if got, want := Same(a, b), proto.Equal(a, b); got != want {
				t.Errorf("%v and %v are the same: %v", a, b, got)
			}
		}
		if got, want := IsEmpty(a), Typed(a) == nil || proto.Size(Typed(a)) == 0; got != want {
			t.Errorf("%v is empty: %v", a, got)
		}
		if isSmall(a) && proto.Size(a) > 64 {
			t.Errorf("%v is not small", a)
		}
	}
}
