package main

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/statehouse/statehouse/eventstore"
	"github.com/statehouse/statehouse/registry"
	"github.com/statehouse/statehouse/state"
	"github.com/statehouse/statehouse/storage"
)

// loadBatch is the number of events in a transaction where a log is only to be filled, and fillSeal after how many
// events it is sealed meanwhile, so that the file does not grow first and then have holes.
const (
	loadBatch = 1000
	loadSeal  = 1 << 18
)

// buildOptions are those with which logs are built: nothing happens in the background but snapshots, as far apart as the
// store keeps old ones.
func buildOptions(clock *simulated) eventstore.Options {
	return eventstore.Options{Clock: clock.now, SealAfter: -1, SnapshotEvery: snapshotsApart}
}

// buildLog adds so many of a fleet's reports to a log and seals it. see, which may be nil, is shown every batch.
func buildLog(path string, f *fleet, count int, see func([]eventstore.Event) error, projectors ...eventstore.Projector) (err error) {
	var clock simulated
	var l ourLog
	if err := l.open(path, buildOptions(&clock), projectors...); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.close()) }()
	batches, stop := make(chan []eventstore.Event, 4), make(chan struct{})
	var making sync.WaitGroup
	defer making.Wait()
	defer close(stop)
	making.Go(func() { // beside the appending, of which it would be a third
		defer close(batches)
		for made := 0; made < count; made += loadBatch {
			select {
			case batches <- f.reports(min(loadBatch, count-made)):
			case <-stop:
				return
			}
		}
	})
	appended := 0
	for batch := range batches {
		clock.set(batch[len(batch)-1].Timestamp)
		if err := l.append(batch); err != nil {
			return err
		}
		if see != nil {
			if err := see(batch); err != nil {
				return err
			}
		}
		if appended += len(batch); appended%loadSeal < len(batch) {
			if err := l.store.Seal(context.Background()); err != nil {
				return err
			}
		}
	}
	return l.store.Seal(context.Background())
}

// load fills an empty log of rows quickly: its index is made when all rows are there, and is as small as it can be. see,
// which may be nil, is shown every batch.
func (r *rowLog) load(f *fleet, count int, see func([]eventstore.Event) error) error {
	if _, err := r.db.Exec(`DROP INDEX events_entity`); err != nil {
		return err
	}
	for made := 0; made < count; made += loadBatch {
		batch := f.reports(min(loadBatch, count-made))
		if err := r.append(batch); err != nil {
			return err
		}
		if see != nil {
			if err := see(batch); err != nil {
				return err
			}
		}
	}
	_, err := r.db.Exec(rowIndex)
	return err
}

// unsaved is a cache of states that takes no snapshots: of what it is it shows all but that it can be captured.
type unsaved struct{ unsavedCache }

type unsavedCache interface {
	eventstore.Projector
	eventstore.Promoter
	eventstore.Discarder
	eventstore.Folder
	eventstore.EntityPositions
}

func (unsaved) Snapshot(context.Context, storage.Tx) error { return nil }

// replay folds a sealed log of 1 M events about 10,000 entities into a cache of states, as a start without a snapshot
// does. Ours decodes a payload only if it is an entity's last one; the peers decode every payload and fold nothing. The last
// reference is a flat file's records split into their fields, payloads left as they are. All files are in the kernel's cache.
func replay(dir string) (figures []Figure, err error) {
	const count = 1_000_000
	path := filepath.Join(dir, "ours.db")
	flat, err := newFlatFile(filepath.Join(dir, "flat"))
	if err != nil {
		return nil, err
	}
	if err := buildLog(path, newFleet(100*time.Millisecond), count, flat.append); err != nil {
		return nil, errors.Join(err, flat.close())
	}
	if err := flat.close(); err != nil {
		return nil, err
	}
	rows, err := openRowLog(filepath.Join(dir, "rows.db"))
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.close()) }()
	if err := rows.load(newFleet(100*time.Millisecond), count, nil); err != nil {
		return nil, err
	}
	scan := func(all func(visit func(*flatRecord) error) (int, error), visit func(*flatRecord) error) side {
		return func() (float64, error) {
			begin := time.Now()
			n, err := all(visit)
			took := time.Since(begin)
			if err == nil && n != count {
				err = fmt.Errorf("%d events were read, want %d", n, count)
			}
			return count / took.Seconds(), err
		}
	}
	rates, err := takeTurnsOrFail(7,
		func() (float64, error) { return startWithoutSnapshot(path, count) },
		scan(rows.scanAll, decoded), scan(flat.scan, decoded), scan(flat.scan, passedOver))
	if err != nil {
		return nil, err
	}
	return []Figure{
		{"/s", rates[0], "SQLite rows, decoding", rates[1], atLeastRate(3_000_000)},
		{"/s", rates[0], "flat file, decoding", rates[2], nil},
		{"/s", rates[0], "flat file, payloads left encoded", rates[3], nil},
	}, nil
}

