package filter_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/statehouse/statehouse/eventstore"
	entityv1 "github.com/statehouse/statehouse/gen/statehouse/entity/v1"
	"github.com/statehouse/statehouse/internal/filter"
	"github.com/statehouse/statehouse/state"
)

var noon = time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)

func kitchen() *filter.Subject {
	on := true
	return &filter.Subject{
		State: state.State{
			EntityID: "light.kitchen", UpdatedAt: noon.Add(-5 * time.Minute), ChangedAt: noon.Add(-time.Hour), UpdatedBy: "mqtt:z2m", Position: 42,
			Attributes: &entityv1.Attributes{
				Availability: entityv1.Availability_AVAILABILITY_ONLINE,
				Domain:       &entityv1.Attributes_Light{Light: &entityv1.Light{On: &on}},
			},
		},
		Text: "on", Name: "Kitchen lamp", Area: "kitchen", AreaName: "Kitchen", Device: "d/1", DeviceName: "Lamp", Now: noon,
	}
}

func attic() *filter.Subject {
	return &filter.Subject{
		State: state.State{
			EntityID: "sensor.attic", UpdatedAt: noon, ChangedAt: noon, Position: 7,
			Attributes: &entityv1.Attributes{
				Availability: entityv1.Availability_AVAILABILITY_OFFLINE,
				Domain:       &entityv1.Attributes_Sensor{Sensor: &entityv1.Sensor{Value: &entityv1.Sensor_Number{Number: 21.5}}},
			},
		},
		Text: "unavailable", Name: "Attic", Unit: "°C", DeviceClass: "temperature", Now: noon,
	}
}

func TestMatch(t *testing.T) {
	for _, c := range []struct {
		expression     string
		kitchen, attic bool
	}{
		{`true`, true, true},
		{`domain == "light" && state.light.on && age > duration("30m")`, true, false},
		{`age > duration("90m")`, false, false},
		{`silence < duration("1m")`, false, true},
		{`id.startsWith("sensor.")`, false, true},
		{`id in ["light.kitchen", "light.hall"]`, true, false},
		{`state.sensor.number > 20`, false, true},
		{`state.sensor.number > 21.5`, false, false},
		{`state.sensor.number == 21.5 && state.light.brightness == 0u`, false, true},
		{`has(state.light)`, true, false},
		{`has(state.light.on)`, true, false},
		{`has(state.light.brightness)`, false, false},
		{`!online`, false, true},
		{`state.availability == Availability.AVAILABILITY_OFFLINE`, false, true},
		{`text == "on"`, true, false},
		{`name.matches("(?i)lamp$")`, true, false},
		{`area == "kitchen" || area_name == "Attic"`, true, false},
		{`device == "d/1" && device_name == "Lamp"`, true, false},
		{`unit == "°C" && device_class == "temperature"`, false, true},
		{`updated_by.contains("z2m")`, true, false},
		{`position > 10`, true, false},
		{`changed_at <= timestamp("2026-01-31T11:00:00Z")`, true, false},
		{`updated_at == now`, false, true},
		{`now.getHours() == 12`, true, true},
		{`[1, 2, 3].exists(n, n == int(position) / 14)`, true, false},
	} {
		f, err := filter.Compile(c.expression)
		if err != nil {
			t.Errorf("%s: %v", c.expression, err)
			continue
		}
		for _, s := range []struct {
			subject *filter.Subject
			want    bool
		}{{kitchen(), c.kitchen}, {attic(), c.attic}} {
			if got, err := f.Match(t.Context(), s.subject); err != nil || got != s.want {
				t.Errorf("%s: of %s: %t, %v", c.expression, s.subject.State.EntityID, got, err)
			}
		}
	}
}

// A subject of which nothing is known has every name all the same.
func TestEveryVariable(t *testing.T) {
	for _, v := range filter.Variables() {
		f, err := filter.Compile(v.Name + " == " + v.Name)
		if err != nil {
			t.Errorf("%s: %v", v.Name, err)
			continue
		}
		for _, s := range []*filter.Subject{{}, kitchen()} {
			if got, err := f.Match(t.Context(), s); err != nil || !got {
				t.Errorf("%s: %t, %v", v.Name, got, err)
			}
		}
		if v.Help == "" || v.Type == "" {
			t.Errorf("%s is not explained", v.Name)
		}
	}
}

