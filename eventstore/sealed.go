package eventstore

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/klauspost/compress/zstd"
)

// encodingSealed is the encoding of a segment that sealing wrote: its events column by column. docs/log-format.md
// describes it for who wants to read it without this package.
//
// Two columns that concern the order of events are in that order. All others are in entity order: sorted by entity, and
// by position among the events of one entity. An entity's values then lie side by side, where they compress best, and
// who reads the history of one entity decodes only the blocks that it is in. The order of positions costs nothing extra:
// it follows from the column of entities, which is needed anyway.
const encodingSealed = 2

const (
	// sealedEvents is the most events that a sealed segment has.
	sealedEvents = 4096
	// sealedBytes is the size of the records from which a sealed segment takes no further event.
	sealedBytes = 8 << 20
	// blockEvents is the most events that a block has.
	blockEvents = 1024
	// maxFrame bounds what a length in a sealed segment may make us allocate. A segment's records fit into it with room
	// to spare, since one record is smaller than half of it.
	maxFrame = 2*sealedBytes + MaxEventBytes
)

var zstdEncoder = sync.OnceValues(func() (*zstd.Encoder, error) {
	// The row has a checksum of its own. One goroutine: sealing must not take the processors from what the house does.
	return zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithEncoderCRC(false),
		zstd.WithEncoderLevel(zstd.SpeedBetterCompression))
})

var zstdDecoder = sync.OnceValues(func() (*zstd.Decoder, error) {
	return zstd.NewReader(nil, zstd.WithDecoderConcurrency(0), zstd.WithDecoderMaxMemory(maxFrame))
})

// entry is an event on its way into a sealed segment.
type entry struct {
	recorded int64
	record
}

// sealSegment makes the segment of consecutive events, at most sealedEvents of them, the first of which has the
// position first. after is the chain's value after the last one.
func sealSegment(first Position, entries []entry, after chain) (*segment, error) {
	e := sealing{entries: entries}
	body, err := e.body()
	if err != nil {
		return nil, fmt.Errorf("seal positions %d to %d: %w", first, first+Position(len(entries))-1, err)
	}
	s := &segment{
		first: first, last: first + Position(len(entries)) - 1,
		firstRecorded: entries[0].recorded, lastRecorded: entries[len(entries)-1].recorded,
		encoding: encodingSealed, chain: after, body: body,
	}
	s.sum()
	return s, nil
}

// sealing is the state of sealSegment.
type sealing struct {
	entries  []entry
	entities []string // sorted
	strings  []string // sources and correlation ids, sorted
	ranks    []int32  // the events in entity order
	frames   [][]byte
	head     []byte // of the body: what the frames are
}

func (s *sealing) body() ([]byte, error) {
	s.sort()
	blocks := (len(s.ranks) + blockEvents - 1) / blockEvents
	s.head = binary.AppendUvarint(make([]byte, 4, 64), uint64(blocks))
	if err := s.frame(s.orderColumns()); err != nil {
		return nil, err
	}
	for at := 0; at < len(s.ranks); at += blockEvents {
		ranks := s.ranks[at:min(at+blockEvents, len(s.ranks))]
		if err := s.frame(s.facts(ranks)); err != nil {
			return nil, err
		}
		if err := s.frame(s.payloads(ranks)); err != nil {
			return nil, err
		}
	}
	return slices.Concat(append([][]byte{s.head}, s.frames...)...), nil
}

// frame compresses columns and notes their size in the head.
func (s *sealing) frame(columns []byte) error {
	if len(columns) > maxFrame {
		return fmt.Errorf("%w: a frame of %d bytes", ErrTooLarge, len(columns))
	}
	z, err := zstdEncoder()
	if err != nil {
		return err
	}
	frame := z.EncodeAll(columns, nil)
	s.head = binary.AppendUvarint(s.head, uint64(len(columns)))
	s.head = binary.AppendUvarint(s.head, uint64(len(frame)))
	s.frames = append(s.frames, frame)
	return nil
}

func (s *sealing) sort() {
	for i := range s.entries {
		e := &s.entries[i]
		s.entities = append(s.entities, e.entity)
		s.strings = append(s.strings, e.source, e.correlation)
		s.ranks = append(s.ranks, int32(i))
	}
	slices.Sort(s.entities)
	s.entities = slices.Compact(s.entities)
	slices.Sort(s.strings)
	s.strings = slices.Compact(s.strings)
	slices.SortStableFunc(s.ranks, func(a, b int32) int {
		return strings.Compare(s.entries[a].entity, s.entries[b].entity)
	})
}

