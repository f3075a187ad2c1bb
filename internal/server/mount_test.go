package server

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	remote "github.com/statehouse/statehouse/client"
	"github.com/statehouse/statehouse/eventstore"
	"github.com/statehouse/statehouse/internal/access"
)

// TestMountedInterfacesAskWho: gRPC and Home Assistant's interface are behind the same tokens as everything else; their own tests
// go through each procedure, route and command.
func TestMountedInterfacesAskWho(t *testing.T) {
	h := newHouse(t)
	furnish(t, h)
	auth := newTestAuth()
	auth["lights"] = access.NewIdentity("lights", access.Read, []string{"light.*"}, nil)
	s := start(t, Options{House: h, Auth: auth})
	for _, c := range []struct{ method, path, body string }{
		{"POST", "/statehouse.v1.StateService/Get", `{"entityId":"light.hall"}`}, {"POST", "/statehouse.v1.AdminService/Stats", `{}`},
		{"GET", "/api/", ""}, {"GET", "/api/states", ""}, {"GET", "/at/@8/api/states", ""}, {"GET", "/api/nothing", ""},
		{"POST", "/api/services/light/turn_on", `{}`},
	} {
		for _, token := range []string{"none", "wrong"} {
			if r := send(t, c.method, s.URL()+c.path, c.body, token); r.status != http.StatusUnauthorized {
				t.Errorf("%s with the token %s: %d %s", c.path, token, r.status, r.body)
			}
		}
	}
	if r := send(t, "POST", s.URL()+"/statehouse.v1.AdminService/CreateSnapshot", `{}`, "read"); r.status != http.StatusForbidden {
		t.Errorf("%d %s", r.status, r.body)
	}
	if r := send(t, "POST", s.URL()+"/statehouse.v1.StateService/Get", `{"entityId":"light.hall"}`, "read"); r.status != http.StatusOK {
		t.Errorf("%d %s", r.status, r.body)
	}
	for _, path := range []string{"/api/states", "/at/@8/api/states"} {
		r := send(t, "GET", s.URL()+path, "", "lights")
		var states []struct {
			ID string `json:"entity_id"`
		}
		if err := json.Unmarshal(r.body, &states); err != nil || len(states) != 1 || states[0].ID != "light.hall" {
			t.Errorf("%s: %d %s %v", path, r.status, r.body, err)
		}
	}
	for _, path := range []string{"/api/states", "/statehouse.v1.StateService/Get"} {
		if r := send(t, "POST", s.URL()+path, `{"entityId":"light.hall"}`, "read", "Origin", "http://evil.example"); r.status != http.StatusForbidden {
			t.Errorf("%s from another origin: %d", path, r.status)
		}
		if r := send(t, "POST", s.URL()+path, `{}`, "read", "Host", "evil.example"); r.status != http.StatusMisdirectedRequest {
			t.Errorf("%s of another host: %d", path, r.status)
		}
	}
}

