package cli

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/statehouse/statehouse/eventstore"
	"github.com/statehouse/statehouse/internal/api"
)

// A token is for the server that was named: one that sends the command elsewhere is told so, and nothing goes there.
func TestRedirectsAreNotFollowed(t *testing.T) {
	var visits atomic.Int32
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { visits.Add(1) }))
	defer elsewhere.Close()
	for _, status := range []int{http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther, http.StatusTemporaryRedirect, http.StatusPermanentRedirect} {
		named := httptest.NewServer(http.RedirectHandler(elsewhere.URL, status))
		file := filepath.Join(t.TempDir(), "token")
		if err := os.WriteFile(file, []byte("sth_a_b\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		r, err := newRemote(named.URL, file)
		if err != nil {
			t.Fatal(err)
		}
		_, read := r.States(t.Context(), api.At{}, api.Where{})
		_, sent := r.Claims(t.Context(), []string{"a"})
		_, called := r.CreateSnapshot(t.Context())
		for what, err := range map[string]error{"get": read, "post": sent, "rpc": called} {
			if !errors.Is(err, errUnreachable) || exitCode(err) != exitUnavailable {
				t.Errorf("%d, %s: %v", status, what, err)
			}
		}
		if !strings.Contains(read.Error(), "which is not followed") {
			t.Errorf("%d: %v", status, read)
		}
		_ = r.Close()
		named.Close()
	}
	if n := visits.Load(); n != 0 {
		t.Errorf("%d requests went elsewhere", n)
	}
}

// The log is read a page at a time, so that it may take as long as it likes to print it, and every event comes once.
func TestEventsComeInPages(t *testing.T) {
	const events = 200
	data, err := json.Marshal(strings.Repeat("x", pageBytes/50))
	if err != nil {
		t.Fatal(err)
	}
	var requests atomic.Int32
	daemon := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		requests.Add(1)
		after, err := strconv.Atoi(req.FormValue("after"))
		if err != nil || req.FormValue("until") != strconv.Itoa(events) || req.FormValue("kind") != "x.y" {
			t.Errorf("%s, %v", req.URL, err)
		}
		for p := after + 1; p <= events && err == nil; p++ {
			err = printJSONLine(w, api.Event{Position: eventstore.Position(p), Kind: "x.y", Data: data})
		}
	}))
	defer daemon.Close()
	r, err := newRemote(daemon.URL, "")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = r.Close() }()
	last := eventstore.Position(0)
	for e, err := range r.Events(t.Context(), eventstore.Query{Until: events, Kinds: []eventstore.Kind{"x.y"}}) {
		if last++; err != nil || e.Position != last {
			t.Fatalf("position %d instead of %d, %v", e.Position, last, err)
		}
	}
	if n := requests.Load(); last != events || n < 4 {
		t.Errorf("%d events in %d requests", last, n)
	}
}
