package server

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/statehouse/statehouse/internal/api"
)

func TestHosts(t *testing.T) {
	h := newHouse(t)
	s := start(t, Options{House: h, AllowedHosts: []string{"home.example:80", "Other.Example"}})
	_, port, _ := net.SplitHostPort(s.Addr().String())
	for host, want := range map[string]int{
		"localhost": 200, "LOCALHOST:1": 200, "127.0.0.1:" + port: 200, "[::1]:" + port: 200, "[::1]": 200, "localhost.": 200,
		"home.example": 200, "home.example:8321": 200, "other.example": 200,
		"evil.example": 421, "evil.example:" + port: 421, "127.0.0.1.evil.example": 421, "0.0.0.0": 421, "localhost.evil.example": 421,
	} {
		for _, path := range []string{"/v1/states", "/v1/changes?x", "/healthz", "/metrics", "/nothing"} {
			r := get(t, s.URL()+path, "Host", host)
			if want == 421 && (r.status != want || r.code(t) != api.CodeWrongHost) || want == 200 && r.status == 421 {
				t.Errorf("%s, %s: %d %s", host, path, r.status, r.body)
			}
		}
	}
	for request, want := range map[string]string{
		"GET http://evil.example/v1/states HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n": "421 ",
		"GET http://localhost/v1/states HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n": "401 ",
		"GET /v1/states HTTP/1.0\r\n\r\n":                                                                       "421 ",
		"GET /v1/states HTTP/1.1\r\nConnection: close\r\n\r\n":                                                  "400 ",
		"CONNECT evil.example:443 HTTP/1.1\r\nHost: evil.example:443\r\nConnection: close\r\n\r\n":              "421 ",
		"CONNECT localhost:443 HTTP/1.1\r\nHost: localhost:443\r\nConnection: close\r\n\r\n":                    "405 ",
		"OPTIONS * HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n":                                    "405 ",
		"GET /v1/states HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\nConnection: close\r\n\r\n":         "400 ",
		"GET /v1/../v1/states HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n":                         "30",
		"GET /v1/states HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\n\r\nabc":                            "400 ",
		"GET /v1/states HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n": "400 ",
	} {
		if got := raw(t, s, request); !strings.HasPrefix(strings.TrimPrefix(strings.TrimPrefix(got, "HTTP/1.1 "), "HTTP/1.0 "), want) {
			t.Errorf("%q: %.100q, want %s", request, got, want)
		}
	}
}

func TestHeaders(t *testing.T) {
	s := start(t, Options{House: newHouse(t)})
	for _, path := range []string{"/v1/states", "/v1/states/light.none", "/v1/events", "/healthz", "/readyz", "/metrics", "/nothing"} {
		r := get(t, s.URL()+path, "Origin", "http://evil.example")
		for name, want := range map[string]string{
			"X-Content-Type-Options": "nosniff", "Cache-Control": "no-store", "Access-Control-Allow-Origin": "",
			"Access-Control-Allow-Methods": "", "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
		} {
			if got := r.header.Get(name); got != want {
				t.Errorf("%s: %s is %q, want %q", path, name, got, want)
			}
		}
	}
}

func TestLimits(t *testing.T) {
	s := start(t, Options{House: newHouse(t), ReadTimeout: 200 * time.Millisecond, IdleTimeout: 200 * time.Millisecond})
	big := "GET /healthz HTTP/1.1\r\nHost: localhost\r\nX: " + strings.Repeat("x", maxHeaderBytes+8<<10) + "\r\n\r\n"
	if got := raw(t, s, big); !strings.HasPrefix(got, "HTTP/1.1 431 ") {
		t.Errorf("a large header: %.60q", got)
	}
	for name, text := range map[string]string{
		"nothing":           "",
		"half a header":     "GET /healthz HTTP/1.1\r\nHost: local",
		"an idle client":    "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n",
		"half a GET's body": "GET /healthz HTTP/1.1\r\nHost: localhost\r\nContent-Length: 50\r\n\r\nabc",
		"half a PUT's body": "PUT /v1/areas/a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 50\r\n\r\nabc",
	} {
		began := time.Now()
		raw(t, s, text) // returns when the server closes the connection
		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("%s holds a connection for %s", name, took)
		}
	}
}

// TestWorkTakesItsTime: with HTTP/2 a deadline ends a request also where nothing is written, so that there is none before. (Defect:
// what took longer than WriteTimeout until its first word was answered over HTTP/1 alone.)
func TestWorkTakesItsTime(t *testing.T) {
	s := start(t, Options{House: newHouse(t)})
	for major, want := range map[int]bool{1: true, 2: false} {
		c := &client{header: http.Header{}}
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "http://localhost/", nil)
		r.ProtoMajor = major
		worked := false
		s.guard(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
			_, deadline := c.seen()
			if worked = true; deadline.IsZero() == want {
				t.Errorf("HTTP/%d: before anything is written the deadline is %s", major, deadline)
			}
		}), doorTCP).ServeHTTP(c, r)
		if !worked {
			t.Error("it is refused")
		}
	}
}

