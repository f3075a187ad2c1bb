package eventstore

import (
	"bytes"
	"slices"
	"sort"
)

// picking decodes of sealed segments the events about some entities, one segment after another, in memory that it uses
// again. Most that it opens have one such event in thousands: so it decompresses only the blocks that have some, and
// passes over what is stored of the others without decoding it. The segment's checksum was checked; what is passed
// over is checked no further.
type picking struct {
	body     sealedBody
	order    []byte // the order frame
	facts    []byte // of the last block
	payloads [sealedEvents / blockEvents][]byte

	fences    [][]byte // by block: its first entity
	low, high []byte   // by position: the number of the entity; high is nil where there are at most 256
	starts    []int32  // by entity: the rank of its first event; and behind the last one, the number of events
	counted   bool     // says that starts are worked out
	entity    int      // the entity of which at are the events, -1 for none
	at        []int32  // the indexes of its events in the order of positions

	entities, names [][]byte // of the last block
	found, sorted   []found
}

// columns are those of a block's facts, each at its beginning.
type columns struct {
	units                                       []byte
	timestamp, source, correlation, cause, size decoder
}

// found is an event that is looked for.
type found struct {
	index  int32 // in the order of positions
	unit   byte  // of the timestamp, which is the difference from the recorded time in that unit; 0 where there is none
	record record
}

// open decodes the events of a segment about some different entities into r.
func (p *picking) open(s *segment, r *run, only []string) error {
	err := p.body.split(s)
	if err != nil {
		return err
	}
	if p.order, err = p.body.order().inflate(p.order); err != nil {
		return err
	}
	d := decoder{rest: p.order}
	if err := p.openEntities(&d, int(s.last-s.first+1)); err != nil {
		return err
	}
	p.found = p.found[:0]
	for i := range p.fences {
		if !p.mayHold(i, only) {
			continue
		}
		if err := p.pick(i, only, r.names); err != nil {
			return err
		}
	}
	if len(only) > 1 {
		p.sort()
	}
	return p.finish(&d, s, r)
}

// sort brings what was found into the order of positions.
func (p *picking) sort() {
	var nth [sealedEvents]int16 // by position: one more than the index in found, 0 where there is nothing
	for k := range p.found {
		nth[p.found[k].index] = int16(k + 1)
	}
	p.sorted = p.sorted[:0]
	for _, k := range nth[:len(p.low)] {
		if k > 0 {
			p.sorted = append(p.sorted, p.found[k-1])
		}
	}
	p.found, p.sorted = p.sorted, p.found
}

// openEntities decodes the order frame up to the column of entities.
func (p *picking) openEntities(d *decoder, n int) error {
	entities := d.uvarint()
	if entities == 0 || entities > uint64(n) {
		return errSealed
	}
	p.fences = p.fences[:0]
	for range p.body.blocks {
		p.fences = append(p.fences, d.bytes())
	}
	p.low, p.high = d.take(uint64(n)), nil
	if entities > 256 {
		p.high = d.take(uint64(n))
	}
	if d.failed {
		return errSealed
	}
	p.starts, p.entity = slices.Grow(p.starts[:0], int(entities)+1)[:entities+1], -1
	p.counted = false
	return nil
}

// number is the number of the entity of the i-th event in the order of positions.
func (p *picking) number(i int) int {
	e := int(p.low[i])
	if p.high != nil {
		e |= int(p.high[i]) << 8
	}
	return e
}

// count works out the rank of each entity's first event, once.
func (p *picking) count() error {
	if p.counted {
		return nil
	}
	clear(p.starts)
	for i := range p.low {
		e := p.number(i) + 1
		if e >= len(p.starts) {
			return errSealed
		}
		p.starts[e]++
	}
	for e := 1; e < len(p.starts); e++ {
		p.starts[e] += p.starts[e-1]
	}
	p.counted = true
	return nil
}

// atRank is the number of the entity of the event that has a rank in entity order.
func (p *picking) atRank(rank int) int {
	return sort.Search(len(p.starts)-1, func(e int) bool { return int(p.starts[e+1]) > rank })
}

// locate finds the events of an entity in the order of positions.
func (p *picking) locate(entity int) []int32 {
	if p.entity == entity {
		return p.at
	}
	p.entity, p.at = entity, p.at[:0]
	for i := 0; i < len(p.low); i++ {
		n := bytes.IndexByte(p.low[i:], byte(entity))
		if n < 0 {
			break
		}
		if i += n; p.number(i) == entity {
			p.at = append(p.at, int32(i))
		}
	}
	return p.at
}

// mayHold says whether a block may have events about one of some entities.
func (p *picking) mayHold(block int, only []string) bool {
	return slices.ContainsFunc(only, func(entity string) bool {
		if string(p.fences[block]) > entity {
			return false
		}
		return block+1 == len(p.fences) || string(p.fences[block+1]) >= entity // it may go on in the next one
	})
}

