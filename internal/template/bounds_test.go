package template

import (
	"errors"
	"runtime"
	"strings"
	"testing"
)

// Runs that have a budget in common take no more than one run beyond it.
func TestBudget(t *testing.T) {
	slow, err := Compile("{% for a in range(90000) %}{% set b = a %}{% endfor %}{{ value }}")
	if err != nil {
		t.Fatal(err)
	}
	p, env := NewPayload([]byte("x")), &Env{Budget: &Budget{}}
	runs := 0
	for ; runs < 1000 && err == nil; runs++ {
		_, err = slow.RenderIn(env, p, nil)
	}
	if !errors.Is(err, ErrTooLong) || runs < 4 || runs > 100 {
		t.Errorf("%d runs, and then %v", runs, err)
	}
	if out, err := slow.RenderIn(&Env{Budget: &Budget{}}, p, nil); out != "x" || err != nil {
		t.Errorf("with another budget: %q, %v", out, err)
	}
}

// Hostile templates end, with the error that says which bound they met.
func TestBounds(t *testing.T) {
	loop := "{% for i in range(100000) %}"
	for text, want := range map[string]error{
		"{{ range(10**9) }}":              ErrTooLarge,
		"{{ range(10**9)|list }}":         ErrTooLarge,
		"{{ 'a' * 10**9 }}":               ErrTooLarge,
		"{{ [1] * 10**9 }}":               ErrTooLarge,
		"{{ 'a' * 10**30 }}":              ErrTooLarge,
		"{{ 10**(10**10) }}":              ErrTooLarge,
		"{{ 2**(2**62) }}":                ErrTooLarge,
		"{{ (-3)**99999 }}":               ErrTooLarge,
		"{{ 'x'|center(10**9) }}":         ErrTooLarge,
		"{{ 'x'.center(10**9) }}":         ErrTooLarge,
		"{{ 'x'.zfill(10**9) }}":          ErrTooLarge,
		"{{ 'x'.ljust(10**12) }}":         ErrTooLarge,
		"{{ '%1000000000d' % 1 }}":        ErrTooLarge,
		"{{ '%.1000000000f' % 1 }}":       ErrTooLarge,
		"{{ '{:1000000000}'.format(1) }}": ErrTooLarge,
		"{{ 'a\nb'|indent(10**9) }}":      ErrTooLarge,
		"{{ [1]|batch(10**9, 0)|list }}":  ErrTooLarge,
		"{{ [1]|slice(10**9)|list }}":     ErrTooLarge,
		"{{ [1]|tojson(10**9) }}":         ErrTooLarge,
		"{{ 'a'|regex_match('" + strings.Repeat("a", 1001) + "') }}":                                                   ErrTooLarge,
		"{{ 'a'|regex_match('(((a{100}){10}){2})') }}":                                                                 ErrFailed, // Go refuses that one itself
		"{{ 'a'|regex_match('[ab]{1000}[ab]{1000}[ab]{1000}') }}":                                                      ErrTooLarge,
		loop + loop + "{% endfor %}{% endfor %}":                                                                       ErrTooLong,
		loop + "{{ 'aaaaaaaaaa' }}{% endfor %}":                                                                        ErrTooLarge,
		loop + "{% set x = 'a' * 1000 %}{% endfor %}":                                                                  ErrTooLong,
		"{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}":                                                              ErrTooLong,
		"{% macro m() %}{{ m() }}{{ m() }}{% endmacro %}{{ m() }}":                                                     ErrTooLong,
		"{% for i in [1] recursive %}{{ loop([1]) }}{% endfor %}":                                                      ErrTooLong,
		"{% set n = namespace(x=[1]) %}{% for i in range(90) %}{% set n.x = [n.x, n.x] %}{% endfor %}{{ n.x }}":        ErrTooLarge,
		"{% set n = namespace(x=[1]) %}{% for i in range(90) %}{% set n.x = [n.x, n.x] %}{% endfor %}{{ n.x == n.x }}": ErrTooLong,
		"{% set n = namespace(x=[1]) %}{% for i in range(200) %}{% set n.x = [n.x] %}{% endfor %}{{ n.x }}":            ErrFailed,
		"{% set n = namespace(x=[1]) %}{% for i in range(200) %}{% set n.x = [n.x] %}{% endfor %}{{ n.x|tojson }}":     ErrFailed,
		"{% set n = namespace(x=(1,)) %}{% for i in range(90) %}{% set n.x = (n.x, n.x) %}{% endfor %}{{ {n.x: 1} }}":  ErrTooLarge,
		"{% set n = namespace() %}{% set n.n = n %}{{ n }}":                                                            ErrFailed,
		"{% set n = namespace(s='ab') %}{% for i in range(60) %}{% set n.s = n.s ~ n.s %}{% endfor %}{{ n.s|length }}": ErrTooLarge,
		"{% set n = namespace(s='ab') %}{% for i in range(60) %}{% set n.s = n.s.replace('', n.s) %}{% endfor %}":      ErrTooLarge,
		"{% set n = namespace(i=3) %}{% for i in range(60) %}{% set n.i = n.i * n.i %}{% endfor %}":                    ErrTooLarge,
		"{% set s = 'a' * 100000 %}{{ s|regex_findall('a.*b|a')|length }}":                                             ErrTooLong,
		"{% set s = 'a' * 100000 %}{{ s|regex_replace('\\\\ba*b|a', 'x') }}":                                           ErrTooLong,
		"{{ range(100000)|map('string')|map('center', 1000)|list|length }}":                                            ErrTooLong,
		"{{ (range(100000)|list + range(100000)|list)|length }}":                                                       ErrTooLarge,
		"{{ ['a']|map('map', 'map', 'map')|list }}":                                                                    ErrFailed,
		"{{ 1|pack('10000x' * 60000 ~ 'B') }}":                                                                         ErrTooLarge,
		"{{ 'a'.encode()|unpack('10000x' * 60000 ~ 'B') }}":                                                            ErrTooLarge,
		"{% set n = namespace(x=[]) %}{% for i in range(60) %}{% set n.x = [n.x, n.x] %}{% endfor %}{{ n.x|tojson }}":  ErrTooLarge,
		"{% set s = 'a' * 100000 %}{{ s|regex_replace('(.*)', '\\\\1' * 100000) }}":                                    ErrTooLarge,
		"{% set s = '&' * 1000000 %}{{ s|e|length }}":                                                                  ErrTooLarge,
		"{{ {(7 ** 4900,) * 100: 1} }}":                                                                                ErrTooLarge,
		"{% set s = 'a' * 70000 %}{{ s.replace('', 'b' * 70000)|length }}":                                             ErrTooLarge, // 2^32 and a little
		"{{ ('a' * 65537 * 65536)|length }}":                                                                           ErrTooLarge,
		"{{ ([1] * 65537 * 65536)|length }}":                                                                           ErrTooLarge,
		"{{ ('a b' * 30000)|slugify('-' * 60000)|length }}":                                                            ErrTooLarge,
	} {
		compiled, err := Compile(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if out, err := compiled.RenderCommand(nil); !errors.Is(err, want) {
			t.Errorf("%s: %q, %v; want %v", clip(text, 200), clip(out, 100), err, want)
		}
	}
}

// What reads a long text again and again is paid for, and so ends; unpaid, each of these would take minutes.
func TestReadingIsPaidFor(t *testing.T) {
	for _, work := range []string{
		"s.find('b')", "s.startswith('b')", "s.count('b')", "s|trim", "s.strip()", "s.lstrip('b')", "s is lower", "s.isdigit()", "s|from_json(1)",
		"s == s ~ ''", "'b' in s", "s in 'b'", "s|length", "s|first", "s|last", "s[700000]", "s|int(1)", "s|float(1)", "s|bool(1)", "s|ordinal",
		"s.title()", "s.removeprefix(s)", "{s: 1}", "{}[s]", "s in {}", "s is iterable", "s|from_hex", "s % ()", "s.format()", "average(s, 1)",
		"s|as_datetime(1)", "s|as_timestamp(1)", "s|slugify", "s|wordcount", "s|tojson", "[s]|tojson", "[s, s]|unique", "[s, s]|sort", "[s]|max",
		"s|regex_search('b')", "s|base64_encode", "s|base64_decode", "s.encode()", "s|e", "s|truncate(10)", "s|contains('b')", "s|is_number",
		"s.splitlines()", "s.split('b')", "s.partition('b')", "s|replace('b', 'c')", "s ~ s|length", "today_at(s)", "strptime(s, '%Y', 1)",
		"('1' * 4000)|int", "(7 ** 4000)|string", "7 ** 4000 * 3 // 7 ** 4000", "s|sum(start=[])",
	} {
		compiled, err := Compile("{% set s = ' 5' * 400000 %}{% for i in range(100000) %}{% set x = " + work + " %}{% endfor %}")
		if err != nil {
			t.Errorf("%s: %v", work, err)
			continue
		}
		// Some fail in Python's way, at the first time around, and have to be paid for by then no less.
		if _, err := compiled.RenderCommand(nil); !errors.Is(err, ErrTooLong) && !errors.Is(err, ErrFailed) && !errors.Is(err, ErrTooLarge) {
			t.Errorf("%s: %v", work, err)
		}
	}
}

// Texts that nest deep or go on for long do not compile, and cost no stack.
func TestBoundsOfTexts(t *testing.T) {
	const n = 30_000
	for _, text := range []string{
		"{{ " + strings.Repeat("(", n) + "1" + strings.Repeat(")", n) + " }}",
		"{{ " + strings.Repeat("[", n) + strings.Repeat("]", n) + " }}",
		"{{ " + strings.Repeat("-", n) + "1 }}",
		"{{ " + strings.Repeat("not ", n/2) + "1 }}",
		"{{ 1" + strings.Repeat("+1", n) + " }}",
		"{{ a" + strings.Repeat(".a", n) + " }}",
		"{{ a" + strings.Repeat("[0]", n/2) + " }}",
		"{{ a" + strings.Repeat("()", n) + " }}",
		"{{ a" + strings.Repeat("|e", n) + " }}",
		"{{ 1" + strings.Repeat("<1", n) + " }}",
		"{{ 1" + strings.Repeat(" if 1", n/5) + " }}",
		"{{ 1" + strings.Repeat(" if 1 else 1", n/12) + " }}",
		"{{ 1" + strings.Repeat(" is odd", n/8) + " }}",
		strings.Repeat("{% if 1 %}", n/10) + strings.Repeat("{% endif %}", n/10),
		strings.Repeat("x", maxText+1),
	} {
		if _, err := Compile(text); !errors.Is(err, ErrTooLarge) && !errors.Is(err, ErrSyntax) {
			t.Errorf("%s…: %v", clip(text, 40), err)
		}
	}
}

// No run leaves a goroutine behind, whatever it ends with.
func TestNoGoroutines(t *testing.T) {
	before := runtime.NumGoroutine()
	for range 100 {
		for _, text := range []string{"{{ value_json.a }}", "{{ 1/0 }}", "{{ range(10**9) }}", "{{"} {
			if compiled, err := Compile(text); err == nil {
				_, _ = compiled.Render(NewPayload([]byte(`{"a":1}`)), nil)
			}
		}
	}
	if after := runtime.NumGoroutine(); after > before {
		t.Errorf("%d goroutines before, %d after", before, after)
	}
}

func TestNoOtherTemplates(t *testing.T) {
	for _, text := range []string{"{% include '/etc/passwd' %}", "{% import 'x' as y %}", "{% extends 'x' %}", "{% from 'x' import y %}"} {
		if _, err := Compile(text); !errors.Is(err, ErrSyntax) || !strings.Contains(err.Error(), "not available") {
			t.Errorf("%s: %v", text, err)
		}
	}
	for _, text := range []string{"{{ states('sensor.x') }}", "{{ states.sensor.x }}", "{{ 'a'|state_attr('b') }}", "{{ this.state }}", "{{ states }}", "{{ x is is_state('on') }}", "{% for s in states %}{% endfor %}"} {
		compiled, err := Compile(text)
		if err == nil {
			_, err = compiled.RenderCommand(nil)
		}
		if !errors.Is(err, ErrFailed) || !strings.Contains(err.Error(), "not available") {
			t.Errorf("%s: %v", text, err)
		}
	}
}
