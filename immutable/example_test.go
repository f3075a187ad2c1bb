package immutable_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/statehouse/statehouse/immutable"
)

func Example() {
	before := immutable.New[string, string]().
		Set("light.kitchen", "off").
		Set("light.hall", "on")

	b := before.Builder()
	b.Set("light.kitchen", "on")
	b.Delete("light.hall")
	after := b.Map()

	was, _ := before.Get("light.kitchen")
	is, _ := after.Get("light.kitchen")
	fmt.Println("before:", was, before.Len())
	fmt.Println("after:", is, after.Len())
	// Output:
	// before: off 2
	// after: on 1
}

func ExampleMap() {
	// A nil map is empty, as a nil built-in map is, but can be set, too.
	var none *immutable.Map[string, int]
	one := none.Set("a", 1)
	fmt.Println(none.Len(), one.Len())
	// Output: 0 1
}

func ExampleNew() {
	m := immutable.New[string, int]()
	fmt.Println(m.Len())
	// Output: 0
}

func ExampleCollect() {
	m := immutable.Collect(maps.All(map[string]int{"a": 1, "b": 2}))
	v, ok := m.Get("b")
	fmt.Println(m.Len(), v, ok)
	// Output: 2 2 true
}

func ExampleMap_Get() {
	m := immutable.New[string, int]().Set("a", 1)
	v, ok := m.Get("a")
	fmt.Println(v, ok)
	v, ok = m.Get("b")
	fmt.Println(v, ok)
	// Output:
	// 1 true
	// 0 false
}

func ExampleMap_Set() {
	one := immutable.New[string, int]().Set("a", 1)
	two := one.Set("a", 2)
	v1, _ := one.Get("a")
	v2, _ := two.Get("a")
	fmt.Println(v1, v2)
	// Output: 1 2
}

func ExampleMap_Delete() {
	one := immutable.New[string, int]().Set("a", 1)
	none := one.Delete("a")
	fmt.Println(one.Len(), none.Len())
	fmt.Println(none.Delete("a") == none)
	// Output:
	// 1 0
	// true
}

func ExampleMap_Len() {
	m := immutable.New[string, int]().Set("a", 1).Set("b", 2).Set("a", 3)
	fmt.Println(m.Len())
	// Output: 2
}

func ExampleMap_All() {
	m := immutable.New[string, int]().Set("a", 1).Set("b", 2)
	sum := 0
	for k, v := range m.All() {
		_ = k // in no particular order
		sum += v
	}
	fmt.Println(sum)
	fmt.Println(maps.Collect(m.All())) // printed by key
	// Output:
	// 3
	// map[a:1 b:2]
}

func ExampleMap_Keys() {
	m := immutable.New[string, int]().Set("b", 2).Set("a", 1)
	fmt.Println(slices.Sorted(m.Keys()))
	// Output: [a b]
}

func ExampleMap_Values() {
	m := immutable.New[string, int]().Set("b", 2).Set("a", 1)
	fmt.Println(slices.Sorted(m.Values()))
	// Output: [1 2]
}

func ExampleMap_Entries() {
	rooms := immutable.New[string, string]().Set("light.desk", "study").Set("light.stove", "kitchen")
	sorted := slices.SortedFunc(rooms.Entries(), func(a, b immutable.Entry[string, string]) int {
		return strings.Compare(a.Key(), b.Key())
	})
	for _, e := range sorted {
		fmt.Println(e.Key(), e.Value())
	}
	// Output:
	// light.desk study
	// light.stove kitchen
}

func ExampleIterator() {
	m := immutable.New[string, int]().Set("a", 1)
	it := m.Iterator()
	m = m.Set("b", 2) // the iterator goes on with the version that it came from
	n := 0
	for k, v, ok := it.Next(); ok; k, v, ok = it.Next() {
		fmt.Println(k, v)
		n++
	}
	fmt.Println(n, "of", m.Len())
	// Output:
	// a 1
	// 1 of 2
}

func ExampleIterator_Next() {
	it := immutable.New[string, int]().Set("a", 1).Iterator()
	fmt.Println(it.Next())
	k, v, ok := it.Next()
	fmt.Printf("%q %d %t\n", k, v, ok)
	// Output:
	// a 1 true
	// "" 0 false
}

func ExampleMap_Iterator() {
	m := immutable.New[string, int]().Set("a", 1)
	for it := m.Iterator(); ; {
		k, v, ok := it.Next()
		if !ok {
			break
		}
		fmt.Println(k, v)
	}
	// Output: a 1
}

