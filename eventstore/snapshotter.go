package eventstore

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/semaphore"

	"github.com/statehouse/statehouse/storage"
)

// snapshotter is the goroutine that saves the projectors beside the writer. In the writer's turn it only takes hold of
// what is promoted, which is a value; it encodes it by itself, and has the writer store it in parts, between which
// appends go on. The header, which makes a snapshot exist, comes last: what is left of one that was not finished is
// removed by the next.
//
// Most snapshots are deltas: what has changed since the last full one, which is kept as a value and shares what is the
// same with the present. They all start from a full one, and none from another delta, so that to restore one takes two
// steps however many there are, and so that one that is damaged costs no other.
type snapshotter struct {
	s *Store
	// saving guards fulls and bad, and is held while snapshots are made. The writer takes it only when its queue is
	// closed and empty: whoever holds it then does not wait for the writer.
	saving *semaphore.Weighted
	// fulls are the full snapshots that deltas may start from, by owner: the last that each has made since the start.
	fulls map[string]*fullSnapshot
	// bad are the damaged snapshots that the start has skipped. They are removed when there are new ones.
	bad map[snapshotPlace]bool

	wanted   chan struct{} // tells the goroutine that it is time
	stopping chan struct{} // closed by stop
	stop     func()        // ends the goroutine and waits for it
	ends     sync.WaitGroup

	records atomic.Int64 // that the last snapshots stand for
}

func (b *snapshotter) init(s *Store) {
	b.s, b.wanted, b.stopping = s, make(chan struct{}, 1), make(chan struct{})
	b.saving = semaphore.NewWeighted(1)
	b.fulls, b.bad = map[string]*fullSnapshot{}, map[snapshotPlace]bool{}
	b.stop = sync.OnceFunc(func() {
		close(b.stopping)
		b.ends.Wait()
	})
}

// distance is the number of events from one snapshot to the next. A snapshot costs what there is, and saves the fold of
// what came: neither should be much more than the other.
func (b *snapshotter) distance() Position {
	if every := b.s.opts.SnapshotEvery; every > 0 {
		return Position(every)
	}
	return Position(max(10_000, min(4*b.records.Load(), sparseEvents)))
}

// loop saves whenever the writer says that it is time, until stopping is closed: what was wanted before is done.
func (b *snapshotter) loop(ctx context.Context) {
	for {
		select {
		case <-b.wanted:
		case <-b.stopping:
			select {
			case <-b.wanted:
			default:
				return
			}
		}
		if err := b.save(ctx); err != nil {
			b.s.opts.Logger.Error("snapshot", "error", err)
		}
	}
}

// want tells the goroutine that it is time. What it has not looked at yet, it does not need to be told twice.
func (b *snapshotter) want() {
	select {
	case b.wanted <- struct{}{}:
	default:
	}
}

// A snapshot is a delta unless it would have more than one record for two of the full one, which then costs little more
// and is restored faster, or unless so many have started from the same one: if that is damaged they are all lost, and what
// has to be folded in their place should take no more than a second.
const maxDeltas = 16

// fullSnapshot is a full snapshot that was made since the start.
type fullSnapshot struct {
	snapshotBase
	capture DeltaCapture
	records int
	deltas  int // that start from it
}

// skipped tells which snapshots the start could not use, before anything else uses b. Where one should have been good, a new one
// is made at once.
func (b *snapshotter) skipped(faults []error) {
	for _, err := range faults {
		if f := (*SnapshotFault)(nil); errors.As(err, &f) && f.Damaged {
			b.bad[snapshotPlace{f.Owner, f.Position}] = true
			b.want()
		}
	}
}

// captured is what a projector had promoted in the writer's turn.
type captured struct {
	Capture
	header SnapshotHeader
	chain  chain // at the position
}

// stepper runs a step of a snapshot in a transaction of its own.
type stepper func(f func(ctx context.Context, tx storage.Tx) error) error

// save saves every projector at the head of the log, and removes snapshots that are not needed any more. What is saved
// already it leaves alone.
func (b *snapshotter) save(ctx context.Context) error {
	if err := b.saving.Acquire(ctx, 1); err != nil {
		return fmt.Errorf("wait for the snapshot under way: %w", context.Cause(ctx))
	}
	defer b.saving.Release(1)
	var all []captured
	var at Position
	err := b.s.inTurn(ctx, func(w *writer, ctx context.Context) (err error) {
		all, at, err = w.capture(ctx)
		return err
	})
	if err != nil {
		return err
	}
	err = b.saveLocked(ctx, all, at, b.inTurns(ctx))
	if err != nil {
		return err
	}
	return b.thinLocked(ctx)
}

// encodeOptions say how the snapshotter encodes.
func (b *snapshotter) encodeOptions() encodeOptions {
	return encodeOptions{workers: runtime.GOMAXPROCS(0), log: b.s.opts.Logger, giveWay: b.s.giveWay}
}

// giveWay lets appends that are under way go first: what runs in the background calls it after every few ten
// microseconds of work. To yield is not enough where all processors are busy: a thread that comes back from a sync waits
// until the system takes a processor from another one, which may be milliseconds. So this one sleeps, though not for
// long: where something is always under way, what is done in the background is still done.
func (s *Store) giveWay() {
	const naps, nap = 10, 100 * time.Microsecond
	runtime.Gosched()
	for n := 0; n < naps && s.appending.Load() > 0; n++ {
		time.Sleep(nap)
	}
}

// checkpointSteps is after how many steps the WAL is moved into the database: well before it is so long that a commit does
// that, for which everybody would wait.
const checkpointSteps = 6

