package api

import (
	"encoding/json"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/statehouse/statehouse"
	"github.com/statehouse/statehouse/eventstore"
	entityv1 "github.com/statehouse/statehouse/gen/statehouse/entity/v1"
	eventv1 "github.com/statehouse/statehouse/gen/statehouse/event/v1"
	"github.com/statehouse/statehouse/internal/check"
)

// TestPending: a command is in the states from its event on, up to the one that settles it, and in no state of an earlier
// position, also where names are of a later moment.
func TestPending(t *testing.T) {
	h, err := statehouse.Open(filepath.Join(t.TempDir(), "home.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = h.Close() }()
	issued := func(action string) eventstore.Event {
		seven := &entityv1.Value{Kind: &entityv1.Value_IntValue{IntValue: 7}}
		return eventstore.Event{Entity: "light.a", Source: "api:x", Payload: &eventv1.Payload{Kind: &eventv1.Payload_CommandIssued{
			CommandIssued: &eventv1.CommandIssued{Action: action, Deadline: 1e9, Arguments: []*entityv1.Field{{Name: "brightness", Value: seven}}},
		}}}
	}
	settled := eventstore.Event{Entity: "light.a", Payload: &eventv1.Payload{Kind: &eventv1.Payload_CommandSettled{
		CommandSettled: &eventv1.CommandSettled{Command: 2, Outcome: eventv1.CommandOutcome_COMMAND_OUTCOME_TIMED_OUT},
	}}}
	if _, err := h.Append(t.Context(), check.RegisterEvent(&entityv1.Entity{Id: "light.a"}), issued("turn_on"), issued("turn_off"), settled); err != nil {
		t.Fatal(err)
	}
	now := h.Now()
	for at, want := range [][]eventstore.Position{1: nil, 2: {2}, 3: {2, 3}, 4: {3}} {
		if at == 0 {
			continue
		}
		m, err := h.AsOf(t.Context(), eventstore.Position(at))
		if err != nil {
			t.Fatal(err)
		}
		s, _ := m.State.Get("light.a")
		w, err := NewState(m, s)
		if err != nil {
			t.Fatal(err)
		}
		var got []eventstore.Position
		for _, p := range w.Pending {
			got = append(got, p.Position)
		}
		if !slices.Equal(got, want) {
			t.Errorf("at %d %v waits, and should %v", at, got, want)
		}
		for _, p := range PendingOf(now, s) {
			if p.GetPosition() > uint64(at) {
				t.Errorf("the state at %d has the command at %d", at, p.GetPosition())
			}
		}
	}
	before, err := h.AsOf(t.Context(), 3)
	if err != nil {
		t.Fatal(err)
	}
	changes, err := NewChanges(before, now)
	if err != nil || len(changes) != 1 || !slices.Equal(changes[0].What, []Changed{ChangedPending}) {
		t.Errorf("got %+v, %v", changes, err)
	}
	e, err := h.Store().Event(t.Context(), 2)
	if err != nil {
		t.Fatal(err)
	}
	w, err := NewEvent(e)
	if want := `{"action":"turn_on","arguments":{"brightness":7},"deadline":"1970-01-01T00:00:01Z"}`; err != nil || string(w.Data) != want {
		t.Errorf("got %s, %v", w.Data, err)
	}
}

// TestCommandRequests: what is no command, and that a code is in no error.
func TestCommandRequests(t *testing.T) {
	for _, c := range []Command{
		{Arguments: map[string]json.RawMessage{"code": json.RawMessage("47x11")}}, {Timeout: -1}, {Timeout: 1e300},
	} {
		_, err := c.Request("lock.a")
		_, timeout := c.TimeoutDuration()
		if err == nil && timeout == nil || err != nil && strings.Contains(err.Error(), "47") {
			t.Errorf("%+v: %v", c, err)
		}
	}
}
