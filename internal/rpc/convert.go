package rpc

import (
	"cmp"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/statehouse/statehouse/eventstore"
	statehousev1 "github.com/statehouse/statehouse/gen/statehouse/v1"
	"github.com/statehouse/statehouse/internal/api"
	"github.com/statehouse/statehouse/state"
	"github.com/statehouse/statehouse/timeline"
)

// newTime is a time over the wire, nil for the zero one.
func newTime(t time.Time) *timestamppb.Timestamp {
	if t.IsZero() {
		return nil
	}
	return timestamppb.New(t)
}

// newTimeOf is a time that may not be known.
func newTimeOf(t *time.Time) *timestamppb.Timestamp {
	if t == nil {
		return nil
	}
	return newTime(*t)
}

// parseTime is a time from the wire, the zero one where there is none. The zero time itself can be sent, and is then not taken
// for none: a nanosecond later is as much before everything.
func parseTime(t *timestamppb.Timestamp) (time.Time, error) {
	if t == nil {
		return time.Time{}, nil
	}
	if err := t.CheckValid(); err != nil {
		return time.Time{}, invalid("a time is none: %v", err)
	}
	at := t.AsTime()
	if at.IsZero() {
		at = at.Add(1)
	}
	return at, nil
}

// parseAt is a moment, the present one where there is none.
func parseAt(at *statehousev1.At) (api.At, error) {
	switch m := at.GetMoment().(type) {
	case *statehousev1.At_Position:
		if m.Position > uint64(eventstore.MaxPosition) {
			return api.At{}, invalid("%d is no position", m.Position)
		}
		return api.AtPosition(eventstore.Position(m.Position)), nil
	case *statehousev1.At_Time:
		if m.Time == nil {
			return api.At{}, invalid("the time of the moment is missing")
		}
		t, err := parseTime(m.Time)
		return api.AtTime(t), err
	case *statehousev1.At_Oldest:
		return api.AtOldest(), nil
	default:
		return api.At{}, nil
	}
}

func newAsOf(as api.AsOf) *statehousev1.AsOf {
	return &statehousev1.AsOf{Position: uint64(as.Position), RecordedAt: newTimeOf(as.RecordedAt), Final: as.Final}
}

func newSpan(s eventstore.Span) *statehousev1.Span {
	return &statehousev1.Span{First: uint64(s.First), Last: uint64(s.Last)}
}

func newCondition(c eventstore.Condition) *statehousev1.Condition {
	if id := c.Entity(); id != "" {
		return &statehousev1.Condition{What: &statehousev1.Condition_Entity{
			Entity: &statehousev1.EntityAt{EntityId: id, Position: uint64(c.Position())},
		}}
	}
	return &statehousev1.Condition{What: &statehousev1.Condition_LogPosition{LogPosition: uint64(c.Position())}}
}

// newEvent is an event over the wire. It shares the payload.
func newEvent(e eventstore.Event) *statehousev1.Event {
	return &statehousev1.Event{
		Position: uint64(e.Position), RecordedAt: newTime(e.RecordedAt), Timestamp: newTime(e.Timestamp), Kind: string(e.Kind),
		EntityId: e.Entity, Source: e.Source, CorrelationId: e.CorrelationID, CausePosition: uint64(e.CausePosition),
		Payload: e.Payload,
	}
}

// newBareState is a state without names, nil for the zero one. It shares the attributes.
func newBareState(s state.State) *statehousev1.State {
	if s.EntityID == "" {
		return nil
	}
	return &statehousev1.State{
		EntityId: s.EntityID, Text: state.Text(s.Attributes), Attributes: s.Attributes, UpdatedAt: newTime(s.UpdatedAt),
		UpdatedBy: s.UpdatedBy, ChangedAt: newTime(s.ChangedAt), Position: uint64(s.Position),
	}
}

// newState is a state with the names and the commands that its entity has in a moment. It shares these, too.
func newState(m timeline.Moment, s state.State) *statehousev1.State {
	w := newBareState(s)
	w.Pending = api.PendingOf(m, s)
	setNames(m, w)
	return w
}

// setNames sets what a moment says of an entity besides its state.
func setNames(m timeline.Moment, w *statehousev1.State) {
	w.Name = m.Registry.DisplayName(w.EntityId)
	area := m.Registry.AreaOf(w.EntityId)
	w.AreaId, w.AreaName = area.GetId(), area.GetName()
	entity, _ := m.Registry.Entity(w.EntityId)
	w.Unit, w.DeviceClass, w.DeviceId = entity.GetUnit(), entity.GetDeviceClass(), entity.GetDeviceId()
	device, _ := m.Registry.Device(w.DeviceId)
	w.DeviceName = cmp.Or(device.GetUserName(), device.GetName())
}
