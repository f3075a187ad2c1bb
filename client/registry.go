package client

import (
	"context"

	"github.com/statehouse/statehouse"
	"github.com/statehouse/statehouse/eventstore"
	entityv1 "github.com/statehouse/statehouse/gen/statehouse/entity/v1"
	statehousev1 "github.com/statehouse/statehouse/gen/statehouse/v1"
	"github.com/statehouse/statehouse/state"
)

// Registry is what there is in one moment, each list sorted by id.
type Registry struct {
	AsOf
	Areas    []*entityv1.Area
	Devices  []*entityv1.Device
	Entities []*entityv1.Entity
}

// Registry is what is registered in a moment.
func (c *Client) Registry(ctx context.Context, at At) (r Registry, err error) {
	asked := ctx
	ctx, cancel := context.WithCancel(ctx)
	s, err := c.registry.List(ctx, &statehousev1.RegistryServiceListRequest{At: at.wire})
	if err != nil {
		cancel()
		return Registry{}, errorOf(asked, err)
	}
	defer func() { _ = s.Close() }()
	defer cancel()
	for s.Receive() {
		m := s.Msg()
		if m.GetAsOf() != nil {
			r.AsOf = parseAsOf(m.GetAsOf())
		}
		r.Areas, r.Devices, r.Entities = append(r.Areas, m.GetAreas()...), append(r.Devices, m.GetDevices()...), append(r.Entities, m.GetEntities()...)
	}
	if err := errorOf(asked, s.Err()); err != nil {
		return Registry{}, err
	}
	return r, nil
}

// EditEntity records what a user changes about an entity; see [statehouse.House.EditEntity].
func (c *Client) EditEntity(ctx context.Context, id state.EntityID, edit statehouse.EntityEdit) (eventstore.Span, error) {
	res, err := c.registry.EditEntity(ctx, &statehousev1.EditEntityRequest{
		EntityId: id, NewId: edit.ID, Name: edit.Name, AreaId: edit.AreaID, Disabled: edit.Disabled,
	})
	return parseSpan(res.GetSpan()), errorOf(ctx, err)
}

// EditDevice records what a user changes about a device; see [statehouse.House.EditDevice].
func (c *Client) EditDevice(ctx context.Context, id string, edit statehouse.DeviceEdit) (eventstore.Span, error) {
	res, err := c.registry.EditDevice(ctx, &statehousev1.EditDeviceRequest{DeviceId: id, Name: edit.Name, AreaId: edit.AreaID})
	return parseSpan(res.GetSpan()), errorOf(ctx, err)
}

// SetArea creates an area or renames it; see [statehouse.House.SetArea]. The name must not be empty.
func (c *Client) SetArea(ctx context.Context, id, name string) (eventstore.Span, error) {
	res, err := c.registry.SetArea(ctx, &statehousev1.SetAreaRequest{AreaId: id, Name: name})
	return parseSpan(res.GetSpan()), errorOf(ctx, err)
}

// RemoveArea removes an area: what was in it is in none.
func (c *Client) RemoveArea(ctx context.Context, id string) (eventstore.Span, error) {
	res, err := c.registry.RemoveArea(ctx, &statehousev1.RemoveAreaRequest{AreaId: id})
	return parseSpan(res.GetSpan()), errorOf(ctx, err)
}
