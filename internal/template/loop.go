package template

import "errors"

// forStmt is {% for %}.
type forStmt struct {
	targets   []string
	over      expr
	filter    expr // may be nil
	recursive bool
	body      []stmt
	otherwise []stmt
}

// loopState is what a loop's body sees as loop.
type loopState struct {
	stmt    *forStmt
	items   []any
	index   int // from 0
	depth   int // from 0
	changed any
	scope   *scope // around the loop, for a recursive one
}

func (s *forStmt) exec(r *run) error {
	over, err := r.eval(s.over)
	if err != nil {
		return err
	}
	return s.iterate(r, over, 0)
}

func (s *forStmt) iterate(r *run, over any, depth int) error {
	items, err := s.chosen(r, over)
	if err != nil {
		return err
	}
	if len(items) == 0 {
		r.push()
		defer r.pop()
		return r.execAll(s.otherwise)
	}
	outer := r.loop
	state := &loopState{stmt: s, items: items, depth: depth, changed: missing, scope: r.scope}
	r.loop = state
	defer func() { r.loop = outer }()
	for i, item := range items {
		state.index = i
		if err := s.once(r, state, item); err != nil {
			if errors.Is(err, errBreak) {
				return nil
			}
			if !errors.Is(err, errContinue) {
				return err
			}
		}
	}
	return nil
}

// chosen is what the loop goes over: all items, or those that pass its condition.
func (s *forStmt) chosen(r *run, over any) ([]any, error) {
	all, err := r.slice(over)
	if err != nil || s.filter == nil {
		return all, err
	}
	var selected []any
	for _, item := range all {
		r.push()
		err := r.assign(s.targets, item)
		ok := false
		if err == nil {
			ok, err = r.evalTrue(s.filter)
		}
		r.pop()
		if err != nil {
			return nil, err
		}
		if ok {
			selected = append(selected, item)
		}
	}
	return selected, nil
}

// once runs the body for one item, in a scope of its own.
func (s *forStmt) once(r *run, state *loopState, item any) error {
	r.push()
	defer r.pop()
	if err := r.step(1); err != nil {
		return err
	}
	r.set("loop", state)
	if err := r.assign(s.targets, item); err != nil {
		return err
	}
	return r.execAll(s.body)
}

// attribute is loop.name.
func (l *loopState) attribute(name string) (any, bool) {
	n := len(l.items)
	switch name {
	case "index":
		return int64(l.index + 1), true
	case "index0":
		return int64(l.index), true
	case "revindex":
		return int64(n - l.index), true
	case "revindex0":
		return int64(n - l.index - 1), true
	case "first":
		return l.index == 0, true
	case "last":
		return l.index == n-1, true
	case "length":
		return int64(n), true
	case "depth":
		return int64(l.depth + 1), true
	case "depth0":
		return int64(l.depth), true
	case "previtem":
		if l.index > 0 {
			return l.items[l.index-1], true
		}
		return &undefined{hint: "there is no previous item"}, true
	case "nextitem":
		if l.index < n-1 {
			return l.items[l.index+1], true
		}
		return &undefined{hint: "there is no next item"}, true
	case "cycle":
		return &method{name: name, of: l, fn: l.cycle}, true
	case "changed":
		return &method{name: name, of: l, fn: l.hasChanged}, true
	}
	return nil, false
}

func (l *loopState) cycle(_ *run, args callArgs) (any, error) {
	if len(args.positional) == 0 {
		return nil, failf("no items for cycling given")
	}
	return args.positional[l.index%len(args.positional)], nil
}

func (l *loopState) hasChanged(r *run, args callArgs) (any, error) {
	now := &list{items: args.positional, tuple: true}
	if l.changed != missing {
		same, err := r.equal(l.changed, now)
		if err != nil || same {
			return false, err
		}
	}
	l.changed = now
	return true, nil
}

// call is loop(items), of a recursive loop: the same loop over other items, as text.
func (l *loopState) call(r *run, args callArgs) (any, error) {
	if !l.stmt.recursive {
		return nil, failf("the loop must have the 'recursive' marker to be called recursively")
	}
	if len(args.positional) != 1 {
		return nil, failf("loop() takes 1 argument, not %d", len(args.positional))
	}
	if err := r.deeper(); err != nil {
		return nil, err
	}
	defer func() { r.depth-- }()
	outer := r.scope
	r.scope = l.scope
	defer func() { r.scope = outer }()
	return r.capture([]stmt{&again{l.stmt, args.positional[0], l.depth + 1}})
}

// again is a recursive loop that was called.
type again struct {
	*forStmt
	items any
	depth int
}

func (a *again) exec(r *run) error { return a.iterate(r, a.items, a.depth) }
