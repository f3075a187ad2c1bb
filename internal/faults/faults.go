// Package faults is what the harnesses share that prove what docs/reliability.md promises: how a run is bounded, what it
// says of what it covered, and the shipped program as a process with clients at its doors. Each harness is a package
// below this one with a function Run; "go test" runs each for seconds, and the command internal/faults/soak for hours.
package faults

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// Run runs a harness from a seed until its budget is used up or ctx ends, and says what it covered. An error is
// something that must not be, and ends the run; the end of ctx is none. The same seed makes the same choices; what
// comes of them may differ, since processes and the clock take part.
type Run func(ctx context.Context, seed uint64, b Budget) (Report, error)

// Budget bounds a run. It ends with whatever bound comes first, and needs one.
type Budget struct {
	// Rounds is the most that a run does, in a unit of its own; 0 means no bound.
	Rounds int
	// Time is how long it goes on to begin rounds; 0 means no bound.
	Time time.Duration
	// Dir is an empty directory, which the run may fill and does not remove.
	Dir string
	// Binary is the program under test, for those that start it: [Build] makes it.
	Binary string
	// Covered are the counts of all runs before this one, as in a [Report]; nil for none.
	Covered map[string]int
}

// Check says what is missing from a budget.
func (b Budget) Check() error {
	if b.Rounds <= 0 && b.Time <= 0 {
		return errors.New("a budget needs a number of rounds or a time")
	}
	if b.Dir == "" {
		return errors.New("a budget needs a directory")
	}
	return nil
}

// Meter is how much of a budget is used.
type Meter struct {
	budget Budget
	began  time.Time
	Report
}

// NewMeter begins a run, whose rounds are called unit.
func (b Budget) NewMeter(unit string) *Meter {
	return &Meter{budget: b, began: time.Now(), Report: Report{Unit: unit, Counts: map[string]int{}}}
}

// More says whether another round may begin.
func (m *Meter) More(ctx context.Context) bool {
	return ctx.Err() == nil && (m.budget.Rounds <= 0 || m.Rounds < m.budget.Rounds) &&
		(m.budget.Time <= 0 || time.Since(m.began) < m.budget.Time)
}

// Report is what a run covered.
type Report struct {
	// Rounds is what it did, Unit what one is, as in "kills".
	Rounds int    `json:"rounds"`
	Unit   string `json:"unit"`
	// Counts says what was covered in them, by name.
	Counts map[string]int `json:"counts"`
}

// Count adds to what was covered.
func (r *Report) Count(what string, n int) { r.Counts[what] += n }

// Add adds what another run of the same harness covered.
func (r *Report) Add(o Report) {
	r.Rounds, r.Unit = r.Rounds+o.Rounds, o.Unit
	if r.Counts == nil {
		r.Counts = map[string]int{}
	}
	for what, n := range o.Counts {
		if strings.HasSuffix(what, " at most") {
			r.Counts[what] = max(r.Counts[what], n)
		} else {
			r.Counts[what] += n
		}
	}
}

// String is the report in one line.
func (r Report) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d %s", r.Rounds, r.Unit)
	for i, what := range slices.Sorted(maps.Keys(r.Counts)) {
		sep := ", "
		if i == 0 {
			sep = ": "
		}
		fmt.Fprintf(&b, "%s%d %s", sep, r.Counts[what], what)
	}
	return b.String()
}
