package rpc

import (
	"context"

	"github.com/statehouse/statehouse"
	"github.com/statehouse/statehouse/eventstore"
	statehousev1 "github.com/statehouse/statehouse/gen/statehouse/v1"
	"github.com/statehouse/statehouse/internal/access"
)

// maxAppendEvents is the most events that one append has.
const maxAppendEvents = 10_000

// Append implements LogService.
func (s logService) Append(ctx context.Context, req *statehousev1.AppendRequest) (*statehousev1.AppendResponse, error) {
	h, err := s.house()
	if err != nil {
		return nil, err
	}
	who := access.From(ctx)
	batch, err := parseBatch(who, req)
	if err != nil {
		return nil, err
	}
	for i, e := range batch.Events {
		if err := mayAppend(who, e); err != nil {
			return nil, forbidden("event %d: %v", i, err)
		}
		if err := mayName(ctx, who, access.Write, h, e.CausePosition); err != nil {
			return nil, forbidden("event %d: %v", i, err)
		}
	}
	for _, c := range batch.If {
		if !who.May(access.Write, c.Entity()) { // one about the log is about the whole house
			return nil, forbidden("the token %s may not have a condition about that: %v", who.Name(), c)
		}
	}
	span, err := h.AppendBatch(ctx, batch)
	if err != nil {
		return nil, err
	}
	return &statehousev1.AppendResponse{Span: newSpan(span)}, nil
}

func parseBatch(who *access.Identity, req *statehousev1.AppendRequest) (b statehouse.Batch, err error) {
	if n := len(req.GetEvents()); n > maxAppendEvents {
		return b, invalid("%d events are too many for one append; %d are possible", n, maxAppendEvents)
	}
	if n := len(req.GetConditions()); n > maxNames {
		return b, invalid("%d conditions are too many for one append; %d are possible", n, maxNames)
	}
	for i, w := range req.GetEvents() {
		at, err := parseTime(w.GetTimestamp())
		if err != nil {
			return b, invalid("event %d: %v", i, err)
		}
		switch kind := eventstore.KindOf(w.GetPayload()); kind {
		case "":
			return b, invalid("event %d has no payload, or one of a kind that is not known here", i)
		case eventstore.KindSystem, eventstore.KindHistoryRemoved, eventstore.KindCommandIssued, eventstore.KindCommandSettled:
			return b, invalid("event %d: %s is for the server itself", i, kind)
		}
		b.Events = append(b.Events, eventstore.Event{
			Timestamp: at, Entity: w.GetEntityId(), Source: who.Source(), CorrelationID: w.GetCorrelationId(),
			CausePosition: eventstore.Position(w.GetCausePosition()), Payload: w.GetPayload(),
		})
	}
	for i, w := range req.GetConditions() {
		switch c := w.GetWhat().(type) {
		case *statehousev1.Condition_Entity:
			if err := eventstore.CheckEntityID(c.Entity.GetEntityId()); err != nil {
				return b, err
			}
			b.If = append(b.If, eventstore.EntityAt(c.Entity.GetEntityId(), eventstore.Position(c.Entity.GetPosition())))
		case *statehousev1.Condition_LogPosition:
			b.If = append(b.If, eventstore.LogAt(eventstore.Position(c.LogPosition)))
		default:
			return b, invalid("condition %d says nothing", i)
		}
	}
	if id := req.GetIdempotencyKey(); id != "" {
		b.Key = eventstore.Key{Scope: who.Source(), ID: id}
	}
	return b, nil
}

// mayAppend says why somebody may not record an event.
func mayAppend(who *access.Identity, e eventstore.Event) error {
	if who.Everywhere(access.Write) {
		return nil
	}
	switch eventstore.KindOf(e.Payload) {
	case eventstore.KindEntityRegistered, eventstore.KindEntityRenamed: // they name devices, areas and other entities
		return forbidden("the token %s is for some entities only, and may not register or rename any", who.Name())
	}
	if !who.May(access.Write, e.Entity) {
		return forbidden("the token %s is not for that", who.Name())
	}
	return nil
}

// mayName says why somebody may not say that an event was caused by the one at a position: whether there is one he is not told.
func mayName(ctx context.Context, who *access.Identity, scope access.Scope, h *statehouse.House, cause eventstore.Position) error {
	if cause == 0 || who.Everywhere(scope) {
		return nil
	}
	if e, err := h.Store().Event(ctx, cause); err == nil && who.May(scope, e.Entity) {
		return nil
	}
	return forbidden("the token %s may not name the event at position %d as a cause", who.Name(), cause)
}
