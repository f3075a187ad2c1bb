package template

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"math"
	"math/big"
	"strings"

	"github.com/statehouse/statehouse/state"
)

// dataFilters read and write JSON, base64 and binary data.
var dataFilters = []*builtin{
	define("tojson", "value indent?", func(r *run, a []any) (any, error) {
		w := jsonWriter{r: r, style: styleJinja, indent: -1}
		if indent := or(a[1], nil); indent != nil {
			var err error
			if w.indent, err = argInt("tojson", indent, 0); err != nil {
				return nil, err
			}
		}
		return w.write(a[0])
	}),
	define("to_json", "value ensure_ascii? pretty_print? sort_keys?", func(r *run, a []any) (any, error) {
		w := jsonWriter{r: r, indent: -1, sorted: truth(or(a[3], false))}
		if truth(or(a[1], false)) {
			w.style = styleASCII
		}
		if truth(or(a[2], false)) {
			w.indent = 2
		}
		return w.write(a[0])
	}),
	define("from_json", "value default?", fromJSON),
	define("base64_encode", "value", func(r *run, a []any) (any, error) {
		s, ok := a[0].(string)
		if b, is := a[0].(pyBytes); is {
			s, ok = string(b), true
		}
		if u, is := a[0].(*undefined); is {
			return nil, errUndefined(u)
		}
		if !ok {
			return nil, failf("a bytes-like object is required, not '%s'", typeName(a[0]))
		}
		return base64.StdEncoding.EncodeToString([]byte(s)), r.text(len(s) * 4 / 3)
	}),
	define("base64_decode", "value encoding?", base64Decode),
	define("from_hex", "value", func(r *run, a []any) (any, error) {
		s, err := argString("from_hex", a[0])
		if err != nil {
			return nil, err
		}
		digits := strings.Map(func(c rune) rune {
			if isSpace(c) {
				return -1
			}
			return c
		}, s)
		b, err := hex.DecodeString(digits)
		if err != nil {
			return nil, failf("non-hexadecimal number found in from_hex")
		}
		return pyBytes(b), r.text(len(s))
	}),
	define("pack", "value format_string", pack),
	define("unpack", "value format_string offset?", unpack),
}

func fromJSON(r *run, a []any) (any, error) {
	s, ok := a[0].(string)
	if b, is := a[0].(pyBytes); is {
		s, ok = string(b), true
	}
	if u, is := a[0].(*undefined); is && a[1] == missing {
		return nil, errUndefined(u)
	}
	if ok {
		if err := r.text(8 * len(s)); err != nil {
			return nil, err
		}
		if v, err := state.ValueFromJSON([]byte(s)); err == nil {
			return fromValue(v), nil
		}
	}
	return fallback(r, "from_json", a[0], a[1])
}

func base64Decode(r *run, a []any) (any, error) {
	s, err := argString("base64_decode", a[0])
	if err == nil {
		err = r.text(len(s))
	}
	if err != nil {
		return nil, err
	}
	// Python skips what is not of the alphabet.
	s = strings.Map(func(c rune) rune {
		if c < 0x80 && (isDigit(byte(c)) || 'a' <= c|0x20 && c|0x20 <= 'z' || c == '+' || c == '/' || c == '=') {
			return c
		}
		return -1
	}, s)
	b, err := base64.StdEncoding.DecodeString(s)
	if err != nil {
		return nil, failf("invalid base64-encoded string")
	}
	encoding := or(a[1], "utf-8")
	if encoding == nil {
		return pyBytes(b), nil
	}
	return decodeText(r, string(b), encoding)
}

// packFormat is one value of Python's struct: the order of its bytes, the padding before it, its letter.
type packFormat struct {
	order  binary.ByteOrder
	before int
	letter byte
	size   int
	length int // of everything
}

// packSizes are the letters of a format and how many bytes each has.
var packSizes = map[byte]int{'x': 1, 'c': 1, 'b': 1, 'B': 1, '?': 1, 'h': 2, 'H': 2, 'e': 2, 'i': 4, 'I': 4, 'l': 4, 'L': 4, 'f': 4, 'q': 8, 'Q': 8, 'd': 8, 's': 1}

// parsePack reads the first value of a format, and the length of all. It pays for the format; what is too long for a string
// is an error before anybody makes it.
func (r *run) parsePack(s string) (f packFormat, ok bool, err error) {
	if err := r.step(1 + len(s)/2); err != nil { // a letter takes as long as 16 bytes that are copied
		return f, false, err
	}
	f.order = binary.LittleEndian
	native := true
	if s != "" && strings.IndexByte("@=<>!", s[0]) >= 0 {
		native = s[0] == '@'
		if s[0] == '>' || s[0] == '!' {
			f.order = binary.BigEndian
		}
		s = s[1:]
	}
	for s != "" {
		count, rest, err := specNumber(s, 1)
		if err != nil || rest == "" || packSizes[rest[0]] == 0 {
			return f, false, nil
		}
		size := packSizes[rest[0]]
		if native && rest[0]|0x20 == 'l' {
			size = 8
		}
		if native && rest[0] != 's' { // native values are aligned
			f.length = (f.length + size - 1) / size * size
		}
		if f.letter == 0 && rest[0] != 'x' && (count > 0 || rest[0] == 's') {
			f.letter, f.size, f.before = rest[0], size, f.length
			if rest[0] == 's' {
				f.size = count
			}
		}
		if f.length += count * size; f.length > maxString {
			return f, false, r.text(f.length)
		}
		s = rest[1:]
	}
	return f, f.letter != 0, nil
}