// orderColumns are the dictionaries and the columns in the order of positions.
func (s *sealing) orderColumns() []byte {
	var b []byte
	for _, dictionary := range [][]string{s.entities, s.strings} {
		b = binary.AppendUvarint(b, uint64(len(dictionary)))
		for _, name := range dictionary {
			b = appendString(b, name)
		}
	}
	indexes := make([]int, len(s.entries))
	for i := range s.entries {
		indexes[i], _ = slices.BinarySearch(s.entities, s.entries[i].entity)
		b = append(b, byte(indexes[i]))
	}
	if len(s.entities) > 256 {
		for _, n := range indexes {
			b = append(b, byte(n>>8))
		}
	}
	unit := s.recordedUnit()
	b = append(b, byte(unit))
	before := s.entries[0].recorded
	for i := range s.entries {
		b = binary.AppendUvarint(b, uint64(s.entries[i].recorded-before)/uint64(timeUnits[unit]))
		before = s.entries[i].recorded
	}
	expected := uint64(0)
	for i := range s.entries {
		b = appendZigzag(b, int64(s.entries[i].index-expected))
		expected = s.entries[i].index + 1
	}
	return b
}

// The units of times: the largest one that divides a time, or a column of them, says how it is stored.
var timeUnits = [...]int64{1, 1_000, 1_000_000, 1_000_000_000}

// recordedUnit is the unit of the times between the events.
func (s *sealing) recordedUnit() int {
	for unit := len(timeUnits) - 1; ; unit-- {
		if !slices.ContainsFunc(s.entries, func(e entry) bool {
			return (e.recorded-s.entries[0].recorded)%timeUnits[unit] != 0
		}) {
			return unit
		}
	}
}

// facts are the columns of a block, but for the payloads.
func (s *sealing) facts(ranks []int32) []byte {
	var b []byte
	units := make([]byte, len(ranks))
	for i, rank := range ranks {
		if t := s.entries[rank].timestamp; t != 0 {
			for u, unit := range timeUnits {
				if t%unit == 0 {
					units[i] = byte(u + 1)
				}
			}
		}
	}
	b = append(b, units...)
	for i, rank := range ranks {
		if units[i] != 0 {
			e := &s.entries[rank]
			unit := timeUnits[units[i]-1]
			b = appendZigzag(b, e.timestamp/unit-e.recorded/unit)
		}
	}
	for _, name := range []func(*entry) string{
		func(e *entry) string { return e.source }, func(e *entry) string { return e.correlation },
	} {
		for _, rank := range ranks {
			n, _ := slices.BinarySearch(s.strings, name(&s.entries[rank]))
			b = binary.AppendUvarint(b, uint64(n))
		}
	}
	for _, rank := range ranks {
		b = binary.AppendUvarint(b, s.entries[rank].causePosition)
	}
	for _, rank := range ranks {
		b = binary.AppendUvarint(b, uint64(len(s.entries[rank].payload)))
	}
	return b
}

// payloads are the payloads of a block, one after another.
func (s *sealing) payloads(ranks []int32) []byte {
	var b []byte
	for _, rank := range ranks {
		b = append(b, s.entries[rank].payload...)
	}
	return b
}

func appendZigzag(b []byte, v int64) []byte {
	return binary.AppendUvarint(b, uint64(v)<<1^uint64(v>>63))
}

func (d *decoder) zigzag() int64 {
	v := d.uvarint()
	return int64(v>>1) ^ -int64(v&1)
}

// unsealing decodes sealed segments, one after another, in memory that it uses again.
type unsealing struct {
	order    []byte
	facts    []byte
	payloads [][]byte // by block

	entities []string
	strings  []string
	entityOf []uint16 // by position
	starts   []int32  // by entity: the rank of its first event
	at       []int32  // by rank: the index of the event in the order of positions
}

var errSealed = errors.New("its columns are not as they were written")

// blockHead is what the head of a body says of a block: the sizes of its two frames and where they are.
type blockHead struct{ facts, payloads frameHead }

type frameHead struct {
	size  int
	bytes []byte
}

// open decodes the events of a segment into r, all of them or those about some entities, which it lists in r.picked.
func (u *unsealing) open(s *segment, r *run, only []string) error {
	n := int(s.last - s.first + 1)
	if n > sealedEvents {
		return errSealed
	}
	order, blocks, err := splitSealed(s.body[4:], n)
	if err != nil {
		return err
	}
	if u.order, err = order.inflate(u.order); err != nil {
		return err
	}
	if err := u.openOrder(s, r, n); err != nil {
		return err
	}
	wanted := u.wanted(only, n)
	if only != nil {
		r.picked = r.picked[:0]
		for i := range n {
			if wanted[u.entityOf[i]] {
				r.picked = append(r.picked, int32(i))
			}
		}
		if len(r.picked) == 0 {
			return nil
		}
	}
	for len(u.payloads) < len(blocks) {
		u.payloads = append(u.payloads, nil)
	}
	for i, b := range blocks {
		at := u.at[i*blockEvents : min((i+1)*blockEvents, n)]
		if only != nil && !slices.ContainsFunc(at, func(i int32) bool { return wanted[u.entityOf[i]] }) {
			continue
		}
		if err := u.openBlock(b, at, r, i); err != nil {
			return err
		}
	}
	return nil
}

// wanted says of each entity of the dictionary whether it is one of some; nil for all of them.
func (u *unsealing) wanted(only []string, n int) []bool {
	if only == nil {
		return nil
	}
	wanted := make([]bool, min(n, len(u.entities)))
	for _, name := range only {
		if i, ok := slices.BinarySearch(u.entities, name); ok {
			wanted[i] = true
		}
	}
	return wanted
}

