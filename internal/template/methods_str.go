package template

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

var strMethods = methodTable(
	mapped("upper", pyUpper), mapped("lower", strings.ToLower), mapped("casefold", strings.ToLower),
	mapped("capitalize", capitalize), mapped("title", pyTitle), mapped("swapcase", swapCase),
	stripping("strip", true, true), stripping("lstrip", true, false), stripping("rstrip", false, true),
	splitting("split", false), splitting("rsplit", true),
	define("splitlines", "self", func(r *run, a []any) (any, error) {
		lines, err := r.splitLines(a[0].(string))
		if err != nil {
			return nil, err
		}
		return texts(lines), nil
	}),
	define("replace", "self old new count?", strReplace),
	define("join", "self iterable", func(r *run, a []any) (any, error) { return joinStrict(r, a[0].(string), a[1]) }),
	defineRaw("format", func(r *run, of any, args callArgs) (any, error) { return r.format(of.(string), args) }),
	affix("startswith", strings.HasPrefix), affix("endswith", strings.HasSuffix),
	define("removeprefix", "self prefix", func(_ *run, a []any) (any, error) {
		prefix, err := argString("removeprefix()", a[1])
		return strings.TrimPrefix(a[0].(string), prefix), err
	}),
	define("removesuffix", "self suffix", func(_ *run, a []any) (any, error) {
		suffix, err := argString("removesuffix()", a[1])
		return strings.TrimSuffix(a[0].(string), suffix), err
	}),
	finding("find", strings.Index, false), finding("rfind", strings.LastIndex, false),
	finding("index", strings.Index, true), finding("rindex", strings.LastIndex, true),
	define("count", "self sub", func(r *run, a []any) (any, error) {
		sub, err := argString("count()", a[1])
		if err != nil {
			return nil, err
		}
		return int64(strings.Count(a[0].(string), sub)), r.step(len(a[0].(string)) / 64)
	}),
	padding("center"), padding("ljust"), padding("rjust"),
	define("zfill", "self width", func(r *run, a []any) (any, error) {
		s := a[0].(string)
		width, err := argInt("zfill()", a[1], 0)
		if err != nil {
			return nil, err
		}
		n := width - utf8.RuneCountInString(s)
		if n <= 0 {
			return s, nil
		}
		if err := r.text(len(s) + n); err != nil {
			return nil, err
		}
		sign := 0
		if s != "" && (s[0] == '-' || s[0] == '+') {
			sign = 1
		}
		return s[:sign] + strings.Repeat("0", n) + s[sign:], nil
	}),
	partition("partition", strings.Index), partition("rpartition", strings.LastIndex),
	every("isdigit", unicode.IsDigit), every("isdecimal", unicode.IsDigit), every("isnumeric", unicode.IsNumber),
	every("isalpha", unicode.IsLetter), every("isspace", isSpace),
	every("isalnum", func(c rune) bool { return unicode.IsLetter(c) || unicode.IsNumber(c) }),
	cased("islower", unicode.IsLower, unicode.IsUpper), cased("isupper", unicode.IsUpper, unicode.IsLower),
	define("encode", "self encoding? errors?", func(r *run, a []any) (any, error) {
		return encodeText(r, a[0].(string), or(a[1], "utf-8"))
	}),
)

// mapped is a method that makes a string of a string, of about its size.
func mapped(name string, f func(string) string) *builtin {
	return define(name, "self", func(r *run, a []any) (any, error) {
		if err := r.text(len(a[0].(string))); err != nil {
			return nil, err
		}
		return r.made(f(a[0].(string)), len(a[0].(string)))
	})
}

// made is a string that was made of one of n bytes, for which it was paid: for what it has more it is paid now.
func (r *run) made(s string, n int) (any, error) {
	if len(s) <= n {
		return s, nil
	}
	if len(s) > maxString {
		return nil, r.text(len(s))
	}
	return s, r.text(len(s) - n)
}

