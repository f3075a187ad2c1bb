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
	for p, err := range openAhead(ctx, w.s.db.Reader(), stretch{f.head.position + 1, until, &before, newNames()}) {
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

// parts are used again by other replays.
var parts = sync.Pool{New: func() any { return new(part) }}

// stretch is what openAhead reads of the log: the segments from the one that holds a position to the one that holds
// another, or to the end of the log.
type stretch struct {
	from, until Position
	// before is the chain's value before the first segment, from which the chain is checked; nil where it is not.
	before *chain
	names  *names // for what is read; nobody else may use them meanwhile
}

// openAhead reads and opens a stretch of the log beside who uses it: reading, decompressing and the check of the chain
// take as long as the fold. A part is valid until the next one is asked for; its chain is checked when its checking is done.
func openAhead(ctx context.Context, db *sql.DB, of stretch) iter.Seq2[*part, error] {
	return func(yield func(*part, error) bool) {
		ctx, stop := context.WithCancel(ctx)
		var all [partsAhead + 2]*part
		free, opened := make(chan *part, len(all)), make(chan *part, partsAhead)
		for i := range all {
			all[i] = parts.Get().(*part)
			free <- all[i]
		}
		var failed error // of the reader, to be read when opened is closed
		var reader sync.WaitGroup
		defer func() {
			stop()
			reader.Wait()
			for _, p := range all {
				p.checking.Wait() // of those that nobody came to, too
				parts.Put(p)
			}
		}()
		reader.Go(func() {
			defer close(opened)
			failed = of.readAhead(ctx, db, free, opened)
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

// readAhead fills free parts and hands them on, until the end.
func (of *stretch) readAhead(ctx context.Context, db *sql.DB, free <-chan *part, opened chan<- *part) error {
	for of.from <= of.until {
		page, err := segmentsBetween(ctx, db, of.from, of.until)
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
			n, err := p.open(segments, of.names)
			if err != nil {
				return err
			}
			if of.before != nil {
				p.check(*of.before)
				of.before = &segments[n-1].chain
			}
			select {
			case opened <- p:
			case <-ctx.Done():
				p.checking.Wait()
				return context.Cause(ctx)
			}
			segments = segments[n:]
		}
		of.from = page.last + 1
	}
	return nil
}

// open takes as many of the segments as a part has, and opens them.
func (p *part) open(segments []segment, names *names) (n int, err error) {
	p.chained = nil
	for events := 0; n < len(segments) && events < partEvents; n++ {
		if n == len(p.runs) {
			p.runs = append(p.runs, &run{})
		}
		p.runs[n].names = names
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
	names *names
	large []*run // the last one used first
}

// A replayer keeps at most this many segments, of at least this many events, and of those behind the first no more than
// that many bytes.
const (
	replayerKeeps = 4
	replayerLarge = 512
	replayerBytes = 16 << 20
)

// Replayer returns a new one.
func (s *Store) Replayer() *Replayer { return &Replayer{s: s, names: newNames()} }

// Replay folds the events behind the position after, up to the position until, which must be in the log. The folders are
// the caller's own, none of those that the store was started with; they get no transaction, and Folded when they have all.
// Segments are read and opened beside them, from the beginning on: a folder may wait for something at its first Fold.
func (p *Replayer) Replay(ctx context.Context, after, until Position, folders ...Folder) error {
	if head := p.s.committed(); until > head {
		return fmt.Errorf("%w: position %d is still to come: the log ends at %d", ErrInvalid, until, head)
	}
	if err := p.s.kept(after); err != nil && after < until {
		return err
	}
	at := after
	for r := p.kept(at + 1); at < until && r != nil; r = p.kept(at + 1) {
		if err := fold(ctx, r.between(at, until), folders); err != nil {
			return err
		}
		at = r.segment.last
	}
	if at < until {
		if err := p.replayAhead(ctx, at, until, folders); err != nil {
			return err
		}
	}
	for _, f := range folders {
		if err := f.Folded(); err != nil {
			return err
		}
	}
	return nil
}

// replayAhead replays what is not kept.
func (p *Replayer) replayAhead(ctx context.Context, after, until Position, folders []Folder) error {
	at := after
	for part, err := range openAhead(ctx, p.s.db.Reader(), stretch{from: after + 1, until: until, names: p.names}) {
		if err != nil {
			return p.s.orClosed(p.s.orCompacted(ctx, at, err))
		}
		for i := range part.segments {
			if err := fold(ctx, part.runs[i].between(at, until), folders); err != nil {
				return err
			}
			at = part.segments[i].last
		}
		if at >= until { // it is the last one
			p.keep(&part.runs[len(part.segments)-1])
		}
	}
	if at < until {
		return p.s.orClosed(fmt.Errorf("%w: it ends before position %d", ErrCorrupt, at+1))
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

// kept is the segment that holds a position, if it is kept. It is the last one used then.
func (p *Replayer) kept(at Position) *run {
	i := slices.IndexFunc(p.large, func(r *run) bool { return r.segment.first <= at && at <= r.segment.last })
	if i < 0 {
		return nil
	}
	r := p.large[i]
	copy(p.large[1:i+1], p.large[:i])
	p.large[0] = r
	return r
}

// keep keeps an opened segment if it is large, and gives its owner another run for it.
func (p *Replayer) keep(opened **run) {
	r := *opened
	if len(r.records) < replayerLarge {
		return
	}
	p.large = slices.Insert(p.large, 0, r)
	*opened = &run{}
	if len(p.large) > replayerKeeps {
		*opened = p.large[replayerKeeps]
		p.large = p.large[:replayerKeeps]
	}
	for size, i := 0, 1; i < len(p.large); i++ {
		if size += p.large[i].memory(); size > replayerBytes {
			clear(p.large[i:])
			p.large = p.large[:i]
		}
	}
	only := *r.segment // its neighbours of the page are not to be kept with it
	if only.encoding == encodingSealed {
		only.body = nil // of which it was decoded
	}
	r.segment = &only
}

// View calls f with a transaction that only reads, for who restores snapshots beside the store. f must be quick: what
// it holds open keeps the write-ahead log from shrinking.
func (s *Store) View(ctx context.Context, f func(tx storage.Tx) error) error {
	tx, err := s.db.Reader().BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return s.orClosed(fmt.Errorf("read: %w", err))
	}
	defer func() { _ = tx.Rollback() }() // it only reads, and where the context has ended it was rolled back
	if err := f(tx); err != nil {
		return orContext(ctx, err)
	}
	return nil
}
