package server

import (
	"fmt"
	"net/http"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/statehouse/statehouse"
	"github.com/statehouse/statehouse/eventstore"
	entityv1 "github.com/statehouse/statehouse/gen/statehouse/entity/v1"
	"github.com/statehouse/statehouse/internal/api"
)

// pastHouse is a house whose events are recorded one a minute, from 12:01 on: furnish makes the first eight in one go.
func pastHouse(t *testing.T) *statehouse.House {
	t.Helper()
	at := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	h, err := statehouse.OpenContext(t.Context(), filepath.Join(t.TempDir(), "home.db"), statehouse.Options{
		Clock: func() time.Time { at = at.Add(time.Minute); return at },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = h.Close() })
	furnish(t, h)                                            // 1 to 8, 12:01
	appendEvents(t, h, lightEvent("light.hall", 0))          // 9, 12:02
	appendEvents(t, h, areaEvent("hall", "Corridor"))        // 10
	appendEvents(t, h, renameEvent("light.hall", "light.x")) // 11
	caused := lightEvent("light.x", 200)
	caused.CausePosition = 9
	appendEvents(t, h, caused)                         // 12
	appendEvents(t, h, unregisterEvent("switch.plug")) // 13, 12:06
	return h
}

func TestStatesOfThePast(t *testing.T) {
	s := start(t, Options{House: pastHouse(t)})
	for _, c := range []struct {
		at       string
		position eventstore.Position
		final    bool
		want     string
	}{
		{"@0", 0, true, ""},
		{"4", 4, true, "switch.plug=unknown"},
		{"@8", 8, true, "light.hall=on/The Hall sensor.plug_power=unknown/Kitchen switch.plug=unknown/Kitchen"},
		{"2026-05-01T11:00:00Z", 0, true, ""},
		{"2026-05-01T12:02:59.999Z", 9, true, "light.hall=off/The Hall sensor.plug_power=unknown/Kitchen switch.plug=unknown/Kitchen"},
		{"2026-05-01T14:03:00%2B02:00", 10, true, "light.hall=off/Corridor sensor.plug_power=unknown/Kitchen switch.plug=unknown/Kitchen"},
		{"2026-05-01T14:03:00+02:00", 10, true, "light.hall=off/Corridor sensor.plug_power=unknown/Kitchen switch.plug=unknown/Kitchen"},
		{"2026-05-01T12:06:00Z", 13, false, "light.x=on/Corridor sensor.plug_power=unknown/Kitchen"},
		{"2036-05-01T12:06:00Z", 13, false, "light.x=on/Corridor sensor.plug_power=unknown/Kitchen"},
		{"@13", 13, true, "light.x=on/Corridor sensor.plug_power=unknown/Kitchen"},
	} {
		if c.position == 4 {
			c.want = "switch.plug=unknown/Kitchen"
		}
		r := get(t, s.URL()+"/v1/states?at="+c.at)
		var states api.States
		r.decode(t, &states)
		var got []string
		for _, st := range states.States {
			got = append(got, st.EntityID+"="+st.State+"/"+st.AreaName)
		}
		if r.status != 200 || strings.Join(got, " ") != c.want || states.Position != c.position || states.Final != c.final {
			t.Errorf("at=%s: %d, %d, final %v: %v", c.at, r.status, states.Position, states.Final, got)
		}
		if (states.RecordedAt == nil) != (c.position == 0) || r.header.Get("Statehouse-Position") != fmt.Sprint(c.position) {
			t.Errorf("at=%s: %v, %v", c.at, states.RecordedAt, r.header)
		}
		// What is final may be kept and asked about; what is not may not.
		tag, cache := r.header.Get("ETag"), r.header.Get("Cache-Control")
		if c.final != (tag != "") || c.final != (cache == "no-cache") || !c.final && cache != "no-store" {
			t.Errorf("at=%s: tag %q, %q", c.at, tag, cache)
		}
		if c.final {
			if r := get(t, s.URL()+"/v1/states?at="+c.at, "If-None-Match", tag); r.status != http.StatusNotModified {
				t.Errorf("at=%s again: %d", c.at, r.status)
			}
		}
		var as api.AsOf
		get(t, s.URL()+"/v1/position?at="+c.at).decode(t, &as)
		if jsonText(as) != jsonText(states.AsOf) {
			t.Errorf("at=%s: %s", c.at, jsonText(as))
		}
	}
	var states api.States
	get(t, s.URL()+"/v1/states?at=@8&area=the+hall&domain=light").decode(t, &states)
	if !slices.Equal(ids(states.States), []string{"light.hall"}) {
		t.Errorf("filtered: %v", ids(states.States))
	}
	var reg api.Registry
	get(t, s.URL()+"/v1/registry?at=@9").decode(t, &reg)
	if reg.Position != 9 || !reg.Final || len(reg.Areas) != 2 || reg.Areas[0].Name != "The Hall" {
		t.Errorf("%s", jsonText(reg))
	}
}

