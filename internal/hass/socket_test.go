package hass

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/statehouse/statehouse"
	"github.com/statehouse/statehouse/eventstore"
	"github.com/statehouse/statehouse/internal/access"
	"github.com/statehouse/statehouse/internal/dispatch"
)

// Ids increase, formats are checked, and what there is not is said to be so.
func TestMalformedCommands(t *testing.T) {
	house := newHouse(t)
	furnish(t, house)
	url := serve(t, house, everyone(), Options{})
	c := login(t, url, "anything")
	for _, step := range []struct{ send, code string }{
		{`{"id":5,"type":"ping"}`, ""},
		{`{"id":5,"type":"ping"}`, codeIDReuse},
		{`{"id":4,"type":"get_states"}`, codeIDReuse},
		{`{"type":"ping"}`, codeInvalidFormat},
		{`{"id":0,"type":"ping"}`, codeInvalidFormat},
		{`{"id":-1,"type":"ping"}`, codeInvalidFormat},
		{`{"id":6.5,"type":"ping"}`, codeInvalidFormat},
		{`{"id":"6","type":"ping"}`, codeInvalidFormat},
		{`{"id":6}`, codeInvalidFormat},
		{`{"id":6,"type":7}`, codeInvalidFormat},
		{`"ping"`, codeInvalidFormat},
		{`null`, codeInvalidFormat},
		{`{"id":6,"type":"no/such"}`, codeUnknown},
		{`{"id":7,"type":"subscribe_entities","entity_ids":{"id":"light.hall"}}`, codeInvalidFormat},
		{`{"id":8,"type":"subscribe_entities","entity_ids":["Hall"]}`, codeInvalidFormat},
		{`{"id":9,"type":"subscribe_events","event_type":""}`, codeInvalidFormat},
		{`{"id":10,"type":"unsubscribe_events","subscription":9}`, codeNotFound},
		{`{"id":11,"type":"history/history_during_period","entity_ids":["light.hall"]}`, codeInvalidFormat},
		{`{"id":12,"type":"history/history_during_period","start_time":"then","entity_ids":["light.hall"]}`, codeStartTime},
		{`{"id":13,"type":"history/history_during_period","start_time":"2026-01-01T00:00:00Z","end_time":"2025-01-01T00:00:00Z","entity_ids":["light.hall"]}`, codeEndTime},
		{`{"id":14,"type":"history/history_during_period","start_time":"2026-01-01T00:00:00Z","entity_ids":[]}`, codeInvalidFormat},
		{`{"id":15,"type":"call_service","domain":"light","service":"dance"}`, codeNotFound},
		{`{"id":16,"type":"render_template","template":"{{ 1 }}"}`, codeTemplate},
		{`{"id":17,"type":"subscribe_trigger","trigger":{}}`, codeNotSupported},
		{`{"id":18,"type":"fire_event","event_type":"state_changed"}`, codeInvalidFormat},
		{`{"id":19,"type":"fire_event","event_type":"rang","event_data":[]}`, codeInvalidFormat},
		{`{"id":20,"type":"config/entity_registry/get","entity_id":"light.none"}`, codeNotFound},
		{`{"id":21,"type":"logbook/get_events","start_time":"2026-01-01T00:00:00Z","context_id":"01J00000000000000000000219"}`, codeNotFound},
	} {
		c.send(step.send)
		r := decode[struct {
			Success bool
			Error   struct{ Code, Message string }
		}](t, c.next())
		if r.Error.Code != step.code || r.Success || step.code != "" && r.Error.Message == "" {
			t.Errorf("%s: %+v", step.send, r)
		}
	}
	// Several in one are answered one after another.
	c.send(`[{"id":30,"type":"ping"},{"id":31,"type":"ping"}]`)
	c.want(`{"id":30,"type":"pong"}`)
	c.want(`{"id":31,"type":"pong"}`)
	for _, fatal := range []string{`{"id":32`, `[{"id":32,"type":"ping"}`, "", `{"id":32,"type":"` + strings.Repeat("x", maxMessageBytes) + `"}`} {
		c := login(t, url, "anything")
		_ = c.ws.Write(t.Context(), websocket.MessageText, []byte(fatal))
		c.wantClosed()
	}
	binary := login(t, url, "anything")
	if err := binary.ws.Write(t.Context(), websocket.MessageBinary, []byte(`{"id":1,"type":"ping"}`)); err != nil {
		t.Fatal(err)
	}
	binary.wantClosed()
}

