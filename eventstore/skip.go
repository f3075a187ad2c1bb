package eventstore

import (
	"encoding/binary"
	"math/bits"
)

// What follows passes over the numbers of a column, eight bytes at a time: of most columns most numbers have one byte.

const (
	eachByte = 0x0101010101010101
	topBits  = 0x80 * eachByte // set in every byte of a number but its last
)

// skip passes over n numbers.
func (d *decoder) skip(n int) {
	rest := d.rest
	for n >= 8 && len(rest) >= 8 {
		n -= bits.OnesCount64(^binary.LittleEndian.Uint64(rest) & topBits)
		rest = rest[8:]
	}
	// The last byte that was passed over need not be the last one of a number: what remains of that is one too, in front
	// of those that n still counts.
	for ; n > 0 && len(rest) > 0; rest = rest[1:] {
		if rest[0] < 0x80 {
			n--
		}
	}
	if d.rest = rest; n > 0 {
		d.failed, d.rest = true, nil
	}
}

// sum adds up n numbers, modulo 2⁶⁴.
func (d *decoder) sum(n int) (sum uint64) {
	for n > 0 && !d.failed {
		if word, ok := d.word(n); ok {
			sum += sumBytes(word)
			n -= 8
			continue
		}
		sum += d.uvarint()
		n--
	}
	return sum
}

// sumZigzag adds up n signed numbers, modulo 2⁶⁴.
func (d *decoder) sumZigzag(n int) (sum int64) {
	for n > 0 && !d.failed {
		if word, ok := d.word(n); ok {
			// An even byte stands for its half h, an odd one for -(h+1).
			halves, odd := word>>1&(0x7f*eachByte), word&eachByte
			sum += int64(sumBytes(halves)) - 2*int64(sumBytes(halves&(odd*0xff))) - int64(bits.OnesCount64(odd))
			n -= 8
			continue
		}
		sum += zigzag(d.uvarint())
		n--
	}
	return sum
}

// word takes eight numbers of one byte each, if at least as many are to be read and the next ones are.
func (d *decoder) word(n int) (word uint64, ok bool) {
	if n < 8 || len(d.rest) < 8 {
		return 0, false
	}
	if word = binary.LittleEndian.Uint64(d.rest); word&topBits != 0 {
		return 0, false
	}
	d.rest = d.rest[8:]
	return word, true
}

// sumBytes adds up eight bytes.
func sumBytes(word uint64) uint64 {
	const even = 0x00ff00ff00ff00ff
	return (word&even + word>>8&even) * 0x0001000100010001 >> 48
}
