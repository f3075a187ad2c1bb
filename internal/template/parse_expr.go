package template

import (
	"math/big"
	"slices"
	"strings"
)

// tuple reads an expression, or several with commas between, which make a tuple. Conditional is false where an "if" that
// follows belongs to the statement.
func (p *parser) tuple(conditional bool) (expr, error) {
	p.chain = 0
	read := p.or
	if conditional {
		read = p.expression
	}
	first, err := read()
	if err != nil || !p.current().is(",") {
		return first, err
	}
	items := []expr{first}
	for p.skip(",") {
		if p.tupleEnds() {
			break
		}
		item, err := read()
		if err != nil {
			return nil, err
		}
		items = append(items, item)
	}
	return &listExpr{items, true}, nil
}

func (p *parser) tupleEnds() bool {
	t := p.current()
	return t.kind == tokenOutputEnd || t.kind == tokenBlockEnd || t.is(")") || t.is("]")
}

// expression reads a whole expression: a if b else c.
func (p *parser) expression() (expr, error) {
	if err := p.deeper(); err != nil {
		return nil, err
	}
	defer func() { p.nesting-- }()
	e, err := p.or()
	for err == nil && p.skip("if") {
		if err := p.link(); err != nil {
			return nil, err
		}
		choice := &condExpr{then: e}
		if choice.test, err = p.or(); err != nil {
			return nil, err
		}
		if p.skip("else") {
			if choice.otherwise, err = p.expression(); err != nil {
				return nil, err
			}
		}
		e = choice
	}
	return e, err
}

// binary reads operands with these operators between, from the left.
func (p *parser) binary(operand func() (expr, error), operators ...string) (expr, error) {
	left, err := operand()
	if err != nil {
		return nil, err
	}
	for {
		t := p.current()
		if t.kind != tokenOperator && t.kind != tokenName || !slices.Contains(operators, t.text) {
			return left, nil
		}
		p.next()
		if err := p.link(); err != nil {
			return nil, err
		}
		right, err := operand()
		if err != nil {
			return nil, err
		}
		switch t.text {
		case "and", "or":
			left = &logicExpr{left, right, t.text == "and"}
		case "~":
			left = &concatExpr{left, right}
		default:
			left = &binaryExpr{t.text, left, right}
		}
	}
}

func (p *parser) or() (expr, error)  { return p.binary(p.and, "or") }
func (p *parser) and() (expr, error) { return p.binary(p.not, "and") }

func (p *parser) not() (expr, error) {
	if !p.skip("not") {
		return p.compare()
	}
	if err := p.deeper(); err != nil {
		return nil, err
	}
	defer func() { p.nesting-- }()
	e, err := p.not()
	return &notExpr{e}, err
}

func (p *parser) compare() (expr, error) {
	first, err := p.sum()
	if err != nil {
		return nil, err
	}
	c := &compareExpr{first: first}
	for {
		t := p.current()
		op := t.text
		switch {
		case t.kind == tokenOperator && slices.Contains([]string{"==", "!=", "<", "<=", ">", ">="}, op), t.is("in"):
			p.next()
		case t.is("not") && p.tokens[p.pos+1].is("in"):
			p.next()
			p.next()
			op = "not in"
		default:
			if len(c.rest) == 0 {
				return first, nil
			}
			return c, nil
		}
		if err := p.link(); err != nil {
			return nil, err
		}
		right, err := p.sum()
		if err != nil {
			return nil, err
		}
		c.rest = append(c.rest, comparison{op, right})
	}
}

func (p *parser) sum() (expr, error)     { return p.binary(p.concat, "+", "-") }
func (p *parser) concat() (expr, error)  { return p.binary(p.product, "~") }
func (p *parser) product() (expr, error) { return p.binary(p.power, "*", "/", "//", "%") }
func (p *parser) power() (expr, error) {
	return p.binary(func() (expr, error) { return p.unary(true) }, "**")
}

func (p *parser) unary(filtered bool) (expr, error) {
	if t := p.current(); t.is("-") || t.is("+") {
		p.next()
		if err := p.deeper(); err != nil {
			return nil, err
		}
		defer func() { p.nesting-- }()
		e, err := p.unary(false)
		if err != nil {
			return nil, err
		}
		return p.suffixes(&signExpr{e, t.text == "-"}, filtered)
	}
	e, err := p.primary()
	if err != nil {
		return nil, err
	}
	return p.suffixes(e, filtered)
}

func (p *parser) suffixes(e expr, filtered bool) (expr, error) {
	e, err := p.postfix(e)
	if err != nil || !filtered {
		return e, err
	}
	return p.filters(e)
}

func (p *parser) primary() (expr, error) {
	t := p.next()
	switch t.kind {
	case tokenName:
		switch t.text {
		case "true", "True":
			return &constExpr{true}, nil
		case "false", "False":
			return &constExpr{false}, nil
		case "none", "None":
			return &constExpr{nil}, nil
		case "and", "or", "in", "is", "if", "else":
			p.pos--
			return nil, p.unexpected("an expression")
		}
		return &nameExpr{t.text}, nil
	case tokenString:
		text := t.text
		for p.current().kind == tokenString {
			text += p.next().text
		}
		return &constExpr{text}, nil
	case tokenInteger:
		n, ok := new(big.Int).SetString(strings.ReplaceAll(t.text, "_", ""), 0)
		if strings.Trim(t.text, "0_") == "" {
			n, ok = new(big.Int), true
		}
		if !ok || len(t.text) > maxDigits || len(t.text) > 1 && t.text[0] == '0' && isDigit(t.text[1]) && n.Sign() != 0 {
			return nil, syntaxf(t.line, "'%s' is no integer", clip(t.text, 40))
		}
		return &constExpr{normal(n)}, nil
	case tokenFloat:
		f, ok := parseFloat(t.text)
		if !ok {
			return nil, syntaxf(t.line, "'%s' is no number", clip(t.text, 40))
		}
		return &constExpr{f}, nil
	case tokenOperator:
		switch t.text {
		case "(":
			return p.parens()
		case "[":
			items, err := p.sequence("]")
			return &listExpr{items, false}, err
		case "{":
			return p.dict()
		}
	}
	if t.kind != tokenEnd {
		p.pos--
	}
	return nil, p.unexpected("an expression")
}

// parens reads what is in parentheses: an expression or a tuple.
func (p *parser) parens() (expr, error) {
	if p.skip(")") {
		return &listExpr{nil, true}, nil
	}
	chain := p.chain
	e, err := p.tuple(true)
	if err != nil {
		return nil, err
	}
	p.chain += chain
	return e, p.expect(")")
}

// sequence reads expressions with commas between, up to a bracket.
func (p *parser) sequence(end string) ([]expr, error) {
	var items []expr
	for !p.skip(end) {
		if len(items) > 0 {
			if err := p.expect(","); err != nil {
				return nil, err
			}
			if p.skip(end) {
				break
			}
		}
		item, err := p.expression()
		if err != nil {
			return nil, err
		}
		items = append(items, item)
	}
	return items, nil
}

func (p *parser) dict() (expr, error) {
	d := &dictExpr{}
	for !p.skip("}") {
		if len(d.keys) > 0 {
			if err := p.expect(","); err != nil {
				return nil, err
			}
			if p.skip("}") {
				break
			}
		}
		key, err := p.expression()
		if err != nil {
			return nil, err
		}
		if err := p.expect(":"); err != nil {
			return nil, err
		}
		value, err := p.expression()
		if err != nil {
			return nil, err
		}
		d.keys, d.values = append(d.keys, key), append(d.values, value)
	}
	return d, nil
}
