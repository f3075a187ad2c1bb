package eventstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/statehouse/statehouse/storage"
)

// sealer is the goroutine that seals, beside the writer: it reads runs of the small segments that commits wrote, encodes
// them anew, proves that nothing is different, and has the writer put the new rows in the place of the old ones in one
// transaction. Positions, contents and chain values stay what they are, so that no reader can tell; a crash leaves the
// old rows or the new ones.
type sealer struct {
	s    *Store
	last Position // everything up to it is sealed, or cannot be
	run  *run     // that of the step under way
}

// sealRuns are those of steps. What the log has of names and of large events would stay in one for good, and a house rests
// more than it seals: the collector takes those that wait in the pool.
var sealRuns = sync.Pool{New: func() any { return newRun() }}

// The sealer rests after each run for a multiple of the time that the run took. While events keep coming it takes a tenth
// of one processor, or a third if it is far behind; when they stop it does not rest.
const (
	sealPause       = 9
	sealPauseBehind = 2
	sealBehind      = 64 * sealedEvents
)

// loop seals whenever the writer says that there is enough, until ctx ends.
func (b *sealer) loop(ctx context.Context) {
	for {
		select {
		case <-b.s.sealing:
		case <-ctx.Done():
			return
		}
		for more := true; more; {
			began, head := time.Now(), b.s.Head()
			var err error
			if more, err = b.step(ctx, b.s.opts.SealAfter); err != nil {
				if ctx.Err() == nil {
					b.s.opts.Logger.Warn("sealing will be tried again later", "after", b.last, "error", err)
				}
				break
			}
			select {
			case <-time.After(b.pause(head) * time.Since(began)):
			case <-ctx.Done():
				return
			}
		}
	}
}

// pause is how often the sealer rests for the time that a run took. head was the end of the log when it began.
func (b *sealer) pause(head Position) time.Duration {
	switch now := b.s.Head(); {
	case now == head:
		return 0
	case now-b.last > sealBehind:
		return sealPauseBehind
	default:
		return sealPause
	}
}

// Seal seals everything that is in the log at the time of the call, however little it is. The store does it by itself
// whenever enough has come together.
func (s *Store) Seal(ctx context.Context) error {
	if err := s.writable(); err != nil {
		return fmt.Errorf("seal the log: %w", err)
	}
	b := sealer{s: s}
	for until := s.Head(); b.last < until; {
		if _, err := b.step(ctx, 1); err != nil {
			return fmt.Errorf("seal the log: %w", err)
		}
	}
	return nil
}

// step seals the oldest run that is not sealed, if there are at least this many events in it, and says whether there
// was one.
func (b *sealer) step(ctx context.Context, atLeast int) (more bool, err error) {
	if err := b.s.sealStep.Acquire(ctx, 1); err != nil {
		return false, err
	}
	defer b.s.sealStep.Release(1)
	b.run = sealRuns.Get().(*run)
	defer func() {
		sealRuns.Put(b.run)
		b.run = nil // or the collector could not take it
	}()
	if err := b.s.removeRest(ctx); err != nil {
		return false, err
	}
	if err := b.skipSealed(ctx); err != nil {
		return false, err
	}
	p, err := b.collect(ctx)
	if err != nil || len(p.entries) == 0 || len(p.entries) < atLeast && !p.full {
		return false, err
	}
	last := p.old[len(p.old)-1].last
	if err := b.seal(p); err != nil {
		// What cannot be sealed stays as it is.
		b.s.opts.Logger.Error("a part of the log is not sealed", "first", p.old[0].first, "last", last, "error", err)
		b.last = last
		return true, nil
	}
	if err := b.s.inTurn(ctx, p.replace); err != nil {
		return false, err
	}
	b.last = last
	return true, nil
}

// skipSealed moves b.last to the end of what is sealed.
func (b *sealer) skipSealed(ctx context.Context) error {
	last, err := lastSealed(ctx, b.s.db.Reader())
	if err != nil {
		return b.s.orClosed(err)
	}
	b.last = max(b.last, last)
	if first := b.s.base.Load().first; first > 0 {
		b.last = max(b.last, first-1)
	}
	return nil
}

// lastSealed is the position up to which the log is sealed.
func lastSealed(ctx context.Context, db querier) (Position, error) {
	var last sql.NullInt64
	if err := db.QueryRowContext(ctx, `SELECT max(last_position) FROM segment_filters`).Scan(&last); err != nil {
		return 0, fmt.Errorf("the end of what is sealed: %w", misread(err))
	}
	return Position(last.Int64), nil
}

// sealable is a run of segments that is to be sealed.
type sealable struct {
	old     []segment
	before  chain // the chain's value before the first event
	entries []entry
	chains  []chain // after each event
	full    bool    // there are more that do not fit
	// What takes their place: the segments, and a filter for each.
	sealed  []*segment
	filters []filter
}

