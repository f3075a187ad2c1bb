package state

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/maphash"
	"time"
	"unicode/utf8"

	"google.golang.org/protobuf/proto"

	"github.com/statehouse/statehouse/eventstore"
	entityv1 "github.com/statehouse/statehouse/gen/statehouse/entity/v1"
)

// decoded is what a part of a snapshot holds.
type decoded struct {
	delta bool
	// chunks are the states. Each chunk is a piece of memory of its own.
	chunks [][]State
	// removed are the ids of entities that have no state any more.
	removed []EntityID
}

// chunkStates is the number of states in a chunk. A chunk is alive for as long as any of its states is, and what its
// states refer to as well: with more of them a restore is hardly faster.
const chunkStates = 16

// decoder decodes records of states, one part after another. It hands out one message for equal attributes: in a house
// most states are like that of some other entity, to decode them once saves most of a restore, and to keep them once
// most of the memory.
type decoder struct {
	detector *detector // not nil: every state has a message of its own
	equal    [4096]sharedAttributes
	sources  map[string]string
	ids      []byte // of the part, one after another
}

// sharedAttributes are the attributes with an encoding of up to so many bytes.
type sharedAttributes struct {
	size       uint8
	encoded    [47]byte
	attributes *entityv1.Attributes
}

func newDecoder(watching *detector) *decoder {
	return &decoder{detector: watching, sources: map[string]string{}}
}

// fields are those of a record, still encoded.
type fields struct {
	id, source, attributes []byte
	updated, changed       int64
	position               uint64
	hasAttributes          bool
	removed                bool
}

// part decodes a part of a snapshot.
func (d *decoder) part(p eventstore.SnapshotPart) (decoded, error) {
	out := decoded{delta: p.Delta}
	d.ids = d.ids[:0]
	var lengths []int32 // of the ids of the states, and then of those removed
	var gone []int32
	var goneIDs []byte
	var chunk []State
	for raw, err := range p.Records() {
		if err != nil {
			return decoded{}, err
		}
		var f fields
		if err := f.parse(raw); err != nil {
			return decoded{}, err
		}
		if f.removed {
			gone, goneIDs = append(gone, int32(len(f.id))), append(goneIDs, f.id...)
			continue
		}
		if len(chunk) == cap(chunk) {
			if chunk != nil {
				out.chunks = append(out.chunks, chunk)
			}
			chunk = make([]State, 0, chunkStates)
		}
		lengths, d.ids = append(lengths, int32(len(f.id))), append(d.ids, f.id...)
		s, err := d.state(&f)
		if err != nil {
			return decoded{}, err
		}
		chunk = append(chunk, s)
	}
	if len(chunk) > 0 {
		out.chunks = append(out.chunks, chunk[:len(chunk):len(chunk)])
	}
	return out, d.name(&out, lengths, gone, goneIDs)
}

// name gives the states and what was removed their ids, all of which lie in one piece of memory.
func (d *decoder) name(out *decoded, lengths, gone []int32, goneIDs []byte) error {
	ids := string(d.ids)
	next := func(n int32) (id EntityID, err error) {
		id, ids = ids[:n], ids[n:]
		return id, eventstore.CheckEntityID(id)
	}
	for _, states := range out.chunks {
		for i := range states {
			s := &states[i]
			var err error
			if s.EntityID, err = next(lengths[0]); err != nil {
				return err
			}
			lengths = lengths[1:]
			d.detector.watch(*s)
		}
	}
	ids = string(goneIDs)
	for _, n := range gone {
		id, err := next(n)
		if err != nil {
			return err
		}
		out.removed = append(out.removed, id)
	}
	return nil
}

// state is the state in a record, but for its id.
func (d *decoder) state(f *fields) (s State, err error) {
	s = State{
		UpdatedAt: time.Unix(0, f.updated).UTC(), Position: eventstore.Position(f.position), ChangedAt: time.Unix(0, f.changed).UTC(),
	}
	if s.UpdatedBy, err = d.source(f.source); err != nil {
		return s, err
	}
	s.Attributes, err = d.attributesOf(f.attributes)
	return s, err
}

// source is a source as a text that others share.
func (d *decoder) source(b []byte) (string, error) {
	if s, ok := d.sources[string(b)]; ok {
		return s, nil
	}
	if !utf8.Valid(b) {
		return "", errors.New("a source is not UTF-8")
	}
	if len(d.sources) >= 1024 {
		clear(d.sources)
	}
	s := string(b)
	d.sources[s] = s
	return s, nil
}

var attributesSeed = maphash.MakeSeed()

// attributesOf decodes attributes, or finds them decoded.
func (d *decoder) attributesOf(b []byte) (*entityv1.Attributes, error) {
	var slot *sharedAttributes
	if d.detector == nil && len(b) <= len(slot.encoded) {
		slot = &d.equal[maphash.Bytes(attributesSeed, b)%uint64(len(d.equal))]
		if slot.attributes != nil && bytes.Equal(slot.encoded[:slot.size], b) {
			return slot.attributes, nil
		}
	}
	a := &entityv1.Attributes{}
	if err := proto.Unmarshal(b, a); err != nil {
		return nil, err
	}
	if slot != nil {
		slot.size, slot.attributes = uint8(len(b)), a
		copy(slot.encoded[:], b)
	}
	return a, nil
}

// parse takes a StateRecord apart. What it does not expect, which is nothing that this version writes, it leaves to the
// general decoder.
func (f *fields) parse(raw []byte) error {
	for rest := raw; len(rest) > 0; {
		tag := rest[0]
		rest = rest[1:]
		switch tag {
		case tagUpdatedAt, tagChangedAt:
			if len(rest) < 8 {
				return f.parseAny(raw)
			}
			nanos := int64(binary.LittleEndian.Uint64(rest))
			rest = rest[8:]
			if tag == tagUpdatedAt {
				f.updated = nanos
			} else {
				f.changed = nanos
			}
			continue
		case tagEntityID, tagUpdatedBy, tagAttributes, tagPosition, tagRemoved:
		default:
			return f.parseAny(raw)
		}
		v, n := binary.Uvarint(rest)
		if n <= 0 {
			return f.parseAny(raw)
		}
		rest = rest[n:]
		switch tag {
		case tagPosition:
			f.position = v
			continue
		case tagRemoved:
			f.removed = v != 0
			continue
		}
		// A second one would hide what the first one holds.
		again := tag == tagEntityID && f.id != nil || tag == tagUpdatedBy && f.source != nil || tag == tagAttributes && f.hasAttributes
		if v > uint64(len(rest)) || again {
			return f.parseAny(raw)
		}
		text := rest[:v]
		rest = rest[v:]
		switch tag {
		case tagEntityID:
			f.id = text
		case tagUpdatedBy:
			f.source = text
		case tagAttributes:
			f.attributes, f.hasAttributes = text, true
		}
	}
	return nil
}

// parseAny takes apart any encoding of a StateRecord.
func (f *fields) parseAny(raw []byte) error {
	var r entityv1.StateRecord
	if err := proto.Unmarshal(raw, &r); err != nil {
		return err
	}
	attributes, err := proto.Marshal(r.GetAttributes())
	if err != nil {
		return fmt.Errorf("attributes: %w", err)
	}
	*f = fields{
		id: []byte(r.GetEntityId()), source: []byte(r.GetUpdatedBy()), attributes: attributes, hasAttributes: true,
		updated: r.GetUpdatedAt(), changed: r.GetChangedAt(), position: r.GetPosition(), removed: r.GetRemoved(),
	}
	return nil
}
