package statehouse

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"google.golang.org/protobuf/proto"

	"github.com/statehouse/statehouse/eventstore"
	entityv1 "github.com/statehouse/statehouse/gen/statehouse/entity/v1"
	eventv1 "github.com/statehouse/statehouse/gen/statehouse/event/v1"
	"github.com/statehouse/statehouse/state"
)

// EntityEdit is what a user changes about an entity; nil fields stay as they are.
type EntityEdit struct {
	// ID is another id for the entity, of the same domain; its state and its registry entry go along, its past stays
	// under the old one.
	ID *state.EntityID `json:"id,omitempty"`
	// Name is the user's name for it; empty goes back to the source's.
	Name *string `json:"name,omitempty"`
	// AreaID puts it in an area; empty means its device's.
	AreaID *string `json:"area_id,omitempty"`
	// Disabled stops or starts the recording of its state.
	Disabled *bool `json:"disabled,omitempty"`
}

// EditEntity records what a user, named by source, changes about an entity, as events. What changes nothing is no
// event. An entity that is enabled takes over, in the same batch, what is known of its device's availability. EditEntity
// fails with [ErrNotFound] where there is no such entity or area, and with [eventstore.ErrInvalid] where the new id is
// none, is another entity's, or is of another domain.
func (h *House) EditEntity(ctx context.Context, source string, id state.EntityID, edit EntityEdit) (eventstore.Span, error) {
	return h.Decide(ctx, func(p Pending) ([]eventstore.Event, error) {
		before, ok := p.Entity(id)
		if !ok {
			return nil, fmt.Errorf("%w: entity %s", ErrNotFound, id)
		}
		if edit.ID != nil {
			if err := checkRename(id, *edit.ID); err != nil {
				return nil, err
			}
		}
		after := proto.CloneOf(before)
		if err := place(p, edit.Name, edit.AreaID, &after.UserName, &after.AreaId); err != nil {
			return nil, err
		}
		if edit.Disabled != nil {
			after.UserDisabled = proto.Bool(*edit.Disabled)
		}
		var events []eventstore.Event
		if !proto.Equal(before, after) {
			events = append(events, eventstore.Event{Entity: id, Source: source, Payload: &eventv1.Payload{
				Kind: &eventv1.Payload_EntityRegistered{EntityRegistered: &eventv1.EntityRegistered{Entity: after}},
			}})
		}
		if _, has := p.State(id); !has && !disabled(after) {
			if a := deviceAvailability(p, after.GetDeviceId()); a != entityv1.Availability_AVAILABILITY_UNSPECIFIED {
				events = append(events, eventstore.Event{Entity: id, Source: source, Payload: &eventv1.Payload{
					Kind: &eventv1.Payload_StateChanged{StateChanged: &eventv1.StateChanged{
						Attributes: &entityv1.Attributes{Availability: a},
					}},
				}})
			}
		}
		if edit.ID != nil && *edit.ID != id {
			events = append(events, eventstore.Event{Entity: id, Source: source, Payload: &eventv1.Payload{
				Kind: &eventv1.Payload_EntityRenamed{EntityRenamed: &eventv1.EntityRenamed{NewId: *edit.ID}},
			}})
		}
		return events, nil
	})
}

// checkRename says what keeps an entity from getting another id. Whether another entity has it, the registry says.
func checkRename(id, newID state.EntityID) error {
	if err := eventstore.CheckEntityID(newID); err != nil {
		return err
	}
	domain, _, _ := strings.Cut(id, ".")
	if newDomain, name, _ := strings.Cut(newID, "."); newDomain != domain {
		return fmt.Errorf("%w: %s cannot become %s: the domain of an entity is fixed, since it decides which attributes it has; write %s.%s",
			eventstore.ErrInvalid, id, newID, domain, name)
	}
	return nil
}

// disabled says that nothing is recorded of an entity's state.
func disabled(e *entityv1.Entity) bool {
	if e.UserDisabled != nil {
		return e.GetUserDisabled()
	}
	return e.GetDisabled()
}

