package immutable

import (
	"flag"
	"testing"

	"go.uber.org/goleak"
	"pgregory.net/rapid"
)

// droppings are hashes from the real one to one that is the same for all keys. Those
// that keep few bits collide soon; those that keep low bits only agree on all levels above.
var droppings = []struct {
	name    string
	dropped uint64
}{
	{"real hash", 0},
	{"no bits", ^uint64(0)},
	{"one bit", ^uint64(1)},
	{"five bits", ^uint64(0x1f)},
	{"two levels", ^uint64(0xc0_0000_0000_0030)},
	{"first level", ^uint64(0xf000_0000_0000_0000)},
	{"last level", ^uint64(0xf)},
	{"second and last but one level", ^uint64(0x0f00_0000_0000_00f0)},
	{"every other level", 0x0f0f_0f0f_0f0f_0f0f},
	{"no tags", 0x7f},
}

// TestMain makes rapid's programs long: 30 steps are too few for old versions to meet.
// The command line still has the last word.
func TestMain(m *testing.M) {
	if err := flag.Set("rapid.steps", "150"); err != nil {
		panic(err)
	}
	goleak.VerifyTestMain(m)
}

// TestPrograms runs random programs of every operation on a map and its model.
func TestPrograms(t *testing.T) {
	for _, d := range droppings {
		t.Run(d.name, func(t *testing.T) {
			t.Parallel()
			rapid.Check(t, func(t *rapid.T) { program(t, d.dropped) })
		})
	}
}

func program(t *rapid.T, dropped uint64) {
	c := newMachine(t, dropped)
	keys := rapid.Uint16Range(0, rapid.SampledFrom([]uint16{4, 40, 400}).Draw(t, "keys"))
	which := rapid.IntRange(0, maxVersions-1)
	key := func() uint16 { return keys.Draw(t, "key") }
	some := func() int { return which.Draw(t, "which") }
	t.Repeat(map[string]func(*rapid.T){
		"":               func(*rapid.T) { c.checkAll() },
		"set":            func(*rapid.T) { c.set(some(), key()) },
		"delete":         func(*rapid.T) { c.delete(some(), key()) },
		"builder":        func(*rapid.T) { c.startBuilder(some()) },
		"builder set":    func(*rapid.T) { c.builderSet(some(), key()) },
		"builder delete": func(*rapid.T) { c.builderDelete(some(), key()) },
		"builder map":    func(*rapid.T) { c.builderMap(some()) },
		"builder batch": func(t *rapid.T) {
			i := some()
			for _, k := range rapid.SliceOfN(keys, 0, 60).Draw(t, "batch") {
				if k%3 == 0 {
					c.builderDelete(i, k/3)
				} else {
					c.builderSet(i, k)
				}
			}
		},
		"builder clear": func(*rapid.T) {
			i := some()
			for k := range c.builder(i).model {
				if k%4 != 0 {
					c.builderDelete(i, k)
				}
			}
		},
		"diff":    func(t *rapid.T) { c.diff(some(), some(), rapid.SampledFrom([]int{2, 1 << 30}).Draw(t, "mod")) },
		"iterate": func(*rapid.T) { c.iterate(some(), key()) },
		"shape":   func(*rapid.T) { c.shape(some()) },
	})
}

// FuzzMap reads its input as a program for the machine: a byte for the hash, then
// instructions of three bytes: what to do, to which version or builder, with which key.
//
// Run it with -fuzzminimizetime=10x: the seed of the hash differs from process to process,
// so that coverage is not quite repeatable, and the fuzzer spends its time on minimizing what it found.
func FuzzMap(f *testing.F) {
	f.Add([]byte{0, 0, 0, 1, 0, 1, 2, 1, 2, 1, 6, 0, 3})
	f.Add([]byte{1, 0, 0, 1, 0, 1, 2, 0, 2, 3, 1, 3, 1, 1, 3, 2, 6, 2, 3, 8, 3, 0})
	f.Add([]byte{2, 2, 0, 0, 3, 0, 1, 3, 0, 2, 5, 0, 0, 4, 0, 1, 5, 0, 0, 6, 1, 2, 7, 1, 9})
	f.Add([]byte{5, 3, 0, 1, 3, 0, 2, 3, 0, 3, 5, 0, 0, 4, 0, 3, 4, 0, 2, 5, 0, 0, 8, 2, 0, 6, 1, 2})
	f.Add([]byte{6, 9, 0, 200, 5, 0, 0, 10, 0, 190, 5, 0, 0, 6, 1, 2, 7, 1, 5, 8, 2, 0})
	f.Fuzz(func(t *testing.T, input []byte) {
		if len(input) == 0 || len(input) > 400 {
			return
		}
		c := newMachine(t, droppings[int(input[0])%len(droppings)].dropped)
		for input = input[1:]; len(input) >= 3; input = input[3:] {
			c.instruction(input[0], int(input[1]), uint16(input[2]))
		}
		c.checkAll()
	})
}

// instruction does one thing; the machine's versions after it are all checked at the end of the program.
func (c *machine) instruction(op byte, which int, key uint16) {
	c.t.Helper()
	switch op % 12 {
	case 0:
		c.set(which, key)
	case 1:
		c.delete(which, key)
	case 2:
		c.startBuilder(which)
	case 3:
		c.builderSet(which, key)
	case 4:
		c.builderDelete(which, key)
	case 5:
		c.builderMap(which)
	case 6:
		c.diff(which, int(key), 1<<30)
	case 7:
		c.iterate(which, key)
	case 8:
		c.shape(which)
	case 9:
		for k := range key % 100 {
			c.builderSet(which, k)
		}
	case 10:
		for k := range key % 100 {
			c.builderDelete(which, k)
		}
	case 11:
		c.diff(which, int(key), 2)
	}
}
