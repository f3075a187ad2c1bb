package eventstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"iter"
	"slices"
	"sync"
	"time"

	"github.com/statehouse/statehouse/storage"
)

// foldRest applies the log beyond w.head, up to a position, and leaves it pending.
func (w *writer) foldRest(ctx context.Context, restored []Position, until Position) error {
	f := &folding{projectors: w.s.projectors, head: w.head, restored: restored}
	before, err := f.chainBefore(ctx, w.conn)
	if err != nil {
		return err
	}
	told := time.Now()
	for p, err := range openAhead(ctx, w.s.db.Reader(), f.head.position+1, until, before) {
		if err == nil {
			err = f.part(ctx, w.conn, p)
		}
		if err != nil {
			return err
		}
		w.head = f.head
		if time.Since(told) > 2*time.Second {
			told = time.Now()
			w.s.opts.Logger.Info("replaying the log", "position", w.head.position)
		}
	}
	return f.projectors.folded()
}

// part is a sequence of segments that were read and opened ahead of who folds them.
type part struct {
	segments []segment
	runs     []*run // of the segments; there may be more
	// chained is what became of the check of the chain, once checking is done.
	checking sync.WaitGroup
	chained  error
}

// A part takes no further segment when it has this many events; so many parts are ahead.
const (
	partEvents = 2 * sealedEvents
	partsAhead = 2
)

// openAhead reads and opens the log from a position on, up to another one or its end, beside who uses it: reading, decompressing and
// the check of the chain take as long as the fold. A part is valid until the next one is asked for; its chain is checked
// when its checking is done. before is the chain's value before the segment that holds the position.
func openAhead(ctx context.Context, db *sql.DB, from, until Position, before chain) iter.Seq2[*part, error] {
	return func(yield func(*part, error) bool) {
		ctx, stop := context.WithCancel(ctx)
		free, opened := make(chan *part, partsAhead+2), make(chan *part, partsAhead)
		for range cap(free) {
			free <- new(part)
		}
		var failed error // of the reader, to be read when opened is closed
		var reader sync.WaitGroup
		defer reader.Wait()
		defer stop()
		reader.Go(func() {
			defer close(opened)
			failed = readAhead(ctx, db, from, until, before, free, opened)
		})
		for p := range opened {
			goOn := yield(p, nil)
			p.checking.Wait()
			if !goOn {
				return
			}
			free <- p
		}
		if failed != nil {
			yield(nil, failed)
		}
	}
}

// readAhead fills free parts and hands them on, until it has the position until, or the end of the log.
func readAhead(ctx context.Context, db *sql.DB, from, until Position, before chain, free <-chan *part, opened chan<- *part) error {
	for from <= until {
		page, err := segmentsBetween(ctx, db, from, until)
		if err != nil || page.last == 0 {
			return err
		}
		for segments := page.segments; len(segments) > 0; {
			var p *part
			select {
			case p = <-free:
			case <-ctx.Done():
				return context.Cause(ctx)
			}
			n, err := p.open(segments)
			if err != nil {
				return err
			}
			p.check(before)
			select {
			case opened <- p:
			case <-ctx.Done():
				p.checking.Wait()
				return context.Cause(ctx)
			}
			before, segments = segments[n-1].chain, segments[n:]
		}
		from = page.last + 1
	}
	return nil
}

// open takes as many of the segments as a part has, and opens them.
func (p *part) open(segments []segment) (n int, err error) {
	for events := 0; n < len(segments) && events < partEvents; n++ {
		if n == len(p.runs) {
			p.runs = append(p.runs, &run{names: newNames()})
			p.runs[n].names = p.runs[0].names
		}
		if err := p.runs[n].open(&segments[n], nil); err != nil {
			return 0, err
		}
		events += len(p.runs[n].records)
	}
	p.segments = segments[:n]
	return n, nil
}

// check recomputes the chain, in the background.
func (p *part) check(before chain) {
	p.chained = nil
	p.checking.Go(func() {
		for i := range p.segments {
			if p.chained = p.runs[i].chainFrom(before, nil); p.chained != nil {
				return
			}
			before = p.segments[i].chain
		}
	})
}

// folding replays the log into projectors.
type folding struct {
	projectors projectors
	head       head // after the events folded so far
	// restored says for each projector which events it already has; nil means those up to head.
	restored []Position
	tx       storage.Tx // what the projectors get
	run      *run       // what they get now
}

// chainBefore is the chain's value before the segment that comes next, or that the head is inside of: it may have been
// sealed since.
func (f *folding) chainBefore(ctx context.Context, db querier) (chain, error) {
	if f.head.position == 0 {
		return f.head.chain, nil
	}
	s, err := segmentWith(ctx, db, f.head.position)
	if errors.Is(err, ErrCorrupt) && atBase(ctx, db, f.head.position) {
		return f.head.chain, nil
	}
	if err != nil {
		return chain{}, err
	}
	if s.last == f.head.position {
		return f.head.chain, nil
	}
	return chainBefore(ctx, db, s.first)
}

// part applies a part of the log in one transaction. What it applies stays pending.
func (f *folding) part(ctx context.Context, conn *sql.Conn, p *part) error {
	tx, err := conn.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // nothing is left to roll back after the commit
	f.tx = tx
	for i := range p.segments {
		if err := f.segment(ctx, &p.segments[i], p.runs[i]); err != nil {
			return err
		}
	}
	p.checking.Wait()
	if p.chained != nil {
		return p.chained
	}
	return tx.Commit()
}

