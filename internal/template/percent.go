package template

import (
	"math"
	"strings"
	"unicode/utf8"
)

// percent is text % values of Python.
func (r *run) percent(text string, values any) (any, error) {
	args := []any{values}
	if tuple, ok := values.(*list); ok && tuple.tuple {
		if err := r.items(tuple.length()); err != nil {
			return nil, err
		}
		args = make([]any, 0, tuple.length())
		for i := range tuple.length() {
			args = append(args, tuple.at(i))
		}
	}
	named, _ := values.(*dict)
	p := percent{r: r, args: args, named: named}
	for text != "" {
		i := strings.IndexByte(text, '%')
		if i < 0 {
			i = len(text)
		}
		p.out.WriteString(text[:i])
		if text = text[i:]; text == "" {
			break
		}
		var err error
		if text, err = p.verb(text[1:]); err != nil {
			return nil, err
		}
		if p.out.Len() > maxString {
			break
		}
	}
	if p.next < len(p.args) && named == nil {
		return nil, failf("not all arguments converted during string formatting")
	}
	return p.out.String(), r.text(p.out.Len())
}

// percent is one formatting with %.
type percent struct {
	r     *run
	args  []any
	named *dict
	next  int
	out   strings.Builder
}

// verb formats one argument, and gives what is after it.
func (p *percent) verb(s string) (rest string, err error) {
	v := missing
	if strings.HasPrefix(s, "(") {
		name, after, ok := strings.Cut(s[1:], ")")
		if !ok || p.named == nil {
			return "", failf("format requires a mapping")
		}
		if v, ok, _ = p.named.get(name); !ok {
			return "", failf("there is no '%s' to format", clip(name, 40))
		}
		s = after
	}
	f := spec{fill: " ", precision: -1, align: '>'}
	for s != "" && strings.IndexByte("-+ #0", s[0]) >= 0 {
		switch s[0] {
		case '-':
			f.align = '<'
		case '0':
			if f.align == '>' {
				f.fill, f.align = "0", '='
			}
		case '#':
			f.alternate = true
		default:
			f.sign = max(f.sign, s[0]) // a plus takes precedence of a blank
		}
		s = s[1:]
	}
	if f.width, s, err = specNumber(s, 0); err != nil {
		return "", err
	}
	if strings.HasPrefix(s, ".") {
		if f.precision, s, err = specNumber(s[1:], 0); err != nil {
			return "", err
		}
	}
	if s == "" {
		return "", failf("incomplete format")
	}
	if f.verb, rest = s[0], s[1:]; f.verb == '%' {
		p.out.WriteByte('%')
		return rest, nil
	}
	if v == missing {
		if p.next >= len(p.args) {
			return "", failf("not enough arguments for format string")
		}
		v = p.args[p.next]
		p.next++
	}
	text, err := p.format(f, v)
	p.out.WriteString(text)
	return rest, err
}

func (p *percent) format(f spec, v any) (string, error) {
	if u, ok := v.(*undefined); ok && f.verb != 's' && f.verb != 'r' {
		return "", errUndefined(u)
	}
	switch f.verb {
	case 's', 'r', 'a':
		text, err := p.r.str(v)
		if f.verb != 's' && err == nil {
			text, err = p.r.repr(v)
		}
		if f.align == '=' {
			f.fill, f.align = " ", '>'
		}
		f.verb = 0
		if err != nil {
			return "", err
		}
		return f.apply(p.r, text)
	case 'c':
		if text, ok := v.(string); ok && utf8.RuneCountInString(text) == 1 {
			return f.pad(text, "", '>'), nil
		}
	case 'd', 'i', 'u':
		if number, ok := v.(float64); ok {
			if math.IsNaN(number) || math.IsInf(number, 0) {
				return "", failf("cannot convert float to integer")
			}
			v = truncate(number)
		}
	case 'o', 'x', 'X', 'e', 'E', 'f', 'F', 'g', 'G':
	default:
		return "", failf("unsupported format character '%c'", f.verb)
	}
	if !isNumber(v) {
		return "", failf("%%%c format: a number is required, not %s", f.verb, typeName(v))
	}
	return f.apply(p.r, v)
}
