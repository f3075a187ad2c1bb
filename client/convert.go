package client

import (
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/statehouse/statehouse/eventstore"
	entityv1 "github.com/statehouse/statehouse/gen/statehouse/entity/v1"
	statehousev1 "github.com/statehouse/statehouse/gen/statehouse/v1"
	"github.com/statehouse/statehouse/state"
)

// At names a moment of the house; the zero At is the present.
type At struct{ wire *statehousev1.At }

// AtPosition is the moment when the event at a position had just been recorded; 0 is the empty house.
func AtPosition(p eventstore.Position) At {
	return At{&statehousev1.At{Moment: &statehousev1.At_Position{Position: uint64(p)}}}
}

// AtTime is the moment of the last event that was recorded at a time or before it.
func AtTime(t time.Time) At {
	return At{&statehousev1.At{Moment: &statehousev1.At_Time{Time: timestamppb.New(t)}}}
}

// AtOldest is the oldest moment that there is.
func AtOldest() At { return At{&statehousev1.At{Moment: &statehousev1.At_Oldest{}}} }

// required is the moment over the wire, and never nil.
func (a At) required() *statehousev1.At {
	if a.wire == nil {
		return &statehousev1.At{}
	}
	return a.wire
}

// AsOf says which moment an answer is of.
type AsOf struct {
	Position eventstore.Position
	// RecordedAt is when the event at the position was recorded, the zero time at position 0.
	RecordedAt time.Time
	// Final says that the same question will always be answered with this position, as long as the history there is not
	// removed.
	Final bool
}

// Entity is an entity's state and what the entity is called, both as of one position.
type Entity struct {
	state.State
	// Text is the one word or number that a person would call the state, as [state.Text] has it.
	Text string
	// Name is what a person calls it. The area is its own or its device's; what is empty it has not.
	Name, AreaID, AreaName, DeviceID, DeviceName, Unit, DeviceClass string
	// Pending are the commands that wait for their answers, in the order in which they were given.
	Pending []*entityv1.PendingCommand
}

func parseTime(t *timestamppb.Timestamp) time.Time {
	if t == nil {
		return time.Time{}
	}
	return t.AsTime()
}

func newTime(t time.Time) *timestamppb.Timestamp {
	if t.IsZero() {
		return nil
	}
	return timestamppb.New(t)
}

func parseAsOf(w *statehousev1.AsOf) AsOf {
	return AsOf{Position: eventstore.Position(w.GetPosition()), RecordedAt: parseTime(w.GetRecordedAt()), Final: w.GetFinal()}
}

func parseSpan(w *statehousev1.Span) eventstore.Span {
	return eventstore.Span{First: eventstore.Position(w.GetFirst()), Last: eventstore.Position(w.GetLast())}
}

func parseCondition(w *statehousev1.Condition) eventstore.Condition {
	if e := w.GetEntity(); e != nil {
		return eventstore.EntityAt(e.GetEntityId(), eventstore.Position(e.GetPosition()))
	}
	return eventstore.LogAt(eventstore.Position(w.GetLogPosition()))
}

func newCondition(c eventstore.Condition) *statehousev1.Condition {
	if c == eventstore.LogAt(c.Position()) {
		return &statehousev1.Condition{What: &statehousev1.Condition_LogPosition{LogPosition: uint64(c.Position())}}
	}
	return &statehousev1.Condition{What: &statehousev1.Condition_Entity{ // also of one that says nothing, which the server refuses
		Entity: &statehousev1.EntityAt{EntityId: c.Entity(), Position: uint64(c.Position())},
	}}
}

func parseEvent(w *statehousev1.Event) eventstore.Event {
	return eventstore.Event{
		Position: eventstore.Position(w.GetPosition()), RecordedAt: parseTime(w.GetRecordedAt()), Timestamp: parseTime(w.GetTimestamp()),
		Kind: eventstore.Kind(w.GetKind()), Entity: w.GetEntityId(), Source: w.GetSource(), CorrelationID: w.GetCorrelationId(),
		CausePosition: eventstore.Position(w.GetCausePosition()), Payload: w.GetPayload(),
	}
}

// parseState is the zero State for nil.
func parseState(w *statehousev1.State) state.State {
	if w == nil {
		return state.State{}
	}
	s := state.State{
		EntityID: w.GetEntityId(), UpdatedAt: parseTime(w.GetUpdatedAt()), UpdatedBy: w.GetUpdatedBy(), Attributes: w.GetAttributes(),
		Position: eventstore.Position(w.GetPosition()), ChangedAt: parseTime(w.GetChangedAt()),
	}
	if s.Attributes == nil {
		s.Attributes = &entityv1.Attributes{}
	}
	return s
}

func parseEntity(w *statehousev1.State) Entity {
	return Entity{
		State: parseState(w), Text: w.GetText(), Name: w.GetName(), AreaID: w.GetAreaId(), AreaName: w.GetAreaName(), DeviceID: w.GetDeviceId(),
		DeviceName: w.GetDeviceName(), Unit: w.GetUnit(), DeviceClass: w.GetDeviceClass(),
		Pending: w.GetPending(),
	}
}
