package client

import (
	"context"
	"iter"

	"connectrpc.com/connect"

	statehousev1 "github.com/statehouse/statehouse/gen/statehouse/v1"
	"github.com/statehouse/statehouse/state"
)

// Selection chooses entities. The zero Selection chooses all; of several things all must hold.
type Selection struct {
	// Entities are ids, and Domains the parts of ids before the dot.
	Entities []state.EntityID
	Domains  []string
	// Where is a filter in CEL, as in: domain == "light" && state.light.on.
	Where string
}

func (s Selection) wire() *statehousev1.Selection {
	return &statehousev1.Selection{EntityIds: s.Entities, Domains: s.Domains, Where: s.Where}
}

// Get is one entity in a moment. It fails with [statehouse.ErrNotFound] where that has no state.
func (c *Client) Get(ctx context.Context, id state.EntityID, at At) (Entity, error) {
	res, err := c.states.Get(ctx, &statehousev1.GetRequest{EntityId: id, At: at.wire})
	if err != nil {
		return Entity{}, errorOf(ctx, err)
	}
	return parseEntity(res.GetState()), nil
}

// List yields the entities of one moment that are chosen, sorted by id.
func (c *Client) List(ctx context.Context, s Selection, at At) iter.Seq2[Entity, error] {
	return stream(ctx, func(ctx context.Context) (*connect.ServerStreamForClient[statehousev1.StateServiceListResponse], error) {
		return c.states.List(ctx, &statehousev1.StateServiceListRequest{Selection: s.wire(), At: at.wire})
	}, func(m *statehousev1.StateServiceListResponse) ([]Entity, error) {
		return convert(m.GetStates(), parseEntity), nil
	})
}
