package server

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/statehouse/statehouse/eventstore"
	entityv1 "github.com/statehouse/statehouse/gen/statehouse/entity/v1"
	"github.com/statehouse/statehouse/internal/access"
	"github.com/statehouse/statehouse/internal/api"
)

// TestRevokedBeforeItsBodyCame: what is asked with a token that ends before all of the request is there is not done. (Defect:
// the token was looked at with the head, and a token that had been revoked could make another one.)
func TestRevokedBeforeItsBodyCame(t *testing.T) {
	h := newHouse(t)
	furnish(t, h)
	for _, c := range []struct{ path, body string }{
		{"/v1/tokens", `{"name":"another","scopes":["admin"]}`},
		{"/statehouse.v1.LogService/Append", `{"events":[{"entityId":"light.hall","payload":{"stateReported":{}}}]}`},
		{"/api/events/rang", `{"a":1}`},
	} {
		tokens := openTokens(t)
		s := start(t, Options{House: h, Auth: tokens, Tokens: tokens})
		text := newToken(t, tokens, access.Spec{Name: "leaver", Scopes: access.Admin})
		conn, err := net.Dial("tcp", s.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		head := fmt.Sprintf("POST %s HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\nConnection: close\r\n\r\n",
			c.path, text, len(c.body))
		if _, err := io.WriteString(conn, head+c.body[:3]); err != nil {
			t.Fatal(err)
		}
		time.Sleep(100 * time.Millisecond) // the head is taken within it, or the test proves less
		before := h.Now().Position()
		if _, err := tokens.Revoke("leaver"); err != nil {
			t.Fatal(err)
		}
		_, _ = io.WriteString(conn, c.body[3:])
		answer, _ := io.ReadAll(conn)
		_ = conn.Close()
		if bytes.Contains(answer, []byte("200 OK")) || h.Now().Position() != before || len(tokens.List()) != 0 {
			t.Errorf("%s: %s, %d events, tokens %v", c.path, answer, h.Now().Position()-before, tokens.List())
		}
	}
}

// TestLargeAnswersEndWithTheirToken: also what is no stream ends when its token does, however slowly it is read.
func TestLargeAnswersEndWithTheirToken(t *testing.T) {
	h := newHouse(t)
	var batch []eventstore.Event
	for i := range 20_000 {
		batch = append(batch, lightEvent(fmt.Sprintf("light.l%d", i), 1))
	}
	appendEvents(t, h, batch...)
	tokens := openTokens(t)
	s := start(t, Options{House: h, Auth: tokens})
	text, other := newToken(t, tokens, access.Spec{Name: "reader", Scopes: access.Read}), newToken(t, tokens, access.Spec{Name: "other", Scopes: access.Read})
	conn, err := net.Dial("tcp", s.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	_ = conn.(*net.TCPConn).SetReadBuffer(4096)
	if _, err := io.WriteString(conn, "GET /v1/states HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nAuthorization: Bearer "+text+"\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	r := bufio.NewReaderSize(conn, 512)
	if line, err := r.ReadString('\n'); err != nil || !strings.Contains(line, "200 OK") {
		t.Fatal(line, err)
	}
	if _, err := tokens.Revoke("reader"); err != nil {
		t.Fatal(err)
	}
	// What the kernel has taken may still come; nothing more is written.
	began := time.Now()
	eventually(t, "the answer ends", func() bool {
		return strings.Contains(string(get(t, s.URL()+"/metrics", "Authorization", "Bearer "+other).body), `statehouse_http_requests_total{code="200",route="/v1/states"} 1`)
	})
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("it takes %s", took)
	}
}

// TestQuietStreamsOverHTTP2: a stream in which nothing comes lives on. (Defect: a write deadline of HTTP/2 ends a stream where
// nothing is written, too.)
func TestQuietStreamsOverHTTP2(t *testing.T) {
	h := newHouse(t)
	furnish(t, h)
	s := start(t, Options{House: h, WriteTimeout: 300 * time.Millisecond, Heartbeat: time.Minute})
	transport := &http.Transport{Protocols: new(http.Protocols)}
	transport.Protocols.SetUnencryptedHTTP2(true)
	defer transport.CloseIdleConnections()
	for i, path := range []string{"/v1/events?follow=1&after=8", "/v1/changes", "/api/stream"} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.URL()+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer read")
		res, err := (&http.Client{Transport: transport}).Do(req) //nolint:bodyclose // it is closed below, where the stream was read
		if err != nil || res.ProtoMajor != 2 {
			t.Fatal(path, err)
		}
		lines := make(chan string, 1000)
		go func() {
			defer close(lines)
			for in := bufio.NewScanner(res.Body); in.Scan(); {
				lines <- in.Text()
			}
		}()
		time.Sleep(time.Second)
		appendEvents(t, h, lightEvent("light.hall", uint32(42+i)))
		deadline := time.After(patience)
		for found := false; !found; {
			select {
			case line, ok := <-lines:
				if !ok {
					t.Fatalf("%s ends where nothing comes", path)
				}
				found = strings.Contains(line, fmt.Sprint(`"brightness":`, 42+i))
			case <-deadline:
				t.Fatalf("%s: what was recorded does not come", path)
			}
		}
		_ = res.Body.Close()
		for range lines { // until the goroutine has ended
		}
	}
}

// TestSilentWebSocketsTakeNoStreams: who does not say who he is takes nothing from those who do.
func TestSilentWebSocketsTakeNoStreams(t *testing.T) {
	h := newHouse(t)
	furnish(t, h)
	s := start(t, Options{House: h, MaxStreams: 2})
	for range 40 {
		ws, _, err := websocket.Dial(t.Context(), strings.Replace(s.URL(), "http", "ws", 1)+"/api/websocket", nil) //nolint:bodyclose // it is the WebSocket
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = ws.CloseNow() }()
	}
	f := follow(t, s.URL()+"/v1/changes", "")
	f.ready()
	if n := len(s.streams); n != 1 {
		t.Errorf("%d streams are taken", n)
	}
}

