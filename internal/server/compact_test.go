package server

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/statehouse/statehouse"
	"github.com/statehouse/statehouse/eventstore"
	"github.com/statehouse/statehouse/internal/api"
)

// compactURL is where the owner has history removed.
const compactURL = "http://statehouse/v1/compact"

// lastCompactLine is the last line of an answer.
func lastCompactLine(t *testing.T, text []byte) (last api.CompactLine) {
	t.Helper()
	for d := json.NewDecoder(bytes.NewReader(text)); ; {
		last = api.CompactLine{}
		if err := d.Decode(&last); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		if !d.More() {
			return last
		}
	}
}

// compactedHouse is the one of pastHouse, of which the first nine events have been removed, and 14 says so.
func compactedHouse(t *testing.T) *statehouse.House {
	t.Helper()
	h := pastHouse(t)
	if c, err := h.Compact(t.Context(), 13, eventstore.CompactOptions{}); err != nil || c.Base != 13 {
		t.Fatalf("%+v, %v", c, err)
	}
	caused := lightEvent("light.x", 100) // 15
	caused.CausePosition = 12
	appendEvents(t, h, caused)
	return h
}

// TestCompact: the owner of the database has history removed through the socket, and nobody over TCP.
func TestCompact(t *testing.T) {
	h := pastHouse(t)
	if err := h.Snapshot(t.Context()); err != nil { // at 13
		t.Fatal(err)
	}
	if c, err := h.Consumer(t.Context(), "mirror", eventstore.Query{}); err != nil {
		t.Fatal(err)
	} else {
		c.Close()
	}
	appendEvents(t, h, lightEvent("light.x", 3)) // 14, 12:07
	s := start(t, Options{House: h, SocketPath: filepath.Join(shortDir(t), "s")})
	c := socketClient(t, s.SocketPath())
	oldest := func() *api.Oldest {
		var info api.Info
		get(t, s.URL()+"/v1/info").decode(t, &info)
		return info.Oldest
	}
	if o := oldest(); o != nil {
		t.Errorf("nothing has been removed, and the oldest moment is %+v", o)
	}
	post := func(query string) api.Compaction {
		t.Helper()
		r := do(t, c, http.MethodPost, compactURL+"?"+query, nil)
		last := lastCompactLine(t, r.body)
		if r.status != 200 || last.Result == nil {
			t.Fatalf("%s: %d %s", query, r.status, r.body)
		}
		return *last.Result
	}
	recorded := `"2026-05-01T12:06:00Z"`
	for _, q := range []struct{ query, want string }{
		{"before=@0", `{"dry_run":false,"position":0,"events":0}`},
		{"before=2026-05-01T12:06:30Z&dry_run=1", `{"dry_run":true,"position":13,"recorded_at":` + recorded + `,"events":13,"left_behind":["mirror"]}`},
		{"before=2026-05-01T12:06:30Z", `{"dry_run":false,"position":13,"recorded_at":` + recorded + `,"events":13,"attested":15,"left_behind":["mirror"]}`},
		{"before=2026-05-01T12:06:30Z", `{"dry_run":false,"position":13,"recorded_at":` + recorded + `,"events":0}`},
		{"before=2026-05-01T12:00:00Z", `{"dry_run":false,"position":13,"recorded_at":` + recorded + `,"events":0}`},
		{"before=@2&dry_run=1", `{"dry_run":true,"position":13,"recorded_at":` + recorded + `,"events":0}`},
		{"before=oldest", `{"dry_run":false,"position":13,"recorded_at":` + recorded + `,"events":0}`},
	} {
		if got := jsonText(post(q.query)); got != q.want {
			t.Errorf("%s: %s, want %s", q.query, got, q.want)
		}
	}
	if got := jsonText(oldest()); got != `{"position":13,"recorded_at":`+recorded+`}` {
		t.Errorf("the oldest moment is %s", got)
	}
	removed := lines(t, get(t, s.URL()+"/v1/events?kind=history_removed"))
	if len(removed) != 1 || removed[0].Position != 15 || removed[0].Source != "api:local" || !strings.Contains(string(removed[0].Data), `"through":13,`) {
		t.Errorf("%s", jsonText(removed))
	}
	for _, q := range []string{"", "before=", "before=never", "before=@99", "before=@3&until=@4", "before=@3&dry_run=maybe"} {
		if r := do(t, c, http.MethodPost, compactURL+"?"+q, nil); r.status != 400 || r.code(t) != api.CodeInvalid {
			t.Errorf("%s: %d %s", q, r.status, r.body)
		}
	}
	if r := do(t, c, http.MethodPost, compactURL+"?before=@3", strings.NewReader("{}")); r.status != 400 {
		t.Errorf("with a body: %d %s", r.status, r.body)
	}
	if r := do(t, http.DefaultClient, http.MethodPost, s.URL()+"/v1/compact?before=@3", nil); r.status != 403 {
		t.Errorf("with a token to read: %d %s", r.status, r.body)
	}
	if base, _ := h.Base(); base != 13 {
		t.Errorf("the base is %d", base)
	}
}

