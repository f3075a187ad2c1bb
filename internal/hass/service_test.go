package hass

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/statehouse/statehouse"
	"github.com/statehouse/statehouse/eventstore"
	entityv1 "github.com/statehouse/statehouse/gen/statehouse/entity/v1"
	eventv1 "github.com/statehouse/statehouse/gen/statehouse/event/v1"
	"github.com/statehouse/statehouse/internal/access"
	"github.com/statehouse/statehouse/internal/command"
	"github.com/statehouse/statehouse/internal/dispatch"
	"github.com/statehouse/statehouse/internal/dispatch/dispatchtest"
	"github.com/statehouse/statehouse/internal/mqtt"
)

// fakeDispatcher records calls, and answers those for some entities with errors.
type fakeDispatcher struct {
	mu    sync.Mutex // guards the rest
	calls []dispatch.Call
	errs  map[string]error
	next  eventstore.Position
}

func (f *fakeDispatcher) Call(_ context.Context, c dispatch.Call) (dispatch.Result, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls = append(f.calls, c)
	if err := f.errs[c.Entity]; err != nil {
		return dispatch.Result{}, err
	}
	f.next++
	return dispatch.Result{Command: f.next}, nil
}

// take are the calls since the last time, as text.
func (f *fakeDispatcher) take() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	var all []string
	for _, c := range f.calls {
		text := c.Entity + " " + c.Action
		for _, a := range c.Arguments {
			text += fmt.Sprintf(" %s=%v", a.GetName(), a.GetValue().GetIntValue())
		}
		all = append(all, text)
	}
	f.calls = nil
	slices.Sort(all)
	return strings.Join(all, ", ")
}

// furnished are lights in two rooms and what else there is.
func furnished(t *testing.T, house *statehouse.House) {
	t.Helper()
	light := func(id, area, device string, category entityv1.EntityCategory) eventstore.Event {
		e := dispatchtest.Light(id)
		r := e.Payload.GetEntityRegistered().Entity
		r.AreaId, r.DeviceId, r.Category, r.UniqueId = area, device, category, "unique-"+id
		return e
	}
	appendEvents(t, house,
		areaEvent("kitchen", "Kitchen"), areaEvent("hall", "Hall"),
		deviceEvent(&entityv1.Device{Id: "strip", Name: "Strip", AreaId: "hall"}),
		light("light.a", "kitchen", "", 0), light("light.b", "hall", "", 0), light("light.c", "", "strip", 0),
		light("light.led", "", "strip", entityv1.EntityCategory_ENTITY_CATEGORY_CONFIG),
		entityEvent(&entityv1.Entity{Id: "switch.s", UniqueId: "s", AreaId: "kitchen", Capabilities: &entityv1.Capabilities{Writable: true}}),
		entityEvent(&entityv1.Entity{Id: "sensor.s", UniqueId: "ss", AreaId: "kitchen"}),
	)
}

