package template

import (
	"slices"
)

// postfix reads attributes, elements and calls.
func (p *parser) postfix(e expr) (expr, error) {
	for {
		t := p.current()
		if !t.is(".") && !t.is("[") && !t.is("(") {
			return e, nil
		}
		if err := p.link(); err != nil {
			return nil, err
		}
		p.next()
		var err error
		switch t.text {
		case ".":
			e, err = p.attribute(e)
		case "[":
			e, err = p.element(e)
		case "(":
			call := &callExpr{function: e}
			call.args, err = p.arguments()
			e = call
		}
		if err != nil {
			return nil, err
		}
	}
}

func (p *parser) attribute(of expr) (expr, error) {
	switch t := p.current(); t.kind {
	case tokenName:
		p.next()
		return &attrExpr{of, t.text}, nil
	case tokenInteger:
		index, err := p.primary()
		return &itemExpr{of, index}, err
	}
	return nil, p.unexpected("the name of an attribute")
}

// element reads [a] or [a:b:c].
func (p *parser) element(of expr) (expr, error) {
	var parts [3]expr
	n := 0
	for ; ; n++ {
		if !p.current().is(":") && !p.current().is("]") {
			var err error
			if parts[n], err = p.expression(); err != nil {
				return nil, err
			}
		}
		if n == 2 || !p.skip(":") {
			break
		}
	}
	if err := p.expect("]"); err != nil {
		return nil, err
	}
	if n > 0 {
		return &sliceExpr{of, parts}, nil
	}
	if parts[0] == nil {
		return nil, p.unexpected("an element before ']'")
	}
	return &itemExpr{of, parts[0]}, nil
}

// arguments reads the arguments of a call, after its parenthesis.
func (p *parser) arguments() (arguments, error) {
	var a arguments
	for first := true; !p.skip(")"); first = false {
		if !first {
			if err := p.expect(","); err != nil {
				return a, err
			}
			if p.skip(")") {
				break
			}
		}
		if p.current().is("*") || p.current().is("**") {
			return a, syntaxf(p.current().line, "'%s' in a call is not supported; write the arguments out", p.current().text)
		}
		if p.current().kind == tokenName && p.tokens[p.pos+1].is("=") {
			name := p.next().text
			p.next()
			value, err := p.expression()
			if err != nil {
				return a, err
			}
			a.names, a.named = append(a.names, name), append(a.named, value)
			continue
		}
		if len(a.named) > 0 {
			return a, p.unexpected("a named argument, since one came before")
		}
		value, err := p.expression()
		if err != nil {
			return a, err
		}
		a.positional = append(a.positional, value)
	}
	return a, nil
}

// filters reads filters and tests, and calls of their results.
func (p *parser) filters(e expr) (expr, error) {
	for {
		t := p.current()
		var err error
		switch {
		case t.is("|"):
			p.next()
			e, err = p.filter(e)
		case t.is("is"):
			p.next()
			e, err = p.test(e)
		case t.is("("):
			e, err = p.postfix(e)
		default:
			return e, nil
		}
		if err != nil {
			return nil, err
		}
	}
}

// dotted reads the name of a filter or a test.
func (p *parser) dotted() (token, error) {
	t, err := p.expectKind(tokenName, "a name")
	for err == nil && p.skip(".") {
		var part token
		part, err = p.expectKind(tokenName, "a name")
		t.text += "." + part.text
	}
	return t, err
}

func (p *parser) filter(of expr) (expr, error) {
	if err := p.link(); err != nil {
		return nil, err
	}
	name, err := p.dotted()
	if err != nil {
		return nil, err
	}
	f := &filterExpr{of: of, name: name.text}
	if f.builtin = p.lib.filters[name.text]; f.builtin == nil {
		return nil, syntaxf(name.line, "no filter named '%s'", name.text)
	}
	if p.skip("(") {
		f.args, err = p.arguments()
	}
	return f, err
}

func (p *parser) test(of expr) (expr, error) {
	if err := p.link(); err != nil {
		return nil, err
	}
	negated := p.skip("not")
	name, err := p.dotted()
	if err != nil {
		return nil, err
	}
	t := &testExpr{of: of, name: name.text}
	if t.builtin = p.lib.tests[name.text]; t.builtin == nil {
		return nil, syntaxf(name.line, "no test named '%s'", name.text)
	}
	next := p.current()
	switch {
	case p.skip("("):
		if t.args, err = p.arguments(); err != nil {
			return nil, err
		}
	case next.is("is"):
		return nil, p.unexpected("no other test: they cannot be chained with 'is'")
	case next.kind == tokenName && !slices.Contains([]string{"else", "or", "and", "if", "in", "not", "recursive"}, next.text),
		next.kind == tokenString, next.kind == tokenInteger, next.kind == tokenFloat, next.is("["), next.is("{"):
		arg, err := p.primary()
		if err == nil {
			arg, err = p.postfix(arg)
		}
		if err != nil {
			return nil, err
		}
		t.args.positional = []expr{arg}
	}
	if negated {
		return &notExpr{t}, nil
	}
	return t, nil
}
