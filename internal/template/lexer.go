package template

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

type tokenKind byte

const (
	tokenEnd tokenKind = iota
	tokenData
	tokenOutput    // {{
	tokenOutputEnd // }}
	tokenBlock     // {%
	tokenBlockEnd  // %}
	tokenName
	tokenString
	tokenInteger
	tokenFloat
	tokenOperator
)

type token struct {
	kind tokenKind
	text string // of a string its value
	line int
}

// is says whether a token is an operator or a word.
func (t token) is(text string) bool {
	return t.text == text && (t.kind == tokenOperator || t.kind == tokenName)
}

func (t token) String() string {
	switch t.kind {
	case tokenEnd:
		return "the end of the template"
	case tokenData:
		return "text"
	case tokenOutputEnd, tokenBlockEnd:
		return "the end of the tag"
	case tokenString:
		return "a string"
	}
	return "'" + clip(t.text, 40) + "'"
}

func syntaxf(line int, format string, args ...any) error {
	return fmt.Errorf("%w: line %d: %s", ErrSyntax, line, fmt.Sprintf(format, args...))
}

// lexer splits a template into tokens. What is in a comment is gone, and blanks that a minus takes are.
type lexer struct {
	text   string
	pos    int
	line   int
	tokens []token
	trim   bool // the last tag ended in a minus
}

func lex(text string) ([]token, error) {
	// Newlines are one character for Jinja, and the last one does not count.
	text = strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(text)
	l := lexer{text: strings.TrimSuffix(text, "\n"), line: 1}
	for l.pos < len(l.text) {
		if err := l.next(); err != nil {
			return nil, err
		}
	}
	return append(l.tokens, token{kind: tokenEnd, line: l.line}), nil
}

// next reads text up to a tag, and the tag.
func (l *lexer) next() error {
	begin := tagBegin(l.text[l.pos:])
	if begin < 0 {
		l.data(l.text[l.pos:], false)
		l.pos = len(l.text)
		return nil
	}
	data := l.text[l.pos : l.pos+begin]
	mark := l.text[l.pos+begin : l.pos+begin+2]
	after := l.pos + begin + 2
	minus := after < len(l.text) && l.text[after] == '-'
	l.data(data, minus)
	if minus || after < len(l.text) && l.text[after] == '+' {
		after++
	}
	l.pos = after
	switch mark {
	case "{#":
		return l.comment()
	case "{{":
		l.add(tokenOutput, mark)
		return l.tag("}}", tokenOutputEnd)
	}
	if raw, ok := rawBegin(l.text[l.pos:]); ok {
		return l.raw(raw)
	}
	l.add(tokenBlock, mark)
	return l.tag("%}", tokenBlockEnd)
}

// tagBegin is where the first tag begins.
func tagBegin(s string) int {
	for i := 0; i+1 < len(s); i++ {
		if s[i] == '{' && (s[i+1] == '{' || s[i+1] == '%' || s[i+1] == '#') {
			return i
		}
	}
	return -1
}

func (l *lexer) add(kind tokenKind, text string) {
	l.tokens = append(l.tokens, token{kind: kind, text: text, line: l.line})
}

// data adds text between tags.
func (l *lexer) data(s string, trimEnd bool) {
	lines := strings.Count(s, "\n")
	if l.trim {
		s, l.trim = strings.TrimLeftFunc(s, isSpace), false
	}
	if trimEnd {
		s = strings.TrimRightFunc(s, isSpace)
	}
	if s != "" {
		l.add(tokenData, s)
	}
	l.line += lines
}

// comment skips to the end of a comment.
func (l *lexer) comment() error {
	end := strings.Index(l.text[l.pos:], "#}")
	if end < 0 {
		return syntaxf(l.line, "a comment has no end; want '#}'")
	}
	comment := l.text[l.pos : l.pos+end]
	l.line += strings.Count(comment, "\n")
	l.trim = strings.HasSuffix(comment, "-")
	l.pos += end + 2
	return nil
}

// wordTag is the length of a tag that is one word, from after its {%, and whether it takes the blanks around.
func wordTag(s, word string) (length int, trim, ok bool) {
	rest, ok := strings.CutPrefix(strings.TrimLeftFunc(s, isSpace), word)
	if !ok {
		return 0, false, false
	}
	rest = strings.TrimLeftFunc(rest, isSpace)
	rest, trim = strings.CutPrefix(rest, "-")
	rest, ok = strings.CutPrefix(rest, "%}")
	return len(s) - len(rest), trim, ok
}

type rawTag struct {
	length int
	trim   bool
}

func rawBegin(s string) (rawTag, bool) {
	length, trim, ok := wordTag(s, "raw")
	return rawTag{length, trim}, ok
}

// raw reads text up to endraw.
func (l *lexer) raw(begin rawTag) error {
	l.pos += begin.length
	l.trim = begin.trim
	rest := l.text[l.pos:]
	for from := 0; ; {
		i := strings.Index(rest[from:], "{%")
		if i < 0 {
			return syntaxf(l.line, "raw has no end; want '{%% endraw %%}'")
		}
		at := from + i
		inner, minus := strings.CutPrefix(rest[at+2:], "-")
		length, trim, ok := wordTag(inner, "endraw")
		if !ok {
			from = at + 2
			continue
		}
		l.data(rest[:at], minus)
		l.pos += len(rest) - len(inner) + length
		l.trim = trim
		return nil
	}
}

