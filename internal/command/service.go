package command

import (
	"cmp"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	entityv1 "github.com/statehouse/statehouse/gen/statehouse/entity/v1"
)

// anyDomain is the domain of Home Assistant's services for entities of any domain.
const anyDomain = "homeassistant"

// FromService reads a call of a Home Assistant service for one entity. Data is the service data as an object, without
// entity_id and target; nil, null and an empty object are the same. As Home Assistant does, it takes numbers and truths that are
// written as texts, cuts off fractions where whole numbers are meant, and takes a moment without a zone for one of the
// zone that the program runs in. Of what depends on the entity, and of ranges, it says nothing: that is Check's.
func FromService(domain, service string, data *entityv1.Value, entity string) (Request, error) {
	name, d := domainOf(entity)
	switch {
	case d == nil:
		return Request{}, refused(name)
	case domain != name && domain != anyDomain:
		return Request{}, invalid("%s is not for %s, whose domain is %s", shown(domain+"."+service), shown(entity), name)
	}
	a := d.action(service)
	if domain == anyDomain {
		if !slices.Contains([]string{turnOn, turnOff, toggle}, service) {
			return Request{}, invalid("%s is no command; there are turn_on, turn_off, toggle", shown(domain+"."+service))
		}
		if a == nil {
			a = d.action(d.words[service])
		}
	}
	if a == nil {
		return Request{}, invalid("there is no service %s for a %s; %s", shown(service), name, suggest(service, d.actionNames()))
	}
	r := Request{Entity: entity, Action: a.name}
	fields, err := serviceFields(data)
	if err != nil {
		return Request{}, err
	}
	for _, f := range fields {
		more, err := serviceField(d, a, f)
		if err != nil {
			return Request{}, err
		}
		for _, m := range more {
			if r.Arguments, err = appendArgument(r.Arguments, m, f.GetName()); err != nil {
				return Request{}, err
			}
		}
	}
	return r, nil
}

// appendArgument adds an argument that came of what was given under a name. A profile's brightness gives way to one that
// is given.
func appendArgument(all []*entityv1.Field, f *entityv1.Field, given string) ([]*entityv1.Field, error) {
	i := slices.IndexFunc(all, func(g *entityv1.Field) bool { return g.GetName() == f.GetName() })
	switch {
	case i < 0:
		return append(all, f), nil
	case given == "profile" && f.GetName() == argBrightness:
		return all, nil
	case given == f.GetName():
		return nil, invalid("%s is given twice", given)
	default:
		return nil, invalid("%s says %s a second time", shown(given), f.GetName())
	}
}

// serviceFields are the fields of the data in the order of their names, but that a profile comes last.
func serviceFields(data *entityv1.Value) ([]*entityv1.Field, error) {
	switch k := data.GetKind().(type) {
	case nil, *entityv1.Value_NullValue:
		return nil, nil
	case *entityv1.Value_StructValue:
		if n := len(k.StructValue.GetFields()); n > MaxArguments {
			return nil, invalid("%d fields in the service data; no service takes more than %d", n, MaxArguments)
		}
		fields := slices.Clone(k.StructValue.GetFields())
		slices.SortStableFunc(fields, func(a, b *entityv1.Field) int {
			if p, q := a.GetName() == "profile", b.GetName() == "profile"; p != q {
				if p {
					return 1
				}
				return -1
			}
			return cmp.Compare(a.GetName(), b.GetName())
		})
		return fields, nil
	default:
		return nil, invalid("the service data is no object")
	}
}

// serviceField is the arguments that a field of the service data becomes.
func serviceField(d *domain, a *action, f *entityv1.Field) ([]*entityv1.Field, error) {
	if p := a.param(f.GetName()); p != nil {
		return []*entityv1.Field{field(p.name, coerced(p.kind, f.GetValue()))}, nil
	}
	in, ok := d.inputs[f.GetName()]
	if !ok || !d.feeds(a) {
		return nil, invalid("%s.%s has no field %s; it has: %s", d.name, a.name, shown(f.GetName()), listed(d.fields(a)))
	}
	return in.convert(coerced(in.kind, f.GetValue()))
}

// feeds says that an action takes what the domain's inputs become.
func (d *domain) feeds(a *action) bool {
	return a.param(argRGB) != nil || a.param("media_content_id") != nil
}

// fields are the names of the fields of a service.
func (d *domain) fields(a *action) []string {
	var names []string
	for i := range a.params {
		names = append(names, a.params[i].name)
	}
	if d.feeds(a) {
		names = append(names, slices.Sorted(maps.Keys(d.inputs))...)
	}
	return names
}

// actionNames are the names of all actions.
func (d *domain) actionNames() []string {
	names := make([]string, len(d.actions))
	for i := range d.actions {
		names[i] = d.actions[i].name
	}
	return names
}

// coerced is v as a kind where Home Assistant takes it for one; Check judges what is left as it is.
func coerced(kind Kind, v *entityv1.Value) *entityv1.Value {
	s, isText := textOf(v)
	switch kind {
	case KindNumber, KindInteger:
		n, ok := numberOf(v)
		if isText {
			n, ok = parseNumber(s)
		}
		if !ok {
			return v
		}
		if kind == KindInteger {
			n = math.Trunc(n)
		}
		return number(n)
	case KindBool:
		if b, ok := parseBool(s); isText && ok {
			return boolean(b)
		}
		if n, ok := numberOf(v); ok && (n == 0 || n == 1) {
			return boolean(n == 1)
		}
	case KindText:
		if word, ok := wordOf(v); ok {
			return text(word)
		}
	case KindTexts:
		if isText {
			return textList(s)
		}
	case KindDateTime:
		if t, ok := parseMoment(s); isText && ok {
			return text(t.Format(time.RFC3339Nano))
		}
	}
	return v
}

func textList(s string) *entityv1.Value {
	list := &entityv1.ListValue{}
	for part := range strings.SplitSeq(s, ",") {
		list.Values = append(list.Values, text(strings.TrimSpace(part)))
	}
	return &entityv1.Value{Kind: &entityv1.Value_ListValue{ListValue: list}}
}

func parseBool(s string) (value, ok bool) {
	switch strings.ToLower(s) {
	case "true", "on", "yes", "1":
		return true, true
	case "false", "off", "no", "0":
		return false, true
	default:
		return false, false
	}
}

// parseMoment reads a moment; without a zone it is one of the place where the program runs.
func parseMoment(s string) (time.Time, bool) {
	if t, err := time.Parse(time.RFC3339Nano, s); err == nil {
		return t, true
	}
	for _, layout := range []string{"2006-01-02 15:04:05", "2006-01-02 15:04", "2006-01-02T15:04:05", "2006-01-02T15:04"} {
		for _, zone := range []string{"", "Z07:00"} {
			if t, err := time.ParseInLocation(layout+zone, s, time.Local); err == nil {
				return t, true
			}
		}
	}
	return time.Time{}, false
}
