package state

import (
	"encoding/base64"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	entityv1 "github.com/statehouse/statehouse/gen/statehouse/entity/v1"
)

// maxJSONDepth is how deep arrays and objects may be nested. The deepest message of a recorded house of 35 devices
// has 12 levels; the limit keeps a hostile one from costing stack here and in everything that walks the value later.
const maxJSONDepth = 64

// ValueFromJSON reads one JSON text (RFC 8259) and keeps what it says:
//
//   - A number is an int_value if it is written as a plain integer and fits 64 bits, a double_value if the double's
//     shortest decimal form is the same number (1.0, 1.50, 1e3), and otherwise a number_value with the digits as written.
//   - The fields of an object are sorted by name. Of fields with the same name the last one is kept, as encoding/json
//     and most others do.
//   - Half of a surrogate pair ("\ud800"), which no UTF-8 can express, becomes U+FFFD, as in encoding/json. It is the one
//     thing that is not kept, since the alternative is to refuse messages from devices that cut a name in the middle.
//
// It fails, naming the offset in bytes, on anything that is not JSON, on invalid UTF-8, on data after the value, and on
// arrays and objects nested deeper than 64 levels. Its result takes up to 75 times the memory of data
// ("[[[[…]]]]"; 5 times for a recorded house), so the caller limits the size of what comes from outside.
// Data is not kept.
func ValueFromJSON(data []byte) (*entityv1.Value, error) {
	if offset := invalidUTF8(data); offset >= 0 {
		return nil, fmt.Errorf("value from JSON: offset %d: invalid UTF-8, byte 0x%02x", offset, data[offset])
	}
	p := jsonParser{data: data}
	v, err := p.value()
	if err != nil {
		return nil, fmt.Errorf("value from JSON: %w", err)
	}
	if p.space(); p.pos < len(p.data) {
		return nil, fmt.Errorf("value from JSON: %w", p.unexpected("the end, since one value was read"))
	}
	return v, nil
}

// AppendJSON appends v as compact JSON to dst and returns the extended slice.
//
// What came from ValueFromJSON comes back equal by ValueFromJSON. For that, a double_value is always written with a
// fraction or an exponent ("1.0"), unlike an int_value. What JSON cannot express is written so that the result is valid
// all the same, and does not come back as it was: bytes_value as {"base64":"…"}, NaN and the infinities as the strings
// "NaN", "Infinity" and "-Infinity", a number_value that is no JSON number as a string, invalid UTF-8 as U+FFFD, and nil
// or a value without a kind as null.
func AppendJSON(dst []byte, v *entityv1.Value) []byte {
	switch k := v.GetKind().(type) {
	case *entityv1.Value_BoolValue:
		return strconv.AppendBool(dst, k.BoolValue)
	case *entityv1.Value_IntValue:
		return strconv.AppendInt(dst, k.IntValue, 10)
	case *entityv1.Value_DoubleValue:
		return appendJSONFraction(dst, k.DoubleValue)
	case *entityv1.Value_NumberValue:
		return appendJSONDigits(dst, k.NumberValue)
	case *entityv1.Value_StringValue:
		return appendJSONString(dst, k.StringValue)
	case *entityv1.Value_BytesValue:
		return appendJSONBytes(dst, k.BytesValue)
	case *entityv1.Value_ListValue:
		dst = append(dst, '[')
		for i, element := range k.ListValue.GetValues() {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = AppendJSON(dst, element)
		}
		return append(dst, ']')
	case *entityv1.Value_StructValue:
		return appendJSONFields(dst, k.StructValue.GetFields())
	default:
		return append(dst, "null"...)
	}
}

// appendJSONFields appends fields as an object, in their order.
func appendJSONFields(dst []byte, fields []*entityv1.Field) []byte {
	dst = append(dst, '{')
	for i, field := range fields {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendJSONString(dst, field.GetName())
		dst = append(dst, ':')
		dst = AppendJSON(dst, field.GetValue())
	}
	return append(dst, '}')
}

