package template

import (
	"errors"
	"fmt"
	"maps"
	"math/big"
	"runtime/metrics"
	"slices"
	"strings"
	"testing"
	"time"
)

const (
	// bytesPerStep is the most memory that a step may take. An item of a dict takes the most, of what has to be kept.
	bytesPerStep = 512
	// bytesAhead is what a call may take before it is paid: a string that turns out to be too large, written as JSON.
	bytesAhead = 12 << 20
)

// allocated is how many bytes f allocates.
func allocated(f func()) uint64 {
	now := func() uint64 {
		sample := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
		metrics.Read(sample)
		return sample[0].Value.Uint64()
	}
	before := now()
	f()
	return now() - before
}

// large are values of every type, as large as a template can make them with a part of its steps.
func large() map[string]any {
	const n = 1000
	text := strings.Repeat("ab", 1<<16)
	many := func(n int, of func(i int) any) *list {
		l := &list{}
		for i := range n {
			l.items = append(l.items, of(i))
		}
		return l
	}
	same := func(v any) func(int) any { return func(int) any { return v } }
	numbers := many(n, func(i int) any { return int64(n - i) })
	d, deep := &dict{}, any(&dict{})
	for i := range n {
		_ = d.put(int64(i), int64(i))
	}
	for range n {
		outer := &dict{}
		_ = outer.put("a", deep)
		deep = outer
	}
	doubled := any(&list{})
	for range 60 {
		doubled = &list{items: []any{doubled, doubled}}
	}
	number := new(big.Int).Exp(big.NewInt(7), big.NewInt(4900), nil)
	names := &namespace{}
	_ = names.attrs.put("x", many(1000, same(text)))
	return map[string]any{
		"none": nil, "one": int64(1), "number": number, "float": 1e308, "text": text, "lines": strings.Repeat("\n", 1<<16), "words": strings.Repeat(" a", 1<<15),
		"marks": strings.Repeat("&", 1<<17), "fields": strings.Repeat("{0:b}", 1<<12), "verbs": strings.Repeat("%Y", 1<<13), "references": strings.Repeat(`\1`, 1<<11),
		"dots": strings.Repeat("a.", 1<<14), "pads": strings.Repeat("10000x", 4000) + "B", "groups": strings.Repeat("()", 400), "json": "[" + strings.Repeat("[],", 10_000) + "[]]",
		"bytes": pyBytes(text), "list": numbers, "tuple": &list{items: numbers.items, tuple: true}, "texts": many(n, same(text)), "bigs": many(n, same(number)),
		"tuples": many(n, same(&list{items: numbers.items[:1000], tuple: true})), "lists": many(n, same(&list{items: numbers.items[:100]})), "dict": d, "deep": deep,
		"deeps": many(1000, same(deep)), "doubled": doubled, "namespace": names, "of namespace": many(n, same(&list{items: []any{names}, tuple: true})),
		"range": &rangeSeq{stop: maxItems, step: 1, n: maxItems}, "time": &datetime{t: time.Unix(0, 0)}, "span": timedelta(1), "undefined": &undefined{hint: "x"},
	}
}

// Every filter, test, function and method pays, in steps, for the memory that it takes, whatever its arguments are.
func TestEveryCallIsPaidFor(t *testing.T) {
	lib, values := *library(), large()
	lib.maxSteps /= 50 // what is paid for ends sooner
	names := slices.Sorted(maps.Keys(values))
	call := func(what string, b *builtin, of any, args ...any) {
		r := newRun(&Env{}, nil, nil)
		r.lib = &lib
		n := allocated(func() { _, _ = b.callWith(r, of, callArgs{positional: args}) })
		if bound := uint64(bytesAhead + bytesPerStep*r.steps); n > bound {
			t.Errorf("%s: %d bytes for %d steps", what, n, r.steps)
		}
	}
	each := func(kind string, table map[string]*builtin, of func(b *builtin, v any) bool) {
		for name, b := range table {
			for _, self := range names {
				if !of(b, values[self]) {
					continue
				}
				call(fmt.Sprintf("%s %s of %s", kind, name, self), b, values[self])
				if len(b.params) < 2 && !b.rest && b.raw == nil {
					continue
				}
				for _, arg := range []string{"number", "one", "text", "references", "dots", "pads", "tuple", "doubled"} {
					call(fmt.Sprintf("%s %s of %s, %s", kind, name, self, arg), b, values[self], values[arg])
				}
			}
		}
	}
	anything := func(*builtin, any) bool { return true }
	functionsOnly := map[string]*builtin{}
	for name, v := range lib.globals {
		if b, ok := v.(*builtin); ok && lib.filters[name] != b {
			functionsOnly[name] = b
		}
	}
	each("filter", lib.filters, anything)
	each("test", lib.tests, anything)
	each("function", functionsOnly, anything)
	for _, table := range []map[string]*builtin{strMethods, dictMethods, listMethods, bytesMethods, intMethods, floatMethods, datetimeMethods, timedeltaMethods} {
		each("method", table, func(b *builtin, v any) bool {
			return methodOf(v, b.name) != nil && table[b.name] == methodTableOf(v)[b.name]
		})
	}
	// Three arguments and more, where they do the work.
	for _, c := range []struct {
		filter string
		args   []string
	}{
		{"regex_replace", []string{"text", "(a+b*)+", "references"}}, {"regex_replace", []string{"text", "(.*)", "references"}}, {"regex_replace", []string{"text", "groups", "references"}},
		{"replace", []string{"text", "a", "text"}}, {"replace", []string{"text", "", "text"}}, {"indent", []string{"lines", "text", "one", "one"}}, {"slugify", []string{"words", "text"}},
		{"map", []string{"texts", "center", "one"}}, {"map", []string{"lists", "flatten", "one"}}, {"join", []string{"texts", "text"}}, {"unique", []string{"tuples", "one", "none"}},
		{"unpack", []string{"bytes", "pads", "one"}}, {"batch", []string{"list", "one", "text"}}, {"selectattr", []string{"deeps", "dots", "in", "deeps"}}, {"sort", []string{"deeps", "none", "none", "dots"}},
	} {
		args := make([]any, len(c.args))
		for i, name := range c.args {
			v, ok := values[name]
			if args[i] = v; !ok {
				args[i] = name
			}
		}
		call(c.filter+" "+strings.Join(c.args, ", "), lib.filters[c.filter], args[0], args[1:]...)
	}
}

