package server

import (
	"bufio"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/statehouse/statehouse"
	"github.com/statehouse/statehouse/eventstore"
	entityv1 "github.com/statehouse/statehouse/gen/statehouse/entity/v1"
	"github.com/statehouse/statehouse/internal/api"
)

func ids(states []api.State) []string {
	list := []string{}
	for _, s := range states {
		list = append(list, s.EntityID)
	}
	return list
}

func TestStates(t *testing.T) {
	h := newHouse(t)
	furnish(t, h)
	s := start(t, Options{House: h})
	for query, want := range map[string][]string{
		"":                            {"light.hall", "sensor.plug_power", "switch.plug"},
		"?domain=light":               {"light.hall"},
		"?domain=light&domain=switch": {"light.hall", "switch.plug"},
		"?domain=fan":                 {},
		"?area=kitchen":               {"sensor.plug_power", "switch.plug"},
		"?area=the%20hall":            {"light.hall"},
		"?q=POWER":                    {"sensor.plug_power"},
		"?q=plug":                     {"sensor.plug_power", "switch.plug"},
		"?q=lamp&domain=light":        {"light.hall"},
		"?where=" + url.QueryEscape(`domain == "switch" || unit == "W"`):      {"sensor.plug_power", "switch.plug"},
		"?domain=switch&where=" + url.QueryEscape(`silence < duration("1h")`): {"switch.plug"},
		"?where=" + url.QueryEscape(`age > duration("1h")`):                   nil,
	} {
		r := get(t, s.URL()+"/v1/states"+query)
		var states api.States
		r.decode(t, &states)
		if r.status != http.StatusOK || !slices.Equal(ids(states.States), want) || states.Position != 8 {
			t.Errorf("%s: %d at %d: %v, want %v", query, r.status, states.Position, ids(states.States), want)
		}
		if r.header.Get("Content-Type") != "application/json" || r.header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: %v", query, r.header)
		}
	}
	for _, query := range []string{"?domain=Light", "?domain=", "?dom=light", "?q=a&q=b", "?q=%zz", "?a;b", "?where=", "?where=lamp", "?where=id",
		"?where=true&where=true", "?where=1/(position-position)%3D%3D1"} {
		if r := get(t, s.URL()+"/v1/states"+query); r.status != http.StatusBadRequest || r.code(t) != api.CodeInvalid {
			t.Errorf("%s: %d %s", query, r.status, r.body)
		}
	}
}

func TestState(t *testing.T) {
	h := newHouse(t)
	furnish(t, h)
	s := start(t, Options{House: h})
	r := get(t, s.URL()+"/v1/states/light.hall")
	var st api.State
	r.decode(t, &st)
	want := api.State{
		EntityID: "light.hall", State: "on", Name: "Lamp", Area: "hall", AreaName: "The Hall",
		Attributes: []byte(`{"availability":"online","on":true,"brightness":100}`), Availability: api.Online,
		UpdatedAt: st.UpdatedAt, UpdatedBy: "test", ChangedAt: st.UpdatedAt, Position: 8,
	}
	if jsonText(st) != jsonText(want) || st.UpdatedAt.IsZero() {
		t.Errorf("got  %s\nwant %s", r.body, jsonText(want))
	}
	get(t, s.URL()+"/v1/states/sensor.plug_power").decode(t, &st)
	if st.Name != "Plug Power" || st.Device != "z2m/0x01" || st.DeviceName != "Plug" || st.Unit != "W" ||
		st.DeviceClass != "power" || st.State != "unknown" || st.AreaName != "Kitchen" {
		t.Errorf("%+v", st)
	}
	for path, want := range map[string]int{
		"light.none": 404, "light.off": 404, "light": 400, "Light.A": 400, "light.a%2Fb": 400, "light.hall?x=1": 400,
		strings.Repeat("a", 300) + ".b": 400,
	} {
		if r := get(t, s.URL()+"/v1/states/"+path); r.status != want {
			t.Errorf("%s: %d %s, want %d", path, r.status, r.body, want)
		}
	}
	if r := get(t, s.URL()+"/v1/states/light.off"); !strings.Contains(string(r.body), "disabled") {
		t.Errorf("%s", r.body)
	}
}

