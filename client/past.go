package client

import (
	"context"
	"errors"
	"iter"
	"time"

	"connectrpc.com/connect"

	"github.com/statehouse/statehouse/eventstore"
	entityv1 "github.com/statehouse/statehouse/gen/statehouse/entity/v1"
	statehousev1 "github.com/statehouse/statehouse/gen/statehouse/v1"
	"github.com/statehouse/statehouse/state"
	"github.com/statehouse/statehouse/timeline"
)

// Resolve is the position that a moment stands for.
func (c *Client) Resolve(ctx context.Context, at At) (AsOf, error) {
	res, err := c.timeline.Resolve(ctx, &statehousev1.ResolveRequest{At: at.wire})
	if err != nil {
		return AsOf{}, errorOf(ctx, err)
	}
	return parseAsOf(res.GetAsOf()), nil
}

// Change is what is different of an entity.
type Change struct {
	// EntityID is the id that the entity has after the change, or had last.
	EntityID state.EntityID
	// What are the words for what is different, as in docs/http.md: appeared, gone, id, name, area, …
	What []string
	// Before and After are the entity in the two moments, nil where it was not there. Before has the id of then.
	Before, After *Version
}

// Version is an entity in one moment.
type Version struct {
	// Entity has no more than names where the entity is disabled.
	Entity
	// Entry is its registry entry, nil where it is not registered.
	Entry    *entityv1.Entity
	Disabled bool
}

func parseChange(w *statehousev1.EntityChange) Change {
	version := func(w *statehousev1.EntityVersion) *Version {
		if w == nil {
			return nil
		}
		return &Version{Entity: parseEntity(w.GetState()), Entry: w.GetEntry(), Disabled: w.GetDisabled()}
	}
	return Change{EntityID: w.GetEntityId(), What: w.GetWhat(), Before: version(w.GetBefore()), After: version(w.GetAfter())}
}

// Diff yields the entities that are different in two moments, sorted by id.
func (c *Client) Diff(ctx context.Context, from, to At) iter.Seq2[Change, error] {
	return stream(ctx, func(ctx context.Context) (*connect.ServerStreamForClient[statehousev1.DiffResponse], error) {
		return c.timeline.Diff(ctx, &statehousev1.DiffRequest{From: from.required(), To: to.wire})
	}, func(m *statehousev1.DiffResponse) ([]Change, error) { return convert(m.GetChanges(), parseChange), nil })
}

// History yields what happened to an entity between two moments, oldest first; it fails with [statehouse.ErrNotFound] where
// nothing ever did.
func (c *Client) History(ctx context.Context, id state.EntityID, from, to At) iter.Seq2[timeline.Step, error] {
	return stream(ctx, func(ctx context.Context) (*connect.ServerStreamForClient[statehousev1.HistoryResponse], error) {
		return c.timeline.History(ctx, &statehousev1.HistoryRequest{EntityId: id, From: from.required(), To: to.wire})
	}, func(m *statehousev1.HistoryResponse) ([]timeline.Step, error) {
		return convert(m.GetSteps(), func(s *statehousev1.Step) timeline.Step {
			return timeline.Step{Event: parseEvent(s.GetEvent()), Before: parseState(s.GetBefore()), After: parseState(s.GetAfter())}
		}), nil
	})
}

// Density is how many events were recorded in each of some equal parts of the time between two moments.
type Density struct {
	From, To AsOf
	// Begin and End are the times of the moments. The present ends when it is answered.
	Begin, End time.Time
	// Counts are the events of each part, and Positions those at their ends.
	Counts    []uint64
	Positions []eventstore.Position
}

// Density is how many events were recorded in each of some equal parts of the time between two moments, 200 where parts is 0, and
// 2,000 at most. Where entities are given it is those about them, and the server reads them all.
func (c *Client) Density(ctx context.Context, from, to At, parts uint32, entities ...state.EntityID) (Density, error) {
	res, err := c.timeline.Density(ctx, &statehousev1.DensityRequest{From: from.required(), To: to.wire, Parts: parts, EntityIds: entities})
	if err != nil {
		return Density{}, errorOf(ctx, err)
	}
	return Density{
		From: parseAsOf(res.GetFrom()), To: parseAsOf(res.GetTo()), Begin: parseTime(res.GetBegin()), End: parseTime(res.GetEnd()),
		Counts:    res.GetCounts(),
		Positions: convert(res.GetPositions(), func(p uint64) eventstore.Position { return eventstore.Position(p) }),
	}, nil
}

// Link is one event of a chain of causes.
type Link struct {
	Event eventstore.Event
	// Changes are what the event changed, names and areas included.
	Changes []Change
}

// Why yields the chain of causes of what an entity is like in a moment: the event that made it so, its cause, and so on, as far
// as the token may see. It fails with [statehouse.ErrNotFound] where the entity has no state.
func (c *Client) Why(ctx context.Context, id state.EntityID, at At) iter.Seq2[Link, error] {
	return c.why(ctx, &statehousev1.WhyRequest{About: &statehousev1.WhyRequest_EntityId{EntityId: id}, At: at.wire})
}

// WhyEvent is Why of the event at a position.
func (c *Client) WhyEvent(ctx context.Context, at eventstore.Position) iter.Seq2[Link, error] {
	return c.why(ctx, &statehousev1.WhyRequest{About: &statehousev1.WhyRequest_Position{Position: uint64(at)}})
}

// why follows the chain from one answer to the next.
func (c *Client) why(ctx context.Context, req *statehousev1.WhyRequest) iter.Seq2[Link, error] {
	return func(yield func(Link, error) bool) {
		for going := false; ; going = true {
			next := uint64(0)
			answer := stream(ctx, func(ctx context.Context) (*connect.ServerStreamForClient[statehousev1.WhyResponse], error) {
				return c.timeline.Why(ctx, req)
			}, func(m *statehousev1.WhyResponse) ([]Link, error) {
				next = max(next, m.GetStart().GetNext())
				return convert(m.GetLinks(), func(l *statehousev1.Link) Link {
					return Link{Event: parseEvent(l.GetEvent()), Changes: convert(l.GetChanges(), parseChange)}
				}), nil
			})
			for l, err := range answer {
				if going && errors.Is(err, ErrForbidden) {
					return // the chain goes on where the token may not see
				}
				if !yield(l, err) || err != nil {
					return
				}
			}
			if next == 0 {
				return
			}
			req = &statehousev1.WhyRequest{About: &statehousev1.WhyRequest_Position{Position: next}}
		}
	}
}
