package cli

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/statehouse/statehouse/eventstore"
	"github.com/statehouse/statehouse/internal/api"
)

// TestWatchOverARestart restarts the daemon under a watch, which goes on where it was and misses nothing.
func TestWatchOverARestart(t *testing.T) {
	db := filepath.Join(t.TempDir(), "home.db")
	d := startDaemon(t, db)
	ctx, cancel := context.WithCancel(t.Context())
	out, w := io.Pipe()
	ended := make(chan int)
	go func() {
		ended <- Run(ctx, []string{"watch", "--db", db, "-o", "json"}, strings.NewReader(""), w, io.Discard)
		_ = w.Close()
	}()
	changes := json.NewDecoder(bufio.NewReader(out))
	next := func() api.Change {
		var c api.Change
		if err := changes.Decode(&c); err != nil {
			t.Fatal(err)
		}
		return c
	}
	// Until the watch has begun nothing tells that it has, but a change.
	begun := make(chan struct{})
	house := d.House()
	go func() {
		for i := 0; ; i++ {
			select {
			case <-begun:
				return
			default:
				_, _ = house.SetArea(context.WithoutCancel(ctx), "test", "hall", strings.Repeat("x", i%2+1))
			}
		}
	}()
	last := next().Position
	close(begun)
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	d = startDaemon(t, db)
	if _, err := d.House().SetArea(ctx, "test", "attic", "Attic"); err != nil {
		t.Fatal(err)
	}
	for head := d.House().Now().Position(); last < head; {
		c := next()
		if c.Position != last+1 {
			t.Fatalf("after position %d the watch says %d", last, c.Position)
		}
		last = c.Position
		if last == head && c.Kind != eventstore.KindAreaRegistered {
			t.Errorf("the last change is %v", c.Kind)
		}
	}
	cancel()
	if code := <-ended; code != exitInterrupted {
		t.Errorf("the watch exits %d", code)
	}
}

// TestWatchOverCutConnections: a daemon that answers again and again is there, however little happens, and each time it is gone it is
// waited for as long.
func TestWatchOverCutConnections(t *testing.T) {
	now := time.Date(2026, 11, 24, 10, 0, 0, 0, time.UTC)
	connections := 0
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		now = now.Add(40 * time.Second) // in which nothing happened
		switch connections++; connections {
		case 1:
			_, _ = io.WriteString(w, "event: ready\nid: x-1\ndata: {\"position\":1}\n\n")
		case 5:
			_, _ = io.WriteString(w, "event: change\nid: x-2\ndata: {\"position\":2,\"kind\":\"system\"}\n\n")
		default:
			_, _ = io.WriteString(w, ": 1\n\n")
		}
	}))
	defer s.Close()
	r, err := newRemote(s.URL, "")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = r.Close() }()
	w := watcher{
		app: &app{ctx: t.Context(), stdout: io.Discard, stderr: io.Discard, now: func() time.Time { return now }},
		cmd: &watchCmd{Count: 1}, known: map[string]api.State{},
	}
	if err := w.follow(r); err != nil || connections != 5 {
		t.Errorf("after %d connections it says %v", connections, err)
	}
}
