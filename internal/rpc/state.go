package rpc

import (
	"context"
	"time"

	"connectrpc.com/connect"

	"github.com/statehouse/statehouse/eventstore"
	statehousev1 "github.com/statehouse/statehouse/gen/statehouse/v1"
	"github.com/statehouse/statehouse/internal/access"
	"github.com/statehouse/statehouse/internal/api"
)

type stateService struct{ *Service }

// Get implements StateService.
func (s stateService) Get(ctx context.Context, req *statehousev1.GetRequest) (*statehousev1.GetResponse, error) {
	h, err := s.house()
	if err != nil {
		return nil, err
	}
	at, err := parseAt(req.GetAt())
	if err != nil {
		return nil, err
	}
	id := req.GetEntityId()
	if err := readable(ctx, id); err != nil {
		return nil, err
	}
	m, as, err := at.Moment(ctx, h)
	if err != nil {
		return nil, err
	}
	st, ok := m.State.Get(id)
	if !ok {
		return nil, api.NoState(m, id)
	}
	return &statehousev1.GetResponse{State: newState(m, st), AsOf: newAsOf(as)}, nil
}

// readable says why an entity's id is none, or none for whoever asks.
func readable(ctx context.Context, id string) error {
	if err := eventstore.CheckEntityID(id); err != nil {
		return err
	}
	if who := access.From(ctx); !who.May(access.Read, id) {
		return forbidden("the token %s is not for %s", who.Name(), id)
	}
	return nil
}

// List implements StateService.
func (s stateService) List(ctx context.Context, req *statehousev1.StateServiceListRequest,
	stream *connect.ServerStream[statehousev1.StateServiceListResponse],
) error {
	h, err := s.house()
	if err != nil {
		return err
	}
	at, err := parseAt(req.GetAt())
	if err != nil {
		return err
	}
	sel, err := parseSelection(ctx, req.GetSelection())
	if err != nil {
		return err
	}
	m, as, err := at.Moment(ctx, h)
	if err != nil {
		return err
	}
	first, now := newAsOf(as), at.Time(as, time.Now())
	out := chunks[*statehousev1.State]{send: func(states []*statehousev1.State) error {
		err := stream.Send(&statehousev1.StateServiceListResponse{AsOf: first, States: states})
		first = nil
		return err
	}}
	for _, id := range sel.ids(m) {
		st, err := sel.get(ctx, m, id, now)
		if err != nil {
			return err
		}
		if st == nil {
			continue
		}
		if err := out.add(st); err != nil {
			return err
		}
	}
	if first != nil {
		return out.flush()
	}
	return out.rest()
}
