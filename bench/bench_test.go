package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestMedian(t *testing.T) {
	for _, c := range []struct {
		values []float64
		want   float64
	}{
		{[]float64{7}, 7},
		{[]float64{9, 1}, 5},
		{[]float64{9, 1, 2}, 2},
		{[]float64{4, 100, 1, 3}, 3.5},
	} {
		given := slices.Clone(c.values)
		if got := median(given); got != c.want {
			t.Errorf("median of %v is %v, want %v", c.values, got, c.want)
		}
		if !slices.Equal(given, c.values) {
			t.Errorf("median has reordered %v to %v", c.values, given)
		}
	}
}

// TestTakeTurns would fail if a side had two turns in a round, or if one always came after the same other.
func TestTakeTurns(t *testing.T) {
	var order strings.Builder
	side := func(name string, values ...float64) func() float64 {
		return func() float64 {
			order.WriteString(name)
			v := values[0]
			values = values[1:]
			return v
		}
	}
	got := takeTurns(3, side("a", 1, 9, 2), side("b", 30, 10, 20))
	if want := []float64{2, 20}; !slices.Equal(got, want) {
		t.Errorf("medians are %v, want %v", got, want)
	}
	if order.String() != "abbaab" {
		t.Errorf("the turns were %s", order.String())
	}
}

func TestGoals(t *testing.T) {
	for _, c := range []struct {
		goal            *Goal
		ours, reference float64
		text            string
		met             bool
	}{
		{atMost(1.1), 11, 10, "≤ 1.1×", true},
		{atMost(1.1), 11.1, 10, "≤ 1.1×", false},
		{atMost(1. / 200), 1, 200, "≤ 1/200", true},
		{atMost(2).withoutAllocation(0), 1, 1, "≤ 2×, no allocation", true},
		{atMost(2).withoutAllocation(1), 1, 1, "≤ 2×, no allocation", false},
		{atMost(2).withoutAllocation(0), 3, 1, "≤ 2×, no allocation", false},
	} {
		r := newResult("x", Figure{"ns", c.ours, "limit", c.reference, c.goal})
		if r.Goal != c.text || r.Met == nil || *r.Met != c.met {
			t.Errorf("%v beside %v: goal %q, met %v; want %q, %t", c.ours, c.reference, r.Goal, r.Met, c.text, c.met)
		}
	}
	r := newResult("x", Figure{"ns", 3, "peer", 4, nil})
	if r.Ratio != 0.75 || r.Goal != "" || r.Met != nil {
		t.Errorf("without a goal: %+v", r)
	}
}

func TestAmounts(t *testing.T) {
	for _, c := range []struct {
		value float64
		unit  string
		want  string
	}{
		{0, "ns", "0 ns"}, {0.0123, "ns", "0.0123 ns"}, {1.234, "ns", "1.23 ns"}, {12.34, "ns", "12.3 ns"},
		{1234.5, "ns", "1234 ns"}, {9999, "ns", "9999 ns"}, {12345, "ns", "12.3 µs"}, {3e7, "ns", "30.0 ms"},
		{12e9, "B", "12.0 GB"}, {12e9, "GB", "12000000000 GB"},
	} {
		if got := amount(c.value, c.unit); got != c.want {
			t.Errorf("amount(%v, %q) = %q, want %q", c.value, c.unit, got, c.want)
		}
	}
	for ratio, want := range map[float64]string{0: "0×", 1: "1×", 1.106: "1.11×", 0.01: "0.01×", 0.005: "1/200", 23: "23×", math.Inf(1): "+Inf×"} {
		if got := factor(ratio); got != want {
			t.Errorf("factor(%v) = %q, want %q", ratio, got, want)
		}
	}
}

// some are measures that are quickly made.
func some() []Measure {
	figures := func(f ...Figure) func() ([]Figure, error) {
		return func() ([]Figure, error) { return f, nil }
	}
	return []Measure{
		{"a.fast", figures(
			Figure{"ns", 10, "limit", 10, atMost(1.1)},
			Figure{"ns", 10, "peer", 40, nil})},
		{"a.slow", figures(Figure{"B", 30, "limit", 10, atMost(2)})},
		{"b.broken", func() ([]Figure, error) { return nil, errors.New("no disk") }},
	}
}

