package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"path/filepath"
	"runtime"
	"sync"
	"time"

	"github.com/klauspost/compress/zstd"
	"google.golang.org/protobuf/proto"

	"github.com/statehouse/statehouse/eventstore"
	entityv1 "github.com/statehouse/statehouse/gen/statehouse/entity/v1"
	"github.com/statehouse/statehouse/state"
	"github.com/statehouse/statehouse/storage"
)

// snapshotMeasures are the measures of what is saved of a large house. They write to files in the system's directory for
// temporary ones.
func snapshotMeasures() []Measure {
	return []Measure{
		{"snapshot.1m", inDir(snapshots(1_000_000))},
		{"restore.1m", inDir(restores(1_000_000))},
	}
}

// snapshots saves a house of so many entities, while its log goes on. The reference for its size and time is what anybody
// would write: the records sorted, encoded one after the other and compressed, all in memory, by one goroutine. The
// appends are one event each, 500 a second by ten callers.
func snapshots(entities int) func(dir string) ([]Figure, error) {
	return func(dir string) (figures []Figure, err error) {
		l, err := openFullLog(filepath.Join(dir, "ours.db"), entities)
		if err != nil {
			return nil, err
		}
		defer func() { err = errors.Join(err, l.close()) }()
		var plain []byte
		times, err := takeTurnsOrFail(5,
			func() (float64, error) { return l.timedSnapshot(1) },
			func() (float64, error) {
				return inMillis(func() (err error) {
					plain, err = plainSnapshot(l.cache.Revision())
					return err
				})
			})
		if err != nil {
			return nil, err
		}
		all, err := l.store.Snapshots(context.Background(), map[string]int{l.cache.Name(): state.FoldVersion})
		if err != nil {
			return nil, err
		}
		each := func(bytes int64) float64 { return float64(bytes) / float64(l.cache.Len()) }
		p99s, err := takeTurnsOrFail(5, l.crowdedAppends, l.quietAppends)
		if err != nil {
			return nil, err
		}
		const reference = "one by one, in memory"
		return []Figure{
			{"ms", times[0], reference, times[1], atMostOf(500, "ms")},
			{"B", each(all[len(all)-1].Bytes), reference, each(int64(len(plain))), atMostOf(30, "B")},
			{"µs", p99s[0], "p99 of appends without", p99s[1], atMost(2)},
		}, nil
	}
}

// openFullLog opens the log of a house of so many entities, whose snapshots are full.
func openFullLog(path string, entities int) (*ourLog, error) {
	l := &ourLog{cache: state.New()}
	return l, l.openHouse(path, entities, fullCache{l.cache})
}

// fullCache is a cache whose snapshots are all full ones.
type fullCache struct{ *state.Cache }

// Capture hides that the capture knows deltas.
func (c fullCache) Capture() eventstore.Capture {
	return struct{ eventstore.Capture }{c.Cache.Capture()}
}

// openHouse opens a log and appends what a house of so many entities says, all of which is sealed when it returns: the sealer
// would have a processor for itself otherwise.
func (l *ourLog) openHouse(path string, entities int, projector eventstore.Projector) error {
	if err := l.open(path, eventstore.Options{SnapshotEvery: 1 << 30}, projector); err != nil {
		return err
	}
	var batch []eventstore.Event
	for events := range bigHouse(entities) {
		if batch = append(batch, events...); len(batch) < 4000 {
			continue
		}
		if err := l.append(batch); err != nil {
			return errors.Join(err, l.close())
		}
		batch = batch[:0]
	}
	err := l.append(batch)
	if err == nil {
		err = l.store.Seal(context.Background())
	}
	if err != nil {
		return errors.Join(err, l.close())
	}
	return nil
}

// timedSnapshot appends so many events and then answers how many milliseconds a snapshot takes.
func (l *ourLog) timedSnapshot(changes int) (float64, error) {
	if err := l.append(newFleet(time.Second).reports(changes)); err != nil {
		return 0, err
	}
	return inMillis(func() error { return l.store.Snapshot(context.Background()) })
}

// inMillis answers how many milliseconds f takes with a collected heap.
func inMillis(f func() error) (float64, error) {
	runtime.GC()
	begin := time.Now()
	err := f()
	return microseconds(time.Since(begin)) / 1000, err
}

// quietAppends answers the 99th percentile of how long appends take, in microseconds.
func (l *ourLog) quietAppends() (float64, error) {
	waits, err := l.paced(newFleet(time.Second).reports(ringSize))
	if err != nil {
		return 0, err
	}
	return microseconds(quantile(waits, 0.99)), nil
}

// crowdedAppends is quietAppends while one snapshot after the other is taken.
func (l *ourLog) crowdedAppends() (p99 float64, err error) {
	ctx, stop := context.WithCancel(context.Background())
	var taking sync.WaitGroup
	var failed error
	taking.Go(func() {
		for ctx.Err() == nil && failed == nil {
			failed = l.store.Snapshot(context.Background())
		}
	})
	p99, err = l.quietAppends()
	stop()
	taking.Wait()
	return p99, errors.Join(err, failed)
}