// tag reads the tokens of a tag up to its end. Brackets are counted, since }} ends two dicts just as well.
func (l *lexer) tag(end string, kind tokenKind) error {
	var open []byte
	for l.pos < len(l.text) {
		rest := l.text[l.pos:]
		if len(open) == 0 {
			after := rest
			if rest[0] == '-' || rest[0] == '+' && kind == tokenBlockEnd { // a plus says what is so anyway
				after = rest[1:]
			}
			if strings.HasPrefix(after, end) {
				l.trim = rest[0] == '-'
				l.add(kind, end)
				l.pos = len(l.text) - len(after) + len(end)
				return nil
			}
		}
		c, size := utf8.DecodeRuneInString(rest)
		switch {
		case isSpace(c):
			if c == '\n' {
				l.line++
			}
			l.pos += size
		case c == '\'' || c == '"':
			if err := l.string(byte(c)); err != nil {
				return err
			}
		case c >= '0' && c <= '9':
			l.number()
		case c == '_' || unicode.IsLetter(c):
			n := strings.IndexFunc(rest, func(c rune) bool {
				return c != '_' && !unicode.IsLetter(c) && !unicode.IsDigit(c) && !unicode.Is(unicode.Mn, c)
			})
			if n < 0 {
				n = len(rest)
			}
			l.add(tokenName, rest[:n])
			l.pos += n
		default:
			var err error
			if open, err = l.operator(open); err != nil {
				return err
			}
		}
	}
	return syntaxf(l.line, "a tag has no end; want '%s'", end)
}

var operators = []string{"**", "//", "==", "!=", ">=", "<=", "+", "-", "/", "*", "%", "~", "[", "]", "(", ")", "{", "}", ">", "<", "=", ".", ":", "|", ","}

// operator reads an operator, and keeps the brackets that are open.
func (l *lexer) operator(open []byte) ([]byte, error) {
	rest := l.text[l.pos:]
	for _, op := range operators {
		if !strings.HasPrefix(rest, op) {
			continue
		}
		l.add(tokenOperator, op)
		l.pos += len(op)
		switch op {
		case "(", "[", "{":
			return append(open, op[0]), nil
		case ")", "]", "}":
			if len(open) == 0 || strings.IndexByte("([{", open[len(open)-1]) != strings.IndexByte(")]}", op[0]) {
				return nil, syntaxf(l.line, "unexpected '%s'", op)
			}
			return open[:len(open)-1], nil
		}
		return open, nil
	}
	c, _ := utf8.DecodeRuneInString(rest)
	return nil, syntaxf(l.line, "unexpected %q", c)
}

// number reads an integer or a float. After a dot it is always an integer: a.0.1 takes elements.
func (l *lexer) number() {
	rest := l.text[l.pos:]
	digits := func(from int, ok func(byte) bool) int {
		for from < len(rest) && (ok(rest[from]) || rest[from] == '_' && from+1 < len(rest) && ok(rest[from+1])) {
			from++
		}
		return from
	}
	isHex := func(c byte) bool { return isDigit(c) || 'a' <= c|0x20 && c|0x20 <= 'f' }
	kind, n := tokenInteger, digits(0, isDigit)
	dotted := len(l.tokens) > 0 && l.tokens[len(l.tokens)-1].is(".")
	switch {
	case rest[0] == '0' && len(rest) > 2 && strings.IndexByte("xXoObB", rest[1]) >= 0 && isHex(rest[2]):
		n = digits(2, isHex)
	case !dotted:
		if n+1 < len(rest) && rest[n] == '.' && isDigit(rest[n+1]) {
			kind, n = tokenFloat, digits(n+1, isDigit)
		}
		if n+1 < len(rest) && rest[n]|0x20 == 'e' {
			from := n + 1
			if rest[from] == '+' || rest[from] == '-' {
				from++
			}
			if end := digits(from, isDigit); end > from {
				kind, n = tokenFloat, end
			}
		}
	}
	l.add(kind, rest[:n])
	l.pos += n
}

// string reads a string in quotes.
func (l *lexer) string(quote byte) error {
	start := l.pos + 1
	for i := start; i < len(l.text); i++ {
		switch l.text[i] {
		case '\\':
			i++
		case quote:
			value, err := unescape(l.text[start:i])
			if err != nil {
				return syntaxf(l.line, "%v", err)
			}
			l.add(tokenString, value)
			l.line += strings.Count(l.text[start:i], "\n")
			l.pos = i + 1
			return nil
		}
	}
	return syntaxf(l.line, "a string has no end; want %c", quote)
}

// unescape resolves Python's escapes. One that Python does not know stays as it is, as in '\d'.
func unescape(s string) (string, error) {
	if strings.IndexByte(s, '\\') < 0 {
		return s, nil
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' || i+1 == len(s) {
			b.WriteByte(s[i])
			continue
		}
		i++
		if at := strings.IndexByte(`\'"abfnrtv`, s[i]); at >= 0 {
			b.WriteByte("\\'\"\a\b\f\n\r\t\v"[at])
			continue
		}
		length := map[byte]int{'x': 2, 'u': 4, 'U': 8}[s[i]]
		switch {
		case s[i] == '\n':
		case length > 0:
			if i+length >= len(s) {
				return "", fmt.Errorf("\\%c needs %d hexadecimal digits", s[i], length)
			}
			code, err := strconv.ParseUint(s[i+1:i+1+length], 16, 32)
			if err != nil || code > unicode.MaxRune {
				return "", fmt.Errorf("\\%c needs %d hexadecimal digits of a character", s[i], length)
			}
			b.WriteRune(rune(code))
			i += length
		case '0' <= s[i] && s[i] <= '7':
			code := rune(0)
			end := min(i+3, len(s))
			for ; i < end && '0' <= s[i] && s[i] <= '7'; i++ {
				code = code*8 + rune(s[i]-'0')
			}
			i--
			b.WriteRune(code)
		default:
			b.WriteByte('\\')
			b.WriteByte(s[i])
		}
	}
	return b.String(), nil
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }
