package eventstore

import (
	"context"
	"crypto/sha256"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	eventv1 "github.com/statehouse/statehouse/gen/statehouse/event/v1"
	"github.com/statehouse/statehouse/storage"
)

// Batch is what one append adds: all of it or nothing, one event after another in the log.
type Batch struct {
	// Events are appended as they are. They, and If, are copied before Append or Begin returns or waits.
	Events []Event
	// Decide, instead of Events, is run by the writer when everything queued before it is pending, and returns the
	// events; none is a valid answer. It must not block and must not call the store. It may be run more than once,
	// and only what its last run returned counts. It has no effect beside what it returns; a panic is an error, and so
	// is the end of its goroutine by runtime.Goexit. The store owns the events and messages that it returns.
	Decide func(ctx context.Context) ([]Event, error)
	// If is what must hold of the log, with everything queued before the batch, for the batch to be added; a batch
	// without events or a decision just asks. The first condition that does not hold is the error, a [ConflictError].
	If []Condition
	// Key, unless zero, makes the append safe to repeat; see [Key].
	Key Key
}

// Span is a run of consecutive positions, from First to Last. The zero Span is empty.
type Span struct{ First, Last Position }

// Len is the number of positions in the span.
func (s Span) Len() int {
	if s.First == 0 {
		return 0
	}
	return int(s.Last-s.First) + 1
}

// Append adds a batch and returns its positions once it is durable and promoted.
//
// When ctx ends before the writer has begun with the batch, the batch is dropped and the error is the context's;
// after that Append waits for the outcome, so that the caller always learns it. Other errors: [ErrInvalid],
// [ErrTooLarge], [ErrConflict], [ErrKeyReused], [ErrClosed], [ErrReadOnly], [ErrUnavailable], after which nothing was changed,
// [ErrUnknownOutcome], and whatever Decide or a projector returned, after which nothing was changed either.
func (s *Store) Append(ctx context.Context, b Batch) (Span, error) {
	r, err := newRequest(b, false)
	if err != nil {
		s.stats.failed.Add(1)
		return Span{}, err
	}
	if r == nil {
		return Span{}, nil
	}
	return s.submit(ctx, r)
}

// submit hands a batch to the writer and waits for its answer.
func (s *Store) submit(ctx context.Context, r *request) (Span, error) {
	s.appending.Add(1)
	defer s.appending.Add(-1)
	began := time.Now()
	if err := s.enqueue(ctx, r); err != nil {
		s.stats.failed.Add(1)
		return Span{}, err
	}
	return s.await(ctx, r, began)
}

// await waits for the answer to a batch that is queued.
func (s *Store) await(ctx context.Context, r *request, began time.Time) (Span, error) {
	if err := r.wait(ctx); err != nil {
		return Span{}, err
	}
	s.stats.appends.add(time.Since(began))
	return r.span, nil
}

// wait waits for the answer to a request that is queued. One whose context ends before the writer has begun with it is dropped.
func (r *request) wait(ctx context.Context) error {
	select {
	case <-r.done:
	case <-ctx.Done():
		if r.state.CompareAndSwap(requestQueued, requestCancelled) {
			return fmt.Errorf("append: %w", context.Cause(ctx))
		}
		<-r.done
	}
	return r.err
}

// enqueue hands a request to the writer, waiting for room.
func (s *Store) enqueue(ctx context.Context, r *request) error {
	if s.head.Load() == nil {
		return errNotStarted
	}
	if err := s.writable(); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("append: %w", context.Cause(ctx))
	}
	if !s.room.TryAcquire(r.size) {
		s.stats.waiting.Add(1)
		err := s.room.Acquire(ctx, r.size)
		s.stats.waiting.Add(-1)
		if err != nil {
			return fmt.Errorf("append: wait for room in the queue: %w", err)
		}
	}
	s.closing.RLock()
	defer s.closing.RUnlock()
	if s.closed {
		s.room.Release(r.size)
		return ErrClosed
	}
	select {
	case s.queue <- r:
	default:
		s.stats.waiting.Add(1)
		defer s.stats.waiting.Add(-1)
		select {
		case s.queue <- r:
		case <-ctx.Done():
			s.room.Release(r.size)
			return fmt.Errorf("append: wait for room in the queue: %w", context.Cause(ctx))
		}
	}
	s.stats.queuedBatches.Add(1)
	s.stats.queuedBytes.Add(r.size)
	return nil
}

// A request is queued, and then either the writer takes it or its caller cancels it.
const (
	requestQueued int32 = iota
	requestTaken
	requestCancelled
)

// request is a batch, or something else that is to be done in the writer's turn, on its way through the queue.
type request struct {
	events []prepared
	decide func(ctx context.Context) ([]Event, error)
	// control, instead of events or decide, is run between two groups.
	control func(w *writer, ctx context.Context) error

	terms *terms // nil for none
	// refused is what the writer answers instead of trying again.
	refused error
	// after is the one before it in its sequence; nil for none, and when the request is answered.
	after *request

	size  int64 // of the queue's bytes
	state atomic.Int32

	// span and err are the answer, to be read after done is closed. Before that they are the writer's, and err is what the
	// request has come to so far.
	span Span
	err  error
	done chan struct{}
}

