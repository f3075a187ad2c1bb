package template

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"
)

func TestPath(t *testing.T) {
	name := func(s string) Step { return Step{Name: s} }
	for text, want := range map[string][]Step{
		"{{ value_json }}":                           {},
		"{{ value_json.x.y }}":                       {name("x"), name("y")},
		"{{value_json[\"x\"]['y']}}":                 {name("x"), name("y")},
		"  {{- value_json.x -}} \n":                  {name("x")},
		"{{ value_json[0] }}":                        {{IsIndex: true}},
		"{{ value_json.a[-1].b }}":                   {name("a"), {Index: -1, IsIndex: true}, name("b")},
		"{{ value_json.a.2 }}":                       {name("a"), {Index: 2, IsIndex: true}},
		"{# a comment #}{{ value_json['items'] }}":   {name("items")},
		"{{ (value_json.a).b }}":                     {name("a"), name("b")},
		"{{ value_json.items }}":                     nil,
		"{{ value_json.x }}%":                        nil,
		"{{ value_json.x | float }}":                 nil,
		"{{ value_json.x() }}":                       nil,
		"{{ value_json[x] }}":                        nil,
		"{{ value_json[1:] }}":                       nil,
		"{{ value_json[-'a'] }}":                     nil,
		"{{ value_json[true] }}":                     nil,
		"{{ value_json.x }}{{ value_json.y }}":       nil,
		"{{ value }}":                                nil,
		"{{ other.x }}":                              nil,
		"plain":                                      nil,
		"":                                           nil,
		"{% set value_json = 1 %}{{ value_json.x }}": nil,
	} {
		compiled, err := Compile(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		got, ok := compiled.Path()
		if ok != (want != nil) {
			t.Errorf("%s: is a path: %t; want %t", text, ok, want != nil)
		} else if diff := cmp.Diff(want, got, cmpopts.IgnoreUnexported(Step{}), cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("%s: %s", text, diff)
		}
	}
}

// names are few, so that paths meet fields; some are methods to Jinja.
var names = []string{"a", "b", "items", "count", "upper", "update", "x y", "ä", "0"}

func drawJSON(t *rapid.T, depth int) any {
	low, high := 0, 9
	if depth == 0 {
		high = 5
	}
	if depth == 4 {
		low = 4 // seldom a path over what has nothing inside
	}
	switch rapid.IntRange(low, high).Draw(t, "kind") {
	case 0:
		return nil
	case 1:
		return rapid.Bool().Draw(t, "bool")
	case 2:
		return rapid.Int64().Draw(t, "int")
	case 3:
		return json.Number(fmt.Sprintf("%.1fe%d", rapid.Float64Range(-10, 10).Draw(t, "float"), rapid.IntRange(-400, 400).Draw(t, "exponent")))
	case 4:
		return json.Number(strings.Repeat("7", rapid.IntRange(1, 40).Draw(t, "digits")))
	case 5:
		return rapid.String().Draw(t, "text")
	case 6, 7:
		list := []any{}
		for range rapid.IntRange(0, 3).Draw(t, "length") {
			list = append(list, drawJSON(t, depth-1))
		}
		return list
	}
	object := map[string]any{}
	for range rapid.IntRange(0, 4).Draw(t, "fields") {
		object[rapid.SampledFrom(names).Draw(t, "name")] = drawJSON(t, depth-1)
	}
	return object
}

// drawStep draws a step, most often one that is there to take, and what it leads to.
func drawStep(t *rapid.T, at any) (step string, to any) {
	name := rapid.SampledFrom(names).Draw(t, "name")
	index := rapid.IntRange(-3, 3).Draw(t, "index")
	takeIndex := rapid.Bool().Draw(t, "by index")
	if rapid.IntRange(0, 3).Draw(t, "lost") > 0 {
		switch v := at.(type) {
		case []any:
			if takeIndex = len(v) > 0; takeIndex {
				index = rapid.IntRange(-len(v), len(v)-1).Draw(t, "element")
				to = v[(index+len(v))%len(v)]
			}
		case map[string]any:
			takeIndex = false
			if len(v) > 0 {
				name = rapid.SampledFrom(slices.Sorted(maps.Keys(v))).Draw(t, "field")
				to = v[name]
			}
		}
	}
	switch {
	case takeIndex:
		return fmt.Sprintf("[%d]", index), to
	case !strings.ContainsAny(name, " 0") && rapid.Bool().Draw(t, "dotted"):
		return "." + name, to
	}
	return "['" + name + "']", to
}

// A path that is walked gives what the interpreter gives, to the letter, its errors too.
func TestDirectIsInterpreted(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v := drawJSON(t, 4)
		data, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		if rapid.IntRange(0, 20).Draw(t, "broken") == 0 {
			data = data[:len(data)/2]
		}
		text := "{{ value_json"
		for range rapid.IntRange(0, 4).Draw(t, "steps") {
			var step string
			step, v = drawStep(t, v)
			text += step
		}
		compiled, err := Compile(text + " }}")
		if err != nil {
			t.Fatal(err)
		}
		p := NewPayload(data)
		got, err := compiled.Render(p, nil)
		want, wantErr := compiled.interpret(nil, p, nil)
		if got != want || !sameError(err, wantErr) {
			t.Fatalf("%s over %s:\n direct %q, %v\n interpreted %q, %v", compiled.Text(), data, got, err, want, wantErr)
		}
	})
}

func TestDirectDetects(t *testing.T) {
	for text, direct := range map[string]bool{"{{ value }}": true, "{{ value_json.a }}": true, "{{ value|upper }}": false, "x": false} {
		compiled, err := Compile(text)
		if err != nil {
			t.Fatal(err)
		}
		if got := compiled.direct != nil; got != direct {
			t.Errorf("%s: direct %t, want %t", text, got, direct)
		}
	}
}
