package client

import (
	"context"
	"errors"
	"iter"
	"math/rand/v2"
	"time"

	"github.com/statehouse/statehouse/eventstore"
	statehousev1 "github.com/statehouse/statehouse/gen/statehouse/v1"
	"github.com/statehouse/statehouse/state"
)

// Cursor is where a watcher is, to come back to. The zero Cursor is before everything.
type Cursor struct {
	// Database is the uuid of the database, and Position a position in it.
	Database string
	Position eventstore.Position
}

// Update is what a watcher gets. One that keeps entities by id has, after each Update, exactly what was chosen of the house at
// the position of the cursor:
//
//	if u.Whole {
//		clear(kept)
//	}
//	for _, e := range u.Entities {
//		kept[e.EntityID] = e
//	}
//	for _, id := range u.Removed {
//		delete(kept, id)
//	}
type Update struct {
	Cursor Cursor
	// Whole says that Entities are all there are: what was kept before is nothing any more.
	Whole bool
	// Entities are those that are different, in state or in name, and Removed those that are not there, or not chosen, any more.
	Entities []Entity
	Removed  []state.EntityID
}

// errSilent is why a stream is given up that should at least have had a heartbeat.
var errSilent = errors.New("the server has been silent for too long")

// Watch yields what is chosen of the house, and then what changes, without end: first the whole of it, or, with a cursor that it
// had got before for the same selection, what has changed since. Changes are net: whoever is slow gets fewer of them, and
// nothing is lost.
//
// When the connection is lost it comes back by itself, pausing for longer and longer up to ten seconds, and goes on without a
// gap and without a repeat. Where the server cannot go on from there an Update is Whole again. When its token ends it asks for the
// token again, which may be another one by then, as in the file of one that was rotated with a grace. The sequence ends with the
// context's error, or with one that another try would not mend: a token that is not valid, or that there is
// none, as where its file is missing; a selection that is none.
func (c *Client) Watch(ctx context.Context, s Selection, since Cursor) iter.Seq2[Update, error] {
	return func(yield func(Update, error) bool) {
		w := &watcher{c: c, selection: s, cursor: since, yield: yield}
		pause := c.backoff
		for {
			err := w.attempt(ctx)
			if w.stopped {
				return
			}
			if ctx.Err() != nil {
				yield(Update{}, context.Cause(ctx))
				return
			}
			// A token that was one has ended: there may be another in its place, which the next try asks for.
			if ended := w.progress && errors.Is(err, ErrUnauthenticated); !ended && !passing(err) {
				yield(Update{}, err)
				return
			}
			if w.progress {
				pause, w.progress = c.backoff, false
			}
			select {
			case <-time.After(pause/2 + rand.N(pause/2+1)): // not all at once after a restart of the server
			case <-ctx.Done():
				yield(Update{}, context.Cause(ctx))
				return
			}
			pause = min(2*pause, c.maxBackoff)
		}
	}
}

// watcher is what stays from one try to the next.
type watcher struct {
	c         *Client
	selection Selection
	cursor    Cursor
	yield     func(Update, error) bool
	stopped   bool // the consumer has had enough
	progress  bool // this try got something
}

// attempt follows one stream to its end, which is always an error, unless the consumer has had enough.
func (w *watcher) attempt(asked context.Context) error {
	ctx, cancel := context.WithCancelCause(asked)
	defer cancel(nil)
	silent := time.AfterFunc(w.c.silence, func() { cancel(errSilent) })
	defer silent.Stop()
	req := &statehousev1.WatchRequest{Selection: w.selection.wire()}
	if w.cursor != (Cursor{}) {
		req.Cursor = &statehousev1.Cursor{Database: w.cursor.Database, Position: uint64(w.cursor.Position)}
	}
	s, err := w.c.states.Watch(ctx, req)
	if err != nil {
		return errorOf(ctx, err)
	}
	defer func() { _ = s.Close() }()
	defer cancel(nil) // before Close, which would wait for the server otherwise
	next := Update{Whole: req.Cursor == nil}
	for s.Receive() {
		silent.Stop() // the consumer may take as long as it likes
		w.progress = true
		if w.take(s.Msg(), &next); w.stopped {
			return nil
		}
		silent.Reset(w.c.silence)
	}
	if err := s.Err(); err != nil {
		return errorOf(ctx, err)
	}
	return eventstore.ErrClosed
}

// take adds a message to the next update, and yields that where it is whole.
func (w *watcher) take(m *statehousev1.WatchResponse, next *Update) {
	at := func(c *statehousev1.Cursor) {
		w.cursor = Cursor{c.GetDatabase(), eventstore.Position(c.GetPosition())}
		if next.Whole || len(next.Entities) > 0 || len(next.Removed) > 0 {
			next.Cursor = w.cursor
			w.stopped = !w.yield(*next, nil)
		}
		*next = Update{}
	}
	switch m := m.GetMessage().(type) {
	case *statehousev1.WatchResponse_States:
		next.Entities = append(next.Entities, convert(m.States.GetStates(), parseEntity)...)
	case *statehousev1.WatchResponse_Reset_:
		*next = Update{Whole: true}
	case *statehousev1.WatchResponse_Changes:
		next.Entities = append(next.Entities, convert(m.Changes.GetStates(), parseEntity)...)
		next.Removed = append(next.Removed, m.Changes.GetRemoved()...)
		if m.Changes.GetCursor() != nil {
			at(m.Changes.GetCursor())
		}
	case *statehousev1.WatchResponse_Ready:
		at(m.Ready.GetCursor())
	case *statehousev1.WatchResponse_Heartbeat:
		at(m.Heartbeat.GetCursor())
	}
}
