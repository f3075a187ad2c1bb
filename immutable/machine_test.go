package immutable

import "maps"

// failer is what a machine needs of a test: *testing.T and *rapid.T both have it.
type failer interface {
	Helper()
	Fatalf(format string, args ...any)
}

// machine runs programs on maps and, step by step, on plain maps, which are the model.
// It keeps old versions and open builders, and compares all of them with their models
// when asked. The property tests and the fuzzer feed it.
type machine struct {
	t        failer
	dropped  uint64
	step     int // a value that was never used before
	versions []version
	builders []draft
}

type version struct {
	m     *Map[uint16, int]
	model map[uint16]int
}

type draft struct {
	b     *Builder[uint16, int]
	model map[uint16]int
}

const (
	maxVersions = 12
	maxBuilders = 3
)

func newMachine(t failer, dropped uint64) *machine {
	empty := version{newDropping[uint16, int](dropped), map[uint16]int{}}
	return &machine{t: t, dropped: dropped, versions: []version{empty}}
}

// version and builder answer one by any number.
func (c *machine) version(i int) version { return c.versions[i%len(c.versions)] }

func (c *machine) builder(i int) *draft {
	if len(c.builders) == 0 {
		c.startBuilder(i)
	}
	return &c.builders[i%len(c.builders)]
}

// keep adds a version; of too many one is checked a last time and forgotten.
func (c *machine) keep(v version) {
	c.t.Helper()
	if len(c.versions) < maxVersions {
		c.versions = append(c.versions, v)
		return
	}
	i := c.step % maxVersions
	c.checkVersion(c.versions[i])
	c.versions[i] = v
}

func (c *machine) value() int {
	c.step++
	return c.step
}

func (c *machine) set(i int, key uint16) {
	v, x := c.version(i), c.value()
	next := version{v.m.Set(key, x), maps.Clone(v.model)}
	next.model[key] = x
	c.keep(next)
}

func (c *machine) delete(i int, key uint16) {
	c.t.Helper()
	v := c.version(i)
	next := version{v.m.Delete(key), maps.Clone(v.model)}
	_, had := v.model[key]
	delete(next.model, key)
	if !had && next.m != v.m {
		c.t.Fatalf("Delete of absent key %d answers another map", key)
	}
	c.step++
	c.keep(next)
}

func (c *machine) startBuilder(i int) {
	v := c.version(i)
	d := draft{v.m.Builder(), maps.Clone(v.model)}
	if len(c.builders) < maxBuilders {
		c.builders = append(c.builders, d)
		return
	}
	c.builders[i%maxBuilders] = d
}

func (c *machine) builderSet(i int, key uint16) {
	d, x := c.builder(i), c.value()
	d.b.Set(key, x)
	d.model[key] = x
}

func (c *machine) builderDelete(i int, key uint16) {
	c.t.Helper()
	d := c.builder(i)
	_, had := d.model[key]
	if got := d.b.Delete(key); got != had {
		c.t.Fatalf("Builder.Delete(%d) answers %t", key, got)
	}
	delete(d.model, key)
}

func (c *machine) builderMap(i int) {
	c.t.Helper()
	d := c.builder(i)
	m := d.b.Map()
	if again := d.b.Map(); again != m {
		c.t.Fatalf("Builder.Map answers another map without a change")
	}
	c.step++
	c.keep(version{m, maps.Clone(d.model)})
}

