package rpc

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"connectrpc.com/connect"

	"github.com/statehouse/statehouse"
	"github.com/statehouse/statehouse/eventstore"
	statehousev1 "github.com/statehouse/statehouse/gen/statehouse/v1"
	"github.com/statehouse/statehouse/timeline"
)

// Watch implements StateService.
func (s stateService) Watch(ctx context.Context, req *statehousev1.WatchRequest, stream *connect.ServerStream[statehousev1.WatchResponse]) error {
	h, err := s.house()
	if err != nil {
		return err
	}
	sel, err := parseSelection(ctx, req.GetSelection())
	if err != nil {
		return err
	}
	w := &watch{house: h, selection: sel, stream: stream}
	if !sel.where.All() {
		w.has = map[string]bool{}
	}
	return w.run(ctx, req.GetCursor(), s.opts.Heartbeat)
}

// watch is one stream of changes. It has the moment that its client has, and nothing else is kept for it.
type watch struct {
	house     *statehouse.House
	selection selection
	stream    *connect.ServerStream[statehousev1.WatchResponse]
	moment    timeline.Moment
	// has are the entities that the client may have, where a filter has chosen them: what it says of them may depend on when
	// it is asked. nil where there is no filter.
	has map[string]bool
}

func (w *watch) run(ctx context.Context, cursor *statehousev1.Cursor, heartbeat time.Duration) error {
	ctx, cancel := context.WithCancelCause(ctx)
	recorded := make(chan struct{}, 1)
	sub := w.house.Store().Subscription(eventstore.Query{After: eventstore.FromNow}) // before the present is looked at
	var waking sync.WaitGroup
	waking.Go(func() { cancel(wake(ctx, sub, recorded)) })
	defer waking.Wait()
	defer cancel(nil)
	if err := w.begin(ctx, cursor); err != nil {
		return err
	}
	idle := time.NewTicker(heartbeat)
	defer idle.Stop()
	for {
		m := w.house.Now()
		sent, err := w.change(ctx, m)
		if err != nil {
			return err
		}
		if sent {
			idle.Reset(heartbeat)
		}
		select {
		case <-recorded:
		case <-idle.C:
			beat := &statehousev1.Heartbeat{Cursor: w.cursor()}
			if err := w.send(&statehousev1.WatchResponse{Message: &statehousev1.WatchResponse_Heartbeat{Heartbeat: beat}}); err != nil {
				return err
			}
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// wake says that something was recorded, whatever it is, until the context ends. It takes the events at its own pace, so
// that a client that is slow gets the net change of them.
func wake(ctx context.Context, sub *eventstore.Subscription, recorded chan<- struct{}) error {
	for _, err := range sub.Events(ctx) {
		if err != nil {
			return err
		}
		select {
		case recorded <- struct{}{}:
		default:
		}
	}
	return nil
}

// begin brings the client to a moment.
func (w *watch) begin(ctx context.Context, cursor *statehousev1.Cursor) error {
	if cursor != nil {
		m, reason, err := resumable(ctx, w.house, cursor)
		if err != nil {
			return err
		}
		if reason == "" {
			w.moment = m
			if w.has != nil {
				for _, id := range w.selection.ids(m) {
					w.has[id] = true
				}
			}
			return w.ready()
		}
		reset := &statehousev1.Reset{Reason: reason}
		if err := w.send(&statehousev1.WatchResponse{Message: &statehousev1.WatchResponse_Reset_{Reset_: reset}}); err != nil {
			return err
		}
	}
	m, now := w.house.Now(), time.Now()
	out := chunks[*statehousev1.State]{send: func(states []*statehousev1.State) error {
		all := &statehousev1.States{States: states}
		return w.send(&statehousev1.WatchResponse{Message: &statehousev1.WatchResponse_States{States: all}})
	}}
	for _, id := range w.selection.ids(m) {
		st, err := w.selection.get(ctx, m, id, now)
		if err != nil {
			return err
		}
		if st == nil {
			continue
		}
		if w.has != nil {
			w.has[id] = true
		}
		if err := errors.Join(out.add(st), context.Cause(ctx)); err != nil {
			return err
		}
	}
	if err := out.rest(); err != nil {
		return err
	}
	w.moment = m
	return w.ready()
}

func (w *watch) ready() error {
	ready := &statehousev1.Ready{Cursor: w.cursor()}
	return w.send(&statehousev1.WatchResponse{Message: &statehousev1.WatchResponse_Ready{Ready: ready}})
}

// resumable is the moment that a client has who comes back with a cursor; reason says why it cannot go on from there, empty if
// it can.
func resumable(ctx context.Context, h *statehouse.House, c *statehousev1.Cursor) (m timeline.Moment, reason string, err error) {
	at, head := eventstore.Position(c.GetPosition()), h.Now().Position()
	base, _ := h.Base()
	switch {
	case c.GetDatabase() != h.Store().UUID():
		return m, "the cursor is of another database", nil
	case at > head:
		return m, fmt.Sprintf("the cursor is at position %d, and the log ends at %d", at, head), nil
	case at < base:
		return m, fmt.Sprintf("the cursor is at position %d, and history has been removed up to %d", at, base), nil
	}
	m, err = h.AsOf(ctx, at)
	if err == nil || ctx.Err() != nil || errors.Is(err, eventstore.ErrClosed) {
		return m, "", err
	}
	return m, fmt.Sprintf("the cursor is at position %d, and the log up to it cannot be read: %v", at, err), nil
}

// change sends what is different in a later moment, and says whether anything was.
func (w *watch) change(ctx context.Context, m timeline.Moment) (sent bool, err error) {
	if m.Position() == w.moment.Position() {
		return false, nil
	}
	now := time.Now()
	var removed []string
	parts := chunks[*statehousev1.State]{send: func(states []*statehousev1.State) error {
		sent = true
		return w.sendChanges(&statehousev1.Changes{States: states})
	}}
	for _, id := range touched(w.moment, m) {
		st, err := w.selection.get(ctx, m, id, now)
		if err != nil {
			return sent, err
		}
		if st == nil {
			if w.had(id) {
				removed = append(removed, id)
			}
			continue
		}
		if w.has != nil {
			w.has[id] = true
		}
		if err := errors.Join(parts.add(st), context.Cause(ctx)); err != nil {
			return sent, err
		}
	}
	w.moment = m
	if !sent && len(parts.items) == 0 && len(removed) == 0 {
		return false, nil
	}
	return true, w.sendChanges(&statehousev1.Changes{Cursor: w.cursor(), States: parts.items, Removed: removed})
}

// had says whether the client may have an entity that it may not have any more.
func (w *watch) had(id string) bool {
	if w.has != nil {
		had := w.has[id]
		delete(w.has, id)
		return had
	}
	_, had := w.moment.State.Get(id)
	return had && w.selection.names(id)
}

func (w *watch) cursor() *statehousev1.Cursor {
	return &statehousev1.Cursor{Database: w.house.Store().UUID(), Position: uint64(w.moment.Position())}
}

func (w *watch) sendChanges(c *statehousev1.Changes) error {
	return w.send(&statehousev1.WatchResponse{Message: &statehousev1.WatchResponse_Changes{Changes: c}})
}

func (w *watch) send(m *statehousev1.WatchResponse) error { return w.stream.Send(m) }
