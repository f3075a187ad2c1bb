package template

import (
	"math/big"
	"strings"
	"unicode/utf8"
)

// attribute is v.name of Jinja: an attribute or a method of the type, and else an item of that name.
func attribute(v any, name string) (any, error) {
	switch v := v.(type) {
	case *undefined:
		return nil, errUndefined(v)
	case *unavailable:
		return nil, v.err()
	case *namespace:
		if value, ok, _ := v.attrs.get(name); ok {
			return value, nil
		}
	case *loopState:
		if value, ok := v.attribute(name); ok {
			return value, nil
		}
	case *builtin:
		// Python's dict['x'], to which Jinja comes from dict.x, is dict itself for typing. Zigbee2MQTT's template of
		// event entities calls dict.from_keys, which works for no other reason.
		if v.name == "dict" {
			return v, nil
		}
	case *dict:
		if !isDictMethod(name) {
			if value, ok, _ := v.get(name); ok {
				return value, nil
			}
			return noAttribute(v, name), nil
		}
	case *datetime:
		if value, ok := v.attribute(name); ok {
			return value, nil
		}
	case timedelta:
		if value, ok := v.attribute(name); ok {
			return value, nil
		}
	}
	if m := methodOf(v, name); m != nil {
		return m, nil
	}
	return noAttribute(v, name), nil
}

func noAttribute(v any, name string) *undefined {
	return &undefined{hint: "'" + objectName(v) + "' has no attribute '" + clip(name, 100) + "'"}
}

// objectName is how Jinja calls a value in what it says of undefined ones.
func objectName(v any) string {
	if v == nil {
		return "None"
	}
	return typeName(v) + " object"
}

// element is v[key] of Jinja: an item, and else an attribute or a method of that name.
func element(v, key any) (any, error) {
	switch v := v.(type) {
	case *undefined:
		return nil, errUndefined(v)
	case *unavailable:
		return nil, v.err()
	case *dict:
		if value, ok, err := v.get(key); err == nil && ok {
			return value, nil
		}
	case string:
		if value, ok := character(v, key); ok {
			return value, nil
		}
	default:
		if i, ok := toInt(key); ok {
			if value, ok := itemAt(v, i); ok {
				return value, nil
			}
		}
	}
	if name, ok := key.(string); ok {
		if m := methodOf(v, name); m != nil {
			return m, nil
		}
		if t, ok := v.(*datetime); ok {
			if value, ok := t.attribute(name); ok {
				return value, nil
			}
		}
		return noAttribute(v, name), nil
	}
	w := writer{}
	if isNumber(key) {
		_ = w.value(key) // no number fails to be written
	}
	return &undefined{hint: objectName(v) + " has no element " + clip(string(w.b), 40)}, nil
}

// itemAt is the item of a sequence at an index, from the end if that is negative.
func itemAt(v any, index any) (any, bool) {
	switch v.(type) {
	case *list, *rangeSeq, pyBytes:
	default:
		return nil, false
	}
	n, at, err := items(v)
	i, ok := index.(int64)
	if err != nil || !ok {
		return nil, false
	}
	if i < 0 {
		i += int64(n)
	}
	if i < 0 || i >= int64(n) {
		return nil, false
	}
	return at(int(i)), true
}

// character is the character of a string at an index.
func character(s string, key any) (any, bool) {
	number, _ := toInt(key)
	i, ok := number.(int64)
	if !ok {
		return nil, false
	}
	if i < 0 {
		i += int64(utf8.RuneCountInString(s))
	}
	if i < 0 || i >= int64(len(s)) {
		return nil, false
	}
	for _, c := range s {
		if i == 0 {
			return string(c), true
		}
		i--
	}
	return nil, false
}

func (e *sliceExpr) eval(r *run) (any, error) {
	of, err := r.eval(e.of)
	if err != nil {
		return nil, err
	}
	if u, ok := of.(*undefined); ok {
		return nil, errUndefined(u)
	}
	var bounds [3]any
	for i, part := range e.parts {
		if part != nil {
			if bounds[i], err = r.eval(part); err != nil {
				return nil, err
			}
			if _, ok := toInt(bounds[i]); !ok && bounds[i] != nil {
				return nil, failf("slice indices must be integers or None, not %s", typeName(bounds[i]))
			}
		}
	}
	switch v := of.(type) {
	case string:
		if err := r.text(len(v)); err != nil {
			return nil, err
		}
		runes := []rune(v)
		var b strings.Builder
		err := slice(len(runes), bounds, func(i int) { b.WriteRune(runes[i]) })
		return b.String(), err
	case pyBytes:
		var b strings.Builder
		err := slice(len(v), bounds, func(i int) { b.WriteByte(v[i]) })
		return pyBytes(b.String()), err
	case *list, *rangeSeq:
		n, at, err := items(v)
		if err == nil {
			err = r.items(n)
		}
		if err != nil {
			return nil, err
		}
		l := &list{}
		if given, ok := v.(*list); ok {
			l.tuple = given.tuple
		}
		err = slice(n, bounds, func(i int) { l.items = append(l.items, at(i)) })
		return l, err
	}
	return nil, failf("'%s' object is not subscriptable", typeName(of))
}

// slice visits the indexes that Python's [start:stop:step] takes of n items. The bounds are integers or None.
func slice(n int, bounds [3]any, visit func(i int)) error {
	step := sliceBound(bounds[2], 1)
	if step == 0 {
		return failf("slice step cannot be zero")
	}
	low, high := 0, n
	first, last := 0, n
	if step < 0 {
		low, high = -1, n-1
		first, last = n-1, -1
	}
	clamp := func(v any, missing int) int {
		if v == nil {
			return missing
		}
		i := sliceBound(v, 0)
		if i < 0 {
			i += n
		}
		return max(low, min(high, i))
	}
	start, stop := clamp(bounds[0], first), clamp(bounds[1], last)
	for i := start; step > 0 && i < stop || step < 0 && i > stop; i += step {
		visit(i)
	}
	return nil
}

// sliceBound is a number of a slice. What no sequence reaches is cut, so that nothing overflows.
func sliceBound(v any, missing int) int {
	const far = 1 << 30
	switch n, _ := toInt(v); n := n.(type) {
	case int64:
		return int(max(-far, min(far, n)))
	case *big.Int:
		return n.Sign() * far
	}
	return missing
}
