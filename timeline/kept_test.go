package timeline

import (
	"slices"
	"testing"

	"github.com/statehouse/statehouse/eventstore"
	"github.com/statehouse/statehouse/state"
)

// The moments that were used last are kept, as many as there is room for beside the ground of the newest one; and a
// ground takes its room as long as any moment stands on it.
func TestKeptMomentsAreBounded(t *testing.T) {
	k := kept{limit: 1000}
	add := func(at eventstore.Position, added int, states *ground) {
		k.add(keptMoment{Moment: Moment{State: state.Revision{Position: at}}, added: added, states: states, registry: &ground{}})
	}
	expect := func(bytes int, want ...eventstore.Position) {
		t.Helper()
		var got []eventstore.Position
		for _, e := range k.byPos {
			got = append(got, e.Value.(*keptMoment).Position())
		}
		if !slices.Equal(got, want) || k.bytes != bytes {
			t.Errorf("%v are kept with %d bytes, want %v with %d", got, k.bytes, want, bytes)
		}
	}
	large, small := &ground{entries: 50, each: 100}, &ground{entries: 4, each: 100}
	add(10, 0, large)
	add(30, 600, large) // the ground alone is larger than the limit, and both stand on it
	expect(5600, 10, 30)
	add(20, 300, large)
	expect(5900, 10, 20, 30)
	if m := k.before(15); m.Position() != 10 {
		t.Errorf("before 15 is %d", m.Position())
	}
	if m, ok := k.at(20); !ok || m.Position() != 20 {
		t.Errorf("at 20 is %d, %v", m.Position(), ok)
	}
	if m := k.before(9); m.states != nil || m.Position() != 0 {
		t.Errorf("before 9 is %v", m)
	}
	add(25, 150, large) // 30 was not used since
	expect(5450, 10, 20, 25)
	add(7, 100, small) // there is no room for the large ground
	expect(500, 7)
	add(8, 1, large) // and beside the large one there is some for the small
	expect(5501, 7, 8)
	add(8, 99, small)
	expect(5501, 7, 8)
	for at := range eventstore.Position(3 * keptMoments) {
		add(100+at, 0, small)
	}
	if len(k.byPos) != keptMoments || k.byAge.Len() != keptMoments {
		t.Errorf("%d moments are kept, %d by age", len(k.byPos), k.byAge.Len())
	}
	if _, ok := k.at(100); ok {
		t.Error("the first one is still kept")
	}
}
