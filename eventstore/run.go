package eventstore

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"unsafe"

	"github.com/statehouse/statehouse/internal/defect"
)

// run is a segment that is decoded: its events in the order of positions, with payloads still encoded. It is opened on
// one segment after another, in memory that it uses again, so that a scan allocates nothing for what it passes over.
type run struct {
	segment  *segment
	records  []record
	recorded []int64
	// indexes say for each record which event of the segment it is, if not all were asked for: some says that. Otherwise
	// records[i] is at position segment.first+i.
	indexes []int32
	some    bool

	names  *names
	sealed unsealing
	picked picking
}

func newRun() *run { return &run{names: newNames()} }

// open checks a segment and decodes its events. Where entities are given, all different, it may leave out the events that
// are about others. What it decodes is valid until the next open, and payloads alias the segment's body.
func (r *run) open(s *segment, entities []string) error {
	if err := s.intact(); err != nil {
		return err
	}
	if s.first == 0 || s.last < s.first || s.last > MaxPosition || s.lastRecorded < s.firstRecorded {
		return s.damaged(errors.New("its bounds make no sense"))
	}
	r.segment, r.some = s, false
	switch s.encoding {
	case encodingPlain:
		if err := r.openPlain(s); err != nil {
			return s.damaged(err)
		}
		return nil
	case encodingSealed:
		var err error
		if r.some = len(entities) > 0; r.some {
			err = r.picked.open(s, r, entities)
		} else {
			err = r.sealed.open(s, r)
		}
		if err != nil {
			return s.damaged(err)
		}
		return nil
	default:
		return s.damaged(fmt.Errorf("encoding %d is not known to this version", s.encoding))
	}
}

// reset makes room for n events.
func (r *run) reset(n int) {
	r.records = slices.Grow(r.records[:0], n)[:n]
	r.recorded = slices.Grow(r.recorded[:0], n)[:n]
}

func (r *run) openPlain(s *segment) error {
	if s.firstRecorded != s.lastRecorded {
		return errors.New("its bounds make no sense")
	}
	d := decoder{rest: s.body[4:]}
	r.reset(0)
	for at := s.first; at <= s.last; at++ {
		raw := d.bytes()
		if d.failed {
			return errRecord
		}
		rec, err := decodeRecord(raw, r.names)
		if err != nil {
			return err
		}
		r.records = append(r.records, rec)
		r.recorded = append(r.recorded, s.firstRecorded)
	}
	if len(d.rest) != 0 {
		return errors.New("there is more in it than its events")
	}
	return nil
}

// memory is about how many bytes a run of a whole segment takes.
func (r *run) memory() int {
	u := &r.sealed
	n := cap(r.records)*int(unsafe.Sizeof(record{})+2*8+2*4) + len(r.segment.body) + cap(u.order) + cap(u.facts)
	for _, p := range u.payloads {
		n += cap(p)
	}
	return n
}

// position is that of the i-th record.
func (r *run) position(i int) Position {
	if r.some {
		i = int(r.indexes[i])
	}
	return r.segment.first + Position(i)
}

// event decodes the event of the i-th record.
func (r *run) event(i int) (Event, error) {
	e, err := r.records[i].event(r.position(i), r.recorded[i])
	if err != nil {
		return Event{}, r.segment.damaged(err)
	}
	return e, nil
}

// chainFrom recomputes the chain over the segment, from the value before it, and compares it with the one stored.
// It calls visit, if there is one, with each event's chain value. The run must have been opened for all entities.
func (r *run) chainFrom(before chain, visit func(i int, c chain)) error {
	c := before
	var raw []byte
	for i := range r.records {
		raw = r.records[i].append(raw[:0])
		c = c.next(r.position(i), r.recorded[i], sha256.Sum256(raw))
		if visit != nil {
			visit(i, c)
		}
	}
	if c != r.segment.chain && !defect.Is(defect.ChainNotChecked) {
		return r.segment.damaged(errors.New("its chain value does not follow from its events and the segment before it"))
	}
	return nil
}
