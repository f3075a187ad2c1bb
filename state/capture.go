package state

import (
	"encoding/binary"
	"runtime"
	"sync/atomic"
	"time"
	"unsafe"

	"google.golang.org/protobuf/proto"

	"github.com/statehouse/statehouse/eventstore"
	entityv1 "github.com/statehouse/statehouse/gen/statehouse/entity/v1"
	"github.com/statehouse/statehouse/immutable"
	"github.com/statehouse/statehouse/internal/defect"
)

var (
	_ eventstore.SnapshotSource = (*Cache)(nil)
	_ eventstore.DeltaCapture   = capture{}
)

// capture is a revision that is to be saved.
type capture struct{ Revision }

// Capture implements eventstore.SnapshotSource.
func (c *Cache) Capture() eventstore.Capture {
	if defect.Is(defect.SnapshotPositionApart) {
		return apart{capture{c.Revision()}, c}
	}
	return capture{c.Revision()}
}

// apart is a deliberate defect: the position of one revision with the states of another.
type apart struct {
	capture
	cache *Cache
}

func (a apart) Records(giveWay func()) eventstore.Records {
	return capture{a.cache.Revision()}.Records(giveWay)
}

// Header implements eventstore.Capture.
func (c capture) Header() eventstore.SnapshotHeader {
	return eventstore.SnapshotHeader{Owner: name, FoldVersion: FoldVersion, Position: c.Position}
}

// Records implements eventstore.Capture: the states, sorted by id, so that equal revisions make equal snapshots.
func (c capture) Records(giveWay func()) eventstore.Records { return records(c.Entities, giveWay) }

// Delta implements eventstore.DeltaCapture: the states that have changed, and of entities that have none any more the
// ids, sorted together.
func (c capture) Delta(base eventstore.Capture, giveWay func()) eventstore.Records {
	changed := immutable.NewBuilder[EntityID, State]()
	// Two states of one log are equal when id and position are.
	same := func(a, b State) bool { return a.Position == b.Position }
	for d := range immutable.Diff(base.(capture).Entities, c.Entities, same) {
		if d.Kind == immutable.Removed {
			d.New = State{EntityID: d.Key}
		}
		changed.Set(d.Key, d.New)
		if changed.Len()%64 == 0 {
			giveWay()
		}
	}
	return records(changed.Map(), giveWay)
}

// records are those of states, sorted by id. A state without attributes stands for an entity that has none any more.
func records(states *immutable.Map[EntityID, State], giveWay func()) eventstore.Records {
	all := sorted(states, giveWay)
	return eventstore.Records{
		Count: len(all),
		Message: func(i int) proto.Message {
			s := all[i].Value()
			return s.record()
		},
		Append: func(dst []byte, i int) ([]byte, error) {
			if i%fetchAhead == 0 {
				fetch(all[i:min(i+fetchAhead, len(all))])
			}
			s := all[i].Value()
			return s.appendRecord(dst)
		},
	}
}

// fetchAhead is how many states are touched before they are encoded.
//
// A state, its attributes and what these are made of lie in four places in memory, which have nothing to do with the order of
// the ids. Encoded one by one, each place is a cache miss to wait for, which takes longer than all the rest; touched in a row
// they are on their way at once.
const fetchAhead = 32

func fetch(all []ranked) {
	sum := uintptr(0)
	for i := range all {
		s := all[i].Value()
		if s.EntityID != "" {
			sum += uintptr(s.EntityID[0])
		}
		if s.Attributes == nil {
			continue
		}
		sum += uintptr(s.Attributes.Availability)
		if domain := s.Attributes.Domain; domain != nil {
			if message := heldMessage(unsafe.Pointer(&domain)); message != nil {
				// A message begins with what protobuf knows of its type, and sets when it is first looked at.
				sum += uintptr(atomic.LoadPointer(message))
			}
		}
	}
	runtime.KeepAlive(sum)
}

// heldMessage is the first word of the message that a oneof of messages holds, nil where it holds none. Such a oneof is an
// interface with a pointer to a struct with one field, which is a pointer to the message.
func heldMessage(oneof unsafe.Pointer) *unsafe.Pointer {
	type iface struct {
		_    unsafe.Pointer // the type
		held **unsafe.Pointer
	}
	return *(*iface)(oneof).held
}

// record is the record of a state in a snapshot.
func (s *State) record() *entityv1.StateRecord {
	if s.Attributes == nil {
		return &entityv1.StateRecord{EntityId: s.EntityID, Removed: true}
	}
	return &entityv1.StateRecord{
		EntityId: s.EntityID, UpdatedAt: s.UpdatedAt.UnixNano(), UpdatedBy: s.UpdatedBy,
		Attributes: s.Attributes, Position: uint64(s.Position), ChangedAt: s.ChangedAt.UnixNano(),
	}
}

// The tags of the fields of a StateRecord.
const (
	tagEntityID   = 1<<3 | 2
	tagUpdatedAt  = 2<<3 | 1
	tagUpdatedBy  = 3<<3 | 2
	tagAttributes = 4<<3 | 2
	tagPosition   = 5 << 3
	tagChangedAt  = 6<<3 | 1
	tagRemoved    = 7 << 3
)

// appendRecord appends the bytes of the record. That takes a third of the time that making the message and encoding it
// does: there are many of them, and they have few fields.
func (s *State) appendRecord(dst []byte) ([]byte, error) {
	dst = appendText(dst, tagEntityID, s.EntityID)
	if s.Attributes == nil {
		return append(dst, tagRemoved, 1), nil
	}
	dst = appendTime(dst, tagUpdatedAt, s.UpdatedAt)
	dst = appendText(dst, tagUpdatedBy, s.UpdatedBy)
	dst = append(dst, tagAttributes, 0) // room for a length below 128
	begin := len(dst)
	dst, err := proto.MarshalOptions{Deterministic: true}.MarshalAppend(dst, s.Attributes)
	if err != nil {
		return nil, err
	}
	if size := len(dst) - begin; size < 0x80 {
		dst[begin-1] = byte(size)
	} else {
		var room [binary.MaxVarintLen64]byte
		n := binary.PutUvarint(room[:], uint64(size))
		dst = append(dst, room[1:n]...)
		copy(dst[begin-1+n:], dst[begin:begin+size])
		copy(dst[begin-1:], room[:n])
	}
	if s.Position != 0 {
		dst = binary.AppendUvarint(append(dst, tagPosition), uint64(s.Position))
	}
	return appendTime(dst, tagChangedAt, s.ChangedAt), nil
}

func appendText(dst []byte, tag byte, text string) []byte {
	if text == "" {
		return dst
	}
	return append(binary.AppendUvarint(append(dst, tag), uint64(len(text))), text...)
}

func appendTime(dst []byte, tag byte, t time.Time) []byte {
	nanos := t.UnixNano()
	if nanos == 0 {
		return dst
	}
	return binary.LittleEndian.AppendUint64(append(dst, tag), uint64(nanos))
}
