package template

import (
	"math"
	"math/big"
	"strconv"
	"strings"
	"unicode/utf8"
)

// maxWidth is how wide and how precise one number may be formatted.
const maxWidth = 10_000

// spec says how a value is formatted: what is after the colon in '{:>8.2f}', and '%8.2f' alike.
type spec struct {
	fill      string
	align     byte // one of "<>=^", or 0
	sign      byte // one of "+- ", or 0
	alternate bool // #
	group     string
	width     int
	precision int // -1 if there is none
	verb      byte
}

// noSpec is that of '{}'.
var noSpec = spec{fill: " ", precision: -1}

// parseSpec reads a format specification of Python.
func parseSpec(s string) (spec, error) {
	f := noSpec
	whole := s
	if _, n := utf8.DecodeRuneInString(s); n > 0 && len(s) > n && strings.IndexByte("<>=^", s[n]) >= 0 {
		f.fill, f.align, s = s[:n], s[n], s[n+1:]
	} else if s != "" && strings.IndexByte("<>=^", s[0]) >= 0 {
		f.align, s = s[0], s[1:]
	}
	if s != "" && strings.IndexByte("+- ", s[0]) >= 0 {
		f.sign, s = s[0], s[1:]
	}
	if strings.HasPrefix(s, "#") {
		f.alternate, s = true, s[1:]
	}
	if strings.HasPrefix(s, "0") {
		s = s[1:]
		if f.align == 0 {
			f.fill, f.align = "0", '='
		}
	}
	var err error
	if f.width, s, err = specNumber(s, 0); err != nil {
		return f, err
	}
	if s != "" && (s[0] == ',' || s[0] == '_') {
		f.group, s = s[:1], s[1:]
	}
	if strings.HasPrefix(s, ".") {
		if f.precision, s, err = specNumber(s[1:], -1); err != nil {
			return f, err
		}
	}
	if s != "" {
		f.verb, s = s[0], s[1:]
	}
	if s != "" {
		return f, failf("Invalid format specifier '%s'", clip(whole, 40))
	}
	return f, nil
}

// specNumber reads digits.
func specNumber(s string, otherwise int) (n int, rest string, err error) {
	end := 0
	for end < len(s) && isDigit(s[end]) {
		end++
	}
	if end == 0 {
		return otherwise, s, nil
	}
	if n, err = strconv.Atoi(s[:end]); err != nil || n > maxWidth {
		return 0, "", failBound("a width or a precision of %s; at most %d is taken", clip(s[:end], 20), maxWidth)
	}
	return n, s[end:], nil
}

// apply formats a value.
func (f spec) apply(r *run, v any) (string, error) {
	if err := r.step(1 + (f.width+max(0, f.precision))/stepBytes); err != nil {
		return "", err
	}
	switch v := v.(type) {
	case string:
		if f.verb != 0 && f.verb != 's' || f.align == '=' {
			return "", failf("Unknown format code '%c' for object of type 'str'", f.verb)
		}
		return f.pad(clipRunes(v, f.precision), "", '<'), nil
	case bool, int64, *big.Int:
		if _, isBool := v.(bool); isBool && f == noSpec {
			break
		}
		switch f.verb {
		case 'e', 'E', 'f', 'F', 'g', 'G', '%':
			number, err := toFloat(v)
			if err != nil {
				return "", err
			}
			return f.float(number)
		}
		n, _ := toInt(v)
		return f.integer(toBig(n))
	case float64:
		return f.float(v)
	case *datetime:
		return "", failf("a datetime is formatted with its strftime()")
	}
	if f != noSpec {
		return "", failf("unsupported format string passed to %s.__format__", typeName(v))
	}
	return r.str(v)
}

// clipRunes is the start of s, of n characters, or all if n is negative.
func clipRunes(s string, n int) string {
	if n < 0 {
		return s
	}
	for i := range s {
		if n == 0 {
			return s[:i]
		}
		n--
	}
	return s
}

func (f spec) integer(n *big.Int) (string, error) {
	base, prefix := 10, ""
	switch f.verb {
	case 0, 'd', 'n', 'i', 'u':
	case 'b':
		base, prefix = 2, "0b"
	case 'o':
		base, prefix = 8, "0o"
	case 'x':
		base, prefix = 16, "0x"
	case 'X':
		base, prefix = 16, "0X"
	case 'c':
		if !n.IsInt64() || n.Int64() < 0 || n.Int64() > utf8.MaxRune {
			return "", failf("%%c arg not in range(0x110000)")
		}
		return f.pad(string(rune(n.Int64())), "", '<'), nil
	default:
		return "", failf("Unknown format code '%c' for object of type 'int'", f.verb)
	}
	digits := new(big.Int).Abs(n).Text(base)
	if f.verb == 'X' {
		digits = strings.ToUpper(digits)
	}
	if !f.alternate {
		prefix = ""
	}
	if size := 3; f.group != "" {
		if base != 10 {
			size = 4
		}
		digits = group(digits, f.group, size)
	}
	return f.pad(digits, f.signOf(n.Sign() < 0)+prefix, '>'), nil
}

func (f spec) signOf(negative bool) string {
	if negative {
		return "-"
	}
	if f.sign == '+' || f.sign == ' ' {
		return string(f.sign)
	}
	return ""
}

