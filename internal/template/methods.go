package template

// methodOf is a method of a value, or nil.
func methodOf(v any, name string) *method {
	var table map[string]*builtin
	switch v.(type) {
	case string:
		table = strMethods
	case *dict:
		table = dictMethods
	case *list:
		table = listMethods
	case pyBytes:
		table = bytesMethods
	case int64, bool:
		table = intMethods
	case float64:
		table = floatMethods
	case *datetime:
		table = datetimeMethods
	case timedelta:
		table = timedeltaMethods
	}
	b := table[name]
	if b == nil {
		return nil
	}
	return &method{name: name, of: v, fn: func(r *run, args callArgs) (any, error) { return b.callWith(r, v, args) }}
}

// isDictMethod says whether a name is a method of Python's dict. For Jinja d.name is the method then, even where d has such
// an item; the sandbox does not give out those that change the dict.
func isDictMethod(name string) bool {
	switch name {
	case "get", "keys", "values", "items", "copy", "update", "pop", "popitem", "clear", "setdefault", "fromkeys":
		return true
	}
	return false
}

var dictMethods = methodTable(
	define("get", "self key default?", func(r *run, a []any) (any, error) {
		v, ok, err := r.get(a[0].(*dict), a[1])
		if err != nil || ok {
			return v, err
		}
		return or(a[2], nil), nil
	}),
	define("keys", "self", func(r *run, a []any) (any, error) {
		items, err := r.slice(a[0])
		return &list{items: items}, err
	}),
	define("values", "self", func(r *run, a []any) (any, error) {
		l := &list{}
		return l, r.eachPair(a[0].(*dict), func(_, value any) { l.items = append(l.items, value) })
	}),
	define("items", "self", func(r *run, a []any) (any, error) { return r.pairs(a[0].(*dict)) }),
	define("copy", "self", func(_ *run, a []any) (any, error) { return a[0], nil }),
)

var listMethods = methodTable(
	define("index", "self value", func(r *run, a []any) (any, error) {
		l := a[0].(*list)
		for i := range l.length() {
			if same, err := r.equal(l.at(i), a[1]); err != nil || same {
				return int64(i), err
			}
		}
		return nil, failf("the value is not in the list")
	}),
	define("count", "self value", func(r *run, a []any) (any, error) {
		l, n := a[0].(*list), int64(0)
		for i := range l.length() {
			same, err := r.equal(l.at(i), a[1])
			if err != nil {
				return nil, err
			}
			if same {
				n++
			}
		}
		return n, nil
	}),
	define("copy", "self", func(_ *run, a []any) (any, error) { return a[0], nil }),
)

var bytesMethods = methodTable(
	define("decode", "self encoding? errors?", func(r *run, a []any) (any, error) {
		return decodeText(r, string(a[0].(pyBytes)), or(a[1], "utf-8"))
	}),
	define("hex", "self", func(r *run, a []any) (any, error) {
		s := a[0].(pyBytes)
		b := make([]byte, 0, 2*len(s))
		for i := range len(s) {
			b = appendHex(b, uint32(s[i]), 2)
		}
		return string(b), r.text(len(b))
	}),
)

var intMethods = methodTable(
	define("bit_length", "self", func(_ *run, a []any) (any, error) {
		n, _ := toInt(a[0])
		return int64(toBig(n).BitLen()), nil
	}),
)

var floatMethods = methodTable(
	define("is_integer", "self", func(_ *run, a []any) (any, error) {
		_, ok := floatToInt(a[0].(float64))
		return ok, nil
	}),
)

func methodTable(methods ...*builtin) map[string]*builtin {
	m := map[string]*builtin{}
	for _, b := range methods {
		m[b.name] = b
	}
	return m
}

// eachPair visits the items of a dict, and pays for them.
func (r *run) eachPair(d *dict, visit func(key, value any)) error {
	if err := r.items(d.length()); err != nil {
		return err
	}
	for i := range d.length() {
		visit(d.at(i))
	}
	return nil
}

// pairs is a dict's items as tuples.
func (r *run) pairs(d *dict) (*list, error) {
	l := &list{}
	return l, r.eachPair(d, func(key, value any) {
		l.items = append(l.items, &list{items: []any{key, value}, tuple: true})
	})
}
