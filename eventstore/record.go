package eventstore

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	eventv1 "github.com/statehouse/statehouse/gen/statehouse/event/v1"
)

// A record is what the caller gave of one event, in the one form in which it is stored and hashed:
//
//	uvarint  index of the event in its batch, from 0
//	byte     1 when the source gave a timestamp, else 0
//	int64    that timestamp in nanoseconds since 1970, big endian; only after a 1
//	uvarint  length of the entity id, and the id
//	uvarint  length of the source, and the source
//	uvarint  length of the correlation id, and the id; empty for the batch's own
//	uvarint  position of the cause, 0 for none
//	uvarint  length of the payload, and the payload as a protobuf message
//
// The hash of these bytes is the event's content in the chain. Protobuf has no canonical form, so the payload's bytes
// are kept as they were hashed. All else has one encoding only, so that a record's fields give back its bytes.
type record struct {
	index         uint64
	timestamp     int64 // 0 for none: checked times are positive
	entity        string
	source        string
	correlation   string
	causePosition uint64
	payload       []byte
}

// recordHead is the most that a record takes beside its names and its payload.
const recordHead = 4*binary.MaxVarintLen64 + 9 + 3*2

// encodeRecord encodes the record of an event, the index-th of its batch, behind dst, or in new memory with room for this
// many more of its size if it does not fit there. It returns the record, and says where in it the payload begins.
func encodeRecord(dst []byte, e *Event, index, more int) (_ []byte, payload int, err error) {
	m := proto.MarshalOptions{Deterministic: true}
	size := m.Size(e.Payload)
	if size > MaxEventBytes {
		return nil, 0, fmt.Errorf("%w: the payload of %s has %d bytes, at most %d are allowed",
			ErrTooLarge, KindOf(e.Payload), size, MaxEventBytes)
	}
	need := recordHead + len(e.Entity) + len(e.Source) + len(e.CorrelationID) + size
	if dst = dst[len(dst):]; cap(dst) < need {
		dst = make([]byte, 0, need+min(need*more, 1<<16))
	}
	r := record{
		index: uint64(index), entity: e.Entity, source: e.Source, correlation: e.CorrelationID,
		causePosition: uint64(e.CausePosition),
	}
	if !e.Timestamp.IsZero() {
		r.timestamp = e.Timestamp.UnixNano()
	}
	dst = r.appendHead(dst, size)
	payload = len(dst)
	dst, err = m.MarshalAppend(dst, e.Payload)
	if err != nil {
		return nil, 0, fmt.Errorf("%w: payload: %w", ErrInvalid, err)
	}
	if len(dst)-payload != size {
		return nil, 0, fmt.Errorf("%w: the payload was changed while it was appended", ErrInvalid)
	}
	return dst, payload, nil
}

// append appends the record's bytes.
func (r *record) append(dst []byte) []byte {
	return append(r.appendHead(dst, len(r.payload)), r.payload...)
}

// appendHead appends everything before the payload, which has a size.
func (r *record) appendHead(dst []byte, size int) []byte {
	dst = binary.AppendUvarint(dst, r.index)
	if r.timestamp == 0 {
		dst = append(dst, 0)
	} else {
		dst = append(dst, 1)
		dst = binary.BigEndian.AppendUint64(dst, uint64(r.timestamp))
	}
	dst = appendString(dst, r.entity)
	dst = appendString(dst, r.source)
	dst = appendString(dst, r.correlation)
	dst = binary.AppendUvarint(dst, r.causePosition)
	return binary.AppendUvarint(dst, uint64(size))
}

func appendString(dst []byte, s string) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(s))), s...)
}

// errRecord is the cause of every failure to decode; the segment that it happened in says where.
var errRecord = errors.New("a record is not as it was written")

// decodeRecord splits a record into its fields. The payload aliases b.
func decodeRecord(b []byte, names *names) (record, error) {
	d := decoder{rest: b}
	r := record{index: d.uvarint()}
	switch d.byte() {
	case 0:
	case 1:
		// Nobody appends an event of 1970's first nanosecond: 0 stands for no timestamp.
		if r.timestamp = int64(d.uint64()); r.timestamp == 0 {
			d.failed = true
		}
	default:
		d.failed = true
	}
	r.entity = names.get(d.bytes())
	r.source = names.get(d.bytes())
	r.correlation = names.get(d.bytes())
	r.causePosition = d.uvarint()
	r.payload = d.bytes()
	if d.failed || len(d.rest) != 0 {
		return record{}, errRecord
	}
	return r, nil
}

