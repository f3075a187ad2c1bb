package server

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/statehouse/statehouse/internal/dispatch/dispatchtest"
)

// FuzzEdit: whatever the owner's door is sent, it answers, never with a defect, and what it refuses changes nothing.
func FuzzEdit(f *testing.F) {
	for _, s := range [][3]string{
		{"PATCH", "/v1/entities/light.hall", `{"name":"x","area_id":"hall","disabled":true}`}, {"PUT", "/v1/areas/attic", `{"name":"Attic"}`},
		{"PATCH", "/v1/devices/z2m/0x01", `{"name":"é\u0000"}`}, {"PATCH", "/v1/entities/light.hall", `{"id":"light.x"}`},
		{"DELETE", "/v1/areas/kitchen", ""}, {"POST", "/v1/snapshots", ""}, {"PUT", "/v1/areas/%ff", `{"name":"\ud800"}`},
		{"PATCH", "/v1/entities/light.hall", `{"id":{}}`}, {"PATCH", "/v1/entities/light.hall", strings.Repeat("[", 10_000)},
		{"POST", "/v1/entities/light.lamp/commands", `{"action":"turn_on","arguments":{"brightness":7},"wait":true,"timeout":1.5}`},
		{"POST", "/v1/entities/light.lamp/commands", `{"action":"turn_on","arguments":{"rgb":[1,2,"\ud800"]},"cause_position":1}`},
		{"GET", "/v1/entities/light.lamp/commands", ""},
	} {
		f.Add(s[0], s[1], s[2])
	}
	h := newHouse(f)
	furnish(f, h)
	appendEvents(f, h, dispatchtest.Light("light.lamp"))
	_, dispatcher := dispatchtest.New(h)
	s := start(f, Options{House: h, Dispatcher: func() Dispatcher { return dispatcher }})
	door := s.handler(routes(s), doorSocket)
	f.Fuzz(func(t *testing.T, method, path, body string) {
		r, err := http.NewRequestWithContext(t.Context(), method, "http://statehouse/", strings.NewReader(body))
		if err != nil || !strings.HasPrefix(path, "/v1/") || strings.HasSuffix(path, "/verify") || strings.Contains(path, "events") ||
			strings.Contains(path, "changes") {
			return // no request, or one that streams
		}
		r.URL.Path = path
		r.Header.Set("Content-Type", "application/json")
		before, w := h.Now().Position(), httptest.NewRecorder()
		door.ServeHTTP(w, r)
		if w.Code >= 500 {
			t.Errorf("%s %q %q: %d %s", method, path, body, w.Code, w.Body)
		}
		if after := h.Now().Position(); w.Code >= 300 && after != before {
			t.Errorf("%s %q %q: %d %s, and positions %d to %d", method, path, body, w.Code, w.Body, before, after)
		}
	})
}
