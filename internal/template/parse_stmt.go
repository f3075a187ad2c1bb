package template

import (
	"slices"
)

func (p *parser) ifStmt() (stmt, error) {
	s := &ifStmt{}
	for {
		test, err := p.tuple(false)
		if err != nil {
			return nil, err
		}
		if err := p.tagEnd(); err != nil {
			return nil, err
		}
		body, err := p.body("elif", "else", "endif")
		if err != nil {
			return nil, err
		}
		s.branches = append(s.branches, branch{test, body})
		p.next()
		switch p.next().text {
		case "elif":
			continue
		case "else":
			s.otherwise, err = p.block("endif")
			return s, err
		}
		return s, p.tagEnd()
	}
}

func (p *parser) forStmt() (stmt, error) {
	s := &forStmt{}
	var err error
	if s.targets, err = p.targets("in"); err != nil {
		return nil, err
	}
	if err := p.expect("in"); err != nil {
		return nil, err
	}
	if s.over, err = p.tuple(false); err != nil {
		return nil, err
	}
	if p.skip("if") {
		if s.filter, err = p.expression(); err != nil {
			return nil, err
		}
	}
	s.recursive = p.skip("recursive")
	if err := p.tagEnd(); err != nil {
		return nil, err
	}
	p.loops++
	s.body, err = p.body("else", "endfor")
	p.loops--
	if err != nil {
		return nil, err
	}
	if p.tokens[p.pos+1].text == "else" {
		p.next()
		p.next()
		s.otherwise, err = p.block("endfor")
		return s, err
	}
	return s, p.end()
}

// targets reads the names that something is assigned to, up to a word.
func (p *parser) targets(end string) ([]string, error) {
	var names []string
	parens := p.skip("(")
	for {
		name, err := p.name()
		if err != nil {
			return nil, err
		}
		names = append(names, name)
		if !p.skip(",") || p.current().is(end) {
			break
		}
	}
	if parens {
		return names, p.expect(")")
	}
	return names, nil
}

// name reads a name that may be assigned to.
func (p *parser) name() (string, error) {
	t, err := p.expectKind(tokenName, "a name")
	if err == nil && slices.Contains([]string{"true", "false", "none", "True", "False", "None", "not", "and", "or", "in", "is", "if", "else"}, t.text) {
		err = syntaxf(t.line, "'%s' cannot be assigned to", t.text)
	}
	return t.text, err
}

func (p *parser) setStmt() (stmt, error) {
	s := &setStmt{}
	var err error
	if s.targets, err = p.targets("="); err != nil {
		return nil, err
	}
	if len(s.targets) == 1 && p.skip(".") {
		attribute, err := p.expectKind(tokenName, "the name of an attribute")
		if err != nil {
			return nil, err
		}
		s.attribute = attribute.text
	}
	if p.skip("=") {
		if s.value, err = p.tuple(true); err != nil {
			return nil, err
		}
		return s, p.tagEnd()
	}
	if len(s.targets) > 1 || s.attribute != "" {
		return nil, p.unexpected("'='")
	}
	if s.filters, err = p.filters(&capturedExpr{}); err != nil {
		return nil, err
	}
	s.body, err = p.block("endset")
	return s, err
}

func (p *parser) withStmt() (stmt, error) {
	s := &withStmt{}
	for p.current().kind != tokenBlockEnd {
		if len(s.names) > 0 {
			if err := p.expect(","); err != nil {
				return nil, err
			}
		}
		name, err := p.name()
		if err != nil {
			return nil, err
		}
		if err := p.expect("="); err != nil {
			return nil, err
		}
		value, err := p.expression()
		if err != nil {
			return nil, err
		}
		s.names, s.values = append(s.names, name), append(s.values, value)
	}
	var err error
	s.body, err = p.block("endwith")
	return s, err
}

// signature reads the parameters of a macro or of a call block.
func (p *parser) signature() (names []string, defaults []expr, err error) {
	if err := p.expect("("); err != nil {
		return nil, nil, err
	}
	for !p.skip(")") {
		if len(names) > 0 {
			if err := p.expect(","); err != nil {
				return nil, nil, err
			}
		}
		name, err := p.name()
		if err != nil {
			return nil, nil, err
		}
		var value expr
		if p.skip("=") {
			if value, err = p.expression(); err != nil {
				return nil, nil, err
			}
		} else if len(defaults) > 0 && defaults[len(defaults)-1] != nil {
			return nil, nil, syntaxf(p.current().line, "parameter '%s' without a default after one with", name)
		}
		names, defaults = append(names, name), append(defaults, value)
	}
	return names, defaults, nil
}

func (p *parser) macroStmt() (stmt, error) {
	name, err := p.name()
	if err != nil {
		return nil, err
	}
	s := &macroStmt{name: name}
	if s.params, s.defaults, err = p.signature(); err != nil {
		return nil, err
	}
	loops := p.loops
	p.loops = 0
	s.body, err = p.block("endmacro")
	p.loops = loops
	return s, err
}

func (p *parser) callStmt() (stmt, error) {
	s := &callStmt{caller: macroStmt{name: "caller"}}
	var err error
	if p.current().is("(") {
		if s.caller.params, s.caller.defaults, err = p.signature(); err != nil {
			return nil, err
		}
	}
	line := p.current().line
	e, err := p.expression()
	if err != nil {
		return nil, err
	}
	call, ok := e.(*callExpr)
	if !ok {
		return nil, syntaxf(line, "'call' without a call; want {%% call name(…) %%}")
	}
	s.call = call
	loops := p.loops
	p.loops = 0
	s.caller.body, err = p.block("endcall")
	p.loops = loops
	return s, err
}

func (p *parser) filterStmt() (stmt, error) {
	first, err := p.filter(&capturedExpr{})
	if err != nil {
		return nil, err
	}
	all, err := p.filters(first)
	if err != nil {
		return nil, err
	}
	body, err := p.block("endfilter")
	return &filterStmt{all, body}, err
}