// TestClientAgainstServer: the Go client gets through the server's doors, appends an event that is larger than what other
// requests may have, and its stream ends with the server.
func TestClientAgainstServer(t *testing.T) {
	h := newHouse(t)
	furnish(t, h)
	tokens := openTokens(t)
	tokenFile := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(tokenFile, []byte(newToken(t, tokens, access.Spec{Name: "client", Scopes: access.Read | access.Write})+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := start(t, Options{House: h, Auth: tokens, SocketPath: filepath.Join(shortDir(t), "s")})
	tcp, err := remote.Dial(s.URL(), remote.WithTokenFile(tokenFile))
	if err != nil {
		t.Fatal(err)
	}
	defer tcp.Close()
	socket, err := remote.DialSocket(s.SocketPath())
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	for name, c := range map[string]*remote.Client{"tcp": tcp, "socket": socket} {
		large := customEvent("light.hall")
		large.Payload.GetCustom().Value = bytes.Repeat([]byte("x"), 1<<20)
		large.Source = ""
		span, err := c.Append(t.Context(), eventstore.Batch{Events: []eventstore.Event{large}})
		if err != nil {
			t.Fatal(name, err)
		}
		e, err := h.Store().Event(t.Context(), span.First)
		want := map[string]string{"tcp": "api:client", "socket": "api:local"}[name]
		if err != nil || e.Source != want {
			t.Errorf("%s: the source is %s, %v", name, e.Source, err)
		}
	}
}

// TestClientIsRefused: who has a token that is none, or comes before the tokens are read, is told so by the code.
func TestClientIsRefused(t *testing.T) {
	s, err := Start(t.Context(), Options{Address: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closeServer(t, s) })
	c, err := remote.Dial(s.URL(), remote.WithToken(func(context.Context) (string, error) { return "guess", nil }))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	refused := func(code string, want error) {
		t.Helper()
		_, err := c.Resolve(t.Context(), remote.At{})
		var answer *remote.Error
		if !errors.As(err, &answer) || answer.Code != code || !errors.Is(err, want) {
			t.Errorf("%v, want %s", err, code)
		}
	}
	refused("not_ready", remote.ErrBusy)
	s.SetTokens(openTokens(t))
	for range 5 {
		refused("unauthenticated", remote.ErrUnauthenticated)
	}
	refused("too_many_logins", remote.ErrUnauthenticated)
}

// TestClientOverTLS: the Go client speaks HTTP/2 over TLS, and trusts whom it is told to.
func TestClientOverTLS(t *testing.T) {
	h := newHouse(t)
	furnish(t, h)
	dir := t.TempDir()
	certFile, keyFile := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	pool := certify(t, certFile, keyFile, "house")
	cert, err := LoadCertificate(certFile, keyFile)
	if err != nil {
		t.Fatal(err)
	}
	s := start(t, Options{House: h, TLS: cert})
	token := remote.WithToken(func(context.Context) (string, error) { return "read", nil })
	c, err := remote.Dial(s.URL(), token, remote.WithTLS(&tls.Config{RootCAs: pool}))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if e, err := c.Get(t.Context(), "light.hall", remote.At{}); err != nil || e.EntityID != "light.hall" {
		t.Errorf("%+v %v", e, err)
	}
	stranger, err := remote.Dial(s.URL(), token)
	if err != nil {
		t.Fatal(err)
	}
	defer stranger.Close()
	if _, err := stranger.Get(t.Context(), "light.hall", remote.At{}); err == nil {
		t.Error("a certificate that nobody has signed is trusted")
	}
}

// TestWebSocketThroughTheServer: an unmodified client of Home Assistant logs in with a token, and out when that is revoked.
func TestWebSocketThroughTheServer(t *testing.T) {
	h := newHouse(t)
	furnish(t, h)
	tokens := openTokens(t)
	text := newToken(t, tokens, access.Spec{Name: "tablet", Scopes: access.Read})
	s := start(t, Options{House: h, Auth: tokens, Tokens: tokens})
	dial := func(header http.Header) (*websocket.Conn, int) {
		ws, res, err := websocket.Dial(t.Context(), strings.Replace(s.URL(), "http", "ws", 1)+"/api/websocket", &websocket.DialOptions{
			HTTPHeader: header, HTTPClient: &http.Client{Transport: &http.Transport{}},
		})
		if res != nil && res.Body != nil {
			_ = res.Body.Close()
		}
		if err != nil {
			return nil, res.StatusCode
		}
		return ws, res.StatusCode
	}
	for _, origin := range []string{"http://evil.example", "null"} {
		if ws, status := dial(http.Header{"Origin": {origin}}); ws != nil || status != http.StatusForbidden {
			t.Errorf("a page of %s opens a WebSocket: %d", origin, status)
		}
	}
	if r := send(t, "GET", s.URL()+"/api/websocket", "", "none", "Host", "evil.example", "Origin", "http://evil.example"); r.status != http.StatusMisdirectedRequest {
		t.Errorf("a page that has found a name for this machine opens a WebSocket: %d", r.status)
	}
	ws, _ := dial(nil)
	if ws == nil {
		t.Fatal("no WebSocket")
	}
	defer func() { _ = ws.CloseNow() }()
	say := func(text string) {
		if err := ws.Write(t.Context(), websocket.MessageText, []byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	hear := func(want string) {
		t.Helper()
		_, got, err := ws.Read(t.Context())
		if err != nil || !strings.Contains(string(got), want) {
			t.Fatalf("%s %v, want %s", got, err, want)
		}
	}
	hear("auth_required")
	say(`{"type":"auth","access_token":"` + text + `"}`)
	hear("auth_ok")
	say(`{"id":1,"type":"get_states"}`)
	hear(`"light.hall"`)
	began := time.Now()
	if _, err := tokens.Revoke("tablet"); err != nil {
		t.Fatal(err)
	}
	if _, _, err := ws.Read(t.Context()); err == nil {
		t.Error("the connection goes on with a token that was revoked")
	}
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("it takes %s", took)
	}
	eventually(t, "the stream is given back", func() bool { return len(s.streams) == 0 })
}