func TestNotModified(t *testing.T) {
	h := newHouse(t)
	furnish(t, h)
	s := start(t, Options{House: h})
	for _, path := range []string{"/v1/states", "/v1/states/light.hall", "/v1/registry"} {
		tag := get(t, s.URL()+path).header.Get("ETag")
		for _, header := range []string{tag, "W/" + tag, `"x", ` + tag, "*"} {
			if r := get(t, s.URL()+path, "If-None-Match", header); r.status != http.StatusNotModified || len(r.body) != 0 {
				t.Errorf("%s, %s: %d %s", path, header, r.status, r.body)
			}
		}
		appendEvents(t, h, lightEvent("light.hall", 7))
		r := get(t, s.URL()+path, "If-None-Match", tag)
		if r.status != http.StatusOK || r.header.Get("ETag") == tag {
			t.Errorf("%s after an event: %d, %s", path, r.status, r.header.Get("ETag"))
		}
	}
	if r := get(t, s.URL()+"/v1/states/light.none", "If-None-Match", "*"); r.status != http.StatusNotFound || r.header.Get("ETag") != "" {
		t.Errorf("%d %v", r.status, r.header)
	}
}

func TestRegistryAndInfo(t *testing.T) {
	h := newHouse(t)
	furnish(t, h)
	s := start(t, Options{House: h, Version: "1.2.3"})
	var reg api.Registry
	get(t, s.URL()+"/v1/registry").decode(t, &reg)
	reg.RecordedAt = nil
	want := `{"position":8,"final":false,"areas":[{"id":"hall","name":"The Hall"},{"id":"kitchen","name":"Kitchen"}],` +
		`"devices":[{"id":"z2m/0x01","name":"Plug","area":"kitchen","kind":"device"}],"entities":[` +
		`{"id":"light.hall","unique_id":"3","name":"Lamp","area":"hall","readable":false,"writable":false},` +
		`{"id":"light.off","unique_id":"4","name":"light.off","disabled":true,"readable":false,"writable":false},` +
		`{"id":"sensor.plug_power","unique_id":"2","name":"Plug Power","device":"z2m/0x01","area":"kitchen","device_class":"power",` +
		`"unit":"W","state_class":"measurement","readable":false,"writable":false},` +
		`{"id":"switch.plug","unique_id":"1","name":"Plug","device":"z2m/0x01","area":"kitchen","readable":false,"writable":false}]}`
	if jsonText(reg) != want {
		t.Errorf("got  %s\nwant %s", jsonText(reg), want)
	}
	var info api.Info
	get(t, s.URL()+"/v1/info").decode(t, &info)
	if info.Version != "1.2.3" || info.Position != 8 || info.Entities != 3 || info.Devices != 1 || info.Areas != 2 ||
		info.Status != api.StatusReady || info.Database != h.Store().UUID() || info.RecordedAt == nil {
		t.Errorf("%+v", info)
	}
	if get(t, s.URL()+"/v1/info?x").status != 400 || get(t, s.URL()+"/v1/registry?x").status != 400 {
		t.Error("a parameter that is not known is taken")
	}
}

func TestHead(t *testing.T) {
	h := newHouse(t)
	furnish(t, h)
	s := start(t, Options{House: h})
	for _, path := range []string{
		"/v1/states", "/v1/states/light.hall", "/v1/registry", "/v1/info", "/v1/position", "/v1/diff?from=1",
		"/v1/why?position=8", "/v1/why/light.hall", "/v1/history/light.hall", "/v1/snapshots", "/v1/events?follow=1", "/v1/changes", "/healthz", "/readyz", "/metrics",
	} {
		if r := do(t, http.DefaultClient, http.MethodHead, s.URL()+path, nil); r.status != http.StatusOK || len(r.body) != 0 {
			t.Errorf("%s: %d %s", path, r.status, r.body)
		}
	}
}