// Ids may be one text with commas between them, in letters of any size, as Home Assistant takes them.
func TestEntitiesByOneText(t *testing.T) {
	house := newHouse(t)
	furnish(t, house)
	c := login(t, serve(t, house, everyone(), Options{}), "reader")
	r := c.call("subscribe_entities", object{"entity_ids": "light.none, Light.Hall"})
	if all := decode[struct{ A map[string]any }](t, c.event(r.ID)).A; len(all) != 1 || all["light.hall"] == nil {
		t.Errorf("got %v", all)
	}
}

// dial opens a WebSocket, closes it, and returns what the request for it was answered.
func dial(t *testing.T, url string, opts *websocket.DialOptions) (int, []byte) {
	t.Helper()
	ws, resp, err := websocket.Dial(t.Context(), "ws"+strings.TrimPrefix(url, "http")+"/api/websocket", opts)
	if err == nil {
		_ = ws.CloseNow()
		return resp.StatusCode, nil
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, body
}

// The page of another site opens no WebSocket, even if its name leads here.
func TestOrigins(t *testing.T) {
	house := newHouse(t)
	url := serve(t, house, everyone(), Options{})
	host := strings.TrimPrefix(url, "http://")
	for _, test := range []struct {
		origins []string
		host    string
		ok      bool
	}{
		{nil, host, true},
		{[]string{"http://" + host}, host, true},
		{[]string{"https://" + strings.ToUpper(host)}, host, true},
		{[]string{"http://" + host + ".evil.example"}, host, false},
		{[]string{"http://evil.example"}, host, false},
		{[]string{"http://127.0.0.1:1"}, host, false},
		{[]string{"null"}, host, false},
		{[]string{""}, host, false},
		{[]string{"file://" + host}, host, false},
		{[]string{"http://" + host, "http://evil.example"}, host, false},
	} {
		header := http.Header{}
		for _, o := range test.origins {
			header.Add("Origin", o)
		}
		status, body := dial(t, url, &websocket.DialOptions{HTTPHeader: header, Host: test.host})
		if test.ok && status != http.StatusSwitchingProtocols || !test.ok && (status != http.StatusForbidden || decode[object](t, body)["message"] == nil) {
			t.Errorf("%q for %s: %d %s", test.origins, test.host, status, body)
		}
	}
}

// A connection ends within a second when its token does, or the server; before that it gives what it gives.
func TestConnectionsEnd(t *testing.T) {
	house := newHouse(t)
	furnish(t, house)
	who := everyone()
	revoked := make(chan struct{})
	who["revoked"] = access.NewIdentity("revoked", access.Read, nil, revoked)
	ctx, closeServer := context.WithCancel(t.Context())
	open := make(chan struct{}, 100)
	url := serve(t, house, who, Options{Closing: ctx, OpenStream: func(r context.Context) (context.Context, func(), error) {
		select {
		case open <- struct{}{}:
		default:
			return nil, nil, errors.New("too many")
		}
		s, cancel := context.WithCancel(r)
		stop := context.AfterFunc(ctx, cancel)
		return s, func() { stop(); cancel(); <-open }, nil
	}})
	a, b, waiting := login(t, url, "revoked"), login(t, url, "reader"), connect(t, url)
	for _, c := range []*client{a, b} {
		id := c.command("subscribe_entities", nil)
		_ = c.next()
		c.event(id)
	}
	_ = waiting.next()
	sse := follow(t, url, "revoked")
	close(revoked)
	a.wantClosed()
	sse.wantEnd()
	appendEvents(t, house, lightEvent("light.hall", 7))
	if _, err := b.tryNext(patience); err != nil {
		t.Errorf("another one's token: %v", err)
	}
	sse = follow(t, url, "reader")
	closeServer()
	b.wantClosed()
	waiting.wantClosed()
	sse.wantEnd()
	for range 100 {
		if len(open) == 0 {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Errorf("%d streams are still open", len(open))
}

// Too many connections are told so.
func TestTooManyStreams(t *testing.T) {
	house := newHouse(t)
	url := serve(t, house, everyone(), Options{OpenStream: func(context.Context) (context.Context, func(), error) {
		return nil, nil, errors.New("as many streams are open as may be")
	}})
	login(t, url, "reader").wantClosed()
	if status, body := ask(t, http.MethodGet, url+"/api/stream", "reader", ""); status != http.StatusServiceUnavailable {
		t.Errorf("got %d %s", status, body)
	}
}

// Until there is a house everything is answered 503.
func TestNoHouseYet(t *testing.T) {
	url := serve(t, nil, everyone(), Options{})
	if status, body := ask(t, http.MethodGet, url+"/api/states", "reader", ""); status != http.StatusServiceUnavailable || decode[object](t, body)["message"] == nil {
		t.Errorf("got %d %s", status, body)
	}
	if status, body := dial(t, url, nil); status != http.StatusServiceUnavailable || decode[object](t, body)["message"] == nil {
		t.Errorf("got %d %s", status, body)
	}
}

// Who says nothing keeps nobody out.
func TestDoorstep(t *testing.T) {
	house := newHouse(t)
	url := serve(t, house, everyone(), Options{})
	var silent []*client
	for range maxWaiting + 4 {
		c := connect(t, url)
		_ = c.next()
		silent = append(silent, c)
	}
	login(t, url, "reader")
	for _, c := range silent[:5] {
		c.wantClosed()
	}
	last := silent[len(silent)-1]
	last.send(object{"type": "auth", "access_token": "reader"})
	last.want(`{"type":"auth_ok","ha_version":"2025.1.0"}`)
}

// A connection has a limit of subscriptions, and what is unsubscribed gives nothing any more and makes room.
func TestSubscriptionsAreBounded(t *testing.T) {
	house := newHouse(t)
	furnish(t, house)
	url := serve(t, house, everyone(), Options{})
	c := login(t, url, "reader")
	first := c.call("subscribe_events", object{"event_type": "state_changed"}).ID
	for range maxSubscriptions - 1 {
		must[any](c, "subscribe_events", object{"event_type": "never"})
	}
	if r := c.call("subscribe_events", nil); r.Success || r.Error.Code != codeError {
		t.Errorf("got %+v", r)
	}
	must[any](c, "unsubscribe_events", object{"subscription": first})
	appendEvents(t, house, lightEvent("light.hall", 9))
	second := c.call("subscribe_events", object{"event_type": "state_changed"}).ID
	appendEvents(t, house, lightEvent("light.hall", 8))
	if e := string(c.event(second)); !strings.Contains(e, `"brightness":8`) {
		t.Errorf("got %s", e)
	}
}

// A client that takes nothing costs nobody anything, and is dropped; one that is slow gets the net change.
func TestSlowClients(t *testing.T) {
	house := newHouse(t)
	ended := make(chan struct{}, 2)
	url := serve(t, house, everyone(), Options{WriteTimeout: time.Second, OpenStream: func(ctx context.Context) (context.Context, func(), error) {
		return ctx, func() { ended <- struct{}{} }, nil
	}})
	stuck := login(t, url, "reader")
	for range 8 {
		stuck.command("subscribe_events", nil)
	}
	big := strings.Repeat("x", 100<<10)
	for i, dropped := 0, false; !dropped; i++ {
		appendEvents(t, house, customEvent("acme.big", fmt.Sprintf(`{"n":%d,"x":%q}`, i, big)))
		select {
		case <-ended:
			dropped = true
		case <-time.After(time.Millisecond):
			if i > 5000 {
				t.Fatal("a client that takes nothing is never dropped")
			}
		}
	}
	// What it can still read was in between when it was dropped.
	stuck.wantClosed()

	slow := login(t, url, "reader")
	id := slow.command("subscribe_entities", nil)
	_ = slow.next()
	slow.event(id)
	if err := load(t.Context(), house, rand.New(rand.NewPCG(1, 1)), 300); err != nil {
		t.Fatal(err)
	}
	all, messages := map[string]folded{}, 0
	appendEvents(t, house, lightEvent("light.end", 1))
	for all["light.end"].State != "on" {
		messages++
		fold(t, all, slow.event(id))
	}
	t.Logf("%d messages for %d positions", messages, house.Now().Position())
}

// Each heartbeat wants an answer; a client that gives none is dropped.
func TestHeartbeat(t *testing.T) {
	house := newHouse(t)
	url := serve(t, house, everyone(), Options{Heartbeat: 100 * time.Millisecond})
	c := login(t, url, "reader")
	// Nobody reads, so nobody answers.
	time.Sleep(time.Second)
	if err := c.ws.Write(t.Context(), websocket.MessageText, []byte(`{"id":1,"type":"ping"}`)); err == nil {
		c.wantClosed()
	}
}

// untilAsked is a dispatcher that takes as long as its client has been asked three times whether it is there.
type untilAsked chan struct{}

func (asked untilAsked) Call(ctx context.Context, _ dispatch.Call) (dispatch.Result, error) {
	for range 3 {
		select {
		case <-asked:
		case <-ctx.Done():
			return dispatch.Result{}, context.Cause(ctx)
		}
	}
	return dispatch.Result{Command: 1}, nil
}

// TestHeartbeatBesideACommand: while a command is under way nobody reads the client's answer, which is not the client's fault.
func TestHeartbeatBesideACommand(t *testing.T) {
	house := newHouse(t)
	furnished(t, house)
	asked := make(untilAsked, 100)
	url := serve(t, house, everyone(), Options{Heartbeat: 100 * time.Millisecond, Dispatcher: func() Dispatcher { return asked }})
	ws, _, err := websocket.Dial(t.Context(), "ws"+strings.TrimPrefix(url, "http")+"/api/websocket", &websocket.DialOptions{ //nolint:bodyclose // it is the WebSocket
		OnPingReceived: func(context.Context, []byte) bool { asked <- struct{}{}; return true },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ws.CloseNow() })
	c := &client{t: t, ws: ws}
	c.next()
	c.send(object{"type": "auth", "access_token": "anything"})
	c.next()
	if r := c.call("call_service", object{"domain": "light", "service": "turn_on", "target": object{"entity_id": "light.a"}}); !r.Success {
		t.Errorf("%+v", r)
	}
}

// serverEvents is a stream of server-sent events.
type serverEvents struct {
	t    *testing.T
	body io.ReadCloser
}

func follow(t *testing.T, url, token string) *serverEvents {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url+"/api/stream?restrict=state_changed,rang", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+token)
	a, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = a.Body.Close() })
	s := &serverEvents{t, a.Body}
	if first := s.next(); first != "ping" {
		t.Errorf("got %q", first)
	}
	return s
}

