package cli

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/statehouse/statehouse/internal/api"
)

// drawn draws states, each a minute apart, over ten minutes.
func drawn(t *testing.T, width int, held string, states ...string) string {
	t.Helper()
	begin := time.Date(2026, 1, 31, 8, 0, 0, 0, time.Local)
	var s samples
	if held != "" {
		s.start(&api.Value{State: held, UpdatedAt: begin.Add(-time.Hour)})
	}
	for i, state := range states {
		step := api.Step{}
		step.Timestamp = begin.Add(time.Duration(i+1) * time.Minute)
		if state != "" {
			step.After = &api.Value{State: state}
		}
		s.add(step)
	}
	var out bytes.Buffer
	a := &app{stdout: &out, term: terminal{width: width}}
	if err := s.draw(a, "W", begin, begin.Add(10*time.Minute)); err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(out.String()) {
		if w := textWidth(strings.TrimSuffix(line, "\n")); w > width {
			t.Errorf("%q has %d columns of %d", line, w, width)
		}
	}
	return out.String()
}

func TestChart(t *testing.T) {
	for name, c := range map[string]struct {
		width  int
		held   string
		states []string
		want   string
	}{
		"numbers": {width: 36, held: "0", states: []string{"10", "20", "unavailable", "30", "", "", "40", "-8"}, want: `
40 W │                     ███
     │            ▆▆▆      ███
     │      ▄▄▄   ███      ███
     │   ▃▃▃███   ███      ███
     │▁▁▁██████   ███      ███
-8 W │█████████   ███      ███▁▁▁▁▁▁
     └──────────────────────────────
     08:00:00               08:10:00
       min -8 W, max 40 W, last -8 W

`},
		"a constant": {width: 35, held: "5", want: `
    │
    │
    │
    │
    │
5 W │▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁
    └──────────────────────────────
    08:00:00               08:10:00
      min 5 W, max 5 W, last 5 W

`},
		"bands": {width: 49, states: []string{"on", "off", "on", "on", "on", "on", "unavailable"}, want: `
         on │   ███   ████████████           50 %
unavailable │                     █████████  30 %
        off │      ███                       10 %
            └──────────────────────────────
            08:00:00               08:10:00

`},
		"texts":   {width: 40, states: strings.Split("a b c d e f g h i", " ")},
		"nothing": {width: 40},
	} {
		got := drawn(t, c.width, c.held, c.states...)
		if got != strings.TrimPrefix(c.want, "\n") {
			t.Errorf("%s:\n%s\nwant\n%s", name, got, c.want)
		}
	}
}

// No peak is lost, however many values a column stands for.
func TestChartShowsPeaks(t *testing.T) {
	begin := time.Date(2026, 1, 31, 8, 0, 0, 0, time.UTC)
	var s samples
	for i := range 10_000 {
		step := api.Step{After: &api.Value{State: "50"}}
		switch i {
		case 3333:
			step.After.State = "100"
		case 7777:
			step.After.State = "0"
		}
		step.Timestamp = begin.Add(time.Duration(i) * time.Second)
		s.add(step)
	}
	lines := s.chart(&app{}, "", begin, begin.Add(10_000*time.Second), 60)
	if strings.Count(lines[0], "█") != 1 || strings.Count(lines[chartHeight-1], "▁") != 1 {
		t.Errorf("the peaks are missing:\n%s", strings.Join(lines, "\n"))
	}
}

// The parts of each column add up to the column, whatever the times are.
func TestColumns(t *testing.T) {
	begin := time.Unix(1_700_000_000, 0)
	for n := range 50 {
		var s samples
		for i := range n {
			step := api.Step{After: &api.Value{State: fmt.Sprint(i % 3)}}
			step.Timestamp = begin.Add(time.Duration(i*i*37%5000-500) * time.Second) // some before, some after, and back and forth
			s.add(step)
		}
		s.held = n > 0
		const columns = 17
		var sums [columns]float64
		s.column(begin, begin.Add(time.Hour), columns, func(c int, _ string, part float64) {
			if part < 0 || c < 0 || c >= columns {
				t.Fatalf("%d: column %d, part %f", n, c, part)
			}
			sums[c] += part
		})
		for c, sum := range sums {
			if n > 0 && (sum < 0.999 || sum > 1.001) {
				t.Errorf("%d: column %d has %f", n, c, sum)
			}
		}
	}
}
