package hass

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/statehouse/statehouse/eventstore"
	entityv1 "github.com/statehouse/statehouse/gen/statehouse/entity/v1"
	"github.com/statehouse/statehouse/internal/access"
	"github.com/statehouse/statehouse/state"
)

func TestREST(t *testing.T) {
	house := newHouse(t)
	furnish(t, house)
	url := serve(t, house, everyone(), Options{Version: "1.2.3"})
	for _, test := range []struct {
		method, path, token, body string
		status                    int
		answer                    string // a part of it
	}{
		{"GET", "/api/", "none-at-all", "", 401, `{"message":"401: Unauthorized"}`},
		{"GET", "/api/", "writer", "", 200, `{"message":"API running."}`},
		{"HEAD", "/api/states", "reader", "", 200, ``},
		{"GET", "/api/config", "reader", "", 200, `"statehouse":{"version":"1.2.3","position":9,"frozen":false}`},
		{"GET", "/api/config", "reader", "", 200, `"components":["api","history","homeassistant","light","logbook","recorder","sensor","switch","websocket_api"]`},
		{"GET", "/api/config", "lights", "", 200, `"components":["api","history","homeassistant","light","logbook","recorder","websocket_api"]`},
		{"GET", "/api/core/state", "reader", "", 200, `"state":"RUNNING"`},
		{"GET", "/api/services", "reader", "", 200, `"brightness":{"required":false,"selector":{"number":{"max":255,"min":0}}}`},
		{"GET", "/api/services", "reader", "", 200, `{"domain":"homeassistant","services":{"toggle":{"name":"toggle"`},
		{"GET", "/api/events", "reader", "", 200, `"state_changed"`},
		{"GET", "/api/states/light.hall", "lights", "", 200, `"friendly_name":"Lamp"`},
		{"GET", "/api/states/Light.Hall", "lights", "", 200, `"friendly_name":"Lamp"`},
		{"GET", "/api/history/period?filter_entity_id=Light.Hall,%20light.none", "lights", "", 200, `"entity_id":"light.hall"`},
		{"GET", "/api/logbook?entity=light.none,%20Light.Hall", "reader", "", 200, `"state":"on"`},
		{"GET", "/api/states/sensor.plug_power", "lights", "", 404, `{"message":"Entity not found."}`},
		{"GET", "/api/states/light.off", "reader", "", 404, `{"message":"Entity not found."}`},
		{"GET", "/api/states/Not%20One", "reader", "", 404, `{"message":"Entity not found."}`},
		{"POST", "/api/states/light.hall", "anything", `{"state":"on"}`, 405, `cannot be set`},
		{"PUT", "/api/states/light.hall", "anything", ``, 405, `Method Not Allowed`},
		{"POST", "/api/services/light/turn_on", "anything", `{}`, 400, `must contain at least one of entity_id, device_id, area_id.`},
		{"POST", "/api/services/light/dance", "anything", `{}`, 400, `Service light.dance not found.`},
		{"POST", "/api/services/light/turn_on", "anything", `{"entity_id":"light.hall"}`, 503, `commands are not taken yet`},
		{"POST", "/api/services/light/turn_on?return_response", "anything", `{"entity_id":"light.hall"}`, 400, `no service here returns a response`},
		{"POST", "/api/services/light/turn_on", "anything", `[]`, 400, `should be a JSON object`},
		{"POST", "/api/services/light/turn_on", "reader", `{"entity_id":"light.hall"}`, 403, `Unauthorized`},
		{"POST", "/api/template", "reader", `{}`, 400, `{"message":`},
		{"POST", "/api/events/rang", "anything", `[1]`, 400, `{"message":"Event data should be a JSON object"}`},
		{"POST", "/api/events/rang", "anything", `{"a"`, 400, `{"message":"Event data should be valid JSON."}`},
		{"POST", "/api/events/state_changed", "anything", `{}`, 400, `cannot be fired`},
		{"POST", "/api/events/" + strings.Repeat("x", 65), "anything", ``, 400, `{"message":`},
		{"POST", "/api/events/a%00b", "anything", ``, 400, `{"message":`},
		{"POST", "/api/events/rang", "anything", `"` + strings.Repeat("x", maxMessageBytes) + `"`, 413, `{"message":`},
		{"POST", "/api/events/rang", "writer", `{"who":"me"}`, 200, `{"message":"Event rang fired."}`},
		{"GET", "/api/history/period", "reader", "", 400, `{"message":"filter_entity_id is missing"}`},
		{"GET", "/api/history/period/then?filter_entity_id=light.hall", "reader", "", 400, `{"message":"Invalid datetime"}`},
		{"GET", "/api/history/period?filter_entity_id=Hall", "reader", "", 400, `{"message":`},
		{"GET", "/api/history/period?filter_entity_id=light.hall&end_time=then", "reader", "", 400, `{"message":"Invalid end_time"}`},
		{"GET", "/api/history/period/2100-01-01T00:00:00Z?filter_entity_id=light.hall", "reader", "", 200, `[]`},
		{"GET", "/api/history/period?filter_entity_id=sensor.plug_power,light.hall", "lights", "", 200, `"entity_id":"light.hall"`},
		{"GET", "/api/logbook?period=none", "reader", "", 400, `{"message":"period`},
		{"GET", "/api/logbook?entity=light.hall", "reader", "", 200, `"state":"on"`},
		{"GET", "/api/discovery_info", "reader", "", 404, `{"message":`},
		{"GET", "/api/websocket", "", "", 400, `{"message":`},
		{"GET", "/at/nowhen/api/states", "reader", "", 400, `{"message":`},
	} {
		status, body := ask(t, test.method, url+test.path, test.token, test.body)
		if status != test.status || !strings.Contains(string(body), test.answer) {
			t.Errorf("%s %s as %s: %d %s", test.method, test.path, test.token, status, body)
		}
	}
	e, err := house.Store().Event(t.Context(), house.Now().Position())
	if err != nil || e.Kind != "hass.rang" || e.Source != "api:writer" || string(e.Payload.GetCustom().GetValue()) != `{"who":"me"}` {
		t.Errorf("got %+v, %v", e, err)
	}
	if head := house.Now().Position(); head != 10 {
		t.Errorf("more was recorded: the log ends at %d", head)
	}
}

