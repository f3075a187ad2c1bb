package template

// functions are the functions that are no filters.
var functions = []*builtin{
	now("now", false), now("utcnow", true),
	define("strptime", "string fmt default?", func(r *run, a []any) (any, error) {
		s, isText := a[0].(string)
		layout, hasLayout := a[1].(string)
		if isText && hasLayout {
			if err := r.step(len(layout)); err != nil {
				return nil, err
			}
			if d, ok := strptime(s, layout); ok {
				return d, nil
			}
		}
		return fallback(r, "strptime", a[0], a[2])
	}),
	define("timedelta", "days? seconds? microseconds? milliseconds? minutes? hours? weeks?", makeTimedelta),
	define("range", "start stop? step?", makeRange),
	defineRaw("dict", func(r *run, _ any, args callArgs) (any, error) {
		d := &dict{}
		err := r.fill(d, args)
		return d, err
	}),
	defineRaw("namespace", func(r *run, _ any, args callArgs) (any, error) {
		n := &namespace{}
		err := r.fill(&n.attrs, args)
		return n, err
	}),
	define("min", "args*", func(r *run, a []any) (any, error) { return ofSeveral(r, "min", a, false) }),
	define("max", "args*", func(r *run, a []any) (any, error) { return ofSeveral(r, "max", a, true) }),
	define("zip", "args*", zip),
	define("tuple", "value?", func(r *run, a []any) (any, error) {
		items, err := r.slice(or(a[0], &list{}))
		return &list{items: items, tuple: true}, err
	}),
}

func makeRange(_ *run, a []any) (any, error) {
	bounds := [3]int{0, 0, 1}
	for i, v := range a {
		var err error
		if bounds[i], err = argInt("range()", v, bounds[i]); err != nil {
			return nil, err
		}
	}
	start, stop, step := int64(bounds[0]), int64(bounds[1]), int64(bounds[2])
	if a[1] == missing {
		start, stop = 0, start
	}
	if step == 0 {
		return nil, failf("range() arg 3 must not be zero")
	}
	s := &rangeSeq{start: start, stop: stop, step: step}
	if step > 0 && stop > start {
		s.n = (stop-start-1)/step + 1
	} else if step < 0 && stop < start {
		s.n = (start-stop-1)/-step + 1
	}
	if s.n > maxItems {
		return nil, failBound("a range of %d items; at most %d are allowed", s.n, maxItems)
	}
	return s, nil
}

// fill puts the arguments of dict() and namespace() into a dict.
func (r *run) fill(d *dict, args callArgs) error {
	for _, v := range args.positional {
		if from, ok := v.(*dict); ok {
			if err := r.items(from.length()); err != nil {
				return err
			}
			for i := range from.length() {
				key, value := from.at(i)
				if err := r.put(d, key, value); err != nil {
					return err
				}
			}
			continue
		}
		if err := r.each(v, func(item any) error {
			if err := r.step(reading(item)); err != nil {
				return err
			}
			n, at, err := items(item)
			if err != nil || n != 2 {
				return failf("a dict is made of a dict, of pairs or of named arguments")
			}
			return r.put(d, at(0), at(1))
		}); err != nil {
			return err
		}
	}
	for i, name := range args.names {
		if err := r.put(d, name, args.named[i]); err != nil {
			return err
		}
	}
	return nil
}

// ofSeveral is min(a, b, …) and min(list).
func ofSeveral(r *run, name string, a []any, most bool) (any, error) {
	switch len(a) {
	case 0:
		return nil, failf("%s expected at least 1 argument, got 0", name)
	case 1:
		if _, _, err := items(a[0]); err != nil {
			return nil, err
		}
	default:
		a = []any{&list{items: a}}
	}
	return extreme(r, []any{a[0], missing, missing}, most)
}

func zip(r *run, a []any) (any, error) {
	l := &list{}
	for i, v := range a {
		column, err := r.slice(v)
		if err != nil {
			return nil, err
		}
		if i == 0 {
			if err := r.items(product(len(column), len(a))); err != nil {
				return nil, err
			}
			for range column {
				l.items = append(l.items, &list{tuple: true})
			}
		}
		l.items = l.items[:min(len(l.items), len(column))]
		for j := range l.items {
			row := l.items[j].(*list)
			row.items = append(row.items, column[j])
		}
	}
	return l, nil
}
