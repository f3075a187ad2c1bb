package command

import (
	"math"
	"strconv"
	"strings"

	entityv1 "github.com/statehouse/statehouse/gen/statehouse/entity/v1"
)

// maxExact is the largest whole number up to which a double holds every one.
const maxExact = 1 << 53

// number is n in its one spelling: whole numbers are int_values, and there is one zero.
func number(n float64) *entityv1.Value {
	if n == math.Trunc(n) && math.Abs(n) <= maxExact {
		return &entityv1.Value{Kind: &entityv1.Value_IntValue{IntValue: int64(n)}}
	}
	return &entityv1.Value{Kind: &entityv1.Value_DoubleValue{DoubleValue: n}}
}

func text(s string) *entityv1.Value {
	return &entityv1.Value{Kind: &entityv1.Value_StringValue{StringValue: s}}
}

func boolean(b bool) *entityv1.Value {
	return &entityv1.Value{Kind: &entityv1.Value_BoolValue{BoolValue: b}}
}

func numbers(all ...float64) *entityv1.Value {
	list := &entityv1.ListValue{}
	for _, n := range all {
		list.Values = append(list.Values, number(n))
	}
	return &entityv1.Value{Kind: &entityv1.Value_ListValue{ListValue: list}}
}

func field(name string, v *entityv1.Value) *entityv1.Field {
	return &entityv1.Field{Name: name, Value: v}
}

// numberOf is a value that is a finite number which a double holds. A text is none.
func numberOf(v *entityv1.Value) (float64, bool) {
	switch k := v.GetKind().(type) {
	case *entityv1.Value_IntValue:
		return float64(k.IntValue), k.IntValue <= maxExact && k.IntValue >= -maxExact
	case *entityv1.Value_DoubleValue:
		return k.DoubleValue, !math.IsNaN(k.DoubleValue) && !math.IsInf(k.DoubleValue, 0)
	default: // a number_value has more digits than a double
		return 0, false
	}
}

func boolOf(v *entityv1.Value) (value, ok bool) {
	b, ok := v.GetKind().(*entityv1.Value_BoolValue)
	if !ok {
		return false, false
	}
	return b.BoolValue, true
}

func textOf(v *entityv1.Value) (string, bool) {
	s, ok := v.GetKind().(*entityv1.Value_StringValue)
	if !ok {
		return "", false
	}
	return s.StringValue, true
}

// wordOf is a value as one of a list's options, which are texts also where the source has numbers or truths.
func wordOf(v *entityv1.Value) (string, bool) {
	switch k := v.GetKind().(type) {
	case *entityv1.Value_StringValue:
		return k.StringValue, true
	case *entityv1.Value_IntValue:
		return strconv.FormatInt(k.IntValue, 10), true
	case *entityv1.Value_DoubleValue:
		return strconv.FormatFloat(k.DoubleValue, 'g', -1, 64), true
	case *entityv1.Value_BoolValue:
		return strconv.FormatBool(k.BoolValue), true
	default:
		return "", false
	}
}

// numbersOf is a value that is a list of numbers, of five at most: no color has more.
func numbersOf(v *entityv1.Value) ([]float64, bool) {
	values := v.GetListValue().GetValues()
	if len(values) == 0 || len(values) > 5 {
		return nil, false
	}
	all := make([]float64, len(values))
	for i, e := range values {
		n, ok := numberOf(e)
		if !ok {
			return nil, false
		}
		all[i] = n
	}
	return all, true
}

// parseNumber reads a number as people write it; no hexadecimal, no words.
func parseNumber(s string) (float64, bool) {
	s = strings.TrimSpace(s)
	if s == "" || len(s) > 64 || strings.Trim(s, "0123456789+-.eE") != "" {
		return 0, false
	}
	n, err := strconv.ParseFloat(s, 64)
	return n, err == nil && !math.IsInf(n, 0)
}

func formatNumber(n float64) string { return strconv.FormatFloat(n, 'f', -1, 64) }
