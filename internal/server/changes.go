package server

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/statehouse/statehouse"
	"github.com/statehouse/statehouse/eventstore"
	"github.com/statehouse/statehouse/internal/api"
	"github.com/statehouse/statehouse/timeline"
)

// getChanges answers GET /v1/changes?entity=&domain=&last_event_id=, as the package comment says.
func (s *Server) getChanges(h *statehouse.House, w http.ResponseWriter, r *http.Request) error {
	p := newParams(r, "entity", "domain", "last_event_id")
	f := filter{entities: p.entities("entity"), domains: p.domains("domain"), may: seenBy(r)}
	last := p.one("last_event_id")
	if p.err != nil {
		return p.err
	}
	// The header is what a browser sends when it reconnects to the URL that it was given first, so it is newer.
	if header := r.Header.Get("Last-Event-ID"); header != "" {
		last = header
	}
	if r.Method == http.MethodHead {
		w.Header().Set("Content-Type", "text/event-stream")
		return nil
	}
	st, err := s.openStream(w, r, "text/event-stream")
	if err != nil {
		return err
	}
	defer st.close()
	c := &changes{stream: st, house: h, filter: f}
	err = c.run(last, s.opts.Heartbeat)
	if gone(r) {
		return nil
	}
	if errors.Is(context.Cause(st.ctx), errClosing) || errors.Is(err, eventstore.ErrClosed) {
		c.comment("the server is closing")
		return nil
	}
	// If it is the client that takes nothing, it does not get this either.
	s.opts.Logger.Debug("a stream of changes ended", "error", err)
	c.send(api.StreamError, nil, failureOf(endOf(r, err)).body())
	return nil
}

// changes is one stream of changes.
type changes struct {
	*stream
	house  *statehouse.House
	filter filter

	mu     sync.Mutex // guards the rest and the stream's buffer; stream.mu is locked under it
	err    error      // the first of a write
	text   bytes.Buffer
	at     eventstore.Position // up to here everything was looked at
	sent   eventstore.Position // in the newest id that the client has
	active bool                // something was sent since the last heartbeat
}

// run sends what there is, and then what comes, until the client or the server ends it.
func (c *changes) run(last string, heartbeat time.Duration) error {
	c.write("retry: 2000\n\n")
	for {
		k, err := c.begin(last)
		if err == nil {
			err = c.walk(k, heartbeat)
		}
		if !errors.Is(err, eventstore.ErrCompacted) {
			return err
		}
		// What was to come next has been removed: a client so slow is told as one that comes back too late.
		last = newCursor(c.house, c.at).String()
	}
}

// walk sends what comes.
func (c *changes) walk(k *walk, heartbeat time.Duration) error {
	ctx, cancel := context.WithCancelCause(c.ctx)
	var beating sync.WaitGroup
	beating.Go(func() { c.beat(ctx, cancel, heartbeat) })
	defer beating.Wait()
	defer cancel(nil)
	for e, err := range c.house.Subscribe(ctx, eventstore.Query{After: c.at}) {
		if err != nil {
			return err
		}
		change, wanted, end, err := k.change(e)
		if err != nil {
			return err
		}
		if err := c.next(change, e.Position, wanted, end); err != nil {
			return err
		}
	}
	return nil
}

// incomplete is the id that a client comes back with whose stream ended before the whole state was sent: what has been
// removed meanwhile must not stay with it.
const incomplete = "incomplete"

// begin brings the client to a moment, from which the walk goes on.
func (c *changes) begin(last string) (*walk, error) {
	if last == "" {
		c.write("id: " + incomplete + "\n\n")
		return c.sendAll()
	}
	m, reason, err := c.resumable(last)
	if err != nil {
		return nil, err
	}
	if reason != "" {
		c.write("id: " + incomplete + "\n\n")
		c.send(api.StreamReset, nil, api.Reset{Reason: reason})
		return c.sendAll()
	}
	c.at, c.sent = m.Position(), m.Position()
	c.stream.at.Store(uint64(c.at))
	c.flushLocked()
	return newWalk(c.house.Now, m, c.filter), c.err
}

