package server

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"

	"github.com/statehouse/statehouse/eventstore"
	"github.com/statehouse/statehouse/internal/access"
	"github.com/statehouse/statehouse/internal/api"
)

func openTokens(t testing.TB) *access.Tokens {
	t.Helper()
	tokens, err := access.Open(filepath.Join(t.TempDir(), "home.db.tokens"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(tokens.Close)
	return tokens
}

func newToken(t testing.TB, tokens *access.Tokens, spec access.Spec) string {
	t.Helper()
	d, err := tokens.Draft(spec)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tokens.Add(d); err != nil {
		t.Fatal(err)
	}
	return d.Text()
}

// send asks with a token; "none" asks without one.
func send(t testing.TB, method, url, body, token string, header ...string) reply {
	t.Helper()
	authorization := "none"
	if token != "none" {
		authorization = "Bearer " + token
	}
	header = append([]string{"Authorization", authorization, "Content-Type", "application/json"}, header...)
	var r io.Reader
	if body != "" {
		r = strings.NewReader(body)
	}
	return do(t, http.DefaultClient, method, url, r, header...)
}

// target is a path that a pattern matches.
func target(pattern string) string {
	return strings.NewReplacer("{entity_id}", "light.hall", "{id}", "light.hall", "{id...}", "z2m/0x01", "{owner}", "state",
		"{position}", "8", "{name}", "x").Replace(pattern)
}

// TestEveryRouteAsksWho: each route of each door is nobody's without a token, and nobody's with one of other scopes. A route
// that somebody adds is in this test by itself, and names a scope or fails it.
func TestEveryRouteAsksWho(t *testing.T) {
	h := newHouse(t)
	furnish(t, h)
	s := start(t, Options{House: h, Tokens: openTokens(t)})
	public := map[string]bool{"/healthz": true, "/readyz": true, "/{$}": true, "/assets/{file}": true, "/favicon.svg": true}
	for _, r := range append(routes(s), profileRoutes()...) {
		if r.public != public[r.pattern] || r.public != (r.scope == 0) {
			t.Errorf("%s %s: public %v, scope %q", r.method, r.pattern, r.public, r.scope)
		}
	}
	for _, r := range routes(s) {
		if r.public {
			continue
		}
		url := s.URL() + target(r.pattern)
		for token, want := range map[string]int{"none": 401, "wrong": 401, "read": 403, "write": 403, "command": 403} {
			if token == r.scope.String() {
				continue
			}
			got := send(t, r.method, url, "", token)
			if got.status != want || (want == 401) != (got.header.Get("WWW-Authenticate") != "") {
				t.Errorf("%s %s with the token %s: %d %s", r.method, r.pattern, token, got.status, got.body)
			}
		}
		// What it does with less than everything is its own test's concern; that it is asked for is this one's.
		if restricted := access.NewIdentity("x", r.scope, []string{"light.none"}, nil); !r.partial && r.scope != access.Admin {
			s.opts.Auth.(testAuth)["some"] = restricted
			if got := send(t, r.method, url, "", "some"); got.status != 403 {
				t.Errorf("%s %s for some entities: %d %s", r.method, r.pattern, got.status, got.body)
			}
		}
	}
	for _, path := range []string{"/nothing", "/index.html", "/assets/", "/assets/x/y", "/v1/", "/api/states", "/debug/pprof/"} {
		if got := send(t, "GET", s.URL()+path, "", "none"); got.status != 401 {
			t.Errorf("%s: %d", path, got.status)
		}
	}
	if h.Now().Position() != 8 {
		t.Error("something was written")
	}
	// A route of no scope, which somebody forgot to give one, is nobody's.
	forgotten := s.endpoint("/x", []route{{method: "GET", pattern: "/x", serve: func(http.ResponseWriter, *http.Request) error {
		t.Error("it is served")
		return nil
	}}})
	for _, token := range []string{"", "admin"} {
		r, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, "/x", nil)
		if token != "" {
			r.Header.Set("Authorization", "Bearer "+token)
		}
		w := &discard{header: http.Header{}}
		forgotten.ServeHTTP(w, r)
		if w.status != 401 && w.status != 403 {
			t.Errorf("%q: %d", token, w.status)
		}
	}
}

// discard is an answer that nobody reads.
type discard struct {
	header http.Header
	status int
}

func (d *discard) Header() http.Header         { return d.header }
func (d *discard) Write(p []byte) (int, error) { return len(p), nil }
func (d *discard) WriteHeader(status int)      { d.status = status }

func TestAuthorizationHeader(t *testing.T) {
	s := start(t, Options{House: newHouse(t)})
	for header, want := range map[string]int{
		"Bearer read": 200, "bearer read": 200, "BEARER  read": 200, "Basic cmVhZA==": 401, "read": 401, "Bearer": 401, "Bearer ": 401,
		"Bearer read, Bearer read": 401, "Bearer Read": 401,
	} {
		if r := get(t, s.URL()+"/v1/states", "Authorization", header); r.status != want {
			t.Errorf("%q: %d %s", header, r.status, r.body)
		}
	}
	for _, path := range []string{"/v1/states?access_token=read", "/v1/states?token=read"} {
		if r := send(t, "GET", s.URL()+path, "", "none"); r.status != 401 {
			t.Errorf("%s: %d", path, r.status)
		}
	}
	twice := "GET /v1/states HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer read\r\nAuthorization: Bearer admin\r\nConnection: close\r\n\r\n"
	if got := raw(t, s, twice); !strings.HasPrefix(got, "HTTP/1.1 401 ") {
		t.Errorf("two tokens: %.60q", got)
	}
}

// TestWritesOverTCP: a token of the scope may write, its name is the source, and a page of another origin cannot make a
// browser do it.
func TestWritesOverTCP(t *testing.T) {
	h := newHouse(t)
	furnish(t, h)
	s := start(t, Options{House: h})
	url := s.URL() + "/v1/areas/attic"
	for _, header := range [][]string{
		{"Origin", "http://evil.example"}, {"Origin", "null"}, {"Sec-Fetch-Site", "cross-site"}, {"Sec-Fetch-Site", "same-site"},
		{"Origin", "https://" + s.Addr().String() + ".evil.example"},
	} {
		if r := send(t, "PUT", url, `{"name":"Attic"}`, "write", header...); r.status != 403 || r.code(t) != api.CodeForbidden {
			t.Errorf("%v: %d %s", header, r.status, r.body)
		}
	}
	if r := send(t, "PUT", url, `{"name":"Attic"}`, "write", "Content-Type", "text/plain"); r.status != 415 {
		t.Errorf("not JSON: %d", r.status)
	}
	if r := send(t, "PUT", url, `{"name":"Attic"}`, "write", "Origin", s.URL(), "Sec-Fetch-Site", "same-origin"); r.status != 200 {
		t.Fatalf("%d %s", r.status, r.body)
	}
	e, err := h.Store().Event(t.Context(), h.Now().Position())
	if err != nil || e.Source != "api:write" {
		t.Error(e.Source, err)
	}
}

// TestRestricted: a token for some entities sees and changes these, by whatever way it asks, and learns nothing of others.
func TestRestricted(t *testing.T) {
	h := newHouse(t)
	furnish(t, h)
	auth := newTestAuth()
	auth["lights"] = access.NewIdentity("lights", access.Read|access.Write, []string{"light.*"}, nil)
	s := start(t, Options{House: h, Auth: auth})
	appendEvents(t, h,
		lightEvent("light.hall", 7), reportEvent("switch.plug"), renameEvent("light.hall", "light.lamp"), systemEvent("started"),
		areaEvent("kitchen", "The kitchen"), deviceEvent(deviceOfPlug("The plug")), renameEvent("light.lamp", "secret.lamp"),
		renameEvent("secret.lamp", "light.back"),
	)
	secrets := []string{"plug", "Plug", "kitchen", "Kitchen", "secret", "z2m"}
	see := func(method, path, body string) reply {
		t.Helper()
		r := send(t, method, s.URL()+path, body, "lights")
		for _, secret := range secrets {
			if !strings.Contains(path, secret) && bytes.Contains(r.body, []byte(secret)) {
				t.Errorf("%s tells of %s: %s", path, secret, r.body)
			}
		}
		return r
	}
	for path, want := range map[string]string{
		"/v1/states": `"light.back"`, "/v1/states?at=@8": `"light.hall"`, "/v1/states?q=l": `"light.back"`, "/v1/states/light.back": `"on"`,
		"/v1/registry": `"light.back"`, "/v1/diff?from=0": `"light.back"`, "/v1/diff?from=0&to=@15": `"changes":[`, "/v1/events": `"light.hall"`,
		"/v1/history/light.hall": `"steps"`, "/v1/why/light.back": `"links"`, "/v1/info": `"database"`, "/v1/position": `16`,
		"/v1/states?where=true": `"light.back"`, "/v1/states?domain=switch": `"states":[]`, "/v1/events?entity=switch.plug": ``,
		"/v1/why/light.back?saw=chain&saw=switch.plug": `"links"`,
	} {
		if r := see("GET", path, ""); r.status != 200 || !strings.Contains(string(r.body), want) {
			t.Errorf("%s: %d %s", path, r.status, r.body)
		}
	}
	for _, path := range []string{
		"/v1/states/switch.plug", "/v1/states/switch.none", "/v1/history/switch.plug", "/v1/why/switch.plug", "/v1/why?position=10",
		"/v1/why?position=12", "/v1/why?position=13", "/v1/why?position=15", "/metrics", "/v1/snapshots", "/v1/states/secret.lamp",
	} {
		if r := see("GET", path, ""); r.status != 403 {
			t.Errorf("%s: %d %s", path, r.status, r.body)
		}
	}
	// The past is seen with the eyes of today.
	if r := see("GET", "/v1/registry?at=@8", ""); strings.Count(string(r.body), `"entity_id"`)+strings.Count(string(r.body), `"id":"light.`) != 2 {
		t.Errorf("%s", r.body)
	}
	head := h.Now().Position()
	for _, e := range [][3]string{
		{"PATCH", "/v1/entities/switch.plug", `{"name":"x"}`}, {"PATCH", "/v1/entities/light.back", `{"id":"switch.x"}`},
		{"PATCH", "/v1/entities/light.back", `{"area_id":"kitchen"}`}, {"PATCH", "/v1/devices/z2m/0x01", `{"name":"x"}`},
		{"PUT", "/v1/areas/attic", `{"name":"x"}`}, {"DELETE", "/v1/areas/hall", ""},
	} {
		if r := see(e[0], e[1], e[2]); r.status != 403 {
			t.Errorf("%v: %d %s", e, r.status, r.body)
		}
	}
	if h.Now().Position() != head {
		t.Error("something was written")
	}
	if r := see("PATCH", "/v1/entities/light.back", `{"name":"Mine"}`); r.status != 200 {
		t.Errorf("%d %s", r.status, r.body)
	}

	f := followAs(t, s.URL()+"/v1/changes", "lights")
	f.ready()
	if len(f.view) != 1 || f.view["light.back"].Name != "Mine" {
		t.Errorf("%v", f.view)
	}
	appendEvents(t, h, reportEvent("switch.plug"), areaEvent("kitchen", "K"), renameEvent("light.back", "secret.back"),
		renameEvent("secret.back", "light.front"), lightEvent("light.front", 3))
	for {
		m := f.read()
		for _, secret := range secrets {
			if bytes.Contains(m.Data, []byte(secret)) {
				t.Errorf("the stream tells of %s: %s", secret, m.Data)
			}
		}
		if c := f.change(m); c.Kind == eventstore.KindStateChanged {
			break
		}
	}
	if len(f.view) != 1 || f.view["light.front"].EntityID == "" {
		t.Errorf("%v", f.view)
	}
}

// TestRevocationEndsStreams: whatever is open with a token ends within a second of its end, also where its client reads
// nothing.
func TestRevocationEndsStreams(t *testing.T) {
	h := newHouse(t)
	furnish(t, h)
	tokens := openTokens(t)
	s := start(t, Options{House: h, Auth: tokens, Tokens: tokens, SocketPath: filepath.Join(shortDir(t), "s"), Verifier: endlessVerifier{make(chan error, 1)}})
	text := newToken(t, tokens, access.Spec{Name: "watcher", Scopes: access.Admin})
	events := make([]eventstore.Event, 3000)
	for i := range events {
		events[i] = lightEvent("light.hall", uint32(i))
	}
	appendEvents(t, h, events...)
	var ends []func() string
	for _, request := range []string{"GET /v1/changes", "GET /v1/events?follow=1", "POST /v1/verify"} {
		c, err := net.Dial("tcp", s.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
		if _, err := io.WriteString(c, request+" HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nAuthorization: Bearer "+text+"\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		ends = append(ends, func() string {
			_ = c.SetReadDeadline(time.Now().Add(patience))
			answer, err := io.ReadAll(c)
			if err != nil {
				t.Errorf("%s: %v", request, err)
			}
			return string(answer)
		})
	}
	eventually(t, "the streams open", func() bool { return len(s.streams) == 3 })
	began := time.Now()
	if r := do(t, socketClient(t, s.SocketPath()), "DELETE", "http://x/v1/tokens/watcher", nil); r.status != 200 {
		t.Fatalf("%d %s", r.status, r.body)
	}
	eventually(t, "the streams end", func() bool { return len(s.streams) == 0 })
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("it takes %s", took)
	}
	for _, end := range ends {
		if answer := end(); !strings.Contains(answer, "200 OK") || !strings.Contains(answer, "unauthenticated") {
			t.Errorf("%d bytes, at the end %.200q", len(answer), answer[max(0, len(answer)-200):])
		}
	}
	if r := send(t, "GET", s.URL()+"/v1/states", "", text); r.status != 401 {
		t.Errorf("%d", r.status)
	}
}

