package template

import (
	"math"
	"math/big"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// isSpace is what Python's str.isspace and strip take for a blank.
func isSpace(c rune) bool { return unicode.IsSpace(c) || c >= 0x1c && c <= 0x1f }

func pyStrip(s string) string { return strings.TrimFunc(s, isSpace) }

// str is Python's str().
func (r *run) str(v any) (string, error) {
	switch v := v.(type) {
	case string:
		return v, nil
	case *undefined:
		return "", nil
	}
	return r.repr(v)
}

// repr is Python's repr().
func (r *run) repr(v any) (string, error) {
	w := writer{r: r}
	if err := w.value(v); err != nil {
		return "", err
	}
	return string(w.b), nil
}

// writer writes values in Python's way. A run pays for what is written; without a run nobody does.
type writer struct {
	r     *run
	b     []byte
	paid  int
	depth int
}

// pay pays for what was written since the last time.
func (w *writer) pay() error {
	if w.r == nil {
		return nil
	}
	n := len(w.b) - w.paid
	w.paid = len(w.b)
	if len(w.b) > maxString {
		return w.r.text(len(w.b))
	}
	return w.r.text(n)
}

func (w *writer) value(v any) error {
	switch v := v.(type) {
	case *list:
		return w.list(v)
	case *dict:
		return w.dict(v)
	case *namespace:
		w.b = append(w.b, "<Namespace "...)
		if err := w.dict(&v.attrs); err != nil {
			return err
		}
		w.b = append(w.b, '>')
		return w.pay()
	case *big.Int:
		if w.r != nil {
			if err := w.r.step(100); err != nil { // a division for each digit
				return err
			}
		}
		w.b = v.Append(w.b, 10)
		return w.pay()
	case *datetime:
		if w.depth > 0 {
			w.b = append(w.b, v.repr()...)
		} else {
			w.b = append(w.b, v.iso(" ")...)
		}
		return w.pay()
	case timedelta:
		if w.depth > 0 {
			w.b = append(w.b, v.repr()...)
		} else {
			w.b = append(w.b, v.String()...)
		}
		return w.pay()
	case *unavailable:
		return v.err()
	}
	w.b = appendScalar(w.b, v)
	return w.pay()
}

// appendScalar appends the repr of what has nothing inside.
func appendScalar(b []byte, v any) []byte {
	switch v := v.(type) {
	case nil:
		return append(b, "None"...)
	case bool:
		if v {
			return append(b, "True"...)
		}
		return append(b, "False"...)
	case int64:
		return strconv.AppendInt(b, v, 10)
	case float64:
		return appendFloat(b, v)
	case string:
		return appendRepr(b, v)
	case pyBytes:
		return appendBytesRepr(b, string(v))
	case *undefined:
		return append(b, "Undefined"...)
	case *rangeSeq:
		b = strconv.AppendInt(append(b, "range("...), v.start, 10)
		b = strconv.AppendInt(append(b, ", "...), v.stop, 10)
		if v.step != 1 {
			b = strconv.AppendInt(append(b, ", "...), v.step, 10)
		}
		return append(b, ')')
	case *method:
		return append(b, "<built-in method "+v.name+" of "+typeName(v.of)+" object>"...)
	case *macro:
		return append(b, "<Macro '"+v.name+"'>"...)
	case *builtin:
		return append(b, "<function "+v.name+">"...)
	}
	return append(b, "<"+typeName(v)+" object>"...)
}

func (w *writer) enter() error {
	if w.depth++; w.depth > maxDepth {
		return failf("a value is nested more than %d deep", maxDepth)
	}
	return nil
}

func (w *writer) list(l *list) error {
	if err := w.enter(); err != nil {
		return err
	}
	open, end := byte('['), byte(']')
	if l.tuple {
		open, end = '(', ')'
	}
	w.b = append(w.b, open)
	for i := range l.length() {
		if i > 0 {
			w.b = append(w.b, ", "...)
		}
		if err := w.value(l.at(i)); err != nil {
			return err
		}
	}
	if l.tuple && l.length() == 1 {
		w.b = append(w.b, ',')
	}
	w.b = append(w.b, end)
	w.depth--
	return w.pay()
}

func (w *writer) dict(d *dict) error {
	if err := w.enter(); err != nil {
		return err
	}
	w.b = append(w.b, '{')
	for i := range d.length() {
		if i > 0 {
			w.b = append(w.b, ", "...)
		}
		key, value := d.at(i)
		if err := w.value(key); err != nil {
			return err
		}
		w.b = append(w.b, ": "...)
		if err := w.value(value); err != nil {
			return err
		}
	}
	w.b = append(w.b, '}')
	w.depth--
	return w.pay()
}

// appendFloat appends Python's repr of a float: the shortest digits, with an exponent below 1e-4 and from 1e16 on.
func appendFloat(b []byte, f float64) []byte {
	switch {
	case math.IsNaN(f):
		return append(b, "nan"...)
	case math.IsInf(f, 1):
		return append(b, "inf"...)
	case math.IsInf(f, -1):
		return append(b, "-inf"...)
	}
	if abs := math.Abs(f); abs != 0 && (abs < 1e-4 || abs >= 1e16) {
		return strconv.AppendFloat(b, f, 'e', -1, 64)
	}
	start := len(b)
	b = strconv.AppendFloat(b, f, 'f', -1, 64)
	for _, c := range b[start:] {
		if c == '.' {
			return b
		}
	}
	return append(b, ".0"...)
}

// appendRepr appends Python's repr of a string: in single quotes, unless it has some and no double ones.
func appendRepr(b []byte, s string) []byte {
	quote := byte('\'')
	if strings.IndexByte(s, '\'') >= 0 && strings.IndexByte(s, '"') < 0 {
		quote = '"'
	}
	b = append(b, quote)
	for _, c := range s {
		switch {
		case c == rune(quote) || c == '\\':
			b = append(b, '\\', byte(c))
		case c == '\n':
			b = append(b, `\n`...)
		case c == '\r':
			b = append(b, `\r`...)
		case c == '\t':
			b = append(b, `\t`...)
		case unicode.IsPrint(c):
			b = utf8.AppendRune(b, c)
		case c < 0x100:
			b = appendHex(append(b, `\x`...), uint32(c), 2)
		case c < 0x10000:
			b = appendHex(append(b, `\u`...), uint32(c), 4)
		default:
			b = appendHex(append(b, `\U`...), uint32(c), 8)
		}
	}
	return append(b, quote)
}

func appendBytesRepr(b []byte, s string) []byte {
	quote := byte('\'')
	if strings.IndexByte(s, '\'') >= 0 && strings.IndexByte(s, '"') < 0 {
		quote = '"'
	}
	b = append(b, 'b', quote)
	for i := range len(s) {
		switch c := s[i]; {
		case c == quote || c == '\\':
			b = append(b, '\\', c)
		case c == '\n':
			b = append(b, `\n`...)
		case c == '\r':
			b = append(b, `\r`...)
		case c == '\t':
			b = append(b, `\t`...)
		case c < ' ' || c >= 0x7f:
			b = appendHex(append(b, `\x`...), uint32(c), 2)
		default:
			b = append(b, c)
		}
	}
	return append(b, quote)
}

func appendHex(b []byte, n uint32, digits int) []byte {
	for shift := 4 * (digits - 1); shift >= 0; shift -= 4 {
		b = append(b, "0123456789abcdef"[n>>shift&0xf])
	}
	return b
}