// TestTargets: what a call is for.
func TestTargets(t *testing.T) {
	house := newHouse(t)
	furnished(t, house)
	f := &fakeDispatcher{next: 3, errs: map[string]error{}}
	who := everyone()
	who["some"] = access.NewIdentity("some", access.Read|access.Command, []string{"light.a", "light.b"}, nil)
	c := login(t, serve(t, house, who, Options{Dispatcher: func() Dispatcher { return f }}), "anything")
	some := login(t, serve(t, house, who, Options{Dispatcher: func() Dispatcher { return f }}), "some")
	for _, step := range []struct {
		c                       *client
		service, target, data   string
		calls, code, wantsError string
	}{
		{c, "light.turn_on", `{"entity_id":"light.a"}`, ``, "light.a turn_on", "", ""},
		{c, "light.turn_on", `{"entity_id":["light.b","LIGHT.A"]}`, `{"brightness":7}`, "light.a turn_on brightness=7, light.b turn_on brightness=7", "", ""},
		{c, "light.turn_on", ``, `{"entity_id":"light.a, light.b"}`, "light.a turn_on, light.b turn_on", "", ""},
		{c, "light.turn_off", `{"entity_id":"all"}`, ``, "light.a turn_off, light.b turn_off, light.c turn_off, light.led turn_off", "", ""},
		{c, "light.turn_off", `{"entity_id":"none"}`, ``, "", "", ""},
		{c, "light.turn_off", `{"area_id":"hall"}`, ``, "light.b turn_off, light.c turn_off", "", ""},
		{c, "light.turn_off", `{"device_id":["strip"],"entity_id":"light.led"}`, ``, "light.c turn_off, light.led turn_off", "", ""},
		{c, "light.turn_off", `{"entity_id":"unique-light.b"}`, ``, "light.b turn_off", "", ""},
		{c, "light.turn_on", `{"entity_id":["light.none","switch.s","light.a"]}`, ``, "light.a turn_on", "", ""},
		{c, "homeassistant.turn_on", `{"area_id":"kitchen"}`, ``, "light.a turn_on, switch.s turn_on", "", ""},
		{c, "homeassistant.toggle", `{"entity_id":["sensor.s","switch.s"]}`, ``, "switch.s toggle", "", ""},
		{c, "light.turn_on", `{"entity_id":"light.b"}`, `{"entity_id":"light.a"}`, "light.b turn_on", "", ""},
		{c, "light.turn_on", ``, ``, "", codeInvalidFormat, "at least one of"},
		{c, "light.turn_on", `{"entity_id":"A lamp"}`, ``, "", codeInvalidFormat, "no id"},
		{c, "light.turn_on", `{"entity_id":7}`, ``, "", codeInvalidFormat, "entity_id"},
		{c, "light.turn_on", `{"entity_id":[["light.a"]]}`, ``, "", codeInvalidFormat, "entity_id"},
		{c, "light.turn_on", `[]`, ``, "", codeInvalidFormat, "object"},
		{c, "light.turn_on", `{"label_id":"x"}`, ``, "", codeNotSupported, "no labels"},
		{c, "light.turn_on", `{"floor_id":["x"],"entity_id":"light.a"}`, ``, "", codeNotSupported, "no floors"},
		{c, "light.turn_on", `{"label_id":[],"entity_id":"light.a"}`, ``, "light.a turn_on", "", ""},
		{c, "light.turn_on", `{"entity_id":"light.a"}`, `{"colour":"red"}`, "", codeInvalidFormat, "colour"},
		{c, "light.turn_on", `{"entity_id":"none"}`, `{"colour":"red"}`, "", codeInvalidFormat, "colour"},
		{c, "light.open", `{"entity_id":"light.a"}`, ``, "", codeNotFound, "Service light.open not found."},
		{c, "sensor.turn_on", `{"entity_id":"sensor.s"}`, ``, "", codeNotFound, "not found"},
		{some, "light.turn_on", `{"entity_id":"all"}`, ``, "light.a turn_on, light.b turn_on", "", ""},
		{some, "light.turn_on", `{"area_id":"hall"}`, ``, "light.b turn_on", "", ""},
		{some, "light.turn_on", `{"device_id":"strip"}`, ``, "", "", ""},
		{some, "light.turn_on", `{"entity_id":["light.a","light.c"]}`, ``, "", codeUnauthorized, "light.c"},
		{some, "light.turn_on", `{"entity_id":"light.none"}`, ``, "", codeUnauthorized, "light.none"},
		{some, "light.turn_on", `{"entity_id":"unique-light.c"}`, ``, "", codeInvalidFormat, "no id"},
	} {
		domain, service, _ := strings.Cut(step.service, ".")
		m := object{"domain": domain, "service": service}
		if step.target != "" {
			m["target"] = json.RawMessage(step.target)
		}
		if step.data != "" {
			m["service_data"] = json.RawMessage(step.data)
		}
		r := step.c.call("call_service", m)
		if calls := f.take(); calls != step.calls || r.Error.Code != step.code || r.Success != (step.code == "") || !strings.Contains(r.Error.Message, step.wantsError) {
			t.Errorf("%s %s %s: called %q, %+v", step.service, step.target, step.data, calls, r.Error)
		}
	}
	if r := c.call("call_service", object{"domain": "light", "service": "turn_on", "return_response": true, "target": object{"entity_id": "light.a"}}); r.Error.Code != codeService {
		t.Errorf("%+v", r)
	}
}

