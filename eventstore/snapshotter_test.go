package eventstore

import (
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// What is removed of the snapshots leaves the newest, and no gap larger than allowed but where one was; and nothing that
// could go as well stays.
func TestUnneededSnapshots(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var newest []Position
		at := Position(rapid.IntRange(1, 200_000).Draw(t, "first"))
		for range rapid.IntRange(0, 60).Draw(t, "snapshots") {
			newest = append([]Position{at}, newest...)
			at += Position(rapid.SampledFrom([]int{1, 5_000, 10_000, 30_000, 50_000, 70_000}).Draw(t, "distance"))
		}
		gone := unneeded(newest, 0)
		kept := slices.DeleteFunc(slices.Clone(newest), func(p Position) bool { return slices.Contains(gone, p) })
		if n := min(len(newest), recentSnapshots); !slices.Equal(kept[:n], newest[:n]) {
			t.Fatalf("of the newest %v stay %v", newest[:n], kept[:n])
		}
		gap := func(list []Position, i int) Position { // behind the i-th, down to the one before it or to the beginning
			if i+1 < len(list) {
				return list[i] - list[i+1]
			}
			return list[i]
		}
		for i := range kept {
			if g := gap(kept, i); g > sparseEvents && !slices.ContainsFunc(positionsOf(newest), func(n int) bool {
				return newest[n] == kept[i] && gap(newest, n) == g
			}) {
				t.Fatalf("%v leaves a gap of %d behind %d", newest, g, kept[i])
			}
			if i >= recentSnapshots && i+1 < len(kept) && kept[i-1]-kept[i+1] <= sparseEvents {
				t.Fatalf("of %v stays %d between %d and %d", newest, kept[i], kept[i+1], kept[i-1])
			}
		}
	})
}

func positionsOf(list []Position) []int {
	all := make([]int, len(list))
	for i := range all {
		all[i] = i
	}
	return all
}
