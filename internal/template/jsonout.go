package template

import (
	"bytes"
	"math"
	"math/big"
	"slices"
	"strconv"
	"unicode/utf8"
)

// jsonStyle is how JSON is written.
type jsonStyle byte

const (
	// styleCompact is orjson's, of to_json: no blanks, UTF-8.
	styleCompact jsonStyle = iota
	// styleASCII is Python's json.dumps: a blank after commas and colons, what is not ASCII escaped.
	styleASCII
	// styleJinja is Jinja's tojson: as json.dumps, sorted, and what means something in HTML is escaped.
	styleJinja
)

// jsonWriter writes values as JSON.
type jsonWriter struct {
	r      *run
	style  jsonStyle
	sorted bool
	indent int // -1 for none
	b      []byte
	paid   int
	depth  int
}

func (w *jsonWriter) write(v any) (any, error) {
	if w.indent > 100 {
		return nil, failBound("an indent of %d", w.indent)
	}
	w.sorted = w.sorted || w.style == styleJinja
	err := w.value(v)
	return string(w.b), err
}

func (w *jsonWriter) value(v any) error {
	switch v := v.(type) {
	case *list:
		return w.block('[', ']', v.length(), func(i int) error { return w.value(v.at(i)) })
	case *dict:
		return w.dict(v)
	case nil:
		w.b = append(w.b, "null"...)
	case bool:
		w.b = strconv.AppendBool(w.b, v)
	case int64:
		w.b = strconv.AppendInt(w.b, v, 10)
	case *big.Int:
		if w.style == styleCompact && !v.IsUint64() {
			return failf("Integer exceeds 64-bit range")
		}
		w.b = v.Append(w.b, 10)
	case float64:
		w.float(v)
	case string:
		w.string(v)
	case *undefined:
		return failf("Object of type %s is not JSON serializable: %s", typeName(v), v.hint)
	default:
		return failf("Object of type %s is not JSON serializable", typeName(v))
	}
	return w.pay()
}

// pay pays for what was written since the last time.
func (w *jsonWriter) pay() error {
	n := len(w.b) - w.paid
	w.paid = len(w.b)
	if len(w.b) > maxString {
		n = len(w.b)
	}
	return w.r.text(n)
}

func (w *jsonWriter) float(f float64) {
	switch {
	case math.IsNaN(f) || math.IsInf(f, 0):
		if w.style == styleCompact {
			w.b = append(w.b, "null"...)
			return
		}
		name := map[bool]string{true: "NaN"}[math.IsNaN(f)]
		if name == "" {
			name = map[bool]string{true: "Infinity", false: "-Infinity"}[f > 0]
		}
		w.b = append(w.b, name...)
	case w.style == styleCompact:
		w.b = appendOrjsonFloat(w.b, f)
	default:
		w.b = appendFloat(w.b, f)
	}
}

// appendOrjsonFloat writes a float as orjson does, with an exponent below 1e-5 and from 1e16 on.
func appendOrjsonFloat(b []byte, f float64) []byte {
	if abs := math.Abs(f); abs != 0 && (abs < 1e-5 || abs >= 1e16) {
		b = strconv.AppendFloat(b, f, 'e', -1, 64)
		at := bytes.LastIndexByte(b, 'e') + 1
		exponent, _ := strconv.Atoi(string(b[at:])) // without the plus and the zero
		return strconv.AppendInt(b[:at], int64(exponent), 10)
	}
	start := len(b)
	b = strconv.AppendFloat(b, f, 'f', -1, 64)
	if bytes.IndexByte(b[start:], '.') < 0 {
		b = append(b, ".0"...)
	}
	return b
}

func (w *jsonWriter) dict(d *dict) error {
	type field struct {
		name  string
		value any
	}
	fields := make([]field, 0, min(d.length(), 64))
	for i := range d.length() {
		key, value := d.at(i)
		name, err := w.key(key)
		if err == nil {
			err = w.r.step(1)
		}
		if err != nil {
			return err
		}
		fields = append(fields, field{name, value})
	}
	if w.sorted {
		slices.SortStableFunc(fields, func(a, b field) int { return bytes.Compare([]byte(a.name), []byte(b.name)) })
	}
	return w.block('{', '}', len(fields), func(i int) error {
		w.string(fields[i].name)
		w.b = append(w.b, ':')
		if w.style != styleCompact || w.indent >= 0 {
			w.b = append(w.b, ' ')
		}
		return w.value(fields[i].value)
	})
}

// key is a key of a dict as the name of a field.
func (w *jsonWriter) key(key any) (string, error) {
	switch key := key.(type) {
	case string:
		return key, nil
	case nil:
		return "null", nil
	case bool:
		return strconv.FormatBool(key), nil
	case int64, *big.Int, float64:
		return w.r.str(key)
	}
	return "", failf("keys must be str, int, float, bool or None, not %s", typeName(key))
}

// block writes an array or an object.
func (w *jsonWriter) block(open, end byte, n int, item func(int) error) error {
	if w.depth++; w.depth > maxDepth {
		return failf("a value is nested more than %d deep", maxDepth)
	}
	w.b = append(w.b, open)
	for i := range n {
		if i > 0 {
			w.b = append(w.b, ',')
			if w.style != styleCompact && w.indent < 0 {
				w.b = append(w.b, ' ')
			}
		}
		w.newline()
		if err := item(i); err != nil {
			return err
		}
	}
	w.depth--
	if n > 0 {
		w.newline()
	}
	w.b = append(w.b, end)
	return w.pay()
}

func (w *jsonWriter) newline() {
	if w.indent >= 0 {
		w.b = append(w.b, '\n')
		w.b = append(w.b, bytes.Repeat([]byte{' '}, w.indent*w.depth)...)
	}
}

func (w *jsonWriter) string(s string) {
	w.b = append(w.b, '"')
	for _, c := range s {
		switch {
		case c == '"' || c == '\\':
			w.b = append(w.b, '\\', byte(c))
		case c == '\n':
			w.b = append(w.b, `\n`...)
		case c == '\r':
			w.b = append(w.b, `\r`...)
		case c == '\t':
			w.b = append(w.b, `\t`...)
		case c == '\b':
			w.b = append(w.b, `\b`...)
		case c == '\f':
			w.b = append(w.b, `\f`...)
		case c < ' ', w.style == styleJinja && (c == '<' || c == '>' || c == '&' || c == '\''),
			w.style != styleCompact && c > 0x7e && c < 0x10000:
			w.b = appendHex(append(w.b, `\u`...), uint32(c), 4)
		case w.style != styleCompact && c >= 0x10000:
			c -= 0x10000
			w.b = appendHex(append(w.b, `\u`...), uint32(0xd800+c>>10), 4)
			w.b = appendHex(append(w.b, `\u`...), uint32(0xdc00+c&0x3ff), 4)
		default:
			w.b = utf8.AppendRune(w.b, c)
		}
	}
	w.b = append(w.b, '"')
}
