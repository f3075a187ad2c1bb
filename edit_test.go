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

func ptr[T any](v T) *T { return &v }

func second(_ eventstore.Span, err error) error { return err }