func TestTokensOverHTTP(t *testing.T) {
	h := newHouse(t)
	tokens := openTokens(t)
	var log bytes.Buffer
	s := start(t, Options{House: h, Auth: tokens, Tokens: tokens, Logger: slog.New(slog.NewTextHandler(&log, nil))})
	admin := newToken(t, tokens, access.Spec{Name: "admin", Scopes: access.Admin})
	ask := func(method, path, body string) reply {
		t.Helper()
		return send(t, method, s.URL()+path, body, admin)
	}
	var made, rotated api.IssuedToken
	ask("POST", "/v1/tokens", `{"name":"grafana","scopes":["read"],"entities":["sensor.*"]}`).decode(t, &made)
	if made.Name != "grafana" || made.Secret == "" || made.ID == "" {
		t.Errorf("%+v", made)
	}
	if r := send(t, "GET", s.URL()+"/v1/states", "", made.Secret); r.status != 200 {
		t.Errorf("%d %s", r.status, r.body)
	}
	for body, want := range map[string]int{
		`{"name":"grafana","scopes":["read"]}`: 409, `{"name":"X","scopes":["read"]}`: 400, `{"name":"a","scopes":["all"]}`: 400, `{"name":"a"}`: 400,
		`{"name":"a","scopes":["admin"],"entities":["light.*"]}`: 400, `{"name":"a","scopes":["read"],"expires_at":"2001-01-01T00:00:00Z"}`: 400,
		`{"name":"a","scopes":["read"],"expires_at":"0001-01-01T00:00:00Z"}`: 400,
		`{"name":"a","scopes":["read"],"secret":"x"}`:                        400,
	} {
		if r := ask("POST", "/v1/tokens", body); r.status != want {
			t.Errorf("%s: %d %s", body, r.status, r.body)
		}
	}
	ask("POST", "/v1/tokens/grafana/rotate", `{"grace_seconds":60}`).decode(t, &rotated)
	for _, text := range []string{made.Secret, rotated.Secret} {
		if r := send(t, "GET", s.URL()+"/v1/states", "", text); r.status != 200 {
			t.Errorf("%d %s", r.status, r.body)
		}
	}
	var all api.Tokens
	ask("GET", "/v1/tokens", "").decode(t, &all)
	if len(all.Tokens) != 2 || all.Tokens[1].Name != "grafana" || all.Tokens[1].RotatedAt.IsZero() {
		t.Errorf("%+v", all)
	}
	if r := ask("DELETE", "/v1/tokens/"+made.ID, ""); r.status != 200 {
		t.Errorf("%d %s", r.status, r.body)
	}
	for _, text := range []string{made.Secret, rotated.Secret} {
		if r := send(t, "GET", s.URL()+"/v1/states", "", text); r.status != 401 {
			t.Errorf("%d %s", r.status, r.body)
		}
	}
	for _, path := range []string{"/v1/tokens/grafana", "/v1/tokens/..", "/v1/tokens/" + made.ID} {
		if r := ask("DELETE", path, ""); r.status != 404 && r.status != 307 && r.status != 301 && r.status != 405 {
			t.Errorf("%s: %d %s", path, r.status, r.body)
		}
	}
	newToken(t, tokens, access.Spec{Name: "old", Scopes: access.Read, ExpiresAt: time.Now().Add(time.Second)})
	eventually(t, "the token expires", func() bool {
		old, err := tokens.Get("old")
		return err != nil || old.Expired(time.Now())
	})
	if r := ask("POST", "/v1/tokens/old/rotate", `{}`); r.status != 400 || r.code(t) != api.CodeInvalid {
		t.Errorf("another secret for a token that has expired: %d", r.status)
	}
	// The log says what was done by whom, and nothing that somebody could use.
	var what []string
	for e, err := range h.Read(t.Context(), eventstore.Query{}) {
		if err != nil {
			t.Fatal(err)
		}
		sys := e.Payload.GetSystem()
		what = append(what, sys.GetWhat()+" "+sys.GetSubject()+" by "+e.Source)
		log.WriteString(e.Payload.String())
	}
	if got, want := strings.Join(what, ", "), "token_created grafana by api:admin, token_rotated grafana by api:admin, token_revoked grafana by api:admin"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	for _, text := range []string{admin, made.Secret, rotated.Secret} {
		if strings.Contains(log.String(), text[20:]) {
			t.Errorf("it is logged: %s", log.String())
		}
	}
}

