package hass

import (
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/statehouse/statehouse/internal/access"
)

// Nobody is served anything, and a token of too little nothing beyond it: all commands and routes that there are.
func TestPolicies(t *testing.T) {
	house := newHouse(t)
	furnish(t, house)
	who := everyone()
	who["none"] = access.NewIdentity("none", 0, nil, nil)
	url := serve(t, house, who, Options{})

	scopeOf := map[string]access.Scope{"none": 0, "writer": access.Write, "reader": access.Read}
	for token, scope := range scopeOf {
		c := login(t, url, token)
		for _, name := range slices.Sorted(maps.Keys(commands)) {
			p := commands[name].policy
			if p.anybody {
				continue
			}
			r := c.call(name, nil)
			if denied := r.Error.Code == codeUnauthorized; denied != (p.scope != scope) {
				t.Errorf("%s as %s: %+v", name, token, r.Error)
			}
			if r.Success && commands[name].subscribes {
				c = login(t, url, token) // the old one has events now
			}
		}
	}
	for _, route := range routes {
		path := url + "/api" + strings.NewReplacer("{$}", "", "{entity_id}", "light.hall", "{timestamp}", "2026-01-01T00:00:00Z",
			"{domain}", "light", "{service}", "turn_on", "{event_type}", "rang").Replace(route.pattern)
		if status, body := ask(t, route.method, path, "", ""); status != http.StatusUnauthorized || decode[object](t, body)["message"] == nil {
			t.Errorf("%s %s as nobody: %d %s", route.method, route.pattern, status, body)
		}
		if status, _ := ask(t, route.method, path, "unheard-of", ""); status != http.StatusUnauthorized {
			t.Errorf("%s %s with a wrong token: %d", route.method, route.pattern, status)
		}
		for token, scope := range scopeOf {
			if route.anybody || route.scope == scope {
				continue
			}
			if status, body := ask(t, route.method, path, token, ""); status != http.StatusForbidden || decode[object](t, body)["message"] == nil {
				t.Errorf("%s %s as %s: %d %s", route.method, route.pattern, token, status, body)
			}
		}
	}
	if head := house.Now().Position(); head != 9 {
		t.Errorf("something was recorded: the log ends at %d", head)
	}
	// A restriction to entities is no right to what is about everything.
	if status, _ := ask(t, http.MethodPost, url+"/api/events/rang", "lights", ""); status != http.StatusForbidden {
		t.Errorf("a restricted token fired an event: %d", status)
	}
}

// The zero policy lets nobody in, and each command and route has one.
func TestEveryPolicyIsThere(t *testing.T) {
	if (policy{}).check(access.Owner()) == nil {
		t.Error("the zero policy lets the owner in")
	}
	for name, c := range commands {
		if c.policy == (policy{}) || c.run == nil {
			t.Errorf("%s has no policy", name)
		}
	}
	for _, r := range routes {
		if r.policy == (policy{}) {
			t.Errorf("%s %s has no policy", r.method, r.pattern)
		}
	}
}

// Before it is authenticated a client is served nothing, whatever it sends.
func TestNothingBeforeAuthentication(t *testing.T) {
	house := newHouse(t)
	furnish(t, house)
	url := serve(t, house, everyone(), Options{})
	for _, first := range []string{
		`{"id":1,"type":"get_states"}`, `{"type":"auth"}`, `{"type":"auth","access_token":""}`, `{"type":"auth","access_token":"wrong"}`,
		`{"type":"auth","access_token":7}`, `[]`, `null`, `{`, `[{"type":"auth","access_token":"admin"}]`, `{"type":"auth","access_token":"flood"}`,
	} {
		c := connect(t, url)
		c.want(`{"type":"auth_required","ha_version":"2025.1.0"}`)
		c.send(first)
		m := decode[object](t, c.next())
		if m["type"] != "auth_invalid" || m["message"] == "" {
			t.Errorf("%s: %v", first, m)
		}
		c.wantClosed()
	}
}