// lines are the events of an answer of /v1/events.
func lines(t testing.TB, r reply) []api.Event {
	t.Helper()
	if r.status != http.StatusOK || r.header.Get("Content-Type") != "application/x-ndjson" {
		t.Fatalf("%d %v %s", r.status, r.header, r.body)
	}
	events := []api.Event{}
	for line := range strings.Lines(string(r.body)) {
		var e api.Event
		reply{body: []byte(line)}.decode(t, &e)
		events = append(events, e)
	}
	return events
}

func positions(events []api.Event) []eventstore.Position {
	list := []eventstore.Position{}
	for _, e := range events {
		list = append(list, e.Position)
	}
	return list
}

func TestEvents(t *testing.T) {
	h := newHouse(t)
	furnish(t, h)
	appendEvents(t, h, reportEvent("light.hall"), customEvent("light.hall"))
	s := start(t, Options{House: h})
	for query, want := range map[string][]eventstore.Position{
		"":                                    {1, 2, 3, 4, 5, 6, 7, 8, 9, 10},
		"after=8":                             {9, 10},
		"after=8&until=9":                     {9},
		"until=2":                             {1, 2},
		"until=0":                             {}, // before everything
		"until=0&after=0":                     {},
		"until=0&follow=1":                    {},
		"after=10":                            {},
		"after=9999":                          {},
		"entity=light.hall":                   {6, 8, 9, 10},
		"entity=light.hall&limit=2":           {6, 8},
		"entity=light.off&entity=switch.plug": {4, 7},
		"kind=state_changed&kind=acme.rang":   {8, 10},
		"source=reporter":                     {9},
		"source=nobody":                       {},
		"follow=1&until=3":                    {1, 2, 3},
		"follow=1&limit=10":                   {1, 2, 3, 4, 5, 6, 7, 8, 9, 10},
		"follow=false&limit=1":                {1},
	} {
		if got := positions(lines(t, get(t, s.URL()+"/v1/events?"+query))); !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", query, got, want)
		}
	}
	for _, query := range []string{
		"after=-1", "after=x", "after=1.5", "after=9223372036854775808", "until=99999999999999999999", "after=5&until=3", "after=5&until=0",
		"entity=light", "kind=state", "kind=", "limit=0", "limit=-3", "follow=maybe", "after=1&after=2", "unitl=3",
		"after=", "until=", "limit=", "after=11&follow=1", "after=11&follow=1&until=12",
		"source=" + strings.Repeat("a", 256),
	} {
		if r := get(t, s.URL()+"/v1/events?"+query); r.status != http.StatusBadRequest || r.code(t) != api.CodeInvalid {
			t.Errorf("%s: %d %s", query, r.status, r.body)
		}
	}
}

func TestEventsData(t *testing.T) {
	h := newHouse(t)
	furnish(t, h)
	appendEvents(t, h, customEvent(""), systemEvent("started <&>"))
	s := start(t, Options{House: h})
	events := lines(t, get(t, s.URL()+"/v1/events"))
	for at, want := range map[int]string{
		1: `{"area":{"id":"kitchen","name":"Kitchen"}}`,
		3: `{"device":{"id":"z2m/0x01","name":"Plug","area_id":"kitchen","kind":"device"}}`,
		8: `{"availability":"online","on":true,"brightness":100}`, 9: `{"kind":"acme.rang","value":{"base64":"AP8="}}`,
		10: `{"what":"started <&>"}`,
	} {
		if e := events[at-1]; string(e.Data) != want || e.RecordedAt.IsZero() || e.Timestamp.IsZero() || e.Source != "test" {
			t.Errorf("%d: %s, want the data %s", at, jsonText(e), want)
		}
	}
	if events[7].State != "on" || events[7].EntityID != "light.hall" || events[7].CorrelationID != "@1" {
		t.Errorf("%+v", events[7])
	}
}

