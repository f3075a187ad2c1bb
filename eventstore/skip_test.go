package eventstore

import (
	"encoding/binary"
	"testing"

	"pgregory.net/rapid"
)

// To pass over numbers comes to the same as to read them, wherever one ends and however long they are.
func TestSkip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		number := rapid.OneOf(rapid.Uint64Range(0, 127), rapid.Uint64Range(0, 127), rapid.Uint64())
		numbers := rapid.SliceOfN(number, 0, 60).Draw(t, "numbers")
		var column []byte
		for _, n := range numbers {
			column = binary.AppendUvarint(column, n)
		}
		n := rapid.IntRange(0, len(numbers)+2).Draw(t, "n")
		all := decoder{rest: column}
		sum, signed := uint64(0), int64(0)
		for range n {
			v := all.uvarint()
			sum, signed = sum+v, signed+zigzag(v)
		}
		for name, pass := range map[string]func(d *decoder) bool{
			"skip":      func(d *decoder) bool { d.skip(n); return true },
			"sum":       func(d *decoder) bool { return d.sum(n) == sum },
			"sumZigzag": func(d *decoder) bool { return d.sumZigzag(n) == signed },
		} {
			d := decoder{rest: column}
			if ok := pass(&d); !ok && !all.failed || d.failed != all.failed || len(d.rest) != len(all.rest) {
				t.Fatalf("%s of %d: right %v, failed %v, %d bytes are left; want failed %v, %d", name, n, ok, d.failed, len(d.rest),
					all.failed, len(all.rest))
			}
		}
	})
}