// terms are what few appends have.
type terms struct {
	conditions []Condition
	key        Key
	hash       []byte // of the events, for the key; none for a decision
	// with writes what goes into the log's transaction together with the events; nil for nothing.
	with func(ctx context.Context, tx storage.Tx) error
}

// prepared is an event as its caller's goroutine encoded it. It is stored and hashed as it is.
type prepared struct {
	event   Event
	record  []byte
	content [sha256.Size]byte
}

// decisionSize stands for the size of events that are not there yet.
const decisionSize = 4 << 10

func (t *terms) check() error {
	if err := checkConditions(t.conditions); err != nil {
		return err
	}
	return t.key.check()
}

// conditionSize stands for a condition.
const conditionSize = 64

// newRequest checks and encodes a batch. It returns nil for a batch that wants nothing. own says that its events may be
// those that only the store appends.
func newRequest(b Batch, own bool) (*request, error) {
	if b.Decide == nil && len(b.Events) == 0 && len(b.If) == 0 && b.Key == (Key{}) {
		return nil, nil
	}
	if b.Decide != nil && len(b.Events) != 0 {
		return nil, fmt.Errorf("%w: a batch has either events or a decision", ErrInvalid)
	}
	r := &request{decide: b.Decide, done: make(chan struct{})}
	if len(b.If) > 0 || b.Key != (Key{}) {
		r.terms = &terms{conditions: slices.Clone(b.If), key: b.Key}
		if err := r.terms.check(); err != nil {
			return nil, err
		}
	}
	if b.Decide != nil {
		r.size = decisionSize
	} else {
		var err error
		if r.events, err = prepare(b.Events, own); err != nil {
			return nil, err
		}
		for i := range r.events {
			r.size += int64(len(r.events[i].record))
		}
		if b.Key != (Key{}) {
			r.terms.hash = hashContents(r.events)
		}
	}
	// The queue has room for any one batch.
	r.size = min(r.size+int64(len(b.If))*conditionSize, MaxBatchBytes)
	return r, nil
}

// prepare encodes, checks and hashes the events of a batch. What it returns has payloads of its own, decoded from what
// is stored: the projectors see now what every replay will see, and what cannot be decoded is never accepted.
func prepare(events []Event, own bool) ([]prepared, error) {
	if len(events) > MaxBatchEvents {
		return nil, fmt.Errorf("%w: the batch has %d events, at most %d are allowed", ErrTooLarge, len(events), MaxBatchEvents)
	}
	batch := make([]prepared, len(events))
	total := 0
	var last []byte // the record before, behind which there may be room for the next
	for i := range events {
		p := &batch[i]
		p.event = events[i]
		e := &p.event
		var payload int
		var err error
		if last, payload, err = encodeRecord(last, e, i, len(events)-i-1); err != nil {
			return nil, fmt.Errorf("event %d of the batch: %w", i+1, err)
		}
		p.record = last[:len(last):len(last)]
		e.Payload = new(eventv1.Payload)
		if err := proto.Unmarshal(p.record[payload:], e.Payload); err != nil {
			return nil, fmt.Errorf("%w: event %d of the batch: %w", ErrInvalid, i+1, err)
		}
		if err := e.check(); err != nil {
			return nil, fmt.Errorf("event %d of the batch: %w", i+1, err)
		}
		if total += len(p.record); total > MaxBatchBytes {
			return nil, fmt.Errorf("%w: the batch has more than %d bytes", ErrTooLarge, MaxBatchBytes)
		}
		p.content = sha256.Sum256(p.record)
		if e.Kind = KindOf(e.Payload); e.Kind == KindHistoryRemoved && !own {
			return nil, fmt.Errorf("%w: event %d of the batch is of the kind %s, which only the store itself appends", ErrInvalid, i+1, e.Kind)
		}
		if first := firstKind(p.record[payload:]); first != "" && first != e.Kind {
			return nil, fmt.Errorf("%w: event %d of the batch says two things, %s and %s, of which one is in the unknown fields of its payload",
				ErrInvalid, i+1, first, e.Kind)
		}
		if !e.Timestamp.IsZero() {
			e.Timestamp = e.Timestamp.Round(0).UTC()
		}
	}
	return batch, nil
}

// firstKind is the kind of a payload's first field, which [record.kind] believes, while of the kinds that are decoded the last
// one counts: an event must not be another one when it is replayed. It is empty where record.kind decodes the payload too.
func firstKind(payload []byte) Kind {
	number, _, _ := protowire.ConsumeTag(payload)
	if number < 0 || int(number) >= len(kindsByField) {
		return ""
	}
	return kindsByField[number]
}
