package daemon

import (
	"errors"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/statehouse/statehouse"
	"github.com/statehouse/statehouse/internal/access"
)

// TestFirstToken: the first start leaves a token for its owner, and no later one another.
func TestFirstToken(t *testing.T) {
	c := testConfig(t)
	log := &journal{}
	d := start(t, c, Options{Logger: slog.New(slog.NewTextHandler(log, nil))})
	first, err := os.ReadFile(FirstTokenPath(c.DB))
	if err != nil {
		t.Fatal(err)
	}
	text := strings.TrimSpace(string(first))
	if who, err := d.tokens.Authenticate("", text); err != nil || !who.Everywhere(access.Admin) {
		t.Errorf("%v %v", who, err)
	}
	if log.count(text[20:]) != 0 || log.count("made the first token") != 1 {
		t.Error("the log has the token, or does not say where it is")
	}
	if _, err := d.tokens.Revoke("admin"); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(d.Close(), os.Remove(FirstTokenPath(c.DB))); err != nil {
		t.Fatal(err)
	}
	d = start(t, c, Options{})
	if _, err := os.Stat(FirstTokenPath(c.DB)); err == nil || len(d.tokens.List()) != 0 {
		t.Error("a token that was revoked comes back")
	}
}

// TestTokenRevokedDuringTheStart: a daemon that waits for a command to be done with the database knows the tokens as that has
// left them. (Defect: it had read them before, and a revoked one was valid and came back into the file.)
func TestTokenRevokedDuringTheStart(t *testing.T) {
	c := testConfig(t)
	h, err := statehouse.Open(c.DB)
	if err != nil {
		t.Fatal(err)
	}
	tokens, err := access.Open(TokensPath(c.DB))
	if err != nil {
		t.Fatal(err)
	}
	defer tokens.Close()
	draft, err := tokens.Draft(access.Spec{Name: "leaked", Scopes: access.Admin})
	if err == nil {
		_, err = tokens.Add(draft)
	}
	if err != nil {
		t.Fatal(err)
	}
	revoked := make(chan error, 1)
	time.AfterFunc(500*time.Millisecond, func() {
		_, err := tokens.Revoke("leaked")
		revoked <- errors.Join(err, h.Close())
	})
	d := start(t, c, Options{})
	if err := <-revoked; err != nil {
		t.Fatal(err)
	}
	if _, err := d.tokens.Authenticate("", draft.Text()); !errors.Is(err, access.ErrDenied) || len(d.tokens.List()) != 0 {
		t.Errorf("the token is valid: %v, %v", err, d.tokens.List())
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, d.URL()+"/v1/info", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+draft.Text())
	req.Close = true
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusUnauthorized {
		t.Errorf("%s", resp.Status)
	}
}