// An event that somebody fires comes to who listens, by both ways, and only to who may hear of everything.
func TestFiredEvents(t *testing.T) {
	house := newHouse(t)
	furnish(t, house)
	url := serve(t, house, everyone(), Options{})
	all, rang, lights, sse := login(t, url, "reader"), login(t, url, "reader"), login(t, url, "lights"), follow(t, url, "reader")
	allID := all.call("subscribe_events", nil).ID
	rangID := rang.call("subscribe_events", object{"event_type": "rang"}).ID
	lightsID := lights.call("subscribe_events", nil).ID
	w := login(t, url, "writer")
	fired := must[struct{ Context eventContext }](w, "fire_event", object{"event_type": "rang", "event_data": object{"door": "<front>"}}).Context
	if at, ok := parseContextID(fired.ID); !ok || at.position != house.Now().Position() || *fired.UserID != "writer" {
		t.Errorf("got %+v", fired)
	}
	// Kinds that look like events of ours are not told.
	appendEvents(t, house, customEvent("hass.state_changed", `{"entity_id":"light.hall"}`), customEvent("acme.raw", "\xff"), lightEvent("light.hall", 3))
	for _, e := range [][]byte{all.event(allID), rang.event(rangID), []byte(sse.next())} {
		if s := string(e); !strings.Contains(s, `"event_type":"rang"`) || !strings.Contains(s, `"door":"<front>"`) || !strings.Contains(s, fired.ID) {
			t.Errorf("got %s", s)
		}
	}
	if e := string(all.event(allID)); !strings.Contains(e, `"event_type":"acme.raw"`) || !strings.Contains(e, `"base64":"/w=="`) {
		t.Errorf("got %s", e)
	}
	for _, e := range [][]byte{all.event(allID), lights.event(lightsID), []byte(sse.next())} {
		if s := string(e); !strings.Contains(s, `"event_type":"state_changed"`) || !strings.Contains(s, `"brightness":3`) {
			t.Errorf("got %s", s)
		}
	}
}