func ExampleBuilder() {
	m := immutable.New[int, int]()
	b := m.Builder()
	for i := range 1000 {
		b.Set(i, i*i)
	}
	full := b.Map()
	for i := range 500 {
		b.Delete(i)
	}
	half := b.Map()
	fmt.Println(m.Len(), full.Len(), half.Len())
	// Output: 0 1000 500
}

func ExampleNewBuilder() {
	b := immutable.NewBuilder[string, int]()
	b.Set("a", 1)
	fmt.Println(b.Map().Len())
	// Output: 1
}

func ExampleMap_Builder() {
	m := immutable.New[string, int]().Set("a", 1)
	b := m.Builder()
	fmt.Println(b.Map() == m) // nothing has changed yet
	// Output: true
}

func ExampleBuilder_Get() {
	b := immutable.New[string, int]().Set("a", 1).Builder()
	b.Set("a", 2)
	fmt.Println(b.Get("a"))
	// Output: 2 true
}

func ExampleBuilder_Set() {
	b := immutable.NewBuilder[string, int]()
	b.Set("a", 1)
	b.Set("a", 2)
	fmt.Println(b.Len())
	// Output: 1
}

func ExampleBuilder_Insert() {
	b := immutable.New[string, int]().Set("a", 1).Set("b", 2).Builder()
	b.Insert(maps.All(map[string]int{"b": 3, "c": 4}))
	fmt.Println(maps.Collect(b.Map().All()))
	// Output: map[a:1 b:3 c:4]
}

func ExampleBuilder_Delete() {
	b := immutable.New[string, int]().Set("a", 1).Builder()
	fmt.Println(b.Delete("a"), b.Delete("a"))
	// Output: true false
}

func ExampleBuilder_Len() {
	b := immutable.New[string, int]().Set("a", 1).Builder()
	b.Set("b", 2)
	fmt.Println(b.Len())
	// Output: 2
}

func ExampleBuilder_Map() {
	b := immutable.NewBuilder[string, int]()
	b.Set("a", 1)
	one := b.Map()
	b.Set("b", 2) // leaves one as it is
	fmt.Println(one.Len(), b.Map().Len())
	// Output: 1 2
}

func ExampleDiff() {
	before := immutable.New[string, int]().Set("a", 1).Set("b", 2).Set("c", 3)
	after := before.Set("a", 10).Delete("b").Set("d", 4)
	equal := func(x, y int) bool { return x == y }

	changes := slices.Collect(immutable.Diff(before, after, equal))
	slices.SortFunc(changes, func(x, y immutable.Change[string, int]) int { return int(x.Key[0]) - int(y.Key[0]) })
	for _, c := range changes {
		fmt.Println(c.Key, c.Kind, c.Old, c.New)
	}
	// Output:
	// a changed 1 10
	// b removed 2 0
	// d added 0 4
}

func ExampleEqual() {
	a := immutable.New[string, int]().Set("a", 1).Set("b", 2)
	b := immutable.New[string, int]().Set("b", 2).Set("a", 1)
	fmt.Println(immutable.Equal(a, b), immutable.Equal(a, b.Set("c", 3)))
	// Output: true false
}

func ExampleEqualFunc() {
	a := immutable.New[string, string]().Set("a", "ON")
	b := immutable.New[string, string]().Set("a", "on")
	fmt.Println(immutable.EqualFunc(a, b, strings.EqualFold))
	// Output: true
}

func ExampleChange() {
	before := immutable.New[string, int]().Set("a", 1)
	after := before.Set("a", 2)
	for c := range immutable.Diff(before, after, func(x, y int) bool { return x == y }) {
		switch c.Kind {
		case immutable.Added:
			fmt.Println(c.Key, "is", c.New)
		case immutable.Removed:
			fmt.Println(c.Key, "was", c.Old)
		case immutable.Changed:
			fmt.Println(c.Key, "was", c.Old, "and is", c.New)
		}
	}
	// Output: a was 1 and is 2
}

func ExampleChangeKind() {
	for _, kind := range []immutable.ChangeKind{immutable.Added, immutable.Removed, immutable.Changed} {
		fmt.Println(kind)
	}
	// Output:
	// added
	// removed
	// changed
}

func ExampleChangeKind_String() {
	fmt.Println(immutable.Removed.String())
	// Output: removed
}
