package cli

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

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