// Who is restricted to some entities sees of the registry, and hears of it, only what those belong to.
func TestRestricted(t *testing.T) {
	house := newHouse(t)
	furnish(t, house)
	who := everyone()
	who["plug"] = access.NewIdentity("plug", access.Read, []string{"switch.*"}, nil)
	url := serve(t, house, who, Options{})
	c := login(t, url, "plug")
	names := func(kind, key string) (ids []string) {
		for _, e := range must[[]object](c, kind, nil) {
			ids = append(ids, e[key].(string))
		}
		return ids
	}
	if ids := names("config/area_registry/list", "area_id"); !slices.Equal(ids, []string{"kitchen"}) {
		t.Errorf("areas %v", ids)
	}
	if ids := names("config/device_registry/list", "id"); !slices.Equal(ids, []string{"z2m/0x01"}) {
		t.Errorf("devices %v", ids)
	}
	if ids := names("config/entity_registry/list", "entity_id"); !slices.Equal(ids, []string{"switch.plug"}) {
		t.Errorf("entities %v", ids)
	}
	if ids := names("get_states", "entity_id"); !slices.Equal(ids, []string{"switch.plug"}) {
		t.Errorf("states %v", ids)
	}
	if r := c.call("config/entity_registry/get", object{"entity_id": "light.hall"}); r.Error.Code != codeNotFound {
		t.Errorf("got %+v", r)
	}
	if r := must[object](c, "config/entity_registry/get", object{"entity_id": "switch.plug"}); r["device_id"] != "z2m/0x01" || r["original_name"] != nil {
		t.Errorf("got %v", r)
	}
	span := object{"start_time": "2020-01-01T00:00:00Z", "entity_ids": []string{"light.hall", "switch.plug"}}
	if h := must[object](c, "history/history_during_period", span); h["light.hall"] != nil || h["switch.plug"] == nil {
		t.Errorf("got %v", h)
	}
	for _, fields := range []object{span, {"start_time": "2020-01-01T00:00:00Z"}, {"start_time": "2020-01-01T00:00:00Z", "device_ids": []string{"z2m/0x01"}}} {
		for _, e := range must[[]object](c, "logbook/get_events", fields) {
			if e["entity_id"] != "switch.plug" {
				t.Errorf("got %v", e)
			}
		}
	}
	user := must[user](c, "auth/current_user", nil)
	if user.IsAdmin || user.IsOwner || user.ID != "plug" {
		t.Errorf("got %+v", user)
	}
	id := c.call("subscribe_events", nil).ID
	appendEvents(t, house,
		areaEvent("hall", "Hall"), deviceEvent(&entityv1.Device{Id: "other", Name: "Other"}), lightEvent("light.hall", 1),
		customEvent("hass.rang", "{}"), entityEvent(&entityv1.Entity{Id: "light.new"}), renameEvent("light.hall", "light.aisle"),
		areaEvent("kitchen", "Galley"),
	)
	if e := string(c.event(id)); !strings.Contains(e, `"action":"update","area_id":"kitchen"`) {
		t.Errorf("got %s", e)
	}
	appendEvents(t, house, deviceEvent(&entityv1.Device{Id: "z2m/0x01", Name: "Socket"}))
	appendEvents(t, house, renameEvent("switch.plug", "switch.socket"))
	var got []string
	for range 5 {
		got = append(got, string(c.event(id)))
	}
	for i, part := range []string{
		`"friendly_name":"Socket"`, `"action":"update","changes":{},"device_id":"z2m/0x01"`, `"new_state":null`, `"old_state":null`,
		`"entity_id":"switch.socket","old_entity_id":"switch.plug"`,
	} {
		if !strings.Contains(got[i], part) {
			t.Errorf("want %s, got %s", part, got[i])
		}
	}
}

