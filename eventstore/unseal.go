package eventstore

import (
	"bytes"
	"errors"
	"slices"
)

// unsealing decodes whole sealed segments, one after another, in memory that it uses again.
type unsealing struct {
	body     sealedBody
	order    []byte // the order frame
	facts    []byte // of the last block
	payloads [sealedEvents / blockEvents][]byte

	entities int      // how many there are
	fences   [][]byte // by block: its first entity
	entityOf []uint16 // by position
	index    []uint64 // by position: the index in the batch
	starts   []int32  // by entity: the rank behind its last event
	at       []int32  // by rank: the index of the event in the order of positions

	block block
}

// sealedBody is what the head of a sealed segment's body says of its frames.
type sealedBody struct {
	blocks int
	frames [1 + 2*sealedEvents/blockEvents]frameHead
}

func (b *sealedBody) order() frameHead             { return b.frames[0] }
func (b *sealedBody) facts(block int) frameHead    { return b.frames[1+2*block] }
func (b *sealedBody) payloads(block int) frameHead { return b.frames[2+2*block] }

// block is what was decoded of one.
type block struct {
	entities, names [][]byte // they alias facts
	strings         []string // of names
	timestamp       []int64
	source          []uint64
	correlation     []uint64
	cause           []uint64
	size            []uint64
}

var errSealed = errors.New("its columns are not as they were written")

type frameHead struct {
	size  int // when it is decompressed
	bytes []byte
}

// open decodes the events of a segment into r.
func (u *unsealing) open(s *segment, r *run) error {
	n := int(s.last - s.first + 1)
	err := u.body.split(s)
	if err != nil {
		return err
	}
	if u.order, err = u.body.order().inflate(u.order); err != nil {
		return err
	}
	if err := u.openOrder(s, r, n); err != nil {
		return err
	}
	for i := range u.body.blocks {
		if err := u.openBlock(i, r); err != nil {
			return err
		}
	}
	return nil
}

// split reads the head of a segment's body.
func (b *sealedBody) split(s *segment) error {
	n := uint64(s.last - s.first + 1)
	d := decoder{rest: s.body[4:]}
	if b.blocks = int((n + blockEvents - 1) / blockEvents); n > sealedEvents || d.uvarint() != uint64(b.blocks) {
		return errSealed
	}
	frames := b.frames[:1+2*b.blocks]
	var sizes [len(b.frames)]uint64 // when they are compressed
	for i := range frames {
		size := d.uvarint()
		if size > maxFrame {
			return errSealed
		}
		frames[i].size, sizes[i] = int(size), d.uvarint()
	}
	for i := range frames {
		frames[i].bytes = d.take(sizes[i])
	}
	if d.failed || len(d.rest) != 0 {
		return errSealed
	}
	return nil
}

// inflate decompresses a frame into memory that may be used again.
func (f frameHead) inflate(dst []byte) ([]byte, error) {
	z, err := zstdDecoder()
	if err != nil {
		return nil, err
	}
	dst, err = z.DecodeAll(f.bytes, dst[:0])
	if err != nil || len(dst) != f.size {
		return nil, errSealed
	}
	return dst, nil
}

// openOrder decodes the columns in the order of positions and works out the entity order.
func (u *unsealing) openOrder(s *segment, r *run, n int) error {
	d := decoder{rest: u.order}
	entities := d.uvarint()
	if entities == 0 || entities > uint64(n) {
		return errSealed
	}
	u.entities = int(entities)
	u.fences = u.fences[:0]
	for range (n + blockEvents - 1) / blockEvents {
		u.fences = append(u.fences, d.bytes())
	}
	if err := u.openEntities(&d, n); err != nil {
		return err
	}
	r.reset(n)
	recorded, unit := s.firstRecorded, d.byte()
	if int(unit) >= len(timeUnits) {
		return errSealed
	}
	size := timeUnits[unit]
	u.index = d.column(u.index, n)
	for i, delta := range u.index {
		if i == 0 && delta != 0 || delta > uint64((s.lastRecorded-recorded)/size) {
			return errSealed
		}
		recorded += int64(delta) * size
		r.recorded[i] = recorded
	}
	u.index = d.column(u.index, n)
	expected := uint64(0)
	for i, difference := range u.index {
		u.index[i] = expected + uint64(zigzag(difference))
		expected = u.index[i] + 1
	}
	if d.failed || len(d.rest) != 0 || recorded != s.lastRecorded {
		return errSealed
	}
	return nil
}