func TestRunJSON(t *testing.T) {
	var out, progress bytes.Buffer
	if err := run([]string{"-json", "-run", `^a\.`}, some(), &out, &progress); err != nil {
		t.Fatal(err)
	}
	want := `{"name":"a.fast","unit":"ns","ours":10,"reference":"limit","reference_value":10,"ratio":1,"goal":"≤ 1.1×","met":true}
{"name":"a.fast","unit":"ns","ours":10,"reference":"peer","reference_value":40,"ratio":0.25,"goal":"","met":null}
{"name":"a.slow","unit":"B","ours":30,"reference":"limit","reference_value":10,"ratio":3,"goal":"≤ 2×","met":false}
`
	if out.String() != want {
		t.Errorf("printed\n%swant\n%s", out.String(), want)
	}
	for line := range strings.Lines(out.String()) {
		if !json.Valid([]byte(line)) {
			t.Errorf("not JSON: %s", line)
		}
	}
	if progress.Len() > 0 {
		t.Errorf("beside JSON it says %q", progress.String())
	}
}

func TestRunTable(t *testing.T) {
	var out bytes.Buffer
	file := filepath.Join(t.TempDir(), "RESULTS.md")
	if err := run([]string{"-run", `^a\.`, "-results", file}, some(), &out, new(bytes.Buffer)); err != nil {
		t.Fatal(err)
	}
	written, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string][]string{
		out.String():    {"measure", "a.fast", "10.0 ns", "40.0 ns", "peer", "0.25×", "≤ 1.1×", "met\n", "NOT MET\n"},
		string(written): {"| `a.slow` | 30.0 B | 10.0 B | limit | 3× | ≤ 2× | NOT MET |", "-run '^a\\.'", "Machine: "},
	} {
		for _, w := range want {
			if !strings.Contains(text, w) {
				t.Errorf("%q is missing in\n%s", w, text)
			}
		}
	}
	if lines := strings.Count(out.String(), "\n"); lines != 4 {
		t.Errorf("%d lines, want one of heads and three of results", lines)
	}
}

func TestRunFails(t *testing.T) {
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"-run", "("}, "-run: "},
		{[]string{"-run", "nothing"}, `no measure's name matches "nothing"`},
		{[]string{"map.get"}, `unexpected argument "map.get"`},
		{[]string{"-run", "broken"}, "b.broken: no disk"},
		{[]string{"-what"}, "-what"},
	} {
		err := run(c.args, some(), new(bytes.Buffer), new(bytes.Buffer))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v: error %v, want %q", c.args, err, c.want)
		}
	}
}

// TestMeasureNames would fail if -run could not tell two measures apart.
func TestMeasureNames(t *testing.T) {
	seen := map[string]bool{}
	for _, m := range groups() {
		if seen[m.Name] || m.Name == "" {
			t.Errorf("%q is the name of two measures, or of none", m.Name)
		}
		seen[m.Name] = true
	}
}

// TestSubjectsAgree would fail if a peer did less than it is measured for.
func TestSubjectsAgree(t *testing.T) {
	keys := entityKeys(300)
	want := uint64(0)
	for _, k := range keys {
		s := stateOf(k)
		want += read(&s)
	}
	for _, newSubject := range append([]func([]string) subject{newOurs, newBuiltin}, persistent("1k")...) {
		s := newSubject(keys)
		t.Run(s.name, func(t *testing.T) {
			check := func(after string) {
				if got := s.lookups(keys); got != want {
					t.Errorf("after %s: lookups read %d, want %d", after, got, want)
				}
				if got := s.walk(); got != want {
					t.Errorf("after %s: a walk reads %d, want %d", after, got, want)
				}
			}
			check("filling it")
			if got := s.lookups([]string{"nobody"}); got != 0 {
				t.Errorf("reads %d of a key that it has not", got)
			}
			if s.sets != nil {
				s.sets(keys[:10])
				check("sets")
			}
			if s.batch != nil {
				s.batch(keys)
				check("a batch")
			}
		})
	}
}

func TestKeys(t *testing.T) {
	bad := collidingKeys(13)
	hash := func(s string) (h uint32) {
		for i := range len(s) {
			h = 31*h + uint32(s[i])
		}
		return h
	}
	for _, k := range bad {
		if hash(k) != hash(bad[0]) {
			t.Fatalf("%q and %q do not collide", k, bad[0])
		}
	}
	for name, keys := range map[string][]string{"colliding": bad, "random": randomKeys(len(bad), len(bad[0])), "entities": entityKeys(5000)} {
		slices.Sort(keys)
		if n := len(slices.Compact(keys)); n != len(keys) {
			t.Errorf("%s: %d of %d keys are different", name, n, len(keys))
		}
	}
	keys := entityKeys(1000)
	top := func(zipf bool) int {
		count := map[string]int{}
		for _, k := range lookupKeys(keys, zipf) {
			count[k]++
		}
		most := 0
		for _, n := range count {
			most = max(most, n)
		}
		return most
	}
	if uniform, zipf := top(false), top(true); zipf < 10*uniform {
		t.Errorf("the most wanted key is asked for %d times, %d if all are equal", zipf, uniform)
	}
}
