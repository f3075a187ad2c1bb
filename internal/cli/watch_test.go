package cli

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"path/filepath"
	"strings"
	"testing"

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
