package eventstore

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

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
// are kept as they were hashed.
type record struct {
	index         uint64
	timestamp     int64 // 0 for none: checked times are positive
	entity        []byte
	source        []byte
	correlation   []byte
	causePosition uint64
	payload       []byte
}

// encodeRecord appends the record of an event, the index-th of its batch.
func encodeRecord(dst []byte, e *Event, index int) ([]byte, error) {
	dst = binary.AppendUvarint(dst, uint64(index))
	if e.Timestamp.IsZero() {
		dst = append(dst, 0)
	} else {
		dst = append(dst, 1)
		dst = binary.BigEndian.AppendUint64(dst, uint64(e.Timestamp.UnixNano()))
	}
	dst = appendBytes(dst, e.Entity)
	dst = appendBytes(dst, e.Source)
	dst = appendBytes(dst, e.CorrelationID)
	dst = binary.AppendUvarint(dst, uint64(e.CausePosition))
	m := proto.MarshalOptions{Deterministic: true}
	size := m.Size(e.Payload)
	if size > MaxEventBytes {
		return nil, fmt.Errorf("%w: the payload of %s has %d bytes, at most %d are allowed",
			ErrTooLarge, KindOf(e.Payload), size, MaxEventBytes)
	}
	dst = binary.AppendUvarint(dst, uint64(size))
	before := len(dst)
	dst, err := m.MarshalAppend(dst, e.Payload)
	if err != nil {
		return nil, fmt.Errorf("%w: payload: %w", ErrInvalid, err)
	}
	if len(dst)-before != size {
		return nil, fmt.Errorf("%w: the payload was changed while it was appended", ErrInvalid)
	}
	return dst, nil
}

func appendBytes(dst []byte, s string) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(s))), s...)
}

// errRecord is the cause of every failure to decode; the segment that it happened in says where.
var errRecord = errors.New("a record is not as it was written")

// decodeRecord splits a record into its fields, which alias b.
func decodeRecord(b []byte) (record, error) {
	d := decoder{rest: b}
	r := record{index: d.uvarint()}
	switch d.byte() {
	case 0:
	case 1:
		r.timestamp = int64(d.uint64())
	default:
		d.failed = true
	}
	r.entity = d.bytes()
	r.source = d.bytes()
	r.correlation = d.bytes()
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
		Entity:        string(r.entity),
		Source:        string(r.source),
		CorrelationID: string(r.correlation),
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
	if len(r.correlation) == 0 {
		e.CorrelationID = batchCorrelation(at - Position(r.index))
	}
	return e, nil
}

// batchCorrelation is the correlation id of a batch whose caller gave none.
func batchCorrelation(first Position) string { return fmt.Sprintf("@%d", first) }

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
