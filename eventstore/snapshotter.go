package eventstore

import (
	"context"

	"fmt"
	"iter"
	"slices"
	"sync"
	"sync/atomic"

	"google.golang.org/protobuf/proto"

	"github.com/statehouse/statehouse/storage"
)

// snapshotter is the goroutine that saves the projectors beside the writer. In the writer's turn it only takes hold of
// what is promoted, which is a value; it encodes it by itself, and has the writer store it in parts, between which
// appends go on. The header, which makes a snapshot exist, comes last: what is left of one that was not finished is
// removed by the next.
type snapshotter struct {
	s *Store
	// saving is held while snapshots are made; the writer never takes it.
	saving sync.Mutex

	wanted   chan struct{} // tells the goroutine that it is time
	stopping chan struct{} // closed by stop
	stop     func()        // ends the goroutine and waits for it
	ends     sync.WaitGroup

	records atomic.Int64 // of the last snapshot
}

func (b *snapshotter) init(s *Store) {
	b.s, b.wanted, b.stopping = s, make(chan struct{}, 1), make(chan struct{})
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

// captured is what a projector had promoted in the writer's turn.
type captured struct {
	header  SnapshotHeader
	records iter.Seq[proto.Message]
	chain   chain // at the position
}

// save saves every projector at the head of the log, and removes snapshots that are not needed any more.
func (b *snapshotter) save(ctx context.Context) error {
	b.saving.Lock()
	defer b.saving.Unlock()
	var all []captured
	var at Position
	err := b.s.inTurn(ctx, func(w *writer, ctx context.Context) (err error) {
		all, at, err = w.capture(ctx)
		return err
	})
	if err != nil {
		return err
	}
	records := int64(0)
	for _, c := range all {
		if err := b.s.contained("projector "+c.header.Owner, func() (err error) { records, err = b.write(ctx, c, records); return err }); err != nil {
			return fmt.Errorf("projector %s: %w", c.header.Owner, err)
		}
	}
	b.records.Store(records)
	b.s.stats.snapshot.Store(uint64(at))
	return b.thin(ctx)
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
		header, records := source.SnapshotRecords()
		if header.Position != w.head.position {
			return nil, 0, fmt.Errorf("projector %s is at position %d, and the log ends at %d", p.Name(), header.Position, w.head.position)
		}
		all = append(all, captured{header, records, w.head.chain})
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

// write encodes a snapshot and has the writer store it, part by part. It adds the number of its records to those before.
func (b *snapshotter) write(ctx context.Context, c captured, before int64) (records int64, err error) {
	body, count, err := encodeSnapshot(c.records)
	if err != nil {
		return before, err
	}
	row := snapshotRow{SnapshotHeader: c.header, uuid: b.s.uuid, chain: c.chain, encoding: snapshotEncoding, count: count}
	row.checksum = row.sum(body)
	step := func(f func(ctx context.Context, tx storage.Tx) error) error {
		return b.s.inTurn(ctx, func(w *writer, ctx context.Context) error {
			return w.transact(ctx, func(tx storage.Tx) error { return f(ctx, tx) })
		})
	}
	if err := step(row.clear); err != nil {
		return before, err
	}
	for part := range slices.Chunk(body, snapshotPart) {
		if err := step(func(ctx context.Context, tx storage.Tx) error { return row.writePart(ctx, tx, part) }); err != nil {
			return before, err
		}
	}
	return before + count, step(row.writeHeader)
}

// What is kept of snapshots: all of the last recentSnapshots of each owner, and of those before them as few as leave no
// more than sparseEvents events between two.
const (
	recentSnapshots = 8
	sparseEvents    = 50_000
)

// thin removes snapshots that are not needed, and the parts of those that were not finished, one a turn.
func (b *snapshotter) thin(ctx context.Context) error {
	var gone []SnapshotHeader
	err := b.s.View(ctx, func(tx storage.Tx) error {
		owners, err := snapshotOwners(ctx, tx)
		if err != nil {
			return err
		}
		for _, owner := range owners {
			rows, err := snapshotRows(ctx, tx, owner, MaxPosition)
			if err != nil {
				return err
			}
			positions := make([]Position, len(rows))
			for i, r := range rows {
				positions[i] = r.Position
			}
			base, _ := b.s.Base()
			for _, p := range unneeded(positions, base) {
				gone = append(gone, SnapshotHeader{Owner: owner, Position: p})
			}
		}
		return nil
	})
	for _, h := range gone {
		if err == nil {
			err = b.s.inTurn(ctx, func(w *writer, ctx context.Context) error {
				return w.transact(ctx, func(tx storage.Tx) error { return (&snapshotRow{SnapshotHeader: h}).clear(ctx, tx) })
			})
		}
	}
	if err != nil {
		return fmt.Errorf("remove old snapshots: %w", err)
	}
	return b.s.inTurn(ctx, func(w *writer, ctx context.Context) error {
		return w.transact(ctx, func(tx storage.Tx) error {
			_, err := tx.ExecContext(ctx, `DELETE FROM snapshot_parts WHERE NOT EXISTS (SELECT 1 FROM snapshots s
				WHERE s.owner = snapshot_parts.owner AND s.position = snapshot_parts.position)`)
			return err
		})
	})
}

// unneeded are those of an owner's snapshots that can go; newest are their positions, newest first. The one at the base
// of the log stays, in the place of what was before it.
func unneeded(newest []Position, base Position) (gone []Position) {
	for n := len(newest); n > 0 && newest[n-1] <= base; n-- {
		if newest[n-1] < base {
			gone = append(gone, newest[n-1])
		}
		newest = newest[:n-1]
	}
	if len(newest) <= recentSnapshots {
		return gone
	}
	after := newest[recentSnapshots-1] // the one that is kept behind the one in question
	for i := recentSnapshots; i < len(newest); i++ {
		before := base // the log's beginning is as good as a snapshot
		if i+1 < len(newest) {
			before = newest[i+1]
		}
		if after-before <= sparseEvents {
			gone = append(gone, newest[i])
		} else {
			after = newest[i]
		}
	}
	return gone
}

// Snapshot saves every projector's promoted state beside the writer, so that the next start replays only what comes
// after it.
func (s *Store) Snapshot(ctx context.Context) error {
	if s.head.Load() == nil {
		return errNotStarted
	}
	return s.snapshots.save(ctx)
}
