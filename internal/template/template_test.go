package template

import (
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
)

// Templates of equal text are one, while they are in use, and are forgotten after.
func TestTemplatesAreShared(t *testing.T) {
	const text = "{{ value_json.shared_by_this_test }}"
	func() {
		a, err := Compile(text)
		if err != nil {
			t.Fatal(err)
		}
		if b, err := Compile("  " + text + "\n"); err != nil || a != b {
			t.Fatalf("%p and %p, %v", a, b, err)
		}
		runtime.KeepAlive(a)
	}()
	for deadline := time.Now().Add(time.Minute); ; runtime.Gosched() {
		runtime.GC()
		interned.mu.Lock()
		_, held := interned.m[text]
		interned.mu.Unlock()
		if !held {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("a template that nobody uses is still held")
		}
	}
}

// One payload and one template serve many goroutines.
func TestConcurrent(t *testing.T) {
	p := NewPayload([]byte(`{"a":{"b":[1,2,3]}}`))
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for j := range 50 {
				compiled, err := Compile(fmt.Sprintf("{%% set x = value_json.a.b %%}{{ x[%d] }}", j%3))
				if err != nil {
					t.Error(err)
					return
				}
				if out, err := compiled.Render(p, map[string]any{"i": i}); err != nil || out != fmt.Sprint(j%3+1) {
					t.Errorf("%q, %v", out, err)
				}
			}
		})
	}
	wg.Wait()
}

func TestVariables(t *testing.T) {
	for text, want := range map[string]string{
		"{{ entity_id }} {{ value }}":                "sensor.x 5",
		"{{ n + 1 }} {{ u }} {{ big }}":              "8 255 18446744073709551615",
		"{{ list }} {{ map }}":                       "['a', 1] {'k': [True], 'l': None}",
		"{{ data }} {{ at.year }}":                   `b'\x00a' 2024`,
		"{{ odd is defined }}":                       "False",
		"{{ value_json is defined }}":                "True",
		"{{ slug|slugify }} {{ ''|slugify }}":        "kuche_oben_2",
		"{{ '!!'|slugify }}{{ 'a b'|slugify('-') }}": "unknowna-b",
	} {
		compiled, err := Compile(text)
		if err != nil {
			t.Fatal(err)
		}
		out, err := compiled.Render(NewPayload([]byte("5")), map[string]any{
			"entity_id": "sensor.x", "value": "not the payload", "n": 7, "u": uint8(255), "big": uint64(1<<64 - 1), "list": []any{"a", 1},
			"map": map[string]any{"l": nil, "k": []any{true}}, "data": []byte("\x00a"), "at": time.Date(2024, 1, 2, 3, 4, 5, 0, time.UTC),
			"odd": struct{}{}, "slug": "Küche, oben: 2!",
		})
		if err != nil || out != want {
			t.Errorf("%s: %q, %v; want %q", text, out, err, want)
		}
	}
}

func TestPayloads(t *testing.T) {
	render := func(text string, p *Payload) string {
		compiled, err := Compile(text)
		if err != nil {
			t.Fatal(err)
		}
		out, err := compiled.Render(p, nil)
		if err != nil {
			return err.Error()
		}
		return out
	}
	binary := NewBinaryPayload([]byte{0x01, 0x02, 0xff})
	for text, want := range map[string]string{
		"{{ value }}": `b'\x01\x02\xff'`, "{{ value | unpack('>H') }}": "258", "{{ value | base64_encode }}": "AQL/", "{{ value[2] }}": "255",
	} {
		if got := render(text, binary); got != want {
			t.Errorf("%s: %q, want %q", text, got, want)
		}
	}
	if got := render("{{ value }}", NewPayload([]byte("a\xffb"))); got != "a\uFFFDb" {
		t.Errorf("%q", got)
	}
	if got := render("{{ value_json.x }}", NewPayload([]byte("no"))); !strings.Contains(got, "'value_json' is undefined") {
		t.Errorf("%q", got)
	}
	large := NewPayload([]byte(strings.Repeat("x", maxOutput+1)))
	for _, text := range []string{"{{ value }}", "{{ value|lower }}"} {
		compiled, err := Compile(text)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := compiled.Render(large, nil); !errors.Is(err, ErrTooLarge) {
			t.Errorf("%s: %v", text, err)
		}
	}
}

// Errors say what was wrong.
func TestErrorMessages(t *testing.T) {
	for text, want := range map[string]string{
		"{{ 'x'|float }}":                "float got invalid input 'x', but no default was specified",
		"{{ value_json.a.b }}":           "'dict object' has no attribute 'a'",
		"{{ nope.x }}":                   "'nope' is undefined",
		"a\nb {{ 1 | nosuch }}":          "line 2: no filter named 'nosuch'",
		"{% if 1 %}":                     "the template ends; want one of: elif, else, endif",
		"{{ 1 + 'a' }}":                  "unsupported operand type(s) for +: 'int' and 'str'",
		"{{ 'a'|regex_match('(?=a)') }}": "is not one that is supported here",
	} {
		compiled, err := Compile(text)
		if err == nil {
			_, err = compiled.Render(NewPayload([]byte("{}")), nil)
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v; want %q", text, err, want)
		}
	}
}
