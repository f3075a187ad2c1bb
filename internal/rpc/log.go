package rpc

import (
	"context"
	"errors"
	"iter"
	"sync"
	"time"

	"connectrpc.com/connect"

	"github.com/statehouse/statehouse"
	"github.com/statehouse/statehouse/eventstore"
	statehousev1 "github.com/statehouse/statehouse/gen/statehouse/v1"
	"github.com/statehouse/statehouse/internal/api"
)

type logService struct{ *Service }

// Read implements LogService.
func (s logService) Read(ctx context.Context, req *statehousev1.ReadRequest, stream *connect.ServerStream[statehousev1.ReadResponse]) error {
	h, err := s.house()
	if err != nil {
		return err
	}
	q, err := parseQuery(h, req.GetQuery())
	if err != nil {
		return err
	}
	q.Backward = req.GetBackward()
	out := chunks[*statehousev1.Event]{send: func(events []*statehousev1.Event) error {
		return stream.Send(&statehousev1.ReadResponse{Events: events})
	}}
	n := uint64(0)
	for e, err := range visible(h.Read(ctx, q), seenBy(ctx)) {
		if err != nil {
			return errors.Join(err, out.rest())
		}
		if err := out.add(newEvent(e)); err != nil {
			return err
		}
		if n++; n == req.GetLimit() {
			break
		}
	}
	return out.rest()
}

// visible are the events that somebody may see.
func visible(events iter.Seq2[eventstore.Event, error], may api.May) iter.Seq2[eventstore.Event, error] {
	return func(yield func(eventstore.Event, error) bool) {
		for e, err := range events {
			if (err != nil || may.Event(e)) && !yield(e, err) {
				return
			}
		}
	}
}

func parseQuery(h *statehouse.House, w *statehousev1.Query) (q eventstore.Query, err error) {
	for _, names := range [][]string{w.GetEntityIds(), w.GetKinds(), w.GetSources(), w.GetCorrelationIds()} {
		if len(names) > maxNames {
			return q, invalid("%d names are too many; %d are possible", len(names), maxNames)
		}
	}
	q = eventstore.Query{
		After: eventstore.FromOldest, Until: eventstore.Position(w.GetUntil()),
		Entities: w.GetEntityIds(), Sources: w.GetSources(), Correlations: w.GetCorrelationIds(),
	}
	base, recorded := h.Base()
	if w != nil && w.After != nil {
		q.After = eventstore.Position(w.GetAfter())
		if q.After < base {
			return q, &eventstore.CompactedError{Base: base, RecordedAt: recorded}
		}
	}
	if q.Until != 0 && q.Until < base {
		return q, &eventstore.CompactedError{Base: base, RecordedAt: recorded}
	}
	if max(w.GetAfter(), w.GetUntil()) > uint64(eventstore.MaxPosition) || q.Until != 0 && q.After < eventstore.FromOldest && q.Until < q.After {
		return q, invalid("the positions from %d to %d make no query", w.GetAfter(), w.GetUntil())
	}
	for _, id := range q.Entities {
		if err := eventstore.CheckEntityID(id); err != nil {
			return q, err
		}
	}
	for _, k := range w.GetKinds() {
		q.Kinds = append(q.Kinds, eventstore.Kind(k))
	}
	if q.Since, err = parseTime(w.GetSince()); err != nil {
		return q, err
	}
	q.Before, err = parseTime(w.GetBefore())
	return q, err
}

// ahead is how many events a subscription has read before they are sent.
const ahead = 64

// Subscribe implements LogService.
func (s logService) Subscribe(ctx context.Context, req *statehousev1.SubscribeRequest, stream *connect.ServerStream[statehousev1.SubscribeResponse]) error {
	h, err := s.house()
	if err != nil {
		return err
	}
	q, err := parseQuery(h, req.GetQuery())
	if err != nil {
		return err
	}
	if req.GetFromNow() {
		if req.Query != nil && req.Query.After != nil {
			return invalid("a subscription from now on begins after no position")
		}
		q.After = h.Store().Head()
	}
	if q.After != eventstore.FromOldest && !h.Store().Reached(q.After) {
		return invalid("position %d is still to come: the log ends at %d", q.After, h.Store().Head())
	}
	sub := &subscription{
		stream: stream, sub: h.Store().Subscription(q), database: h.Store().UUID(), may: seenBy(ctx),
		events: make(chan eventstore.Event, ahead),
	}
	return sub.run(ctx, s.opts.Heartbeat)
}

// subscription is one stream of what is recorded.
type subscription struct {
	stream   *connect.ServerStream[statehousev1.SubscribeResponse]
	sub      *eventstore.Subscription
	database string
	may      api.May
	events   chan eventstore.Event // from the reader to the sender; closed when the reader has ended
	err      error                 // why it has; nil at the end of the query. Set before events is closed
}

func (s *subscription) run(ctx context.Context, heartbeat time.Duration) error {
	ctx, cancel := context.WithCancel(ctx)
	var reading sync.WaitGroup
	reading.Go(func() { s.read(ctx) })
	defer reading.Wait()
	defer cancel()
	idle := time.NewTicker(heartbeat)
	defer idle.Stop()
	// What a client gets first says that it is subscribed, and from where on.
	if err := s.send(nil, s.sub.Position()); err != nil {
		return err
	}
	for {
		select {
		case e, ok := <-s.events:
			if !ok {
				return s.err
			}
			if err := s.sendAll(e); err != nil {
				return err
			}
			idle.Reset(heartbeat)
		case <-idle.C:
			at := s.sub.Position() // before events are looked at: what is up to here was put there before
			if len(s.events) > 0 {
				continue
			}
			if err := s.send(nil, at); err != nil {
				return err
			}
		}
	}
}

// read hands events to the sender until the context ends.
func (s *subscription) read(ctx context.Context) {
	defer close(s.events)
	for e, err := range s.sub.Events(ctx) {
		if err != nil {
			s.err = err
			return
		}
		if !s.may.Event(e) {
			continue
		}
		select {
		case s.events <- e:
		case <-ctx.Done():
			s.err = context.Cause(ctx)
			return
		}
	}
}

// sendAll sends an event and those behind it that are there already, in one message as long as that is not too large.
func (s *subscription) sendAll(e eventstore.Event) error {
	var sent eventstore.Position
	out := chunks[*statehousev1.Event]{send: func(events []*statehousev1.Event) error { return s.send(events, sent) }}
	for {
		sent = e.Position
		if err := out.add(newEvent(e)); err != nil {
			return err
		}
		if len(out.items) == 0 {
			return nil
		}
		select {
		case next, ok := <-s.events:
			if !ok {
				return errors.Join(out.rest(), s.err)
			}
			e = next
		default:
			return out.rest()
		}
	}
}

func (s *subscription) send(events []*statehousev1.Event, at eventstore.Position) error {
	cursor := &statehousev1.Cursor{Database: s.database, Position: uint64(at)}
	return s.stream.Send(&statehousev1.SubscribeResponse{Events: events, Cursor: cursor})
}