// Histories are what a walk through the past finds, the long way.
func TestHistory(t *testing.T) {
	house := newHouse(t)
	url := serve(t, house, everyone(), Options{})
	furnish(t, house)
	r := rand.New(rand.NewPCG(3, 3))
	var marks []time.Time
	for range 3 {
		if err := load(t.Context(), house, r, 50); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Millisecond)
		marks = append(marks, time.Now())
		time.Sleep(2 * time.Millisecond)
	}
	c := login(t, url, "reader")
	from, to := marks[0], marks[1]
	first, last := positionAt(t, house.Store(), from), positionAt(t, house.Store(), to)
	for _, significant := range []bool{true, false} {
		for _, id := range []string{"light.a", "light.b", "light.c", "light.d", "light.e", "sensor.power"} {
			type r struct {
				State string
				At    string
			}
			var want []r
			var was state.State
			for p := first; p <= last; p++ {
				m, err := house.AsOf(t.Context(), p)
				if err != nil {
					t.Fatal(err)
				}
				is, has := m.State.Get(id)
				text := state.Text(is.Attributes)
				switch {
				case !has:
				case p == first:
					want = append(want, r{text, stamp(from).String()})
				case was.EntityID == "" || text != state.Text(was.Attributes) || !significant && !is.ChangedAt.Equal(was.ChangedAt):
					// One that came by another's id is no event of its own id.
					e, err := house.Store().Event(t.Context(), p)
					if err != nil {
						t.Fatal(err)
					}
					if e.Kind != eventstore.KindEntityRenamed {
						want = append(want, r{text, stamp(is.ChangedAt).String()})
					}
				}
				was = is
			}
			path := fmt.Sprintf("%s/api/history/period/%s?filter_entity_id=%s&end_time=%s", url, from.UTC().Format(time.RFC3339Nano), id, to.UTC().Format(time.RFC3339Nano))
			if !significant {
				path += "&significant_changes_only=0"
			}
			var got []r
			for _, list := range get[[][]object](t, path, "reader") {
				for _, s := range list {
					got = append(got, r{s["state"].(string), s["last_changed"].(string)})
				}
			}
			if !slices.Equal(got, want) {
				t.Errorf("%s, significant %v:\ngot  %v\nwant %v", id, significant, got, want)
			}
			minimal := get[[][]object](t, path+"&minimal_response&no_attributes", "reader")
			ws := must[map[string][]object](c, "history/history_during_period", object{
				"start_time": from.UTC().Format(time.RFC3339Nano), "end_time": to.UTC().Format(time.RFC3339Nano), "entity_ids": []string{id},
				"significant_changes_only": significant, "minimal_response": true, "no_attributes": true,
			})[id]
			if len(want) > 0 && (len(minimal[0]) != len(want) || len(ws) != len(want)) {
				t.Fatalf("%s: %d, %d, want %d", id, len(minimal), len(ws), len(want))
			}
			for i := range want {
				whole := i == 0 || i == len(want)-1
				_, attributes := minimal[0][i]["attributes"]
				_, a := ws[i]["a"]
				if minimal[0][i]["state"] != want[i].State || ws[i]["s"] != want[i].State || attributes != whole || a != whole {
					t.Errorf("%s: row %d of %d is %v and %v", id, i, len(want), minimal[0][i], ws[i])
				}
			}
		}
	}
}

func positionAt(t *testing.T, s *eventstore.Store, at time.Time) eventstore.Position {
	t.Helper()
	p, err := s.PositionAt(t.Context(), at.Add(-1))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// A stream of history and of the logbook gives what there was, and goes on without a gap.
func TestStreamsOfThePastGoOn(t *testing.T) {
	house := newHouse(t)
	furnish(t, house)
	url := serve(t, house, everyone(), Options{})
	c := login(t, url, "reader")
	history := c.call("history/stream", object{"start_time": "2020-01-01T00:00:00Z", "entity_ids": []string{"light.hall"}, "no_attributes": true}).ID
	if e := string(c.event(history)); !strings.Contains(e, `"s":"on"`) || !strings.Contains(e, `"end_time"`) || strings.Contains(e, "brightness") {
		t.Errorf("got %s", e)
	}
	d := login(t, url, "reader")
	logbook := d.call("logbook/event_stream", object{"start_time": "2020-01-01T00:00:00Z"}).ID
	if e := string(d.event(logbook)); !strings.Contains(e, `"entity_id":"light.hall"`) || strings.Contains(e, "plug_power") {
		t.Errorf("got %s", e) // a power is no news
	}
	// Of these only the last one is another state.
	appendEvents(t, house, lightEvent("light.hall", 50), sensorEvent("sensor.plug_power", 1), reportEvent("light.hall"))
	off := lightEvent("light.hall", 0)
	off.Source = "api:alice"
	span := appendEvents(t, house, off)
	for _, e := range []string{string(c.event(history)), string(d.event(logbook))} {
		if !strings.Contains(e, `"off"`) || strings.Contains(e, `"on"`) || strings.Contains(e, "end_time") {
			t.Errorf("got %s", e)
		}
	}
	caused := lightEvent("light.hall", 9)
	caused.CausePosition = span.First
	appendEvents(t, house, caused, lightEvent("light.hall", 0))
	e := login(t, url, "reader")
	all := must[[]object](e, "logbook/get_events", object{"start_time": "2020-01-01T00:00:00Z"})
	if len(all) != 4 || all[1]["context_user_id"] != "alice" || all[1]["state"] != "off" {
		t.Errorf("got %v", all)
	}
	context := contextID{position: span.First, database: databaseTag(house.Store().UUID())}.String()
	of := must[[]object](e, "logbook/get_events", object{"start_time": "2020-01-01T00:00:00Z", "context_id": context})
	if len(of) != 2 || of[0]["state"] != "off" || of[1]["state"] != "on" || of[0]["context_user_id"] != "alice" {
		t.Errorf("got %v", of)
	}
}