func pyUpper(s string) string { return strings.ToUpper(strings.ReplaceAll(s, "ß", "SS")) }

func capitalize(s string) string {
	_, n := utf8.DecodeRuneInString(s)
	return pyUpper(s[:n]) + strings.ToLower(s[n:])
}

// pyTitle is str.title: a letter after what is no letter is upper case.
func pyTitle(s string) string {
	letter := false
	return strings.Map(func(c rune) rune {
		defer func() { letter = unicode.IsLetter(c) }()
		if letter {
			return unicode.ToLower(c)
		}
		return unicode.ToTitle(c)
	}, s)
}

func swapCase(s string) string {
	return strings.Map(func(c rune) rune {
		if unicode.IsUpper(c) {
			return unicode.ToLower(c)
		}
		return unicode.ToUpper(c)
	}, s)
}

// trimText strips blanks, or the given characters, from the sides.
func trimText(s string, chars any, left, right bool) (string, error) {
	drop := isSpace
	if chars != missing && chars != nil {
		set, err := argString("strip()", chars)
		if err != nil {
			return "", err
		}
		if len(set) > 1000 {
			return "", failBound("%d characters to strip", len(set))
		}
		drop = func(c rune) bool { return strings.ContainsRune(set, c) }
	}
	if left {
		s = strings.TrimLeftFunc(s, drop)
	}
	if right {
		s = strings.TrimRightFunc(s, drop)
	}
	return s, nil
}

func stripping(name string, left, right bool) *builtin {
	return define(name, "self chars?", func(r *run, a []any) (any, error) {
		if err := r.text(len(a[0].(string))); err != nil {
			return nil, err
		}
		return trimText(a[0].(string), a[1], left, right)
	})
}

// texts makes a list of strings.
func texts(parts []string) any {
	l := &list{items: make([]any, len(parts))}
	for i, part := range parts {
		l.items[i] = part
	}
	return l
}

func splitting(name string, fromEnd bool) *builtin {
	return define(name, "self sep? maxsplit?", func(r *run, a []any) (any, error) {
		s := a[0].(string)
		limit, err := argInt(name+"()", a[2], -1)
		if err != nil {
			return nil, err
		}
		if err := r.text(len(s)); err != nil {
			return nil, err
		}
		if limit < 0 {
			limit = 1 << 30
		}
		if sep := or(a[1], nil); sep != nil {
			by, err := argString(name+"()", sep)
			if err != nil {
				return nil, err
			}
			if by == "" {
				return nil, failf("empty separator")
			}
			n := strings.Count(s, by)
			if !fromEnd {
				n = min(n, limit)
			}
			if err := r.items(n + 1); err != nil {
				return nil, err
			}
			if fromEnd {
				return texts(splitEnd(s, by, limit)), nil
			}
			return texts(strings.SplitN(s, by, limit+1)), nil
		}
		if err := r.items(countFields(s)); err != nil {
			return nil, err
		}
		return texts(fields(s, limit, fromEnd)), nil
	})
}

// splitEnd splits at the last separators.
func splitEnd(s, by string, limit int) []string {
	all := strings.Split(s, by)
	if first := len(all) - 1 - limit; first > 0 {
		all = append([]string{strings.Join(all[:first+1], by)}, all[first+1:]...)
	}
	return all
}

// countFields is how many words there are between blanks.
func countFields(s string) int {
	n, inside := 0, false
	for _, c := range s {
		blank := isSpace(c)
		if !blank && !inside {
			n++
		}
		inside = !blank
	}
	return n
}

