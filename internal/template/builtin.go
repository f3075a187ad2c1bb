package template

import (
	"math/big"
	"slices"
	"strings"
)

// callable is what a template may call.
type callable interface {
	call(r *run, args callArgs) (any, error)
}

// callArgs are the arguments of a call.
type callArgs struct {
	positional []any
	names      []string // of named
	named      []any
}

func (r *run) evalArgs(a arguments) (callArgs, error) {
	positional, err := r.evalAll(a.positional)
	if err != nil {
		return callArgs{}, err
	}
	named, err := r.evalAll(a.named)
	return callArgs{positional, a.names, named}, err
}

// missing stands for an argument that was not given.
var missing any = &struct{ name string }{"missing"}

// builtin is a filter, a test or a function.
type builtin struct {
	name     string
	params   []string
	required int
	rest     bool // takes any number of arguments after params, and all that is left over
	fn       func(r *run, a []any) (any, error)
	raw      func(r *run, of any, args callArgs) (any, error) // instead of fn: the arguments as they are
}

// defineRaw makes a builtin that looks at its arguments itself.
func defineRaw(name string, fn func(r *run, of any, args callArgs) (any, error)) *builtin {
	return &builtin{name: name, raw: fn}
}

// define makes a builtin from its parameters: "value default? base?", where a question mark is one that may be left out
// and "args*" at the end any number.
func define(name, signature string, fn func(r *run, a []any) (any, error)) *builtin {
	b := &builtin{name: name, fn: fn}
	for param := range strings.FieldsSeq(signature) {
		switch {
		case strings.HasSuffix(param, "*"):
			b.rest = true
		case strings.HasSuffix(param, "?"):
			b.params = append(b.params, strings.TrimSuffix(param, "?"))
		default:
			b.params = append(b.params, param)
			b.required++
		}
	}
	return b
}

func (b *builtin) call(r *run, args callArgs) (any, error) {
	return b.callWith(r, missing, args)
}

// callWith calls b, with first before the positional arguments if it is not missing.
func (b *builtin) callWith(r *run, first any, args callArgs) (any, error) {
	if err := r.step(1 + reading(first) + reading(args.positional...) + reading(args.named...)); err != nil {
		return nil, err
	}
	if b.raw != nil {
		return b.raw(r, first, args)
	}
	a := make([]any, 0, len(b.params)+len(args.positional)+1)
	if first != missing {
		a = append(a, first)
	}
	a = append(a, args.positional...)
	given := len(a)
	if given > len(b.params) && !b.rest {
		return nil, failf("%s() takes %d arguments at most, but %d were given", b.name, len(b.params), given)
	}
	for len(a) < len(b.params) {
		a = append(a, missing)
	}
	for i, name := range args.names {
		at := slices.Index(b.params, name)
		if at < 0 {
			return nil, failf("%s() got an unexpected keyword argument '%s'", b.name, name)
		}
		if at < given {
			return nil, failf("%s() got multiple values for argument '%s'", b.name, name)
		}
		a[at] = args.named[i]
	}
	for i := range b.required {
		if a[i] == missing {
			return nil, failf("%s() missing 1 required positional argument: '%s'", b.name, b.params[i])
		}
	}
	return b.fn(r, a)
}

// reading is the steps that it takes to look at values: a filter may read all of a text.
func reading(values ...any) int {
	n := len(values)
	for _, v := range values {
		switch v := v.(type) {
		case string:
			n += len(v) / stepBytes
		case pyBytes:
			n += len(v) / stepBytes
		case *big.Int:
			n += v.BitLen() / stepBytes
		}
	}
	return n
}

// method is a method of a value.
type method struct {
	name string
	of   any
	fn   func(r *run, args callArgs) (any, error)
}

func (m *method) call(r *run, args callArgs) (any, error) { return m.fn(r, args) }

func contains(names []string, name string) bool { return slices.Contains(names, name) }

// The helpers below take an argument as what it has to be.

// or is an argument, or v where it was not given.
func or(a, v any) any {
	if a == missing {
		return v
	}
	return a
}

func argInt(what string, a any, otherwise int) (int, error) {
	if a == missing || a == nil {
		return otherwise, nil
	}
	n, ok := toInt(a)
	i, small := n.(int64)
	if !ok {
		if u, is := a.(*undefined); is {
			return 0, errUndefined(u)
		}
		return 0, failf("%s: '%s' object cannot be interpreted as an integer", what, typeName(a))
	}
	if !small || i > 1<<40 || i < -1<<40 {
		return 0, failBound("%s: an integer as large as that", what)
	}
	const far = 1 << 30 // beyond every bound, and an int of 32 bits
	return int(max(-far, min(far, i))), nil
}

func argString(what string, a any) (string, error) {
	switch a := a.(type) {
	case string:
		return a, nil
	case *undefined:
		return "", errUndefined(a)
	}
	return "", failf("%s: expected a str, got %s", what, typeName(a))
}