// inTurns runs each step in a turn of the writer, and moves the WAL that they make beside it.
func (b *snapshotter) inTurns(ctx context.Context) stepper {
	steps := 0
	return func(f func(ctx context.Context, tx storage.Tx) error) error {
		if steps++; steps%checkpointSteps == 0 {
			// What cannot be moved is read from the WAL, and tried again by a commit. Whether the disk takes writes, that shows.
			_ = b.s.db.TryCheckpoint(ctx)
		}
		return b.s.inTurn(ctx, func(w *writer, ctx context.Context) error {
			return w.transact(ctx, func(tx storage.Tx) error { return f(ctx, tx) })
		})
	}
}

// saveLocked stores what was captured.
func (b *snapshotter) saveLocked(ctx context.Context, all []captured, at Position, step stepper) error {
	records := 0
	for _, c := range all {
		err := b.s.contained("projector "+c.header.Owner, func() error {
			n, err := b.saveOneLocked(ctx, c, step)
			records += n
			return err
		})
		if err != nil {
			return fmt.Errorf("projector %s: %w", c.header.Owner, err)
		}
	}
	b.records.Store(int64(records))
	b.s.stats.snapshot.Store(uint64(at))
	return nil
}

// capture takes hold of what the projectors have promoted. Those that cannot be taken hold of are saved at once.
func (w *writer) capture(ctx context.Context) (all []captured, at Position, err error) {
	if err := w.ready(ctx); err != nil {
		return nil, 0, err
	}
	var rest []Projector
	for _, p := range w.s.projectors {
		source, ok := p.(SnapshotSource)
		if !ok {
			rest = append(rest, p)
			continue
		}
		c := source.Capture()
		header := c.Header()
		if header.Position != w.head.position {
			return nil, 0, fmt.Errorf("projector %s is at position %d, and the log ends at %d", p.Name(), header.Position, w.head.position)
		}
		all = append(all, captured{c, header, w.head.chain})
	}
	return all, w.head.position, w.snapshotAtOnce(ctx, rest)
}

// snapshotAtOnce saves projectors in one transaction, while appends wait.
func (w *writer) snapshotAtOnce(ctx context.Context, ps []Projector) error {
	w.snapshot = w.head.position // also when it fails: not again with every commit
	if len(ps) == 0 {
		return nil
	}
	return w.transact(ctx, func(tx storage.Tx) error {
		for _, p := range ps {
			if err := p.Snapshot(ctx, tx); err != nil {
				return fmt.Errorf("projector %s: %w", p.Name(), err)
			}
		}
		return nil
	})
}

// saveOneLocked saves what was captured of one projector. It returns the number of records that stand for all of that.
func (b *snapshotter) saveOneLocked(ctx context.Context, c captured, step stepper) (records int, err error) {
	row := snapshotRow{SnapshotHeader: c.header, uuid: b.s.uuid, chain: c.chain, encoding: snapshotFrames}
	if count, err := b.savedRecords(ctx, &row, false); err != nil || count >= 0 {
		return count, err
	}
	base, delta, worthIt := b.delta(c)
	if worthIt {
		row.delta, row.base = true, base.snapshotBase
		err := row.write(ctx, delta, b.encodeOptions(), step)
		if err == nil {
			base.deltas++
			delete(b.bad, row.place())
			return base.records, nil
		}
		if !errors.Is(err, errNoBase) {
			return 0, err
		}
		row.delta, row.base, row.parts = false, snapshotBase{}, 0
	}
	all := c.Records(b.s.giveWay)
	if err := row.write(ctx, all, b.encodeOptions(), step); err != nil {
		return 0, err
	}
	delete(b.bad, row.place())
	if capture, ok := c.Capture.(DeltaCapture); ok {
		b.fulls[c.header.Owner] = &fullSnapshot{snapshotBase{row.Position, row.checksum}, capture, all.Count, 0}
	}
	return all.Count, nil
}

// delta is what has changed since the last full snapshot of the same owner, and says whether that is worth a delta.
func (b *snapshotter) delta(c captured) (base *fullSnapshot, delta Records, worthIt bool) {
	base = b.fulls[c.header.Owner]
	now, ok := c.Capture.(DeltaCapture)
	if !ok || base == nil || base.deltas >= maxDeltas || base.position >= c.header.Position {
		return nil, Records{}, false
	}
	delta = now.Delta(base.capture, b.s.giveWay)
	return base, delta, 2*delta.Count <= base.records
}

// savedRecords is the number of records of the snapshot that is stored where row would be, -1 if there is none or not a
// good one, or a delta where a full one is wanted. Its contents are read: who wants a new one may know that it is damaged.
func (b *snapshotter) savedRecords(ctx context.Context, row *snapshotRow, full bool) (count int, err error) {
	count = -1
	err = b.s.View(ctx, func(tx storage.Tx) error {
		rows, err := snapshotRows(ctx, tx, row.Owner, row.Position)
		if err != nil || len(rows) == 0 || rows[0].Position != row.Position || rows[0].chain != row.chain || full && rows[0].delta {
			return nil // one that cannot be read is none
		}
		layers, err := rows[0].layers(rows)
		for _, layer := range layers {
			if err == nil {
				err = layer.checkOrigin(row.uuid)
			}
			if err == nil && layer.FoldVersion != row.FoldVersion {
				err = errors.New("another version")
			}
			if err == nil {
				err = layer.readParts(ctx, tx, func([]byte) bool { return true })
			}
		}
		if err == nil {
			count = int(layers[0].count)
		}
		return ctx.Err()
	})
	return count, err
}

// Snapshot saves every projector's promoted state beside the writer, so that the next start replays only what comes
// after it.
func (s *Store) Snapshot(ctx context.Context) error {
	if s.head.Load() == nil {
		return errNotStarted
	}
	return s.snapshots.save(ctx)
}