// fields splits at blanks.
func fields(s string, limit int, fromEnd bool) []string {
	parts := strings.FieldsFunc(s, isSpace)
	if len(parts) <= limit+1 {
		return parts
	}
	// What is left over keeps the blanks inside, which only the text itself has.
	if fromEnd {
		rest := s
		for range limit {
			rest = strings.TrimRightFunc(rest, isSpace)
			rest = strings.TrimRightFunc(rest, func(c rune) bool { return !isSpace(c) })
		}
		return append([]string{strings.TrimRightFunc(rest, isSpace)}, parts[len(parts)-limit:]...)
	}
	rest := s
	for range limit {
		rest = strings.TrimLeftFunc(rest, isSpace)
		rest = strings.TrimLeftFunc(rest, func(c rune) bool { return !isSpace(c) })
	}
	return append(parts[:limit:limit], strings.TrimLeftFunc(rest, isSpace))
}

// lineEnds writes every end of a line that Python knows as one.
var lineEnds = strings.NewReplacer("\r\n", "\n", "\r", "\n", "\v", "\n", "\f", "\n", "\u2028", "\n", "\u2029", "\n", "\u0085", "\n")

// splitLines splits at the ends of lines, and pays for the lines.
func (r *run) splitLines(s string) ([]string, error) {
	s = lineEnds.Replace(s)
	if s == "" {
		return nil, nil
	}
	s = strings.TrimSuffix(s, "\n")
	if err := r.items(1 + strings.Count(s, "\n")); err != nil {
		return nil, err
	}
	return strings.Split(s, "\n"), nil
}

func strReplace(r *run, a []any) (any, error) {
	s := a[0].(string)
	from, err := argString("replace()", a[1])
	if err != nil {
		return nil, err
	}
	to, err := argString("replace()", a[2])
	if err != nil {
		return nil, err
	}
	count, err := argInt("replace()", a[3], -1)
	if err != nil {
		return nil, err
	}
	return replaceText(r, s, from, to, count)
}

// replaceText replaces, after it has paid for the result.
func replaceText(r *run, s, from, to string, count int) (any, error) {
	n := strings.Count(s, from)
	if count >= 0 {
		n = min(n, count)
	}
	size := len(s) - n*max(0, len(from)-len(to))
	if len(to) > len(from) {
		size = len(s) + product(n, len(to)-len(from))
	}
	if err := r.text(size); err != nil {
		return nil, err
	}
	return strings.Replace(s, from, to, n), r.step(len(s) / 64)
}

// joinStrict joins strings, and nothing else, as str.join.
func joinStrict(r *run, by string, parts any) (any, error) {
	var b strings.Builder
	first := true
	err := r.each(parts, func(v any) error {
		s, ok := v.(string)
		if !ok {
			return failf("sequence item: expected str instance, %s found", typeName(v))
		}
		if !first {
			b.WriteString(by)
		}
		first = false
		b.WriteString(s)
		if b.Len() > maxString {
			return r.text(b.Len())
		}
		return r.step((len(s) + len(by)) / stepBytes)
	})
	return b.String(), err
}

func affix(name string, has func(s, affix string) bool) *builtin {
	return define(name, "self affix", func(r *run, a []any) (any, error) {
		if several, ok := a[1].(*list); ok && several.tuple {
			for i := range several.length() {
				item := several.at(i)
				if err := r.step(reading(item)); err != nil {
					return nil, err
				}
				if s, ok := item.(string); ok && has(a[0].(string), s) {
					return true, nil
				}
			}
			return false, nil
		}
		s, err := argString(name+"()", a[1])
		return err == nil && has(a[0].(string), s), err
	})
}

func finding(name string, find func(s, sub string) int, must bool) *builtin {
	return define(name, "self sub", func(r *run, a []any) (any, error) {
		s := a[0].(string)
		sub, err := argString(name+"()", a[1])
		if err != nil {
			return nil, err
		}
		i := find(s, sub)
		if i < 0 {
			if must {
				return nil, failf("substring not found")
			}
			return int64(-1), nil
		}
		return int64(utf8.RuneCountInString(s[:i])), r.step(len(s) / 64)
	})
}