// unpack is the first value of a format in bytes, or None if there is none.
func unpack(r *run, a []any) (any, error) {
	b, ok := a[0].(pyBytes)
	if u, is := a[0].(*undefined); is {
		return nil, errUndefined(u)
	}
	if !ok {
		return nil, failf("a bytes-like object is required, not '%s'", typeName(a[0]))
	}
	text, err := argString("unpack", a[1])
	if err != nil {
		return nil, err
	}
	offset, err := argInt("unpack", a[2], 0)
	if err != nil {
		return nil, err
	}
	f, ok, err := r.parsePack(text)
	if err != nil {
		return nil, err
	}
	if offset < 0 {
		offset += len(b)
	}
	if !ok || offset < 0 || offset > len(b) || f.length > len(b)-offset {
		return nil, nil
	}
	at := []byte(b[offset+f.before : offset+f.before+f.size])
	return f.read(at), nil
}

func (f packFormat) read(b []byte) any {
	var n uint64
	switch f.size {
	case 1:
		n = uint64(b[0])
	case 2:
		n = uint64(f.order.Uint16(b))
	case 4:
		n = uint64(f.order.Uint32(b))
	case 8:
		n = f.order.Uint64(b)
	}
	switch f.letter {
	case 'c', 's':
		return pyBytes(b)
	case '?':
		return n != 0
	case 'e':
		return halfFloat(uint16(n))
	case 'f':
		return float64(math.Float32frombits(uint32(n)))
	case 'd':
		return math.Float64frombits(n)
	case 'b', 'h', 'i', 'l', 'q':
		unused := 64 - 8*f.size
		return int64(n<<unused) >> unused
	}
	return normal(new(big.Int).SetUint64(n))
}

// halfFloat is a float of 16 bits.
func halfFloat(n uint16) float64 {
	sign, exponent, fraction := 1-2*float64(n>>15), int(n>>10&0x1f), float64(n&0x3ff)
	switch exponent {
	case 0:
		return sign * math.Ldexp(fraction, -24)
	case 0x1f:
		if fraction != 0 {
			return math.NaN()
		}
		return math.Inf(int(sign))
	}
	return sign * math.Ldexp(1024+fraction, exponent-25)
}

// pack makes bytes of one value, or None where it does not fit.
func pack(r *run, a []any) (any, error) {
	text, err := argString("pack", a[1])
	if err != nil {
		return nil, err
	}
	f, ok, err := r.parsePack(text)
	if err != nil {
		return nil, err
	}
	if !ok || f.length != f.before+f.size {
		return nil, nil
	}
	if err := r.text(f.length); err != nil {
		return nil, err
	}
	b := make([]byte, f.length)
	at := b[f.before:]
	switch f.letter {
	case 'c', 's':
		v, ok := a[0].(pyBytes)
		if !ok || f.letter == 'c' && len(v) != 1 {
			return nil, nil
		}
		copy(at, v)
		return pyBytes(b), nil
	case '?':
		if truth(a[0]) {
			at[0] = 1
		}
		return pyBytes(b), nil
	case 'f', 'd':
		v, err := toFloat(a[0])
		if err != nil {
			return nil, nil // Python's pack fails, and Home Assistant's filter gives None then
		}
		if f.letter == 'f' {
			if math.Abs(v) > math.MaxFloat32 && !math.IsInf(v, 0) {
				return nil, failf("float too large to pack with f format")
			}
			f.put(at, uint64(math.Float32bits(float32(v))))
		} else {
			f.put(at, math.Float64bits(v))
		}
		return pyBytes(b), nil
	case 'e':
		return nil, failf("pack: the format e is not supported; want f or d")
	}
	n, ok := toInt(a[0])
	if !ok || !f.fits(toBig(n)) {
		return nil, nil
	}
	if small, ok := n.(int64); ok {
		f.put(at, uint64(small))
	} else {
		f.put(at, toBig(n).Uint64())
	}
	return pyBytes(b), nil
}

// fits says whether an integer is in the range of the format.
func (f packFormat) fits(n *big.Int) bool {
	bits := uint(8 * f.size)
	low, high := big.NewInt(0), new(big.Int).Lsh(big.NewInt(1), bits)
	if strings.IndexByte("bhilq", f.letter) >= 0 {
		high.Rsh(high, 1)
		low.Neg(high)
	}
	return n.Cmp(low) >= 0 && n.Cmp(high) < 0
}

func (f packFormat) put(b []byte, n uint64) {
	switch f.size {
	case 1:
		b[0] = byte(n)
	case 2:
		f.order.PutUint16(b, uint16(n))
	case 4:
		f.order.PutUint32(b, uint32(n))
	case 8:
		f.order.PutUint64(b, n)
	}
}
