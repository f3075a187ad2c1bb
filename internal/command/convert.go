package command

import (
	"math"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"google.golang.org/protobuf/proto"

	entityv1 "github.com/statehouse/statehouse/gen/statehouse/entity/v1"
	"github.com/statehouse/statehouse/state"
)

// channel is one number of a list of them, from zero to max.
type channel struct {
	name  string
	max   float64
	whole bool
}

var channels = map[Kind][]channel{
	KindXY:    {{"x", 1, false}, {"y", 1, false}},
	KindHS:    {{"hue", 360, false}, {"saturation", 100, false}},
	KindRGB:   {{"red", 255, true}, {"green", 255, true}, {"blue", 255, true}},
	KindRGBW:  {{"red", 255, true}, {"green", 255, true}, {"blue", 255, true}, {"white", 255, true}},
	KindRGBWW: {{"red", 255, true}, {"green", 255, true}, {"blue", 255, true}, {"cold_white", 255, true}, {"warm_white", 255, true}},
}

// convert is v as the argument has it: of its type, within its limits, in its one spelling. Of an argument that
// is secret the message does not say what it was.
func convert(a Argument, v *entityv1.Value) (*entityv1.Value, error) {
	switch a.Kind {
	case KindNumber, KindInteger:
		return convertNumber(a, v)
	case KindBool:
		b, ok := boolOf(v)
		if !ok {
			return nil, invalid("%s is true or false", a.Name)
		}
		return boolean(b), nil
	case KindText:
		s, ok := textOf(v)
		if a.Secret {
			s, ok = wordOf(v) // many write it as a number
		}
		if !ok {
			return nil, invalid("%s is a text", a.Name)
		}
		return convertText(a, s)
	case KindOption:
		return convertOption(a, v)
	case KindDate, KindTime, KindDateTime:
		return convertMoment(a, v)
	case KindTexts:
		return convertTexts(a, v)
	case KindAny:
		if !simple(v, 8) || proto.Size(v) > maxLongText {
			return nil, invalid("%s is larger than %d bytes, deeper than 8 levels, or no JSON", a.Name, maxLongText)
		}
		return proto.CloneOf(v), nil
	default:
		return convertChannels(a, v)
	}
}

func convertNumber(a Argument, v *entityv1.Value) (*entityv1.Value, error) {
	n, ok := numberOf(v)
	if !ok {
		return nil, invalid("%s is a number%s, not a text, and of no more digits than a double has", a.Name, bounds(a))
	}
	if a.Kind == KindInteger && n != math.Trunc(n) {
		return nil, invalid("%s is a whole number%s, not %s", a.Name, bounds(a), formatNumber(n))
	}
	if a.Minimum != nil && n < *a.Minimum || a.Maximum != nil && n > *a.Maximum {
		return nil, invalid("%s %s is out of range:%s", a.Name, formatNumber(n), bounds(a))
	}
	return number(n), nil
}

// bounds are the limits and the unit, for a message.
func bounds(a Argument) string {
	unit := a.Unit
	if unit != "" && unit != unitPercent {
		unit = " " + unit
	} else if unit == unitPercent {
		unit = " %"
	}
	switch {
	case a.Minimum != nil && a.Maximum != nil:
		return " from " + formatNumber(*a.Minimum) + " to " + formatNumber(*a.Maximum) + unit
	case a.Minimum != nil:
		return " from " + formatNumber(*a.Minimum) + unit
	case a.Maximum != nil:
		return " up to " + formatNumber(*a.Maximum) + unit
	default:
		return ""
	}
}

func convertText(a Argument, s string) (*entityv1.Value, error) {
	if len(s) > a.MaxLength {
		return nil, invalid("%s is longer than %d bytes", a.Name, a.MaxLength)
	}
	if !utf8.ValidString(s) {
		return nil, invalid("%s is not UTF-8", a.Name)
	}
	return text(s), nil
}

// convertOption finds the option that is meant: that very word, or the only one that differs in capitals alone.
func convertOption(a Argument, v *entityv1.Value) (*entityv1.Value, error) {
	word, ok := wordOf(v)
	if !ok {
		return nil, invalid("%s is a word; there are: %s", a.Name, listed(a.Options))
	}
	if len(a.Options) == 0 {
		return convertText(a, word)
	}
	if slices.Contains(a.Options, word) {
		return text(word), nil
	}
	same := func(o string) bool { return strings.EqualFold(o, word) }
	i := slices.IndexFunc(a.Options, same)
	if i < 0 || slices.ContainsFunc(a.Options[i+1:], same) {
		return nil, invalid("%s %s is no option; %s", a.Name, shown(word), suggest(word, a.Options))
	}
	return text(a.Options[i]), nil
}

