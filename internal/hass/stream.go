package hass

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/statehouse/statehouse/internal/access"
)

// getStream answers GET /api/stream?restrict=: events as server-sent events, until the client, the token or the server
// ends.
func getStream(q *request) error {
	var types []string
	if text := q.URL.Query().Get("restrict"); text != "" {
		types = strings.Split(text, ",")
	}
	q.w.Header().Set("Content-Type", "text/event-stream")
	if q.Method == http.MethodHead {
		return nil
	}
	opened, done, err := q.h.opts.OpenStream(q.Context())
	if err != nil {
		return &failure{http.StatusServiceUnavailable, codeError, err.Error()}
	}
	defer done()
	ctx, cancel := context.WithCancelCause(opened)
	defer cancel(nil)
	s := &eventStream{w: q.w, rc: http.NewResponseController(q.w), timeout: q.h.opts.WriteTimeout}
	var tasks sync.WaitGroup
	defer tasks.Wait()
	defer cancel(nil)
	tasks.Go(func() {
		select {
		case <-ctx.Done():
		case <-q.who.Done():
			cancel(access.ErrEnded)
		}
		s.hurry()
	})
	from := q.view.now()                        // before the client has a word of it
	q.w.Header().Set("X-Accel-Buffering", "no") // a proxy in between must not wait for more
	q.w.WriteHeader(http.StatusOK)
	if err := s.write([]byte("data: ping\n\n")); err != nil {
		return errAnswered
	}
	tasks.Go(func() {
		t := time.NewTicker(q.h.opts.Heartbeat)
		defer t.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-t.C:
				if err := s.write([]byte("data: ping\n\n")); err != nil {
					cancel(err)
					return
				}
			}
		}
	})
	if q.view.frozen != nil {
		<-ctx.Done()
		return errAnswered
	}
	wanted := func(t string) bool { return types == nil || slices.Contains(types, t) }
	err = q.view.followEvents(ctx, from, q.who, wanted, func(events []hassEvent) error {
		var text []byte
		for _, e := range events {
			text = append(append(append(text, "data: "...), encode(e)...), "\n\n"...)
		}
		return s.write(text)
	})
	q.h.opts.Logger.Debug("a stream of events ended", "user", q.who.Name(), "error", err)
	return errAnswered
}

// eventStream is the way to the client of a stream of server-sent events.
type eventStream struct {
	timeout time.Duration

	mu sync.Mutex // guards the use of w; rcMu is locked under it
	w  http.ResponseWriter

	rcMu   sync.Mutex // guards ending and the setting of deadlines; nothing else is locked under it
	rc     *http.ResponseController
	ending bool // no deadline moves any more
}

// write sends text, which the client has to take in time.
func (s *eventStream) write(text []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(text) > 0 {
		n := min(chunk, len(text))
		s.extend()
		if _, err := s.w.Write(text[:n]); err != nil {
			return err
		}
		text = text[n:]
	}
	s.extend()
	err := s.rc.Flush()
	// With HTTP/2 a deadline ends a stream also where nothing is written.
	s.deadline(time.Time{})
	return err
}

func (s *eventStream) extend() { s.deadline(time.Now().Add(s.timeout)) }

func (s *eventStream) deadline(at time.Time) {
	s.rcMu.Lock()
	defer s.rcMu.Unlock()
	if !s.ending {
		_ = s.rc.SetWriteDeadline(at)
	}
}

// hurry gives the client a last moment, for a write that may be under way.
func (s *eventStream) hurry() {
	s.rcMu.Lock()
	defer s.rcMu.Unlock()
	s.ending = true
	_ = s.rc.SetWriteDeadline(time.Now().Add(lastWords))
}
