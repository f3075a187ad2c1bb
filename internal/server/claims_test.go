package server

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/statehouse/statehouse/internal/api"
)

// claimsOf claims what is below z2m, of many entities what is below many, and twice what is below both.
func claimsOf(topic string) []api.Claim {
	first, rest, _ := strings.Cut(topic, "/")
	claim := api.Claim{Topic: "ignored", Dialect: first + "/default", Entities: []string{"light." + rest}, Note: "report"}
	switch first {
	case "z2m":
		return []api.Claim{claim}
	case "both":
		return []api.Claim{claim, {Dialect: "other"}}
	case "many":
		claim.Entities = make([]string, 130)
		for i := range claim.Entities {
			claim.Entities[i] = fmt.Sprintf("light.%d", i)
		}
		return []api.Claim{claim}
	}
	return nil
}

func TestClaims(t *testing.T) {
	h := newHouse(t)
	s := start(t, Options{House: h, Claims: claimsOf, SocketPath: filepath.Join(shortDir(t), "s")})
	ask := func(body string) reply {
		t.Helper()
		return send(t, "POST", s.URL()+"/v1/mqtt/claims", body, "admin")
	}
	var got api.Claims
	ask(`{"topics":["z2m/hall","nobody","both/x"]}`).decode(t, &got)
	want := api.Claims{Claims: []api.Claim{
		{Topic: "z2m/hall", Dialect: "z2m/default", Entities: []string{"light.hall"}, Note: "report"},
		{Topic: "both/x", Dialect: "both/default", Entities: []string{"light.x"}, Note: "report"},
		{Topic: "both/x", Dialect: "other"},
	}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if r := ask(`{"topics":["nobody"]}`); r.status != 200 || strings.TrimSpace(string(r.body)) != `{"claims":[]}` {
		t.Errorf("%d %s", r.status, r.body)
	}
	var many api.Claims
	ask(`{"topics":["many/x"]}`).decode(t, &many)
	if c := many.Claims; len(c) != 1 || len(c[0].Entities) != 100 || c[0].More != 30 {
		t.Errorf("%+v", c)
	}
	// The owner needs no token.
	r := do(t, socketClient(t, s.SocketPath()), "POST", "http://x/v1/mqtt/claims", strings.NewReader(`{"topics":["z2m/a"]}`), "Content-Type", "application/json")
	if r.status != 200 || !bytes.Contains(r.body, []byte("light.a")) {
		t.Errorf("%d %s", r.status, r.body)
	}
}

func TestClaimsRefused(t *testing.T) {
	h := newHouse(t)
	s := start(t, Options{House: h, Claims: claimsOf})
	topics := func(n int) string {
		all := make([]string, n)
		for i := range all {
			all[i] = "z2m/x"
		}
		text, err := json.Marshal(api.ClaimsQuery{Topics: all})
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	for body, want := range map[string]int{
		`{"topics":[]}`: 400, `{}`: 400, topics(1001): 400, topics(1000): 200, `{"topics":["a/#"]}`: 400, `{"topics":[""]}`: 400,
		`{"topics":["a\u0000"]}`: 400, `{"topics":"a"}`: 400, `{"topics":["a"],"more":1}`: 400, `["a"]`: 400,
		`{"topics":["` + strings.Repeat("x", maxBodyBytes) + `"]}`: 413,
	} {
		if r := send(t, "POST", s.URL()+"/v1/mqtt/claims", body, "admin"); r.status != want || want != 200 && r.code(t) == "" {
			t.Errorf("%.60s: %d %.200s", body, r.status, r.body)
		}
	}
	if r := send(t, "GET", s.URL()+"/v1/mqtt/claims", "", "admin"); r.status != http.StatusMethodNotAllowed {
		t.Errorf("GET: %d", r.status)
	}
	without := start(t, Options{House: h})
	if r := send(t, "POST", without.URL()+"/v1/mqtt/claims", `{"topics":["a"]}`, "admin"); r.status != 404 || !bytes.Contains(r.body, []byte("takes nothing in over MQTT")) {
		t.Errorf("nobody can say: %d %s", r.status, r.body)
	}
	early := start(t, Options{Claims: func(string) []api.Claim {
		t.Error("asked before there is a house")
		return nil
	}})
	if r := send(t, "POST", early.URL()+"/v1/mqtt/claims", `{"topics":["a"]}`, "admin"); r.status != 503 || r.code(t) != api.CodeNotReady {
		t.Errorf("no house yet: %d %s", r.status, r.body)
	}
}
