package server

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/statehouse/statehouse/internal/api"
)

// client is an http.ResponseWriter that tells what it is asked.
type client struct {
	header  http.Header
	onWrite func() // before the first write is taken

	mu       sync.Mutex // guards the rest
	text     strings.Builder
	deadline time.Time
}

func (c *client) Header() http.Header { return c.header }

func (c *client) WriteHeader(int) {}

func (c *client) FlushError() error { return nil }

func (c *client) SetWriteDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.deadline = t
	return nil
}

func (c *client) Write(p []byte) (int, error) {
	if do := c.onWrite; do != nil {
		c.onWrite = nil
		do()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.text.Write(p)
}

func (c *client) seen() (text string, deadline time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.text.String(), c.deadline
}

// TestNoGap: what is recorded while the whole state is being sent comes as a change after it, and nothing that the
// server writes at its end has more than a moment.
func TestNoGap(t *testing.T) {
	h := newHouse(t)
	furnish(t, h)
	s := start(t, Options{House: h, WriteTimeout: time.Hour})
	c := &client{header: http.Header{}}
	// The whole state fits the first write; the moment that it is of was taken before.
	c.onWrite = func() { appendEvents(t, h, lightEvent("light.hall", 9), systemEvent("x")) }
	r := asOwner(httptest.NewRequestWithContext(context.Background(), http.MethodGet, "http://localhost/v1/changes", nil))
	var serving sync.WaitGroup
	serving.Go(func() { s.handler(readRoutes(s), doorSocket).ServeHTTP(c, r) })
	eventually(t, "the second change", func() bool {
		text, _ := c.seen()
		return strings.Contains(text, newCursor(h, 10).String())
	})
	s.close(errClosing)
	serving.Wait()
	text, deadline := c.seen()
	if left := time.Until(deadline); left > lastWords {
		t.Errorf("at the end a write may take %s", left)
	}
	f := &feed{t: t, view: map[string]api.State{}}
	var ids []string
	for m, err := range api.Messages(strings.NewReader(text)) {
		if err != nil {
			t.Fatal(err)
		}
		f.fold(m)
		if m.ID != incomplete {
			ids = append(ids, strings.TrimPrefix(m.ID, newCursor(h, 0).database))
		}
	}
	if got := strings.Join(ids, ""); got != "-8-9-10" {
		t.Errorf("the ids are %s", got)
	}
	f.same(h.Now())
}

// TestEventsCutShort: a server that closes while the log is being sent says that it was not all.
func TestEventsCutShort(t *testing.T) {
	h := newHouse(t)
	for range 12 { // three pages of the log
		appendEvents(t, h, systemEvent(strings.Repeat("x", 1<<20)))
	}
	s := start(t, Options{House: h, WriteTimeout: time.Hour})
	c := &client{header: http.Header{}}
	c.onWrite = func() {
		s.close(errClosing)
		eventually(t, "the stream hears of it", func() bool {
			_, deadline := c.seen()
			return time.Until(deadline) < time.Minute
		})
	}
	r := asOwner(httptest.NewRequestWithContext(context.Background(), http.MethodGet, "http://localhost/v1/events", nil))
	s.handler(readRoutes(s), doorSocket).ServeHTTP(c, r)
	text, _ := c.seen()
	lines := strings.Split(strings.TrimSpace(text), "\n")
	last := lines[len(lines)-1]
	if len(lines) > 12 || len(last) > 1000 {
		t.Fatalf("%d lines, the last of %d bytes", len(lines), len(last))
	}
	if code := (reply{body: []byte(last)}).code(t); code != api.CodeClosed {
		t.Error(last)
	}
}
