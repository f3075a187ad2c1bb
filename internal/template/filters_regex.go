package template

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/statehouse/statehouse/internal/regex"
)

// regexFilters match text by regular expressions. They are Go's, which take time in proportion to the text.
var regexFilters = []*builtin{
	define("regex_match", "value find? ignorecase?", func(r *run, a []any) (any, error) { return regexMatches(r, a, `\A`) }),
	define("regex_search", "value find? ignorecase?", func(r *run, a []any) (any, error) { return regexMatches(r, a, "") }),
	define("regex_replace", "value? find? replace? ignorecase?", regexReplace),
	define("regex_findall", "value find? ignorecase?", func(r *run, a []any) (any, error) { return regexFindAll(r, a[0], a[1], a[2]) }),
	define("regex_findall_index", "value find? index? ignorecase?", func(r *run, a []any) (any, error) {
		all, err := regexFindAll(r, a[0], a[1], a[3])
		if err != nil {
			return nil, err
		}
		index, err := argInt("regex_findall_index", a[2], 0)
		if err != nil {
			return nil, err
		}
		v, ok := itemAt(all, int64(index))
		if !ok {
			return nil, failf("list index out of range")
		}
		return v, nil
	}),
}

type regexpKey struct{ pattern, flags string }

// compile compiles a pattern once in a run.
func (r *run) compile(find any, ignoreCase bool, prefix string) (*regex.Regex, error) {
	text, err := argString("a regular expression", or(find, ""))
	if err != nil {
		return nil, err
	}
	key := regexpKey{text, prefix}
	if ignoreCase {
		key.flags = "(?i)" + prefix
	}
	if p := r.regexps[key]; p != nil {
		return p, nil
	}
	if err := r.step(100 + 20*min(len(text), regex.MaxLength)); err != nil {
		return nil, err
	}
	// What Python writes otherwise: the end of the text.
	p, err := new(regex.Budget).Compile(key.flags, strings.ReplaceAll(text, `\Z`, `\z`))
	if errors.Is(err, regex.ErrTooLarge) {
		return nil, fmt.Errorf("%w: %w", ErrTooLarge, err)
	}
	if err != nil {
		return nil, failf("the regular expression '%s' is not one that is supported here: %v", clip(text, 100), err)
	}
	if err := r.step(10 * p.Size); err != nil {
		return nil, err
	}
	if r.regexps == nil {
		r.regexps = map[regexpKey]*regex.Regex{}
	}
	r.regexps[key] = p
	return p, nil
}

// match is the first match of a pattern. It is paid for as if it looked at everything.
func (r *run) match(p *regex.Regex, s string) ([]int, error) {
	if err := r.step(p.Cost(len(s))); err != nil {
		return nil, err
	}
	return p.FindStringSubmatchIndex(s), nil
}

func regexMatches(r *run, a []any, prefix string) (any, error) {
	s, err := r.str(a[0])
	if err != nil {
		return nil, err
	}
	p, err := r.compile(a[1], truth(or(a[2], false)), prefix)
	if err != nil {
		return nil, err
	}
	match, err := r.match(p, s)
	return match != nil, err
}

// matches visits all matches of a pattern. Each search is paid for as if it looked at the rest of the text, since a pattern such as
// a.*b|a makes it do so. Python, unlike Go, takes an empty match also right after another match.
func (r *run) matches(p *regex.Regex, s string, visit func(match []int) error) error {
	if p.Context {
		// A search from an offset would not see the character before. So Go searches for all, at once.
		if err := r.steps64(1 + int64(len(s))*int64(1+p.Cost(len(s)))); err != nil {
			return err
		}
		for _, match := range p.FindAllStringSubmatchIndex(s, maxItems) {
			if err := visit(match); err != nil {
				return err
			}
		}
		return nil
	}
	for from := 0; from <= len(s); {
		match, err := r.match(p, s[from:])
		if err != nil || match == nil {
			return err
		}
		for i := range match {
			if match[i] >= 0 {
				match[i] += from
			}
		}
		if err := visit(match); err != nil {
			return err
		}
		if from = match[1]; match[0] == match[1] {
			_, n := utf8.DecodeRuneInString(s[from:])
			from += max(n, 1)
		}
	}
	return nil
}