// appendJSONFraction appends f so that nobody takes it for an integer.
func appendJSONFraction(dst []byte, f float64) []byte {
	start := len(dst)
	dst = appendJSONDouble(dst, f)
	for _, c := range dst[start:] {
		if c == '.' || c == 'e' || c == '"' {
			return dst
		}
	}
	return append(dst, '.', '0')
}

// appendJSONDouble appends the shortest form of f that reads back as f, in the way of encoding/json and ECMAScript:
// without an exponent between 1e-6 and 1e21.
func appendJSONDouble(dst []byte, f float64) []byte {
	switch {
	case math.IsNaN(f):
		return append(dst, `"NaN"`...)
	case math.IsInf(f, 1):
		return append(dst, `"Infinity"`...)
	case math.IsInf(f, -1):
		return append(dst, `"-Infinity"`...)
	}
	if abs := math.Abs(f); abs != 0 && (abs < 1e-6 || abs >= 1e21) {
		return strconv.AppendFloat(dst, f, 'e', -1, 64)
	}
	return strconv.AppendFloat(dst, f, 'f', -1, 64)
}

// appendJSONDigits appends a number given by its digits, as a string if it is no JSON number.
func appendJSONDigits(dst []byte, digits string) []byte {
	if length, _ := scanNumber(digits); length == 0 || length != len(digits) {
		return appendJSONString(dst, digits)
	}
	return append(dst, digits...)
}

// appendJSONBytes appends b as an object with one field, so that it cannot be taken for text.
func appendJSONBytes(dst, b []byte) []byte {
	dst = append(dst, `{"base64":"`...)
	dst = base64.StdEncoding.AppendEncode(dst, b)
	return append(dst, `"}`...)
}

// appendJSONString appends s in quotes. It escapes what JSON demands and nothing else: the result is for JSON's readers,
// not for pasting into HTML.
func appendJSONString(dst []byte, s string) []byte {
	const hex = "0123456789abcdef"
	dst = append(dst, '"')
	start := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c >= utf8.RuneSelf {
			r, size := utf8.DecodeRuneInString(s[i:])
			if r == utf8.RuneError && size == 1 {
				dst = append(dst, s[start:i]...)
				dst = utf8.AppendRune(dst, utf8.RuneError)
				start = i + 1
			}
			i += size
			continue
		}
		if c >= ' ' && c != '"' && c != '\\' {
			i++
			continue
		}
		dst = append(dst, s[start:i]...)
		switch c {
		case '"', '\\':
			dst = append(dst, '\\', c)
		case '\n':
			dst = append(dst, '\\', 'n')
		case '\r':
			dst = append(dst, '\\', 'r')
		case '\t':
			dst = append(dst, '\\', 't')
		default:
			dst = append(dst, '\\', 'u', '0', '0', hex[c>>4], hex[c&0xf])
		}
		i++
		start = i
	}
	dst = append(dst, s[start:]...)
	return append(dst, '"')
}

// jsonParser reads one JSON text. It is written out, instead of using encoding/json's tokens, because every message of
// every device goes through it, and because encoding/json has no limit of depth that one could set.
type jsonParser struct {
	data  []byte // valid UTF-8
	pos   int
	depth int
}

// value reads the value at the position, after any white space.
func (p *jsonParser) value() (*entityv1.Value, error) {
	p.space()
	if p.pos == len(p.data) {
		return nil, p.unexpected("a value")
	}
	switch c := p.data[p.pos]; c {
	case '{':
		return p.object()
	case '[':
		return p.array()
	case '"':
		s, err := p.string()
		if err != nil {
			return nil, err
		}
		return valueString(s), nil
	case 't':
		return valueBool(true), p.word("true")
	case 'f':
		return valueBool(false), p.word("false")
	case 'n':
		return valueNull(), p.word("null")
	default:
		if c == '-' || isDigit(c) {
			return p.number()
		}
		return nil, p.unexpected("a value")
	}
}