// startWithoutSnapshot answers at what rate a start folds a log of so many events about the fleet.
func startWithoutSnapshot(path string, count int) (rate float64, err error) {
	ctx := context.Background()
	db, err := storage.Open(ctx, path, storage.Options{})
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	store, err := eventstore.Open(ctx, db, eventstore.Options{SealAfter: -1, SnapshotEvery: math.MaxInt})
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	cache := state.New()
	begin := time.Now()
	if err := store.Start(ctx, unsaved{cache}); err != nil {
		return 0, err
	}
	took := time.Since(begin)
	if r := store.Recovered(); int(r.Replayed) != count {
		return 0, fmt.Errorf("%d events were folded, want %d", r.Replayed, count)
	}
	if r := cache.Revision(); int(r.Position) != count || r.Entities.Len() != fleetSize {
		return 0, fmt.Errorf("%d entities at position %d, want %d at %d", r.Entities.Len(), r.Position, fleetSize, count)
	}
	return float64(count) / took.Seconds(), nil
}

// flatFile is a file of records with their lengths before them: the least that there is to read of a log.
type flatFile struct {
	file *os.File
	out  *bufio.Writer
	last eventstore.Position
}

func newFlatFile(path string) (*flatFile, error) {
	f, err := os.Create(path)
	if err != nil {
		return nil, err
	}
	return &flatFile{file: f, out: bufio.NewWriterSize(f, 1<<20)}, nil
}

func (f *flatFile) append(events []eventstore.Event) error {
	for i := range events {
		f.last++
		e := events[i]
		e.Position, e.RecordedAt = f.last, e.Timestamp
		record, err := encodeFlat(nil, &e)
		if err != nil {
			return err
		}
		// An error of the writer stays and is reported by what is written last.
		_, _ = f.out.Write(binary.LittleEndian.AppendUint32(nil, uint32(len(record))))
		if _, err := f.out.Write(record); err != nil {
			return err
		}
	}
	return nil
}

func (f *flatFile) close() error { return errors.Join(f.out.Flush(), f.file.Close()) }

// scan reads all records of the closed file and answers how many there are.
func (f *flatFile) scan(visit func(*flatRecord) error) (count int, err error) {
	file, err := os.Open(f.file.Name())
	if err != nil {
		return 0, err
	}
	defer func() { _ = file.Close() }() // it was only read
	in := bufio.NewReaderSize(file, 1<<20)
	var size [4]byte
	var record []byte
	for ; ; count++ {
		if _, err := io.ReadFull(in, size[:]); err != nil {
			if errors.Is(err, io.EOF) {
				err = nil
			}
			return count, err
		}
		if n := int(binary.LittleEndian.Uint32(size[:])); n > cap(record) {
			record = make([]byte, n)
		} else {
			record = record[:n]
		}
		if _, err := io.ReadFull(in, record); err != nil {
			return count, err
		}
		r, err := decodeFlat(record)
		if err == nil {
			err = visit(&r)
		}
		if err != nil {
			return count, err
		}
	}
}

// newSkewedFleet makes a fleet of which some sensors report often and most seldom: the sensor with number i reports
// in proportion to 1/(i+1)^1.1. The first one makes every seventh report, the last one every 170,000th.
func newSkewedFleet() *fleet {
	f := newFleet(100 * time.Millisecond)
	z := rand.NewZipf(f.rng, 1.1, 1, fleetSize-1)
	f.next = func() int { return int(z.Uint64()) }
	return f
}

// bigLog is a sealed log of nearly 10 M events of a skewed fleet that is registered first, ten a second for twelve days, with
// snapshots. It takes a minute to build: the first measure that needs it does that, and all others of the run use it. They
// must leave it as it is.
var bigLog = sync.OnceValues(func() (*builtLog, error) {
	dir, err := diskDir()
	if err != nil {
		return nil, err
	}
	bigLogDir = dir
	return buildBigLog(filepath.Join(dir, "log.db"), bigSize)
})

// logSize is the size of a log: all of its events, those behind the newest snapshot, and those of them that are in commits of
// their own, which [addSingles] adds.
type logSize struct{ events, tail, singles int }

var bigSize = logSize{events: 10_000_000, tail: 10_000, singles: 4_000}

