package eventstore

import (
	"context"
	"fmt"
	"iter"
	"slices"

	"google.golang.org/protobuf/encoding/protowire"

	eventv1 "github.com/statehouse/statehouse/gen/statehouse/event/v1"
)

// Query says which events to read. The zero Query matches every event.
type Query struct {
	// After is the position after which to read; FromStart, 0, reads from the first event.
	After Position
	// Until is the last position to read; 0 means the head at the time of the call, and for Subscribe no end.
	Until Position
	// Entities, Kinds and Sources restrict the events to those about one of the entities, of one of the kinds, by
	// one of the sources; empty means any.
	Entities []string
	Kinds    []Kind
	Sources  []string
}

// Read yields the events that match a query in the order of positions. It ends at q.Until, or at the head at the time
// of the call. An error ends it: that of the context, or [ErrCorrupt] where the log is damaged. The events are shared
// and must not be modified. Read holds nothing open while its consumer works.
func (s *Store) Read(ctx context.Context, q Query) iter.Seq2[Event, error] {
	head := s.Head()
	if q.Until == 0 || q.Until > head {
		q.Until = head
	}
	return func(yield func(Event, error) bool) {
		if _, err := s.scan(ctx, q, yield); err != nil {
			yield(Event{}, err)
		}
	}
}

// Subscribe is [Store.Read] that goes on with new events as they are committed. Each matching event comes exactly once
// and in order, however slow the consumer is: it reads from the log at its own pace. The sequence ends with an error:
// the context's when that ends, [ErrClosed] when the store is closed. It ends without one after q.Until.
// To hear only of what is new, subscribe after [Store.Head].
func (s *Store) Subscribe(ctx context.Context, q Query) iter.Seq2[Event, error] {
	until := q.Until
	return func(yield func(Event, error) bool) {
		q := q
		for until == 0 || q.After < until {
			next, closed := s.commits.wait()
			q.Until = s.Head()
			if until != 0 {
				q.Until = min(q.Until, until)
			}
			goOn, err := s.scan(ctx, q, yield)
			if err == nil && !goOn {
				return
			}
			if err == nil && until != 0 && q.Until >= until {
				return
			}
			if err == nil && closed {
				err = ErrClosed
			}
			if err != nil {
				yield(Event{}, err)
				return
			}
			// Everything up to Until was scanned, whether it matched or not: the next scan starts there.
			q.After = max(q.After, q.Until)
			select {
			case <-next:
			case <-ctx.Done():
				yield(Event{}, fmt.Errorf("subscription: %w", context.Cause(ctx)))
				return
			}
		}
	}
}

// scan yields the matching events in (q.After, q.Until]. It pages by positions scanned, never by rows matched.
// goOn is false when the consumer has had enough.
func (s *Store) scan(ctx context.Context, q Query, yield func(Event, error) bool) (goOn bool, err error) {
	match := q.matcher()
	for after := q.After; after < q.Until; {
		page, err := segmentsAfter(ctx, s.db.Reader(), after)
		if err != nil {
			return false, s.orClosed(err)
		}
		if len(page) == 0 {
			return false, fmt.Errorf("%w: it ends at position %d instead of %d", ErrCorrupt, after, q.Until)
		}
		for i := range page {
			if goOn, err := scanOne(&page[i], q, match, yield); err != nil || !goOn {
				return goOn, err
			}
		}
		after = page[len(page)-1].last
	}
	return true, nil
}

// orClosed makes of an error what it is for somebody who reads from a closed store.
func (s *Store) orClosed(err error) error {
	s.closing.RLock()
	defer s.closing.RUnlock()
	if s.closed {
		return ErrClosed
	}
	return err
}

// scanOne yields the matching events of one segment.
func scanOne(s *segment, q Query, match func(*record) bool, yield func(Event, error) bool) (goOn bool, err error) {
	goOn = true
	err = s.records(func(at Position, recorded int64, _ []byte, r *record) error {
		if !goOn || at <= q.After || at > q.Until || !match(r) {
			return nil
		}
		e, err := r.event(at, recorded)
		if err != nil {
			return s.damaged(err)
		}
		goOn = yield(e, nil)
		return nil
	})
	return goOn, err
}

// matcher tells from an encoded record whether the query matches, so that nothing is decoded in vain.
func (q *Query) matcher() func(*record) bool {
	matches := func(list []string, v []byte) bool { return len(list) == 0 || slices.Contains(list, string(v)) }
	return func(r *record) bool {
		return matches(q.Entities, r.entity) && matches(q.Sources, r.source) &&
			(len(q.Kinds) == 0 || slices.Contains(q.Kinds, r.kind()))
	}
}

// kind is the kind of the record's payload. Only that of a custom event needs its payload decoded.
func (r *record) kind() Kind {
	number, _, n := protowire.ConsumeTag(r.payload)
	if n < 0 {
		return ""
	}
	if k, ok := kindsByField[number]; ok {
		return k
	}
	e, err := r.event(1, 0)
	if err != nil {
		return ""
	}
	return e.Kind
}

// kindsByField maps the payload's fields to kinds, but for the custom ones.
var kindsByField = func() map[protowire.Number]Kind {
	kinds := make(map[protowire.Number]Kind)
	fields := (*eventv1.Payload)(nil).ProtoReflect().Descriptor().Fields()
	for i := range fields.Len() {
		if f := fields.Get(i); f.Name() != "custom" {
			kinds[f.Number()] = Kind(f.Name())
		}
	}
	return kinds
}()

// Verify recomputes checksums and chain over the whole log up to the head and returns the first damage, which matches
// [ErrCorrupt] and says where it is; nil means that the log is what was written.
func (s *Store) Verify(ctx context.Context) error {
	before := genesis(s.uuid)
	for after, until := FromStart, s.Head(); after < until; {
		page, err := segmentsAfter(ctx, s.db.Reader(), after)
		if err != nil {
			return s.orClosed(err)
		}
		if len(page) == 0 {
			return fmt.Errorf("%w: it ends at position %d instead of %d", ErrCorrupt, after, until)
		}
		for i := range page {
			if err := page[i].verify(before, checkPayload); err != nil {
				return err
			}
			before, after = page[i].chain, page[i].last
		}
	}
	return nil
}

// checkPayload decodes a record for the sake of its errors.
func checkPayload(at Position, recorded int64, r *record, _ chain) error {
	if _, err := r.event(at, recorded); err != nil {
		return fmt.Errorf("%w: position %d: %w", ErrCorrupt, at, err)
	}
	return nil
}
