package discovery

import (
	"context"
	"sync"
	"time"

	"github.com/statehouse/statehouse/internal/mqtt"
)

// wanted are the topics that are to be subscribed to. Announcements come in bursts, of devices that share topics: what is
// retained there is to come when all of them are known.
type wanted struct {
	mu     sync.Mutex // guards topics
	topics map[string]struct{}
	poke   chan struct{}
}

// quiet is how long no announcement must have come for the topics to be subscribed to, and patience how long at most.
const (
	quiet    = 50 * time.Millisecond
	patience = time.Second
)

func (w *wanted) init() {
	w.topics, w.poke = map[string]struct{}{}, make(chan struct{}, 1)
}

func (w *wanted) add(topics ...string) {
	if len(topics) == 0 {
		return
	}
	w.mu.Lock()
	for _, t := range topics {
		w.topics[t] = struct{}{}
	}
	w.mu.Unlock()
	wake(w.poke)
}

func (w *wanted) take() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	topics := sortedKeys(w.topics)
	w.topics = map[string]struct{}{} // a large house has had many at the start, and never again
	return topics
}

// run subscribes until ctx ends.
func (w *wanted) run(ctx context.Context, s mqtt.Subscriber) {
	for {
		select {
		case <-w.poke:
		case <-ctx.Done():
			return
		}
		for began := time.Now(); time.Since(began) < patience; {
			if w.calm(ctx) {
				break
			}
		}
		if ctx.Err() != nil {
			return
		}
		if topics := w.take(); len(topics) > 0 {
			s.Subscribe(topics...)
		}
	}
}

// calm says that no announcement came for a while.
func (w *wanted) calm(ctx context.Context) bool {
	select {
	case <-w.poke:
		return false
	case <-time.After(quiet):
		return true
	case <-ctx.Done():
		return true
	}
}
