package cli

import (
	"encoding/json"
	"testing"
)

// TestDetails: what the state says itself is no detail, and what kind of event it was always is one.
func TestDetails(t *testing.T) {
	for _, test := range []struct{ before, after, want string }{
		{`{"on":true,"brightness":1}`, `{"on":false,"brightness":2}`, "brightness=2"},
		{`{"event_type":"single","occurred":"2026-01-31T08:00:00Z"}`, `{"event_type":"single","occurred":"2026-01-31T08:00:01Z"}`, "event_type=single"},
		{`{"pressed":"2026-01-31T08:00:00Z"}`, `{"pressed":"2026-01-31T08:00:01Z"}`, ""},
		{``, `{"on":true}`, ""},
	} {
		if got := details(json.RawMessage(test.before), json.RawMessage(test.after)); got != test.want {
			t.Errorf("%s to %s: %q, want %q", test.before, test.after, got, test.want)
		}
	}
}