// object reads an object; the position is at its brace.
func (p *jsonParser) object() (*entityv1.Value, error) {
	if err := p.enter(); err != nil {
		return nil, err
	}
	var fields []*entityv1.Field
	for more := !p.closes('}'); more; {
		if p.pos == len(p.data) || p.data[p.pos] != '"' {
			return nil, p.unexpected("a field's name in quotes")
		}
		name, err := p.string()
		if err != nil {
			return nil, err
		}
		if p.space(); p.pos == len(p.data) || p.data[p.pos] != ':' {
			return nil, p.unexpected("a colon")
		}
		p.pos++
		v, err := p.value()
		if err != nil {
			return nil, err
		}
		fields = append(fields, &entityv1.Field{Name: name, Value: v})
		if more, err = p.more('}'); err != nil {
			return nil, err
		}
	}
	p.depth--
	return valueStruct(sortedFields(fields)...), nil
}

// array reads an array; the position is at its bracket.
func (p *jsonParser) array() (*entityv1.Value, error) {
	if err := p.enter(); err != nil {
		return nil, err
	}
	var values []*entityv1.Value
	for more := !p.closes(']'); more; {
		v, err := p.value()
		if err != nil {
			return nil, err
		}
		values = append(values, v)
		if more, err = p.more(']'); err != nil {
			return nil, err
		}
	}
	p.depth--
	return valueList(values...), nil
}

// enter steps over an opening brace or bracket.
func (p *jsonParser) enter() error {
	if p.depth++; p.depth > maxJSONDepth {
		return fmt.Errorf("offset %d: nested deeper than %d levels", p.pos, maxJSONDepth)
	}
	p.pos++
	return nil
}

// closes reports whether the next byte after white space is end, and steps over it if so.
func (p *jsonParser) closes(end byte) bool {
	if p.space(); p.pos < len(p.data) && p.data[p.pos] == end {
		p.pos++
		return true
	}
	return false
}

// more steps over what follows an element: end, or a comma and white space.
func (p *jsonParser) more(end byte) (bool, error) {
	if p.closes(end) {
		return false, nil
	}
	if p.pos == len(p.data) || p.data[p.pos] != ',' {
		return false, p.unexpected(fmt.Sprintf("a comma or %q", end))
	}
	p.pos++
	p.space()
	return true, nil
}

// word steps over one of JSON's three words.
func (p *jsonParser) word(word string) error {
	for i := range len(word) {
		if p.pos == len(p.data) || p.data[p.pos] != word[i] {
			return p.unexpected(word)
		}
		p.pos++
	}
	return nil
}

// number reads a number.
func (p *jsonParser) number() (*entityv1.Value, error) {
	length, integer := scanNumber(p.data[p.pos:])
	if length == 0 {
		p.pos++ // over the minus sign: what is wrong stands behind it
		return nil, p.unexpected("a digit")
	}
	v := numberValue(string(p.data[p.pos:p.pos+length]), integer)
	p.pos += length
	return v, nil
}

// string reads a string; the position is at its opening quote.
func (p *jsonParser) string() (string, error) {
	p.pos++
	start := p.pos
	for ; p.pos < len(p.data); p.pos++ {
		switch c := p.data[p.pos]; {
		case c == '"':
			p.pos++
			return string(p.data[start : p.pos-1]), nil
		case c == '\\':
			return p.escapedString(start)
		case c < ' ':
			return "", p.unexpected("an escape for the control character")
		}
	}
	return "", p.unexpected("a closing quote")
}

// escapedString reads the rest of a string that began at start and has its first escape at the position.
func (p *jsonParser) escapedString(start int) (string, error) {
	text := slices.Clone(p.data[start:p.pos])
	for p.pos < len(p.data) {
		switch c := p.data[p.pos]; {
		case c == '"':
			p.pos++
			return string(text), nil
		case c < ' ':
			return "", p.unexpected("an escape for the control character")
		case c == '\\':
			r, err := p.escape()
			if err != nil {
				return "", err
			}
			text = utf8.AppendRune(text, r)
		default:
			text = append(text, c)
			p.pos++
		}
	}
	return "", p.unexpected("a closing quote")
}

