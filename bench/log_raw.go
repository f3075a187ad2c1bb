package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"runtime"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/statehouse/statehouse/eventstore"
	eventv1 "github.com/statehouse/statehouse/gen/statehouse/event/v1"
)

// rawFile is a preallocated file that is written over and over: no sync has to bring a new size or a new block of it to
// the disk. It is the limit of what a log can do on this disk.
type rawFile struct {
	file     *os.File
	size, at int64
}

// rawSize is how much of a measure's raw file is allocated. It stays in the kernel's cache, so that no write has to read.
const rawSize = 64 << 20

func newRawFile(path string, size int64) (*rawFile, error) {
	f, err := os.Create(path)
	if err != nil {
		return nil, err
	}
	zeros := make([]byte, 1<<20)
	for at := int64(0); at < size; {
		n, err := f.WriteAt(zeros[:min(int64(len(zeros)), size-at)], at)
		if err != nil {
			return nil, errors.Join(err, f.Close())
		}
		at += int64(n)
	}
	if err := f.Sync(); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return &rawFile{file: f, size: size}, nil
}

func (r *rawFile) close() error { return r.file.Close() }

// commit writes data behind what was written last, or at the beginning again, and syncs it. Data must not be larger than
// the file.
func (r *rawFile) commit(data []byte) error {
	if r.at+int64(len(data)) > r.size {
		r.at = 0
	}
	if _, err := r.file.WriteAt(data, r.at); err != nil {
		return err
	}
	r.at += int64(len(data))
	return syncData(r.file)
}

// groupCommitter writes what many callers hand in to a raw file, as many of them together as there are: it takes all that is
// queued, yields the processor once, takes what has come since, writes it with one call, syncs once and answers
// everybody. This is the least that anything that makes one caller's bytes durable with the others' has to do.
type groupCommitter struct {
	file  *rawFile
	queue chan handedIn
	ended chan struct{}
}

type handedIn struct {
	data   []byte
	answer chan<- error // with room for the answer
}

func newGroupCommitter(file *rawFile) *groupCommitter {
	g := &groupCommitter{file: file, queue: make(chan handedIn, 4096), ended: make(chan struct{})}
	go g.run()
	return g
}

// close ends it when everybody is answered. Nobody may hand in anything any more.
func (g *groupCommitter) close() {
	close(g.queue)
	<-g.ended
}

func (g *groupCommitter) run() {
	defer close(g.ended)
	var group []handedIn
	var data []byte
	drain := func() {
		for {
			select {
			case h, ok := <-g.queue:
				if !ok {
					return
				}
				group, data = append(group, h), append(data, h.data...)
			default:
				return
			}
		}
	}
	for h := range g.queue {
		group, data = append(group[:0], h), append(data[:0], h.data...)
		drain()
		runtime.Gosched()
		drain()
		err := g.file.commit(data)
		for _, h := range group {
			h.answer <- err
		}
	}
}

// encodeFlat appends an event as a record: position, recorded time, and what the caller gave. It is how the peers that keep
// bytes keep an event, and as long as a log's record has to be: there is neither a hash nor a checksum in it.
func encodeFlat(dst []byte, e *eventstore.Event) ([]byte, error) {
	dst = binary.AppendUvarint(dst, uint64(e.Position))
	dst = binary.BigEndian.AppendUint64(dst, uint64(e.RecordedAt.UnixNano()))
	dst = binary.BigEndian.AppendUint64(dst, uint64(e.Timestamp.UnixNano()))
	dst = append(binary.AppendUvarint(dst, uint64(len(e.Entity))), e.Entity...)
	dst = append(binary.AppendUvarint(dst, uint64(len(e.Source))), e.Source...)
	dst = append(binary.AppendUvarint(dst, uint64(len(e.CorrelationID))), e.CorrelationID...)
	dst = binary.AppendUvarint(dst, uint64(e.CausePosition))
	size := proto.Size(e.Payload)
	dst = binary.AppendUvarint(dst, uint64(size))
	return proto.MarshalOptions{UseCachedSize: true}.MarshalAppend(dst, e.Payload)
}

// flatRecord is a record whose payload is not decoded yet. Its fields alias what it was decoded from.
type flatRecord struct {
	position                    eventstore.Position
	recorded, timestamp         int64
	entity, source, correlation []byte
	cause                       uint64
	payload                     []byte
}

func decodeFlat(b []byte) (r flatRecord, err error) {
	ok := true
	uvarint := func() uint64 {
		v, n := binary.Uvarint(b)
		if n <= 0 {
			ok = false
			return 0
		}
		b = b[n:]
		return v
	}
	take := func(n uint64) []byte {
		if uint64(len(b)) < n {
			ok = false
			return nil
		}
		taken := b[:n]
		b = b[n:]
		return taken
	}
	fixed := func() int64 {
		if v := take(8); ok {
			return int64(binary.BigEndian.Uint64(v))
		}
		return 0
	}
	r.position = eventstore.Position(uvarint())
	r.recorded, r.timestamp = fixed(), fixed()
	r.entity, r.source, r.correlation = take(uvarint()), take(uvarint()), take(uvarint())
	r.cause = uvarint()
	r.payload = take(uvarint())
	if !ok || len(b) != 0 {
		return r, fmt.Errorf("a record of %d bytes is not as it was written", len(b))
	}
	return r, nil
}

// decoded decodes the whole event and drops it.
func decoded(r *flatRecord) error {
	_, err := r.event()
	return err
}

// passedOver leaves the payload as it is.
func passedOver(*flatRecord) error { return nil }

// event decodes the whole event.
func (r *flatRecord) event() (eventstore.Event, error) {
	e := eventstore.Event{
		Position: r.position, RecordedAt: time.Unix(0, r.recorded).UTC(), Timestamp: time.Unix(0, r.timestamp).UTC(),
		Entity: string(r.entity), Source: string(r.source), CorrelationID: string(r.correlation),
		CausePosition: eventstore.Position(r.cause), Payload: new(eventv1.Payload),
	}
	if err := proto.Unmarshal(r.payload, e.Payload); err != nil {
		return eventstore.Event{}, err
	}
	e.Kind = eventstore.KindOf(e.Payload)
	return e, nil
}