// TestRestrictedPast: what a history, a chain of causes and the registry name beside the entity that they are about.
func TestRestrictedPast(t *testing.T) {
	h := newHouse(t)
	furnish(t, h)
	auth := newTestAuth()
	auth["lights"] = access.NewIdentity("lights", access.Read|access.Write, []string{"light.*"}, nil)
	s := start(t, Options{House: h, Auth: auth})
	hub := &entityv1.Device{Id: "z2m/secret_hub", Name: "Hub"}
	bulb := &entityv1.Device{Id: "z2m/bulb", Name: "Bulb", ViaDevice: "z2m/secret_hub"}
	appendEvents(t, h, deviceEvent(hub), deviceEvent(bulb), entityEvent(&entityv1.Entity{Id: "light.b", UniqueId: "b", DeviceId: "z2m/bulb"}),
		lightEvent("light.b", 1))
	appendEvents(t, h, renameEvent("light.b", "sensor.secret_b"))
	appendEvents(t, h, renameEvent("light.hall", "sensor.secret_hall"), lightEvent("light.c", 5))
	for _, path := range []string{
		"/v1/history/light.b", "/v1/why/light.c", "/v1/registry?at=@12", "/v1/diff?from=@12", "/v1/info", "/v1/events", "/v1/states?at=@12",
	} {
		r := send(t, "GET", s.URL()+path, "", "lights")
		if r.status != 200 || bytes.Contains(r.body, []byte("secret")) {
			t.Errorf("%s: %d %s", path, r.status, r.body)
		}
	}
	// An entity without a unique id is gone, and another one has appeared.
	appendEvents(t, h, entityEvent(&entityv1.Entity{Id: "light.n"}), lightEvent("light.n", 1))
	renamed := appendEvents(t, h, renameEvent("light.n", "sensor.secret_n"))
	if r := send(t, "GET", fmt.Sprintf("%s/v1/why?position=%d", s.URL(), renamed.First), "", "lights"); r.status != 403 || bytes.Contains(r.body, []byte("secret")) {
		t.Errorf("why it is gone: %d %s", r.status, r.body)
	}
	var info api.Info
	send(t, "GET", s.URL()+"/v1/info", "", "lights").decode(t, &info)
	if info.Entities != 0 || info.Devices != 0 || info.Status != api.StatusReady || info.Database == "" {
		t.Errorf("%+v", info)
	}
	append1 := func(cause int) int {
		return send(t, "POST", s.URL()+"/statehouse.v1.LogService/Append",
			fmt.Sprintf(`{"events":[{"entityId":"light.c","causePosition":"%d","payload":{"stateReported":{}}}]}`, cause), "lights").status
	}
	for cause, want := range map[int]int{0: 200, 1: 403, 4: 403, 99: 403, 8: 200} {
		if got := append1(cause); got != want {
			t.Errorf("the cause %d: %d, want %d", cause, got, want)
		}
	}
}

// TestTokensBeforeTheLock: until the tokens are read nobody gets in, and nobody is told that his token is none.
func TestTokensBeforeTheLock(t *testing.T) {
	s, err := Start(t.Context(), Options{Address: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closeServer(t, s) })
	tokens := openTokens(t)
	text := newToken(t, tokens, access.Spec{Name: "a", Scopes: access.Read})
	for _, path := range []string{"/v1/states", "/metrics", "/api/states"} {
		if r := send(t, "GET", s.URL()+path, "", text); r.status != 503 {
			t.Errorf("%s: %d %s", path, r.status, r.body)
		}
	}
	s.SetTokens(tokens)
	if r := send(t, "GET", s.URL()+"/metrics", "", text); r.status != 200 {
		t.Errorf("%d %s", r.status, r.body)
	}
	if r := send(t, "GET", s.URL()+"/metrics", "", text+"x"); r.status != 401 {
		t.Errorf("%d %s", r.status, r.body)
	}
}

// TestRestrictedWhyIsBoundedAlike: what may not be seen does not count where an answer has too much, so that its end tells nothing of it.
func TestRestrictedWhyIsBoundedAlike(t *testing.T) {
	h := newHouse(t)
	auth := newTestAuth()
	auth["lights"] = access.NewIdentity("lights", access.Read, []string{"light.*"}, nil)
	s := start(t, Options{House: h, Auth: auth})
	const links = 120
	var chain []eventstore.Event
	for i := range api.MaxSaw + links {
		e := lightEvent("light.a", uint32(i))
		if i < api.MaxSaw { // its beginning may not be seen
			e = lightEvent(fmt.Sprintf("sensor.s%d", i), 1)
		}
		e.CausePosition = eventstore.Position(i)
		chain = append(chain, e)
	}
	appendEvents(t, h, chain...)
	saw := func(name string) (query string) {
		for i := range api.MaxSaw {
			query += fmt.Sprintf("&saw=%s%d", name, i)
		}
		return query
	}
	for _, query := range []string{saw("sensor.s"), saw("sensor.none"), "saw=chain"} {
		var w api.Why
		send(t, "GET", s.URL()+"/v1/why/light.a?"+strings.TrimPrefix(query, "&"), "", "lights").decode(t, &w)
		if len(w.Links) != links || w.Next != 0 || w.Hidden != api.MaxSaw {
			t.Errorf("%.20s…: %d links, next %d, hidden %d", query, len(w.Links), w.Next, w.Hidden)
		}
	}
}
