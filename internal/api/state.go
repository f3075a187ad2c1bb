package api

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/statehouse/statehouse/eventstore"
	entityv1 "github.com/statehouse/statehouse/gen/statehouse/entity/v1"
	"github.com/statehouse/statehouse/state"
	"github.com/statehouse/statehouse/timeline"
)

// Availability says whether the source can reach a device; empty where it does not say.
type Availability string

// What an Availability can be.
const (
	Online  Availability = "online"
	Offline Availability = "offline"
)

// State is an entity's state and what the entity is called, both as of one position.
type State struct {
	EntityID string `json:"entity_id"`
	// State is the one word or number that a person would call the state, as state.Text has it.
	State string `json:"state"`
	// Name is what a person calls the entity.
	Name string `json:"name"`
	// Area and AreaName are the id and the name of the area that the entity is in, its own or its device's.
	Area     string `json:"area,omitempty"`
	AreaName string `json:"area_name,omitempty"`
	// Device and DeviceName are the id and the name of the device that the entity belongs to.
	Device      string `json:"device,omitempty"`
	DeviceName  string `json:"device_name,omitempty"`
	Unit        string `json:"unit,omitempty"`
	DeviceClass string `json:"device_class,omitempty"`
	// Attributes are everything that is known of the state, as state.JSON has it.
	Attributes   json.RawMessage `json:"attributes,omitempty"`
	Availability Availability    `json:"availability,omitempty"`
	// UpdatedAt is when the entity was last heard of, UpdatedBy from whom.
	UpdatedAt time.Time `json:"updated_at,omitzero"`
	UpdatedBy string    `json:"updated_by"`
	// ChangedAt is when the attributes last became different.
	ChangedAt time.Time `json:"changed_at,omitzero"`
	// Position is that of the last event about the entity.
	Position eventstore.Position `json:"position,omitempty"`
	// Pending are the commands that wait for their answers, in the order in which they were given.
	Pending []Pending `json:"pending,omitempty"`
	// AsOf is the moment that a single state was asked for at, where it was.
	AsOf *AsOf `json:"as_of,omitempty"`
}

// States are the states of many entities, sorted by id, in one moment.
type States struct {
	AsOf
	States []State `json:"states"`
}

// NewStates are the states of a moment that are chosen. Ages are counted to now.
func NewStates(ctx context.Context, m timeline.Moment, as AsOf, where Where, now time.Time) (States, error) {
	states := States{AsOf: as, States: []State{}}
	for _, s := range m.State.Sorted() {
		if chosen, err := where.Match(ctx, m, s, now); err != nil {
			return States{}, err
		} else if !chosen {
			continue
		}
		w, err := NewState(m, s)
		if err != nil {
			return States{}, err
		}
		states.States = append(states.States, w)
	}
	return states, nil
}

// NewState is a state with the names that its entity has at a moment.
func NewState(m timeline.Moment, s state.State) (State, error) {
	attributes, err := state.JSON(s.Attributes)
	if err != nil {
		return State{}, fmt.Errorf("state of %s: %w", s.EntityID, err)
	}
	w := newNames(m, s.EntityID)
	w.State, w.Attributes, w.Availability = state.Text(s.Attributes), attributes, availability(s.Attributes)
	w.UpdatedAt, w.UpdatedBy, w.ChangedAt, w.Position = s.UpdatedAt.UTC(), s.UpdatedBy, s.ChangedAt.UTC(), s.Position
	w.Pending = NewPending(PendingOf(m, s))
	return w, nil
}

// newNames is what a moment says of an entity besides its state.
func newNames(m timeline.Moment, id string) State {
	w := State{EntityID: id, Name: m.Registry.DisplayName(id)}
	if area := m.Registry.AreaOf(id); area != nil {
		w.Area, w.AreaName = area.GetId(), area.GetName()
	}
	entity, _ := m.Registry.Entity(id)
	w.Unit, w.DeviceClass, w.Device = entity.GetUnit(), entity.GetDeviceClass(), entity.GetDeviceId()
	device, _ := m.Registry.Device(w.Device)
	w.DeviceName = deviceName(device)
	return w
}

func availability(a *entityv1.Attributes) Availability {
	switch a.GetAvailability() {
	case entityv1.Availability_AVAILABILITY_ONLINE:
		return Online
	case entityv1.Availability_AVAILABILITY_OFFLINE:
		return Offline
	default:
		return ""
	}
}

// deviceName is the name that the user gave a device, or else the source's.
func deviceName(d *entityv1.Device) string { return cmp.Or(d.GetUserName(), d.GetName()) }
