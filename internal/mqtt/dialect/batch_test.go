package dialect

import (
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	entityv1 "github.com/statehouse/statehouse/gen/statehouse/entity/v1"
)

func TestEveryFieldOfADeviceAndEntityIsComparedOrTheUsers(t *testing.T) {
	check := func(m proto.Message, same func(a, b proto.Message) bool, skipped ...string) {
		fields := m.ProtoReflect().Descriptor().Fields()
		for i := range fields.Len() {
			f := fields.Get(i)
			changed := m.ProtoReflect().New()
			switch {
			case f.Kind() == protoreflect.MessageKind:
				changed.Mutable(f).Message().Set(f.Message().Fields().ByName("readable"), protoreflect.ValueOfBool(true))
			case f.Kind() == protoreflect.EnumKind:
				changed.Set(f, protoreflect.ValueOfEnum(1))
			case f.Kind() == protoreflect.BoolKind:
				changed.Set(f, protoreflect.ValueOfBool(true))
			default:
				changed.Set(f, protoreflect.ValueOfString("other"))
			}
			skip := false
			for _, s := range skipped {
				skip = skip || s == string(f.Name())
			}
			if same(m, changed.Interface()) != skip {
				t.Errorf("%s: a change is noticed: %v", f.FullName(), skip)
			}
		}
	}
	check(&entityv1.Entity{}, func(a, b proto.Message) bool { return SameEntity(a.(*entityv1.Entity), b.(*entityv1.Entity)) },
		"id", "unique_id", "device_id", "source", "user_name", "area_id", "user_disabled")
	check(&entityv1.Device{}, func(a, b proto.Message) bool { return sameDevice(a.(*entityv1.Device), b.(*entityv1.Device)) },
		"id", "user_name", "area_id")
}
