package registry

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"github.com/statehouse/statehouse/eventstore"
	entityv1 "github.com/statehouse/statehouse/gen/statehouse/entity/v1"
	eventv1 "github.com/statehouse/statehouse/gen/statehouse/event/v1"
	"github.com/statehouse/statehouse/storage"
)

// drawRegistryEvent draws an event that changes a registry.
func drawRegistryEvent(t *rapid.T) eventstore.Event {
	draw := func(what string, n int) string { return fmt.Sprintf("%s%d", what, rapid.IntRange(1, n).Draw(t, what)) }
	id := "light." + draw("l", 15)
	switch rapid.IntRange(0, 8).Draw(t, "kind") {
	case 7:
		return eventstore.Event{Entity: id, Payload: &eventv1.Payload{Kind: &eventv1.Payload_CommandIssued{CommandIssued: &eventv1.CommandIssued{
			Action: draw("a", 3)}}}}
	case 8:
		return eventstore.Event{Entity: id, Payload: &eventv1.Payload{Kind: &eventv1.Payload_CommandSettled{CommandSettled: &eventv1.CommandSettled{
			Command: uint64(rapid.IntRange(1, 60).Draw(t, "command")), Outcome: eventv1.CommandOutcome_COMMAND_OUTCOME_CONFIRMED}}}}
	case 0:
		return eventstore.Event{Entity: id, Payload: &eventv1.Payload{Kind: &eventv1.Payload_EntityUnregistered{EntityUnregistered: &eventv1.EntityUnregistered{}}}}
	case 1:
		return eventstore.Event{Entity: id, Payload: &eventv1.Payload{Kind: &eventv1.Payload_EntityRenamed{
			EntityRenamed: &eventv1.EntityRenamed{NewId: "light." + draw("l", 15)}}}}
	case 2:
		return eventstore.Event{Payload: &eventv1.Payload{Kind: &eventv1.Payload_DeviceRegistered{DeviceRegistered: &eventv1.DeviceRegistered{
			Device: &entityv1.Device{Id: draw("d", 3), UserName: draw("n", 2)}}}}}
	case 3:
		return eventstore.Event{Payload: &eventv1.Payload{Kind: &eventv1.Payload_DeviceUnregistered{DeviceUnregistered: &eventv1.DeviceUnregistered{
			DeviceId: draw("d", 3)}}}}
	case 4:
		return eventstore.Event{Payload: &eventv1.Payload{Kind: &eventv1.Payload_AreaRegistered{AreaRegistered: &eventv1.AreaRegistered{
			Area: &entityv1.Area{Id: draw("a", 3), Name: draw("n", 2)}}}}}
	case 5:
		return eventstore.Event{Payload: &eventv1.Payload{Kind: &eventv1.Payload_AreaUnregistered{AreaUnregistered: &eventv1.AreaUnregistered{
			AreaId: draw("a", 3)}}}}
	default:
		return eventstore.Event{Entity: id, Payload: &eventv1.Payload{Kind: &eventv1.Payload_EntityRegistered{EntityRegistered: &eventv1.EntityRegistered{
			Entity: &entityv1.Entity{Id: id, UniqueId: draw("u", 15), DeviceId: draw("d", 3), UserName: draw("n", 2)}}}}}
	}
}

// A delta makes of the revision that it starts from the one that it was taken of, indexes included, whatever happened
// between the two: entities may have swapped their unique ids.
func TestDeltasComeBack(t *testing.T) {
	dir, n, deltas := t.TempDir(), 0, 0
	rapid.Check(t, func(t *rapid.T) {
		if n++; n > 25 {
			return // each takes a database
		}
		db, err := storage.Open(context.Background(), filepath.Join(dir, fmt.Sprint(n)), storage.Options{})
		if err != nil {
			t.Fatal(err)
		}
		reg := New()
		s, err := eventstore.Open(context.Background(), db, eventstore.Options{})
		if err == nil {
			err = s.Start(context.Background(), reg)
		}
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = errors.Join(s.Close(), db.Close()) }()
		for range 3 {
			for range rapid.IntRange(1, 30).Draw(t, "events") {
				_, err := s.Append(context.Background(), eventstore.Batch{Events: []eventstore.Event{drawRegistryEvent(t)}})
				if err != nil && !errors.Is(err, eventstore.ErrInvalid) {
					t.Fatal(err)
				}
			}
			if err := s.Snapshot(context.Background()); err != nil {
				t.Fatal(err)
			}
			restored := New()
			if err := s.View(context.Background(), func(tx storage.Tx) error {
				_, err := restored.Restore(context.Background(), tx)
				return err
			}); err != nil || len(restored.SnapshotFaults()) > 0 {
				t.Fatal(err, restored.SnapshotFaults())
			}
			if err := sameRevision(restored.Revision(), reg.Revision()); err != nil {
				t.Fatal(err)
			}
		}
		all, err := s.Snapshots(context.Background(), map[string]int{name: FoldVersion})
		for _, info := range all {
			if info.Delta {
				deltas++
			}
		}
		if err := errors.Join(err, s.Verify(context.Background(), New())); err != nil {
			t.Fatal(err)
		}
	})
	if deltas == 0 {
		t.Error("there were no deltas")
	}
}

