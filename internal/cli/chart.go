package cli

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/statehouse/statehouse/internal/api"
)

// samples are the states of an entity over time, each from its time on.
type samples struct {
	list []sample
	// held says that the first one held already before the time began.
	held bool
}

// sample is a state; it is empty where there is none.
type sample struct {
	at    time.Time
	state string
}

// start begins with the state at the beginning of the time, nil for none.
func (s *samples) start(v *api.Value) {
	if v != nil {
		s.list = append(s.list, sample{v.UpdatedAt, v.State})
		s.held = true
	}
}

// add goes on with what a step made of the entity. Sources' clocks may jump; the order of the log counts.
func (s *samples) add(step api.Step) {
	next := sample{at: step.Timestamp}
	if step.After != nil {
		next.state = step.After.State
	}
	if n := len(s.list); n > 0 {
		last := s.list[n-1]
		if last.state == next.state {
			return
		}
		if next.at.Before(last.at) {
			next.at = last.at
		}
	}
	s.list = append(s.list, next)
}

// begin is when the first state came.
func (s *samples) begin() time.Time {
	if len(s.list) == 0 {
		return time.Time{}
	}
	return s.list[0].at
}

// The size of a chart.
const (
	chartHeight = 6
	chartWidth  = 80 // where the output is not a terminal
	mostBands   = 8
)

// draw draws what there is between two times: numbers as a chart, anything else as bands. What there is nothing of is
// not drawn.
func (s *samples) draw(a *app, unit string, begin, end time.Time) error {
	if n := len(s.list); n > 0 && s.list[n-1].at.After(end) {
		end = s.list[n-1].at // a clock that is ahead
	}
	if begin.IsZero() {
		begin = s.begin()
	}
	if len(s.list) == 0 || !begin.Before(end) {
		return nil
	}
	width := a.term.width
	if width == 0 {
		width = chartWidth
	}
	lines := s.bands(a, begin, end, width)
	if s.numeric() {
		lines = s.chart(a, unit, begin, end, width)
	}
	if len(lines) == 0 {
		return nil
	}
	return a.printf("%s\n\n", strings.Join(lines, "\n"))
}

// number is a state as a number, false where it is none.
func number(state string) (float64, bool) {
	n, err := strconv.ParseFloat(state, 64)
	return n, err == nil && !math.IsInf(n, 0) && !math.IsNaN(n)
}

// nothing says that a state is none: there is nothing, or nothing is known.
func nothing(state string) bool { return state == "" || state == "unknown" || state == "unavailable" }

// numeric says that all states are numbers, as far as there are any.
func (s *samples) numeric() bool {
	some := false
	for _, v := range s.list {
		if _, ok := number(v.state); ok {
			some = true
		} else if !nothing(v.state) {
			return false
		}
	}
	return some
}

// column calls visit with each state that held in one of so many equal parts of the time, and for how long it did in it.
func (s *samples) column(begin, end time.Time, columns int, visit func(column int, state string, share float64)) {
	total := float64(end.Sub(begin))
	place := func(t time.Time) float64 {
		return min(max(float64(t.Sub(begin))/total, 0), 1) * float64(columns)
	}
	for i, v := range s.list {
		from, to := place(v.at), float64(columns)
		if i == 0 && s.held {
			from = 0
		}
		if i+1 < len(s.list) {
			to = place(s.list[i+1].at)
		}
		first := min(int(from), columns-1)
		visit(first, v.state, min(to, float64(first+1))-from)
		for c := first + 1; float64(c) < to; c++ {
			visit(c, v.state, min(to, float64(c+1))-float64(c))
		}
	}
}