// TestEventsFollow: events that come live are sent at once, filtered or not, and the limit ends the stream.
func TestEventsFollow(t *testing.T) {
	h := newHouse(t)
	furnish(t, h)
	s := start(t, Options{House: h})
	got := make(chan reply)
	go func() {
		got <- get(t, s.URL()+"/v1/events?after=7&follow=1&limit=3&kind=state_changed")
	}()
	eventually(t, "the stream opens", func() bool { return len(s.streams) == 1 })
	appendEvents(t, h, lightEvent("light.hall", 1), systemEvent("x"))
	appendEvents(t, h, lightEvent("light.hall", 2), lightEvent("light.hall", 3))
	if at := positions(lines(t, <-got)); !slices.Equal(at, []eventstore.Position{8, 9, 11}) {
		t.Error(at)
	}
	eventually(t, "the stream is given back", func() bool { return len(s.streams) == 0 })
}

// TestEventsLive: an event is sent when it comes, and does not wait for the next.
func TestEventsLive(t *testing.T) {
	h := newHouse(t)
	s := start(t, Options{House: h})
	res, err := http.Get(s.URL() + "/v1/events?follow=1&kind=system")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	lines := bufio.NewScanner(res.Body)
	for i := range 3 {
		span := appendEvents(t, h, systemEvent("x"))
		watchdog := time.AfterFunc(patience, func() { _ = res.Body.Close() })
		if !lines.Scan() || !strings.HasPrefix(lines.Text(), `{"position":`+jsonText(span.First)+",") {
			t.Errorf("event %d: %q %v", i, lines.Text(), lines.Err())
		}
		watchdog.Stop()
	}
}

// TestEventsEndWithTheServer: what could not be finished says so in its last line.
func TestEventsEndWithTheServer(t *testing.T) {
	h := newHouse(t)
	furnish(t, h)
	s := start(t, Options{House: h})
	got := make(chan reply)
	go func() { got <- get(t, s.URL()+"/v1/events?after=7&follow=1") }()
	eventually(t, "the stream opens", func() bool { return len(s.streams) == 1 })
	closeServer(t, s)
	r := <-got
	last := strings.Split(strings.TrimSpace(string(r.body)), "\n")
	if code := (reply{body: []byte(last[len(last)-1])}).code(t); code != api.CodeClosed || len(last) > 2 {
		t.Errorf("%s", r.body)
	}
}

// What is chosen by an age may change while nothing happens: only an answer about the past has a tag then.
func TestWhereAndTags(t *testing.T) {
	h := newHouse(t)
	furnish(t, h)
	s := start(t, Options{House: h})
	const where = "where=age+%3E%3D+duration(%220s%22)"
	if r := get(t, s.URL()+"/v1/states?"+where, "If-None-Match", "*"); r.status != http.StatusOK || r.header.Get("ETag") != "" ||
		r.header.Get(positionHeader) == "" {
		t.Errorf("%d %v", r.status, r.header)
	}
	past := get(t, s.URL()+"/v1/states?at=@8&"+where)
	if past.status != http.StatusOK || past.header.Get("ETag") == "" {
		t.Errorf("%d %v", past.status, past.header)
	}
	if r := get(t, s.URL()+"/v1/states?at=@8&"+where, "If-None-Match", past.header.Get("ETag")); r.status != http.StatusNotModified {
		t.Errorf("%d", r.status)
	}
}

func TestUnknownRoutes(t *testing.T) {
	s := start(t, Options{House: newHouse(t)})
	for path, want := range map[string]api.Code{
		"/index.html": api.CodeNotFound, "/v1": api.CodeNotFound, "/v1/": api.CodeNotFound, "/v1/states/a.b/c": api.CodeNotFound,
		"/v2/states": api.CodeNotFound, "/favicon.ico": api.CodeNotFound, "/debug/pprof/": api.CodeNotFound,
		"/at/@1/v1/states": api.CodeNotFound, "/statehouse.v1.NoService/Get": api.CodeNotFound,
	} {
		if r := get(t, s.URL()+path); r.status != http.StatusNotFound || r.code(t) != want {
			t.Errorf("%s: %d %s", path, r.status, r.body)
		}
	}
}