// pick finds the events of a block that are looked for.
func (p *picking) pick(block int, only []string, names *names) (err error) {
	if p.facts, err = p.body.facts(block).inflate(p.facts); err != nil {
		return err
	}
	d := decoder{rest: p.facts}
	if p.entities, err = list(&d, p.entities, blockEvents); err != nil {
		return err
	}
	ranks := len(p.low) - block*blockEvents
	var c columns
	for _, entity := range only {
		n, ok := slices.BinarySearchFunc(p.entities, entity, func(b []byte, entity string) int {
			return bytes.Compare(b, []byte(entity))
		})
		if !ok {
			continue
		}
		if c.units == nil {
			if err := p.openBlock(&d, block, &c, min(ranks, blockEvents)); err != nil {
				return err
			}
		}
		if err := p.add(block, n, &c, names); err != nil {
			return err
		}
	}
	return nil
}

// openBlock finds the columns of a block with n events, and decompresses its payloads.
func (p *picking) openBlock(d *decoder, block int, c *columns, n int) (err error) {
	if p.names, err = list(d, p.names, 2*n); err != nil {
		return err
	}
	c.units = d.take(uint64(n))
	c.timestamp = *d
	d.skip(n - bytes.Count(c.units, []byte{0}))
	for _, column := range []*decoder{&c.source, &c.correlation, &c.cause, &c.size} {
		*column = *d
		d.skip(n)
	}
	if d.failed || len(d.rest) != 0 {
		return errSealed
	}
	if err := p.count(); err != nil {
		return err
	}
	first := block * blockEvents
	if len(p.entities) != p.atRank(first+n-1)-p.atRank(first)+1 || !bytes.Equal(p.entities[0], p.fences[block]) {
		return errSealed
	}
	p.payloads[block], err = p.body.payloads(block).inflate(p.payloads[block])
	return err
}

// add adds to what is found the events that a block has of its n-th entity.
func (p *picking) add(block, n int, c *columns, names *names) error {
	first := block * blockEvents
	entity := p.atRank(first) + n
	if entity+1 >= len(p.starts) {
		return errSealed
	}
	from, to := max(int(p.starts[entity]), first), min(int(p.starts[entity+1]), first+len(c.units))
	if from >= to {
		return errSealed
	}
	at := p.locate(entity)[from-int(p.starts[entity]):]
	timestamp, source, correlation, cause, size := c.timestamp, c.source, c.correlation, c.cause, c.size
	before, units := from-first, c.units[from-first:to-first]
	timestamp.skip(before - bytes.Count(c.units[:before], []byte{0}))
	source.skip(before)
	correlation.skip(before)
	cause.skip(before)
	payloads := decoder{rest: p.payloads[block]}
	payloads.take(size.sum(before))
	name := names.get(p.entities[n])
	for k, unit := range units {
		f := found{index: at[k], unit: unit, record: record{entity: name}}
		if unit > 0 {
			f.record.timestamp = zigzag(timestamp.uvarint())
		}
		by, with := source.uvarint(), correlation.uvarint()
		if int(unit) > len(timeUnits) || by >= uint64(len(p.names)) || with >= uint64(len(p.names)) {
			return errSealed
		}
		f.record.source, f.record.correlation = names.get(p.names[by]), names.get(p.names[with])
		f.record.causePosition = cause.uvarint()
		f.record.payload = payloads.take(size.uvarint())
		p.found = append(p.found, f)
	}
	if timestamp.failed || source.failed || correlation.failed || cause.failed || size.failed || payloads.failed {
		return errSealed
	}
	return nil
}

// finish decodes what is stored in the order of positions about what was found, and hands it all to r.
func (p *picking) finish(d *decoder, s *segment, r *run) error {
	r.reset(len(p.found))
	r.indexes = r.indexes[:0]
	if len(p.found) == 0 {
		return nil
	}
	unit := d.byte()
	if int(unit) >= len(timeUnits) {
		return errSealed
	}
	recorded, index := *d, *d
	index.skip(len(p.low))
	var after, difference uint64 // the sums of the two columns
	size, next := timeUnits[unit], 0
	for k := range p.found {
		f := &p.found[k]
		n := int(f.index) + 1 - next
		after += recorded.sum(n)
		difference += uint64(index.sumZigzag(n))
		next += n
		if recorded.failed || index.failed || after > uint64((s.lastRecorded-s.firstRecorded)/size) {
			return errSealed
		}
		at := s.firstRecorded + int64(after)*size
		if f.unit > 0 {
			size := timeUnits[f.unit-1]
			if f.record.timestamp = (at/size + f.record.timestamp) * size; f.record.timestamp == 0 {
				return errSealed
			}
		}
		f.record.index = difference + uint64(f.index)
		r.records[k], r.recorded[k] = f.record, at
		r.indexes = append(r.indexes, f.index)
	}
	return nil
}
