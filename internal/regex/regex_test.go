package regex_test

import (
	"errors"
	"math"
	"regexp"
	"runtime"
	"strings"
	"testing"

	"github.com/statehouse/statehouse/internal/regex"
)

// What people write compiles, to what Go makes of it.
func TestCompile(t *testing.T) {
	for _, c := range []struct {
		flags, text string
		context     bool
	}{
		{"", "", false}, {"", "lamp$", false}, {"(?i)", "lamp|light", false}, {"", `^\d{1,3}(\.\d+)?$`, true}, {"", `\bon\b`, true},
		{`\A`, "a|b", true}, {"", `[\p{L}\pN_-]+`, false}, {"", "a{1000}", false}, {"", "(?:)", false}, {"", "(a?){20}", false},
	} {
		re, err := new(regex.Budget).Compile(c.flags, c.text)
		if err != nil {
			t.Errorf("%s%s: %v", c.flags, c.text, err)
			continue
		}
		want := regexp.MustCompile(c.flags + "(?:" + c.text + ")")
		for _, s := range []string{"", "Lamp", "a lamp", "12.5", "light on", "b", "ä_1", strings.Repeat("a", 1001)} {
			if re.MatchString(s) != want.MatchString(s) {
				t.Errorf("%s%s: of %.20q: %t", c.flags, c.text, s, re.MatchString(s))
			}
		}
		if re.Context != c.context || re.Size < 2 || re.Size > regex.MaxProgram {
			t.Errorf("%s%s: context %t, %d instructions", c.flags, c.text, re.Context, re.Size)
		}
	}
	if _, err := new(regex.Budget).Compile("", "(a"); err == nil || errors.Is(err, regex.ErrTooLarge) {
		t.Errorf("what is none: %v", err)
	}
}

// oversized are patterns that are short and stand for large programs, or take long to parse.
var oversized = map[string]string{
	"length": strings.Repeat("a", regex.MaxLength+1), "repeats": strings.Repeat("[ab]{1000}", 99), "groups": "(?:[ab]{30}){30}" + strings.Repeat("c{999}", 2),
	"empty groups": strings.Repeat("(){1000}", 100), "empty alternatives": strings.Repeat("(?:|){1000}", 90), "borders": strings.Repeat(`(?:\b){1000}`, 80),
	"classes": strings.Repeat(`\pL`, 330), "excluded classes": "(?i)" + strings.Repeat(`\PL|`, 240), "at least": strings.Repeat("(?:a*){999,}", 80),
}

// A pattern that is too large is refused before it takes what the bound is there to save: a megabyte for one would be ten
// thousand times its length.
func TestTooLarge(t *testing.T) {
	for name, text := range oversized {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := new(regex.Budget).Compile("", text)
		runtime.ReadMemStats(&after)
		if !errors.Is(err, regex.ErrTooLarge) {
			t.Errorf("%s: %v", name, err)
		}
		if n := after.TotalAlloc - before.TotalAlloc; n > 1<<20 {
			t.Errorf("%s: %d bytes", name, n)
		}
	}
}

// Patterns of one budget share it: many small ones are as dear as a large one.
func TestShared(t *testing.T) {
	for name, text := range map[string]string{"length": "aaaaaaaaaa", "program": "a{300}", "classes": `[\pL]`} {
		var b regex.Budget
		for n := 0; ; n++ {
			_, err := b.Compile("", text)
			if err != nil && (n < 2 || !errors.Is(err, regex.ErrTooLarge)) {
				t.Errorf("%s: after %d: %v", name, n, err)
			}
			if err != nil {
				break
			}
			if n > regex.MaxLength {
				t.Fatalf("%s: no end", name)
			}
		}
	}
}

// Costs grow with text and program, and do not wrap around where an int has 32 bits.
func TestCost(t *testing.T) {
	small, large := &regex.Regex{Size: 10}, &regex.Regex{Size: regex.MaxProgram}
	if small.Cost(0) != 1 || small.Cost(640) != 101 || large.Cost(64) != 1+regex.MaxProgram {
		t.Errorf("%d, %d, %d", small.Cost(0), small.Cost(640), large.Cost(64))
	}
	if large.Cost(math.MaxInt32) != math.MaxInt32 {
		t.Errorf("%d", large.Cost(math.MaxInt32))
	}
}

// FuzzCompile: whatever is compiled is within the bounds, and matches as Go's own.
func FuzzCompile(f *testing.F) {
	for _, text := range oversized {
		f.Add(text, "aab")
	}
	f.Add(`(?i)^lamp\d*$`, "Lamp1")
	f.Fuzz(func(t *testing.T, text, s string) {
		re, err := new(regex.Budget).Compile("", text)
		if err != nil {
			return
		}
		if re.Size > regex.MaxProgram || len(text) > regex.MaxLength {
			t.Fatalf("%d instructions", re.Size)
		}
		if re.MatchString(s) != regexp.MustCompile(text).MatchString(s) {
			t.Fatalf("%q of %q", text, s)
		}
	})
}
