package hass

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/statehouse/statehouse"
	"github.com/statehouse/statehouse/eventstore"
	"github.com/statehouse/statehouse/internal/access"
	"github.com/statehouse/statehouse/internal/api"
)

func rfc(at time.Time) string { return at.UTC().Format(time.RFC3339Nano) }

// recordedAt is when the event at a position was recorded.
func recordedAt(t *testing.T, h *statehouse.House, at eventstore.Position) time.Time {
	t.Helper()
	e, err := h.Store().Event(t.Context(), at)
	if err != nil {
		t.Fatal(err)
	}
	return e.RecordedAt
}

// later waits until the clock has gone on, so that times tell moments apart.
func later() time.Time {
	time.Sleep(2 * time.Millisecond)
	defer time.Sleep(2 * time.Millisecond)
	return time.Now()
}

// What was before the oldest moment that is left is not known, and no history says anything of it: it begins where the history that
// is left does, and one that ends before that is empty.
func TestNoHistoryOfWhatWasRemoved(t *testing.T) {
	house := newHouse(t)
	furnish(t, house)
	between := later()
	removed := appendEvents(t, house, lightEvent("light.hall", 50)).Last
	base := recordedAt(t, house, removed)
	after := later()
	off := recordedAt(t, house, appendEvents(t, house, lightEvent("light.hall", 0)).Last)
	if _, err := house.Compact(t.Context(), removed, eventstore.CompactOptions{}); err != nil {
		t.Fatal(err)
	}
	if at, _ := house.Base(); at != removed {
		t.Fatalf("history is removed up to %d", at)
	}
	url := serve(t, house, everyone(), Options{})
	c := login(t, url, "reader")
	end := rfc(off.Add(time.Hour))
	type row struct{ State, At string }
	for name, test := range map[string]struct {
		start, end string
		want       []row
	}{
		"years before":           {"2020-01-01T00:00:00Z", "2020-01-02T00:00:00Z", nil},
		"from the beginning":     {"0001-01-01T00:00:00Z", end, []row{{"on", stamp(base).String()}, {"off", stamp(off).String()}}},
		"up to just before it":   {"2020-01-01T00:00:00Z", rfc(base.Add(-1)), nil},
		"up to it":               {"2020-01-01T00:00:00Z", rfc(base), []row{{"on", stamp(base).String()}}},
		"within what is removed": {rfc(between), rfc(between.Add(1)), nil},
		"from within it":         {rfc(between), end, []row{{"on", stamp(base).String()}, {"off", stamp(off).String()}}},
		"from behind it":         {rfc(after), end, []row{{"on", stamp(after).String()}, {"off", stamp(off).String()}}},
	} {
		var got []row
		path := fmt.Sprintf("%s/api/history/period/%s?filter_entity_id=light.hall&end_time=%s", url, test.start, test.end)
		for _, list := range get[[][]object](t, path, "reader") {
			for _, s := range list {
				got = append(got, row{s["state"].(string), s["last_changed"].(string)})
			}
		}
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
		rows := must[map[string][]struct {
			State string  `json:"s"`
			At    float64 `json:"lu"`
		}](c, "history/history_during_period", object{"start_time": test.start, "end_time": test.end, "entity_ids": []string{"light.hall"}})["light.hall"]
		got = nil
		for _, r := range rows {
			got = append(got, row{r.State, stamp(time.UnixMicro(int64(r.At*1e6 + 0.5))).String()})
		}
		if len(got) != len(test.want) || len(got) > 0 && got[0].At[:19] != test.want[0].At[:19] {
			t.Errorf("%s: the WebSocket says %v, want %v", name, got, test.want)
		}
	}
}