// deviceAvailability is what the entities of a device say of whether it can be reached. Where they say nothing, it is
// offline if what it is reached through is.
func deviceAvailability(p Pending, id string) entityv1.Availability {
	if a := saidAvailability(p, id); a != entityv1.Availability_AVAILABILITY_UNSPECIFIED {
		return a
	}
	device, _ := p.Device(id)
	if a := saidAvailability(p, device.GetViaDevice()); a == entityv1.Availability_AVAILABILITY_OFFLINE {
		return a
	}
	return entityv1.Availability_AVAILABILITY_UNSPECIFIED
}

func saidAvailability(p Pending, deviceID string) entityv1.Availability {
	for _, e := range p.DeviceEntities(deviceID) {
		s, _ := p.State(e.GetId())
		if a := s.Attributes.GetAvailability(); a != entityv1.Availability_AVAILABILITY_UNSPECIFIED {
			return a
		}
	}
	return entityv1.Availability_AVAILABILITY_UNSPECIFIED
}

// DeviceEdit is what a user changes about a device; nil fields stay as they are.
type DeviceEdit struct {
	// Name is the user's name for it; empty goes back to the source's.
	Name *string `json:"name,omitempty"`
	// AreaID puts it in an area; empty takes it out of any.
	AreaID *string `json:"area_id,omitempty"`
}

// EditDevice records what a user, named by source, changes about a device. What changes nothing is no event. It fails
// with [ErrNotFound] where there is no such device or area.
func (h *House) EditDevice(ctx context.Context, source, id string, edit DeviceEdit) (eventstore.Span, error) {
	return h.Decide(ctx, func(p Pending) ([]eventstore.Event, error) {
		before, ok := p.Device(id)
		if !ok {
			return nil, fmt.Errorf("%w: device %s", ErrNotFound, id)
		}
		after := proto.CloneOf(before)
		if err := place(p, edit.Name, edit.AreaID, &after.UserName, &after.AreaId); err != nil {
			return nil, err
		}
		if proto.Equal(before, after) {
			return nil, nil
		}
		return []eventstore.Event{{Source: source, Payload: &eventv1.Payload{
			Kind: &eventv1.Payload_DeviceRegistered{DeviceRegistered: &eventv1.DeviceRegistered{Device: after}},
		}}}, nil
	})
}

// SetArea creates an area or renames it. An empty name removes it: what was in it is in none.
func (h *House) SetArea(ctx context.Context, source, id, name string) (eventstore.Span, error) {
	return h.Decide(ctx, func(p Pending) ([]eventstore.Event, error) {
		if err := errors.Join(checkName(id), checkName(name)); err != nil {
			return nil, err
		}
		before, exists := p.Area(id)
		e := eventstore.Event{Source: source}
		switch {
		case name == "" && !exists:
			return nil, fmt.Errorf("%w: area %s", ErrNotFound, id)
		case name == "":
			e.Payload = &eventv1.Payload{Kind: &eventv1.Payload_AreaUnregistered{
				AreaUnregistered: &eventv1.AreaUnregistered{AreaId: id},
			}}
		case before.GetName() == name:
			return nil, nil
		default:
			e.Payload = &eventv1.Payload{Kind: &eventv1.Payload_AreaRegistered{
				AreaRegistered: &eventv1.AreaRegistered{Area: &entityv1.Area{Id: id, Name: name}},
			}}
		}
		return []eventstore.Event{e}, nil
	})
}

// place applies what a user says of a name and an area; nil leaves either as it is.
func place(p Pending, name, areaID, userName, area *string) error {
	if name != nil {
		if err := checkName(*name); err != nil {
			return err
		}
		*userName = *name
	}
	if areaID == nil {
		return nil
	}
	if _, ok := p.Area(*areaID); !ok && *areaID != "" {
		return fmt.Errorf("%w: area %s; create it first", ErrNotFound, *areaID)
	}
	*area = *areaID
	return nil
}

// checkName says what keeps a text from being a name or an area's id.
func checkName(name string) error {
	if len(name) > eventstore.MaxName || !utf8.ValidString(name) {
		return fmt.Errorf("%w: the name %.60q must be UTF-8 of at most %d bytes", eventstore.ErrInvalid, name, eventstore.MaxName)
	}
	return nil
}
