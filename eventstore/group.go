package eventstore

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
)

// maxSegmentBytes keeps a segment below the largest blob that SQLite stores, whatever decisions return.
const maxSegmentBytes = 2 * MaxBatchBytes

var errGroupFull = errors.New("the group is full")

// grouping is a group on its way into one segment.
type grouping struct {
	w        *writer
	tx       *transaction // nil before there is anything to write
	recorded int64
	head     head // after the events added so far
	body     []byte
	tail     groupTail
	results  []result
	applying Projector     // whose Apply is running
	cursors  []cursorWrite // what it writes of the cursors
}

// result is what became of a request of a group that commits.
type result struct {
	span Span
	err  error
}

// add brings one request's events into the group. An error means that the whole group must be rolled back; what
// concerns the request alone, and has left no trace, goes into its result.
func (g *grouping) add(ctx context.Context, r *request, res *result) error {
	if res.err = r.refused; res.err != nil {
		return nil
	}
	if r.after != nil && r.after.err != nil {
		res.err = ErrEarlier // and nothing of why: that was the other's
		return nil
	}
	keyed := r.terms != nil && r.terms.key != (Key{})
	if keyed {
		// Before the conditions: what the first one did may be why they do not hold any more.
		if known, err := g.repeat(ctx, r.terms, res); known || err != nil {
			return err
		}
	}
	events := r.events
	if r.terms != nil || r.decide != nil {
		if events, res.err = g.decide(ctx, r); res.err != nil {
			return nil
		}
	}
	if err := g.addEvents(ctx, r, events, res); err != nil || res.err != nil {
		return err
	}
	if keyed {
		return g.remember(ctx, r.terms, res.span)
	}
	if r.terms != nil && r.terms.with != nil {
		if err := r.terms.with(ctx, g.tx); err != nil {
			return &batchError{fmt.Errorf("%w: %w", ErrUnavailable, err)}
		}
	}
	return nil
}

// begin begins the transaction, if that was not done before.
func (g *grouping) begin(ctx context.Context) error {
	if g.tx != nil {
		return nil
	}
	tx, err := g.w.begin(ctx)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	g.tx = tx
	return nil
}

// decide checks the conditions of a request and runs its decision. A decision that panics fails its batch and no other:
// it runs on what outsiders send, and the writer must not end because of one of them.
func (g *grouping) decide(ctx context.Context, r *request) (events []prepared, err error) {
	returned := false
	defer g.caught(r, &returned, &err)
	events = r.events
	if r.terms != nil {
		err = g.check(r.terms.conditions)
	}
	if err == nil && r.decide != nil {
		var decided []Event
		if decided, err = r.decide(ctx); err == nil {
			events, err = prepare(decided, false)
		}
	}
	returned = true
	return events, err
}

// caught is deferred around code that is not the store's. A panic becomes an error. A goroutine that ends cannot be
// stopped: the group is rolled back, and done again by a fresh goroutine, with an error as the answer to that request.
// A goroutine of its own for each call would cost every one of them for what next to none does.
func (g *grouping) caught(r *request, returned *bool, err *error) {
	if *returned {
		return
	}
	whose := "the decision"
	if g.applying != nil {
		whose = "projector " + g.applying.Name()
	}
	if p := recover(); p != nil {
		*err = panicked(g.w.s.opts.Logger, whose, p)
		return
	}
	r.refused = exited(g.w.s.opts.Logger, whose)
	g.w.unwinding = true
	if err := g.w.rollback(g.tx); err != nil {
		g.w.s.opts.Logger.Error("roll back", "error", err)
	}
}

// addEvents adds the events of a request.
func (g *grouping) addEvents(ctx context.Context, r *request, events []prepared, res *result) error {
	if len(events) == 0 {
		return nil
	}
	size := int64(0)
	for i := range events {
		if c := events[i].event.CausePosition; c > g.head.position+Position(i) {
			res.err = fmt.Errorf("%w: event %d of the batch: its cause %d is not before it; the log ends at %d",
				ErrInvalid, i+1, c, g.head.position)
			return nil
		}
		size += int64(len(events[i].record))
	}
	if g.head.position+Position(len(events)) > MaxPosition {
		res.err = fmt.Errorf("%w: the log has no positions left", ErrTooLarge)
		return nil
	}
	if err := g.begin(ctx); err != nil {
		return err
	}
	if g.body == nil {
		g.body = make([]byte, 4, 512)
	} else if int64(len(g.body))+size > g.w.s.segmentBytes {
		return &batchError{errGroupFull} // each batch of the group fits alone
	}
	res.span = Span{First: g.head.position + 1, Last: g.head.position + Position(len(events))}
	if err := g.apply(ctx, r, events, res.span.First); err != nil {
		return &batchError{err}
	}
	return nil
}

// apply assigns what is the writer's to assign and applies the events to the projectors.
func (g *grouping) apply(ctx context.Context, r *request, events []prepared, first Position) (err error) {
	returned := false
	defer g.caught(r, &returned, &err)
	correlation := batchCorrelation(first)
	for i := range events {
		if err = g.addEvent(ctx, &events[i], first, i, correlation); err != nil {
			break
		}
	}
	returned, g.applying = true, nil
	return err
}

func (g *grouping) addEvent(ctx context.Context, p *prepared, first Position, index int, correlation string) error {
	e := p.event.assign(first+Position(index), g.recorded, correlation)
	for _, projector := range g.w.s.projectors {
		g.applying = projector
		if err := projector.Apply(ctx, g.tx, e); err != nil {
			return fmt.Errorf("projector %s: %w", projector.Name(), err)
		}
	}
	g.tail.add(e, len(p.record))
	g.head.position = e.Position
	g.head.chain = g.head.chain.next(e.Position, g.recorded, p.content)
	g.body = append(binary.AppendUvarint(g.body, uint64(len(p.record))), p.record...)
	return nil
}

// write writes what the transaction does not have yet: the row that holds the group's events, and what else goes with
// the next transaction.
func (g *grouping) write(ctx context.Context) error {
	if g.body != nil {
		s := &segment{
			first: g.w.head.position + 1, last: g.head.position,
			firstRecorded: g.recorded, lastRecorded: g.recorded,
			encoding: encodingPlain, chain: g.head.chain, body: g.body,
		}
		s.sum()
		if err := s.insert(ctx, g.w); err != nil {
			return err
		}
	}
	if !g.w.s.cursors.dirty.Load() {
		return nil
	}
	g.cursors = g.w.s.cursors.toWrite()
	return g.w.writeCursors(ctx, g.cursors, g.recorded)
}
