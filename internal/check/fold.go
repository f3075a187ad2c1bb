package check

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/statehouse/statehouse/eventstore"
	entityv1 "github.com/statehouse/statehouse/gen/statehouse/entity/v1"
	eventv1 "github.com/statehouse/statehouse/gen/statehouse/event/v1"
	"github.com/statehouse/statehouse/state"
)

// Fold is the plainest fold of a log that there can be: maps, changed event by event. It is written apart from the
// projectors, from the words of the design, so that a fault of theirs is not repeated here.
type Fold struct {
	Position eventstore.Position
	States   map[string]state.State
	Entities map[string]*entityv1.Entity
	Devices  map[string]*entityv1.Device
	Areas    map[string]*entityv1.Area
	// What is remembered of those that are gone: entities by unique id, devices by id.
	FormerEntities map[string]*entityv1.Entity
	FormerDevices  map[string]*entityv1.Device
	// The commands that wait for their answers, by entity.
	Pending map[string]*entityv1.PendingCommands
}

// NewFold is the fold of no events.
func NewFold() *Fold {
	return &Fold{
		States: map[string]state.State{}, Entities: map[string]*entityv1.Entity{},
		Devices: map[string]*entityv1.Device{}, Areas: map[string]*entityv1.Area{},
		FormerEntities: map[string]*entityv1.Entity{}, FormerDevices: map[string]*entityv1.Device{},
		Pending: map[string]*entityv1.PendingCommands{},
	}
}

// Add folds the next event.
func (f *Fold) Add(e eventstore.Event) error {
	if e.Position != f.Position+1 {
		return fmt.Errorf("position %d follows %d", e.Position, f.Position)
	}
	f.Position = e.Position
	s, known := f.States[e.Entity]
	s.Position = e.Position
	switch p := e.Payload.GetKind().(type) {
	case *eventv1.Payload_StateChanged:
		f.changed(e, p.StateChanged.GetAttributes())
		return nil
	case *eventv1.Payload_StateReported:
		s.UpdatedAt, s.UpdatedBy = e.Timestamp, e.Source
	case *eventv1.Payload_CommandIssued:
		f.issued(e, p.CommandIssued)
	case *eventv1.Payload_CommandSettled:
		f.settled(e.Entity, p.CommandSettled.GetCommand())
	case *eventv1.Payload_EntityRegistered:
		if before, ok := f.Entities[e.Entity]; ok && before.GetUniqueId() != p.EntityRegistered.GetEntity().GetUniqueId() {
			delete(f.Pending, e.Entity)
		}
		f.left(e.Entity)
		f.Entities[e.Entity] = p.EntityRegistered.GetEntity()
		delete(f.FormerEntities, f.Entities[e.Entity].GetUniqueId())
		if isDisabled(f.Entities[e.Entity]) {
			delete(f.States, e.Entity)
			return nil
		}
		if !known {
			f.changed(e, &entityv1.Attributes{})
			return nil
		}
	case *eventv1.Payload_EntityUnregistered:
		f.left(e.Entity)
		delete(f.Entities, e.Entity)
		delete(f.States, e.Entity)
		delete(f.Pending, e.Entity)
		return nil
	case *eventv1.Payload_EntityRenamed:
		f.renamed(e.Entity, p.EntityRenamed.GetNewId(), e.Position)
		return nil
	case *eventv1.Payload_DeviceRegistered:
		f.Devices[p.DeviceRegistered.GetDevice().GetId()] = p.DeviceRegistered.GetDevice()
		delete(f.FormerDevices, p.DeviceRegistered.GetDevice().GetId())
	case *eventv1.Payload_DeviceUnregistered:
		id := p.DeviceUnregistered.GetDeviceId()
		if d := f.Devices[id]; d.GetUserName() != "" || d.GetAreaId() != "" {
			f.FormerDevices[id] = &entityv1.Device{Id: id, UserName: d.GetUserName(), AreaId: d.GetAreaId()}
		}
		delete(f.Devices, id)
	case *eventv1.Payload_AreaRegistered:
		f.Areas[p.AreaRegistered.GetArea().GetId()] = p.AreaRegistered.GetArea()
	case *eventv1.Payload_AreaUnregistered:
		delete(f.Areas, p.AreaUnregistered.GetAreaId())
	}
	if known {
		f.States[e.Entity] = s
	}
	return nil
}

func (f *Fold) issued(e eventstore.Event, c *eventv1.CommandIssued) {
	f.Pending[e.Entity] = &entityv1.PendingCommands{Id: e.Entity, Commands: append(
		slices.Clone(f.Pending[e.Entity].GetCommands()), &entityv1.PendingCommand{
			Position: uint64(e.Position), Action: c.GetAction(), Arguments: c.GetArguments(), Expected: c.GetExpected(),
			Issued: e.Timestamp.UnixNano(), Deadline: c.GetDeadline(), Source: e.Source, CorrelationId: e.CorrelationID,
		})}
}

func (f *Fold) settled(id string, command uint64) {
	var left []*entityv1.PendingCommand
	for _, c := range f.Pending[id].GetCommands() {
		if c.GetPosition() != command {
			left = append(left, c)
		}
	}
	if delete(f.Pending, id); len(left) > 0 {
		f.Pending[id] = &entityv1.PendingCommands{Id: id, Commands: left}
	}
}

