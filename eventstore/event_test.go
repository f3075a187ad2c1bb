package eventstore

import (
	"errors"
	"testing"

	entityv1 "github.com/statehouse/statehouse/gen/statehouse/entity/v1"
	eventv1 "github.com/statehouse/statehouse/gen/statehouse/event/v1"
)

// ofTheHouse has an event of each kind that is about a device or an area.
func ofTheHouse() map[Kind]*eventv1.Payload {
	return map[Kind]*eventv1.Payload{
		KindDeviceRegistered: {Kind: &eventv1.Payload_DeviceRegistered{
			DeviceRegistered: &eventv1.DeviceRegistered{Device: &entityv1.Device{Id: "z2m/0x01"}},
		}},
		KindDeviceUnregistered: {Kind: &eventv1.Payload_DeviceUnregistered{
			DeviceUnregistered: &eventv1.DeviceUnregistered{DeviceId: "z2m/0x01"},
		}},
		KindAreaRegistered: {Kind: &eventv1.Payload_AreaRegistered{
			AreaRegistered: &eventv1.AreaRegistered{Area: &entityv1.Area{Id: "hall"}},
		}},
		KindAreaUnregistered: {Kind: &eventv1.Payload_AreaUnregistered{
			AreaUnregistered: &eventv1.AreaUnregistered{AreaId: "hall"},
		}},
	}
}

// What is about a device or an area is about no entity: with one on it, whoever may write that entity, and whoever reads what is
// about it, would be taken for one who may change the house.
func TestHouseEventsAreAboutNoEntity(t *testing.T) {
	for kind, p := range ofTheHouse() {
		e := Event{Source: "test", Payload: p}
		if err := e.check(); err != nil {
			t.Errorf("%s: %v", kind, err)
		}
		e.Entity = "light.hall"
		if err := e.check(); !errors.Is(err, ErrInvalid) {
			t.Errorf("%s about an entity: %v", kind, err)
		}
	}
}

// Logs of before may have such events, and are read as they are.
func TestHouseEventsAboutAnEntityAreRead(t *testing.T) {
	for kind, p := range ofTheHouse() {
		raw, _, err := encodeRecord(nil, &Event{Entity: "light.hall", Source: "test", Payload: p}, 0, 0)
		if err != nil {
			t.Fatal(err)
		}
		r, err := decodeRecord(raw, nil)
		if err != nil {
			t.Fatal(err)
		}
		if e, err := r.event(7, 77); err != nil || e.Kind != kind || e.Entity != "light.hall" {
			t.Errorf("%s: %+v, %v", kind, e, err)
		}
	}
}
