package filter_test

import (
	"errors"
	"runtime"
	"strings"
	"testing"

	"github.com/statehouse/statehouse/internal/filter"
)

// times is what stands n times, as in a chain of macros.
func times(n int, text string) string { return strings.Repeat(text, n) }

var (
	ones = "[" + times(300, "1,") + "1]"
	few  = "[" + times(100, "1,") + "1]"
	long = `"` + times(3000, "x") + `"`
)

// hostile are expressions that do much with few operations, and what refuses them.
var hostile = map[string]struct{ expression, message string }{
	// Each is a call for which CEL counts one, or less than it does.
	"pattern over a long text":        {`["` + times(100, "a") + `"]` + times(4, ".map(a, a + a)") + `.all(a, a.matches("[ab]{900}c") || true)`, "cost limit exceeded"},
	"pattern for each item":           {ones + `.all(a, id.matches("[a-z]{500}x") || true)`, "cost limit exceeded"},
	"lists that double":               {`[[1]]` + times(18, ".map(a, a + a)") + `.all(a, size(a) > 0)`, "cost limit exceeded"},
	"lists of no type that double":    {`[dyn([1])]` + times(18, ".map(a, a + a)") + `.all(a, a == a)`, "cost limit exceeded"},
	"texts of no type that double":    {`[dyn(` + long + `)]` + times(18, ".map(a, a + a)") + `.all(a, a == a)`, "cost limit exceeded"},
	"equal lists in lists":            {`[1]` + times(19, ".map(a, [a, a])") + `.all(a, a == a)`, "cost limit exceeded"},
	"unequal lists in lists":          {`[1]` + times(19, ".map(a, [a, a])") + `.all(a, a != a || true)`, "cost limit exceeded"},
	"a list in lists":                 {`[1]` + times(19, ".map(a, [a, a])") + `.all(a, a in [a])`, "cost limit exceeded"},
	"zones":                           {ones + `.all(a, now.getHours("Europe/Berlin") >= 0)`, "cost limit exceeded"},
	"zones of no type":                {ones + `.all(a, dyn(now).getHours(dyn("Europe/Berlin")) >= 0)`, "cost limit exceeded"},
	"zones that are none":             {ones + `.all(a, now.getHours("Europe/Nowhere") >= 0 || true)`, "cost limit exceeded"},
	"durations":                       {`["` + times(1500, "0h") + `"].all(t, ` + few + `.all(a, duration(t) == duration("0s")))`, "cost limit exceeded"},
	"timestamps":                      {`["2026-01-01T00:00:00.` + times(2000, "0") + `Z"].all(t, ` + few + `.all(a, timestamp(t) < now || true))`, "cost limit exceeded"},
	"numbers":                         {`["` + times(3000, "0") + `"].all(t, ` + few + `.all(a, int(t) == 0 && double(t) == 0.0))`, "cost limit exceeded"},
	"characters":                      {ones + `.all(a, size(` + long + `) > 0)`, "cost limit exceeded"},
	"messages":                        {"[" + times(600, "1,") + `1].all(a, state == state)`, "cost limit exceeded"},
	"a list of variables in each":     {ones + `.all(a, size([` + times(1500, "a,") + `a]) > 0)`, "cost limit exceeded"},
	"a pattern that is large":         {`id.matches("[ab]{1000}[ab]{1000}[ab]{1000}")`, "at character 11: the regular expression is too large: 3000 instructions, at most 2000"},
	"many patterns":                   {times(150, `id.matches("a{1000}") || `) + `id.matches("b{1000}")`, "2000 are possible"},
	"long patterns":                   {`id.matches("` + times(600, "a") + `") || id.matches("` + times(600, "b") + `")`, "1200 bytes, at most 1000"},
	"a pattern that is worked out":    {`name.matches("a" + id)`, `at character 13: the pattern of matches has to be written as a text, as in name.matches("(?i)lamp")`},
	"a pattern that is a name":        {`matches(name, id)`, "has to be written as a text"},
	"a pattern behind a dot":          {`.matches(name, id)`, "has to be written as a text"},
	"a pattern of no type":            {`dyn(name).matches(dyn(id))`, "has to be written as a text"},
	"a pattern that is none":          {`name.matches("(a")`, "at character 13: error parsing regexp: missing closing )"},
	"maps, whose types double":        {`[1]` + times(19, ".map(a, {a: a})") + `.all(a, true)`, "at character 12: a map, as in"},
	"messages that are written out":   {`google.protobuf.Value{number_value: 1.0} == 1.0`, "at character 22: a message, as in google.protobuf.Value{}, is not"},
	"macros":                          {`[1]` + times(21, ".map(a, [a])") + `.all(a, true)`, "more than 20 macros"},
	"names that are none, many times": {"[" + times(1900, "x,") + "x] == []", "there is no 'x'"},
}

