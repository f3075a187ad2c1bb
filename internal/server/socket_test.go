package server

import (
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/statehouse/statehouse/eventstore"
	"github.com/statehouse/statehouse/internal/api"
)

// shortDir is a directory whose path leaves room for a socket's.
func shortDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "sth")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

func TestSocketEdits(t *testing.T) {
	h := newHouse(t)
	furnish(t, h)
	path := filepath.Join(shortDir(t), "home.sock")
	s := start(t, Options{House: h, SocketPath: path})
	c := socketClient(t, s.SocketPath())
	edit := func(method, target, body string) reply {
		t.Helper()
		header := []string{}
		if body != "" {
			header = append(header, "Content-Type", "application/json; charset=utf-8")
		}
		return do(t, c, method, "http://statehouse"+target, strings.NewReader(body), header...)
	}
	for _, e := range []struct {
		method, target, body string
		events               int
	}{
		{"PATCH", "/v1/entities/light.hall", `{"name":"Big lamp"}`, 1},
		{"PATCH", "/v1/entities/light.hall", `{"name":"Big lamp"}`, 0},
		{"PATCH", "/v1/entities/light.hall", ` {"id":"light.big","area_id":""} `, 2},
		{"PATCH", "/v1/entities/light.off", `{"disabled":false}`, 1},
		{"PATCH", "/v1/devices/z2m/0x01", `{"name":"Socket"}`, 1},
		{"PATCH", "/v1/devices/z2m%2F0x01", `{"area_id":"hall"}`, 1},
		{"PUT", "/v1/areas/attic", `{"name":"Attic"}`, 1},
		{"DELETE", "/v1/areas/attic", "", 1},
	} {
		head := h.Now().Position()
		r := edit(e.method, e.target, e.body)
		var span api.Span
		r.decode(t, &span)
		want := api.Span{}
		if e.events > 0 {
			want = api.Span{First: head + 1, Last: head + eventstore.Position(e.events)}
		}
		if r.status != 200 || span != want || h.Now().Position() != head+eventstore.Position(e.events) {
			t.Errorf("%s %s: %d %s, want %+v", e.method, e.target, r.status, r.body, want)
		}
	}
	m := h.Now()
	device, _ := m.Registry.Device("z2m/0x01")
	if m.Registry.DisplayName("light.big") != "Big lamp" || device.GetUserName() != "Socket" || device.GetAreaId() != "hall" {
		t.Error("the edits had no effect")
	}
	for e, err := range h.Read(t.Context(), eventstore.Query{After: 8}) {
		if err != nil || e.Source != "api:local" {
			t.Errorf("%+v %v", e, err)
		}
	}
	// Reading is the same as over TCP, whatever the host.
	if r := do(t, c, "GET", "http://statehouse/v1/states", nil); r.status != 200 {
		t.Errorf("%d %s", r.status, r.body)
	}
}

func TestSocketRefuses(t *testing.T) {
	h := newHouse(t)
	furnish(t, h)
	s := start(t, Options{House: h, SocketPath: filepath.Join(shortDir(t), "home.sock")})
	c := socketClient(t, s.SocketPath())
	for _, e := range []struct {
		method, target, contentType, body string
		status                            int
	}{
		{"PATCH", "/v1/entities/light.none", "application/json", `{"name":"x"}`, 404},
		{"PATCH", "/v1/entities/Light", "application/json", `{"name":"x"}`, 400},
		{"PATCH", "/v1/entities/light.hall", "application/json", `{"area_id":"nowhere"}`, 404},
		{"PATCH", "/v1/entities/light.hall", "application/json", `{"id":"nonsense"}`, 400},
		{"PATCH", "/v1/entities/light.hall", "application/json", `{"id":"switch.plug"}`, 400},
		{"PATCH", "/v1/entities/light.hall", "application/json", `{"nam":"x"}`, 400},
		{"PATCH", "/v1/entities/light.hall", "application/json", `{"name":5}`, 400},
		{"PATCH", "/v1/entities/light.hall", "application/json", `{"name":"x"}{}`, 400},
		{"PATCH", "/v1/entities/light.hall", "application/json", `{"name":"x"} x`, 400},
		{"PATCH", "/v1/entities/light.hall", "application/json", `{"name":"x"`, 400},
		{"PATCH", "/v1/entities/light.hall", "application/json", `null`, 400},
		{"PATCH", "/v1/entities/light.hall", "application/json", `[]`, 400},
		{"PATCH", "/v1/entities/light.hall", "application/json", ``, 400},
		{"PATCH", "/v1/entities/light.hall?x=1", "application/json", `{"name":"x"}`, 400},
		{"PATCH", "/v1/entities/light.hall", "text/plain", `{"name":"x"}`, 415},
		{"PATCH", "/v1/entities/light.hall", "", `{"name":"x"}`, 415},
		{"PATCH", "/v1/entities/light.hall", "application/json", `{"name":"` + strings.Repeat("x", maxBodyBytes) + `"}`, 413},
		{"PATCH", "/v1/devices/none", "application/json", `{"name":"x"}`, 404},
		{"PATCH", "/v1/devices/", "application/json", `{"name":"x"}`, 404},
		{"PUT", "/v1/areas/Attic", "application/json", `{"name":"x"}`, 400},
		{"PUT", "/v1/areas/a.b", "application/json", `{"name":"x"}`, 400},
		{"PUT", "/v1/areas/attic", "application/json", `{"name":" "}`, 400},
		{"PUT", "/v1/areas/attic", "application/json", `{}`, 400},
		{"DELETE", "/v1/areas/attic", "", ``, 404},
		{"DELETE", "/v1/areas/hall", "", `{}`, 400},
		{"GET", "/v1/areas/hall", "", ``, 405},
		{"POST", "/v1/states", "application/json", `{}`, 405},
	} {
		header := []string{}
		if e.contentType != "" {
			header = append(header, "Content-Type", e.contentType)
		}
		r := do(t, c, e.method, "http://statehouse"+e.target, strings.NewReader(e.body), header...)
		if r.status != e.status || r.code(t) == "" {
			t.Errorf("%s %s %.40s: %d %s, want %d", e.method, e.target, e.body, r.status, r.body, e.status)
		}
		if e.status == 405 && r.header.Get("Allow") == "" {
			t.Errorf("%s %s: no Allow", e.method, e.target)
		}
	}
	if h.Now().Position() != 8 {
		t.Error("something was written")
	}
	if err := h.Close(); err != nil {
		t.Fatal(err)
	}
	r := do(t, c, "PUT", "http://statehouse/v1/areas/hall", strings.NewReader(`{"name":"x"}`), "Content-Type", "application/json")
	if r.status != http.StatusServiceUnavailable || r.code(t) != api.CodeClosed {
		t.Errorf("%d %s", r.status, r.body)
	}
}