// diff compares the Diff of two versions with that of their models. Values are equal
// when they agree modulo mod, so that some entries differ and count as equal.
func (c *machine) diff(i, j, mod int) {
	c.t.Helper()
	a, b := c.version(i), c.version(j)
	equal := func(x, y int) bool { return x%mod == y%mod }
	want := map[uint16]Change[uint16, int]{}
	for k, x := range a.model {
		if y, ok := b.model[k]; !ok {
			want[k] = Change[uint16, int]{Removed, k, x, 0}
		} else if !equal(x, y) {
			want[k] = Change[uint16, int]{Changed, k, x, y}
		}
	}
	for k, y := range b.model {
		if _, ok := a.model[k]; !ok {
			want[k] = Change[uint16, int]{Added, k, 0, y}
		}
	}
	got := map[uint16]Change[uint16, int]{}
	for change := range Diff(a.m, b.m, equal) {
		if _, twice := got[change.Key]; twice {
			c.t.Fatalf("Diff yields key %d twice", change.Key)
		}
		got[change.Key] = change
	}
	if !maps.Equal(got, want) {
		c.t.Fatalf("Diff yields\n%v, want\n%v", got, want)
	}
}

// iterate walks a version while a builder that came from it, and a draft, change under way.
func (c *machine) iterate(i int, key uint16) {
	c.t.Helper()
	v := c.version(i)
	own := v.m.Builder()
	got := map[uint16]int{}
	it := v.m.Iterator()
	for k, x := range v.m.All() {
		own.Delete(k)
		own.Set(k+key, -x)
		c.builderDelete(i, k^key)
		ik, ix, ok := it.Next()
		if !ok || ik != k || ix != x {
			c.t.Fatalf("Iterator answers %d, %d, %t where All answers %d, %d", ik, ix, ok, k, x)
		}
		if _, twice := got[k]; twice {
			c.t.Fatalf("All yields key %d twice", k)
		}
		got[k] = x
	}
	if k, _, ok := it.Next(); ok {
		c.t.Fatalf("Iterator goes on with key %d", k)
	}
	if !maps.Equal(got, v.model) {
		c.t.Fatalf("All yields\n%v, want\n%v", got, v.model)
	}
	if err := own.check(); err != nil {
		c.t.Fatalf("builder: %v", err)
	}
}

// shape rebuilds a version from its contents in another order and by another way, and compares the shapes.
func (c *machine) shape(i int) {
	c.t.Helper()
	v := c.version(i)
	anew := newDropping[uint16, int](c.dropped)
	for k, x := range v.model { // in random order
		anew = anew.Set(k, x)
	}
	if !sameShape(v.m, anew) {
		c.t.Fatalf("the shape depends on more than the contents %v", v.model)
	}
	for change := range Diff(v.m, anew, func(x, y int) bool { return x == y }) {
		c.t.Fatalf("Diff with a stranger of equal contents yields %v", change)
	}
}

// checkAll checks everything that is kept.
func (c *machine) checkAll() {
	c.t.Helper()
	for _, v := range c.versions {
		c.checkVersion(v)
	}
	for _, d := range c.builders {
		if err := d.b.check(); err != nil {
			c.t.Fatalf("builder: %v", err)
		}
		if d.b.Len() != len(d.model) {
			c.t.Fatalf("Builder.Len is %d, want %d", d.b.Len(), len(d.model))
		}
		c.checkContents(&d.b.current, d.b.Get, d.model)
	}
}

func (c *machine) checkVersion(v version) {
	c.t.Helper()
	if err := v.m.check(); err != nil {
		c.t.Fatalf("map: %v", err)
	}
	if v.m.Len() != len(v.model) {
		c.t.Fatalf("Len is %d, want %d", v.m.Len(), len(v.model))
	}
	c.checkContents(v.m, v.m.Get, v.model)
}

func (c *machine) checkContents(m *Map[uint16, int], get func(uint16) (int, bool), model map[uint16]int) {
	c.t.Helper()
	for k, x := range model {
		if got, ok := get(k); !ok || got != x {
			c.t.Fatalf("Get(%d) = %d, %t, want %d", k, got, ok, x)
		}
		if _, had := model[^k]; !had {
			if got, ok := get(^k); ok || got != 0 {
				c.t.Fatalf("Get(%d) = %d, %t, want nothing", ^k, got, ok)
			}
		}
	}
	if got := maps.Collect(m.All()); !maps.Equal(got, model) {
		c.t.Fatalf("contents are\n%v, want\n%v", got, model)
	}
}