func TestStateOfThePast(t *testing.T) {
	s := start(t, Options{House: pastHouse(t)})
	r := get(t, s.URL()+"/v1/states/light.hall?at=@9")
	var st api.State
	r.decode(t, &st)
	if r.status != 200 || st.State != "off" || st.Position != 9 || st.AsOf == nil || st.AsOf.Position != 9 || !st.AsOf.Final ||
		st.AsOf.RecordedAt.Format(time.TimeOnly) != "12:02:00" {
		t.Errorf("%d %s", r.status, r.body)
	}
	for path, want := range map[string]struct {
		status int
		text   string
	}{
		"/v1/states/light.hall?at=@12":          {404, "there is no light.hall at position 12; /v1/states?at=@12 lists"},
		"/v1/states/light.off?at=@12":           {404, "light.off has no state at position 12: it is disabled"},
		"/v1/states/light.hall?at=@99":          {400, "position 99 is still to come: the log ends at 13"},
		"/v1/states/light.hall?at=yesterday":    {400, "neither a time nor a position; write a time (2026-01-31T18:00:00Z"},
		"/v1/states/light.hall?at=":             {400, "neither a time nor a position"},
		"/v1/states/light.hall?at=@1&at=@2":     {400, "it may come once"},
		"/v1/states?at=@-1":                     {400, "neither a time nor a position"},
		"/v1/states?at=2026-05-01":              {400, "neither a time nor a position"},
		"/v1/registry?at=x":                     {400, "neither a time nor a position"},
		"/v1/position?at=@14":                   {400, "the log ends at 13"},
		"/v1/diff":                              {400, "from is missing"},
		"/v1/diff?from=@1&to=@14":               {400, "the log ends at 13"},
		"/v1/diff?from=@1&until=@14":            {400, "there is no parameter"},
		"/v1/why":                               {400, "position is missing"},
		"/v1/why?position=0":                    {400, "by its position, from 1"},
		"/v1/why?position=2026-05-01T12:06:00Z": {400, "by its position, from 1"},
		"/v1/why?position=14":                   {400, "the log ends at 13"},
		"/v1/why/light.hall":                    {404, "there is no light.hall at position 13"},
		"/v1/why/kitchen":                       {400, "not <domain>.<name>"},
		"/v1/why/light.x?saw=kitchen":           {400, "no entity id"},
		"/v1/history/light.none":                {404, "nothing is known of light.none up to position 13"},
		"/v1/history/light.x?to=@10":            {404, "nothing is known of light.x up to position 10"},
		"/v1/history/light.x?from=@9&to=@3":     {400, "ends at position 3, before it begins at 9"},
		"/v1/history/light.x?limit=0":           {400, "limit"},
		"/v1/history/X":                         {400, "not <domain>.<name>"},
		"/v1/snapshots/state/7":                 {404, "there is no snapshot of state at position 7"},
		"/v1/snapshots/state/x":                 {400, "no position"},
		"/v1/history/light.x?from=@3&to=@3&x=1": {400, "there is no parameter"},
	} {
		r := get(t, s.URL()+path)
		if r.status != want.status || !strings.Contains(string(r.body), want.text) || r.header.Get("ETag") != "" ||
			r.header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: %d %v %s", path, r.status, r.header, r.body)
		}
	}
}

