package template

// selectFilters apply other filters and tests to each item.
var selectFilters = []*builtin{
	defineRaw("map", mapFilter),
	selecting("select", true, false), selecting("reject", false, false),
	selecting("selectattr", true, true), selecting("rejectattr", false, true),
	define("default", "value default_value? boolean?", func(_ *run, a []any) (any, error) {
		_, undef := a[0].(*undefined)
		if undef || truth(or(a[2], false)) && !truth(a[0]) {
			return or(a[1], ""), nil
		}
		return a[0], nil
	}),
	define("is_defined", "value", func(_ *run, a []any) (any, error) {
		if u, ok := a[0].(*undefined); ok {
			return nil, errUndefined(u)
		}
		return a[0], nil
	}),
	define("iif", "value if_true? if_false? if_none?", iif),
	define("typeof", "value", func(_ *run, a []any) (any, error) { return typeName(a[0]), nil }),
}

// selecting keeps the items that pass a test, or those that do not. Without a test an item is its own test.
func selecting(name string, keep, byAttribute bool) *builtin {
	return define(name, "value args*", func(r *run, a []any) (any, error) {
		get, rest := func(v any) (any, error) { return v, nil }, a[1:]
		if byAttribute {
			if len(rest) == 0 {
				return nil, failf("%s: missing parameter for attribute name", name)
			}
			var err error
			if get, err = r.attributeOf(rest[0]); err != nil {
				return nil, err
			}
			rest = rest[1:]
		}
		var test *builtin
		if len(rest) > 0 {
			text, err := argString(name, rest[0])
			if err != nil {
				return nil, err
			}
			if test = r.lib.tests[text]; test == nil {
				return nil, failf("No test named '%s'.", clip(text, 40))
			}
			rest = rest[1:]
		}
		l := &list{}
		if !truth(a[0]) { // None has no items, and is looked at for none
			return l, nil
		}
		return l, r.each(a[0], func(item any) error {
			v, err := get(item)
			if err != nil {
				return err
			}
			if test != nil {
				if v, err = test.callWith(r, v, callArgs{positional: rest}); err != nil {
					return err
				}
			}
			if truth(v) == keep {
				l.items = append(l.items, item)
			}
			return nil
		})
	})
}

// mapFilter is map('filter', …) and map(attribute='name', default=…).
func mapFilter(r *run, of any, args callArgs) (any, error) {
	var apply func(any) (any, error)
	if len(args.positional) == 0 {
		var name, otherwise any = nil, missing
		for i, key := range args.names {
			switch key {
			case "attribute":
				name = args.named[i]
			case "default":
				otherwise = args.named[i]
			default:
				return nil, failf("map() got an unexpected keyword argument '%s'", key)
			}
		}
		if name == nil {
			return nil, failf("map requires a filter argument")
		}
		get, err := r.attributeOf(name)
		if err != nil {
			return nil, err
		}
		apply = func(v any) (any, error) {
			v, err := get(v)
			if _, ok := v.(*undefined); ok && otherwise != missing {
				return otherwise, err
			}
			return v, err
		}
	} else {
		name, err := argString("map", args.positional[0])
		if err != nil {
			return nil, err
		}
		filter := r.lib.filters[name]
		if filter == nil {
			return nil, failf("No filter named '%s'.", clip(name, 40))
		}
		rest := callArgs{args.positional[1:], args.names, args.named}
		apply = func(v any) (any, error) { return filter.callWith(r, v, rest) }
	}
	if err := r.deeper(); err != nil { // map('map', …)
		return nil, err
	}
	defer func() { r.depth-- }()
	l := &list{}
	if !truth(of) {
		return l, nil
	}
	return l, r.each(of, func(item any) error {
		v, err := apply(item)
		l.items = append(l.items, v)
		return err
	})
}

func iif(_ *run, a []any) (any, error) {
	if a[0] == nil && a[3] != missing {
		return a[3], nil
	}
	if truth(a[0]) {
		return or(a[1], true), nil
	}
	return or(a[2], false), nil
}
