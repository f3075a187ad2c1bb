package client

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/statehouse/statehouse"
	"github.com/statehouse/statehouse/eventstore"
	entityv1 "github.com/statehouse/statehouse/gen/statehouse/entity/v1"
	eventv1 "github.com/statehouse/statehouse/gen/statehouse/event/v1"
	"github.com/statehouse/statehouse/internal/dispatch/dispatchtest"
)

// TestCommands: what becomes of them, over a real house, and which errors there are.
func TestCommands(t *testing.T) {
	h := newHouse(t)
	devices, dispatcher := dispatchtest.New(h)
	events := []eventstore.Event{
		dispatchtest.Light("light.a"), dispatchtest.Entity(&entityv1.Entity{Id: "light.off", UniqueId: "2", Disabled: true}),
		dispatchtest.Light("light.gone"), light("light.a", false),
		{Entity: "light.gone", Payload: &eventv1.Payload{Kind: &eventv1.Payload_StateChanged{StateChanged: &eventv1.StateChanged{
			Attributes: &entityv1.Attributes{Availability: entityv1.Availability_AVAILABILITY_OFFLINE},
		}}}},
	}
	if _, err := h.Append(t.Context(), events...); err != nil {
		t.Fatal(err)
	}
	c := dial(t, serveCommands(t, h, dispatcher).URL, token)
	r, err := c.Call(t.Context(), Command{Entity: "light.a", Action: "turn_on", Arguments: []*entityv1.Field{Argument("brightness", 9)}, Wait: true})
	if err != nil || r.Outcome != eventv1.CommandOutcome_COMMAND_OUTCOME_CONFIRMED || r.Command != 6 || r.Settled != 8 || r.Deadline.IsZero() {
		t.Fatal(r, err)
	}
	if e, err := c.Get(t.Context(), "light.a", At{}); err != nil || e.Text != "on" || e.Attributes.GetLight().GetBrightness() != 9 || e.Pending != nil {
		t.Error(e, err)
	}
	devices.Take(dispatchtest.Silent)
	r, err = c.Call(t.Context(), Command{Entity: "light.a", Action: "turn_off", Timeout: time.Minute, Cause: 1, CorrelationID: "mine"})
	if err != nil || r.Outcome != 0 || r.Settled != 0 {
		t.Fatal(r, err)
	}
	e, err := c.Get(t.Context(), "light.a", At{})
	if err != nil || len(e.Pending) != 1 || e.Pending[0].GetSource() != "api:test" || e.Pending[0].GetCorrelationId() != "mine" {
		t.Error(e, err)
	}
	issued, err := h.Store().Event(t.Context(), r.Command)
	if err != nil || issued.CausePosition != 1 || r.Deadline.Sub(issued.Timestamp) != time.Minute {
		t.Error(issued, err)
	}
	for name, cmd := range map[error]Command{
		eventstore.ErrInvalid:     {Entity: "light.a", Action: "dance"},
		statehouse.ErrNotFound:    {Entity: "light.none", Action: "turn_on"},
		ErrUnsupported:            {Entity: "light.a", Action: "turn_on", Arguments: []*entityv1.Field{Argument("effect", "x")}},
		ErrDisabled:               {Entity: "light.off", Action: "turn_on"},
		eventstore.ErrUnavailable: {Entity: "light.gone", Action: "turn_on"},
	} {
		var answer *Error
		if _, err := c.Call(t.Context(), cmd); !errors.Is(err, name) || !errors.As(err, &answer) {
			t.Errorf("want %v, got %v", name, err)
		}
	}
	if _, err := dial(t, serve(t, h, nil).URL, "some").Call(t.Context(), Command{Entity: "light.a", Action: "turn_on"}); !errors.Is(err, ErrForbidden) {
		t.Error(err)
	}
}

// TestActions: what a light can be asked to do.
func TestActions(t *testing.T) {
	h := newHouse(t)
	if _, err := h.Append(t.Context(), dispatchtest.Light("light.a")); err != nil {
		t.Fatal(err)
	}
	c := dial(t, serve(t, h, nil).URL, token)
	all, err := c.Actions(t.Context(), "light.a")
	var names []string
	for _, a := range all {
		names = append(names, a.GetName())
	}
	if err != nil || fmt.Sprint(names) != "[toggle turn_off turn_on]" {
		t.Error(names, err)
	}
	if _, err := c.Actions(t.Context(), "light.none"); !errors.Is(err, statehouse.ErrNotFound) {
		t.Error(err)
	}
}

func TestArgument(t *testing.T) {
	for want, f := range map[string]*entityv1.Field{
		"int_value:3": Argument("x", 3), "double_value:0.5": Argument("x", 0.5),
		`string_value:"red"`: Argument("x", "red"), "bool_value:true": Argument("x", true),
	} {
		if got := f.GetValue().String(); got != want || f.GetName() != "x" {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}
