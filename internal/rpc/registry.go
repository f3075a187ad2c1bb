package rpc

import (
	"context"
	"strings"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"

	"github.com/statehouse/statehouse"
	"github.com/statehouse/statehouse/eventstore"
	entityv1 "github.com/statehouse/statehouse/gen/statehouse/entity/v1"
	statehousev1 "github.com/statehouse/statehouse/gen/statehouse/v1"
	"github.com/statehouse/statehouse/internal/access"
	"github.com/statehouse/statehouse/internal/api"
)

type registryService struct{ *Service }

// List implements RegistryService.
func (s registryService) List(ctx context.Context, req *statehousev1.RegistryServiceListRequest,
	stream *connect.ServerStream[statehousev1.RegistryServiceListResponse],
) error {
	h, err := s.house()
	if err != nil {
		return err
	}
	at, err := parseAt(req.GetAt())
	if err != nil {
		return err
	}
	m, as, err := at.Moment(ctx, h)
	if err != nil {
		return err
	}
	seen := api.NewRegistry(m.Registry, as)
	if !access.From(ctx).Everywhere(access.Read) { // an area that nothing is in is there for whoever may see everything
		seen = seen.Restrict(seenBy(ctx))
	}
	if err := stream.Send(&statehousev1.RegistryServiceListResponse{AsOf: newAsOf(as)}); err != nil {
		return err
	}
	areas := chunks[*entityv1.Area]{send: func(areas []*entityv1.Area) error {
		return stream.Send(&statehousev1.RegistryServiceListResponse{Areas: areas})
	}}
	for _, w := range seen.Areas {
		a, _ := m.Registry.Area(w.ID)
		if err := areas.add(a); err != nil {
			return err
		}
	}
	if err := areas.rest(); err != nil {
		return err
	}
	devices := chunks[*entityv1.Device]{send: func(devices []*entityv1.Device) error {
		return stream.Send(&statehousev1.RegistryServiceListResponse{Devices: devices})
	}}
	names := map[string]bool{}
	for _, w := range seen.Devices {
		names[w.ID] = true
	}
	for _, w := range seen.Devices {
		d, _ := m.Registry.Device(w.ID)
		if via := d.GetViaDevice(); via != "" && !names[via] {
			d = proto.CloneOf(d)
			d.ViaDevice = "" // a device that is not seen
		}
		if err := devices.add(d); err != nil {
			return err
		}
	}
	if err := devices.rest(); err != nil {
		return err
	}
	entities := chunks[*entityv1.Entity]{send: func(entities []*entityv1.Entity) error {
		return stream.Send(&statehousev1.RegistryServiceListResponse{Entities: entities})
	}}
	for _, w := range seen.Entities {
		e, _ := m.Registry.Entity(w.ID)
		if err := entities.add(e); err != nil {
			return err
		}
	}
	return entities.rest()
}

// EditEntity implements RegistryService.
func (s registryService) EditEntity(ctx context.Context, req *statehousev1.EditEntityRequest) (*statehousev1.EditEntityResponse, error) {
	h, err := s.house()
	if err != nil {
		return nil, err
	}
	id, who := req.GetEntityId(), access.From(ctx)
	if err := eventstore.CheckEntityID(id); err != nil {
		return nil, err
	}
	if !who.May(access.Write, id) || req.NewId != nil && !who.May(access.Write, req.GetNewId()) {
		return nil, forbidden("the token %s may not change %s, or give it this id", who.Name(), id)
	}
	if req.AreaId != nil && !who.Everywhere(access.Write) {
		return nil, forbidden("the token %s is for some entities only, and may not move any to an area", who.Name())
	}
	span, err := h.EditEntity(ctx, who.Source(), id, statehouse.EntityEdit{
		ID: req.NewId, Name: req.Name, AreaID: req.AreaId, Disabled: req.Disabled,
	})
	if err != nil {
		return nil, err
	}
	return &statehousev1.EditEntityResponse{Span: newSpan(span)}, nil
}

// EditDevice implements RegistryService.
func (s registryService) EditDevice(ctx context.Context, req *statehousev1.EditDeviceRequest) (*statehousev1.EditDeviceResponse, error) {
	h, err := s.house()
	if err != nil {
		return nil, err
	}
	edit := statehouse.DeviceEdit{Name: req.Name, AreaID: req.AreaId}
	span, err := h.EditDevice(ctx, access.From(ctx).Source(), req.GetDeviceId(), edit)
	if err != nil {
		return nil, err
	}
	return &statehousev1.EditDeviceResponse{Span: newSpan(span)}, nil
}

// SetArea implements RegistryService.
func (s registryService) SetArea(ctx context.Context, req *statehousev1.SetAreaRequest) (*statehousev1.SetAreaResponse, error) {
	h, err := s.house()
	if err != nil {
		return nil, err
	}
	// The form of an entity's name, so that every area can be part of one.
	if eventstore.CheckEntityID("area."+req.GetAreaId()) != nil {
		return nil, invalid("%.60q is no id of an area: it has a-z, 0-9 and _, as in living_room", req.GetAreaId())
	}
	if strings.TrimSpace(req.GetName()) == "" {
		return nil, invalid("the area needs a name; RemoveArea removes it")
	}
	span, err := h.SetArea(ctx, access.From(ctx).Source(), req.GetAreaId(), req.GetName())
	if err != nil {
		return nil, err
	}
	return &statehousev1.SetAreaResponse{Span: newSpan(span)}, nil
}

// RemoveArea implements RegistryService.
func (s registryService) RemoveArea(ctx context.Context, req *statehousev1.RemoveAreaRequest) (*statehousev1.RemoveAreaResponse, error) {
	h, err := s.house()
	if err != nil {
		return nil, err
	}
	span, err := h.SetArea(ctx, access.From(ctx).Source(), req.GetAreaId(), "")
	if err != nil {
		return nil, err
	}
	return &statehousev1.RemoveAreaResponse{Span: newSpan(span)}, nil
}
