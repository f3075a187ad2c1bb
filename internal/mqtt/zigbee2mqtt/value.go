package zigbee2mqtt

import (
	"math"
	"slices"
	"strconv"
	"strings"

	"google.golang.org/protobuf/proto"

	entityv1 "github.com/statehouse/statehouse/gen/statehouse/entity/v1"
)

// maxExact is the largest whole number up to which a double holds every one.
const maxExact = 1 << 53

// isNull says that a value is not known: absent, or null.
func isNull(v *entityv1.Value) bool {
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

// text is a value that is a string.
func text(v *entityv1.Value) (string, bool) {
	s, ok := v.GetKind().(*entityv1.Value_StringValue)
	if !ok {
		return "", false
	}
	return s.StringValue, true
}

// word is a value as one of a list's options: options are strings where the source may send a number or a bool.
func word(v *entityv1.Value) (string, bool) {
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

// number is a value that a double holds exactly as it was written; decimal is any other number in its digits.
func number(v *entityv1.Value) (n float64, decimal string, ok bool) {
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

// double is a value that is a number a double holds.
func double(v *entityv1.Value) (float64, bool) {
	n, decimal, ok := number(v)
	return n, ok && decimal == ""
}

// whole is a value that is a whole number from 0 to limit.
func whole(v *entityv1.Value, limit float64) (uint32, bool) {
	n, ok := double(v)
	if !ok || n < 0 || n > limit || n != math.Trunc(n) {
		return 0, false
	}
	return uint32(n), true
}

// node reads what an exposed definition says, and is lenient: what has another type than expected is not there.
type node struct{ v *entityv1.Value }

func (n node) get(name string) node {
	fields := n.v.GetStructValue().GetFields()
	i, ok := slices.BinarySearchFunc(fields, name, func(f *entityv1.Field, name string) int {
		return strings.Compare(f.GetName(), name)
	})
	if !ok {
		return node{}
	}
	return node{fields[i].GetValue()}
}

// has says that there is a field of that name, even null.
func (n node) has(name string) bool { return n.get(name).v != nil }

func (n node) str(name string) string {
	s, _ := text(n.get(name).v)
	return s
}

func (n node) num(name string) *float64 {
	f, ok := double(n.get(name).v)
	if !ok {
		return nil
	}
	return &f
}

func (n node) list(name string) []node {
	values := n.get(name).v.GetListValue().GetValues()
	nodes := make([]node, len(values))
	for i, v := range values {
		nodes[i] = node{v}
	}
	return nodes
}

// maxOptions is ten times what the longest real enum has. Values beyond it are reported like any other, and only not
// listed among the options.
const maxOptions = 1000

// words are the values of an enum.
func (n node) words() []string {
	var words []string
	for _, v := range n.list("values") {
		if w, ok := word(v.v); ok && len(words) < maxOptions {
			words = append(words, w)
		}
	}
	return words
}

// extra is what the source said of a under that name.
func extra(a *entityv1.Attributes, name string) *entityv1.Value {
	if i, ok := findExtra(a, name); ok {
		return a.GetExtra()[i].GetValue()
	}
	return nil
}

// setExtra puts v among the extra of a, or takes it away where v is nil. The list stays sorted. A must not be shared.
func setExtra(a *entityv1.Attributes, name string, v *entityv1.Value) {
	i, ok := findExtra(a, name)
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

func findExtra(a *entityv1.Attributes, name string) (int, bool) {
	return slices.BinarySearchFunc(a.GetExtra(), name, func(f *entityv1.Field, name string) int {
		return strings.Compare(f.GetName(), name)
	})
}

// sameValue compares two values by what they say.
func sameValue(a, b *entityv1.Value) bool {
	if s, ok := text(a); ok {
		t, ok := text(b)
		return ok && s == t
	}
	return proto.Equal(a, b)
}

// stringValue is a value that says s.
func stringValue(s string) *entityv1.Value {
	return &entityv1.Value{Kind: &entityv1.Value_StringValue{StringValue: s}}
}
