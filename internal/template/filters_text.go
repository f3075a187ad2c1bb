package template

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// textFilters work on text; what is none becomes text first, as in Jinja.
var textFilters = []*builtin{
	textFilter("upper", pyUpper), textFilter("lower", strings.ToLower), textFilter("capitalize", capitalize),
	textFilter("title", jinjaTitle),
	textFilter("escape", strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", "'", "&#39;", `"`, "&#34;").Replace),
	textFilter("string", func(s string) string { return s }),
	define("safe", "value", func(_ *run, a []any) (any, error) { return a[0], nil }),
	define("trim", "value chars?", func(r *run, a []any) (any, error) {
		s, err := r.str(a[0])
		if err != nil {
			return nil, err
		}
		return trimText(s, a[1], true, true)
	}),
	define("replace", "s old new count?", filterReplace),
	define("center", "value width?", func(r *run, a []any) (any, error) {
		s, err := r.str(a[0])
		if err != nil {
			return nil, err
		}
		width, err := argInt("center", a[1], 80)
		if err != nil {
			return nil, err
		}
		return pad(r, s, width, " ", "center")
	}),
	define("truncate", "s length? killwords? end? leeway?", truncateText),
	define("indent", "s width? first? blank?", indent),
	define("wordcount", "s", func(r *run, a []any) (any, error) {
		s, err := r.str(a[0])
		if err != nil {
			return nil, err
		}
		words := strings.FieldsFunc(s, func(c rune) bool { return c != '_' && !unicode.IsLetter(c) && !unicode.IsNumber(c) })
		return int64(len(words)), r.step(len(s) / 16)
	}),
	defineRaw("format", func(r *run, of any, args callArgs) (any, error) {
		s, err := r.str(of)
		if err != nil {
			return nil, err
		}
		if len(args.names) > 0 {
			named := &dict{}
			for i, name := range args.names {
				_ = named.put(name, args.named[i]) // a string can always be a key
			}
			return r.percent(s, named)
		}
		return r.percent(s, &list{items: args.positional, tuple: true})
	}),
	define("urlencode", "value", urlEncode),
	define("slugify", "value separator?", slugify),
	define("ordinal", "value", ordinal),
	define("ord", "value", func(_ *run, a []any) (any, error) {
		s, err := argString("ord()", a[0])
		if err != nil {
			return nil, err
		}
		if utf8.RuneCountInString(s) != 1 {
			return nil, failf("ord() expected a character, but string of length %d found", utf8.RuneCountInString(s))
		}
		c, _ := utf8.DecodeRuneInString(s)
		return int64(c), nil
	}),
}

func textFilter(name string, f func(string) string) *builtin {
	return define(name, "value", func(r *run, a []any) (any, error) {
		s, err := r.str(a[0])
		if err == nil {
			err = r.text(len(s))
		}
		if err != nil {
			return nil, err
		}
		return r.made(f(s), len(s))
	})
}

// jinjaTitle makes the first letter after a blank, a hyphen or a bracket upper case, and all others lower case.
func jinjaTitle(s string) string {
	begin := true
	return strings.Map(func(c rune) rune {
		first := begin
		begin = isSpace(c) || strings.ContainsRune("-({[<", c)
		if first {
			return unicode.ToUpper(c)
		}
		return unicode.ToLower(c)
	}, s)
}

func filterReplace(r *run, a []any) (any, error) {
	var texts [3]string
	for i := range texts {
		var err error
		if texts[i], err = r.str(a[i]); err != nil {
			return nil, err
		}
	}
	count, err := argInt("replace", a[3], -1)
	if err != nil {
		return nil, err
	}
	return replaceText(r, texts[0], texts[1], texts[2], count)
}

func truncateText(r *run, a []any) (any, error) {
	s, err := argString("truncate", a[0])
	if err != nil {
		return nil, err
	}
	length, err := argInt("truncate", a[1], 255)
	if err != nil {
		return nil, err
	}
	end, err := argString("truncate", or(a[3], "..."))
	if err != nil {
		return nil, err
	}
	leeway, err := argInt("truncate", a[4], 5)
	if err != nil {
		return nil, err
	}
	keep := length - utf8.RuneCountInString(end)
	if keep < 0 || leeway < 0 {
		return nil, failf("truncate: expected length >= %d, got %d", utf8.RuneCountInString(end), length)
	}
	if err := r.text(len(s)); err != nil || utf8.RuneCountInString(s)-leeway <= length {
		return s, err
	}
	cut := clipRunes(s, keep)
	if !truth(or(a[2], false)) {
		if i := strings.LastIndexByte(cut, ' '); i >= 0 {
			cut = cut[:i]
		}
	}
	return cut + end, nil
}

func indent(r *run, a []any) (any, error) {
	s, err := argString("indent", a[0])
	if err != nil {
		return nil, err
	}
	by, ok := a[1].(string)
	if !ok {
		width, err := argInt("indent", a[1], 4)
		if err == nil {
			err = r.text(width)
		}
		if err != nil {
			return nil, err
		}
		by = strings.Repeat(" ", max(0, width))
	}
	lines, err := r.splitLines(s + "\n")
	if err != nil {
		return nil, err
	}
	if err := r.text(len(s) + product(len(lines), len(by)+1)); err != nil {
		return nil, err
	}
	for i, line := range lines {
		if i == 0 && truth(or(a[2], false)) || i > 0 && (line != "" || truth(or(a[3], false))) {
			lines[i] = by + line
		}
	}
	return strings.Join(lines, "\n"), nil
}

// urlEncode escapes what is not allowed in the path of a URL.
func urlEncode(r *run, a []any) (any, error) {
	s, err := r.str(a[0])
	if err == nil {
		err = r.text(3 * len(s))
	}
	if err != nil {
		return nil, err
	}
	const plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-~/"
	b := make([]byte, 0, len(s))
	for i := range len(s) {
		if strings.IndexByte(plain, s[i]) >= 0 {
			b = append(b, s[i])
		} else {
			b = append(b, '%', "0123456789ABCDEF"[s[i]>>4], "0123456789ABCDEF"[s[i]&0xf])
		}
	}
	return string(b), nil
}

// latin writes the letters of Latin alphabets that have marks, in ASCII: first the plain letter, then those it stands for.
var latin = func() map[rune]string {
	letters := map[rune]string{'ß': "ss", 'æ': "ae", 'œ': "oe", 'þ': "th", 'ð': "d", 'ø': "o", 'đ': "d", 'ł': "l", 'ı': "i", 'ŋ': "ng", 'ĳ': "ij", '°': "deg", 'µ': "u", 'μ': "m"}
	for _, group := range []string{"aàáâãäåāăą", "cçćĉċč", "dď", "eèéêëēĕėęě", "gĝğġģ", "hĥħ", "iìíîïĩīĭį", "jĵ", "kķ", "lĺļľŀ", "nñńņň", "oòóôõöōŏő", "rŕŗř", "sśŝşšș", "tţťŧț", "uùúûüũūŭůűų", "wŵ", "yýÿŷ", "zźżž"} {
		for _, c := range group[1:] {
			letters[c] = group[:1]
		}
	}
	return letters
}()

func slugify(r *run, a []any) (any, error) {
	s, err := r.str(a[0])
	if err != nil {
		return nil, err
	}
	separator, err := argString("slugify", or(a[1], "_"))
	if err == nil {
		err = r.text(2*len(s) + product(len(s), len(separator)))
	}
	if err != nil || s == "" {
		return "", err
	}
	var b strings.Builder
	gap := false
	for _, c := range strings.ToLower(s) {
		letters, known := latin[c]
		switch {
		case 'a' <= c && c <= 'z', '0' <= c && c <= '9':
			letters = string(c)
		case c == '\'' || c == '’':
			continue // what an apostrophe divides is one word
		case !known:
			gap = true
			continue
		}
		if gap && b.Len() > 0 {
			b.WriteString(separator)
		}
		gap = false
		b.WriteString(letters)
	}
	if b.Len() == 0 {
		return "unknown", nil
	}
	return b.String(), nil
}

func ordinal(r *run, a []any) (any, error) {
	s, err := r.str(a[0])
	if err != nil {
		return nil, err
	}
	last, ok := parseInt(s[max(0, len(s)-2):], 10)
	n, small := last.(int64)
	if !ok || !small {
		return nil, failf("invalid literal for int() with base 10: '%s'", clip(s, 40))
	}
	suffix := "th"
	if abs := max(n, -n); abs < 11 || abs > 13 {
		suffix = map[int64]string{1: "st", 2: "nd", 3: "rd"}[abs%10]
		if suffix == "" {
			suffix = "th"
		}
	}
	return s + suffix, nil
}