// chart draws numbers. Each column has the number of its time that is farthest from that of the column before, so that no
// peak is lost.
func (s *samples) chart(a *app, unit string, begin, end time.Time, width int) []string {
	low, high, last := math.Inf(1), math.Inf(-1), math.NaN()
	for _, v := range s.list {
		if n, ok := number(v.state); ok {
			low, high, last = min(low, n), max(high, n), n
		}
	}
	text := func(n float64) string {
		return strings.TrimSpace(strconv.FormatFloat(n, 'f', -1, 64) + " " + unit)
	}
	labels := [chartHeight]string{0: text(high), chartHeight - 1: text(low)}
	if low == high {
		labels[0] = ""
	}
	margin := max(textWidth(labels[0]), textWidth(labels[chartHeight-1]))
	columns := max(width-margin-2, 10)
	heights := make([]float64, columns) // NaN where there is nothing
	for i := range heights {
		heights[i] = math.NaN()
	}
	s.column(begin, end, columns, func(c int, state string, _ float64) {
		n, ok := number(state)
		if !ok {
			return
		}
		before := math.NaN()
		if c > 0 {
			before = heights[c-1]
		}
		if math.IsNaN(heights[c]) || math.IsNaN(before) || math.Abs(n-before) >= math.Abs(heights[c]-before) {
			heights[c] = n
		}
	})
	lines := make([]string, 0, chartHeight+3)
	for row := range chartHeight {
		var line strings.Builder
		for _, n := range heights {
			line.WriteRune(block(n, low, high, chartHeight-1-row))
		}
		pad := strings.Repeat(" ", margin-textWidth(labels[row]))
		lines = append(lines, pad+a.term.paint(dim, labels[row]+" │")+a.term.paint(cyan, strings.TrimRight(line.String(), " ")))
	}
	lines = append(lines, axis(a, begin, end, margin, columns)...)
	return append(lines, a.fit(fmt.Sprintf("%s   min %s, max %s, last %s", strings.Repeat(" ", margin), text(low), text(high), text(last)), 0))
}

// block is what a column has in a row of the chart, counted from below.
func block(n, low, high float64, row int) rune {
	if math.IsNaN(n) {
		return ' '
	}
	const eighths = "▁▂▃▄▅▆▇█"
	level := 1 // of 1 to 8*chartHeight, so that the lowest number is seen, too
	if high > low {
		level += int(math.Round((n/2 - low/2) / (high/2 - low/2) * (8*chartHeight - 1)))
	}
	switch rest := level - 8*row; {
	case rest <= 0:
		return ' '
	case rest >= 8:
		return '█'
	default:
		return []rune(eighths)[rest-1]
	}
}

// axis is the line below a chart, and its times.
func axis(a *app, begin, end time.Time, margin, columns int) []string {
	layout := "15:04:05"
	if begin.Local().Format(time.DateOnly) != end.Local().Format(time.DateOnly) {
		layout = "2006-01-02 15:04"
	}
	first, last := begin.Local().Format(layout), end.Local().Format(layout)
	indent := strings.Repeat(" ", margin+1)
	gap := max(columns+1-len(first)-len(last), 1)
	return []string{
		a.term.paint(dim, indent+"└"+strings.Repeat("─", columns)),
		a.term.paint(dim, indent+first+strings.Repeat(" ", gap)+last),
	}
}

// bands draws, for each of a few states, when it was: all of a column's time, or a part of it.
func (s *samples) bands(a *app, begin, end time.Time, width int) []string {
	share := map[string]float64{}
	s.column(begin, end, 1, func(_ int, state string, part float64) { share[state] += part })
	delete(share, "")
	states := make([]string, 0, len(share))
	for state := range share {
		states = append(states, state)
	}
	slices.SortFunc(states, func(x, y string) int {
		return cmp.Or(-cmp.Compare(share[x], share[y]), cmp.Compare(x, y))
	})
	if len(states) > mostBands {
		return nil // times and texts are no bands
	}
	labels, margin := make([]string, len(states)), 0
	for i, state := range states {
		labels[i] = cut(clean(state), 20)
		margin = max(margin, textWidth(labels[i]))
	}
	const percent = len(" 100 %")
	columns := max(width-margin-2-percent, 10)
	var lines []string
	for i, of := range states {
		parts := make([]float64, columns)
		s.column(begin, end, columns, func(c int, state string, part float64) {
			if state == of {
				parts[c] += part
			}
		})
		var line strings.Builder
		for _, part := range parts {
			switch {
			case part > 0.99:
				line.WriteRune('█')
			case part > 0:
				line.WriteRune('▌')
			default:
				line.WriteRune(' ')
			}
		}
		pad := strings.Repeat(" ", margin-textWidth(labels[i]))
		lines = append(lines, pad+a.term.paint(dim, labels[i]+" │")+a.term.paint(stateStyle(api.State{State: of}), line.String())+
			fmt.Sprintf("%*.0f %%", percent-2, 100*share[of]))
	}
	return append(lines, axis(a, begin, end, margin, columns)...)
}
