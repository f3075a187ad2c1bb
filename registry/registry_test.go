package registry_test

import (
	"errors"
	"testing"

	"go.uber.org/goleak"
	"google.golang.org/protobuf/proto"

	"github.com/statehouse/statehouse/eventstore"
	entityv1 "github.com/statehouse/statehouse/gen/statehouse/entity/v1"
	eventv1 "github.com/statehouse/statehouse/gen/statehouse/event/v1"
	"github.com/statehouse/statehouse/internal/check"
	"github.com/statehouse/statehouse/registry"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// apply folds events and promotes them; an error discards the last one.
func apply(t *testing.T, r *registry.Registry, events ...eventstore.Event) error {
	t.Helper()
	for _, e := range events {
		e.Position = r.Pending().Position + 1
		if err := r.Apply(t.Context(), nil, e); err != nil {
			r.Discard()
			return err
		}
		r.Promote()
	}
	return nil
}

func device(d *entityv1.Device) eventstore.Event {
	return eventstore.Event{Payload: &eventv1.Payload{
		Kind: &eventv1.Payload_DeviceRegistered{DeviceRegistered: &eventv1.DeviceRegistered{Device: d}},
	}}
}

func area(a *entityv1.Area) eventstore.Event {
	return eventstore.Event{Payload: &eventv1.Payload{
		Kind: &eventv1.Payload_AreaRegistered{AreaRegistered: &eventv1.AreaRegistered{Area: a}},
	}}
}

func TestNamesAndAreas(t *testing.T) {
	r := registry.New()
	err := apply(t, r,
		area(&entityv1.Area{Id: "kitchen", Name: "Kitchen"}), area(&entityv1.Area{Id: "cellar", Name: "Cellar"}),
		device(&entityv1.Device{Id: "d1", Name: "lamp", Source: "s", AreaId: "kitchen"}),
		device(&entityv1.Device{Id: "d2", Name: "old", UserName: "Fridge", Source: "s"}),
		check.RegisterEvent(&entityv1.Entity{Id: "light.lamp", DeviceId: "d1"}),
		check.RegisterEvent(&entityv1.Entity{Id: "sensor.lamp_power", DeviceId: "d1", Name: "Power", AreaId: "cellar"}),
		check.RegisterEvent(&entityv1.Entity{Id: "sensor.fridge", DeviceId: "d2", Name: "Temperature"}),
		check.RegisterEvent(&entityv1.Entity{Id: "sensor.mine", DeviceId: "d2", Name: "x", UserName: "Mine"}),
		check.RegisterEvent(&entityv1.Entity{Id: "sensor.alone", Name: "Alone"}),
	)
	if err != nil {
		t.Fatal(err)
	}
	rev := r.Revision()
	for id, want := range map[string][2]string{
		"light.lamp": {"lamp", "Kitchen"}, "sensor.lamp_power": {"lamp Power", "Cellar"},
		"sensor.fridge": {"Fridge Temperature", ""}, "sensor.mine": {"Mine", ""},
		"sensor.alone": {"Alone", ""}, "sensor.unknown": {"sensor.unknown", ""},
	} {
		if got := [2]string{rev.DisplayName(id), rev.AreaOf(id).GetName()}; got != want {
			t.Errorf("%s: %v, want %v", id, got, want)
		}
	}
	if d := rev.DevicesBySource("s"); len(d) != 2 || d[0].GetId() != "d1" || d[1].GetId() != "d2" {
		t.Errorf("devices %v", d)
	}
}

// What a user decided is remembered of what is gone, until it is back.
func TestFormerEntriesAreRemembered(t *testing.T) {
	r := registry.New()
	entity := &entityv1.Entity{Id: "light.a", UniqueId: "ua", DeviceId: "d", Name: "n", UserName: "A", AreaId: "kitchen", UserDisabled: proto.Bool(true)}
	gone := func(id string) eventstore.Event {
		return eventstore.Event{Payload: &eventv1.Payload{
			Kind: &eventv1.Payload_DeviceUnregistered{DeviceUnregistered: &eventv1.DeviceUnregistered{DeviceId: id}},
		}}
	}
	expect := func(entities, devices int, events ...eventstore.Event) registry.Revision {
		t.Helper()
		if err := apply(t, r, events...); err != nil {
			t.Fatal(err)
		}
		rev := r.Revision()
		if rev.FormerEntities.Len() != entities || rev.FormerDevices.Len() != devices {
			t.Errorf("%d former entities and %d devices, want %d and %d", rev.FormerEntities.Len(), rev.FormerDevices.Len(), entities, devices)
		}
		return rev
	}
	named := device(&entityv1.Device{Id: "d", Name: "n", UserName: "D", AreaId: "cellar"})
	expect(0, 0, named, device(&entityv1.Device{Id: "plain", Name: "n"}), check.RegisterEvent(entity),
		check.RegisterEvent(&entityv1.Entity{Id: "light.loner"}))
	before := expect(1, 1, check.UnregisterEvent("light.a"), check.UnregisterEvent("light.loner"), gone("d"), gone("plain"), gone("never"))
	e, _ := before.FormerEntities.Get("ua")
	want := &entityv1.Entity{Id: "light.a", UniqueId: "ua", UserName: "A", AreaId: "kitchen", UserDisabled: proto.Bool(true)}
	if !proto.Equal(e, want) {
		t.Errorf("%v, want %v", e, want)
	}
	d, _ := before.FormerDevices.Get("d")
	if want := (&entityv1.Device{Id: "d", UserName: "D", AreaId: "cellar"}); !proto.Equal(d, want) {
		t.Errorf("%v, want %v", d, want)
	}
	// Another one may have the id meanwhile; one that loses its id to another is gone, too.
	expect(1, 1, check.RegisterEvent(&entityv1.Entity{Id: "light.a", UniqueId: "ub"}))
	expect(2, 1, check.RegisterEvent(&entityv1.Entity{Id: "light.a", UniqueId: "uc"}))
	expect(1, 0, check.RegisterEvent(&entityv1.Entity{Id: "light.b", UniqueId: "ua"}), named)
	if before.FormerEntities.Len() != 1 {
		t.Error("the revision from before changed")
	}
}

// The indexes follow every way in which an entry comes, changes, moves and goes.
func TestIndexes(t *testing.T) {
	r := registry.New()
	if err := apply(t, r,
		check.RegisterEvent(&entityv1.Entity{Id: "light.b", UniqueId: "ub", DeviceId: "d"}),
		check.RegisterEvent(&entityv1.Entity{Id: "light.a", UniqueId: "ua", DeviceId: "d"}),
	); err != nil {
		t.Fatal(err)
	}
	before := r.Revision()
	if err := apply(t, r, check.RegisterEvent(&entityv1.Entity{Id: "light.c", UniqueId: "ua"})); !errors.Is(err, eventstore.ErrInvalid) {
		t.Errorf("a second entity of one unique id: %v", err)
	}
	if err := apply(t, r, check.RenameEvent("light.a", "light.b")); !errors.Is(err, eventstore.ErrInvalid) {
		t.Errorf("a rename onto another entity: %v", err)
	}
	if err := apply(t, r, check.RenameEvent("light.x", "light.y")); !errors.Is(err, eventstore.ErrInvalid) {
		t.Errorf("a rename of nothing: %v", err)
	}
	if err := apply(t, r,
		check.RenameEvent("light.a", "light.z"), check.RenameEvent("light.b", "light.b"),
		check.RegisterEvent(&entityv1.Entity{Id: "light.b", UniqueId: "ub2", DeviceId: "d2"}),
	); err != nil {
		t.Fatal(err)
	}
	rev := r.Revision()
	for unique, want := range map[string]string{"ua": "light.z", "ub": "", "ub2": "light.b"} {
		if e, _ := rev.EntityByUniqueID(unique); e.GetId() != want {
			t.Errorf("%s leads to %q, want %q", unique, e.GetId(), want)
		}
	}
	for device, want := range map[string]string{"d": "light.z", "d2": "light.b"} {
		if es := rev.DeviceEntities(device); len(es) != 1 || es[0].GetId() != want {
			t.Errorf("%s has %v, want %s", device, es, want)
		}
	}
	if err := apply(t, r, check.UnregisterEvent("light.z"), check.UnregisterEvent("light.none")); err != nil {
		t.Fatal(err)
	}
	if es := r.Revision().DeviceEntities("d"); len(es) != 0 {
		t.Errorf("after the removal: %v", es)
	}
	if es := before.DeviceEntities("d"); len(es) != 2 || es[0].GetId() != "light.a" || es[1].GetId() != "light.b" {
		t.Errorf("the revision from before changed: %v", es)
	}
}

// A revision keeps its lists of a device's entities, whatever is added in front of them later.
func TestRevisionsKeepTheirLists(t *testing.T) {
	r := registry.New()
	var before []registry.Revision
	for _, name := range []string{"h", "g", "f", "e", "d", "c", "b", "a"} {
		if err := apply(t, r, check.RegisterEvent(&entityv1.Entity{Id: "light." + name, DeviceId: "d"})); err != nil {
			t.Fatal(err)
		}
		before = append(before, r.Revision())
	}
	for range 8 {
		if err := apply(t, r, check.UnregisterEvent(r.Revision().DeviceEntities("d")[0].GetId())); err != nil {
			t.Fatal(err)
		}
	}
	for i, rev := range before {
		entries := rev.DeviceEntities("d")
		if len(entries) != i+1 || entries[0].GetId() != "light."+string(rune('h'-i)) || entries[i].GetId() != "light.h" {
			t.Errorf("revision %d: %v", i+1, entries)
		}
	}
}

// A registry goes on from any revision, also from an empty one, whose maps may be nil.
func TestNewAt(t *testing.T) {
	for _, rev := range []registry.Revision{{}, {Position: 5}} {
		r := registry.NewAt(rev)
		e := check.RegisterEvent(&entityv1.Entity{Id: "light.a", UniqueId: "u", DeviceId: "d"})
		e.Position = rev.Position + 1
		if err := r.Apply(t.Context(), nil, e); err != nil {
			t.Error(err)
		}
		r.Promote()
		after := r.Revision()
		if _, ok := after.EntityByUniqueID("u"); !ok || after.Position != rev.Position+1 || len(after.DeviceEntities("d")) != 1 {
			t.Errorf("behind position %d: %+v", rev.Position, after)
		}
	}
}