func TestDiffs(t *testing.T) {
	s := start(t, Options{House: pastHouse(t)})
	for query, want := range map[string]string{
		"from=@8&to=@8":  "",
		"from=@8&to=@9":  "light.hall→light.hall [state attributes]",
		"from=@9&to=@10": "light.hall→light.hall [area]",
		"from=@8":        "light.hall→light.x [id area attributes], switch.plug→ [gone]",
		"from=@13&to=@8": "light.x→light.hall [id area attributes], →switch.plug [appeared]",
		"from=@0&to=@7":  "→light.hall [appeared], →light.off [appeared], →sensor.plug_power [appeared], →switch.plug [appeared]",
		"from=2026-05-01T12:02:00Z&to=2026-05-01T12:03:00Z": "light.hall→light.hall [area]",
	} {
		r := get(t, s.URL()+"/v1/diff?"+query)
		var d api.Diff
		r.decode(t, &d)
		var got []string
		for _, c := range d.Changes {
			var a, b string
			if c.Before != nil {
				a = c.Before.EntityID
			}
			if c.After != nil {
				b = c.After.EntityID
			}
			got = append(got, fmt.Sprintf("%s→%s %v", a, b, c.What))
		}
		if r.status != 200 || strings.Join(got, ", ") != want {
			t.Errorf("%s: %d %v", query, r.status, strings.Join(got, ", "))
		}
		if final := query != "from=@8"; d.To.Final != final || final != (r.header.Get("ETag") != "") || !d.From.Final {
			t.Errorf("%s: %+v %v", query, d.To, r.header)
		}
	}
	var d api.Diff
	get(t, s.URL()+"/v1/diff?from=@0&to=@7").decode(t, &d)
	if v := d.Changes[1].After; !v.Disabled || v.State.State != "" || v.Attributes != nil || v.Name != "light.off" {
		t.Errorf("the disabled one: %s", jsonText(v))
	}
}