// TestCompactEnds: a removal ends with its client, and there is one at a time.
func TestCompactEnds(t *testing.T) {
	h := pastHouse(t)
	s := start(t, Options{House: h, SocketPath: filepath.Join(shortDir(t), "s")})
	// The writer is held up, so that the snapshots that the removal begins with are not taken.
	held, free := make(chan struct{}), make(chan struct{})
	decided := make(chan error, 1)
	go func() {
		_, err := h.Decide(context.Background(), func(statehouse.Pending) ([]eventstore.Event, error) {
			close(held)
			<-free
			return nil, nil
		})
		decided <- err
	}()
	<-held
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended := make(chan error, 1)
	go func() {
		ended <- s.postCompact(h, httptest.NewRecorder(), asOwner(httptest.NewRequestWithContext(ctx, http.MethodPost, compactURL+"?before=@13", nil)))
	}()
	eventually(t, "the removal begins", func() bool {
		if s.compacting.TryLock() {
			s.compacting.Unlock()
			return false
		}
		return len(s.streams) == 1
	})
	if r := do(t, socketClient(t, s.SocketPath()), http.MethodPost, compactURL+"?before=@13", nil); r.status != 503 ||
		r.code(t) != api.CodeUnavailable || r.header.Get("Retry-After") == "" {
		t.Errorf("a second one: %d %s", r.status, r.body)
	}
	cancel()
	close(free)
	if err := errors.Join(<-ended, <-decided); err != nil {
		t.Error(err)
	}
	if base, _ := h.Base(); base != 0 || len(s.streams) != 0 {
		t.Errorf("the base is %d", base)
	}
}

// TestCompactFails: what cannot be removed is in the last line.
func TestCompactFails(t *testing.T) {
	h := pastHouse(t)
	s := start(t, Options{House: h, SocketPath: filepath.Join(shortDir(t), "s")})
	behind(t, h.Path(), `UPDATE segments SET body = x'00000000' WHERE last_position = 9`)
	r := do(t, socketClient(t, s.SocketPath()), http.MethodPost, compactURL+"?before=@13", nil)
	if last := lastCompactLine(t, r.body); r.status != 200 || last.Error == nil || last.Error.Code != api.CodeCorrupt ||
		!strings.Contains(last.Error.Message, "segment with position 9") {
		t.Errorf("%d %s", r.status, r.body)
	}
	if base, _ := h.Base(); base != 0 {
		t.Errorf("the base is %d", base)
	}
}

// behind changes a database behind the back of who has it open.
func behind(t *testing.T, path, statement string) {
	t.Helper()
	db, err := sql.Open("sqlite", path+"?_pragma=busy_timeout(10000)")
	if err == nil {
		_, err = db.ExecContext(t.Context(), statement)
		err = errors.Join(err, db.Close())
	}
	if err != nil {
		t.Fatal(err)
	}
}

