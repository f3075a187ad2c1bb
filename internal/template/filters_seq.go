package template

import (
	"unicode/utf8"
)

// sequenceFilters work on what has items.
var sequenceFilters = []*builtin{
	define("length", "value", func(r *run, a []any) (any, error) { return length(r, a[0]) }),
	define("first", "seq", func(_ *run, a []any) (any, error) { return end(a[0], 0, "first") }),
	define("last", "seq", func(_ *run, a []any) (any, error) { return end(a[0], -1, "last") }),
	define("list", "value", func(r *run, a []any) (any, error) {
		items, err := r.slice(a[0])
		return &list{items: items}, err
	}),
	define("items", "value", func(r *run, a []any) (any, error) {
		switch v := a[0].(type) {
		case *undefined:
			return &list{}, nil
		case *dict:
			return r.pairs(v)
		}
		return nil, failf("Can only get item pairs from a mapping.")
	}),
	define("join", "value d? attribute?", filterJoin),
	define("reverse", "value", reverse),
	define("sort", "value reverse? case_sensitive? attribute?", sortFilter),
	define("dictsort", "value case_sensitive? by? reverse?", dictSort),
	define("unique", "value case_sensitive? attribute?", unique),
	define("min", "value case_sensitive? attribute?", func(r *run, a []any) (any, error) { return extreme(r, a, false) }),
	define("max", "value case_sensitive? attribute?", func(r *run, a []any) (any, error) { return extreme(r, a, true) }),
	define("sum", "iterable attribute? start?", sum),
	define("batch", "value linecount fill_with?", batch),
	define("slice", "value slices fill_with?", divide),
	define("flatten", "value levels?", func(r *run, a []any) (any, error) {
		levels, err := argInt("flatten", a[1], maxDepth)
		if err != nil {
			return nil, err
		}
		l := &list{}
		return l, flatten(r, a[0], levels, l)
	}),
	define("contains", "value item", func(r *run, a []any) (any, error) { return r.contains(a[0], a[1]) }),
	define("attr", "obj name", func(_ *run, a []any) (any, error) {
		name, err := argString("attr", a[1])
		if err != nil {
			return nil, err
		}
		if m := methodOf(a[0], name); m != nil {
			return m, nil
		}
		if _, ok := a[0].(*dict); ok {
			return noAttribute(a[0], name), nil
		}
		return attribute(a[0], name)
	}),
}

func length(r *run, v any) (any, error) {
	switch v := v.(type) {
	case string:
		return int64(utf8.RuneCountInString(v)), r.step(len(v) / 64)
	case *unavailable:
		return nil, v.err()
	}
	n, _, err := items(v)
	if err != nil {
		return nil, failf("object of type '%s' has no len()", typeName(v))
	}
	return int64(n), nil
}

// end is the first or the last item.
func end(v any, index int64, name string) (any, error) {
	if s, ok := v.(string); ok {
		if c, ok := character(s, index); ok {
			return c, nil
		}
	}
	n, at, err := items(v)
	if err != nil {
		return nil, err
	}
	if n == 0 {
		return &undefined{hint: "No " + name + " item, sequence was empty."}, nil
	}
	if index < 0 {
		return at(n - 1), nil
	}
	return at(0), nil
}
