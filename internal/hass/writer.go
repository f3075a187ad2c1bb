package hass

import (
	"bytes"
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"
)

// errSlow is why a connection ends whose client takes nothing.
var errSlow = errors.New("the client took nothing for too long")

// writer is the way to a client. It has no queue: who has something to send waits for his turn.
type writer struct {
	ws *websocket.Conn
	// ctx is the connection's: a write that is under way when it ends fails, and the connection with it.
	ctx     context.Context
	timeout time.Duration
	turn    chan struct{} // holds one while somebody writes
	// coalesce says that the client takes several messages in one.
	coalesce atomic.Bool
}

func newWriter(ctx context.Context, ws *websocket.Conn, timeout time.Duration) *writer {
	return &writer{ws: ws, ctx: ctx, timeout: timeout, turn: make(chan struct{}, 1)}
}

// send writes messages, one after another and nothing between them. The context bounds the wait for the turn alone: a
// message that has begun must be finished, or the connection is broken.
func (w *writer) send(ctx context.Context, messages ...[]byte) error {
	select {
	case w.turn <- struct{}{}:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	defer func() { <-w.turn }()
	if w.coalesce.Load() && len(messages) > 1 {
		messages = [][]byte{append(append([]byte{'['}, bytes.Join(messages, []byte{','})...), ']')}
	}
	for _, m := range messages {
		if err := w.write(m); err != nil {
			return err
		}
	}
	return nil
}

// chunk is how much a client has to take within the timeout.
const chunk = 16 << 10

func (w *writer) write(message []byte) error {
	ctx, cancel := context.WithCancelCause(w.ctx)
	defer cancel(nil)
	slow := time.AfterFunc(w.timeout, func() { cancel(errSlow) })
	defer slow.Stop()
	to, err := w.ws.Writer(ctx, websocket.MessageText)
	for err == nil && len(message) > 0 {
		n := min(chunk, len(message))
		_, err = to.Write(message[:n])
		message = message[n:]
		slow.Reset(w.timeout)
	}
	if err == nil {
		err = to.Close()
	}
	if err != nil && ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	return err
}