// openEntities decodes the column of entities.
func (u *unsealing) openEntities(d *decoder, n int) error {
	low := d.take(uint64(n))
	var high []byte
	if u.entities > 256 {
		high = d.take(uint64(n))
	}
	if d.failed {
		return errSealed
	}
	u.entityOf = slices.Grow(u.entityOf[:0], n)[:n]
	u.starts = slices.Grow(u.starts[:0], u.entities+1)[:u.entities+1]
	clear(u.starts)
	for i := range n {
		e := uint16(low[i])
		if high != nil {
			e |= uint16(high[i]) << 8
		}
		if int(e) >= u.entities {
			return errSealed
		}
		u.entityOf[i] = e
		u.starts[e+1]++
	}
	for e := range u.entities {
		u.starts[e+1] += u.starts[e]
	}
	u.at = slices.Grow(u.at[:0], n)[:n]
	for i, e := range u.entityOf {
		u.at[u.starts[e]] = int32(i)
		u.starts[e]++
	}
	return nil
}

// openBlock decodes the events of a block.
func (u *unsealing) openBlock(i int, r *run) (err error) {
	at := u.at[i*blockEvents : min((i+1)*blockEvents, len(u.at))]
	if u.facts, err = u.body.facts(i).inflate(u.facts); err != nil {
		return err
	}
	d, b := decoder{rest: u.facts}, &u.block
	first, last := u.entityOf[at[0]], u.entityOf[at[len(at)-1]]
	if b.entities, err = list(&d, b.entities, int(last-first)+1); err != nil {
		return err
	}
	if len(b.entities) != int(last-first)+1 || !bytes.Equal(b.entities[0], u.fences[i]) {
		return errSealed
	}
	if b.names, err = list(&d, b.names, 2*len(at)); err != nil {
		return err
	}
	if !ascending(b.entities) || !ascending(b.names) {
		return errSealed
	}
	if err := b.open(&d, at, r.recorded); err != nil {
		return err
	}
	rest, err := u.body.payloads(i).inflate(u.payloads[i])
	if err != nil {
		return err
	}
	u.payloads[i] = rest
	for k, i := range at {
		size := b.size[k]
		if size > uint64(len(rest)) {
			return errSealed
		}
		payload := rest[:size:size]
		rest = rest[size:]
		r.records[i] = record{
			index: u.index[i], timestamp: b.timestamp[k], entity: r.names.get(b.entities[u.entityOf[i]-first]),
			source: b.name(b.source[k], r.names), correlation: b.name(b.correlation[k], r.names),
			causePosition: b.cause[k], payload: payload,
		}
	}
	if len(rest) != 0 {
		return errSealed
	}
	return nil
}

// list decodes strings, at least one and at most limit. They alias what is decoded.
func list(d *decoder, into [][]byte, limit int) ([][]byte, error) {
	n := d.uvarint()
	if n == 0 || n > uint64(limit) {
		return nil, errSealed
	}
	into = into[:0]
	for range n {
		into = append(into, d.bytes())
	}
	if d.failed {
		return nil, errSealed
	}
	return into, nil
}

// ascending says that strings are sorted and different.
func ascending(list [][]byte) bool {
	for i := 1; i < len(list); i++ {
		if bytes.Compare(list[i-1], list[i]) >= 0 {
			return false
		}
	}
	return true
}

// open decodes the columns of a block behind its names.
func (b *block) open(d *decoder, at []int32, recorded []int64) error {
	n := len(at)
	b.strings = slices.Grow(b.strings[:0], len(b.names))[:len(b.names)]
	clear(b.strings)
	b.timestamp = slices.Grow(b.timestamp[:0], n)[:n]
	for i, unit := range d.take(uint64(n)) {
		if int(unit) > len(timeUnits) {
			return errSealed
		}
		b.timestamp[i] = int64(unit)
	}
	for i, unit := range b.timestamp {
		if unit == 0 {
			continue
		}
		size := timeUnits[unit-1]
		if b.timestamp[i] = (recorded[at[i]]/size + zigzag(d.uvarint())) * size; b.timestamp[i] == 0 {
			return errSealed
		}
	}
	b.source = d.column(b.source, n)
	b.correlation = d.column(b.correlation, n)
	b.cause = d.column(b.cause, n)
	b.size = d.column(b.size, n)
	if d.failed || len(d.rest) != 0 {
		return errSealed
	}
	names := uint64(len(b.names))
	for i := range n {
		if b.source[i] >= names || b.correlation[i] >= names {
			return errSealed
		}
	}
	return nil
}

// name is one of the block's names; each becomes a string when it is first asked for.
func (b *block) name(i uint64, names *names) string {
	if b.strings[i] == "" {
		b.strings[i] = names.get(b.names[i])
	}
	return b.strings[i]
}
