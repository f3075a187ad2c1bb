package statehouse_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/statehouse/statehouse"
	"github.com/statehouse/statehouse/eventstore"
	entityv1 "github.com/statehouse/statehouse/gen/statehouse/entity/v1"
	eventv1 "github.com/statehouse/statehouse/gen/statehouse/event/v1"
	"github.com/statehouse/statehouse/internal/check"
)

// Names, areas and ids that a user changes are events, survive a restart, and what changes nothing is no event.
func TestEdits(t *testing.T) {
	path := tempDB(t)
	h := openHouse(t, path, statehouse.Options{})
	mustAppend(t, h,
		eventstore.Event{Payload: &eventv1.Payload{Kind: &eventv1.Payload_DeviceRegistered{
			DeviceRegistered: &eventv1.DeviceRegistered{Device: &entityv1.Device{Id: "d", Name: "lamp"}},
		}}},
		check.RegisterEvent(&entityv1.Entity{Id: "sensor.a", UniqueId: "u", DeviceId: "d", Name: "Power"}),
		check.SensorEvent("sensor.a", 7), check.SensorEvent("sensor.loner", 1))
	edit := func(want int, span eventstore.Span, err error) {
		t.Helper()
		if err != nil || span.Len() != want {
			t.Errorf("%d events instead of %d, %v", span.Len(), want, err)
		}
	}
	for _, want := range []int{1, 0} {
		span, err := h.SetArea(t.Context(), "user", "kitchen", "Kitchen")
		edit(want, span, err)
		span, err = h.EditDevice(t.Context(), "user", "d", statehouse.DeviceEdit{Name: ptr("Lamp"), AreaID: ptr("kitchen")})
		edit(want, span, err)
	}
	span, err := h.EditEntity(t.Context(), "user", "sensor.a", statehouse.EntityEdit{ID: ptr("sensor.b"), Name: ptr("Watts")})
	edit(2, span, err)
	h = reopen(t, h, path)
	now := h.Now()
	s, ok := now.State.Get("sensor.b")
	if !ok || check.SensorValue(s.Attributes) != 7 || now.Registry.DisplayName("sensor.b") != "Watts" ||
		now.Registry.AreaOf("sensor.b").GetName() != "Kitchen" {
		t.Errorf("%v %v, %q in %v", s, ok, now.Registry.DisplayName("sensor.b"), now.Registry.AreaOf("sensor.b"))
	}
	if _, ok := now.State.Get("sensor.a"); ok {
		t.Error("the old id is still there")
	}
	span, err = h.EditEntity(t.Context(), "user", "sensor.b", statehouse.EntityEdit{Disabled: ptr(true)})
	edit(1, span, err)
	if _, ok := h.Now().State.Get("sensor.b"); ok {
		t.Error("a disabled entity has a state")
	}
	head := h.Now().Position()
	for name, err := range map[string]error{
		"unknown entity": second(h.EditEntity(t.Context(), "user", "sensor.x", statehouse.EntityEdit{})),
		"unknown device": second(h.EditDevice(t.Context(), "user", "x", statehouse.DeviceEdit{})),
		"unknown area":   second(h.EditEntity(t.Context(), "user", "sensor.b", statehouse.EntityEdit{AreaID: ptr("attic")})),
		"no such area":   second(h.SetArea(t.Context(), "user", "attic", "")),
	} {
		if !errors.Is(err, statehouse.ErrNotFound) {
			t.Errorf("%s: %v", name, err)
		}
	}
	enabled := second(h.EditEntity(t.Context(), "user", "sensor.b", statehouse.EntityEdit{Disabled: ptr(false)}))
	for name, err := range map[string]error{
		"bad id":    second(h.EditEntity(t.Context(), "user", "sensor.b", statehouse.EntityEdit{ID: ptr("Kitchen Lamp")})),
		"domain":    second(h.EditEntity(t.Context(), "user", "sensor.b", statehouse.EntityEdit{ID: ptr("light.b")})),
		"id of one": second(h.EditEntity(t.Context(), "user", "sensor.b", statehouse.EntityEdit{ID: ptr("sensor.loner")})),
		"long name": second(h.EditEntity(t.Context(), "user", "sensor.b", statehouse.EntityEdit{Name: ptr(strings.Repeat("x", 300))})),
		"bad name":  second(h.SetArea(t.Context(), "user", "attic", "\xff")),
		"no id":     second(h.SetArea(t.Context(), "user", "", "Attic")),
	} {
		if !errors.Is(err, eventstore.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if enabled != nil || h.Now().Position() != head+1 {
		t.Errorf("the log moved from %d to %d", head, h.Now().Position())
	}
}

// An entity that is enabled is as available as the others of its device, or as what the device is reached through.
func TestEnablingTakesOverTheAvailability(t *testing.T) {
	h := openHouse(t, tempDB(t), statehouse.Options{})
	available := func(id string, a entityv1.Availability) eventstore.Event {
		return eventstore.Event{Entity: id, Payload: &eventv1.Payload{Kind: &eventv1.Payload_StateChanged{
			StateChanged: &eventv1.StateChanged{Attributes: &entityv1.Attributes{Availability: a}},
		}}}
	}
	events := []eventstore.Event{
		{Payload: &eventv1.Payload{Kind: &eventv1.Payload_DeviceRegistered{
			DeviceRegistered: &eventv1.DeviceRegistered{Device: &entityv1.Device{Id: "behind", ViaDevice: "bridge"}},
		}}},
		check.RegisterEvent(&entityv1.Entity{Id: "sensor.bridge", UniqueId: "bridge", DeviceId: "bridge"}),
		available("sensor.bridge", entityv1.Availability_AVAILABILITY_OFFLINE),
	}
	for device, others := range map[string]entityv1.Availability{
		"unheard": entityv1.Availability_AVAILABILITY_UNSPECIFIED, "there": entityv1.Availability_AVAILABILITY_ONLINE,
		"gone": entityv1.Availability_AVAILABILITY_OFFLINE, "behind": entityv1.Availability_AVAILABILITY_UNSPECIFIED,
	} {
		events = append(events,
			check.RegisterEvent(&entityv1.Entity{Id: "sensor." + device, UniqueId: device, DeviceId: device, Disabled: true}),
			check.RegisterEvent(&entityv1.Entity{Id: "light." + device, UniqueId: device + "/light", DeviceId: device}),
			available("light."+device, others))
	}
	mustAppend(t, h, events...)
	for device, want := range map[string]struct {
		events       int
		availability entityv1.Availability
	}{
		"unheard": {1, entityv1.Availability_AVAILABILITY_UNSPECIFIED}, "there": {2, entityv1.Availability_AVAILABILITY_ONLINE},
		"gone": {2, entityv1.Availability_AVAILABILITY_OFFLINE}, "behind": {2, entityv1.Availability_AVAILABILITY_OFFLINE},
	} {
		span, err := h.EditEntity(t.Context(), "user", "sensor."+device, statehouse.EntityEdit{Disabled: ptr(false)})
		s, ok := h.Now().State.Get("sensor." + device)
		if err != nil || span.Len() != want.events || !ok || s.Attributes.GetAvailability() != want.availability {
			t.Errorf("%s: %d events, %v, %v", device, span.Len(), s.Attributes, err)
		}
	}
}

// What a user decided of what is gone is remembered in snapshots.
func TestSnapshotsRememberFormerEntries(t *testing.T) {
	path := tempDB(t)
	h := openHouse(t, path, statehouse.Options{})
	mustAppend(t, h,
		eventstore.Event{Payload: &eventv1.Payload{Kind: &eventv1.Payload_DeviceRegistered{
			DeviceRegistered: &eventv1.DeviceRegistered{Device: &entityv1.Device{Id: "d", UserName: "Lamp"}},
		}}},
		check.RegisterEvent(&entityv1.Entity{Id: "sensor.a", UniqueId: "u", DeviceId: "d", UserName: "Watts"}),
		check.RegisterEvent(&entityv1.Entity{Id: "sensor.b", UniqueId: "v", DeviceId: "d"}),
		check.UnregisterEvent("sensor.a"), check.UnregisterEvent("sensor.b"),
		check.RegisterEvent(&entityv1.Entity{Id: "sensor.a", UniqueId: "w"}), check.UnregisterEvent("sensor.a"),
		eventstore.Event{Payload: &eventv1.Payload{Kind: &eventv1.Payload_DeviceUnregistered{
			DeviceUnregistered: &eventv1.DeviceUnregistered{DeviceId: "d"},
		}}})
	events := readAll(t, h, eventstore.Query{})
	if err := errors.Join(h.Snapshot(t.Context()), h.Close()); err != nil {
		t.Fatal(err)
	}
	compareSnapshots(t, path, events)
}

func ptr[T any](v T) *T { return &v }

func second(_ eventstore.Span, err error) error { return err }
