package check

import (
	"github.com/statehouse/statehouse/eventstore"
	entityv1 "github.com/statehouse/statehouse/gen/statehouse/entity/v1"
	eventv1 "github.com/statehouse/statehouse/gen/statehouse/event/v1"
)

// SensorEvent is the event that a sensor's value is now n, for tests.
func SensorEvent(entity string, n float64) eventstore.Event {
	return eventstore.Event{Entity: entity, Source: "test", Payload: &eventv1.Payload{
		Kind: &eventv1.Payload_StateChanged{StateChanged: &eventv1.StateChanged{Attributes: SensorAttributes(n)}},
	}}
}

// UnknownEvent is the event that nothing is known of an entity's state any more.
func UnknownEvent(entity string) eventstore.Event {
	return eventstore.Event{Entity: entity, Source: "test", Payload: &eventv1.Payload{
		Kind: &eventv1.Payload_StateChanged{StateChanged: &eventv1.StateChanged{Attributes: &entityv1.Attributes{}}},
	}}
}

// SensorAttributes are those of a sensor with the value n.
func SensorAttributes(n float64) *entityv1.Attributes {
	return &entityv1.Attributes{Domain: &entityv1.Attributes_Sensor{Sensor: &entityv1.Sensor{
		Value: &entityv1.Sensor_Number{Number: n},
	}}}
}

// SensorValue is the number in attributes of SensorAttributes.
func SensorValue(a *entityv1.Attributes) float64 { return a.GetSensor().GetNumber() }

// RegisterEvent is the event that an entity is registered.
func RegisterEvent(e *entityv1.Entity) eventstore.Event {
	return eventstore.Event{Entity: e.GetId(), Source: "test", Payload: &eventv1.Payload{
		Kind: &eventv1.Payload_EntityRegistered{EntityRegistered: &eventv1.EntityRegistered{Entity: e}},
	}}
}

// UnregisterEvent is the event that an entity is gone.
func UnregisterEvent(entity string) eventstore.Event {
	return eventstore.Event{Entity: entity, Source: "test", Payload: &eventv1.Payload{
		Kind: &eventv1.Payload_EntityUnregistered{EntityUnregistered: &eventv1.EntityUnregistered{}},
	}}
}

// ReportEvent is the event that an entity was heard of.
func ReportEvent(entity string) eventstore.Event {
	return eventstore.Event{Entity: entity, Source: "test", Payload: &eventv1.Payload{
		Kind: &eventv1.Payload_StateReported{StateReported: &eventv1.StateReported{}},
	}}
}

// RenameEvent is the event that an entity goes by another id.
func RenameEvent(from, to string) eventstore.Event {
	return eventstore.Event{Entity: from, Source: "test", Payload: &eventv1.Payload{
		Kind: &eventv1.Payload_EntityRenamed{EntityRenamed: &eventv1.EntityRenamed{NewId: to}},
	}}
}

// CustomEvent is an embedding program's own event.
func CustomEvent(entity, kind string, value []byte) eventstore.Event {
	return eventstore.Event{Entity: entity, Source: "test", Payload: &eventv1.Payload{
		Kind: &eventv1.Payload_Custom{Custom: &eventv1.Custom{Kind: kind, Value: value}},
	}}
}
