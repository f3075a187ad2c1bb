package eventstore

import (
	"iter"

	"google.golang.org/protobuf/proto"
)

// SnapshotSource is a [Projector] whose promoted state can be taken hold of: its snapshots are encoded and stored beside
// the writer, and can be compared with the fold of the log.
type SnapshotSource interface {
	Projector
	// Capture is what is promoted. It is called in the writer's turn, and must be quick.
	Capture() Capture
}

// Capture is what a projector had promoted, as a value that never changes. Its methods, and the functions of what they
// return, are called by any number of goroutines.
type Capture interface {
	// Header says whose state it is, and at which position.
	Header() SnapshotHeader
	// Records are those of a snapshot of it. What takes long calls giveWay after every few ten microseconds of work, so
	// that what is not done in the background goes first.
	Records(giveWay func()) Records
}

// DeltaCapture is a [Capture] of which it can be said what makes it of an earlier one, at a cost that follows what has
// changed. Most snapshots of it are deltas.
type DeltaCapture interface {
	Capture
	// Delta are the records that change what the records of base make into this, when they are loaded behind them. base
	// was captured from the same projector, at the same position or before. They must be the same in another process
	// that has folded the same log.
	Delta(base Capture, giveWay func()) Records
}

// Records are the records of a snapshot, in a fixed order: equal states have equal records. The zero value is none.
type Records struct {
	// Count is the number of records, numbered from 0.
	Count int
	// Message makes a record.
	Message func(i int) proto.Message
	// Append appends the bytes of a record to dst: those of a deterministic encoding of its message. It is for
	// projectors with so many records that making their messages is what takes long; nil encodes Message.
	Append func(dst []byte, i int) ([]byte, error)
}

// Messages yields all records.
func (r Records) Messages() iter.Seq[proto.Message] {
	return func(yield func(proto.Message) bool) {
		for i := range r.Count {
			if !yield(r.Message(i)) {
				return
			}
		}
	}
}

// appendRecord appends the bytes of a record.
func (r Records) appendRecord(dst []byte, i int) ([]byte, error) {
	if r.Append != nil {
		return r.Append(dst, i)
	}
	return proto.MarshalOptions{Deterministic: true}.MarshalAppend(dst, r.Message(i))
}
