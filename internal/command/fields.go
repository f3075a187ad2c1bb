package command

import (
	"math"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	entityv1 "github.com/statehouse/statehouse/gen/statehouse/entity/v1"
)

// domainOneof is the oneof of the typed part of attributes.
var domainOneof = (*entityv1.Attributes)(nil).ProtoReflect().Descriptor().Oneofs().ByName("domain")

// typed is the typed part of a, which may be invalid; nil if it has none.
func typed(a *entityv1.Attributes) protoreflect.Message {
	m := a.ProtoReflect()
	field := m.WhichOneof(domainOneof)
	if field == nil {
		return nil
	}
	return m.Get(field).Message()
}

// typedOf is the typed part of a for a domain, made where there is none or another. Domains without a message of their
// own are generic.
func typedOf(a *entityv1.Attributes, name protoreflect.Name) protoreflect.Message {
	m := a.ProtoReflect()
	field := domainOneof.Fields().ByName(name)
	if field == nil {
		field = domainOneof.Fields().ByName("generic")
	}
	if !m.Has(field) || !m.Get(field).Message().IsValid() {
		m.Set(field, m.NewField(field))
	}
	return m.Get(field).Message()
}

// says says that a has a typed part in which something is set.
func says(a *entityv1.Attributes) bool {
	m, any := typed(a), false
	if m == nil {
		return false
	}
	m.Range(func(protoreflect.FieldDescriptor, protoreflect.Value) bool {
		any = true
		return false
	})
	return any
}

// put sets a field of the typed part of a. What the field cannot hold, such as a mode that is a source's own, it leaves.
func put(a *entityv1.Attributes, domain string, f fact) {
	m := typedOf(a, protoreflect.Name(domain))
	name := protoreflect.Name(f.field)
	if domain == "number" {
		name = "number" // of the two ways to hold a value
	}
	field := m.Descriptor().Fields().ByName(name)
	if field == nil {
		return
	}
	if v, ok := fieldValue(m, field, f.value); ok {
		m.Set(field, v)
	}
}

// fieldValue is a value as a field holds it.
func fieldValue(m protoreflect.Message, field protoreflect.FieldDescriptor, v *entityv1.Value) (protoreflect.Value, bool) {
	none := protoreflect.Value{}
	n, isNumber := numberOf(v)
	switch field.Kind() {
	case protoreflect.BoolKind:
		b, ok := boolOf(v)
		return protoreflect.ValueOfBool(b), ok
	case protoreflect.Uint32Kind:
		if !isNumber || n < 0 || n > math.MaxUint32 {
			return none, false
		}
		return protoreflect.ValueOfUint32(uint32(math.Round(n))), true
	case protoreflect.Sint64Kind:
		i, ok := v.GetKind().(*entityv1.Value_IntValue)
		if !ok {
			return none, false
		}
		return protoreflect.ValueOfInt64(i.IntValue), true
	case protoreflect.DoubleKind:
		return protoreflect.ValueOfFloat64(n), isNumber
	case protoreflect.StringKind:
		s, ok := textOf(v)
		return protoreflect.ValueOfString(s), ok
	case protoreflect.EnumKind:
		s, _ := textOf(v)
		word, ok := enumNumber(field.Enum(), s)
		return protoreflect.ValueOfEnum(word), ok
	case protoreflect.MessageKind:
		return messageValue(m, field, v)
	default:
		return none, false
	}
}

// messageValue is a list of numbers as a color, whose fields have the same order, or any value as it is.
func messageValue(m protoreflect.Message, field protoreflect.FieldDescriptor, v *entityv1.Value) (protoreflect.Value, bool) {
	sub := m.NewField(field)
	if _, ok := sub.Message().Interface().(*entityv1.Value); ok {
		return protoreflect.ValueOfMessage(proto.CloneOf(v).ProtoReflect()), true
	}
	all, ok := numbersOf(v)
	fields := sub.Message().Descriptor().Fields()
	if !ok || len(all) != fields.Len() {
		return sub, false
	}
	for i, n := range all {
		if part, ok := fieldValue(sub.Message(), fields.Get(i), number(n)); ok {
			sub.Message().Set(fields.Get(i), part)
		}
	}
	return sub, true
}

// enumNumber is the value of an enum whose name, without the prefix that all share, is the word.
func enumNumber(enum protoreflect.EnumDescriptor, word string) (protoreflect.EnumNumber, bool) {
	prefix := strings.TrimSuffix(string(enum.Values().ByNumber(0).Name()), "UNSPECIFIED")
	v := enum.Values().ByName(protoreflect.Name(prefix + strings.ToUpper(word)))
	if v == nil || v.Number() == 0 {
		return 0, false
	}
	return v.Number(), true
}

// enumWord is the word for a value of an enum, "" for one that means unknown or that a newer version wrote.
func enumWord(enum protoreflect.EnumDescriptor, number protoreflect.EnumNumber) string {
	v := enum.Values().ByNumber(number)
	if v == nil || number == 0 {
		return ""
	}
	prefix := strings.TrimSuffix(string(enum.Values().ByNumber(0).Name()), "UNSPECIFIED")
	return strings.ToLower(strings.TrimPrefix(string(v.Name()), prefix))
}
