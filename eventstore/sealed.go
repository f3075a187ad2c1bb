package eventstore

import (
	"encoding/binary"
	"fmt"
	"runtime"
	"slices"
	"sync"

	"github.com/klauspost/compress/zstd"
)

// encodingSealed is the encoding of a segment that sealing wrote: its events column by column. docs/log-format.md
// describes it for who wants to read it without this package.
//
// What concerns the order of events is in that order. All else is in entity order, sorted by entity, and by position
// among the events of one entity, and is cut into blocks. An entity's values then lie side by side, where they
// compress best, and who reads the history of one entity decodes only the blocks that it is in, which the first entity of
// each block tells. The order of positions costs nothing extra: it follows from the column of entities, which is
// needed anyway.
const encodingSealed = 2

const (
	// sealedEvents is the most events that a sealed segment has.
	sealedEvents = 4096
	// sealedBytes is the size of the records from which a sealed segment takes no further event.
	sealedBytes = 8 << 20
	// blockEvents is the most events that a block has.
	blockEvents = 512
	// maxFrame bounds what a length in a sealed segment may make us allocate. A segment's records fit into it with room
	// to spare, since one record is smaller than half of it.
	maxFrame = 2*sealedBytes + MaxEventBytes
)

// zstdEncoders are those that seal. One takes 5 MB, and is there while something is sealed: the collector takes those that
// wait in the pool.
var zstdEncoders sync.Pool

func zstdEncoder() (*zstd.Encoder, error) {
	if z, ok := zstdEncoders.Get().(*zstd.Encoder); ok {
		return z, nil
	}
	// The row has a checksum of its own. One goroutine: sealing must not take the processors from what the house does. The
	// window is what next to no frame is larger than; with that of the level, 8 MiB, an encoder takes 20 MB.
	const window = 1 << 20
	return zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithEncoderCRC(false), zstd.WithWindowSize(window),
		zstd.WithLowerEncoderMem(true), zstd.WithEncoderLevel(zstd.SpeedBetterCompression))
}

var zstdDecoder = sync.OnceValues(func() (*zstd.Decoder, error) {
	return zstd.NewReader(nil, zstd.WithDecoderConcurrency(0), zstd.WithDecoderMaxMemory(maxFrame))
})

// entry is an event on its way into a sealed segment.
type entry struct {
	recorded int64
	record
}

// sealSegment makes the segment of consecutive events, at most sealedEvents of them, the first of which has the
// position first. after is the chain's value after the last one. It says which entities the events are about, sorted.
func sealSegment(first Position, entries []entry, after chain) (*segment, []string, error) {
	z, err := zstdEncoder()
	if err != nil {
		return nil, nil, err
	}
	defer zstdEncoders.Put(z)
	e := sealing{entries: entries, encoder: z}
	body, err := e.body()
	if err != nil {
		return nil, nil, fmt.Errorf("seal positions %d to %d: %w", first, first+Position(len(entries))-1, err)
	}
	s := &segment{
		first: first, last: first + Position(len(entries)) - 1,
		firstRecorded: entries[0].recorded, lastRecorded: entries[len(entries)-1].recorded,
		encoding: encodingSealed, chain: after, body: body,
	}
	s.sum()
	return s, e.entities, nil
}

// sealing is the state of sealSegment.
type sealing struct {
	entries  []entry
	encoder  *zstd.Encoder
	entities []string // sorted
	entityOf []uint16 // by position
	ranks    []int32  // the events in entity order
	frames   [][]byte
	head     []byte // of the body: what the frames are
}

func (s *sealing) body() ([]byte, error) {
	s.sort()
	blocks := (len(s.ranks) + blockEvents - 1) / blockEvents
	s.head = binary.AppendUvarint(make([]byte, 4, 64), uint64(blocks))
	if err := s.frame(s.order()); err != nil {
		return nil, err
	}
	for ranks := range slices.Chunk(s.ranks, blockEvents) {
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
	runtime.Gosched() // sealing is done in the background: see sealer.add
	frame := s.encoder.EncodeAll(columns, nil)
	s.head = binary.AppendUvarint(s.head, uint64(len(columns)))
	s.head = binary.AppendUvarint(s.head, uint64(len(frame)))
	s.frames = append(s.frames, frame)
	return nil
}

func (s *sealing) sort() {
	for i := range s.entries {
		s.entities = append(s.entities, s.entries[i].entity)
		s.ranks = append(s.ranks, int32(i))
	}
	slices.Sort(s.entities)
	s.entities = slices.Compact(s.entities)
	for i := range s.entries {
		n, _ := slices.BinarySearch(s.entities, s.entries[i].entity)
		s.entityOf = append(s.entityOf, uint16(n))
	}
	slices.SortStableFunc(s.ranks, func(a, b int32) int { return int(s.entityOf[a]) - int(s.entityOf[b]) })
}

// order are the columns in the order of positions, behind the number of entities and the first one of each block.
func (s *sealing) order() []byte {
	b := binary.AppendUvarint(nil, uint64(len(s.entities)))
	for rank := 0; rank < len(s.ranks); rank += blockEvents {
		b = appendString(b, s.entries[s.ranks[rank]].entity)
	}
	for _, n := range s.entityOf {
		b = append(b, byte(n))
	}
	if len(s.entities) > 256 {
		for _, n := range s.entityOf {
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

// facts are the names and the columns of a block, but for the payloads.
func (s *sealing) facts(ranks []int32) []byte {
	var names []string // sources and correlation ids
	for _, rank := range ranks {
		names = append(names, s.entries[rank].source, s.entries[rank].correlation)
	}
	slices.Sort(names)
	names = slices.Compact(names)
	var b []byte
	for _, list := range [][]string{s.entities[s.entityOf[ranks[0]] : s.entityOf[ranks[len(ranks)-1]]+1], names} {
		b = binary.AppendUvarint(b, uint64(len(list)))
		for _, name := range list {
			b = appendString(b, name)
		}
	}
	b = s.timestamps(b, ranks)
	for _, rank := range ranks {
		n, _ := slices.BinarySearch(names, s.entries[rank].source)
		b = binary.AppendUvarint(b, uint64(n))
	}
	for _, rank := range ranks {
		n, _ := slices.BinarySearch(names, s.entries[rank].correlation)
		b = binary.AppendUvarint(b, uint64(n))
	}
	for _, rank := range ranks {
		b = binary.AppendUvarint(b, s.entries[rank].causePosition)
	}
	for _, rank := range ranks {
		b = binary.AppendUvarint(b, uint64(len(s.entries[rank].payload)))
	}
	return b
}

// timestamps are a column of units, and one of differences from the recorded times.
func (s *sealing) timestamps(b []byte, ranks []int32) []byte {
	units := make([]byte, len(ranks)) // 0 for none
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
			e, unit := &s.entries[rank], timeUnits[units[i]-1]
			b = appendZigzag(b, e.timestamp/unit-e.recorded/unit)
		}
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

func zigzag(v uint64) int64 { return int64(v>>1) ^ -int64(v&1) }