// A frozen moment that is named by a time answers what the present answers for the same time, also where the last event before it was
// long ago.
func TestFrozenAtATimeWithoutAnEvent(t *testing.T) {
	house := newHouse(t)
	furnish(t, house)
	start := later()
	moment := later()
	appendEvents(t, house, lightEvent("light.hall", 0))
	url := serve(t, house, everyone(), Options{})
	for _, query := range []string{
		"/api/history/period/" + rfc(start) + "?filter_entity_id=light.hall&end_time=" + rfc(moment),
		"/api/history/period/" + rfc(moment) + "?filter_entity_id=light.hall&end_time=" + rfc(moment),
		"/api/logbook/" + rfc(start) + "?end_time=" + rfc(moment),
	} {
		present, frozen := get[any](t, url+query, "reader"), get[any](t, url+"/at/"+rfc(moment)+query, "reader")
		if diff := cmp.Diff(present, frozen); diff != "" {
			t.Errorf("%s: %s", query, diff)
		}
	}
	present := get[[][]object](t, url+"/api/history/period/"+rfc(start)+"?filter_entity_id=light.hall&end_time="+rfc(moment), "reader")
	if len(present) != 1 || len(present[0]) != 1 || present[0][0]["state"] != "on" {
		t.Errorf("got %v", present)
	}
	// Without times the last day before the moment is meant, and nothing behind it, over both interfaces.
	listed := get[[][]object](t, url+"/at/"+rfc(moment)+"/api/history/period?filter_entity_id=light.hall", "reader")
	if len(listed) != 1 || listed[0][len(listed[0])-1]["state"] != "on" {
		t.Errorf("got %v", listed)
	}
	c := login(t, url+"/at/"+rfc(moment), "reader")
	rows := must[map[string][]object](c, "history/history_during_period", object{"start_time": rfc(start), "entity_ids": []string{"light.hall"}})
	if len(rows["light.hall"]) != 1 {
		t.Errorf("got %v", rows)
	}
	// A time that is still to come ends at the present: nothing is made up of what nobody knows.
	future := get[[][]object](t, url+"/at/2200-01-01T00:00:00Z/api/history/period?filter_entity_id=light.hall", "reader")
	if len(future) != 1 || future[0][len(future[0])-1]["state"] != "off" {
		t.Errorf("got %v", future)
	}
}