// TestServiceErrors: what a device cannot do now is left out, and what else is wrong names the entity.
func TestServiceErrors(t *testing.T) {
	house := newHouse(t)
	furnished(t, house)
	f := &fakeDispatcher{}
	url := serve(t, house, everyone(), Options{Dispatcher: func() Dispatcher { return f }})
	for _, step := range []struct {
		err    error
		target string
		status int
		answer string
	}{
		{dispatch.ErrUnavailable, `{"entity_id":["light.a","light.b"]}`, 200, `[]`},
		{dispatch.ErrDisabled, `{"entity_id":["light.a","light.b"]}`, 200, `[]`},
		{statehouse.ErrNotFound, `{"entity_id":["light.a","light.b"]}`, 200, `[]`},
		{command.ErrUnsupported, `{"entity_id":"all"}`, 200, `[]`},
		{command.ErrUnsupported, `{"entity_id":["light.a","light.b"]}`, 400, `light.b: the entity cannot`},
		{command.ErrInvalid, `{"entity_id":"all"}`, 400, `light.b: invalid command`},
		{dispatch.ErrBusy, `{"entity_id":"all"}`, 429, `light.b: too many`},
		{mqtt.ErrNotConnected, `{"entity_id":"all"}`, 503, `light.b: not connected`},
		{errors.New("a defect"), `{"entity_id":"all"}`, 500, `something went wrong`},
	} {
		f.errs = map[string]error{"light.b": step.err}
		status, body := ask(t, http.MethodPost, url+"/api/services/light/turn_on", "anything", step.target)
		if calls := f.take(); status != step.status || !strings.Contains(string(body), step.answer) || !strings.Contains(calls, "light.a turn_on") {
			t.Errorf("%v %s: %d %s, called %q", step.err, step.target, status, body, calls)
		}
	}
	if r := call(t, login(t, url, "anything"), "light.b"); r.Error.Code != codeInternal || strings.Contains(r.Error.Message, "a defect") {
		t.Errorf("%+v", r)
	}
	f.errs = map[string]error{"light.b": dispatch.ErrUnavailable}
	if r := call(t, login(t, url, "anything"), "light.b"); !r.Success || !strings.Contains(string(r.Result), `"context":{"id":"0`) {
		t.Errorf("%+v", r)
	}
}

func call(t *testing.T, c *client, id string) wireResult {
	t.Helper()
	return c.call("call_service", object{"domain": "light", "service": "turn_on", "target": object{"entity_id": id}})
}

// TestServicesReachDevices: over a real house, what a call leads to, and what clients are told of it.
func TestServicesReachDevices(t *testing.T) {
	house := newHouse(t)
	devices, dispatcher := dispatchtest.New(house)
	furnished(t, house)
	appendEvents(t, house, lightEvent("light.a", 0), lightEvent("light.b", 0))
	url := serve(t, house, everyone(), Options{Dispatcher: func() Dispatcher { return dispatcher }})
	c := login(t, url, "anything")
	events := c.command("subscribe_events", object{"event_type": eventCallService})
	_ = c.next()
	r := call(t, login(t, url, "anything"), "light.a")
	var result struct{ Context eventContext }
	if err := json.Unmarshal(r.Result, &result); err != nil || !r.Success {
		t.Fatal(err, r)
	}
	id, ok := parseContextID(result.Context.ID)
	e, err := house.Store().Event(t.Context(), id.position)
	if !ok || err != nil || e.Kind != eventstore.KindCommandIssued || e.Source != "api:anything" || *result.Context.UserID != "anything" {
		t.Errorf("%v leads to %v, %v", result.Context, e, err)
	}
	want := `"data":{"domain":"light","service":"turn_on","service_data":{"entity_id":["light.a"]}}`
	if got := string(c.event(events)); !strings.Contains(got, want) || !strings.Contains(got, result.Context.ID) {
		t.Errorf("got %s", got)
	}
	if state := get[object](t, url+"/api/states/light.a", "reader"); state["state"] != "on" {
		t.Errorf("got %v", state)
	}
	status, body := ask(t, http.MethodPost, url+"/api/services/light/turn_on", "anything", `{"entity_id":["light.a","light.b"],"brightness":"50"}`)
	if all := decode[[]object](t, body); status != 200 || len(all) != 2 || all[0]["entity_id"] != "light.a" ||
		all[1]["attributes"].(object)["brightness"] != 50.0 {
		t.Errorf("%d %s", status, body)
	}
	if status, body := ask(t, http.MethodPost, url+"/api/services/light/turn_on", "anything", `{"entity_id":"light.a"}`); status != 200 || string(body) != "[]\n" {
		t.Errorf("what changes nothing answers %d %s", status, body)
	}
	devices.Take(dispatchtest.Broken)
	status, body = ask(t, http.MethodPost, url+"/api/services/light/turn_off", "anything", `{"entity_id":"light.a"}`)
	if status != 500 || !strings.Contains(string(body), "light.a: the wire is cut") {
		t.Errorf("%d %s", status, body)
	}
	devices.Take(dispatchtest.Gone)
	if status, body := ask(t, http.MethodPost, url+"/api/services/light/turn_off", "anything", `{"entity_id":"light.a"}`); status != 503 {
		t.Errorf("%d %s", status, body)
	}
}

