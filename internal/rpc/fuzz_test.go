package rpc

import (
	"context"
	"encoding/binary"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/statehouse/statehouse"
	"github.com/statehouse/statehouse/internal/access"
)

// FuzzRequests: whatever JSON somebody sends, no procedure fails in a way that is a defect.
func FuzzRequests(f *testing.F) {
	known := procedures()
	names := slices.Sorted(maps.Keys(known))
	for i := range names {
		f.Add(uint8(i), `{}`)
	}
	for i := range names {
		for _, text := range []string{
			`{"entityId":"light.a","at":{"time":"2300-01-01T00:00:00Z"},"newId":"light.b","name":"\u0000","limit":"1"}`,
			`{"selection":{"entityIds":["light.a"],"domains":["light"],"where":"1/0 == age / 2"},"at":{"position":"3"}}`,
			`{"from":{"oldest":{}},"to":{"time":"0001-01-01T00:00:00Z"},"position":"2","saw":["light.a"],"sawChain":true,"before":{"position":"18446744073709551615"}}`,
			`{"query":{"after":"2","until":"3","since":"9999-12-31T23:59:59.999999999Z","kinds":["x"]},"backward":true,"cursor":{"database":"x","position":"1"}}`,
			`{"events":[{"entityId":"light.a","timestamp":"1600-01-01T00:00:00Z","payload":{"stateChanged":{}},"causePosition":"18446744073709551615"}],"conditions":[{"logPosition":"0"}],"idempotencyKey":"k"}`,
			`{"events":[{"entityId":"light.a","payload":{"entityRegistered":{"entity":{"id":"light.b"}}}},{"payload":{"deviceRegistered":{}}},{"payload":{"areaUnregistered":{"areaId":"x"}}}]}`,
			`{"from":{"time":"1600-01-01T00:00:00Z"},"to":{"time":"2400-01-01T00:00:00Z"},"parts":2000,"entityIds":["light.a"]}`,
			`{"areaId":"attic","deviceId":"d","name":"Attic","dryRun":true}`,
		} {
			f.Add(uint8(i), text)
		}
	}
	h := newHouse(f)
	secret(f, h)
	mux := http.NewServeMux()
	for prefix, handler := range New(Options{House: func() *statehouse.House { return h }}).Handlers() {
		mux.Handle(prefix, handler)
	}
	f.Fuzz(func(t *testing.T, n uint8, text string) {
		procedure := names[int(n)%len(names)]
		if strings.Contains(procedure, "Reflection") || strings.Contains(procedure, "Compact") && !strings.Contains(text, `"dryRun":true`) {
			return
		}
		contentType, body := "application/json", text
		if known[procedure] {
			contentType = "application/connect+json"
			body = "\x00" + string(binary.BigEndian.AppendUint32(nil, uint32(len(text)))) + text
		}
		// What goes on for ever does so for a moment.
		ctx, cancel := context.WithTimeout(access.With(t.Context(), access.Owner()), 100*time.Millisecond)
		defer cancel()
		req := httptest.NewRequestWithContext(ctx, http.MethodPost, procedure, strings.NewReader(body))
		req.Header.Set("Content-Type", contentType)
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, req)
		if answer := w.Body.String(); strings.Contains(answer, `"code":"internal"`) {
			t.Errorf("%s %q: %s", procedure, text, answer)
		}
	})
}