// left remembers the entity that goes by an id and will no longer.
func (f *Fold) left(id string) {
	if e := f.Entities[id]; e.GetUniqueId() != "" {
		f.FormerEntities[e.GetUniqueId()] = &entityv1.Entity{
			Id: id, UniqueId: e.GetUniqueId(), UserName: e.GetUserName(), AreaId: e.GetAreaId(), UserDisabled: e.UserDisabled,
		}
	}
}

func (f *Fold) changed(e eventstore.Event, a *entityv1.Attributes) {
	s := state.State{
		EntityID: e.Entity, UpdatedAt: e.Timestamp, UpdatedBy: e.Source, Attributes: a,
		Position: e.Position, ChangedAt: e.Timestamp,
	}
	if before, ok := f.States[e.Entity]; ok && proto.Equal(before.Attributes, a) {
		s.ChangedAt = before.ChangedAt
	}
	f.States[e.Entity] = s
}

func (f *Fold) renamed(from, to string, at eventstore.Position) {
	if e, ok := f.Entities[from]; ok {
		e = proto.CloneOf(e)
		e.Id = to
		delete(f.Entities, from)
		f.Entities[to] = e
	}
	if waiting, ok := f.Pending[from]; ok {
		delete(f.Pending, from)
		f.Pending[to] = &entityv1.PendingCommands{Id: to, Commands: waiting.GetCommands()}
	}
	if s, ok := f.States[from]; ok {
		delete(f.States, from)
		s.EntityID, s.Position = to, at
		f.States[to] = s
	}
}

func isDisabled(e *entityv1.Entity) bool {
	if e.UserDisabled != nil {
		return *e.UserDisabled
	}
	return e.GetDisabled()
}

// CompareStates says how a revision differs from the fold, nil if it does not: bit for bit, timestamps included.
func (f *Fold) CompareStates(r state.Revision) error {
	if r.Position != f.Position {
		return fmt.Errorf("the revision is at position %d, the fold at %d", r.Position, f.Position)
	}
	got := map[string]state.State{}
	for id, s := range r.Entities.All() {
		if id != s.EntityID {
			return fmt.Errorf("%s is kept under %s", s.EntityID, id)
		}
		got[id] = s
	}
	if r.Entities.Len() != len(got) {
		return fmt.Errorf("the map says that it has %d entities and yields %d", r.Entities.Len(), len(got))
	}
	for _, id := range slices.Sorted(maps.Keys(f.States)) {
		s, ok := got[id]
		if !ok {
			return fmt.Errorf("%s is missing", id)
		}
		if err := SameState(s, f.States[id]); err != nil {
			return fmt.Errorf("%s: %w", id, err)
		}
		delete(got, id)
	}
	for id := range got {
		return fmt.Errorf("%s should not be there", id)
	}
	return nil
}

// SameState says in what two states differ.
func SameState(got, want state.State) error {
	switch {
	case got.EntityID != want.EntityID:
		return fmt.Errorf("entity id %q instead of %q", got.EntityID, want.EntityID)
	case got.Position != want.Position:
		return fmt.Errorf("position %d instead of %d", got.Position, want.Position)
	case !sameTime(got.UpdatedAt, want.UpdatedAt):
		return fmt.Errorf("updated at %s instead of %s", got.UpdatedAt, want.UpdatedAt)
	case !sameTime(got.ChangedAt, want.ChangedAt):
		return fmt.Errorf("changed at %s instead of %s", got.ChangedAt, want.ChangedAt)
	case got.UpdatedBy != want.UpdatedBy:
		return fmt.Errorf("updated by %q instead of %q", got.UpdatedBy, want.UpdatedBy)
	case !proto.Equal(got.Attributes, want.Attributes):
		return fmt.Errorf("attributes %v instead of %v", got.Attributes, want.Attributes)
	}
	return nil
}

// sameTime is equality of every bit that a reader could see: the moment and the location.
func sameTime(a, b time.Time) bool { return a.Equal(b) && a.String() == b.String() }

// sameMessages says where two maps of messages differ.
func sameMessages[M proto.Message](what string, got, want map[string]M) error {
	for _, id := range slices.Sorted(maps.Keys(want)) {
		if g, ok := got[id]; !ok || !proto.Equal(g, want[id]) {
			return fmt.Errorf("%s %s: %v instead of %v", what, id, g, want[id])
		}
	}
	if len(got) != len(want) {
		return fmt.Errorf("%d %s entries instead of %d", len(got), what, len(want))
	}
	return nil
}

// Clone is a fold that goes on from here on its own.
func (f *Fold) Clone() *Fold {
	return &Fold{
		Position: f.Position, States: maps.Clone(f.States), Entities: maps.Clone(f.Entities),
		Devices: maps.Clone(f.Devices), Areas: maps.Clone(f.Areas),
		FormerEntities: maps.Clone(f.FormerEntities), FormerDevices: maps.Clone(f.FormerDevices),
		Pending: maps.Clone(f.Pending),
	}
}
