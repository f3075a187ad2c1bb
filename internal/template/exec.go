package template

import "errors"

// stmt is a node of a template.
type stmt interface {
	exec(r *run) error
}

type (
	dataStmt   struct{ text string }
	outputStmt struct{ value expr }
	doStmt     struct{ value expr }
	jumpStmt   struct{ stop bool } // break or continue
	branch     struct {
		test expr
		body []stmt
	}
	ifStmt struct {
		branches  []branch
		otherwise []stmt
	}
	setStmt struct {
		targets   []string
		attribute string // of a namespace
		value     expr   // nil where the body is the value
		filters   expr
		body      []stmt
	}
	withStmt struct {
		names  []string
		values []expr
		body   []stmt
	}
	filterStmt struct {
		filters expr
		body    []stmt
	}
	macroStmt struct {
		name     string
		params   []string
		defaults []expr // nil where there is none
		body     []stmt
	}
	callStmt struct {
		call   *callExpr
		caller macroStmt
	}
)

var (
	errBreak    = errors.New("break")
	errContinue = errors.New("continue")
)

func (s *dataStmt) exec(r *run) error { return r.write(s.text) }

func (s *outputStmt) exec(r *run) error {
	v, err := r.eval(s.value)
	if err != nil {
		return err
	}
	text, err := r.str(v)
	if err != nil {
		return err
	}
	return r.write(text)
}

func (s *doStmt) exec(r *run) error {
	_, err := r.eval(s.value)
	return err
}

func (s *jumpStmt) exec(*run) error {
	if s.stop {
		return errBreak
	}
	return errContinue
}

func (s *ifStmt) exec(r *run) error {
	for _, b := range s.branches {
		ok, err := r.evalTrue(b.test)
		if err != nil {
			return err
		}
		if ok {
			return r.execAll(b.body)
		}
	}
	return r.execAll(s.otherwise)
}

func (s *setStmt) exec(r *run) error {
	value, err := s.evaluate(r)
	if err != nil {
		return err
	}
	if s.attribute == "" {
		return r.assign(s.targets, value)
	}
	ns, ok := r.lookup(s.targets[0]).(*namespace)
	if !ok {
		return failf("cannot assign attribute on non-namespace object")
	}
	if err := r.items(ns.attrs.length() + 1); err != nil {
		return err
	}
	return ns.attrs.put(s.attribute, value)
}

func (s *setStmt) evaluate(r *run) (any, error) {
	if s.value != nil {
		return r.eval(s.value)
	}
	text, err := r.capture(s.body)
	if err != nil {
		return nil, err
	}
	return r.filterCaptured(s.filters, text)
}

// filterCaptured evaluates filters over a text that was captured.
func (r *run) filterCaptured(filters expr, text string) (any, error) {
	r.push()
	defer r.pop()
	r.set(capturedName, text)
	return r.eval(filters)
}

// assign gives a value to a name, or the items of one to several.
func (r *run) assign(names []string, value any) error {
	if len(names) == 1 {
		r.set(names[0], value)
		return nil
	}
	if err := r.step(reading(value)); err != nil {
		return err
	}
	n, at, err := items(value)
	if err != nil {
		return failf("cannot unpack non-iterable %s object", typeName(value))
	}
	if n != len(names) {
		return failf("%d values to unpack; expected %d", n, len(names))
	}
	for i, name := range names {
		r.set(name, at(i))
	}
	return nil
}

func (s *withStmt) exec(r *run) error {
	values, err := r.evalAll(s.values) // all of them see what is outside
	if err != nil {
		return err
	}
	r.push()
	defer r.pop()
	for i, name := range s.names {
		r.set(name, values[i])
	}
	return r.execAll(s.body)
}

func (s *filterStmt) exec(r *run) error {
	text, err := r.capture(s.body)
	if err != nil {
		return err
	}
	v, err := r.filterCaptured(s.filters, text)
	if err != nil {
		return err
	}
	if text, err = r.str(v); err != nil {
		return err
	}
	return r.write(text)
}

func (s *macroStmt) exec(r *run) error {
	r.set(s.name, &macro{macroStmt: s, scope: r.scope})
	return nil
}

func (s *callStmt) exec(r *run) error {
	function, err := r.eval(s.call.function)
	if err != nil {
		return err
	}
	args, err := r.evalArgs(s.call.args)
	if err != nil {
		return err
	}
	m, ok := function.(*macro)
	if !ok {
		return failf("'%s' object is no macro that could be called with a body", typeName(function))
	}
	text, err := m.run(r, args, &macro{macroStmt: &s.caller, scope: r.scope})
	if err != nil {
		return err
	}
	return r.write(text)
}

// macro is a macro as a value. It sees the variables where it was defined.
type macro struct {
	*macroStmt
	scope *scope
}

func (m *macro) call(r *run, args callArgs) (any, error) { return m.run(r, args, nil) }

func (m *macro) run(r *run, args callArgs, caller *macro) (string, error) {
	if err := r.deeper(); err != nil {
		return "", err
	}
	defer func() { r.depth-- }()
	if len(args.positional) > len(m.params) {
		return "", failf("macro '%s' takes not more than %d argument(s)", m.name, len(m.params))
	}
	if err := r.step(len(args.names) * len(m.params) / stepBytes); err != nil { // each name is looked for
		return "", err
	}
	outer, loop := r.scope, r.loop
	r.scope, r.loop = &scope{parent: m.scope}, nil
	defer func() { r.scope, r.loop = outer, loop }()
	for i, name := range args.names {
		if !contains(m.params, name) || contains(m.params[:len(args.positional)], name) {
			return "", failf("macro '%s' takes no keyword argument '%s'", m.name, name)
		}
		r.set(name, args.named[i])
	}
	for i, name := range m.params {
		if i < len(args.positional) {
			r.set(name, args.positional[i])
		} else if contains(args.names, name) {
			continue
		} else if m.defaults[i] == nil {
			r.set(name, &undefined{hint: "parameter '" + name + "' was not provided"})
		} else {
			v, err := r.eval(m.defaults[i])
			if err != nil {
				return "", err
			}
			r.set(name, v)
		}
	}
	if caller != nil {
		r.set("caller", caller)
	}
	return r.capture(m.body)
}