func sameRevision(got, want Revision) error {
	var wrong []error
	wrong = append(wrong, sameMaps("entities", maps.Collect(got.Entities.All()), maps.Collect(want.Entities.All())),
		sameMaps("devices", maps.Collect(got.Devices.All()), maps.Collect(want.Devices.All())),
		sameMaps("areas", maps.Collect(got.Areas.All()), maps.Collect(want.Areas.All())),
		sameMaps("former entities", maps.Collect(got.FormerEntities.All()), maps.Collect(want.FormerEntities.All())),
		sameMaps("pending commands", maps.Collect(got.Pending.All()), maps.Collect(want.Pending.All())),
		sameMaps("former devices", maps.Collect(got.FormerDevices.All()), maps.Collect(want.FormerDevices.All())))
	if got.Position != want.Position {
		wrong = append(wrong, fmt.Errorf("position %d, want %d", got.Position, want.Position))
	}
	return errors.Join(append(wrong, checkIndexes(got), checkIndexes(want))...)
}

// checkIndexes says where the indexes of a revision are not what follows from its entries: they have the very same messages.
func checkIndexes(r Revision) error {
	byUnique, byDevice := map[string]*entityv1.Entity{}, map[string][]*entityv1.Entity{}
	for _, e := range r.Entities.All() {
		if u := e.GetUniqueId(); u != "" {
			byUnique[u] = e
		}
		if d := e.GetDeviceId(); d != "" {
			byDevice[d] = append(byDevice[d], e)
		}
	}
	for _, entries := range byDevice {
		slices.SortFunc(entries, func(a, b *entityv1.Entity) int { return cmp.Compare(a.GetId(), b.GetId()) })
	}
	if !maps.Equal(maps.Collect(r.byUnique.All()), byUnique) || !maps.EqualFunc(maps.Collect(r.byDevice.All()), byDevice, slices.Equal) {
		return fmt.Errorf("the indexes at %d are not those of the entries", r.Position)
	}
	return nil
}

func sameMaps[M proto.Message](what string, got, want map[string]M) error {
	if !maps.EqualFunc(got, want, func(a, b M) bool { return proto.Equal(a, b) }) {
		return fmt.Errorf("%s: %v, want %v", what, got, want)
	}
	return nil
}

// A snapshot in which two entities have one unique id, or one that is full and removes something, is refused.
func TestSnapshotsThatMakeNoSense(t *testing.T) {
	for name, c := range map[string]struct {
		records []proto.Message
		says    string
	}{
		"one unique id": {[]proto.Message{entityRecord(&entityv1.Entity{Id: "light.a", UniqueId: "u"}),
			entityRecord(&entityv1.Entity{Id: "light.b", UniqueId: "u"})}, "light.a and light.b have one unique id"},
		"removed": {[]proto.Message{&entityv1.RegistryRecord{Entry: &entityv1.RegistryRecord_Area{Area: &entityv1.Area{}}, Removed: true}},
			"removes an entry is in a full snapshot"},
		"nothing": {[]proto.Message{&entityv1.RegistryRecord{}}, "it holds nothing"},
	} {
		t.Run(name, func(t *testing.T) {
			db, err := storage.Open(t.Context(), filepath.Join(t.TempDir(), "log"), storage.Options{})
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = db.Close() }()
			if _, err := eventstore.Open(t.Context(), db, eventstore.Options{}); err != nil {
				t.Fatal(err)
			}
			err = eventstore.WriteSnapshot(t.Context(), db.Writer(), eventstore.SnapshotHeader{Owner: New().Name(), FoldVersion: FoldVersion},
				func(yield func(proto.Message) bool) {
					for _, r := range c.records {
						if !yield(r) {
							return
						}
					}
				})
			if err != nil {
				t.Fatal(err)
			}
			reg := New()
			if _, err := reg.Restore(t.Context(), db.Reader()); err != nil {
				t.Fatal(err)
			}
			if faults := reg.SnapshotFaults(); len(faults) != 1 || !strings.Contains(faults[0].Error(), c.says) {
				t.Errorf("%v", faults)
			}
		})
	}
}