// resumable is the moment that a client has who comes back with an id; reason says why the log cannot go on from it,
// empty if it can.
func (c *changes) resumable(last string) (m timeline.Moment, reason string, err error) {
	cur, ok := parseCursor(last)
	here := newCursor(c.house, c.house.Now().Position())
	base, _ := c.house.Base()
	switch {
	case last == incomplete:
		return m, "the stream ended before the whole state was sent", nil
	case !ok:
		return m, "the id is none of this server's", nil
	case cur.database != here.database:
		return m, "the id is of another database", nil
	case cur.position > here.position:
		return m, fmt.Sprintf("the id is of position %d, and the log ends at %d", cur.position, here.position), nil
	case cur.position < base:
		return m, fmt.Sprintf("the id is of position %d, and history has been removed up to %d", cur.position, base), nil
	}
	m, err = c.house.AsOf(c.ctx, cur.position)
	if err == nil || c.ctx.Err() != nil || errors.Is(err, eventstore.ErrClosed) {
		return m, "", err
	}
	return m, fmt.Sprintf("the id is of position %d, and the log up to it cannot be read: %v", cur.position, err), nil
}

// sendAll sends the whole state, as of one moment.
func (c *changes) sendAll() (*walk, error) {
	m := c.house.Now()
	ids := sortedIDs(m, c.filter)
	for _, id := range ids {
		st, err := stateOf(m, id)
		if err != nil {
			return nil, err
		}
		c.send(api.StreamState, nil, st)
		if err := cmpErr(c.err, context.Cause(c.ctx)); err != nil {
			return nil, err
		}
	}
	at := newCursor(c.house, m.Position())
	c.send(api.StreamReady, &at, api.Ready{Position: m.Position(), Entities: len(ids)})
	c.at = m.Position()
	c.flushLocked()
	return newWalk(c.house.Now, m, c.filter), c.err
}

// next sends a change, and at the end of a span everything.
func (c *changes) next(change api.Change, at eventstore.Position, wanted, end bool) error {
	if wanted {
		cur := newCursor(c.house, at)
		c.send(api.StreamChange, &cur, change)
	}
	c.mu.Lock()
	c.at = at
	c.mu.Unlock()
	c.stream.at.Store(uint64(at))
	if end {
		c.flushLocked()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

// send writes one message, with an id if it has one.
func (c *changes) send(event string, id *cursor, data any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.text.Reset()
	c.text.WriteString("event: " + event + "\n")
	if id != nil {
		c.text.WriteString("id: " + id.String() + "\n")
		c.sent = id.position
	}
	c.text.WriteString("data: ")
	if err := appendJSON(&c.text, data); err != nil { // it ends the line
		c.fail(err)
		return
	}
	c.text.WriteByte('\n')
	c.active = true
	c.put(c.text.Bytes())
}

// comment writes what the client ignores.
func (c *changes) comment(text string) { c.write(": " + text + "\n\n") }

func (c *changes) write(text string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.put([]byte(text))
}

// put needs mu.
func (c *changes) put(p []byte) {
	if c.err == nil {
		_, err := c.buf.Write(p)
		c.fail(err)
	}
}

// fail needs mu.
func (c *changes) fail(err error) {
	if c.err == nil {
		c.err = err
	}
}

func (c *changes) flushLocked() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err == nil {
		c.fail(c.flush())
	}
}

// beat tells the client from time to time that the stream lives, and where it may come back, and learns whether the
// client does.
func (c *changes) beat(ctx context.Context, cancel context.CancelCauseFunc, every time.Duration) {
	t := time.NewTicker(every)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
		if err := c.heartbeat(); err != nil {
			cancel(err)
			return
		}
	}
}

func (c *changes) heartbeat() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.active {
		text := ": " + strconv.FormatUint(uint64(c.at), 10) + "\n"
		if c.at > c.sent {
			text += "id: " + newCursor(c.house, c.at).String() + "\n"
			c.sent = c.at
		}
		c.put([]byte(text + "\n"))
	}
	c.active = false
	if c.err == nil {
		c.fail(c.flush())
	}
	return c.err
}

// cmpErr is the first error of two.
func cmpErr(a, b error) error {
	if a != nil {
		return a
	}
	return b
}
