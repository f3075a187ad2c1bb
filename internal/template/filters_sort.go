package template

import (
	"strings"
)

// attributeOf gives the getter that filters make of their attribute: a name, an index, or a path with dots.
func (r *run) attributeOf(name any) (func(any) (any, error), error) {
	switch name := name.(type) {
	case nil:
		return func(v any) (any, error) { return v, nil }, nil
	case string:
		if err := r.items(strings.Count(name, ".")); err != nil {
			return nil, err
		}
		parts := strings.Split(name, ".")
		keys := make([]any, len(parts))
		for i, part := range parts {
			keys[i] = part
			if n, ok := parseInt(part, 10); ok && part[0] != '-' {
				keys[i] = n
			}
		}
		return func(v any) (any, error) {
			for _, key := range keys {
				err := r.step(reading(v, key))
				if err != nil {
					return nil, err
				}
				if v, err = element(v, key); err != nil {
					return nil, err
				}
			}
			return v, nil
		}, nil
	}
	if n, ok := toInt(name); ok {
		return func(v any) (any, error) {
			if err := r.step(reading(v, n)); err != nil {
				return nil, err
			}
			return element(v, n)
		}, nil
	}
	return nil, failf("an attribute is given by its name or its index, not by a %s", typeName(name))
}

// keys applies an attribute to all values, and makes text lower case where case does not matter.
func (r *run) keys(values []any, attribute any, caseSensitive bool) ([]any, error) {
	get, err := r.attributeOf(attribute)
	if err != nil {
		return nil, err
	}
	all := make([]any, len(values))
	for i, v := range values {
		if v, err = get(v); err != nil {
			return nil, err
		}
		if err := r.step(reading(v)); err != nil {
			return nil, err
		}
		if s, ok := v.(string); ok && !caseSensitive {
			v = strings.ToLower(s)
		}
		all[i] = v
	}
	return all, nil
}

func filterJoin(r *run, a []any) (any, error) {
	by, err := r.str(or(a[1], ""))
	if err != nil {
		return nil, err
	}
	get, err := r.attributeOf(or(a[2], nil))
	if err != nil {
		return nil, err
	}
	var b strings.Builder
	first := true
	err = r.each(a[0], func(v any) error {
		v, err := get(v)
		if err != nil {
			return err
		}
		s, err := r.str(v)
		if err != nil {
			return err
		}
		if !first {
			b.WriteString(by)
		}
		first = false
		b.WriteString(s)
		if b.Len() > maxString {
			return r.text(b.Len())
		}
		return r.step((len(s) + len(by)) / stepBytes)
	})
	return b.String(), err
}

func reverse(r *run, a []any) (any, error) {
	if s, ok := a[0].(string); ok {
		if err := r.text(len(s)); err != nil {
			return nil, err
		}
		runes := []rune(s)
		for i, j := 0, len(runes)-1; i < j; i, j = i+1, j-1 {
			runes[i], runes[j] = runes[j], runes[i]
		}
		return string(runes), nil
	}
	items, err := r.slice(a[0])
	for i, j := 0, len(items)-1; i < j; i, j = i+1, j-1 {
		items[i], items[j] = items[j], items[i]
	}
	return &list{items: items}, err
}

func sortFilter(r *run, a []any) (any, error) {
	values, err := r.slice(a[0])
	if err != nil {
		return nil, err
	}
	by := or(a[3], nil)
	if names, ok := by.(string); ok && strings.Contains(names, ",") {
		return nil, failf("sort by several attributes is not supported; sort by the last one first")
	}
	order, err := r.keys(values, by, truth(or(a[2], false)))
	if err != nil {
		return nil, err
	}
	sorted, err := r.sort(values, order, truth(or(a[1], false)))
	return &list{items: sorted}, err
}

func dictSort(r *run, a []any) (any, error) {
	d, ok := a[0].(*dict)
	if !ok {
		return nil, failf("dictsort works on a dict, not on a %s", typeName(a[0]))
	}
	at := int64(0)
	switch or(a[2], "key") {
	case "key":
	case "value":
		at = 1
	default:
		return nil, failf(`You can only sort by either "key" or "value"`)
	}
	pairs, err := r.pairs(d)
	if err != nil {
		return nil, err
	}
	order, err := r.keys(pairs.items, at, truth(or(a[1], false)))
	if err != nil {
		return nil, err
	}
	sorted, err := r.sort(pairs.items, order, truth(or(a[3], false)))
	return &list{items: sorted}, err
}