// TestSupportedFeatures: the bits are what can be asked for.
func TestSupportedFeatures(t *testing.T) {
	able := func(features ...string) *entityv1.Capabilities {
		return &entityv1.Capabilities{Readable: true, Writable: true, Features: features}
	}
	for _, c := range []struct {
		id   string
		caps *entityv1.Capabilities
		want int
	}{
		{"light.x", able("on", "brightness"), 32},
		{"light.x", able("on", "brightness", "effect", "flash"), 4 | 8 | 32},
		{"light.x", &entityv1.Capabilities{Readable: true, Features: []string{"on", "brightness"}}, 0},
		{"cover.x", able("state"), 1 | 2 | 8},
		{"cover.x", able("state", "position", "tilt_position"), 255},
		{"fan.x", able("on", "percentage", "oscillating"), 1 | 2 | 16 | 32},
		{"lock.x", able("state", "open"), 1},
		{"climate.x", able("hvac_mode", "target_temperature"), 1 | 128 | 256},
		{"vacuum.x", nil, vacuumState},
	} {
		got, ok := supportedFeaturesOf(domainOf(c.id), &entityv1.Entity{Id: c.id, Capabilities: c.caps})
		if got != c.want || !ok {
			t.Errorf("%s with %v: %d, want %d", c.id, c.caps.GetFeatures(), got, c.want)
		}
	}
	if _, ok := supportedFeaturesOf("sensor", &entityv1.Entity{Id: "sensor.x"}); ok {
		t.Error("a sensor can do something")
	}
	// Each row is of something that there is.
	known := map[ability]bool{}
	domains := map[string]bool{}
	for _, a := range command.Domains() {
		domains[a.Domain] = true
		known[ability{a.Domain + "." + a.Name, ""}] = true
		for _, p := range a.Arguments {
			known[ability{a.Domain + "." + a.Name, p.Name}] = true
		}
	}
	for domain, table := range featureBits {
		seen := 0
		for a, bit := range table {
			if !known[ability{domain + "." + a.action, a.argument}] {
				t.Errorf("%s has no %v", domain, a)
			}
			if seen&bit != 0 {
				t.Errorf("%s has %d twice", domain, bit)
			}
			seen |= bit
		}
	}
}

// FuzzService: whatever a call says, it fails or is one, and panics never.
func FuzzService(f *testing.F) {
	f.Add("light", "turn_on", `{"entity_id":"light.a","rgb_color":[1,2,3]}`, `{"area_id":["x"]}`)
	f.Add("homeassistant", "toggle", `{"entity_id":"all"}`, ``)
	f.Add("climate", "set_temperature", `{"temperature":"21.5"}`, `{"entity_id":null}`)
	f.Fuzz(func(t *testing.T, domain, service, data, aim string) {
		var objects [2]jsonObject
		for i, text := range []string{data, aim} {
			if text != "" && json.Unmarshal([]byte(text), &objects[i]) != nil {
				return
			}
		}
		c, err := newServiceCall(domain, service, objects[0], objects[1])
		if err != nil {
			return
		}
		for _, name := range []string{"entity_id", "area_id"} {
			for _, field := range c.data.GetStructValue().GetFields() {
				if field.GetName() == name {
					t.Errorf("%s is in the data", name)
				}
			}
		}
	})
}

// TestCommandsOfOthersStayHidden: who may not see an entity is not told of commands to it.
func TestCommandsOfOthersStayHidden(t *testing.T) {
	house := newHouse(t)
	furnish(t, house)
	url := serve(t, house, everyone(), Options{})
	c := login(t, url, "lights")
	id := c.command("subscribe_events", nil)
	_ = c.next()
	issued := func(entity string) eventstore.Event {
		return eventstore.Event{Entity: entity, Source: "api:x", Payload: &eventv1.Payload{Kind: &eventv1.Payload_CommandIssued{
			CommandIssued: &eventv1.CommandIssued{Action: "turn_on"},
		}}}
	}
	appendEvents(t, house, issued("switch.plug"), issued("light.hall"))
	if e := string(c.event(id)); !strings.Contains(e, "light.hall") || strings.Contains(e, "switch.plug") {
		t.Errorf("got %s", e)
	}
}
