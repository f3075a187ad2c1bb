package server

import (
	"bytes"
	"context"
	"errors"
	"iter"
	"math"
	"net/http"

	"github.com/statehouse/statehouse"
	"github.com/statehouse/statehouse/eventstore"
	"github.com/statehouse/statehouse/internal/api"
)

// errEnough ends a stream of events that has reached its limit.
var errEnough = errors.New("enough")

// eventsQuery is what GET /v1/events asks for.
type eventsQuery struct {
	eventstore.Query
	limit  uint64 // 0 means none
	follow bool
	may    api.May // nil restricts nothing
	// ended says that it has an end, Until, which may be 0: before everything. To the store that is no end.
	ended bool
}

func parseEventsQuery(r *http.Request) (eventsQuery, error) {
	p := newParams(r, "after", "until", "entity", "kind", "source", "limit", "follow")
	q := eventsQuery{
		Query: eventstore.Query{
			After: eventstore.FromOldest, Until: p.position("until"),
			Entities: p.entities("entity"), Kinds: p.kinds("kind"), Sources: p.sources("source"),
		},
		limit: p.number("limit", 1, 1<<53), follow: p.flag("follow"), may: seenBy(r), ended: p.values.Has("until"),
	}
	if p.values.Has("after") {
		q.After = p.position("after")
		if q.ended && q.Until < q.After {
			p.fail("until=%d is before after=%d", q.Until, q.After)
		}
	}
	return q, p.err
}

// begin makes a position of the beginning of a query, or fails where that has been removed.
func (q *eventsQuery) begin(h *statehouse.House) error {
	base, recorded := h.Base()
	if q.After == eventstore.FromOldest {
		q.After = base
	}
	if q.After < base || q.ended && q.Until < base {
		return &eventstore.CompactedError{Base: base, RecordedAt: recorded}
	}
	if q.follow && !h.Store().Reached(q.After) { // what is recorded up to there would never come
		return invalid("after=%d is still to come: the log ends at %d", q.After, h.Store().Head())
	}
	return nil
}

// getEvents answers GET /v1/events with one event in a line, oldest first. With follow=1 it goes on with what is
// recorded from then on. What fails after the first line comes as a last line, {"error": …}.
func (s *Server) getEvents(h *statehouse.House, w http.ResponseWriter, r *http.Request) error {
	q, err := parseEventsQuery(r)
	if err == nil {
		err = q.begin(h)
	}
	if err != nil {
		return err
	}
	if r.Method == http.MethodHead {
		w.Header().Set("Content-Type", "application/x-ndjson")
		return nil
	}
	st, err := s.openStream(w, r, "application/x-ndjson")
	if err != nil {
		return err
	}
	defer st.close()
	err = sendEvents(st, h, q)
	if err == nil || errors.Is(err, errEnough) || gone(r) {
		return nil
	}
	if errors.Is(context.Cause(st.ctx), errClosing) {
		err = errClosing
	}
	// If it is the client that takes nothing, it does not get this either.
	var line bytes.Buffer
	if appendJSON(&line, failureOf(endOf(r, err)).body()) == nil {
		_, _ = st.buf.Write(line.Bytes())
	}
	return nil
}

// sendEvents sends what there is, and then, where that is asked for, what comes.
func sendEvents(st *stream, h *statehouse.House, q eventsQuery) error {
	// Bytes are sent when the buffer is full as long as there is more to read, and at once for what comes live: a
	// reader of what comes must not wait for the event after it.
	head := h.Store().Head()
	if q.ended && q.Until == 0 {
		return st.flush()
	}
	past := q.Query
	if past.Until == 0 || past.Until > head {
		past.Until = head
	}
	line := eventLines{st: st, left: q.limit, may: q.may}
	if line.tracked = len(q.Entities)+len(q.Kinds)+len(q.Sources) == 0; !line.tracked {
		st.at.Store(math.MaxUint64) // of what is filtered nobody knows how far it is
	}
	if past.After < past.Until {
		if err := line.send(h.Read(st.ctx, past)); err != nil {
			return err
		}
	}
	if err := st.flush(); err != nil {
		return err
	}
	if !q.follow {
		return nil
	}
	line.live = true
	q.After = max(q.After, head)
	return line.send(h.Subscribe(st.ctx, q.Query))
}

// eventLines writes events, one in a line.
type eventLines struct {
	st   *stream
	buf  bytes.Buffer
	left uint64 // how many more may be written; 0 means that there is no limit
	live bool
	may  api.May
	// tracked says that every event comes by, so that the stream is as far as the last one.
	tracked bool
}

func (l *eventLines) send(events iter.Seq2[eventstore.Event, error]) error {
	for e, err := range events {
		if err != nil {
			return err
		}
		if l.tracked {
			l.st.at.Store(uint64(e.Position))
		}
		if l.may != nil && !l.may.Event(e) {
			continue
		}
		w, err := api.NewEvent(e)
		if err != nil {
			return err
		}
		l.buf.Reset()
		if err := appendJSON(&l.buf, w); err != nil {
			return err
		}
		if _, err := l.st.buf.Write(l.buf.Bytes()); err != nil {
			return err
		}
		if l.live {
			if err := l.st.flush(); err != nil {
				return err
			}
		}
		if l.left > 0 {
			if l.left--; l.left == 0 {
				return errEnough
			}
		}
	}
	return nil
}