func convertMoment(a Argument, v *entityv1.Value) (*entityv1.Value, error) {
	s, isText := textOf(v)
	switch a.Kind {
	case KindDate:
		if t, err := time.Parse(time.DateOnly, s); isText && err == nil && t.Year() > 0 {
			return text(s), nil
		}
		return nil, invalid("%s is a day, as 2026-01-31", a.Name)
	case KindTime:
		for _, layout := range []string{time.TimeOnly, "15:04"} {
			if t, err := time.Parse(layout, s); isText && len(s) <= len(time.TimeOnly) && err == nil {
				return text(t.Format(time.TimeOnly)), nil
			}
		}
		return nil, invalid("%s is a time of day, as 08:00:00", a.Name)
	default:
		if n, ok := v.GetKind().(*entityv1.Value_IntValue); ok {
			return &entityv1.Value{Kind: &entityv1.Value_IntValue{IntValue: n.IntValue}}, nil
		}
		t, err := time.Parse(time.RFC3339Nano, s)
		if !isText || err != nil || t.Year() < 1678 || t.Year() > 2261 {
			return nil, invalid("%s is a moment with its zone between 1678 and 2261, as 2026-01-31T08:00:00Z, or nanoseconds since 1970", a.Name)
		}
		return &entityv1.Value{Kind: &entityv1.Value_IntValue{IntValue: t.UnixNano()}}, nil
	}
}

func convertTexts(a Argument, v *entityv1.Value) (*entityv1.Value, error) {
	values := v.GetListValue().GetValues()
	if len(values) == 0 || len(values) > 100 {
		return nil, invalid("%s is a list of 1 to 100 texts", a.Name)
	}
	list := &entityv1.ListValue{}
	for _, e := range values {
		s, ok := textOf(e)
		if !ok || len(s) > MaxText || !utf8.ValidString(s) {
			return nil, invalid("%s is a list of texts of at most %d bytes", a.Name, MaxText)
		}
		list.Values = append(list.Values, text(s))
	}
	return &entityv1.Value{Kind: &entityv1.Value_ListValue{ListValue: list}}, nil
}

// convertChannels takes a list, or an object with the names of the attributes.
func convertChannels(a Argument, v *entityv1.Value) (*entityv1.Value, error) {
	want := channels[a.Kind]
	all, ok := numbersOf(v)
	if fields := v.GetStructValue().GetFields(); len(fields) == len(want) {
		all, ok = make([]float64, len(want)), true
		for i, c := range want {
			j := slices.IndexFunc(fields, func(f *entityv1.Field) bool { return f.GetName() == c.name })
			if j < 0 {
				ok = false
				break
			}
			n, isNumber := numberOf(fields[j].GetValue())
			all[i], ok = n, ok && isNumber
		}
	}
	for i, c := range want {
		if !ok || len(all) != len(want) || all[i] < 0 || all[i] > c.max || c.whole && all[i] != math.Trunc(all[i]) {
			return nil, invalid("%s is %s", a.Name, channelText(want))
		}
	}
	return numbers(all...), nil
}

func channelText(want []channel) string {
	parts := make([]string, len(want))
	for i, c := range want {
		parts[i] = c.name + " (0 to " + formatNumber(c.max) + ")"
	}
	return "a list of numbers: " + strings.Join(parts, ", ")
}

// simple says that a value is one that JSON has, of limited depth.
func simple(v *entityv1.Value, depth int) bool {
	switch k := v.GetKind().(type) {
	case nil, *entityv1.Value_BytesValue:
		return false
	case *entityv1.Value_StringValue:
		return utf8.ValidString(k.StringValue)
	case *entityv1.Value_NumberValue:
		_, err := state.ValueFromJSON([]byte(k.NumberValue))
		return err == nil && strings.Trim(k.NumberValue, "0123456789+-.eE") == ""
	case *entityv1.Value_DoubleValue:
		return finite(&k.DoubleValue)
	case *entityv1.Value_ListValue:
		return depth > 0 && !slices.ContainsFunc(k.ListValue.GetValues(), func(e *entityv1.Value) bool { return !simple(e, depth-1) })
	case *entityv1.Value_StructValue:
		return depth > 0 && !slices.ContainsFunc(k.StructValue.GetFields(), func(f *entityv1.Field) bool {
			return !utf8.ValidString(f.GetName()) || !simple(f.GetValue(), depth-1)
		})
	default:
		return true
	}
}