// TestCanary: wherever a client puts its token, no log, metric or error has it.
func TestCanary(t *testing.T) {
	h := newHouse(t)
	tokens := openTokens(t)
	text := newToken(t, tokens, access.Spec{Name: "canary", Scopes: access.Read})
	var log bytes.Buffer
	registry := prometheus.NewRegistry()
	s := start(t, Options{
		House: h, Auth: tokens, Tokens: tokens, Metrics: registry,
		Logger: slog.New(slog.NewJSONHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	})
	var answers bytes.Buffer
	for _, path := range []string{
		"/v1/states", "/v1/states?access_token=" + text, "/v1/" + text, "/v1/tokens/" + text, "/v1/states?" + text, "/" + text + "/x",
		"/v1/events?" + text + "=1", "/v1/states?where=" + text, "/v1/changes?entity=" + text, "/v1/why/light.x?saw=" + text, "/v1/states?at=" + text, "/v1/states/" + text,
	} {
		for _, method := range []string{"GET", "DELETE", "POST"} {
			answers.Write(send(t, method, s.URL()+path, "", text).body)
			_ = send(t, method, s.URL()+path, "", text+"x")
			_ = send(t, method, s.URL()+path, `{"`+text+`":1}`, text, "Origin", "http://"+text)
		}
	}
	_ = raw(t, s, "GET /v1/states HTTP/1.1\r\nHost: "+text+"\r\nAuthorization: Bearer "+text+"\r\nConnection: close\r\n\r\n")
	_ = raw(t, s, "GET /v1/states HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer "+text+"\r\nContent-Length: "+text+"\r\n\r\n")
	metrics := send(t, "GET", s.URL()+"/metrics", "", text)
	if metrics.status != 200 || !bytes.Contains(metrics.body, []byte("statehouse_auth_failures_total")) {
		t.Errorf("%d", metrics.status)
	}
	secret := text[len("sth_")+11:]
	for where, b := range map[string][]byte{"the log": log.Bytes(), "a metric": metrics.body, "an error": answers.Bytes()} {
		if len(b) == 0 || bytes.Contains(b, []byte(secret)) {
			t.Errorf("%s has the token, or there is none (%d bytes)", where, len(b))
		}
	}
}

func TestTooManyLogins(t *testing.T) {
	tokens := openTokens(t)
	s := start(t, Options{House: newHouse(t), Auth: tokens})
	text := newToken(t, tokens, access.Spec{Name: "a", Scopes: access.Read})
	var last reply
	for range 7 {
		last = send(t, "GET", s.URL()+"/v1/states", "", "guess")
	}
	if last.status != 429 || last.header.Get("Retry-After") == "" || last.code(t) != api.CodeTooManyLogins {
		t.Errorf("%d %v %s", last.status, last.header, last.body)
	}
	if r := send(t, "GET", s.URL()+"/v1/states", "", text); r.status != 200 {
		t.Errorf("a good token is refused: %d %s", r.status, r.body)
	}
}

// TestReadyzTellsNobody: what is wrong is for those who may read.
func TestReadyzTellsNobody(t *testing.T) {
	s := start(t, Options{House: newHouse(t), Ready: func() error { return os.ErrDeadlineExceeded }})
	for token, want := range map[string]bool{"none": false, "command": false, "wrong": false, "read": true} {
		r := send(t, "GET", s.URL()+"/readyz", "", token)
		var health api.Health
		r.decode(t, &health)
		if r.status != 503 || health.Status != api.StatusNotReady || (health.Reason != "") != want {
			t.Errorf("%s: %d %s", token, r.status, r.body)
		}
	}
}

func TestProfilesOnTheSocket(t *testing.T) {
	s := start(t, Options{House: newHouse(t), SocketPath: filepath.Join(shortDir(t), "s")})
	c := socketClient(t, s.SocketPath())
	if r := do(t, c, "GET", "http://x/debug/pprof/goroutine?debug=1", nil); r.status != 200 || !bytes.Contains(r.body, []byte("goroutine profile")) {
		t.Errorf("%d %.100s", r.status, r.body)
	}
	if r := send(t, "GET", s.URL()+"/debug/pprof/goroutine?debug=1", "", "admin"); r.status != 404 {
		t.Errorf("over TCP: %d", r.status)
	}
}

// certify writes a certificate for localhost, and its key.
func certify(t testing.TB, certFile, keyFile, name string) *x509.CertPool {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, &template, &template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for file, block := range map[string]*pem.Block{certFile: {Type: "CERTIFICATE", Bytes: der}, keyFile: {Type: "PRIVATE KEY", Bytes: secret}} {
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	pool := x509.NewCertPool()
	cert, _ := x509.ParseCertificate(der)
	pool.AddCert(cert)
	return pool
}

// TestTLS: TLS 1.2 and later, HTTP/2, a certificate that is replaced while it is used, and one that cannot be read.
func TestTLS(t *testing.T) {
	dir := t.TempDir()
	certFile, keyFile := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	if _, err := LoadCertificate(certFile, keyFile); err == nil {
		t.Error("there is no certificate, and it is loaded")
	}
	pool := certify(t, certFile, keyFile, "first")
	cert, err := LoadCertificate(certFile, keyFile)
	if err != nil {
		t.Fatal(err)
	}
	s := start(t, Options{House: newHouse(t), TLS: cert})
	if !strings.HasPrefix(s.URL(), "https://") {
		t.Error(s.URL())
	}
	// served is the name in the certificate that a connection gets.
	served := func(config *tls.Config) (string, error) {
		config.RootCAs, config.ServerName = pool, "localhost"
		c, err := tls.Dial("tcp", s.Addr().String(), config)
		if err != nil {
			return "", err
		}
		defer func() { _ = c.Close() }()
		return c.ConnectionState().PeerCertificates[0].Subject.CommonName, nil
	}
	if _, err := served(&tls.Config{MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}); err == nil {
		t.Error("TLS 1.1 is spoken")
	}
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}, ForceAttemptHTTP2: true}
	defer transport.CloseIdleConnections()
	r := do(t, &http.Client{Transport: transport}, "GET", s.URL()+"/v1/states", nil, "Authorization", "Bearer read")
	if r.status != 200 {
		t.Errorf("%d %s", r.status, r.body)
	}
	look := func() { // as if the time had passed
		cert.mu.Lock()
		cert.looked = time.Now().Add(-2 * certificateEvery)
		cert.mu.Unlock()
	}
	later := time.Now().Add(time.Minute)
	if err := os.WriteFile(certFile, []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	_ = os.Chtimes(certFile, later, later)
	look()
	if name, err := served(&tls.Config{}); err != nil || name != "first" {
		t.Errorf("a certificate that is half written: %s %v", name, err)
	}
	pool = certify(t, certFile, keyFile, "second")
	look()
	if name, err := served(&tls.Config{}); err != nil || name != "second" {
		t.Errorf("after it was replaced: %s %v", name, err)
	}
	_ = os.Remove(keyFile)
	look()
	if name, err := served(&tls.Config{}); err != nil || name != "second" {
		t.Errorf("without its key: %s %v", name, err)
	}
	if text := raw(t, s, "GET /v1/states HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer read\r\n\r\n"); strings.Contains(text, "200 OK") {
		t.Error("it answers without TLS")
	}
}

// TestHTTP2WithoutTLS: gRPC on this machine speaks it.
func TestHTTP2WithoutTLS(t *testing.T) {
	s := start(t, Options{House: newHouse(t)})
	transport := &http.Transport{Protocols: new(http.Protocols)}
	transport.Protocols.SetUnencryptedHTTP2(true)
	defer transport.CloseIdleConnections()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.URL()+"/v1/states", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer read")
	res, err := (&http.Client{Transport: transport}).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	if res.StatusCode != http.StatusOK || res.ProtoMajor != 2 {
		t.Errorf("%s %d", res.Proto, res.StatusCode)
	}
}

// TestOwnAddress: a request may name the address of this machine that it came in by.
func TestOwnAddress(t *testing.T) {
	s := &Server{hosts: map[string]bool{}}
	for _, c := range []struct {
		local, host string
		want        bool
	}{
		{"192.0.2.1:8321", "192.0.2.1", true}, {"192.0.2.1:8321", "192.0.2.1:8321", true}, {"192.0.2.1:8321", "192.0.2.2", false},
		{"[2001:db8::1]:8321", "[2001:db8::1]:8321", true}, {"192.0.2.1:8321", "home.example", false}, {"[::ffff:192.0.2.1]:1", "192.0.2.1", true},
	} {
		addr, err := net.ResolveTCPAddr("tcp", c.local)
		if err != nil {
			t.Fatal(err)
		}
		r, _ := http.NewRequestWithContext(context.WithValue(t.Context(), http.LocalAddrContextKey, addr), http.MethodGet, "/", nil)
		if got := s.allowedHost(r, c.host); got != c.want {
			t.Errorf("%v: %v", c, got)
		}
	}
}

// TestMetricsLint: what "promtool check metrics" would say.
func TestMetricsLint(t *testing.T) {
	h := newHouse(t)
	furnish(t, h)
	registry := prometheus.NewRegistry()
	s := start(t, Options{House: h, Metrics: registry})
	_ = get(t, s.URL()+"/v1/states")
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	problems, err := promlint.NewWithMetricFamilies(families).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
}

// followAs is follow with a token.
func followAs(t testing.TB, url, token string) *feed {
	t.Helper()
	return followWith(t, url, "", "Bearer "+token)
}

// TestCapacityMetrics: the metrics say whether it keeps up, and whether it is full.
func TestCapacityMetrics(t *testing.T) {
	h := newHouse(t)
	furnish(t, h)
	s := start(t, Options{House: h})
	f := follow(t, s.URL()+"/v1/changes", "")
	f.ready()
	appendEvents(t, h, lightEvent("light.hall", 1))
	f.read()
	value := func(name string) string {
		for line := range strings.Lines(string(get(t, s.URL()+"/metrics").body)) {
			if rest, ok := strings.CutPrefix(line, name+" "); ok {
				return strings.TrimSpace(rest)
			}
		}
		t.Errorf("there is no %s", name)
		return ""
	}
	for name, want := range map[string]string{
		"statehouse_log_append_duration_seconds_count": "2", `statehouse_log_append_duration_seconds_bucket{le="+Inf"}`: "2",
		"statehouse_snapshot_behind_events": "9",
	} {
		if got := value(name); got != want {
			t.Errorf("%s is %s, want %s", name, got, want)
		}
	}
	eventually(t, "the stream is not behind", func() bool { return value("statehouse_http_stream_behind_events") == "0" })
	if runtime.GOOS == "linux" {
		if free := value("statehouse_disk_free_bytes"); free == "0" || free == "" {
			t.Errorf("%s bytes are free", free)
		}
	}
	if got := s.mostBehind(h.Store().Head() + 5); got != 5 {
		t.Errorf("of a log that is 5 longer the stream is %d behind", got)
	}
}
