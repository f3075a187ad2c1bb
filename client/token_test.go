package client

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"testing"

	"github.com/statehouse/statehouse/eventstore"
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