func TestSocketFile(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("no modes")
	}
	h := newHouse(t)
	dir := shortDir(t)
	path := filepath.Join(dir, "home.sock")
	// As a process that was killed leaves it.
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	l.SetUnlinkOnClose(false)
	_ = l.Close()

	s := start(t, Options{House: h, SocketPath: path})
	info, err := os.Lstat(path)
	if err != nil || info.Mode() != os.ModeSocket|0o600 {
		t.Fatalf("%v %v", info, err)
	}
	if files, _ := os.ReadDir(dir); len(files) != 1 {
		t.Errorf("something is left beside the socket: %v", files)
	}
	if r := do(t, socketClient(t, path), "GET", "http://x/healthz", nil); r.status != 200 {
		t.Errorf("%d", r.status)
	}
	// One that answers is not replaced, and what the other server leaves alone goes on.
	if _, err := Start(t.Context(), Options{House: h, Address: "127.0.0.1:0", SocketPath: path}); err == nil || !strings.Contains(err.Error(), "listens") {
		t.Errorf("a socket in use is taken: %v", err)
	}
	if r := do(t, socketClient(t, path), "GET", "http://x/healthz", nil); r.status != 200 {
		t.Errorf("%d", r.status)
	}
	closeServer(t, s)
	if _, err := os.Lstat(path); !os.IsNotExist(err) {
		t.Errorf("the socket is left: %v", err)
	}

	if err := os.WriteFile(path, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Start(t.Context(), Options{House: h, Address: "127.0.0.1:0", SocketPath: path}); err == nil || !strings.Contains(err.Error(), "not a socket") {
		t.Errorf("a file that is no socket is replaced: %v", err)
	}
	if text, _ := os.ReadFile(path); string(text) != "mine" {
		t.Errorf("%q", text)
	}
	if _, err := Start(t.Context(), Options{House: h, Address: "127.0.0.1:0", SocketPath: filepath.Join(dir, "none", "s")}); err == nil {
		t.Error("a directory that does not exist is no error")
	}

	// Also one that just goes, in a directory in which no other one is possible.
	deep := filepath.Join(dir, strings.Repeat("x", maxSocketPath-len(dir)-len("//s")))
	if err := os.Mkdir(deep, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, long := range []string{filepath.Join(dir, strings.Repeat("x", maxSocketPath)), filepath.Join(deep, "s")} {
		s, err := Start(t.Context(), Options{House: h, Address: "127.0.0.1:0", SocketPath: long})
		if err != nil {
			t.Errorf("a path that is too long stops the server: %v", err)
			continue
		}
		if s.SocketPath() != "" || get(t, s.URL()+"/readyz").status != 200 {
			t.Errorf("%s is too long, and the server is not ready without it", long)
		}
		closeServer(t, s)
	}
	if files, _ := os.ReadDir(deep); len(files) != 0 {
		t.Errorf("something is left: %v", files)
	}
}
