package rpc

import (
	"context"

	"connectrpc.com/connect"

	"github.com/statehouse/statehouse"
	"github.com/statehouse/statehouse/eventstore"
	statehousev1 "github.com/statehouse/statehouse/gen/statehouse/v1"
	"github.com/statehouse/statehouse/internal/api"
	"github.com/statehouse/statehouse/timeline"
)

type timelineService struct{ *Service }

// Resolve implements TimelineService.
func (s timelineService) Resolve(ctx context.Context, req *statehousev1.ResolveRequest) (*statehousev1.ResolveResponse, error) {
	h, err := s.house()
	if err != nil {
		return nil, err
	}
	at, err := parseAt(req.GetAt())
	if err != nil {
		return nil, err
	}
	as, err := at.Resolve(ctx, h)
	if err != nil {
		return nil, err
	}
	return &statehousev1.ResolveResponse{AsOf: newAsOf(as), Database: h.Store().UUID()}, nil
}

// Diff implements TimelineService.
func (s timelineService) Diff(ctx context.Context, req *statehousev1.DiffRequest, stream *connect.ServerStream[statehousev1.DiffResponse]) error {
	h, err := s.house()
	if err != nil {
		return err
	}
	if req.GetFrom() == nil {
		return invalid("from is missing: say from which moment on")
	}
	from, err := parseAt(req.GetFrom())
	if err != nil {
		return err
	}
	to, err := parseAt(req.GetTo())
	if err != nil {
		return err
	}
	before, fromAs, err := from.Moment(ctx, h)
	if err != nil {
		return err
	}
	after, toAs, err := to.Moment(ctx, h)
	if err != nil {
		return err
	}
	changes, err := api.NewChanges(before, after)
	if err != nil {
		return err
	}
	diff := api.Diff{From: fromAs, To: toAs, Changes: changes}.Restrict(seenBy(ctx))
	first := &statehousev1.DiffResponse{From: newAsOf(fromAs), To: newAsOf(toAs)}
	out := chunks[*statehousev1.EntityChange]{send: func(changes []*statehousev1.EntityChange) error {
		m := first
		first = &statehousev1.DiffResponse{}
		m.Changes = changes
		return stream.Send(m)
	}}
	if len(diff.Changes) == 0 {
		return out.flush()
	}
	for _, c := range diff.Changes {
		w := newChange(before, after, c)
		if req.GetStatesOnly() {
			bare(w)
		}
		if err := out.add(w); err != nil {
			return err
		}
	}
	return out.rest()
}

// newChange is a change with what the two moments have of the entity.
func newChange(before, after timeline.Moment, c api.EntityChange) *statehousev1.EntityChange {
	w := &statehousev1.EntityChange{EntityId: c.EntityID}
	for _, what := range c.What {
		w.What = append(w.What, string(what))
	}
	if c.Before != nil {
		w.Before = newVersion(before, c.Before)
	}
	if c.After != nil {
		w.After = newVersion(after, c.After)
	}
	return w
}

// bare leaves of a change what makes the later states of the earlier ones.
func bare(w *statehousev1.EntityChange) {
	if w.Before != nil {
		w.Before = &statehousev1.EntityVersion{State: &statehousev1.State{EntityId: w.GetBefore().GetState().GetEntityId()}}
	}
	if w.After != nil {
		w.After.Entry = nil
	}
}

func newVersion(m timeline.Moment, v *api.Version) *statehousev1.EntityVersion {
	e := m.Entity(v.EntityID)
	w := &statehousev1.EntityVersion{State: newBareState(e.State), Entry: e.Entry, Disabled: v.Disabled}
	if w.State != nil {
		w.State.Pending = api.PendingOf(m, e.State)
	}
	if w.State == nil {
		w.State = &statehousev1.State{EntityId: v.EntityID}
	}
	setNames(m, w.State)
	return w
}

// History implements TimelineService.
func (s timelineService) History(ctx context.Context, req *statehousev1.HistoryRequest, stream *connect.ServerStream[statehousev1.HistoryResponse]) error {
	h, err := s.house()
	if err != nil {
		return err
	}
	id := req.GetEntityId()
	if err := readable(ctx, id); err != nil {
		return err
	}
	from := api.AtOldest()
	if req.GetFrom() != nil {
		if from, err = parseAt(req.GetFrom()); err != nil {
			return err
		}
	}
	to, err := parseAt(req.GetTo())
	if err != nil {
		return err
	}
	// What there is at all; the steps come below, one after another.
	known, err := api.NewHistory(ctx, h, id, from, to, 1)
	if err != nil {
		return err
	}
	before, err := h.AsOf(ctx, known.From.Position)
	if err != nil {
		return err
	}
	start := &statehousev1.HistoryStart{From: newAsOf(known.From), To: newAsOf(known.To), Name: known.Name, Unit: known.Unit}
	if st, ok := before.State.Get(id); ok {
		start.State = newState(before, st)
	}
	if err := stream.Send(&statehousev1.HistoryResponse{Start: start}); err != nil {
		return err
	}
	if len(known.Steps) == 0 {
		return nil
	}
	return sendSteps(ctx, h, req, known, stream)
}