// manyEntities is a house with a thousand entities with long names.
func manyEntities(t *testing.T) *statehouse.House {
	t.Helper()
	h := newHouse(t)
	var batch []eventstore.Event
	for i := range 1000 {
		batch = append(batch, entityEvent(&entityv1.Entity{Id: "sensor.s" + jsonText(i), Name: strings.Repeat("n", 200)}))
	}
	appendEvents(t, h, batch...)
	return h
}

func TestManyEntities(t *testing.T) {
	h := manyEntities(t)
	s := start(t, Options{House: h})
	var states api.States
	get(t, s.URL()+"/v1/states").decode(t, &states)
	if len(states.States) != 1000 || !slices.IsSorted(ids(states.States)) {
		t.Error(len(states.States))
	}
	// What fails for the last of them fails before the answer begins.
	late := "/v1/states?where=" + url.QueryEscape(`1 / (id == "sensor.s999" ? 0 : 1) == 1`)
	if r := get(t, s.URL()+late); r.status != http.StatusBadRequest || !strings.Contains(string(r.body), "sensor.s999") {
		t.Errorf("%d %.200s", r.status, r.body)
	}
	f := follow(t, s.URL()+"/v1/changes", "")
	if r := f.ready(); r.Entities != 1000 || r.Position != 1000 {
		t.Errorf("%+v", r)
	}
	f.same(h.Now())
}

// steadyReader is an answer that tells how much was written at most without more time for it.
type steadyReader struct {
	*httptest.ResponseRecorder
	since, most int
}

func (r *steadyReader) SetWriteDeadline(time.Time) error {
	r.since = 0
	return nil
}

func (r *steadyReader) Write(p []byte) (int, error) {
	r.since += len(p)
	r.most = max(r.most, r.since)
	return r.ResponseRecorder.Write(p)
}

// TestLargeAnswersToSteadyReaders: a client has time for each part of an answer, however large all of it is.
func TestLargeAnswersToSteadyReaders(t *testing.T) {
	s := start(t, Options{House: manyEntities(t)})
	for _, path := range []string{"/v1/states", "/v1/registry", "/api/states"} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "http://localhost"+path, nil)
		r.Header.Set("Authorization", "Bearer read")
		w := &steadyReader{ResponseRecorder: httptest.NewRecorder()}
		s.handler(readRoutes(s), doorTCP).ServeHTTP(w, r)
		if size := w.Body.Len(); w.Code != 200 || size < 200_000 || w.most > 64<<10 {
			t.Errorf("%s: %d, %d bytes, %d of them in the time of one part", path, w.Code, size, w.most)
		}
	}
}

func FuzzQuery(f *testing.F) {
	for _, q := range []string{
		"", "limit", "until=5", "after=18446744073709551614", "after=18446744073709551615",
		"after=1&until=5&entity=light.a&kind=state_changed&source=x&limit=3&follow=1", "after=%00", "entity=&kind=a.b&domain=light&q=%ff",
		"limit=99999999999999999999", "a;b", "=&=", "last_event_id=0123456789ab-7",
	} {
		f.Add(q)
	}
	f.Fuzz(func(t *testing.T, query string) {
		r := asOwner(httptest.NewRequest(http.MethodGet, "/", nil))
		r.URL = &url.URL{Path: "/v1/events", RawQuery: query}
		q, err := parseEventsQuery(r)
		if err != nil {
			if f := failureOf(err); f.status != http.StatusBadRequest || f.message == "" {
				t.Errorf("%q: %+v", query, f)
			}
		} else if from := q.After != eventstore.FromOldest; from && (q.After > eventstore.MaxPosition || q.Until != 0 && q.Until < q.After) ||
			from != r.URL.Query().Has("after") {
			t.Errorf("%q: %+v", query, q)
		}
		for _, id := range q.Entities {
			if err == nil && eventstore.CheckEntityID(id) != nil {
				t.Errorf("%q: entity %q", query, id)
			}
		}
		if c, ok := parseCursor(query); ok && c.String() != query {
			t.Errorf("%q is read as %q", query, c)
		}
	})
}
