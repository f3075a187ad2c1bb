package hass

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/statehouse/statehouse/eventstore"
	entityv1 "github.com/statehouse/statehouse/gen/statehouse/entity/v1"
)

// A frozen moment is the house as it was, over both interfaces, and stays so while the house goes on.
func TestFrozen(t *testing.T) {
	house := newHouse(t)
	url := serve(t, house, everyone(), Options{})
	furnish(t, house)
	r := rand.New(rand.NewPCG(4, 4))
	if err := load(t.Context(), house, r, 60); err != nil {
		t.Fatal(err)
	}
	// What the present says is what the same moment says for ever.
	type said struct {
		states                    map[string]folded
		config                    object
		areas, devices, entities  []any
		history, logbook, listing any
	}
	say := func(base string) (s said) {
		s.states = foldedOf(t, base, "reader")
		s.config = get[object](t, base+"/api/config", "reader")
		delete(s.config, "statehouse")
		c := login(t, base, "reader")
		s.areas = must[[]any](c, "config/area_registry/list", nil)
		s.devices = must[[]any](c, "config/device_registry/list", nil)
		s.entities = must[[]any](c, "config/entity_registry/list", nil)
		s.listing = must[any](c, "config/entity_registry/list_for_display", nil)
		s.history = must[any](c, "history/history_during_period", object{"start_time": "2020-01-01T00:00:00Z", "entity_ids": []string{"light.a", "light.hall"}})
		s.logbook = must[any](c, "logbook/get_events", object{"start_time": "2020-01-01T00:00:00Z"})
		return s
	}
	type past struct {
		at, time string
		said     said
	}
	var moments []past
	for range 4 {
		time.Sleep(2 * time.Millisecond) // so that a time tells the moments apart
		e, err := house.Store().Event(t.Context(), house.Now().Position())
		if err != nil {
			t.Fatal(err)
		}
		moments = append(moments, past{fmt.Sprint("@", e.Position), e.RecordedAt.Format(time.RFC3339Nano), say(url)})
		time.Sleep(2 * time.Millisecond)
		if err := load(t.Context(), house, r, 25); err != nil {
			t.Fatal(err)
		}
	}
	for _, m := range moments {
		for _, at := range []string{m.at, m.time, strings.Replace(m.time, "Z", "+00:00", 1)} {
			if diff := cmp.Diff(m.said, say(url+"/at/"+at), cmp.AllowUnexported(said{})); diff != "" {
				t.Errorf("at %s: %s", at, diff)
			}
		}
	}
	own := get[struct{ Statehouse ownConfig }](t, url+"/at/"+moments[0].at+"/api/config", "reader").Statehouse
	if !own.Frozen || fmt.Sprint("@", own.Position) != moments[0].at {
		t.Errorf("got %+v", own)
	}
}

// Subscriptions of a frozen moment give what there is and then nothing, and nothing can be done in it.
func TestFrozenSubscriptions(t *testing.T) {
	house := newHouse(t)
	url := serve(t, house, everyone(), Options{})
	furnish(t, house)
	appendEvents(t, house, lightEvent("light.hall", 50))
	c := login(t, url+"/at/@9", "anything")
	entities := c.command("subscribe_entities", object{"entity_ids": []string{"light.hall"}})
	_ = c.next()
	if e := string(c.event(entities)); !strings.Contains(e, `"brightness":100`) {
		t.Errorf("got %s", e)
	}
	must[any](c, "subscribe_events", nil)
	history := c.command("history/stream", object{"start_time": "2020-01-01T00:00:00Z", "entity_ids": []string{"light.hall"}})
	_ = c.next()
	if e := string(c.event(history)); strings.Contains(e, `"brightness":50`) || !strings.Contains(e, `"brightness":100`) {
		t.Errorf("got %s", e)
	}
	logbook := c.command("logbook/event_stream", object{"start_time": "2020-01-01T00:00:00Z"})
	_ = c.next()
	if e := string(c.event(logbook)); !strings.Contains(e, `"light.hall"`) {
		t.Errorf("got %s", e)
	}
	for _, name := range []string{"call_service", "fire_event"} {
		if r := c.call(name, object{"domain": "light", "service": "turn_on", "event_type": "rang"}); r.Error.Code != codeNotSupported {
			t.Errorf("%s: %+v", name, r)
		}
	}
	if status, body := ask(t, http.MethodPost, url+"/at/@9/api/services/light/turn_on", "anything", `{"entity_id":"all"}`); status != http.StatusBadRequest ||
		!strings.Contains(string(body), "as it was") {
		t.Errorf("a service was called in the past: %d %s", status, body)
	}
	appendEvents(t, house, lightEvent("light.hall", 60), customEvent("hass.rang", "{}"), unregisterEvent("light.hall"))
	if m, err := c.tryNext(300 * time.Millisecond); err == nil {
		t.Errorf("got %s", m)
	}
	if status, _ := ask(t, http.MethodPost, url+"/at/@9/api/events/rang", "anything", ""); status != http.StatusBadRequest {
		t.Errorf("an event was fired in the past: %d", status)
	}
}

func TestMomentsThatThereAreNot(t *testing.T) {
	house := newHouse(t)
	url := serve(t, house, everyone(), Options{})
	furnish(t, house)
	for at, want := range map[string]int{"@99": 400, "yesterday": 400, "@-1": 400, "@0": 200, "oldest": 200, "2020-01-01T00:00:00Z": 200, "2100-01-01T00:00:00Z": 200} {
		if status, body := ask(t, http.MethodGet, url+"/at/"+at+"/api/states", "reader", ""); status != want {
			t.Errorf("%s: %d %s", at, status, body)
		}
	}
	// What a client is told who comes by WebSocket, and no sooner than he is known.
	c := connect(t, url+"/at/@99")
	_ = c.next()
	c.send(object{"type": "auth", "access_token": "reader"})
	if m := string(c.next()); !strings.Contains(m, "auth_invalid") || !strings.Contains(m, "99") {
		t.Errorf("got %s", m)
	}
	c.wantClosed()
	appendEvents(t, house, lightEvent("light.hall", 40))
	if _, err := house.Compact(t.Context(), 9, eventstore.CompactOptions{}); err != nil {
		t.Fatal(err)
	}
	if status, body := ask(t, http.MethodGet, url+"/at/@3/api/states", "reader", ""); status != http.StatusGone {
		t.Errorf("%d %s", status, body)
	}
	// What is left of a history is given, and contexts of what is gone have no parents.
	if h := get[[][]object](t, url+"/api/history/period/2020-01-01T00:00:00Z?filter_entity_id=light.hall&end_time=2100-01-01T00:00:00Z", "reader"); len(h) != 1 {
		t.Errorf("got %v", h)
	}
	appendEvents(t, house, entityEvent(&entityv1.Entity{Id: "light.hall", UniqueId: "3", Name: "Other"}))
	if s := get[object](t, url+"/api/states/light.hall", "reader"); s["attributes"].(object)["friendly_name"] != "Other" {
		t.Errorf("got %v", s)
	}
}