func (f spec) float(v float64) (string, error) {
	precision := f.precision
	if precision < 0 {
		precision = 6
	}
	abs := math.Abs(v)
	var digits string
	switch f.verb {
	case 0:
		digits = string(appendFloat(nil, abs))
		if f.precision >= 0 {
			digits = generalFloat(abs, max(1, precision), f.alternate)
			if !strings.ContainsAny(digits, ".en") {
				digits += ".0"
			}
		}
	case 'f', 'F':
		digits = strconv.FormatFloat(abs, 'f', precision, 64)
	case '%':
		digits = strconv.FormatFloat(abs*100, 'f', precision, 64) + "%"
	case 'e', 'E':
		digits = strconv.FormatFloat(abs, 'e', precision, 64)
	case 'g', 'G', 'n':
		digits = generalFloat(abs, max(1, precision), f.alternate)
	default:
		return "", failf("Unknown format code '%c' for object of type 'float'", f.verb)
	}
	if math.IsInf(v, 0) || math.IsNaN(v) {
		digits = strings.ToLower(strings.TrimPrefix(strconv.FormatFloat(abs, 'f', -1, 64), "+"))
		if f.verb == '%' {
			digits += "%"
		}
	}
	if f.verb == 'E' || f.verb == 'G' || f.verb == 'F' {
		digits = strings.ToUpper(digits)
	}
	if f.group != "" {
		whole := strings.IndexFunc(digits, func(c rune) bool { return c < '0' || c > '9' })
		if whole < 0 {
			whole = len(digits)
		}
		digits = group(digits[:whole], f.group, 3) + digits[whole:]
	}
	return f.pad(digits, f.signOf(math.Signbit(v) && !math.IsNaN(v)), '>'), nil
}

// generalFloat is %g: a number of digits, with an exponent if that is below -4 or not below the number of digits.
func generalFloat(v float64, digits int, zeros bool) string {
	if v == 0 {
		return "0"
	}
	s := strconv.FormatFloat(v, 'e', digits-1, 64)
	mantissa, exponent, ok := strings.Cut(s, "e")
	if !ok {
		return s
	}
	n, _ := strconv.Atoi(exponent)
	if n >= -4 && n < digits {
		mantissa, exponent = strconv.FormatFloat(v, 'f', digits-1-n, 64), ""
	}
	if !zeros && strings.Contains(mantissa, ".") {
		mantissa = strings.TrimRight(strings.TrimRight(mantissa, "0"), ".")
	}
	if exponent != "" {
		return mantissa + "e" + exponent
	}
	return mantissa
}

// group puts a separator between groups of digits.
func group(digits, by string, size int) string {
	var b strings.Builder
	for i := range len(digits) {
		if i > 0 && (len(digits)-i)%size == 0 {
			b.WriteString(by)
		}
		b.WriteByte(digits[i])
	}
	return b.String()
}

// pad fills up to the width.
func (f spec) pad(digits, sign string, align byte) string {
	if f.align != 0 {
		align = f.align
	}
	n := f.width - utf8.RuneCountInString(digits) - len(sign)
	if n <= 0 {
		return sign + digits
	}
	switch align {
	case '<':
		return sign + digits + strings.Repeat(f.fill, n)
	case '=':
		return sign + strings.Repeat(f.fill, n) + digits
	case '^':
		return strings.Repeat(f.fill, n/2) + sign + digits + strings.Repeat(f.fill, n-n/2)
	}
	return strings.Repeat(f.fill, n) + sign + digits
}

// format is text.format(…). A field takes an argument by its number, its name or its turn, and no attribute of it.
func (r *run) format(text string, args callArgs) (any, error) {
	var b strings.Builder
	turn := 0
	for text != "" {
		i := strings.IndexAny(text, "{}")
		if i < 0 {
			i = len(text)
		}
		b.WriteString(text[:i])
		if text = text[i:]; text == "" {
			break
		}
		if len(text) > 1 && text[1] == text[0] {
			b.WriteByte(text[0])
			text = text[2:]
			continue
		}
		end := strings.IndexByte(text, '}')
		if text[0] == '}' || end < 0 {
			return nil, failf("Single '%c' encountered in format string", text[0])
		}
		formatted, err := r.formatField(text[1:end], args, &turn)
		if err != nil {
			return nil, err
		}
		b.WriteString(formatted)
		if text = text[end+1:]; b.Len() > maxString {
			break
		}
	}
	return b.String(), r.text(b.Len())
}

func (r *run) formatField(field string, args callArgs, turn *int) (string, error) {
	name, how, _ := strings.Cut(field, ":")
	name, conversion, _ := strings.Cut(name, "!")
	var v any
	index, err := strconv.Atoi(name)
	if name == "" {
		index, err = *turn, nil
		*turn++
	}
	if err == nil {
		if index < 0 || index >= len(args.positional) {
			return "", failf("Replacement index %d out of range for positional args tuple", index)
		}
		v = args.positional[index]
	} else {
		if err := r.step(len(args.names) / stepBytes); err != nil {
			return "", err
		}
		at := -1
		for i := range args.names {
			if args.names[i] == name {
				at = i
			}
		}
		if at < 0 {
			return "", failf("there is no argument '%s' to format", clip(name, 40))
		}
		v = args.named[at]
	}
	switch conversion {
	case "r":
		v, err = r.repr(v)
	case "s":
		v, err = r.str(v)
	default:
		err = nil
	}
	if err != nil {
		return "", err
	}
	f, err := parseSpec(how)
	if err != nil {
		return "", err
	}
	return f.apply(r, v)
}