// splitSealed reads the head of a body.
func splitSealed(body []byte, n int) (order frameHead, blocks []blockHead, err error) {
	d := decoder{rest: body}
	count := d.uvarint()
	if count != uint64((n+blockEvents-1)/blockEvents) {
		return order, nil, errSealed
	}
	sizes := make([][2]uint64, 1+2*count)
	for i := range sizes {
		sizes[i] = [2]uint64{d.uvarint(), d.uvarint()}
	}
	frames := make([]frameHead, len(sizes))
	for i, size := range sizes {
		if size[0] > maxFrame {
			return order, nil, errSealed
		}
		frames[i] = frameHead{int(size[0]), d.take(size[1])}
	}
	if d.failed || len(d.rest) != 0 {
		return order, nil, errSealed
	}
	for i := 1; i < len(frames); i += 2 {
		blocks = append(blocks, blockHead{frames[i], frames[i+1]})
	}
	return frames[0], blocks, nil
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

// openOrder decodes the dictionaries and the columns in the order of positions.
func (u *unsealing) openOrder(s *segment, r *run, n int) error {
	d := decoder{rest: u.order}
	var err error
	if u.entities, err = dictionary(&d, u.entities, n, r.names); err != nil {
		return err
	}
	if u.strings, err = dictionary(&d, u.strings, 2*n, r.names); err != nil {
		return err
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
	for i := range n {
		delta := d.uvarint()
		if i == 0 && delta != 0 || delta > uint64((s.lastRecorded-recorded)/size) {
			return errSealed
		}
		recorded += int64(delta) * size
		r.recorded[i] = recorded
	}
	expected := uint64(0)
	for i := range n {
		index := expected + uint64(d.zigzag())
		r.records[i] = record{entity: u.entities[u.entityOf[i]], index: index}
		expected = index + 1
	}
	if d.failed || len(d.rest) != 0 || recorded != s.lastRecorded {
		return errSealed
	}
	return nil
}

// dictionary decodes sorted strings, at least one and at most limit.
func dictionary(d *decoder, into []string, limit int, names *names) ([]string, error) {
	n := d.uvarint()
	if n == 0 || n > uint64(limit) {
		return nil, errSealed
	}
	into = into[:0]
	for i := range int(n) {
		into = append(into, names.get(d.bytes()))
		if d.failed || i > 0 && into[i-1] >= into[i] {
			return nil, errSealed
		}
	}
	return into, nil
}

// openEntities decodes the column of entities and works out the entity order.
func (u *unsealing) openEntities(d *decoder, n int) error {
	low := d.take(uint64(n))
	var high []byte
	if len(u.entities) > 256 {
		high = d.take(uint64(n))
	}
	if d.failed {
		return errSealed
	}
	u.entityOf = slices.Grow(u.entityOf[:0], n)[:n]
	u.starts = slices.Grow(u.starts[:0], len(u.entities)+1)[:len(u.entities)+1]
	clear(u.starts)
	for i := range n {
		e := uint16(low[i])
		if high != nil {
			e |= uint16(high[i]) << 8
		}
		if int(e) >= len(u.entities) {
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

// openBlock decodes a block, whose events are at these indexes.
func (u *unsealing) openBlock(b blockHead, at []int32, r *run, block int) (err error) {
	if u.facts, err = b.facts.inflate(u.facts); err != nil {
		return err
	}
	d := decoder{rest: u.facts}
	units := d.take(uint64(len(at)))
	for i, unit := range units {
		if unit == 0 {
			continue
		}
		if int(unit) > len(timeUnits) {
			return errSealed
		}
		size := timeUnits[unit-1]
		t := (r.recorded[at[i]]/size + d.zigzag()) * size
		if t == 0 {
			return errSealed
		}
		r.records[at[i]].timestamp = t
	}
	for _, i := range at {
		if r.records[i].source, err = u.name(d.uvarint()); err != nil {
			return err
		}
	}
	for _, i := range at {
		if r.records[i].correlation, err = u.name(d.uvarint()); err != nil {
			return err
		}
	}
	for _, i := range at {
		r.records[i].causePosition = d.uvarint()
	}
	if d.failed {
		return errSealed
	}
	return u.openPayloads(b, at, r, d, block)
}

func (u *unsealing) name(i uint64) (string, error) {
	if i >= uint64(len(u.strings)) {
		return "", errSealed
	}
	return u.strings[i], nil
}

// openPayloads decodes the payloads of a block; d has the lengths.
func (u *unsealing) openPayloads(b blockHead, at []int32, r *run, d decoder, block int) (err error) {
	rest, err := b.payloads.inflate(u.payloads[block])
	if err != nil {
		return err
	}
	u.payloads[block] = rest
	for _, i := range at {
		size := d.uvarint()
		if size > uint64(len(rest)) {
			return errSealed
		}
		r.records[i].payload, rest = rest[:size:size], rest[size:]
	}
	if d.failed || len(d.rest) != 0 || len(rest) != 0 {
		return errSealed
	}
	return nil
}