func unique(r *run, a []any) (any, error) {
	values, err := r.slice(a[0])
	if err != nil {
		return nil, err
	}
	by, err := r.keys(values, or(a[2], nil), truth(or(a[1], false)))
	if err != nil {
		return nil, err
	}
	seen := map[any]bool{}
	l := &list{}
	for i, v := range values {
		key, err := r.hash(by[i])
		if err != nil {
			return nil, err
		}
		if !seen[key] {
			seen[key] = true
			l.items = append(l.items, v)
		}
	}
	return l, nil
}

// extreme is min and max.
func extreme(r *run, a []any, most bool) (any, error) {
	values, err := r.slice(a[0])
	if err != nil {
		return nil, err
	}
	if len(values) == 0 {
		return &undefined{hint: "No aggregated item, sequence was empty."}, nil
	}
	by, err := r.keys(values, or(a[2], nil), truth(or(a[1], false)))
	if err != nil {
		return nil, err
	}
	best := 0
	for i := range values {
		op := "<"
		if most {
			op = ">"
		}
		if i > 0 {
			better, err := r.compare(op, by[i], by[best])
			if err != nil {
				return nil, err
			}
			if better {
				best = i
			}
		}
	}
	return values[best], nil
}

func sum(r *run, a []any) (any, error) {
	get, err := r.attributeOf(or(a[1], nil))
	if err != nil {
		return nil, err
	}
	total := or(a[2], int64(0))
	if _, ok := total.(string); ok {
		return nil, failf("sum() can't sum strings; use join")
	}
	err = r.each(a[0], func(v any) error {
		v, err := get(v)
		if err != nil {
			return err
		}
		total, err = r.binary("+", total, v)
		return err
	})
	return total, err
}

func batch(r *run, a []any) (any, error) {
	size, err := argInt("batch", a[1], 0)
	if err != nil {
		return nil, err
	}
	values, err := r.slice(a[0])
	if err != nil {
		return nil, err
	}
	if size <= 0 {
		return nil, failf("batch needs a line count above 0, not %d", size)
	}
	l := &list{}
	for len(values) > 0 {
		n := min(size, len(values))
		row := append([]any{}, values[:n]...)
		if fill := or(a[2], nil); fill != nil {
			if err := r.items(size - n); err != nil {
				return nil, err
			}
			for len(row) < size {
				row = append(row, fill)
			}
		}
		l.items = append(l.items, &list{items: row})
		values = values[n:]
	}
	return l, nil
}

// divide divides a sequence into a number of lists, the longer ones first.
func divide(r *run, a []any) (any, error) {
	n, err := argInt("slice", a[1], 0)
	if err != nil {
		return nil, err
	}
	values, err := r.slice(a[0])
	if err != nil {
		return nil, err
	}
	if n <= 0 {
		return nil, failf("slice needs a number of slices above 0, not %d", n)
	}
	if err := r.items(n); err != nil {
		return nil, err
	}
	size, longer := len(values)/n, len(values)%n
	l := &list{}
	for i := range n {
		take := size
		if i < longer {
			take++
		}
		part := append([]any{}, values[:take]...)
		values = values[take:]
		if fill := or(a[2], nil); fill != nil && i >= longer {
			part = append(part, fill)
		}
		l.items = append(l.items, &list{items: part})
	}
	return l, nil
}

func flatten(r *run, v any, levels int, into *list) error {
	if _, ok := v.(string); ok {
		return failf("flatten expected a list, got str")
	}
	if err := r.deeper(); err != nil {
		return err
	}
	defer func() { r.depth-- }()
	return r.each(v, func(item any) error {
		if _, isText := item.(string); isText || levels <= 0 {
			into.items = append(into.items, item)
			return nil
		}
		if _, _, err := items(item); err != nil {
			into.items = append(into.items, item)
			return nil
		}
		return flatten(r, item, levels-1, into)
	})
}