// TestMaxConnections: a flood of connections at one door takes no more than there may be; who waits is answered when others
// have gone, the other door is as it was, and the server closes at once all the same.
func TestMaxConnections(t *testing.T) {
	s := start(t, Options{House: newHouse(t), SocketPath: filepath.Join(shortDir(t), "s"), MaxConnections: 3, ReadTimeout: patience})
	var flood []net.Conn
	dial := func() net.Conn {
		t.Helper()
		c, err := net.Dial("tcp", s.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
		return c
	}
	served := func(c net.Conn, within time.Duration) bool {
		_ = c.SetReadDeadline(time.Now().Add(within))
		_, err := c.Read(make([]byte, 1))
		return err == nil
	}
	for range 3 {
		c := dial()
		_, _ = io.WriteString(c, "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
		if !served(c, patience) {
			t.Fatal("one of those that there may be is not answered")
		}
		flood = append(flood, c)
	}
	late := dial()
	_, _ = io.WriteString(late, "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
	if served(late, 100*time.Millisecond) {
		t.Error("one more than there may be is answered")
	}
	if r := do(t, socketClient(t, s.SocketPath()), "GET", "http://x/healthz", nil); r.status != 200 {
		t.Errorf("the other door answers %d", r.status)
	}
	_ = flood[0].Close()
	if !served(late, patience) {
		t.Error("there is room, and nobody answers")
	}
	dial()
	closeServer(t, s)
}

func TestLoopbackOnly(t *testing.T) {
	for _, address := range []string{":0", "0.0.0.0:0", "[::]:0", "192.0.2.1:0", "localhost", "127.0.0.1:99999", "127.0.0.1:http2x"} {
		s, err := Start(t.Context(), Options{Address: address})
		if err == nil {
			closeServer(t, s)
			t.Errorf("%s is taken", address)
		} else if !strings.Contains(err.Error(), address) || strings.Contains(address, "0:0") && !strings.Contains(err.Error(), "other machines") {
			t.Errorf("%s: %v", address, err)
		}
	}
	s := start(t, Options{})
	if _, err := Start(t.Context(), Options{Address: s.Addr().String()}); err == nil {
		t.Error("a port that is taken is taken again")
	}
}

// TestPanic: a handler that panics is answered with 500, counted and logged, and its text goes to the log alone.
func TestPanic(t *testing.T) {
	var log bytes.Buffer
	s := start(t, Options{Logger: slog.New(slog.NewTextHandler(&log, nil))})
	routes := []route{
		{method: "GET", pattern: "/panic", public: true, serve: func(http.ResponseWriter, *http.Request) error { panic("secret") }},
		{method: "GET", pattern: "/late", public: true, serve: func(w http.ResponseWriter, _ *http.Request) error {
			_, _ = io.WriteString(w, "half")
			_ = http.NewResponseController(w).Flush()
			panic("late")
		}},
		{method: "GET", pattern: "/half", public: true, serve: func(w http.ResponseWriter, _ *http.Request) error {
			_, _ = io.WriteString(w, "half")
			_ = http.NewResponseController(w).Flush()
			return fmt.Errorf("half a failure")
		}},
		{method: "GET", pattern: "/fails", public: true, serve: func(http.ResponseWriter, *http.Request) error { return fmt.Errorf("hidden") }},
	}
	web := httptest.NewServer(s.handler(routes, doorTCP))
	defer web.Close()
	for path, logged := range map[string]string{"/panic": "secret", "/fails": "hidden"} {
		r := get(t, web.URL+path)
		if r.status != 500 || r.code(t) != api.CodeInternal || strings.Contains(string(r.body), logged) || !strings.Contains(log.String(), logged) {
			t.Errorf("%s: %d %s %s", path, r.status, r.body, log.String())
		}
	}
	for _, path := range []string{"/late", "/half"} {
		res, err := http.Get(web.URL + path)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadAll(res.Body); err == nil {
			t.Errorf("%s: half an answer looks like a whole one", path)
		}
		_ = res.Body.Close()
	}
	text := string(get(t, s.URL()+"/metrics").body)
	for _, want := range []string{
		"statehouse_http_panics_total 2", `statehouse_http_requests_total{code="500",route="/panic"} 1`,
		`statehouse_http_requests_total{code="200",route="/late"} 1`,
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %s in the metrics", want)
		}
	}
}
