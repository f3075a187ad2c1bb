package discovery

import (
	"fmt"
	"iter"
	"strings"
	"unicode"

	entityv1 "github.com/statehouse/statehouse/gen/statehouse/entity/v1"
	"github.com/statehouse/statehouse/internal/mqtt/dialect"
	"github.com/statehouse/statehouse/state"
)

// haObject is a JSON object of an announcement. It is the translation's own, to be changed; the values are not.
type haObject map[string]*entityv1.Value

func haObjectOf(v *entityv1.Value) (haObject, bool) {
	s, ok := v.GetKind().(*entityv1.Value_StructValue)
	if !ok {
		return nil, false
	}
	o := make(haObject, len(s.StructValue.GetFields()))
	for _, f := range s.StructValue.GetFields() {
		o[f.GetName()] = f.GetValue()
	}
	return o, true
}

// value is the object as a value.
func (o haObject) value() *entityv1.Value {
	all, fields := make([]entityv1.Field, len(o)), make([]*entityv1.Field, len(o))
	for i, name := range sortedKeys(o) {
		fields[i] = &all[i]
		fields[i].Name, fields[i].Value = name, o[name]
	}
	return &entityv1.Value{Kind: &entityv1.Value_StructValue{StructValue: &entityv1.StructValue{Fields: fields}}}
}

// expand writes abbreviated keys out. An abbreviation goes before the same key in full, as in Home Assistant.
func (o haObject) expand(abbreviations map[string]string) {
	if o.abbreviates(abbreviations) {
		for _, short := range sortedKeys(o) {
			if full, ok := abbreviations[short]; ok {
				v := o[short]
				delete(o, short)
				o[full] = v
			}
		}
	}
	if abbreviations["avty"] == "" {
		return
	}
	list := haList(o[keyAvailability])
	for i, v := range list {
		if one, ok := haObjectOf(v); ok && one.abbreviates(availabilityAbbreviations) {
			one.expand(availabilityAbbreviations)
			list[i] = one.value()
		}
	}
	if list != nil {
		o[keyAvailability] = haListValue(list)
	}
}

// abbreviates says that some of an object's keys are abbreviated. Few write them in full, but those who do have many to say.
func (o haObject) abbreviates(abbreviations map[string]string) bool {
	for key := range o {
		if _, ok := abbreviations[key]; ok {
			return true
		}
	}
	return false
}

// maxTopicBase is far beyond every real one: a base is copied into every topic.
const maxTopicBase = 1024

// base puts the topic base, which is the object's own or else otherwise, in place of the "~" that topics begin or end with.
func (o haObject) base(otherwise *entityv1.Value) error {
	v, own := o["~"]
	if !own || dialect.IsNull(v) {
		v = otherwise
	}
	delete(o, "~")
	if dialect.IsNull(v) {
		return nil
	}
	base, ok := dialect.TextOf(v)
	if !ok || len(base) > maxTopicBase {
		return haWrong("~", v, fmt.Sprintf("the beginning of topics, at most %d bytes", maxTopicBase))
	}
	put := func(v *entityv1.Value) *entityv1.Value {
		topic, _ := dialect.TextOf(v)
		rest, begins := strings.CutPrefix(topic, "~")
		rest, ends := strings.CutSuffix(rest, "~")
		if !begins && !ends {
			return v
		}
		if begins {
			rest = base + rest
		}
		if ends {
			rest += base
		}
		return dialect.StringValue(rest)
	}
	for key, v := range o {
		if haIsTopic(key) {
			o[key] = put(v)
		}
	}
	list := haList(o[keyAvailability])
	for i, v := range list {
		if one, ok := haObjectOf(v); ok && one["topic"] != nil {
			one["topic"] = put(one["topic"])
			list[i] = one.value()
		}
	}
	if len(list) > 0 {
		o[keyAvailability] = haListValue(list)
	}
	return nil
}

// topics are all topics that a configuration names, in no order.
func (o haObject) topics() iter.Seq[string] {
	return func(yield func(string) bool) {
		for key, v := range o {
			if topic, ok := dialect.TextOf(v); ok && haIsTopic(key) && !yield(topic) {
				return
			}
		}
		for _, v := range haList(o[keyAvailability]) {
			if topic := (dialect.Node{Value: v}).Str("topic"); topic != "" && !yield(topic) {
				return
			}
		}
	}
}

func haIsTopic(key string) bool { return strings.HasSuffix(key, "topic") }

// haList is a list, which one value alone stands for, too; empty for null. The slice is the caller's.
func haList(v *entityv1.Value) []*entityv1.Value {
	if dialect.IsNull(v) {
		return nil
	}
	if list, ok := v.GetKind().(*entityv1.Value_ListValue); ok {
		return append([]*entityv1.Value(nil), list.ListValue.GetValues()...)
	}
	return []*entityv1.Value{v}
}

func haListValue(values []*entityv1.Value) *entityv1.Value {
	return &entityv1.Value{Kind: &entityv1.Value_ListValue{ListValue: &entityv1.ListValue{Values: values}}}
}

// maxAnnouncedText is far beyond every real name and id.
const maxAnnouncedText = 1024

// text is the field of that name as a string, also where it is a number, without control characters and blanks around it;
// empty for null.
func (o haObject) text(key string) (string, error) {
	v := o[key]
	if dialect.IsNull(v) {
		return "", nil
	}
	s, ok := dialect.WordOf(v)
	if !ok {
		return "", haWrong(key, v, "a string")
	}
	if len(s) > maxAnnouncedText {
		return "", fmt.Errorf("%w: %s has %d bytes, at most %d are taken", ErrAnnouncementTooLarge, key, len(s), maxAnnouncedText)
	}
	return haPrintable(s), nil
}

// haPrintable is s without control characters, and without blanks around it.
func haPrintable(s string) string {
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return -1
		}
		return r
	}, s))
}

// haBool is a bool as Home Assistant reads one.
func haBool(v *entityv1.Value) (value, ok bool) {
	if b, ok := v.GetKind().(*entityv1.Value_BoolValue); ok {
		return b.BoolValue, true
	}
	if s, ok := dialect.TextOf(v); ok {
		switch strings.ToLower(s) {
		case "1", "true", "yes", "on", "enable":
			return true, true
		case "0", "false", "no", "off", "disable":
			return false, true
		}
		return false, false
	}
	f, ok := dialect.DoubleOf(v)
	return f != 0, ok
}

// haWrong says what a value is and what it should be.
func haWrong(key string, v *entityv1.Value, want string) error {
	return fmt.Errorf("%s is %.80s, where %s was expected", key, state.AppendJSON(nil, v), want)
}