// present is the house as the reader of a stream has it.
func present(t *testing.T, h *statehouse.House) *view {
	t.Helper()
	v, err := newView(t.Context(), newOrigins(h), api.At{})
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// However much has come since a client last took something, it comes in messages of a bounded size, and nothing of it is missing.
func TestStreamsOfThePastSendBoundedMessages(t *testing.T) {
	house := newHouse(t)
	furnish(t, house)
	from := house.Now()
	const events = 3000 // more than many a span, and one of them
	batch := make([]eventstore.Event, events)
	for i := range batch {
		batch[i] = lightEvent("light.hall", uint32(i%2))
	}
	appendEvents(t, house, batch...)
	v, who := present(t, house), access.NewIdentity("reader", access.Read, nil, nil)
	enough := errors.New("enough")
	want := events // the first of them changes what was on, the rest each other
	for name, follow := range map[string]func(send func(n int) error) error{
		"history": func(send func(int) error) error {
			return v.followHistory(t.Context(), from, who, historyQuery{ids: []string{"light.hall"}, significant: true}, func(m historyMessage) error {
				return send(len(m.States["light.hall"]))
			})
		},
		"logbook": func(send func(int) error) error {
			return v.followLogbook(t.Context(), from, who, logbookQuery{}, func(m logbookMessage) error { return send(len(m.Events)) })
		},
	} {
		all := 0
		err := follow(func(n int) error {
			if n > maxBatch {
				t.Errorf("%s: a message has %d rows", name, n)
			}
			if all += n; all == want {
				return enough
			}
			return nil
		})
		if !errors.Is(err, enough) {
			t.Errorf("%s: %d of %d, %v", name, all, want, err)
		}
	}
}

// A stream that was asked for up to a time gives what was recorded up to it and nothing behind, and ends, also where nothing
// happens at the end; what a slow client has not taken yet at the end is still sent.
func TestStreamsOfThePastEnd(t *testing.T) {
	house := newHouse(t)
	furnish(t, house)
	from := house.Now()
	var marks []time.Time
	for i := range 4 {
		appendEvents(t, house, lightEvent("light.hall", uint32(i%2)))
		marks = append(marks, later())
	}
	v, who := present(t, house), access.NewIdentity("reader", access.Read, nil, nil)
	history := func(end time.Time) (n int) {
		q := historyQuery{ids: []string{"light.hall"}, significant: true, end: end}
		if err := v.followHistory(t.Context(), from, who, q, func(m historyMessage) error { n += len(m.States["light.hall"]); return nil }); err != nil {
			t.Error(err)
		}
		return n
	}
	logbook := func(end time.Time) (n int) {
		if err := v.followLogbook(t.Context(), from, who, logbookQuery{end: end}, func(m logbookMessage) error { n += len(m.Events); return nil }); err != nil {
			t.Error(err)
		}
		return n
	}
	for i, end := range marks {
		if h, l := history(end), logbook(end); h != i+1 || l != i+1 {
			t.Errorf("up to event %d: %d rows and %d entries", i+1, h, l)
		}
	}
	if n := history(time.Now().Add(50 * time.Millisecond)); n != len(marks) {
		t.Errorf("%d rows", n)
	}
	// A client that takes the first row only when the end is long past gets what came up to it, and nothing of what came behind.
	end, n := time.Now().Add(200*time.Millisecond), 0
	q := historyQuery{ids: []string{"light.hall"}, end: end}
	from = house.Now()
	appendEvents(t, house, lightEvent("light.hall", 70))
	err := v.followHistory(t.Context(), from, who, q, func(m historyMessage) error {
		if n += len(m.States["light.hall"]); n > 1 {
			return nil
		}
		_, err := house.Append(t.Context(), lightEvent("light.hall", 80))
		time.Sleep(time.Until(end.Add(2 * settled)))
		_, err2 := house.Append(t.Context(), lightEvent("light.hall", 90))
		return errors.Join(err, err2)
	})
	if n != 2 || err != nil {
		t.Errorf("%d rows, want the two up to the end; %v", n, err)
	}
}

// A stream of what an event did and caused gives that alone, also of what comes.
func TestLogbookOfACauseGoesOn(t *testing.T) {
	house := newHouse(t)
	furnish(t, house)
	cause := appendEvents(t, house, lightEvent("light.hall", 0)).First
	from := house.Now()
	caused := lightEvent("light.hall", 3)
	caused.CausePosition = cause
	of := appendEvents(t, house, caused).First
	appendEvents(t, house, lightEvent("light.hall", 0), lightEvent("light.hall", 5), lightEvent("light.hall", 0))
	end := later()
	v, who := present(t, house), access.NewIdentity("reader", access.Read, nil, nil)
	var got []logbookEntry
	q := logbookQuery{cause: cause, end: end}
	if err := v.followLogbook(t.Context(), from, who, q, func(m logbookMessage) error { got = append(got, m.Events...); return nil }); err != nil {
		t.Fatal(err)
	}
	if len(got) != 1 || got[0].State != "on" || got[0].When != any(seconds(recordedAt(t, house, of))) {
		t.Errorf("got %v", got)
	}
}

// An end before everything is an end: what ends there is empty, or ends before it begins.
func TestTheFirstTimeIsAnEnd(t *testing.T) {
	house := newHouse(t)
	furnish(t, house)
	url := serve(t, house, everyone(), Options{})
	c := login(t, url, "reader")
	first := "0001-01-01T00:00:00Z"
	for _, command := range []string{"history/history_during_period", "logbook/get_events"} {
		r := c.call(command, object{"start_time": "2020-01-01T00:00:00Z", "end_time": first, "entity_ids": []string{"light.hall"}})
		if r.Success || r.Error.Code != codeEndTime {
			t.Errorf("%s: %+v", command, r)
		}
	}
	for _, path := range []string{"/api/history/period/" + first + "?filter_entity_id=light.hall&end_time=" + first, "/api/logbook/" + first + "?end_time=" + first} {
		if got := get[[]any](t, url+path, "reader"); len(got) != 0 {
			t.Errorf("%s: %v", path, got)
		}
	}
}

// Of what is still to come nothing is known, by either interface, and no stream begins there. (Defect: over the WebSocket a history
// that began there had the present state in it, or ended before it began.)
func TestNothingIsKnownOfWhatIsToCome(t *testing.T) {
	house := newHouse(t)
	furnish(t, house)
	url := serve(t, house, everyone(), Options{})
	start, end := rfc(time.Now().Add(time.Hour)), rfc(time.Now().Add(2*time.Hour))
	for _, moment := range []string{"", "/at/oldest"} {
		c := login(t, url+moment, "reader")
		for _, period := range []object{{"start_time": start}, {"start_time": start, "end_time": end}} {
			period["entity_ids"] = []string{"light.hall"}
			for command, want := range map[string]string{"history/history_during_period": "{}", "logbook/get_events": "[]"} {
				if r := c.call(command, period); !r.Success || string(r.Result) != want {
					t.Errorf("%s%s: %s %s", moment, command, r.Result, r.Error)
				}
			}
			for _, command := range []string{"history/stream", "logbook/event_stream"} {
				if r := c.call(command, period); r.Success || r.Error.Code != codeStartTime {
					t.Errorf("%s%s: %s %s", moment, command, r.Result, r.Error)
				}
			}
		}
		for _, path := range []string{"/api/history/period/" + start + "?filter_entity_id=light.hall", "/api/logbook/" + start} {
			if got := get[[]any](t, url+moment+path, "reader"); len(got) != 0 {
				t.Errorf("%s%s: %v", moment, path, got)
			}
		}
	}
}

// sharedLog is what several connections log.
type sharedLog struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *sharedLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *sharedLog) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// Who sends a token where none belongs gets an error that repeats it without its secret, and no log has it.
func TestErrorsHaveNoToken(t *testing.T) {
	var log sharedLog
	house := newHouse(t)
	opts := Options{Logger: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))}
	url := serve(t, house, everyone(), opts)
	const secret = "abcdefghijklmnopqrstuvwxyz234567abcdefghijklmnopqrst"
	token := "sth_zzzzzzzzzz_" + secret
	c := login(t, url, "reader")
	answers := string(encode(c.call("history/history_during_period", object{"start_time": "2020-01-01T00:00:00Z", "entity_ids": []string{token}})))
	for _, path := range []string{"/api/history/period?filter_entity_id=" + token, "/at/" + token + "/api/states", "/api/" + token} {
		status, body := ask(t, http.MethodGet, url+path, "reader", "")
		if status < 400 {
			t.Errorf("%s: %d", path, status)
		}
		answers += string(body)
	}
	if !strings.Contains(answers, "redacted") || strings.Contains(answers, secret[:8]) {
		t.Errorf("got %s", answers)
	}
	// A defect is the one failure whose path is logged.
	opts.setDefaults()
	h := &Handler{opts: opts}
	h.fail(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/api/states/"+token, nil), errors.New("a defect with "+token))
	if text := log.String(); !strings.Contains(text, "redacted") || strings.Contains(text, secret[:8]) {
		t.Errorf("the log has %s", text)
	}
}

// Times are written in the ways that Home Assistant reads.
func TestTimesOfClients(t *testing.T) {
	want := time.Date(2026, 1, 31, 7, 0, 0, 0, time.UTC)
	for _, text := range []string{
		"2026-01-31T08:00:00+01:00", "2026-01-31T08:00:00.000000+01:00", "2026-01-31 08:00:00+01:00", "2026-01-31T08:00:00 01:00",
		"2026-01-31T08:00:00+0100", "2026-01-31T07:00:00Z", "2026-01-31T07:00:00", "2026-01-31 07:00:00", "2026-01-31T07:00", "2026-01-31T07:00Z",
		"2026-01-31T08:00+01:00", "2026-01-31 07:00",
	} {
		if got, ok := parseTime(text); !ok || !got.Equal(want) {
			t.Errorf("%s: %s, %t", text, got, ok)
		}
	}
	for _, text := range []string{"", "07:00", "2026-01-31T", "2026-01-31T25:00", "then"} {
		if got, ok := parseTime(text); ok {
			t.Errorf("%q: %s", text, got)
		}
	}
}