func padding(name string) *builtin {
	return define(name, "self width fill?", func(r *run, a []any) (any, error) {
		width, err := argInt(name+"()", a[1], 0)
		if err != nil {
			return nil, err
		}
		fill, err := argString(name+"()", or(a[2], " "))
		if err != nil {
			return nil, err
		}
		if utf8.RuneCountInString(fill) != 1 {
			return nil, failf("the fill character must be exactly one character long")
		}
		return pad(r, a[0].(string), width, fill, name)
	})
}

// pad fills up to a width. Python puts the odd character to the left if the width is odd, and to the right else.
func pad(r *run, s string, width int, fill, name string) (any, error) {
	n := width - utf8.RuneCountInString(s)
	if n <= 0 {
		return s, nil
	}
	if n > maxString {
		return nil, failBound("a string of %d characters", width)
	}
	if err := r.text(len(s) + n*len(fill)); err != nil {
		return nil, err
	}
	left := 0
	switch name {
	case "rjust":
		left = n
	case "center":
		left = n/2 + (n & width & 1)
	}
	return strings.Repeat(fill, left) + s + strings.Repeat(fill, n-left), nil
}

func partition(name string, find func(s, sub string) int) *builtin {
	return define(name, "self sep", func(r *run, a []any) (any, error) {
		s := a[0].(string)
		sep, err := argString(name+"()", a[1])
		if err != nil {
			return nil, err
		}
		if sep == "" {
			return nil, failf("empty separator")
		}
		parts := []any{s, "", ""}
		if i := find(s, sep); i >= 0 {
			parts = []any{s[:i], sep, s[i+len(sep):]}
		} else if name == "rpartition" {
			parts = []any{"", "", s}
		}
		return &list{items: parts, tuple: true}, r.text(len(s))
	})
}

// every is a method that says whether there are characters and all are of a kind.
func every(name string, is func(rune) bool) *builtin {
	return define(name, "self", func(r *run, a []any) (any, error) {
		s := a[0].(string)
		return s != "" && strings.IndexFunc(s, func(c rune) bool { return !is(c) }) < 0, r.step(len(s) / 16)
	})
}

// cased is a method that says whether there are characters of one case and none of the other.
func cased(name string, want, never func(rune) bool) *builtin {
	return define(name, "self", func(r *run, a []any) (any, error) {
		s := a[0].(string)
		return strings.IndexFunc(s, want) >= 0 && strings.IndexFunc(s, never) < 0, r.step(len(s) / 16)
	})
}

// encodeText is str.encode.
func encodeText(r *run, s string, encoding any) (any, error) {
	if err := r.text(len(s)); err != nil {
		return nil, err
	}
	switch encoding {
	case "utf-8", "utf8", "UTF-8":
		return pyBytes(s), nil
	case "ascii", "latin-1", "latin1", "iso-8859-1":
		b := make([]byte, 0, len(s))
		for _, c := range s {
			if c > 0xff || encoding == "ascii" && c > 0x7f {
				return nil, failf("%q cannot be encoded as %v", c, encoding)
			}
			b = append(b, byte(c))
		}
		return pyBytes(b), nil
	}
	return nil, failf("unknown encoding; want utf-8, ascii or latin-1")
}

// decodeText is bytes.decode.
func decodeText(r *run, s string, encoding any) (any, error) {
	if err := r.text(len(s)); err != nil {
		return nil, err
	}
	switch encoding {
	case "utf-8", "utf8", "UTF-8", "ascii":
		if !utf8.ValidString(s) {
			return nil, failf("the bytes are not %v", encoding)
		}
		return s, nil
	case "latin-1", "latin1", "iso-8859-1":
		runes := make([]rune, len(s))
		for i := range len(s) {
			runes[i] = rune(s[i])
		}
		return r.made(string(runes), len(s))
	}
	return nil, failf("unknown encoding; want utf-8, ascii or latin-1")
}
