package immutable

import "testing"

func TestEqual(t *testing.T) {
	keys := ids(3000)
	m := built(keys)
	var none *Map[string, int]
	for _, c := range []struct {
		name string
		a, b *Map[string, int]
		want bool
	}{
		{"itself", m, m, true},
		{"a stranger", m, built(keys), true},
		{"a relative that went and came back", m, m.Set("new", 1).Delete("new"), true},
		{"nil and empty", none, New[string, int](), true},
		{"nil and not empty", none, m, false},
		{"one value", m, m.Set(keys[7], -1), false},
		{"one more", m, m.Set("new", 1), false},
		{"one less", m, m.Delete(keys[7]), false},
		{"another key", m, m.Delete(keys[7]).Set("new", 7), false},
	} {
		if got := Equal(c.a, c.b); got != c.want {
			t.Errorf("%s: %t", c.name, got)
		}
		if got := Equal(c.b, c.a); got != c.want {
			t.Errorf("%s, the other way round: %t", c.name, got)
		}
	}
	if !EqualFunc(m, m.Set(keys[7], 7+1000), func(x, y int) bool { return x%1000 == y%1000 }) {
		t.Error("EqualFunc does not ask equal")
	}
}

func TestEqualFuncNeedsEqual(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("EqualFunc without a function does not panic")
		}
	}()
	EqualFunc(New[int, int](), New[int, int]().Set(1, 1), nil)
}