// methodTableOf is the table in which the methods of a value are.
func methodTableOf(v any) map[string]*builtin {
	switch v.(type) {
	case string:
		return strMethods
	case *dict:
		return dictMethods
	case *list:
		return listMethods
	case pyBytes:
		return bytesMethods
	case int64, bool:
		return intMethods
	case float64:
		return floatMethods
	case *datetime:
		return datetimeMethods
	case timedelta:
		return timedeltaMethods
	}
	return nil
}

// What does much with little is over soon, however often a template does it, and takes no more memory than a run may.
func TestWorkThatIsRepeated(t *testing.T) {
	const set = "{% set s = 'ab' * 400000 %}{% set d = dict(zip(range(20000), range(20000))) %}{% set l = [s] * 1000 %}{% set t = tuple(range(1500)) %}" +
		"{% set b = s.encode() %}{% set c = ('ab' * 400000).encode() %}{% set big = 7 ** 4900 %}{% set ns = namespace(x=l, e=[], n={}) %}" +
		"{% for i in range(60) %}{% set ns.e = [ns.e, ns.e] %}{% endfor %}{% for i in range(2000) %}{% set ns.n = {'a': ns.n} %}{% endfor %}"
	if prepared, err := Compile(set + "ready"); err != nil {
		t.Fatal(err)
	} else if out, err := prepared.RenderCommand(nil); err != nil || out != "ready" {
		t.Fatalf("%q, %v", out, err)
	}
	for _, work := range []string{
		"dict(d)", "namespace(d)", "dict(d|items)", "dict(l, a=1)", "1|pack('10000x' * 60000 ~ 'B')", "b|unpack('x' * 100000 ~ 'B')", "b|unpack('10000x' * 60000 ~ 'B')",
		"l|map(attribute='a.' * 1000)|list", "l|map(attribute=s)|list", "l|map(attribute=700000)|list", "([ns.n] * 1000)|map(attribute='a' ~ '.a' * 1900)|list", "l|flatten", "[s]|flatten",
		"{t: 1}", "{}.get(t)", "t in {}", "[t, t]|unique", "{}[t]", "{(big, big): 1}", "{(ns,): 1}", "d == d", "b == c", "b < c", "[b] == [c]", "c in [b]", "s.startswith((s ~ 'c',) * 100)",
		"ns.e|tojson", "ns.e|to_json", "ns.e|string", "'' % t", "s|regex_replace('(.*)', '\\\\1' * 2000)", "'a'|regex_replace('(.)', '\\\\1' * 100000)", "now().strftime('%Y' * 60000)",
		"('&' * 200000)|e", "('ß' * 200000)|upper", "b.decode('latin-1')", "s.split('b')", "s.split()", "('\n' * 99999).splitlines()", "big * big", "big > 1.5", "7 ** 4900",
		"s|regex_search('\\\\pL' * 20)", "'a'|regex_search('[ab]{1000}' * 90)", "'a'|regex_search('(?i)\\\\PL|' * 100)", "d|dictsort", "'{0}' * 1000|string|length",
	} {
		compiled, err := Compile(set + "{% for i in range(100000) %}{% set x = " + work + " %}{% endfor %}")
		if err != nil {
			t.Errorf("%s: %v", work, err)
			continue
		}
		var failed error
		n := allocated(func() { _, failed = compiled.RenderCommand(nil) })
		if !errors.Is(failed, ErrTooLong) && !errors.Is(failed, ErrFailed) && !errors.Is(failed, ErrTooLarge) {
			t.Errorf("%s: %v", work, failed)
		}
		if bound := uint64(bytesAhead + bytesPerStep*maxSteps); n > bound {
			t.Errorf("%s: %d bytes", work, n)
		}
	}
}
