package template

import (
	"strings"
)

// binary is a op b of Python.
func (r *run) binary(op string, a, b any) (any, error) {
	if err := r.step(reading(a, b)); err != nil {
		return nil, err
	}
	if s, ok := a.(string); ok && op == "%" {
		return r.percent(s, b)
	}
	if isNumber(a) && isNumber(b) {
		v, err := arithmetic(op, a, b)
		if err != nil {
			return nil, err
		}
		return v, r.step(reading(v) - 1) // two small numbers may make a large one
	}
	for _, v := range []any{a, b} {
		if u, ok := v.(*undefined); ok {
			return nil, errUndefined(u)
		}
	}
	switch op {
	case "+":
		if v, ok, err := r.add(a, b); ok || err != nil {
			return v, err
		}
	case "*":
		if v, ok, err := r.repeat(a, b); ok || err != nil {
			return v, err
		}
	}
	if v, ok, err := timeArithmetic(op, a, b); ok || err != nil {
		return v, err
	}
	if op == "**" {
		op = "** or pow()"
	}
	return nil, failf("unsupported operand type(s) for %s: '%s' and '%s'", op, typeName(a), typeName(b))
}

// add joins two sequences of the same type.
func (r *run) add(a, b any) (v any, ok bool, err error) {
	switch a := a.(type) {
	case string:
		if b, ok := b.(string); ok {
			return a + b, true, r.text(len(a) + len(b))
		}
		return nil, false, failf("can only concatenate str (not \"%s\") to str", typeName(b))
	case pyBytes:
		if b, ok := b.(pyBytes); ok {
			return a + b, true, r.text(len(a) + len(b))
		}
	case *list:
		if b, ok := b.(*list); ok && a.tuple == b.tuple {
			if err := r.items(a.length() + b.length()); err != nil {
				return nil, false, err
			}
			sum := &list{tuple: a.tuple}
			for _, l := range []*list{a, b} {
				for i := range l.length() {
					sum.items = append(sum.items, l.at(i))
				}
			}
			return sum, true, nil
		}
	}
	return nil, false, nil
}

// repeat is a sequence times an integer.
func (r *run) repeat(a, b any) (v any, ok bool, err error) {
	times, isInt := toInt(b)
	if !isInt {
		if times, isInt = toInt(a); !isInt {
			return nil, false, nil
		}
		a = b
	}
	count := func(length int) (int, error) {
		n, small := times.(int64)
		if small && n <= 0 || length == 0 {
			return 0, nil
		}
		if !small || n > maxString {
			return 0, failBound("a sequence that is repeated %v times", times)
		}
		return int(n), nil
	}
	switch a := a.(type) {
	case string, pyBytes:
		text, isText := a.(string)
		if !isText {
			text = string(a.(pyBytes))
		}
		n, err := count(len(text))
		if err == nil {
			err = r.text(product(len(text), n))
		}
		if err != nil {
			return nil, false, err
		}
		if text = strings.Repeat(text, n); isText {
			return text, true, nil
		}
		return pyBytes(text), true, nil
	case *list:
		n, err := count(a.length())
		if err == nil {
			err = r.items(product(a.length(), n))
		}
		if err != nil {
			return nil, false, err
		}
		repeated := &list{tuple: a.tuple}
		for range n {
			for i := range a.length() {
				repeated.items = append(repeated.items, a.at(i))
			}
		}
		return repeated, true, nil
	}
	return nil, false, nil
}

// compare is a op b of Python, for the operators that give a bool.
func (r *run) compare(op string, a, b any) (bool, error) {
	switch op {
	case "==", "!=":
		same, err := r.equal(a, b)
		return same == (op == "=="), err
	case "in", "not in":
		in, err := r.contains(b, a)
		return in == (op == "in"), err
	}
	order, ok, err := r.order(op, a, b)
	if err != nil || !ok {
		return false, err
	}
	switch op {
	case "<":
		return order < 0, nil
	case "<=":
		return order <= 0, nil
	case ">":
		return order > 0, nil
	}
	return order >= 0, nil
}