// event makes the event that the record stands for at a position.
func (r *record) event(at Position, recorded int64) (Event, error) {
	e := Event{
		Position:      at,
		RecordedAt:    time.Unix(0, recorded).UTC(),
		Entity:        r.entity,
		Source:        r.source,
		CorrelationID: r.correlation,
		CausePosition: Position(r.causePosition),
		Payload:       new(eventv1.Payload),
	}
	if err := proto.Unmarshal(r.payload, e.Payload); err != nil {
		return Event{}, fmt.Errorf("%w: %w", errRecord, err)
	}
	e.Kind = KindOf(e.Payload)
	if r.timestamp != 0 {
		e.Timestamp = time.Unix(0, r.timestamp).UTC()
	} else {
		e.Timestamp = e.RecordedAt
	}
	if e.CorrelationID == "" {
		e.CorrelationID = batchCorrelation(at - Position(r.index))
	}
	return e, nil
}

// kind is the kind of the record's payload. Only that of a custom event needs its payload decoded.
func (r *record) kind() Kind {
	number, _, n := protowire.ConsumeTag(r.payload)
	if n < 0 {
		return ""
	}
	if number > 0 && int(number) < len(kindsByField) && kindsByField[number] != "" {
		return kindsByField[number]
	}
	e, err := r.event(1, 0)
	if err != nil {
		return ""
	}
	return e.Kind
}

// kindsByField maps the numbers of the payload's fields to kinds, but for the custom ones.
var kindsByField = func() (kinds [16]Kind) {
	fields := (*eventv1.Payload)(nil).ProtoReflect().Descriptor().Fields()
	for i := range fields.Len() {
		if f := fields.Get(i); f.Name() != "custom" {
			kinds[f.Number()] = Kind(f.Name())
		}
	}
	return kinds
}()

// correlatedBy says whether id is the correlation id of the event at a position.
func (r *record) correlatedBy(id string, at Position) bool {
	if r.correlation != "" {
		return r.correlation == id
	}
	number, own := strings.CutPrefix(id, "@")
	first, err := strconv.ParseUint(number, 10, 63)
	return own && err == nil && number[0] != '0' && Position(first) == at-Position(r.index)
}

// batchCorrelation is the correlation id of a batch whose caller gave none.
func batchCorrelation(first Position) string {
	return string(strconv.AppendUint([]byte{'@'}, uint64(first), 10))
}

// chain is the value of the hash chain after an event.
type chain [sha256.Size]byte

// genesis is the chain's value before the first event of a file.
func genesis(uuid []byte) chain { return sha256.Sum256(uuid) }

// next is the chain's value after the event whose record has the hash content.
func (c chain) next(at Position, recorded int64, content [sha256.Size]byte) chain {
	var b [2*sha256.Size + 16]byte
	copy(b[:], c[:])
	binary.BigEndian.PutUint64(b[sha256.Size:], uint64(at))
	binary.BigEndian.PutUint64(b[sha256.Size+8:], uint64(recorded))
	copy(b[sha256.Size+16:], content[:])
	return sha256.Sum256(b[:])
}

// names gives equal strings one memory, so that reading a log does not allocate the same ids again and again.
// A nil one allocates.
type names struct{ known map[string]string }

func newNames() *names { return &names{known: make(map[string]string)} }

// maxNames bounds what a log with endless different names may make us keep.
const maxNames = 1 << 17

func (n *names) get(b []byte) string {
	if len(b) == 0 {
		return ""
	}
	if n == nil {
		return string(b)
	}
	if s, ok := n.known[string(b)]; ok {
		return s
	}
	if len(n.known) >= maxNames {
		clear(n.known)
	}
	s := string(b)
	n.known[s] = s
	return s
}

// decoder reads the fields of a record; after a failure it yields zeros.
type decoder struct {
	rest   []byte
	failed bool
}

func (d *decoder) uvarint() uint64 {
	v, n := binary.Uvarint(d.rest)
	// The shortest form is the only one, so that a record has one encoding.
	if n <= 0 || n > 1 && d.rest[n-1] == 0 {
		d.failed, d.rest = true, nil
		return 0
	}
	d.rest = d.rest[n:]
	return v
}

// column reads n numbers into memory that may be used again.
func (d *decoder) column(into []uint64, n int) []uint64 {
	if n > len(d.rest) {
		d.failed, n = true, 0
	}
	into = slices.Grow(into[:0], n)[:n]
	rest := d.rest
	for i := range into {
		if len(rest) > 0 && rest[0] < 0x80 { // nearly all of them
			into[i], rest = uint64(rest[0]), rest[1:]
			continue
		}
		d.rest = rest
		into[i] = d.uvarint()
		rest = d.rest
	}
	d.rest = rest
	return into
}

func (d *decoder) byte() byte {
	if b := d.take(1); b != nil {
		return b[0]
	}
	return 0
}

func (d *decoder) uint64() uint64 {
	if b := d.take(8); b != nil {
		return binary.BigEndian.Uint64(b)
	}
	return 0
}

func (d *decoder) bytes() []byte { return d.take(d.uvarint()) }

func (d *decoder) take(n uint64) []byte {
	if d.failed || n > uint64(len(d.rest)) {
		d.failed, d.rest = true, nil
		return nil
	}
	b := d.rest[:n:n]
	d.rest = d.rest[n:]
	return b
}