func regexFindAll(r *run, value, find, ignoreCase any) (any, error) {
	s, err := r.str(value)
	if err != nil {
		return nil, err
	}
	p, err := r.compile(find, truth(or(ignoreCase, false)), "")
	if err != nil {
		return nil, err
	}
	l := &list{}
	return l, r.matches(p, s, func(match []int) error {
		groups := make([]any, 0, len(match)/2)
		for i := 2; i < len(match); i += 2 {
			groups = append(groups, group0(s, match, i))
		}
		switch len(groups) {
		case 0:
			l.items = append(l.items, s[match[0]:match[1]])
		case 1:
			l.items = append(l.items, groups[0])
		default:
			l.items = append(l.items, &list{items: groups, tuple: true})
		}
		return r.step(1 + len(groups))
	})
}

// group0 is a group of a match, empty if it took no part.
func group0(s string, match []int, i int) string {
	if match[i] < 0 {
		return ""
	}
	return s[match[i]:match[i+1]]
}

func regexReplace(r *run, a []any) (any, error) {
	s, err := r.str(or(a[0], ""))
	if err != nil {
		return nil, err
	}
	p, err := r.compile(a[1], truth(or(a[3], false)), "")
	if err != nil {
		return nil, err
	}
	with, err := argString("regex_replace", or(a[2], ""))
	if err != nil {
		return nil, err
	}
	var b strings.Builder
	at := 0
	err = r.matches(p, s, func(match []int) error {
		b.WriteString(s[at:match[0]])
		at = match[1]
		return r.expand(&b, p, with, s, match)
	})
	if err != nil {
		return nil, err
	}
	b.WriteString(s[at:])
	return b.String(), r.text(b.Len())
}

// expand writes a replacement, with \1 and \g<name> of Python. It pays for what the replacement has; what it writes the caller
// pays for, as long as that is no larger than a string may be.
func (r *run) expand(b *strings.Builder, p *regex.Regex, with, s string, match []int) error {
	if err := r.step(1 + len(with)/stepBytes); err != nil {
		return err
	}
	for i := 0; i < len(with); i++ {
		if with[i] != '\\' || i+1 == len(with) {
			b.WriteByte(with[i])
			continue
		}
		i++
		name := ""
		switch c := with[i]; {
		case c == '0': // an octal character, not a group
			code := 0
			for end := min(i+3, len(with)); i < end && '0' <= with[i] && with[i] <= '7'; i++ {
				code = code*8 + int(with[i]-'0')
			}
			i--
			b.WriteRune(rune(code))
			continue
		case isDigit(c):
			name = string(c)
			if i+1 < len(with) && isDigit(with[i+1]) {
				i++
				name += string(with[i])
			}
		case c == 'g' && i+1 < len(with) && with[i+1] == '<':
			end := strings.IndexByte(with[i:], '>')
			if end < 0 {
				return failf("missing >, unterminated name in a replacement")
			}
			name = with[i+2 : i+end]
			i += end
		case c == 'n':
			b.WriteByte('\n')
			continue
		case c == 't':
			b.WriteByte('\t')
			continue
		case c == '\\':
			b.WriteByte('\\')
			continue
		case 'a' <= c|0x20 && c|0x20 <= 'z':
			return failf("bad escape \\%c in a replacement", c)
		default:
			b.WriteByte('\\')
			_, n := utf8.DecodeRuneInString(with[i:])
			b.WriteString(with[i : i+n])
			i += n - 1
			continue
		}
		// A short reference may name a long group, or one of many.
		if err := r.step(1 + len(match)/stepBytes); err != nil {
			return err
		}
		group, err := strconv.Atoi(name)
		if err != nil {
			group = p.SubexpIndex(name)
		}
		if group < 0 || group >= len(match)/2 {
			return failf("invalid group reference %s", clip(name, 40))
		}
		if b.WriteString(group0(s, match, 2*group)); b.Len() > maxString {
			return r.text(b.Len())
		}
	}
	if b.Len() > maxString {
		return r.text(b.Len())
	}
	return nil
}