// What an expression may do for an entity is bounded, compiling it too, whatever it is that it does. The bound on memory is that
// of what a filter costs at most, a hundred times: one that is not counted takes thousands of times as much.
func TestHostile(t *testing.T) {
	for name, c := range hostile {
		var before, after runtime.MemStats
		f, err := filter.Compile(c.expression)
		if err == nil {
			runtime.ReadMemStats(&before)
			_, err = f.Match(t.Context(), kitchen())
			runtime.ReadMemStats(&after)
		}
		if !errors.Is(err, filter.ErrInvalid) || !strings.Contains(err.Error(), c.message) {
			t.Errorf("%s: %v, want %s", name, err, c.message)
		}
		if n := after.TotalAlloc - before.TotalAlloc; n > 1<<20 {
			t.Errorf("%s: %d bytes", name, n)
		}
	}
}

// What was made bounded says what it said before.
func TestBoundedCalls(t *testing.T) {
	for expression, want := range map[string]bool{
		`dyn(1) == 1.0 && dyn([1, 2]) == [1.0, 2.0] && !(dyn(1) != 1.0)`:             true,
		`"a" != "b" && [1, 2] != [2, 1] && [[1], []] == [[1], []] && state != state`: false,
		`0.0 / 0.0 == 0.0 / 0.0`:                   false,
		`0.0 / 0.0 != 0.0 / 0.0`:                   true,
		`dyn(1) == dyn("1") || dyn([1]) == dyn(1)`: false,
		`21.5 in [dyn(20), 21.5] && dyn(20.0) in [20] && !(21 in [dyn(20), 21.5])`:      true,
		`dyn("a") in [dyn(1), "a"] && [1] in [[1], [2]] && !([1] in [dyn([[1]])])`:      true,
		`id in [name, id] && !(id in [name]) && !(id in [])`:                            true,
		`name.matches("(?i)LAMP$") && matches(name, "^Kitchen") && !name.matches("x")`:  true,
		`dyn(name).matches("lamp") && name.matches("") && "a\n".matches("a$") == false`: true,
		`["a", "b"].filter(a, a.matches("a")) == ["a"]`:                                 true,
		`now.getHours("Europe/Berlin") == 13 && now.getHours("+02:00") == 14`:           true,
		`[1, 2, 3].map(a, a * 2).exists(a, a == 6) && size("äö") == 2`:                  true,
		`duration("30m") < age && timestamp("2026-01-31T12:00:00Z") == now`:             true,
		`id in [` + times(150, `"light.somewhere_else",`) + `"light.kitchen"]`:          true,
		`updated_by.contains("z2m") ? name.startsWith("Kitchen") : name.endsWith("x")`:  true,
	} {
		f, err := filter.Compile(expression)
		if err != nil {
			t.Errorf("%s: %v", expression, err)
			continue
		}
		if got, err := f.Match(t.Context(), kitchen()); err != nil || got != want {
			t.Errorf("%s: %t, %v", expression, got, err)
		}
	}
}