// segment applies a segment.
func (f *folding) segment(ctx context.Context, s *segment, r *run) error {
	f.run = r
	if err := f.fold(ctx); err != nil {
		return err
	}
	f.head = head{position: s.last, recorded: s.lastRecorded, chain: s.chain}
	return nil
}

// fold hands the events of the run to each projector that does not have them yet.
func (f *folding) fold(ctx context.Context) error {
	var each []int // the projectors that want one event after another
	for i, p := range f.projectors {
		fast, ok := p.(Folder)
		if !ok {
			each = append(each, i)
			continue
		}
		if run := f.after(i); run.Len() > 0 {
			if err := fast.Fold(ctx, f.tx, &run); err != nil {
				return fmt.Errorf("projector %s at positions %d to %d: %w", p.Name(), run.First(), f.run.segment.last, err)
			}
		}
	}
	if len(each) == 0 {
		return nil
	}
	for n := range f.run.records {
		at := f.run.position(n)
		var e Event
		for _, i := range each {
			if at <= f.has(i) {
				continue
			}
			if e.Position == 0 {
				var err error
				if e, err = f.run.event(n); err != nil {
					return err
				}
			}
			p := f.projectors[i]
			if err := p.Apply(ctx, f.tx, e); err != nil {
				return fmt.Errorf("projector %s at position %d: %w", p.Name(), at, err)
			}
		}
	}
	return nil
}

// has is the position up to which a projector has the events.
func (f *folding) has(projector int) Position {
	if f.restored == nil {
		return f.head.position
	}
	return max(f.head.position, f.restored[projector])
}

// after are the events of the run that a projector does not have.
func (f *folding) after(projector int) Run { return f.run.between(f.has(projector), MaxPosition) }

// between are the events of the run behind the position after, up to the position until.
func (r *run) between(after, until Position) Run {
	index := func(at Position) int { // the number of events up to a position
		if at < r.segment.first {
			return 0
		}
		return int(min(at-r.segment.first+1, Position(len(r.records))))
	}
	return Run{run: r, from: min(index(after), index(until)), to: index(until)}
}

// Replayer folds parts of the log, beside whatever else the store does. It keeps the last few large segments decoded, so
// that steps to neighbouring positions are cheap. It is for one goroutine at a time.
type Replayer struct {
	s     *Store
	large []*run // the last one used first
	small *run
}

// A replayer keeps this many segments, of at least this many events: a megabyte or so each.
const (
	replayerKeeps = 4
	replayerLarge = 512
)

// Replayer returns a new one.
func (s *Store) Replayer() *Replayer { return &Replayer{s: s, small: newRun()} }

// Replay folds the events behind the position after, up to the position until, which must be in the log. The folders are
// the caller's own, none of those that the store was started with; they get no transaction, and Folded when they have all.
func (p *Replayer) Replay(ctx context.Context, after, until Position, folders ...Folder) error {
	if head := p.s.Head(); until > head {
		return fmt.Errorf("%w: position %d is still to come: the log ends at %d", ErrInvalid, until, head)
	}
	for at := after; at < until; {
		if err := p.s.kept(at); err != nil {
			return err
		}
		var segments []segment
		if r := p.kept(at + 1); r != nil {
			segments = []segment{*r.segment}
		} else {
			page, err := segmentsBetween(ctx, p.s.db.Reader(), at+1, until)
			if err == nil && page.last == 0 {
				err = fmt.Errorf("%w: it ends before position %d", ErrCorrupt, at+1)
			}
			if err != nil {
				return p.s.orClosed(p.s.orCompacted(ctx, at, err))
			}
			segments = page.segments
		}
		for i := range segments {
			r, err := p.open(&segments[i])
			if err != nil {
				return err
			}
			if err := fold(ctx, r.between(at, until), folders); err != nil {
				return err
			}
			at = segments[i].last
		}
	}
	for _, f := range folders {
		if err := f.Folded(); err != nil {
			return err
		}
	}
	return nil
}

func fold(ctx context.Context, events Run, folders []Folder) error {
	for _, f := range folders {
		if err := f.Fold(ctx, nil, &events); err != nil {
			return fmt.Errorf("replay from position %d: %w", events.First(), err)
		}
	}
	return nil
}

// kept is the segment that holds a position, if it is kept.
func (p *Replayer) kept(at Position) *run {
	for _, r := range p.large {
		if r.segment.first <= at && at <= r.segment.last {
			return r
		}
	}
	return nil
}

// open decodes a segment, or finds it decoded.
func (p *Replayer) open(s *segment) (*run, error) {
	if r := p.kept(s.first); r != nil {
		i := slices.Index(p.large, r)
		copy(p.large[1:i+1], p.large[:i])
		p.large[0] = r
		return r, nil
	}
	if s.last-s.first < replayerLarge {
		return p.small, p.small.open(s, nil)
	}
	r := newRun()
	if n := len(p.large); n == replayerKeeps {
		r, p.large = p.large[n-1], p.large[:n-1]
	}
	if err := r.open(s, nil); err != nil {
		return nil, err
	}
	p.large = append([]*run{r}, p.large...)
	return r, nil
}

// View calls f with a transaction that only reads, for who restores snapshots beside the store. f must be quick: what
// it holds open keeps the write-ahead log from shrinking.
func (s *Store) View(ctx context.Context, f func(tx storage.Tx) error) (err error) {
	tx, err := s.db.Reader().BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return s.orClosed(fmt.Errorf("read: %w", err))
	}
	defer func() { err = errors.Join(err, tx.Rollback()) }() // it only reads
	return f(tx)
}
