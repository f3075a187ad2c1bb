package eventstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"iter"
	"runtime"
	"strings"
	"sync"
)

// Segments that a search finds are read aheadBatch at once, which takes half as long as one by one, and no more than aheadSegments
// are ahead of their consumer. Four goroutines decode what one can read.
const (
	aheadBatch    = 8
	aheadSegments = 2 * aheadBatch
	aheadOpeners  = 4
)

// ahead opens segments ahead of their turn.
type ahead struct {
	scan  *scan
	found *search
	free  chan *opening
	turns chan *opening // in the order in which they are found
	work  chan *opening
}

// opening is a segment on its way.
type opening struct {
	segment segment
	run     *run
	err     error
	done    chan struct{} // is sent to when run or err can be used
}

// openings are used again by other reads: the memory of one is ten times as large as an event's history in a segment.
var openings = sync.Pool{New: func() any { return &opening{run: newRun()} }}

// openFound opens the segments that a search finds, beside who uses them, in goroutines that end before it does. A run is
// valid until the next one is asked for. Where there is nothing to find there are no goroutines.
func (c *scan) openFound(ctx context.Context, found *search) iter.Seq2[*run, error] {
	return func(yield func(*run, error) bool) {
		first, err := found.candidate(ctx)
		if err != nil {
			yield(nil, c.s.orClosed(err))
		}
		if first == nil {
			return
		}
		a := &ahead{
			scan: c, found: found, free: make(chan *opening, aheadSegments), turns: make(chan *opening, aheadSegments),
			work: make(chan *opening, aheadSegments),
		}
		for range aheadSegments {
			o := openings.Get().(*opening)
			o.run.names, o.done = newNames(), make(chan struct{}, 1)
			defer openings.Put(o)
			a.free <- o
		}
		ctx, stop := context.WithCancel(ctx)
		var failed error // of the reader, to be looked at when turns is closed
		var running sync.WaitGroup
		defer running.Wait()
		defer stop()
		running.Go(func() {
			defer close(a.turns)
			defer close(a.work)
			failed = a.read(ctx, first)
		})
		for range min(aheadOpeners, runtime.GOMAXPROCS(0)) {
			running.Go(func() { a.open(ctx) })
		}
		for o := range a.turns {
			if <-o.done; o.err != nil {
				yield(nil, o.err)
				return
			}
			if !yield(o.run, nil) {
				return
			}
			a.free <- o
		}
		if failed != nil {
			yield(nil, c.s.orClosed(failed))
		}
	}
}

// read reads the segments from the candidate next on, few at first: who wants only some events should not wait for more.
// It holds nothing open while it waits.
func (a *ahead) read(ctx context.Context, next *listed) error {
	var failed error
	for batch := 2; next != nil; batch = min(2*batch, aheadBatch) {
		var taken []*opening
		var wanted []*listed
		var segments []*segment
		for len(wanted) < batch && next != nil {
			select {
			case o := <-a.free:
				taken, wanted, segments = append(taken, o), append(wanted, next), append(segments, &o.segment)
			case <-ctx.Done():
				return context.Cause(ctx)
			}
			next, failed = a.found.candidate(ctx)
		}
		n, err := readListed(ctx, a.found.db, wanted, segments)
		for _, o := range taken[:n] {
			a.turns <- o
			a.work <- o
		}
		if err != nil {
			return err
		}
	}
	return failed
}

// open opens what was read.
func (a *ahead) open(ctx context.Context) {
	for o := range a.work {
		if o.err = ctx.Err(); o.err == nil {
			o.err = o.run.open(&o.segment, a.scan.q.Entities)
		}
		o.done <- struct{}{}
	}
}

// readListed reads segments of the directory, which must be in the order of positions or against it. It reads as many
// as it can before it fails: with ErrCorrupt where one is not there any more.
func readListed(ctx context.Context, db querier, wanted []*listed, into []*segment) (n int, err error) {
	failed := func(err error) error {
		return fmt.Errorf("read the log at position %d: %w", wanted[n].last, err)
	}
	order := ` ORDER BY last_position`
	if wanted[len(wanted)-1].last < wanted[0].last {
		order += ` DESC`
	}
	args := make([]any, len(wanted))
	for i, w := range wanted {
		args[i] = int64(w.last)
	}
	rows, err := db.QueryContext(ctx, `SELECT `+segmentColumns+` FROM segments WHERE last_position IN (?`+
		strings.Repeat(`, ?`, len(wanted)-1)+`)`+order, args...)
	if err != nil {
		return 0, failed(err)
	}
	defer func() { _ = rows.Close() }() // what it could say, Err has said
	for ; n < len(wanted) && rows.Next(); n++ {
		if err := into[n].scan(rows); err != nil {
			return n, failed(err)
		}
		if into[n].last != wanted[n].last {
			break
		}
	}
	if n == len(wanted) {
		return n, nil
	}
	if err := rows.Err(); err != nil {
		return n, failed(err)
	}
	w := wanted[n]
	return n, fmt.Errorf("%w: positions %d to %d are missing; they were recorded %s to %s", ErrCorrupt, w.first, w.last,
		formatNanos(w.firstRecorded), formatNanos(w.lastRecorded))
}

// scan is [scanSegment] into memory that is used again.
func (s *segment) scan(rows *sql.Rows) error {
	var c, body sql.RawBytes
	if err := rows.Scan(&s.last, &s.first, &s.firstRecorded, &s.lastRecorded, &s.encoding, &c, &body); err != nil {
		return misread(err)
	}
	s.body = append(s.body[:0], body...)
	if copy(s.chain[:], c) != len(s.chain) {
		return s.damaged(errors.New("its chain value is cut short"))
	}
	return nil
}
