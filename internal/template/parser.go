package template

import (
	"fmt"
	"slices"
	"strings"
)

const (
	// maxNesting is how deep brackets, blocks and signs may be nested. Zigbee2MQTT's templates nest 6 deep.
	maxNesting = 64
	// maxChain is how long a chain such as a + b + c or a.b.c may be in one expression. The tree of a chain is as deep as
	// the chain is long, so without a bound it costs stack wherever the tree is walked.
	maxChain = 1000
)

// parser turns tokens into statements. Expressions are in parse_expr.go.
type parser struct {
	tokens  []token
	pos     int
	nesting int
	chain   int // links in the expression that is read
	loops   int // loops around the statement that is read
	lib     *lib
}

func (p *parser) current() token { return p.tokens[p.pos] }

func (p *parser) next() token {
	t := p.tokens[p.pos]
	if t.kind != tokenEnd {
		p.pos++
	}
	return t
}

// skip takes the current token if it is this operator or word.
func (p *parser) skip(text string) bool {
	if p.current().is(text) {
		p.pos++
		return true
	}
	return false
}

func (p *parser) expect(text string) error {
	if !p.skip(text) {
		return p.unexpected("'" + text + "'")
	}
	return nil
}

func (p *parser) expectKind(kind tokenKind, want string) (token, error) {
	if p.current().kind != kind {
		return token{}, p.unexpected(want)
	}
	return p.next(), nil
}

func (p *parser) unexpected(want string) error {
	return syntaxf(p.current().line, "unexpected %s; want %s", p.current(), want)
}

func (p *parser) deeper() error {
	if p.nesting++; p.nesting > maxNesting {
		return fmt.Errorf("%w: line %d: nested more than %d deep", ErrTooLarge, p.current().line, maxNesting)
	}
	return nil
}

func (p *parser) link() error {
	if p.chain++; p.chain > maxChain {
		return fmt.Errorf("%w: line %d: an expression of more than %d parts", ErrTooLarge, p.current().line, maxChain)
	}
	return nil
}

// template reads everything.
func (p *parser) template() ([]stmt, error) {
	body, err := p.body()
	if err == nil && p.current().kind != tokenEnd {
		err = syntaxf(p.current().line, "unexpected '%s', since nothing is open that it would end", p.tokens[p.pos+1].text)
	}
	return body, err
}

// body reads statements up to the end or a tag of one of these names. The tag's begin is left.
func (p *parser) body(ends ...string) ([]stmt, error) {
	if err := p.deeper(); err != nil {
		return nil, err
	}
	defer func() { p.nesting-- }()
	var body []stmt
	for {
		switch t := p.current(); t.kind {
		case tokenData:
			p.next()
			body = append(body, &dataStmt{t.text})
		case tokenOutput:
			p.next()
			e, err := p.tuple(true)
			if err != nil {
				return nil, err
			}
			if _, err := p.expectKind(tokenOutputEnd, "'}}'"); err != nil {
				return nil, err
			}
			body = append(body, &outputStmt{e})
		case tokenBlock:
			name := p.tokens[p.pos+1]
			if name.kind == tokenName && (slices.Contains(ends, name.text) || strings.HasPrefix(name.text, "end") || slices.Contains([]string{"else", "elif"}, name.text)) {
				if len(ends) > 0 && !slices.Contains(ends, name.text) {
					return nil, syntaxf(name.line, "unexpected '%s'; want one of: %s", name.text, strings.Join(ends, ", "))
				}
				return body, nil
			}
			p.next()
			s, err := p.statement()
			if err != nil {
				return nil, err
			}
			body = append(body, s)
		case tokenEnd:
			if len(ends) > 0 {
				return nil, syntaxf(t.line, "the template ends; want one of: %s", strings.Join(ends, ", "))
			}
			return body, nil
		default:
			return nil, p.unexpected("text or a tag")
		}
	}
}

// end takes the whole tag that a body ended at.
func (p *parser) end() error {
	p.next()
	p.next()
	return p.tagEnd()
}

func (p *parser) tagEnd() error {
	_, err := p.expectKind(tokenBlockEnd, "'%}'")
	return err
}

// block reads the end of a tag, a body, and the tag that ends it.
func (p *parser) block(end string) ([]stmt, error) {
	if err := p.tagEnd(); err != nil {
		return nil, err
	}
	body, err := p.body(end)
	if err != nil {
		return nil, err
	}
	return body, p.end()
}

func (p *parser) statement() (stmt, error) {
	name, err := p.expectKind(tokenName, "the name of a statement")
	if err != nil {
		return nil, err
	}
	switch name.text {
	case "if":
		return p.ifStmt()
	case "for":
		return p.forStmt()
	case "set":
		return p.setStmt()
	case "with":
		return p.withStmt()
	case "macro":
		return p.macroStmt()
	case "call":
		return p.callStmt()
	case "filter":
		return p.filterStmt()
	case "do":
		e, err := p.tuple(true)
		if err != nil {
			return nil, err
		}
		return &doStmt{e}, p.tagEnd()
	case "break", "continue":
		if p.loops == 0 {
			return nil, syntaxf(name.line, "'%s' outside of a loop", name.text)
		}
		return &jumpStmt{name.text == "break"}, p.tagEnd()
	case "include", "import", "extends", "from", "block":
		return nil, syntaxf(name.line, "'%s' is not available: a template here reads no other", name.text)
	}
	return nil, syntaxf(name.line, "unknown statement '%s'", name.text)
}
