package rpc

import (
	"context"
	"strings"

	"github.com/statehouse/statehouse"
	"github.com/statehouse/statehouse/eventstore"
	eventv1 "github.com/statehouse/statehouse/gen/statehouse/event/v1"
	statehousev1 "github.com/statehouse/statehouse/gen/statehouse/v1"
	"github.com/statehouse/statehouse/internal/access"
	"github.com/statehouse/statehouse/internal/api"
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
		switch kind := eventstore.KindOf(w.GetPayload()); {
		case kind == "":
			return b, invalid("event %d has no payload, or one of a kind that is not known here", i)
		case appenderOf(w.GetPayload()) == theServer:
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

// appender is who may record events of a kind.
type appender int

const (
	// theServer alone: what it says of itself is true. The zero one, so that a kind that is forgotten is nobody's.
	theServer appender = iota
	// theHouse: whoever may write everything. Such an event names devices, areas or other entities than its own, or says that one
	// is or is not there.
	theHouse
	// theEntity: also whoever may write the entity that the event is about.
	theEntity
)

// appenders has the kinds that are not the server's own.
var appenders = map[eventstore.Kind]appender{
	eventstore.KindStateChanged:       theEntity,
	eventstore.KindStateReported:      theEntity,
	eventstore.KindEntityRegistered:   theHouse,
	eventstore.KindEntityUnregistered: theHouse,
	eventstore.KindEntityRenamed:      theHouse,
	eventstore.KindDeviceRegistered:   theHouse,
	eventstore.KindDeviceUnregistered: theHouse,
	eventstore.KindAreaRegistered:     theHouse,
	eventstore.KindAreaUnregistered:   theHouse,
}

// appenderOf is who may record an event that says something.
func appenderOf(p *eventv1.Payload) appender {
	kind := eventstore.KindOf(p)
	if p.GetCustom() == nil {
		return appenders[kind]
	}
	if strings.HasPrefix(string(kind), api.FiredPrefix) { // it fires, which is about the whole house
		return theHouse
	}
	return theEntity
}

// mayAppend says why somebody may not record an event.
func mayAppend(who *access.Identity, e eventstore.Event) error {
	if who.Everywhere(access.Write) {
		return nil
	}
	if appenderOf(e.Payload) != theEntity {
		return forbidden("the token %s is for some entities only, and %s is about more than one of them", who.Name(), eventstore.KindOf(e.Payload))
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
