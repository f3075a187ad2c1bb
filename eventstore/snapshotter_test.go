package eventstore

import (
	"cmp"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// What is removed of the snapshots leaves the newest, every base of what stays, and no gap larger than allowed but where
// one was; nothing that could go as well stays, and nothing damaged.
func TestUnneededSnapshots(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		newest := drawStored(t)
		gone := unneeded(newest, 0)
		if !slices.IsSortedFunc(gone, func(a, b Position) int { return cmp.Compare(b, a) }) {
			t.Fatalf("removed in the order %v", gone)
		}
		kept := slices.DeleteFunc(slices.Clone(newest), func(s stored) bool { return slices.Contains(gone, s.at) })
		usable := func(all []stored) []stored {
			return slices.DeleteFunc(slices.Clone(all), func(s stored) bool { return !s.usable })
		}
		had, has := usable(newest), usable(kept)
		n := min(len(had), recentSnapshots)
		if !slices.Equal(has[:n], had[:n]) {
			t.Fatalf("of the newest %v stay %v", had[:n], has[:n])
		}
		for _, s := range kept {
			if s.damaged || !s.usable && n == recentSnapshots && s.at < had[n-1].at {
				t.Fatalf("%+v stays", s)
			}
			if s.usable && s.delta && !slices.ContainsFunc(has, func(b stored) bool { return b.at == s.base }) {
				t.Fatalf("%+v stays, and what it starts from does not", s)
			}
		}
		gap := func(list []stored, i int) Position { // behind the i-th, down to the one before it or to the beginning
			if i+1 < len(list) {
				return list[i].at - list[i+1].at
			}
			return list[i].at
		}
		needed := func(at Position) bool {
			return slices.ContainsFunc(has, func(s stored) bool { return s.delta && s.base == at })
		}
		for i := range has {
			if g := gap(has, i); g > sparseEvents && !slices.ContainsFunc(had, func(s stored) bool {
				return s == has[i] && gap(had, slices.Index(had, s)) == g
			}) {
				t.Fatalf("%v leaves a gap of %d behind %d", had, g, has[i].at)
			}
			if i >= recentSnapshots && i+1 < len(has) && has[i-1].at-has[i+1].at <= sparseEvents && !needed(has[i].at) {
				t.Fatalf("of %v stays %d between %d and %d", had, has[i].at, has[i+1].at, has[i-1].at)
			}
		}
	})
}

// drawStored draws the snapshots of an owner: whole ones, some damaged or of another version, and deltas that start from
// one of the last whole ones before them.
func drawStored(t *rapid.T) (newest []stored) {
	at := Position(rapid.IntRange(1, 200_000).Draw(t, "first"))
	var wholes []stored
	for range rapid.IntRange(0, 60).Draw(t, "snapshots") {
		s := stored{at: at, usable: true}
		switch rapid.IntRange(0, 9).Draw(t, "kind") {
		case 0:
			s.usable, s.damaged = false, true
		case 1:
			s.usable = false
		case 2, 3, 4, 5, 6:
			if len(wholes) > 0 {
				base := wholes[max(0, len(wholes)-rapid.IntRange(1, 2).Draw(t, "base"))]
				s.delta, s.base, s.usable, s.damaged = true, base.at, base.usable, base.damaged
			}
		}
		if !s.delta {
			wholes = append(wholes, s)
		}
		newest = append([]stored{s}, newest...)
		at += Position(rapid.SampledFrom([]int{1, 5_000, 10_000, 30_000, 50_000, 70_000}).Draw(t, "distance"))
	}
	return newest
}

// Of a log of which a part has been removed, the snapshot in the place of that stays, and before it only what others start
// from.
func TestUnneededSnapshotsBeforeABase(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		newest := drawStored(t)
		wholes := slices.DeleteFunc(slices.Clone(newest), func(s stored) bool { return s.delta || !s.usable })
		if len(wholes) == 0 {
			return
		}
		base := rapid.SampledFrom(wholes).Draw(t, "base").at
		gone := unneeded(newest, base)
		kept := slices.DeleteFunc(slices.Clone(newest), func(s stored) bool { return slices.Contains(gone, s.at) })
		at := func(p Position) func(stored) bool { return func(s stored) bool { return s.at == p } }
		if !slices.ContainsFunc(kept, at(base)) {
			t.Fatalf("the one at the base %d of %+v goes", base, newest)
		}
		last := kept[len(kept)-1].at
		for i, s := range kept {
			if s.usable && s.delta && !slices.ContainsFunc(kept, at(s.base)) {
				t.Fatalf("%+v stays, and what it starts from does not", s)
			}
			if s.at < base && !slices.ContainsFunc(kept, func(d stored) bool { return d.usable && d.delta && d.base == s.at }) {
				t.Fatalf("%+v stays before the base %d", s, base)
			}
			if i+1 < len(kept) && s.at > base {
				last = kept[i+1].at
				had := slices.IndexFunc(newest, at(s.at)) + 1
				if max(last, base)+sparseEvents < s.at && slices.ContainsFunc(newest[had:], func(o stored) bool { return o.usable && o.at > max(last, base) }) {
					t.Fatalf("of %+v nothing stays between %d and %d", newest, last, s.at)
				}
			}
		}
	})
}
