package client

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/statehouse/statehouse"
	"github.com/statehouse/statehouse/eventstore"
	"github.com/statehouse/statehouse/internal/access"
	"github.com/statehouse/statehouse/internal/rpc"
)

// Watch ends with the reason where there is no token to send: to try again would not mend that. A token that cannot be had now,
// and can soon, is tried for again.
func TestWatchWithoutToken(t *testing.T) {
	for _, c := range []struct {
		name  string
		token error
		calls int
	}{
		{"none", errors.New("the vault is locked"), 1},
		{"none now", fmt.Errorf("%w: the vault is starting", eventstore.ErrUnavailable), 3},
	} {
		ctx, cancel := context.WithCancel(t.Context())
		calls := 0
		cl, err := Dial("http://127.0.0.1:1", WithToken(func(context.Context) (string, error) {
			if calls++; calls == 3 {
				cancel() // it would go on for ever
			}
			return "", c.token
		}))
		if err != nil {
			t.Fatal(err)
		}
		var last error
		for _, err := range cl.Watch(ctx, Selection{}, Cursor{}) {
			last = err
		}
		if calls != c.calls || calls == 1 && (!errors.Is(last, ErrUnauthenticated) || !errors.Is(last, c.token) || last.Error() != "token: the vault is locked") {
			t.Errorf("%s: after %d calls %v", c.name, calls, last)
		}
		cancel()
		cl.Close()
	}
}

// A file of a token that is missing, or no file, is said to be that, by Watch and by everything else.
func TestTokenFileIsMissing(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	path := filepath.Join(t.TempDir(), "nothing.token")
	cl, err := Dial("http://127.0.0.1:1", WithTokenFile(path))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	cl.backoff, cl.maxBackoff = 1, 1
	check := func(what string, err error) {
		if !errors.Is(err, ErrUnauthenticated) || !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v", what, err)
		}
	}
	_, err = cl.CreateSnapshot(ctx)
	check("a request", err)
	for _, err := range cl.Watch(ctx, Selection{}, Cursor{}) {
		check("Watch", err)
	}
}

// Watch goes on with the token that has taken the place of one that ended, as in the file of one that was rotated, and ends where
// there is none.
func TestWatchTakesTheNextToken(t *testing.T) {
	h := newHouse(t)
	handlers := http.NewServeMux()
	for prefix, handler := range rpc.New(rpc.Options{House: func() *statehouse.House { return h }}).Handlers() {
		handlers.Handle(prefix, handler)
	}
	for name, after := range map[string]string{"rotated": "second", "revoked": "first"} {
		ended := make(chan struct{})
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			first, second := access.NewIdentity("a", access.Read, nil, ended), access.NewIdentity("a", access.Read, nil, nil)
			who := map[string]*access.Identity{"Bearer first": first, "Bearer second": second}[r.Header.Get("Authorization")]
			if who.Ended() != nil {
				who = nil
			}
			if who == second {
				_, _ = h.Append(r.Context(), light("light.next", true)) // what comes with the next token
			}
			handlers.ServeHTTP(w, r.WithContext(access.With(r.Context(), who)))
		}))
		var token atomic.Value
		token.Store("first")
		cl, err := Dial(s.URL, WithToken(func(context.Context) (string, error) { return token.Load().(string), nil }))
		if err != nil {
			t.Fatal(err)
		}
		cl.backoff, cl.maxBackoff = 1, 1
		var got []string
		for u, err := range cl.Watch(t.Context(), Selection{}, Cursor{}) {
			switch {
			case errors.Is(err, ErrUnauthenticated):
				got = append(got, "no token")
				continue
			case err != nil:
				t.Fatal(name, err)
			case len(got) == 1:
				got = append(got, u.Entities[0].EntityID)
			}
			if len(got) == 2 {
				break
			}
			got = append(got, "whole")
			token.Store(after)
			close(ended)
		}
		cl.Close()
		s.Close()
		want := map[string]string{"rotated": "light.next", "revoked": "no token"}[name]
		if !slices.Equal(got, []string{"whole", want}) {
			t.Errorf("%s: %v", name, got)
		}
	}
}
