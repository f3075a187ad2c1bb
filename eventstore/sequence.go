package eventstore

import (
	"context"
	"fmt"
	"time"
)

// Sequence lets one caller have several batches under way at once, so that they share a commit. They are added in the order of
// the calls of Begin, each on what the one before left. When one of them is not added, for whatever reason, those that were begun
// behind it are not either, and their error is [ErrEarlier]: the caller ends there, or does them again, and the order is the same.
//
// The zero Sequence is ready. It is for one goroutine and one store; any number of sequences can be in use at once. What others
// append may come between its batches.
type Sequence struct {
	under int      // batches that were begun and not waited for
	last  *request // the newest of them, nil if there is none
}

// Ticket is a batch of a sequence that is under way. It is to be waited for, once, after those before it: what failed stays in the way of
// what is begun until all were. A ticket that nobody waits for holds nothing up and keeps no room: its batch is added, or not, all the
// same, and after Close it is over.
type Ticket struct {
	s     *Store
	q     *Sequence
	r     *request
	ctx   context.Context
	began time.Time
}

// Begin is [Store.Append] that returns when the batch is queued, which may have to wait for room. What Append would return is the ticket's, even
// if the batch could not be queued. The batch must want something: events, a decision, conditions or a key.
func (s *Store) Begin(ctx context.Context, q *Sequence, b Batch) Ticket {
	s.appending.Add(1)
	defer s.appending.Add(-1)
	began := time.Now()
	r, err := newRequest(b, false)
	if err == nil && r == nil {
		err = fmt.Errorf("%w: a batch of a sequence must want something", ErrInvalid)
	}
	if err == nil {
		r.after = q.last
		err = s.enqueue(ctx, r)
	}
	if err != nil { // in its place all the same: what follows must know
		s.stats.failed.Add(1)
		r = &request{err: err, done: make(chan struct{})}
		r.state.Store(requestTaken) // or it could be cancelled
		close(r.done)
	}
	q.last = r
	q.under++
	return Ticket{s: s, q: q, r: r, ctx: ctx, began: began}
}

// Wait returns what Append would. If Begin's context ends before the writer has begun with the batch, the batch is dropped, and with it
// those behind it.
func (t Ticket) Wait() (Span, error) {
	if t.q.under--; t.q.under == 0 {
		t.q.last = nil
	}
	t.s.appending.Add(1)
	defer t.s.appending.Add(-1)
	return t.s.await(t.ctx, t.r, t.began)
}
