package template

// expr is a node of an expression. Its eval is called through run.eval, which pays for it.
type expr interface {
	eval(r *run) (any, error)
}

type (
	constExpr  struct{ value any }
	nameExpr   struct{ name string }
	concatExpr struct{ left, right expr } // ~
	logicExpr  struct {
		left, right expr
		and         bool
	}
	notExpr    struct{ of expr }
	binaryExpr struct {
		op          string
		left, right expr
	}
	signExpr struct {
		of    expr
		minus bool
	}
	comparison struct {
		op    string
		right expr
	}
	compareExpr struct { // a < b < c
		first expr
		rest  []comparison
	}
	condExpr struct { // then if test else otherwise, which may be nil
		test, then, otherwise expr
	}
	listExpr struct {
		items []expr
		tuple bool
	}
	dictExpr struct{ keys, values []expr }
	attrExpr struct {
		of   expr
		name string
	}
	itemExpr  struct{ of, key expr }
	sliceExpr struct {
		of    expr
		parts [3]expr // each may be nil
	}
	arguments struct {
		positional []expr
		names      []string // of named
		named      []expr
	}
	callExpr struct {
		function expr
		args     arguments
	}
	filterExpr struct {
		of      expr
		name    string
		builtin *builtin
		args    arguments
	}
	testExpr filterExpr
	// capturedExpr is the text of the block that a filter or a set works on. It is the innermost value of such an
	// expression, which is evaluated only where the text is at hand.
	capturedExpr struct{}
)

func (e *constExpr) eval(*run) (any, error)      { return e.value, nil }
func (e *capturedExpr) eval(r *run) (any, error) { return r.lookup(capturedName), nil }

func (e *nameExpr) eval(r *run) (any, error) {
	return r.lookup(e.name), r.step(len(e.name) / stepBytes) // a name may be as long as a template
}

// capturedName is no name that a template could write.
const capturedName = "(captured)"

func (e *concatExpr) eval(r *run) (any, error) {
	var parts [2]string
	for i, side := range []expr{e.left, e.right} {
		v, err := r.eval(side)
		if err != nil {
			return nil, err
		}
		if parts[i], err = r.str(v); err != nil {
			return nil, err
		}
	}
	return parts[0] + parts[1], r.text(len(parts[0]) + len(parts[1]))
}

func (e *logicExpr) eval(r *run) (any, error) {
	left, err := r.eval(e.left)
	if err != nil || truth(left) != e.and {
		return left, err
	}
	return r.eval(e.right)
}

func (e *notExpr) eval(r *run) (any, error) {
	ok, err := r.evalTrue(e.of)
	return !ok, err
}

func (e *binaryExpr) eval(r *run) (any, error) {
	left, err := r.eval(e.left)
	if err != nil {
		return nil, err
	}
	right, err := r.eval(e.right)
	if err != nil {
		return nil, err
	}
	return r.binary(e.op, left, right)
}

func (e *signExpr) eval(r *run) (any, error) {
	v, err := r.eval(e.of)
	if err != nil {
		return nil, err
	}
	switch v := v.(type) {
	case float64:
		if e.minus {
			return -v, nil
		}
		return v, nil
	case timedelta:
		if e.minus {
			return -v, nil
		}
		return v, nil
	case *undefined:
		return nil, errUndefined(v)
	}
	n, ok := toInt(v)
	if !ok {
		return nil, failf("bad operand type for unary %s: '%s'", map[bool]string{true: "-", false: "+"}[e.minus], typeName(v))
	}
	if e.minus {
		return arithmetic("-", int64(0), n)
	}
	return n, nil
}

func (e *compareExpr) eval(r *run) (any, error) {
	left, err := r.eval(e.first)
	if err != nil {
		return nil, err
	}
	for _, c := range e.rest {
		right, err := r.eval(c.right)
		if err != nil {
			return nil, err
		}
		if ok, err := r.compare(c.op, left, right); err != nil || !ok {
			return false, err
		}
		left = right
	}
	return true, nil
}

func (e *condExpr) eval(r *run) (any, error) {
	ok, err := r.evalTrue(e.test)
	if err != nil {
		return nil, err
	}
	if ok {
		return r.eval(e.then)
	}
	if e.otherwise == nil {
		return &undefined{hint: "the inline if-expression evaluated to false and has no else"}, nil
	}
	return r.eval(e.otherwise)
}

func (e *listExpr) eval(r *run) (any, error) {
	items, err := r.evalAll(e.items)
	return &list{items: items, tuple: e.tuple}, err
}

func (r *run) evalAll(es []expr) ([]any, error) {
	values := make([]any, len(es))
	for i, e := range es {
		var err error
		if values[i], err = r.eval(e); err != nil {
			return nil, err
		}
	}
	return values, nil
}

func (e *dictExpr) eval(r *run) (any, error) {
	d := &dict{}
	for i := range e.keys {
		key, err := r.eval(e.keys[i])
		if err != nil {
			return nil, err
		}
		value, err := r.eval(e.values[i])
		if err != nil {
			return nil, err
		}
		if err := r.put(d, key, value); err != nil {
			return nil, err
		}
	}
	return d, nil
}

func (e *attrExpr) eval(r *run) (any, error) {
	of, err := r.eval(e.of)
	if err == nil {
		err = r.step(len(e.name) / stepBytes)
	}
	if err != nil {
		return nil, err
	}
	return attribute(of, e.name)
}

func (e *itemExpr) eval(r *run) (any, error) {
	of, err := r.eval(e.of)
	if err != nil {
		return nil, err
	}
	key, err := r.eval(e.key)
	if err != nil {
		return nil, err
	}
	if err := r.step(reading(of, key)); err != nil {
		return nil, err
	}
	if d, ok := of.(*dict); ok {
		if value, ok, err := r.get(d, key); err == nil && ok || beyond(err) {
			return value, err
		}
	}
	return element(of, key)
}

func (e *callExpr) eval(r *run) (any, error) {
	function, err := r.eval(e.function)
	if err != nil {
		return nil, err
	}
	args, err := r.evalArgs(e.args)
	if err != nil {
		return nil, err
	}
	return r.call(function, args)
}

// call calls what a template may call.
func (r *run) call(function any, args callArgs) (any, error) {
	switch f := function.(type) {
	case callable:
		return f.call(r, args)
	case *undefined:
		return nil, errUndefined(f)
	case *unavailable:
		return nil, f.err()
	}
	return nil, failf("'%s' object is not callable", typeName(function))
}

func (e *filterExpr) eval(r *run) (any, error) {
	of, err := r.eval(e.of)
	if err != nil {
		return nil, err
	}
	args, err := r.evalArgs(e.args)
	if err != nil {
		return nil, err
	}
	return e.builtin.callWith(r, of, args)
}

func (e *testExpr) eval(r *run) (any, error) {
	v, err := (*filterExpr)(e).eval(r)
	return truth(v), err
}