// escape reads one escape, or two that make up a surrogate pair; the position is at the backslash.
func (p *jsonParser) escape() (rune, error) {
	p.pos++
	if p.pos == len(p.data) {
		return 0, p.unexpected("an escape")
	}
	c := p.data[p.pos]
	switch c {
	case '"', '\\', '/':
		p.pos++
		return rune(c), nil
	case 'u':
		r, ok := p.hex4(p.pos + 1)
		if !ok {
			return 0, p.unexpected("an escape with four hexadecimal digits")
		}
		p.pos += 5
		if !utf16.IsSurrogate(r) {
			return r, nil
		}
		if p.pos+1 < len(p.data) && p.data[p.pos] == '\\' && p.data[p.pos+1] == 'u' {
			if low, ok := p.hex4(p.pos + 2); ok {
				if pair := utf16.DecodeRune(r, low); pair != utf8.RuneError {
					p.pos += 6
					return pair, nil
				}
			}
		}
		return utf8.RuneError, nil
	}
	if i := strings.IndexByte("bfnrt", c); i >= 0 {
		p.pos++
		return rune("\b\f\n\r\t"[i]), nil
	}
	return 0, p.unexpected("an escape")
}

// hex4 reads four hexadecimal digits from offset on.
func (p *jsonParser) hex4(offset int) (r rune, ok bool) {
	if offset+4 > len(p.data) {
		return 0, false
	}
	for _, c := range p.data[offset : offset+4] {
		switch {
		case isDigit(c):
			c -= '0'
		case 'a' <= c && c <= 'f':
			c -= 'a' - 10
		case 'A' <= c && c <= 'F':
			c -= 'A' - 10
		default:
			return 0, false
		}
		r = r<<4 | rune(c)
	}
	return r, true
}

// space steps over white space.
func (p *jsonParser) space() {
	for p.pos < len(p.data) {
		switch p.data[p.pos] {
		case ' ', '\t', '\n', '\r':
			p.pos++
		default:
			return
		}
	}
}

// unexpected says what stands at the position, and what should.
func (p *jsonParser) unexpected(want string) error {
	if p.pos >= len(p.data) {
		return fmt.Errorf("offset %d: the data ends; want %s", p.pos, want)
	}
	r, _ := utf8.DecodeRune(p.data[p.pos:])
	return fmt.Errorf("offset %d: unexpected %q; want %s", p.pos, r, want)
}

// The constructors allocate a value and its kind together: a sixth fewer allocations on a recorded house.

func valueNull() *entityv1.Value {
	both := &struct {
		value entityv1.Value
		kind  entityv1.Value_NullValue
	}{}
	both.value.Kind = &both.kind
	return &both.value
}

func valueBool(b bool) *entityv1.Value {
	both := &struct {
		value entityv1.Value
		kind  entityv1.Value_BoolValue
	}{}
	both.kind.BoolValue = b
	both.value.Kind = &both.kind
	return &both.value
}

func valueInt(n int64) *entityv1.Value {
	both := &struct {
		value entityv1.Value
		kind  entityv1.Value_IntValue
	}{}
	both.kind.IntValue = n
	both.value.Kind = &both.kind
	return &both.value
}

func valueDouble(f float64) *entityv1.Value {
	both := &struct {
		value entityv1.Value
		kind  entityv1.Value_DoubleValue
	}{}
	both.kind.DoubleValue = f
	both.value.Kind = &both.kind
	return &both.value
}

func valueDigits(digits string) *entityv1.Value {
	both := &struct {
		value entityv1.Value
		kind  entityv1.Value_NumberValue
	}{}
	both.kind.NumberValue = digits
	both.value.Kind = &both.kind
	return &both.value
}

func valueString(s string) *entityv1.Value {
	both := &struct {
		value entityv1.Value
		kind  entityv1.Value_StringValue
	}{}
	both.kind.StringValue = s
	both.value.Kind = &both.kind
	return &both.value
}

func valueList(values ...*entityv1.Value) *entityv1.Value {
	return &entityv1.Value{Kind: &entityv1.Value_ListValue{ListValue: &entityv1.ListValue{Values: values}}}
}

func valueStruct(fields ...*entityv1.Field) *entityv1.Value {
	return &entityv1.Value{Kind: &entityv1.Value_StructValue{StructValue: &entityv1.StructValue{Fields: fields}}}
}