// snapshotsApart is how far the snapshots of a big log are apart: as far as those that the store keeps for long.
const snapshotsApart = 50_000

// buildBigLog writes a log of a size, but for the events in commits of their own.
func buildBigLog(path string, size logSize) (*builtLog, error) {
	b := &builtLog{path: path, counts: make(map[string]int, fleetSize)}
	f := newSkewedFleet()
	f.registers = fleetSize
	err := buildLog(path, f, size.events-size.tail, b.count, state.New(), registry.New())
	if err == nil {
		err = saveLog(path)
	}
	if err == nil { // without a projector, which would be saved at the end
		err = buildLog(path, f, size.tail-size.singles, b.count)
	}
	b.end = f.at
	return b, err
}

// saveLog takes a snapshot at the end of a log.
func saveLog(path string) (err error) {
	var l ourLog
	if err := l.open(path, eventstore.Options{SealAfter: -1}, state.New(), registry.New()); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.close()) }()
	return l.store.Snapshot(context.Background())
}

var bigLogDir string

// removeBigLog removes what [bigLog] built, if it did. Nothing may use it any more.
func removeBigLog() error {
	if bigLogDir == "" {
		return nil
	}
	return os.RemoveAll(bigLogDir)
}

// builtLog is a log, how many events there are about each entity in it, and when the last one was.
type builtLog struct {
	path   string
	counts map[string]int
	end    time.Time
}

func (b *builtLog) count(events []eventstore.Event) error {
	for i := range events {
		b.counts[events[i].Entity]++
	}
	return nil
}

// nearest answers the entity that has about so many events.
func (b *builtLog) nearest(count int) string {
	best, distance := "", math.MaxInt
	for _, name := range fleetNames {
		if d := b.counts[name] - count; max(d, -d) < distance {
			best, distance = name, max(d, -d)
		}
	}
	return best
}

// history reads the last 1,000 changes of an entity, the newest first, or all if there are fewer, in a log of 10 M events: of the
// busiest entity, of the one whose last thousand reach farthest back, since it has hardly more than these, of the
// median one, and of the rarest one. The peer has a log of 1 M rows of the same fleet, and reads of the entity that has most
// nearly as many rows there as ours has events: filling it with 10 M would take minutes. All files are in the kernel's cache.
func history(dir string) (figures []Figure, err error) {
	const limit = 1000
	big, err := bigLog()
	if err != nil {
		return nil, err
	}
	var l ourLog
	if err := l.open(big.path, eventstore.Options{SealAfter: -1}); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, l.close()) }()
	rows, err := openRowLog(filepath.Join(dir, "rows.db"))
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.close()) }()
	rowCounts := &builtLog{counts: make(map[string]int, fleetSize)}
	if err := rows.load(newSkewedFleet(), 1_000_000, rowCounts.count); err != nil {
		return nil, err
	}
	for _, one := range []struct{ what, entity string }{
		{"the busiest", fleetNames[0]},
		{"the thinnest", big.nearest(limit)},
		{"the median", fleetNames[fleetSize/2]},
		{"the rarest", fleetNames[fleetSize-1]},
	} {
		has := big.counts[one.entity]
		like := rowCounts.nearest(has)
		ms, err := takeTurnsOrFail(11,
			timed(func() (int, error) { return l.lastOf(one.entity, limit) }, min(limit, has)),
			timed(func() (int, error) { return rows.history(like, limit, decoded) }, min(limit, rowCounts.counts[like])))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", one.what, err)
		}
		figures = append(figures, Figure{"ms", ms[0], fmt.Sprintf("rows, %s (of %d)", one.what, has), ms[1], atMostOf(20, "ms")})
	}
	return figures, nil
}

// lastOf reads the last events about an entity and answers how many there were.
func (l *ourLog) lastOf(entity string, limit int) (count int, err error) {
	for e, err := range l.store.Read(context.Background(), eventstore.Query{Entities: []string{entity}, Backward: true}) {
		if err != nil {
			return count, err
		}
		if e.Entity != entity || e.Payload == nil {
			return count, fmt.Errorf("position %d is not about %s", e.Position, entity)
		}
		if count++; count == limit {
			break
		}
	}
	return count, nil
}

// timed answers how many milliseconds something takes that must answer a number.
func timed(do func() (int, error), want int) side {
	return func() (float64, error) {
		begin := time.Now()
		got, err := do()
		took := time.Since(begin)
		if err == nil && got != want {
			err = fmt.Errorf("%d events were read, want %d", got, want)
		}
		return microseconds(took) / 1000, err
	}
}
