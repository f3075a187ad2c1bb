package server

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/statehouse/statehouse/internal/access"
	"github.com/statehouse/statehouse/internal/api"
	"github.com/statehouse/statehouse/internal/command"
	"github.com/statehouse/statehouse/internal/dispatch"
	"github.com/statehouse/statehouse/internal/dispatch/dispatchtest"
)

// slowDispatcher waits until its context ends.
type slowDispatcher struct{ called chan dispatch.Call }

func (d slowDispatcher) Call(ctx context.Context, c dispatch.Call) (dispatch.Result, error) {
	d.called <- c
	<-ctx.Done()
	return dispatch.Result{Command: 7}, ctx.Err()
}

// commandAs does a request with a token.
func commandAs(t *testing.T, s *Server, token, method, path, body string) (int, string) {
	t.Helper()
	var content io.Reader
	if body != "" {
		content = strings.NewReader(body)
	}
	r := do(t, http.DefaultClient, method, s.URL()+path, content, "Authorization", "Bearer "+token, "Content-Type", "application/json")
	return r.status, string(r.body)
}

// TestCommandsOverHTTP: what comes of each request, over a real house.
func TestCommandsOverHTTP(t *testing.T) {
	h := newHouse(t)
	devices, dispatcher := dispatchtest.New(h)
	appendEvents(t, h, dispatchtest.Light("light.a"), dispatchtest.Light("switch.a"), lightEvent("light.a", 0))
	auth := newTestAuth()
	auth["lights"] = access.NewIdentity("lights", access.Command|access.Read, []string{"light.*"}, nil)
	s := start(t, Options{House: h, Auth: auth, Dispatcher: func() Dispatcher { return dispatcher }})
	const path = "/v1/entities/light.a/commands"
	for _, c := range []struct {
		token, path, body string
		status            int
		answer            string
	}{
		{"command", path, `{"action":"turn_on","arguments":{"brightness":128},"wait":true,"correlation_id":"x","cause_position":1}`, 200, `"settled_position":6,"outcome":"confirmed"`},
		{"lights", path, `{"action":"turn_off","cause_position":3}`, 200, `"entity_id":"light.a"`},
		{"lights", path, `{"action":"turn_off","cause_position":2}`, 403, `"forbidden"`},
		{"lights", path, `{"action":"turn_off","cause_position":99}`, 403, `"forbidden"`},
		{"lights", "/v1/entities/switch.a/commands", `{"action":"turn_off"}`, 403, `"forbidden"`},
		{"lights", "/v1/entities/switch.none/commands", `{"action":"turn_off"}`, 403, `"forbidden"`},
		{"write", path, `{"action":"turn_off"}`, 403, `"forbidden"`},
		{"command", "/v1/entities/light.none/commands", `{"action":"turn_off"}`, 404, `"not_found"`},
		{"command", "/v1/entities/Light/commands", `{"action":"turn_off"}`, 400, `"invalid"`},
		{"command", path, `{"action":"dance"}`, 400, `"invalid"`},
		{"command", path, `{"action":"turn_on","arguments":{"effect":"x"}}`, 422, `"unsupported"`},
		{"command", path, `{"action":"turn_on","arguments":{"brightness":256}}`, 400, `brightness`},
		{"command", path, `{"action":"turn_on","arguments":[]}`, 400, `"invalid"`},
		{"command", path, `{"action":"turn_on","timeout":-1}`, 400, `number of seconds`},
		{"command", path, `{"action":"turn_on","timeout":7200}`, 400, `"invalid"`},
		{"command", path, `{"action":"turn_on","correlation_id":"@1"}`, 400, `"invalid"`},
		{"command", path, `{"action":"turn_on","colour":"red"}`, 400, `colour`},
	} {
		if status, text := commandAs(t, s, c.token, http.MethodPost, c.path, c.body); status != c.status || !strings.Contains(text, c.answer) {
			t.Errorf("%s %s as %s: %d %s", c.path, c.body, c.token, status, text)
		}
	}
	devices.Take(dispatchtest.Gone)
	if status, text := commandAs(t, s, "command", http.MethodPost, path, `{"action":"turn_on"}`); status != 503 || !strings.Contains(text, "not connected") {
		t.Errorf("%d %s", status, text)
	}
	devices.Take(dispatchtest.Silent)
	if status, text := commandAs(t, s, "command", http.MethodPost, path, `{"action":"turn_on","arguments":{"brightness":9},"timeout":60}`); status != 200 || strings.Contains(text, "outcome") {
		t.Errorf("%d %s", status, text)
	}
	_, text := commandAs(t, s, "read", http.MethodGet, "/v1/states/light.a", "")
	var st api.State
	if err := json.Unmarshal([]byte(text), &st); err != nil || len(st.Pending) != 1 {
		t.Fatal(err, text)
	}
	p := st.Pending[0]
	if p.Position != st.Position || p.Action != "turn_on" || string(p.Arguments) != `{"brightness":9}` || p.Source != "api:command" ||
		p.Deadline.Sub(p.IssuedAt) != time.Minute {
		t.Errorf("got %s", text)
	}
	if status, text := commandAs(t, s, "lights", http.MethodGet, path, ""); status != 200 || !strings.Contains(text, `"name":"turn_on"`) {
		t.Errorf("%d %s", status, text)
	}
	if status, text := commandAs(t, s, "command", http.MethodGet, path, ""); status != 403 {
		t.Errorf("%d %s", status, text)
	}
}

