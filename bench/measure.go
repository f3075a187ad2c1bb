package main

import (
	"slices"
)

// Measure is something worth measuring. What it finds is one figure or more: one for
// each reference that ours stands beside, and for each unit.
type Measure struct {
	// Name is unique, and as the goals of the project have it: "map.get.1k".
	Name string
	// Run measures. It is given a collected heap, and should leave nothing behind.
	Run func() ([]Figure, error)
}

// Figure is a value of ours beside a reference that was measured in the same run.
type Figure struct {
	Unit string // "ns", "B", …
	Ours float64
	// Reference names the peer or limit, and under which circumstances, if a measure has several.
	Reference      string
	ReferenceValue float64
	// Goal is nil where the reference is shown for comparison.
	Goal *Goal
}

// Goal is what a figure should reach.
type Goal struct {
	Text string
	// Met says whether ours reaches it.
	Met func(ours, reference float64) bool
}

// atMost is the goal that ours is at most ratio times the reference.
func atMost(ratio float64) *Goal {
	return &Goal{
		Text: "≤ " + factor(ratio),
		Met:  func(ours, reference float64) bool { return ours <= ratio*reference },
	}
}

// withoutAllocation is the goal with one more condition: that nothing was allocated, of which allocations says how much.
func (g *Goal) withoutAllocation(allocations float64) *Goal {
	return &Goal{
		Text: g.Text + ", no allocation",
		Met:  func(ours, reference float64) bool { return allocations == 0 && g.Met(ours, reference) },
	}
}

// Result is a figure with its name and judgement, as it is printed.
type Result struct {
	Name           string  `json:"name"`
	Unit           string  `json:"unit"`
	Ours           float64 `json:"ours"`
	Reference      string  `json:"reference"`
	ReferenceValue float64 `json:"reference_value"`
	Ratio          float64 `json:"ratio"`
	// Goal is empty, and Met null, where the reference is shown for comparison.
	Goal string `json:"goal"`
	Met  *bool  `json:"met"`
}

func newResult(name string, f Figure) Result {
	r := Result{
		Name: name, Unit: f.Unit, Ours: f.Ours, Reference: f.Reference, ReferenceValue: f.ReferenceValue,
		Ratio: f.Ours / f.ReferenceValue,
	}
	if f.Goal != nil {
		met := f.Goal.Met(f.Ours, f.ReferenceValue)
		r.Goal, r.Met = f.Goal.Text, &met
	}
	return r
}

// takeTurns calls each side once per round, one after the other, and answers the median of what each
// answered. Whatever slows the machine down for a while slows all sides; and nobody always comes after the same one's work,
// since every other round goes backwards.
func takeTurns(rounds int, sides ...func() float64) []float64 {
	values := make([][]float64, len(sides))
	for round := range rounds {
		for i := range sides {
			if round%2 == 1 {
				i = len(sides) - 1 - i
			}
			values[i] = append(values[i], sides[i]())
		}
	}
	medians := make([]float64, len(sides))
	for i := range sides {
		medians[i] = median(values[i])
	}
	return medians
}

// median answers the middle one of the values, or the mean of the middle two. There must be one at least.
func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	middle := len(sorted) / 2
	if len(sorted)%2 == 0 {
		return (sorted[middle-1] + sorted[middle]) / 2
	}
	return sorted[middle]
}
