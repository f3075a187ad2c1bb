//go:build acceptance

package acceptance

import (
	"bytes"
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/testing/protocmp"

	"github.com/statehouse/statehouse/client"
	"github.com/statehouse/statehouse/eventstore"
	"github.com/statehouse/statehouse/internal/check"
)

// witness is somebody who reads and writes while the daemon is killed.
type witness struct {
	mu       sync.Mutex                     // guards what follows
	followed []eventstore.Event             // in the order of the log
	acked    map[eventstore.Position][]byte // appends that were acknowledged
	running  sync.WaitGroup
}

// watch follows the log from the beginning and appends to it, until the daemon is gone.
func (w *witness) watch(ctx context.Context, c *client.Client) {
	w.acked = map[eventstore.Position][]byte{}
	w.running.Go(func() {
		for e, err := range c.Subscribe(ctx, eventstore.Query{}) {
			if err != nil {
				return
			}
			w.mu.Lock()
			w.followed = append(w.followed, e)
			w.mu.Unlock()
		}
	})
	w.running.Go(func() {
		for n := 0; ; n++ {
			e := check.CustomEvent("", "acceptance.mark", fmt.Append(nil, n))
			e.Source = "" // the daemon's to give
			span, err := c.Append(ctx, eventstore.Batch{Events: []eventstore.Event{e}})
			if err != nil {
				return
			}
			w.mu.Lock()
			w.acked[span.First] = e.Payload.GetCustom().GetValue()
			w.mu.Unlock()
		}
	})
}

// counts are how much the witness has seen.
func (w *witness) counts() (followed, acked int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.followed), len(w.acked)
}

func (r *rig) killed(t *testing.T) {
	lock := order{entity: "lock.front_lock", words: []string{"unlock"}, device: "front_lock"}
	boost := order{entity: "number.bath_trv_boost_time", words: []string{"200"}, device: "bath_trv"}
	var w witness
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	w.watch(ctx, r.home.Client)
	mark := r.observer.mark()
	later, errs, code := r.set(t, boost, "--no-wait", "--timeout", "20s")
	if code != 0 {
		t.Fatalf("set %s: %s", boost, errs)
	}
	r.sent(t, mark, boost)
	mark = r.observer.mark()
	soon, errs, code := r.set(t, lock, "--no-wait", "--timeout", "1s")
	if code != 0 {
		t.Fatalf("set %s: %s", lock, errs)
	}
	r.sent(t, mark, lock)
	before := r.home.head(t)
	until(t, "the witness has seen enough", func() error {
		followed, acked := w.counts()
		if followed < int(before) || acked < 100 {
			return fmt.Errorf("followed %d of %d, %d appends", followed, before, acked)
		}
		return nil
	})
	r.home.program.Kill()
	w.running.Wait()
	t.Logf("   killed; %d events were followed and %d appends acknowledged", len(w.followed), len(w.acked))
	until(t, "a deadline is over while nobody is there", func() error {
		if time.Now().Before(soon.Deadline) {
			return fmt.Errorf("it is at %s", soon.Deadline)
		}
		return nil
	})
	r.home.start(t)
	log := r.home.events(t, eventstore.Query{})
	if len(log) < len(w.followed) {
		t.Fatalf("%d events are left of %d", len(log), len(w.followed))
	}
	if diff := cmp.Diff(w.followed, log[:len(w.followed)], protocmp.Transform()); diff != "" {
		t.Errorf("events are others than they were (-before +after):\n%s", diff)
	}
	for p, value := range w.acked {
		if int(p) > len(log) || !bytes.Equal(log[p-1].Payload.GetCustom().GetValue(), value) {
			t.Errorf("the append at position %d was acknowledged and is lost", p)
		}
	}
	r.timedOut(t, lock, soon)
	r.timedOut(t, boost, later)
	r.home.grows(t, 50)
	r.remember(t)
}