func sendSteps(ctx context.Context, h *statehouse.House, req *statehousev1.HistoryRequest, known api.History,
	stream *connect.ServerStream[statehousev1.HistoryResponse],
) error {
	out := chunks[*statehousev1.Step]{send: func(steps []*statehousev1.Step) error {
		return stream.Send(&statehousev1.HistoryResponse{Steps: steps})
	}}
	may, n := seenBy(ctx), uint64(0)
	for step, err := range h.Timeline().History(ctx, known.EntityID, known.From.Position, known.To.Position) {
		if err != nil {
			return err
		}
		if err := out.add(&statehousev1.Step{
			Event: seenEvent(step.Event, may), Before: newBareState(step.Before), After: newBareState(step.After),
		}); err != nil {
			return err
		}
		if n++; n == req.GetLimit() {
			break
		}
	}
	return out.rest()
}

// seenEvent is an event as somebody may see it: of one that he may not see, when it was, and what sort of event.
func seenEvent(e eventstore.Event, may api.May) *statehousev1.Event {
	if may.Event(e) {
		return newEvent(e)
	}
	return newEvent(eventstore.Event{Position: e.Position, RecordedAt: e.RecordedAt, Timestamp: e.Timestamp, Kind: e.Kind})
}

// Why implements TimelineService.
func (s timelineService) Why(ctx context.Context, req *statehousev1.WhyRequest, stream *connect.ServerStream[statehousev1.WhyResponse]) error {
	h, err := s.house()
	if err != nil {
		return err
	}
	q, err := parseWhy(ctx, req)
	if err != nil {
		return err
	}
	q.May = seenBy(ctx)
	why, err := api.NewWhy(ctx, h, q)
	if err != nil {
		return err
	}
	if len(why.Links) == 0 {
		return forbidden("the token is for some entities only, and the event is about none of them")
	}
	start := &statehousev1.WhyStart{
		AsOf: newAsOf(why.AsOf), Next: uint64(why.Next), Removed: uint64(why.Removed), Hidden: uint64(why.Hidden),
	}
	if err := stream.Send(&statehousev1.WhyResponse{Start: start}); err != nil {
		return err
	}
	out := chunks[*statehousev1.Link]{send: func(links []*statehousev1.Link) error {
		return stream.Send(&statehousev1.WhyResponse{Links: links})
	}}
	for _, l := range why.Links {
		link, err := newLink(ctx, h, l, q.May)
		if err != nil {
			return err
		}
		if err := out.add(link); err != nil {
			return err
		}
	}
	return out.rest()
}

func parseWhy(ctx context.Context, req *statehousev1.WhyRequest) (q api.WhyQuery, err error) {
	switch about := req.GetAbout().(type) {
	case *statehousev1.WhyRequest_EntityId:
		q.Entity = about.EntityId
		if err := readable(ctx, q.Entity); err != nil {
			return q, err
		}
		if q.At, err = parseAt(req.GetAt()); err != nil {
			return q, err
		}
	case *statehousev1.WhyRequest_Position:
		if req.GetAt() != nil || about.Position == 0 || about.Position > uint64(eventstore.MaxPosition) {
			return q, invalid("say which event is meant by its position, from 1, and by nothing else")
		}
		q.At = api.AtPosition(eventstore.Position(about.Position))
	default:
		return q, invalid("say what is asked about: an entity, or the position of an event")
	}
	if len(req.GetSaw()) > api.MaxSaw {
		return q, invalid("%d entities to see are too many; %d are possible", len(req.GetSaw()), api.MaxSaw)
	}
	for _, id := range req.GetSaw() {
		if err := readable(ctx, id); err != nil {
			return q, err
		}
	}
	q.Saw, q.SawChain = req.GetSaw(), req.GetSawChain()
	return q, nil
}

// newLink is a link with what the log and the moments around it have.
func newLink(ctx context.Context, h *statehouse.House, l api.Link, may api.May) (*statehousev1.Link, error) {
	e, err := h.Store().Event(ctx, l.Event.Position)
	if err != nil {
		return nil, err
	}
	before, err := h.AsOf(ctx, e.Position-1)
	if err != nil {
		return nil, err
	}
	after, err := h.AsOf(ctx, e.Position)
	if err != nil {
		return nil, err
	}
	w := &statehousev1.Link{Event: seenEvent(e, may)}
	for _, c := range l.Changes {
		w.Changes = append(w.Changes, newChange(before, after, c))
	}
	for _, saw := range l.Saw {
		st, _ := before.State.Get(saw.EntityID)
		w.Saw = append(w.Saw, newState(before, st))
	}
	if l.Batch != nil {
		b, err := h.Store().Event(ctx, l.Batch.Position)
		if err != nil {
			return nil, err
		}
		w.Batch = seenEvent(b, may)
	}
	return w, nil
}