// collect reads the run after b.last and checks it.
func (b *sealer) collect(ctx context.Context) (*sealable, error) {
	p := &sealable{}
	until, size := b.s.Head(), 0
	for at := b.last; at < until; {
		page, err := segmentsFrom(ctx, b.s.db.Reader(), at+1, false)
		if err != nil {
			return nil, b.s.orClosed(err)
		}
		for _, s := range page.segments {
			// One more that leads beyond a sealed segment would be cut in two, unless there is little yet.
			n := len(p.entries)
			tooMany := n >= sealedEvents/2 && n+int(s.last-s.first)+1 > sealedEvents
			if p.full = tooMany || size >= sealedBytes; p.full || s.last > until {
				return p, nil
			}
			if err := b.add(ctx, p, s); err != nil {
				return nil, err
			}
			at, size = s.last, size+len(s.body)
		}
		if page.last == 0 {
			break
		}
	}
	return p, nil
}

// add checks a segment and adds it to a run.
func (b *sealer) add(ctx context.Context, p *sealable, s segment) (err error) {
	var before chain
	if n := len(p.old); n > 0 {
		before = p.old[n-1].chain
	} else if before, err = chainBefore(ctx, b.s.db.Reader(), s.first); err != nil {
		return err
	} else {
		p.before = before
	}
	runtime.Gosched() // what is not done in the background goes first, and cannot wait until this is taken off its processor
	if err := b.run.open(&s, nil); err != nil {
		return err
	}
	if err := b.run.chainFrom(before, func(_ int, c chain) { p.chains = append(p.chains, c) }); err != nil {
		return err
	}
	for i, r := range b.run.records {
		if s.encoding == encodingSealed { // it lost its filter, and its payloads are in memory that is used again
			r.payload = slices.Clone(r.payload)
		}
		p.entries = append(p.entries, entry{b.run.recorded[i], r})
	}
	p.old = append(p.old, s)
	return nil
}

// seal makes the sealed segments of a run, of about the same size each, and proves that they hold what the run holds:
// the chain that is recomputed from what can be read of them ends in the same value.
func (b *sealer) seal(p *sealable) error {
	pieces := (len(p.entries) + sealedEvents - 1) / sealedEvents
	each := (len(p.entries) + pieces - 1) / pieces
	before := p.before
	for done := 0; done < len(p.entries); {
		n, size := 0, 0
		for ; n < each && done+n < len(p.entries) && size < sealedBytes; n++ {
			size += len(p.entries[done+n].payload)
		}
		s, entities, err := sealSegment(p.old[0].first+Position(done), p.entries[done:done+n], p.chains[done+n-1])
		if err != nil {
			return err
		}
		if err := b.run.open(s, nil); err != nil {
			return err
		}
		if err := b.run.chainFrom(before, nil); err != nil {
			return err
		}
		p.sealed = append(p.sealed, s)
		p.filters = append(p.filters, newFilter(s.last, entities))
		before, done = s.chain, done+n
	}
	return nil
}

// replace puts the sealed segments in the place of the old ones. It runs in the writer's turn.
func (p *sealable) replace(w *writer, ctx context.Context) error {
	if err := w.transact(ctx, func(tx storage.Tx) error { return p.exchange(ctx, tx) }); err != nil {
		return err
	}
	w.s.stats.sealed.Store(uint64(p.sealed[len(p.sealed)-1].last))
	return nil
}

func (p *sealable) exchange(ctx context.Context, tx storage.Tx) error {
	done, err := tx.ExecContext(ctx, `DELETE FROM segments WHERE last_position BETWEEN ? AND ?`,
		int64(p.old[0].last), int64(p.old[len(p.old)-1].last))
	if err != nil {
		return err
	}
	if n, err := done.RowsAffected(); err != nil || n != int64(len(p.old)) {
		return errors.Join(fmt.Errorf("%d segments are where %d were read", n, len(p.old)), err)
	}
	return p.insert(ctx, tx)
}

// insert writes the sealed segments and their filters.
func (p *sealable) insert(ctx context.Context, tx storage.Tx) error {
	for i, s := range p.sealed {
		if _, err := tx.ExecContext(ctx, `INSERT INTO segments (`+segmentColumns+`) VALUES (?, ?, ?, ?, ?, ?, ?)`,
			int64(s.last), int64(s.first), s.firstRecorded, s.lastRecorded, s.encoding, s.chain[:], s.body); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, `INSERT OR REPLACE INTO segment_filters (last_position, filter) VALUES (?, ?)`,
			int64(s.last), []byte(p.filters[i])); err != nil {
			return err
		}
	}
	return nil
}