func TestWhatIsNoFilter(t *testing.T) {
	for expression, message := range map[string]string{
		"":                                "it is empty",
		" \n":                             "it is empty",
		"true &&\n lamp":                  "at line 2, character 2: there is no 'lamp'",
		"lamp":                            "there is no 'lamp'; there are id, domain,",
		"domain = 1":                      "at character 8",
		`domain == 1`:                     "no matching overload",
		`position == 7.0`:                 "numbers are written as 20, 20u or 20.0",
		`state.light.brightness == 255`:   "numbers are written as 20, 20u or 20.0",
		`state.sensor.number in [20, 21]`: "numbers are written as 20, 20u or 20.0",
		`state.sensor.number * 2 > 40.0`:  "numbers are written as 20, 20u or 20.0",
		`domain == "light" &&`:            "at character 21",
		"id":                              "has to be true or false",
		"state.light.onn":                 "undefined field 'onn'",
		"state":                           "has to be true or false",
		strings.Repeat("x", 5000):         "at most 4096",
		strings.Repeat("(", 200) + "true" + strings.Repeat(")", 200): "",
		"\xff":     "",
		"true\x00": "",
	} {
		_, err := filter.Compile(expression)
		if !errors.Is(err, filter.ErrInvalid) || !errors.Is(err, eventstore.ErrInvalid) || !strings.Contains(err.Error(), message) {
			t.Errorf("%.40q: %v", expression, err)
		} else if strings.Contains(err.Error(), "\n") {
			t.Errorf("%.40q: more than a line: %v", expression, err)
		}
	}
}

// dearest costs more than any expression may.
var (
	list    = "[" + strings.TrimSuffix(strings.Repeat("1,", 60), ",") + "]"
	dearest = list + ".all(a, " + list + ".all(b, " + list + ".all(c, a == b && b == c || true)))"
)

// BenchmarkMatch is what a usual expression costs for an entity, and the most that any one does.
func BenchmarkMatch(b *testing.B) {
	for name, expression := range map[string]string{
		"usual": `domain == "light" && state.light.on && age > duration("30m")`, "dearest": dearest,
	} {
		f, err := filter.Compile(expression)
		if err != nil {
			b.Fatal(err)
		}
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for s := kitchen(); b.Loop(); {
				if _, err := f.Match(b.Context(), s); err != nil && expression != dearest {
					b.Fatal(err)
				}
			}
		})
	}
}

// What goes wrong only with an entity names that; what costs too much is given up.
func TestMatchFails(t *testing.T) {
	for expression, message := range map[string]string{
		"1 / (position - 42) == 1": "light.kitchen: division by zero",
		`int(name) == 1`:           "light.kitchen",
		dearest:                    "cost limit exceeded",
	} {
		f, err := filter.Compile(expression)
		if err != nil {
			t.Errorf("%.40s: %v", expression, err)
			continue
		}
		_, err = f.Match(t.Context(), kitchen())
		if !errors.Is(err, filter.ErrInvalid) || !strings.Contains(err.Error(), message) {
			t.Errorf("%.40s: %v", expression, err)
		}
	}
	f, err := filter.Compile(list + ".all(a, a == position || true)")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := f.Match(ctx, kitchen()); !errors.Is(err, context.Canceled) || errors.Is(err, filter.ErrInvalid) {
		t.Errorf("%v", err)
	}
}

// The documentation has every name, with its type.
func TestDocumented(t *testing.T) {
	page, err := os.ReadFile("../../docs/filters.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range filter.Variables() {
		if row := fmt.Sprintf("| `%s` | %s | %s |", v.Name, v.Type, v.Help); !strings.Contains(string(page), row) {
			t.Errorf("docs/filters.md lacks\n%s", row)
		}
	}
}

// FuzzCompile: whatever an expression is, it is refused with a reason, or matches, or fails for an entity.
func FuzzCompile(f *testing.F) {
	for _, text := range []string{
		`domain == "light" && state.light.on && age > duration("30m")`, `has(state.sensor.number)`, `[1,2].all(x, x > position)`,
		`name.matches("(a*)*b")`, `1 / 0 == 1`, `"\x00"`, `{"a": 1}.a == 1`, `state.extra.exists(e, e.name == "linkquality")`,
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		compiled, err := filter.Compile(text)
		if err != nil {
			if !errors.Is(err, filter.ErrInvalid) {
				t.Fatal(err)
			}
			return
		}
		for _, s := range []*filter.Subject{{}, kitchen(), attic()} {
			if _, err := compiled.Match(t.Context(), s); err != nil && !errors.Is(err, filter.ErrInvalid) {
				t.Fatal(err)
			}
		}
	})
}