// plainSnapshot encodes a revision.
func plainSnapshot(r state.Revision) ([]byte, error) {
	var out bytes.Buffer
	z, err := zstd.NewWriter(&out, zstd.WithEncoderConcurrency(1))
	if err != nil {
		return nil, err
	}
	var record, framed []byte
	for _, s := range r.Sorted() {
		record, err = proto.MarshalOptions{Deterministic: true}.MarshalAppend(record[:0], &entityv1.StateRecord{
			EntityId: s.EntityID, UpdatedAt: s.UpdatedAt.UnixNano(), UpdatedBy: s.UpdatedBy,
			Attributes: s.Attributes, Position: uint64(s.Position), ChangedAt: s.ChangedAt.UnixNano(),
		})
		if err == nil {
			framed = append(binary.AppendUvarint(framed[:0], uint64(len(record))), record...)
			_, err = z.Write(framed)
		}
		if err != nil {
			return nil, err
		}
	}
	err = z.Close()
	return out.Bytes(), err
}

// restores loads the snapshot of a house of so many entities. The references are decoding the same snapshot into memory
// without making anything of it, on all processors; and what anybody would write: decompress, decode one record after the
// other, and put them into a built-in map, by one goroutine.
func restores(entities int) func(dir string) ([]Figure, error) {
	return func(dir string) (figures []Figure, err error) {
		path := filepath.Join(dir, "ours.db")
		plain, err := savedHouse(path, entities)
		if err != nil {
			return nil, err
		}
		db, err := storage.Open(context.Background(), path, storage.Options{})
		if err != nil {
			return nil, err
		}
		defer func() { err = errors.Join(err, db.Close()) }()
		restore := func() (float64, error) {
			cache := state.New()
			return inMillis(func() error {
				at, err := cache.Restore(context.Background(), db.Reader())
				if err == nil && (at == 0 || cache.Len() != entities) {
					err = fmt.Errorf("%d entities restored at %d: %w", cache.Len(), at, errors.Join(cache.SnapshotFaults()...))
				}
				return err
			})
		}
		times, err := takeTurnsOrFail(7, restore,
			func() (float64, error) { return inMillis(func() error { return decodeAlone(db, entities) }) },
			func() (float64, error) { return inMillis(func() error { return plainRestore(plain, entities) }) })
		if err != nil {
			return nil, err
		}
		return []Figure{
			{"ms", times[0], "one by one, built-in map", times[2], atMostOf(300, "ms")},
			{"ms", times[0], "decoding alone", times[1], nil},
		}, nil
	}
}

// savedHouse makes a database with the snapshot of a house, and answers what plainSnapshot makes of the same.
func savedHouse(path string, entities int) (plain []byte, err error) {
	l := &ourLog{cache: state.New()}
	if err := l.openHouse(path, entities, l.cache); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, l.close()) }()
	if err := l.store.Snapshot(context.Background()); err != nil {
		return nil, err
	}
	return plainSnapshot(l.cache.Revision())
}

// decodeAlone decodes all records of the newest snapshot.
func decodeAlone(db *storage.DB, entities int) error {
	count := 0
	at, faults, err := eventstore.ReadSnapshotUntil(context.Background(), db.Reader(), "state", state.FoldVersion, eventstore.MaxPosition,
		func(parts iter.Seq2[eventstore.SnapshotPart, error]) error {
			for n, err := range eventstore.DecodeParts(parts, func(p eventstore.SnapshotPart) (n int, err error) {
				for _, err := range p.Records() {
					if err != nil {
						return 0, err
					}
					n++
				}
				return n, nil
			}) {
				if err != nil {
					return err
				}
				count += n
			}
			return nil
		})
	if err == nil && (at == 0 || count != entities) {
		err = fmt.Errorf("%d records decoded: %w", count, errors.Join(faults...))
	}
	return err
}

// plainRestore decodes what plainSnapshot made.
func plainRestore(plain []byte, entities int) error {
	z, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(1<<30))
	if err != nil {
		return err
	}
	defer z.Close()
	rest, err := z.DecodeAll(plain, nil)
	if err != nil {
		return err
	}
	states := map[string]state.State{}
	for len(rest) > 0 {
		size, n := binary.Uvarint(rest)
		var r entityv1.StateRecord
		if err := proto.Unmarshal(rest[n:n+int(size)], &r); err != nil {
			return err
		}
		rest = rest[n+int(size):]
		states[r.GetEntityId()] = state.State{
			EntityID: r.GetEntityId(), UpdatedAt: time.Unix(0, r.GetUpdatedAt()).UTC(), UpdatedBy: r.GetUpdatedBy(),
			Attributes: r.GetAttributes(), Position: eventstore.Position(r.GetPosition()),
			ChangedAt: time.Unix(0, r.GetChangedAt()).UTC(),
		}
	}
	if len(states) != entities {
		return fmt.Errorf("%d states decoded", len(states))
	}
	runtime.KeepAlive(states)
	return nil
}