// Entities that swap their ids are not taken for each other; one that takes over an id is.
func TestDiffsOfIDs(t *testing.T) {
	h := newHouse(t)
	appendEvents(t, h,
		entityEvent(&entityv1.Entity{Id: "light.a", UniqueId: "1"}), entityEvent(&entityv1.Entity{Id: "light.b", UniqueId: "2"}),
		entityEvent(&entityv1.Entity{Id: "light.c", UniqueId: "3"}),
		lightEvent("light.a", 1), lightEvent("light.b", 2), lightEvent("light.c", 3),
		renameEvent("light.a", "light.tmp"), renameEvent("light.b", "light.a"), renameEvent("light.tmp", "light.b"),
		unregisterEvent("light.c"), entityEvent(&entityv1.Entity{Id: "light.c", UniqueId: "4"}), lightEvent("light.c", 5),
	)
	d, err := api.NewDiff(t.Context(), h, api.AtPosition(6), api.At{})
	if err != nil || len(d.Changes) != 3 {
		t.Fatalf("%s %v", jsonText(d), err)
	}
	for i, want := range []string{"light.b→light.a [id name]", "light.a→light.b [id name]", "light.c→light.c [attributes]"} {
		c := d.Changes[i]
		if got := fmt.Sprintf("%s→%s %v", c.Before.EntityID, c.After.EntityID, c.What); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}

func TestWhyOverHTTP(t *testing.T) {
	s := start(t, Options{House: pastHouse(t)})
	positions := func(w api.Why) (list []eventstore.Position) {
		for _, l := range w.Links {
			list = append(list, l.Event.Position)
		}
		return list
	}
	var w api.Why
	get(t, s.URL()+"/v1/why/light.x?saw=chain&saw=sensor.plug_power").decode(t, &w)
	if !slices.Equal(positions(w), []eventstore.Position{12, 9}) || w.EntityID != "light.x" || w.Position != 13 || w.Final || w.Next != 0 {
		t.Fatalf("%s", jsonText(w))
	}
	link := w.Links[0]
	if !slices.Equal(ids(link.Saw), []string{"light.x", "sensor.plug_power"}) || link.Saw[0].State != "off" ||
		len(link.Changes) != 1 || link.Changes[0].Before.State.State != "off" || link.Changes[0].After.State.State != "on" {
		t.Errorf("%s", jsonText(link))
	}
	if link := w.Links[1]; !slices.Equal(ids(link.Saw), []string{"light.hall", "sensor.plug_power"}) || link.Saw[0].AreaName != "The Hall" {
		t.Errorf("%s", jsonText(link))
	}
	// As many may be named as over the other interfaces.
	many := strings.Repeat("&saw=light.x", api.MaxSaw)
	if r := get(t, s.URL()+"/v1/why/light.x?saw=chain"+many); r.status != 200 {
		t.Errorf("%d %s", r.status, r.body)
	}
	if r := get(t, s.URL()+"/v1/why/light.x?saw=light.hall"+many); r.status != 400 || r.code(t) != api.CodeInvalid {
		t.Errorf("%d %s", r.status, r.body)
	}
	w = api.Why{}
	r := get(t, s.URL()+"/v1/why?position=10")
	r.decode(t, &w)
	if !slices.Equal(positions(w), []eventstore.Position{10}) || !w.Final || w.Position != 10 || r.header.Get("ETag") == "" ||
		len(w.Links[0].Changes) != 1 || w.Links[0].Changes[0].After.AreaName != "Corridor" {
		t.Errorf("%s", r.body)
	}
	w = api.Why{}
	get(t, s.URL()+"/v1/why/light.hall?at=@10").decode(t, &w)
	if !slices.Equal(positions(w), []eventstore.Position{9}) || !w.Final {
		t.Errorf("%s", jsonText(w))
	}
}

// A chain that has no end to wait for is given in parts.
func TestLongChains(t *testing.T) {
	h := newHouse(t)
	for i := range api.MaxLinks + 10 {
		e := lightEvent("light.a", uint32(i))
		e.CausePosition = eventstore.Position(i)
		appendEvents(t, h, e)
	}
	w, err := api.NewWhy(t.Context(), h, api.WhyQuery{Entity: "light.a"})
	if err != nil || len(w.Links) != api.MaxLinks || w.Next != 10 {
		t.Fatalf("%d links, next %d, %v", len(w.Links), w.Next, err)
	}
	w, err = api.NewWhy(t.Context(), h, api.WhyQuery{At: api.AtPosition(w.Next)})
	if err != nil || len(w.Links) != 10 || w.Next != 0 {
		t.Errorf("%d links, next %d, %v", len(w.Links), w.Next, err)
	}
}

func TestHistoryOverHTTP(t *testing.T) {
	s := start(t, Options{House: pastHouse(t)})
	words := func(v *api.Value) string {
		if v == nil {
			return "-"
		}
		return v.State
	}
	for query, want := range map[string]string{
		"light.hall":               "-: 6 -→unknown, 8 unknown→on, 9 on→off, 11 off→-",
		"light.hall?from=@8":       "on: 9 on→off, 11 off→-",
		"light.hall?from=8&to=10":  "on: 9 on→off",
		"light.hall?from=@9&to=10": "off: ",
		"light.x":                  "-: 12 off→on",
		"light.x?from=@11&to=@11":  "off: ",
		"light.hall?limit=2":       "-: 6 -→unknown, 8 unknown→on… 8",
		"light.off":                "-: 7 -→-",
	} {
		r := get(t, s.URL()+"/v1/history/"+query)
		var h api.History
		r.decode(t, &h)
		var steps []string
		for _, st := range h.Steps {
			steps = append(steps, fmt.Sprintf("%d %s→%s", st.Position, words(st.Before), words(st.After)))
		}
		got := words(h.Start) + ": " + strings.Join(steps, ", ")
		if h.Next != 0 {
			got += fmt.Sprintf("… %d", h.Next)
		}
		if r.status != 200 || got != want || h.From.Final != strings.Contains(query, "from=") || h.To.Final != strings.Contains(query, "to=") {
			t.Errorf("%s: %d %s, want %s", query, r.status, got, want)
		}
	}
}

func TestSnapshotsOverHTTP(t *testing.T) {
	h := pastHouse(t)
	s := start(t, Options{House: h, SocketPath: filepath.Join(shortDir(t), "home.sock")})
	c := socketClient(t, s.SocketPath())
	var all api.Snapshots
	get(t, s.URL()+"/v1/snapshots").decode(t, &all)
	if len(all.Snapshots) != 0 || all.Snapshots == nil {
		t.Errorf("%+v", all)
	}
	if r := do(t, http.DefaultClient, "POST", s.URL()+"/v1/snapshots", nil); r.status != http.StatusForbidden {
		t.Errorf("with a token to read: %d", r.status)
	}
	var as api.AsOf
	r := do(t, c, "POST", "http://statehouse/v1/snapshots", nil)
	r.decode(t, &as)
	if r.status != 200 || as.Position != 13 || as.RecordedAt == nil {
		t.Errorf("%d %s", r.status, r.body)
	}
	if r := do(t, c, "POST", "http://statehouse/v1/snapshots", strings.NewReader("{}")); r.status != 400 {
		t.Errorf("with a body: %d", r.status)
	}
	get(t, s.URL()+"/v1/snapshots").decode(t, &all)
	if len(all.Snapshots) != 2 {
		t.Fatalf("%+v", all)
	}
	for _, listed := range all.Snapshots {
		var verified api.Snapshot
		get(t, fmt.Sprintf("%s/v1/snapshots/%s/%d", s.URL(), url.PathEscape(listed.Owner), listed.Position)).decode(t, &verified)
		if jsonText(listed) != jsonText(verified) || !verified.Usable || verified.Bytes == 0 || verified.RecordedAt == nil {
			t.Errorf("%s, %s", jsonText(listed), jsonText(verified))
		}
	}
}