// TestChangesTellOfCommands: one that waits, and one that does not any more, are changes of their own.
func TestChangesTellOfCommands(t *testing.T) {
	h := newHouse(t)
	devices, dispatcher := dispatchtest.New(h)
	devices.Take(dispatchtest.Silent)
	appendEvents(t, h, dispatchtest.Light("light.a"), lightEvent("light.a", 0))
	s := start(t, Options{House: h})
	f := follow(t, s.URL()+"/v1/changes", "")
	defer f.stop()
	f.ready()
	on := func() command.Request { return command.Request{Entity: "light.a", Action: "turn_on"} }
	if _, err := dispatcher.Call(t.Context(), dispatch.Call{Request: on(), Source: "api:x"}); err != nil {
		t.Fatal(err)
	}
	c := f.change(f.read())
	if c.Kind != "command_issued" || len(c.States) != 1 || len(c.States[0].Pending) != 1 || !bytes.Contains(c.Data, []byte(`"action":"turn_on"`)) {
		t.Errorf("got %+v", c)
	}
	if err := devices.Report(t.Context(), "light.a", lightEvent("light.a", 5).Payload.GetStateChanged().GetAttributes()); err != nil {
		t.Fatal(err)
	}
	f.change(f.read())
	c = f.change(f.read())
	if c.Kind != "command_settled" || len(c.States) != 1 || len(c.States[0].Pending) != 0 || !bytes.Contains(c.Data, []byte(`"outcome":"confirmed"`)) {
		t.Errorf("got %+v: %s", c, c.Data)
	}
}

// TestWaitingCommandsEndWithTheServer: they may take longer than an answer, by either interface, and their clients learn which
// command it was. HTTP/2 ends what has a deadline also where nothing is written.
func TestWaitingCommandsEndWithTheServer(t *testing.T) {
	slow := slowDispatcher{make(chan dispatch.Call, 2)}
	s, err := Start(t.Context(), Options{
		House: newHouse(t), Address: "127.0.0.1:0", Auth: newTestAuth(), WriteTimeout: 50 * time.Millisecond,
		Dispatcher: func() Dispatcher { return slow },
	})
	if err != nil {
		t.Fatal(err)
	}
	only := new(http.Protocols)
	only.SetUnencryptedHTTP2(true)
	transport := &http.Transport{Protocols: only}
	defer transport.CloseIdleConnections()
	done := make(chan string, 2)
	for path, body := range map[string]string{
		"/v1/entities/light.a/commands":      `{"action":"turn_on","wait":true}`,
		"/statehouse.v1.CommandService/Call": `{"entityId":"light.a","action":"turn_on","wait":true}`,
	} {
		go func() {
			req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.URL()+path, strings.NewReader(body))
			if err != nil {
				done <- err.Error()
				return
			}
			req.Header.Set("Authorization", "Bearer command")
			req.Header.Set("Content-Type", "application/json")
			res, err := transport.RoundTrip(req)
			if err != nil {
				done <- path + ": " + err.Error()
				return
			}
			text, err := io.ReadAll(res.Body)
			done <- path + ": " + res.Status + " " + string(text) + errors.Join(err, res.Body.Close(), errors.New("")).Error()
		}()
	}
	<-slow.called
	<-slow.called
	if len(s.streams) != 2 {
		t.Error("who waits is no stream")
	}
	time.Sleep(200 * time.Millisecond) // longer than WriteTimeout
	closeServer(t, s)
	for range 2 {
		if text := <-done; !strings.Contains(text, `200 OK {`) || !strings.Contains(text, `"position":`) || strings.Contains(text, "settled") {
			t.Error(text)
		}
	}
}

// TestNoDispatcher: without one there are no commands.
func TestNoDispatcher(t *testing.T) {
	s := start(t, Options{House: newHouse(t)})
	status, text := commandAs(t, s, "command", http.MethodPost, "/v1/entities/light.a/commands", `{"action":"turn_on"}`)
	if status != 503 || !strings.Contains(text, `"unavailable"`) {
		t.Errorf("%d %s", status, text)
	}
}
