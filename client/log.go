package client

import (
	"context"
	"fmt"
	"iter"

	"connectrpc.com/connect"

	"github.com/statehouse/statehouse/eventstore"
	statehousev1 "github.com/statehouse/statehouse/gen/statehouse/v1"
)

// Append records the events of a batch, all or none, and returns when they are durable; see [eventstore.Store.Append] for its
// errors. Sources are the server's to give, and so are the scopes of keys: neither may be set. A batch cannot have a decision
// here; conditions are what stands for it.
func (c *Client) Append(ctx context.Context, b eventstore.Batch) (eventstore.Span, error) {
	if b.Decide != nil || b.Key.Scope != "" {
		return eventstore.Span{}, fmt.Errorf("%w: a batch for a server has neither a decision nor a scope of its key", eventstore.ErrInvalid)
	}
	req := &statehousev1.AppendRequest{IdempotencyKey: b.Key.ID}
	for i, e := range b.Events {
		if e.Source != "" {
			return eventstore.Span{}, fmt.Errorf("%w: event %d has a source; the server says who it is by", eventstore.ErrInvalid, i)
		}
		req.Events = append(req.Events, &statehousev1.NewEvent{
			EntityId: e.Entity, Timestamp: newTime(e.Timestamp), CorrelationId: e.CorrelationID, CausePosition: uint64(e.CausePosition),
			Payload: e.Payload,
		})
	}
	for _, condition := range b.If {
		req.Conditions = append(req.Conditions, newCondition(condition))
	}
	res, err := c.log.Append(ctx, req)
	if err != nil {
		return eventstore.Span{}, errorOf(ctx, err)
	}
	return parseSpan(res.GetSpan()), nil
}

// newQuery is a query over the wire, without its direction.
func newQuery(q eventstore.Query) *statehousev1.Query {
	w := &statehousev1.Query{
		Until: uint64(q.Until), Since: newTime(q.Since), Before: newTime(q.Before), EntityIds: q.Entities, Sources: q.Sources,
		CorrelationIds: q.Correlations,
	}
	if q.After != eventstore.FromOldest && q.After != eventstore.FromNow {
		after := uint64(q.After)
		w.After = &after
	}
	for _, k := range q.Kinds {
		w.Kinds = append(w.Kinds, string(k))
	}
	return w
}

// Read yields the events that match a query, up to the end of the log at the time of the call; see [eventstore.Store.Read].
func (c *Client) Read(ctx context.Context, q eventstore.Query) iter.Seq2[eventstore.Event, error] {
	if q.After == eventstore.FromNow {
		q.After = eventstore.MaxPosition // what is there is before it
	}
	return stream(ctx, func(ctx context.Context) (*connect.ServerStreamForClient[statehousev1.ReadResponse], error) {
		return c.log.Read(ctx, &statehousev1.ReadRequest{Query: newQuery(q), Backward: q.Backward})
	}, func(m *statehousev1.ReadResponse) ([]eventstore.Event, error) {
		return convert(m.GetEvents(), parseEvent), nil
	})
}

// Subscribe is Read that goes on with new events as they are recorded; see [eventstore.Store.Subscribe]. It ends when the
// connection is lost.
func (c *Client) Subscribe(ctx context.Context, q eventstore.Query) iter.Seq2[eventstore.Event, error] {
	if q.Backward {
		return func(yield func(eventstore.Event, error) bool) {
			yield(eventstore.Event{}, fmt.Errorf("%w: a subscription goes forward", eventstore.ErrInvalid))
		}
	}
	return stream(ctx, func(ctx context.Context) (*connect.ServerStreamForClient[statehousev1.SubscribeResponse], error) {
		return c.log.Subscribe(ctx, &statehousev1.SubscribeRequest{Query: newQuery(q), FromNow: q.After == eventstore.FromNow})
	}, func(m *statehousev1.SubscribeResponse) ([]eventstore.Event, error) {
		return convert(m.GetEvents(), parseEvent), nil
	})
}