// next is the data of the next event.
func (s *serverEvents) next() string {
	s.t.Helper()
	var line strings.Builder
	for !strings.HasSuffix(line.String(), "\n\n") {
		var b [1]byte
		if _, err := io.ReadFull(s.body, b[:]); err != nil {
			s.t.Fatal(err)
		}
		line.WriteByte(b[0])
	}
	return strings.TrimPrefix(strings.TrimSpace(line.String()), "data: ")
}

func (s *serverEvents) wantEnd() {
	s.t.Helper()
	ended := make(chan struct{})
	go func() {
		_, _ = io.Copy(io.Discard, s.body)
		close(ended)
	}()
	select {
	case <-ended:
	case <-time.After(3 * time.Second):
		s.t.Error("the stream goes on")
		_ = s.body.Close()
		<-ended
	}
}

// onFlush is an answer whose client does something as soon as the first of it is there.
type onFlush struct {
	*httptest.ResponseRecorder
	do func()
}

func (w *onFlush) FlushError() error {
	if do := w.do; do != nil {
		w.do = nil
		do()
	} else if strings.Contains(w.Body.String(), "state_changed") {
		return io.ErrClosedPipe // it has enough
	}
	return nil
}

// TestStreamBeginsWithItsFirstWord: whatever happens after the first ping comes.
func TestStreamBeginsWithItsFirstWord(t *testing.T) {
	house := newHouse(t)
	handler := New(Options{House: func() *statehouse.House { return house }, Auth: everyone()})
	ctx, cancel := context.WithTimeout(access.With(t.Context(), everyone()["reader"]), patience)
	defer cancel()
	w := &onFlush{httptest.NewRecorder(), func() { appendEvents(t, house, lightEvent("light.hall", 3)) }}
	handler.ServeHTTP(w, httptest.NewRequestWithContext(ctx, http.MethodGet, "/api/stream", nil))
	if !strings.Contains(w.Body.String(), `"brightness":3`) {
		t.Errorf("got %s", w.Body)
	}
}

// However much a client asks for and however little it reads, it costs one large answer at a time. (Defect: each subscription made
// its own, and waited with it for its turn.)
func TestLargeAnswersOneAtATime(t *testing.T) {
	house := newHouse(t)
	const entities, subscriptions = 3000, 100
	batch := make([]eventstore.Event, entities)
	for i := range batch {
		batch[i] = lightEvent(fmt.Sprintf("light.l%d", i), 1)
	}
	appendEvents(t, house, batch...)
	url := serve(t, house, everyone(), Options{})
	heap := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	c := login(t, url, "reader")
	raw := uint64(len(c.call("get_states", nil).Result))
	before := heap()
	for range subscriptions {
		c.command("subscribe_entities", nil)
	}
	most := uint64(0)
	for range 40 { // two seconds, in which all of them would long be made
		time.Sleep(50 * time.Millisecond)
		most = max(most, heap())
	}
	if grown := most - min(most, before); grown > 30*raw {
		t.Errorf("%d subscriptions that nobody reads take %d MiB; one answer is %d MiB", subscriptions, grown>>20, raw>>20)
	}
}