// TestRemovedIsGone: whoever asks for what has been removed is told so, and what is left; who does not say from where gets
// that.
func TestRemovedIsGone(t *testing.T) {
	h := compactedHouse(t)
	s := start(t, Options{House: h})
	for _, path := range []string{
		"/v1/states?at=@12", "/v1/states?at=0", "/v1/states?at=2026-05-01T12:05:59Z", "/v1/states/light.x?at=@12", "/v1/registry?at=@12",
		"/v1/position?at=@12", "/v1/diff?from=@12", "/v1/diff?from=@14&to=@3", "/v1/why?position=@13", "/v1/why?position=@2",
		"/v1/why/light.x?at=@12", "/v1/why/sensor.plug_power", "/v1/history/light.x?from=@0", "/v1/history/light.x?to=@12",
		"/v1/events?after=0", "/v1/events?after=12", "/v1/events?until=12", "/v1/events?until=0", "/v1/events?after=0&follow=1",
	} {
		r := get(t, s.URL()+path)
		var e api.Error
		r.decode(t, &e)
		if r.status != http.StatusGone || e.Error.Code != api.CodeCompacted || !strings.Contains(e.Error.Message, "the oldest moment is the one at position 13, and the oldest event the one at 14") {
			t.Errorf("%s: %d %s", path, r.status, r.body)
		}
		if r.header.Get("Etag") != "" || r.header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: %v", path, r.header)
		}
	}
	for path, want := range map[string][]eventstore.Position{
		"/v1/events": {14, 15}, "/v1/events?after=13": {14, 15}, "/v1/events?until=13": nil, "/v1/events?until=14": {14}, "/v1/events?after=14": {15},
	} {
		r := get(t, s.URL()+path)
		if got := positions(lines(t, r)); r.status != 200 || !slices.Equal(got, want) {
			t.Errorf("%s: %d %v, want %v", path, r.status, got, want)
		}
	}
	for _, at := range []string{"oldest", "@oldest", "@13", "2026-05-01T12:06:00Z"} {
		var as api.AsOf
		r := get(t, s.URL()+"/v1/position?at="+at)
		r.decode(t, &as)
		if r.status != 200 || as.Position != 13 || as.RecordedAt == nil || as.RecordedAt.Format(time.TimeOnly) != "12:06:00" ||
			as.Final != !strings.Contains(at, "oldest") || as.Final != (r.header.Get("Etag") != "") {
			t.Errorf("at=%s: %d %s", at, r.status, r.body)
		}
		var states api.States
		get(t, s.URL()+"/v1/states?at="+at).decode(t, &states)
		if got := ids(states.States); !slices.Equal(got, []string{"light.x", "sensor.plug_power"}) {
			t.Errorf("the house at %s: %v", at, got)
		}
	}
	var history api.History
	get(t, s.URL()+"/v1/history/light.x").decode(t, &history)
	if history.From.Position != 13 || history.Start == nil || history.Start.Position != 12 || len(history.Steps) != 1 || history.Steps[0].Position != 15 {
		t.Errorf("%s", jsonText(history))
	}
	if r := get(t, s.URL()+"/v1/history/switch.plug"); r.status != 404 || !strings.Contains(string(r.body), "history has been removed") {
		t.Errorf("what is known of before: %d %s", r.status, r.body)
	}
	var why api.Why
	get(t, s.URL()+"/v1/why/light.x").decode(t, &why)
	if len(why.Links) != 1 || why.Links[0].Event.Position != 15 || why.Removed != 12 || why.Next != 0 {
		t.Errorf("%s", jsonText(why))
	}
	metrics := string(get(t, s.URL()+"/metrics").body)
	for _, want := range []string{"statehouse_log_base_position 13", "statehouse_log_base_timestamp_seconds 1.77763716e+09"} {
		if !strings.Contains(metrics, "\n"+want+"\n") {
			t.Errorf("no %s", want)
		}
	}
}

// TestChangesBehindWhatIsRemoved: a reader that comes back with a position that has been removed, or gets to one, drops
// everything and is given the whole state.
func TestChangesBehindWhatIsRemoved(t *testing.T) {
	h := compactedHouse(t)
	s := start(t, Options{House: h})
	for at, reset := range map[eventstore.Position]bool{12: true, 0: true, 13: false, 15: false} {
		f := follow(t, s.URL()+"/v1/changes", newCursor(h, at).String())
		if reset {
			m := f.read()
			var r api.Reset
			f.decode(m, &r)
			if m.Event != api.StreamReset || !strings.Contains(r.Reason, "history has been removed up to 13") {
				t.Errorf("%d: %s %s", at, m.Event, m.Data)
			}
			f.ready()
			f.same(h.Now())
		} else if at < 15 {
			if m := f.read(); m.Event != api.StreamChange {
				t.Errorf("%d: %s %s", at, m.Event, m.Data)
			}
		}
		f.stop()
	}
}

// hookedWriter does something with each write, before it is done.
type hookedWriter struct {
	*httptest.ResponseRecorder
	hook func(text string)
}

func (w hookedWriter) Write(p []byte) (int, error) {
	w.hook(string(p))
	return w.ResponseRecorder.Write(p)
}

// TestSlowChangesBehindWhatIsRemoved: a reader so slow that what would come next is removed before it does is given the
// whole state instead, in the same stream.
func TestSlowChangesBehindWhatIsRemoved(t *testing.T) {
	h := newHouse(t)
	furnish(t, h)
	s := start(t, Options{House: h})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	writes := 0
	w := hookedWriter{httptest.NewRecorder(), func(text string) {
		switch writes++; {
		case strings.Contains(text, "event: reset"):
			cancel()
		case writes == 1:
			appendEvents(t, h, lightEvent("light.hall", 1))
			if c, err := h.Compact(t.Context(), 9, eventstore.CompactOptions{}); err != nil || c.Base != 9 {
				t.Errorf("%+v, %v", c, err)
			}
		default:
			t.Errorf("there comes %s", text)
			cancel()
		}
	}}
	if err := s.getChanges(h, w, asOwner(httptest.NewRequestWithContext(ctx, http.MethodGet, "/v1/changes", nil))); err != nil {
		t.Error(err)
	}
	got := w.Body.String()
	if _, after, _ := strings.Cut(got, "event: reset"); strings.Contains(got, "event: change") || strings.Contains(got, "event: error") ||
		!strings.Contains(after, "history has been removed up to 9") || !strings.Contains(after, `data: {"position":10,"entities":3}`) {
		t.Errorf("%s", got)
	}
}
