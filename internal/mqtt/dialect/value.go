package dialect

import (
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"

	entityv1 "github.com/statehouse/statehouse/gen/statehouse/entity/v1"
)

// maxExact is the largest whole number up to which a double holds every one.
const maxExact = 1 << 53

// IsNull says that a value is not known: absent, or null.
func IsNull(v *entityv1.Value) bool {
	if v == nil {
		return true
	}
	switch v.GetKind().(type) {
	case nil, *entityv1.Value_NullValue:
		return true
	default:
		return false
	}
}

// TextOf is a value that is a string.
func TextOf(v *entityv1.Value) (string, bool) {
	s, ok := v.GetKind().(*entityv1.Value_StringValue)
	if !ok {
		return "", false
	}
	return s.StringValue, true
}

// WordOf is a value as one of a list's options: options are strings where the source may send a number or a bool.
func WordOf(v *entityv1.Value) (string, bool) {
	switch k := v.GetKind().(type) {
	case *entityv1.Value_StringValue:
		return k.StringValue, true
	case *entityv1.Value_IntValue:
		return strconv.FormatInt(k.IntValue, 10), true
	case *entityv1.Value_DoubleValue:
		return strconv.FormatFloat(k.DoubleValue, 'g', -1, 64), true
	case *entityv1.Value_NumberValue:
		return k.NumberValue, true
	case *entityv1.Value_BoolValue:
		return strconv.FormatBool(k.BoolValue), true
	default:
		return "", false
	}
}

// NumberOf is a value that a double holds exactly as it was written; decimal is any other number in its digits.
func NumberOf(v *entityv1.Value) (n float64, decimal string, ok bool) {
	switch k := v.GetKind().(type) {
	case *entityv1.Value_IntValue:
		if k.IntValue > maxExact || k.IntValue < -maxExact {
			return 0, strconv.FormatInt(k.IntValue, 10), true
		}
		return float64(k.IntValue), "", true
	case *entityv1.Value_DoubleValue:
		return k.DoubleValue, "", true
	case *entityv1.Value_NumberValue:
		return 0, k.NumberValue, true
	default:
		return 0, "", false
	}
}

// DoubleOf is a value that is a number a double holds.
func DoubleOf(v *entityv1.Value) (float64, bool) {
	n, decimal, ok := NumberOf(v)
	return n, ok && decimal == ""
}

// WholeOf is a value that is a whole number from 0 to limit.
func WholeOf(v *entityv1.Value, limit float64) (uint32, bool) {
	n, ok := DoubleOf(v)
	if !ok || n < 0 || n > limit || n != math.Trunc(n) {
		return 0, false
	}
	return uint32(n), true
}

// Node reads what a source's definition says, and is lenient: what has another type than expected is not there.
type Node struct{ Value *entityv1.Value }

// Get is the field of that name, the zero Node where there is none.
func (n Node) Get(name string) Node {
	fields := n.Value.GetStructValue().GetFields()
	i, ok := slices.BinarySearchFunc(fields, name, func(f *entityv1.Field, name string) int {
		return strings.Compare(f.GetName(), name)
	})
	if !ok {
		return Node{}
	}
	return Node{fields[i].GetValue()}
}

// Has says that there is a field of that name, even null.
func (n Node) Has(name string) bool { return n.Get(name).Value != nil }

// Str is the field of that name where it is a string, else empty.
func (n Node) Str(name string) string {
	s, _ := TextOf(n.Get(name).Value)
	return s
}

// Num is the field of that name where it is a number, else nil.
func (n Node) Num(name string) *float64 {
	f, ok := DoubleOf(n.Get(name).Value)
	if !ok {
		return nil
	}
	return &f
}

// List is the field of that name where it is a list, else empty.
func (n Node) List(name string) []Node {
	values := n.Get(name).Value.GetListValue().GetValues()
	nodes := make([]Node, len(values))
	for i, v := range values {
		nodes[i] = Node{v}
	}
	return nodes
}

// MaxOptions is ten times what the longest real enum has. Values beyond it are reported like any other, and only not
// listed among the options.
const MaxOptions = 1000

// Words are the values of a list as options, MaxOptions at most.
func (n Node) Words(name string) []string {
	var words []string
	for _, v := range n.List(name) {
		if w, ok := WordOf(v.Value); ok && len(words) < MaxOptions {
			words = append(words, w)
		}
	}
	return words
}

// ExtraOf is what the source said of a under that name.
func ExtraOf(a *entityv1.Attributes, name string) *entityv1.Value {
	if i, ok := FindExtra(a, name); ok {
		return a.GetExtra()[i].GetValue()
	}
	return nil
}

// SetExtra puts v among the extra of a, or takes it away where v is nil. The list stays sorted. A must not be shared.
func SetExtra(a *entityv1.Attributes, name string, v *entityv1.Value) {
	i, ok := FindExtra(a, name)
	switch {
	case v == nil && ok:
		a.Extra = slices.Delete(a.Extra, i, i+1)
	case v == nil:
	case ok:
		a.Extra[i] = &entityv1.Field{Name: name, Value: v}
	default:
		a.Extra = slices.Insert(a.Extra, i, &entityv1.Field{Name: name, Value: v})
	}
	if len(a.Extra) == 0 {
		a.Extra = nil
	}
}

// FindExtra is where the extra of that name is, or would be.
func FindExtra(a *entityv1.Attributes, name string) (int, bool) {
	return slices.BinarySearchFunc(a.GetExtra(), name, func(f *entityv1.Field, name string) int {
		return strings.Compare(f.GetName(), name)
	})
}

// SameValue compares two values by what they say.
func SameValue(a, b *entityv1.Value) bool {
	if s, ok := TextOf(a); ok {
		t, ok := TextOf(b)
		return ok && s == t
	}
	return proto.Equal(a, b)
}

// StringValue is a value that says s.
func StringValue(s string) *entityv1.Value {
	return &entityv1.Value{Kind: &entityv1.Value_StringValue{StringValue: s}}
}

// BoolValue is a value that says b.
func BoolValue(b bool) *entityv1.Value {
	return &entityv1.Value{Kind: &entityv1.Value_BoolValue{BoolValue: b}}
}

// MomentOf is a value that is a moment: ISO 8601, or milliseconds since 1970.
func MomentOf(v *entityv1.Value) (time.Time, bool) {
	if s, ok := TextOf(v); ok {
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