// invalidUTF8 is the offset of the first byte that is not UTF-8, or -1.
func invalidUTF8(data []byte) int {
	if utf8.Valid(data) {
		return -1
	}
	for i := 0; i < len(data); {
		r, size := utf8.DecodeRune(data[i:])
		if r == utf8.RuneError && size == 1 {
			return i
		}
		i += size
	}
	return -1
}

// sortedFields sorts fields by name, in place, and keeps the last of those with the same name.
func sortedFields(fields []*entityv1.Field) []*entityv1.Field {
	slices.SortStableFunc(fields, func(a, b *entityv1.Field) int { return strings.Compare(a.GetName(), b.GetName()) })
	kept := fields[:0]
	for i, field := range fields {
		if i+1 < len(fields) && fields[i+1].GetName() == field.GetName() {
			continue
		}
		kept = append(kept, field)
	}
	clear(fields[len(kept):]) // what was dropped is not to be kept alive by the array
	return kept
}

// scanNumber is the length of the JSON number at the start of s, 0 if there is none, and whether it is a plain integer.
func scanNumber[T string | []byte](s T) (length int, integer bool) {
	digits := func(from int) int {
		for from < len(s) && isDigit(s[from]) {
			from++
		}
		return from
	}
	start := 0
	if len(s) > 0 && s[0] == '-' {
		start = 1
	}
	end := digits(start)
	if end == start {
		return 0, false
	}
	if s[start] == '0' {
		end = start + 1 // nothing may follow a leading zero
	}
	integer = true
	if end < len(s) && s[end] == '.' {
		if fraction := digits(end + 1); fraction > end+1 {
			end, integer = fraction, false
		}
	}
	if end < len(s) && (s[end] == 'e' || s[end] == 'E') {
		from := end + 1
		if from < len(s) && (s[from] == '+' || s[from] == '-') {
			from++
		}
		if exponent := digits(from); exponent > from {
			end, integer = exponent, false
		}
	}
	return end, integer
}

// numberValue makes a value of a JSON number; integer says that it is a plain integer.
func numberValue(literal string, integer bool) *entityv1.Value {
	// "-0" is no integer: an int64 has only one zero.
	if integer && literal != "-0" {
		if n, err := strconv.ParseInt(literal, 10, 64); err == nil {
			return valueInt(n)
		}
	}
	if f, ok := exactDouble(literal); ok {
		return valueDouble(f)
	}
	return valueDigits(literal)
}

// exactDouble is the double whose shortest decimal form is the same number as the JSON number literal, if there is one.
func exactDouble(literal string) (float64, bool) {
	f, err := strconv.ParseFloat(literal, 64)
	if err != nil {
		return 0, false
	}
	var buffer [32]byte
	shortest := string(appendJSONDouble(buffer[:0], f))
	return f, shortest == literal || sameNumber(shortest, literal)
}

// sameNumber reports whether two JSON numbers denote the same number. It works on the digits, since neither needs to fit
// any type.
func sameNumber(a, b string) bool {
	aDigits, aPoint, aOK := decimalParts(a)
	bDigits, bPoint, bOK := decimalParts(b)
	return aOK && bOK && aDigits == bDigits && aPoint == bPoint && a[0] == '-' == (b[0] == '-')
}

// decimalParts takes the sign off a JSON number and normalises the rest to 0.digits × 10^point, where digits neither
// begins nor ends with a zero. Zero has no digits and point 0. It fails on an
// exponent that does not fit an int, which no double has.
func decimalParts(number string) (digits string, point int, ok bool) {
	number = strings.TrimPrefix(number, "-")
	mantissa, exponent := number, 0
	var err error
	if i := strings.IndexAny(number, "eE"); i >= 0 {
		mantissa = number[:i]
		exponent, err = strconv.Atoi(number[i+1:])
	}
	whole, fraction, _ := strings.Cut(mantissa, ".")
	digits = strings.TrimLeft(whole+fraction, "0")
	if digits == "" {
		return "", 0, true // whatever the exponent is
	}
	return strings.TrimRight(digits, "0"), exponent + len(digits) - len(fraction), err == nil
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }
