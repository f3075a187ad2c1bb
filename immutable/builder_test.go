package immutable

import (
	"maps"
	"testing"
)

func TestZeroBuilder(t *testing.T) {
	var b Builder[string, int]
	if _, ok := b.Get("a"); ok || b.Len() != 0 || b.Delete("a") {
		t.Error("the zero Builder is not empty")
	}
	empty := b.Map()
	b.Set("a", 1)
	one := b.Map()
	if empty.Len() != 0 || one.Len() != 1 {
		t.Errorf("Len is %d, then %d", empty.Len(), one.Len())
	}
}

// TestBuilderMapIsStable answers the same pointer until something changes.
func TestBuilderMapIsStable(t *testing.T) {
	m := built(ids(100))
	b := m.Builder()
	if b.Map() != m {
		t.Error("a builder without changes answers another map")
	}
	b.Delete("nobody")
	if b.Map() != m {
		t.Error("a deletion of nothing makes another map")
	}
	b.Set("new", 1)
	next := b.Map()
	if next == m || b.Map() != next || m.Len() != 100 || next.Len() != 101 {
		t.Error("Map does not follow the changes")
	}
	b.Delete("new")
	if back := b.Map(); back == next || !sameShape(back, m) {
		t.Error("Map does not follow the changes back")
	}
}

// TestBuilderChangesInPlace fails when a builder copies what it owns.
func TestBuilderChangesInPlace(t *testing.T) {
	keys := ids(1000)
	b := built(keys).Builder()
	for i, k := range keys {
		b.Set(k, -i)
	}
	allocs := testing.AllocsPerRun(100, func() { b.Set(keys[5], 1) })
	if allocs != 1 { // the entry
		t.Errorf("a change of an owned path allocates %v times", allocs)
	}
	b.Map()
	path := testing.AllocsPerRun(1, func() { b.Map(); b.Set(keys[5], 1) })
	if path < 3 {
		t.Errorf("after Map, a change allocates %v times: did it copy the path?", path)
	}
}

func TestBuilderLeavesItsMapsAlone(t *testing.T) {
	keys := ids(2000)
	base := built(keys[:1000])
	before := maps.Collect(base.All())
	b := base.Builder()
	other := base.Builder()
	var given []*Map[string, int]
	var want []map[string]int
	for i, k := range keys {
		b.Set(k, -i)
		b.Delete(keys[(i*7)%len(keys)])
		other.Delete(k)
		if i%250 == 0 {
			given = append(given, b.Map())
			want = append(want, maps.Collect(given[len(given)-1].All()))
		}
	}
	if !maps.Equal(maps.Collect(base.All()), before) {
		t.Error("the map that the builders came from has changed")
	}
	for i, m := range given {
		mustCheck(t, m)
		if !maps.Equal(maps.Collect(m.All()), want[i]) {
			t.Errorf("map %d that the builder gave out has changed", i)
		}
	}
	if other.Len() != 0 {
		t.Errorf("the other builder has %d entries left", other.Len())
	}
}

// TestBuilderShrinks fails when branches and buckets that a builder has emptied stay as large as they were.
func TestBuilderShrinks(t *testing.T) {
	keys := ids(64 * 64)
	b := NewBuilder[string, int]()
	for i, k := range keys {
		b.Set(k, i)
	}
	for _, k := range keys[4:] {
		b.Delete(k)
	}
	if err := b.check(); err != nil {
		t.Error(err)
	}
	if root := b.Map().root; root.starts != 1 || root.subs != 0 {
		t.Errorf("four entries, and the root has elements at %#x, branches at %#x", root.starts, root.subs)
	}
}

func TestCopiedBuilderPanics(t *testing.T) {
	b := NewBuilder[string, int]()
	b.Set("a", 1)
	dup := *b
	for name, use := range map[string]func(){
		"Set": func() { dup.Set("a", 2) }, "Delete": func() { dup.Delete("a") }, "Map": func() { dup.Map() },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s on a copy does not panic", name)
				}
			}()
			use()
		}()
	}
	if v, _ := b.Get("a"); v != 1 {
		t.Errorf("the copy has changed the original to %d", v)
	}
}
