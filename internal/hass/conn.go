package hass

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"

	"github.com/statehouse/statehouse/eventstore"
	"github.com/statehouse/statehouse/internal/access"
	"github.com/statehouse/statehouse/internal/api"
)

const (
	// maxMessageBytes is the longest message that a client may send.
	maxMessageBytes = 64 << 10
	// maxSubscriptions is the most that one connection may have at once.
	maxSubscriptions = 128
	// authTimeout is how long a client may take to say who it is.
	authTimeout = 10 * time.Second
	// lastWords is how long a client may take for the end of the connection when the server ends it.
	lastWords = 500 * time.Millisecond
)

// conn is a WebSocket of one client.
type conn struct {
	h    *Handler
	ws   *websocket.Conn
	out  *writer
	who  *access.Identity // nobody until it is authenticated
	view *view
	// ctx ends when nothing may be read or written any more.
	ctx    context.Context
	cancel context.CancelCauseFunc
	// work counts the beginnings and the ends of what the client asks for: it is odd while nobody reads what the client sends.
	work atomic.Uint64
	// ending is done once, and tasks are what the connection waits for when it ends.
	ending sync.Once
	tasks  sync.WaitGroup

	// What follows is the reading goroutine's own.
	lastID        uint64
	subscriptions map[uint64]*subscription
}

// subscription is one that a client has.
type subscription struct {
	cancel context.CancelFunc
	done   chan struct{} // closed when it sends nothing any more
}

// serveWebSocket answers GET /api/websocket.
func (h *Handler) serveWebSocket(w http.ResponseWriter, r *http.Request, at api.At) error {
	if !strings.EqualFold(r.Header.Get("Upgrade"), "websocket") {
		return invalid("this is for WebSockets: the request has no Upgrade header of that name")
	}
	o, err := h.origins()
	if err != nil {
		return err
	}
	if err := checkOrigin(r); err != nil {
		return err
	}
	if h.opts.Closing.Err() != nil {
		return &failure{http.StatusServiceUnavailable, codeError, "the server is closing"}
	}
	// The origin has been checked, more strictly than Accept would.
	ws, err := websocket.Accept(w, r, &websocket.AcceptOptions{InsecureSkipVerify: true})
	if err != nil {
		return errAnswered
	}
	ws.SetReadLimit(maxMessageBytes)
	c := &conn{h: h, ws: ws, who: &access.Identity{}, subscriptions: map[uint64]*subscription{}}
	c.ctx, c.cancel = context.WithCancelCause(context.WithoutCancel(r.Context()))
	c.out = newWriter(c.ctx, ws, h.opts.WriteTimeout)
	stop := context.AfterFunc(h.opts.Closing, func() { c.end(websocket.StatusGoingAway, "the server is closing") })
	err = c.serve(r, o, at)
	h.opts.Logger.Debug("a WebSocket ended", "user", c.who.Name(), "error", err)
	stop()
	for _, s := range c.subscriptions {
		s.cancel()
	}
	c.end(websocket.StatusNormalClosure, "")
	c.tasks.Wait()
	return errAnswered
}

// end ends the connection, with a last word if the client takes it soon. It does not wait.
func (c *conn) end(code websocket.StatusCode, reason string) {
	c.ending.Do(func() {
		c.tasks.Go(func() {
			cut := time.AfterFunc(lastWords, func() { c.cancel(errors.New(reason)) })
			defer cut.Stop()
			_ = c.ws.Close(code, reason)
			c.cancel(nil)
		})
	})
}

// serve authenticates the client and does what it asks, until the connection ends.
func (c *conn) serve(r *http.Request, o *origins, at api.At) error {
	leave := c.h.doorstep.enter(c)
	ok, err := c.authenticate(r, o, at)
	leave()
	if err != nil || !ok {
		return err
	}
	// Only now: who says nothing takes none of the streams that there may be.
	stream, done, err := c.h.opts.OpenStream(c.ctx)
	if err != nil {
		c.end(websocket.StatusTryAgainLater, "too many streams are open")
		return err
	}
	defer done()
	stop := context.AfterFunc(stream, func() { c.end(websocket.StatusGoingAway, "the server is closing") })
	defer stop()
	c.tasks.Go(func() {
		select {
		case <-c.who.Done():
			c.end(websocket.StatusPolicyViolation, access.ErrEnded.Error())
		case <-c.ctx.Done():
		}
	})
	c.tasks.Go(c.beat)
	for {
		kind, raw, err := c.ws.Read(c.ctx)
		if err != nil {
			return err
		}
		if kind != websocket.MessageText {
			c.end(websocket.StatusUnsupportedData, "messages are text")
			return errors.New("a message was not text")
		}
		c.work.Add(1)
		err = c.handle(raw)
		c.work.Add(1)
		if err != nil {
			return err
		}
	}
}

// beat asks the client from time to time whether it is there.
func (c *conn) beat() {
	t := time.NewTicker(c.h.opts.Heartbeat)
	defer t.Stop()
	for {
		select {
		case <-c.ctx.Done():
			return
		case <-t.C:
		}
		work := c.work.Load()
		ctx, cancel := context.WithTimeout(c.ctx, c.h.opts.Heartbeat)
		err := c.ws.Ping(ctx)
		cancel()
		if err != nil && work%2 == 0 && work == c.work.Load() { // else the answer may be there, and nobody has read it
			c.end(websocket.StatusPolicyViolation, "no answer to a ping")
			return
		}
	}
}

// authMessage is what the server says of who the client is.
type authMessage struct {
	Type    string `json:"type"`
	Version string `json:"ha_version,omitempty"`
	Message string `json:"message,omitempty"`
}

// authenticate asks the client who it is, and for nothing else. It is ok if the client is somebody.
func (c *conn) authenticate(r *http.Request, o *origins, at api.At) (ok bool, err error) {
	if err := c.out.send(c.ctx, encode(authMessage{Type: "auth_required", Version: Compatible})); err != nil {
		return false, err
	}
	ctx, cancel := context.WithTimeout(c.ctx, authTimeout)
	defer cancel()
	kind, raw, err := c.ws.Read(ctx)
	if err != nil {
		return false, err
	}
	var auth struct {
		Type  string `json:"type"`
		Token string `json:"access_token"`
	}
	if kind != websocket.MessageText || json.Unmarshal(raw, &auth) != nil || auth.Type != "auth" || auth.Token == "" {
		return false, c.refuse("Auth message incorrectly formatted: the first message is {\"type\":\"auth\",\"access_token\":…}")
	}
	who, err := c.h.opts.Auth.Authenticate(r.RemoteAddr, auth.Token)
	var many *access.TooManyError
	switch {
	case errors.As(err, &many):
		return false, c.refuse(many.Error())
	case err != nil || !who.Anybody():
		return false, c.refuse("Invalid access token or password")
	}
	// Only now: to work out a moment may cost something.
	if c.view, err = newView(c.ctx, o, at); err != nil {
		return false, c.refuse(failureOf(err).message)
	}
	c.who, c.view.gate = who, make(chan struct{}, 1)
	return true, c.out.send(c.ctx, encode(authMessage{Type: "auth_ok", Version: Compatible}))
}

// refuse tells the client that it is let in no further.
func (c *conn) refuse(message string) error {
	err := c.out.send(c.ctx, encode(authMessage{Type: "auth_invalid", Message: access.Redact(message)}))
	c.end(websocket.StatusPolicyViolation, "not authenticated")
	return err
}

// message is one that a client sent.
type message struct {
	id  uint64
	raw json.RawMessage
}

// decode reads what a message says besides id and type.
func (m message) decode(into any) error {
	if err := json.Unmarshal(m.raw, into); err != nil {
		return invalid("Message incorrectly formatted: %s", err)
	}
	return nil
}

// result is the answer to a command.
type result struct {
	ID      uint64 `json:"id"`
	Type    string `json:"type"`
	Success bool   `json:"success"`
	Result  any    `json:"result"`
}

type resultError struct {
	Code    string `json:"code"`
	Message string `json:"message"`
}

// handle does what one frame asks, which may be several commands.
func (c *conn) handle(raw []byte) error {
	commands := []json.RawMessage{raw}
	if raw = bytes.TrimSpace(raw); len(raw) > 0 && raw[0] == '[' {
		commands = nil
		if err := json.Unmarshal(raw, &commands); err != nil {
			return c.garbage()
		}
	} else if !json.Valid(raw) {
		return c.garbage()
	}
	for _, command := range commands {
		if err := c.command(command); err != nil {
			return err
		}
	}
	return nil
}

// garbage ends a connection whose client speaks no JSON, as Home Assistant does.
func (c *conn) garbage() error {
	c.end(websocket.StatusInvalidFramePayloadData, "a message is not JSON")
	return errors.New("a message was not JSON")
}

// command does one command and answers it. An error ends the connection.
func (c *conn) command(raw json.RawMessage) error {
	var head struct {
		ID   uint64 `json:"id"`
		Type string `json:"type"`
	}
	err := json.Unmarshal(raw, &head)
	switch {
	case err != nil || head.ID == 0 || head.Type == "":
		return c.fail(head.ID, invalid("Message incorrectly formatted: it has a positive id and a type"))
	case head.ID <= c.lastID:
		return c.fail(head.ID, &failure{code: codeIDReuse, message: "Identifier values have to increase."})
	}
	c.lastID = head.ID
	command, ok := commands[head.Type]
	if !ok {
		return c.fail(head.ID, &failure{code: codeUnknown, message: "Unknown command."})
	}
	if err := command.check(c.who); err != nil {
		return c.fail(head.ID, err)
	}
	if command.subscribes && len(c.subscriptions) >= maxSubscriptions {
		return c.fail(head.ID, &failure{code: codeError, message: "a connection has at most 128 subscriptions; unsubscribe from some"})
	}
	answer, err := command.run(c, message{head.ID, raw})
	if err != nil {
		if c.ctx.Err() != nil {
			return context.Cause(c.ctx)
		}
		return c.fail(head.ID, err)
	}
	if answer.pong {
		return c.out.send(c.ctx, encode(map[string]any{"id": head.ID, "type": "pong"}))
	}
	if err := c.out.send(c.ctx, encode(result{ID: head.ID, Type: "result", Success: true, Result: answer.result})); err != nil {
		return err
	}
	if command.subscribes {
		c.subscribe(head.ID, answer.stream)
	}
	return nil
}

// fail answers a command that failed.
func (c *conn) fail(id uint64, err error) error {
	f := failureOf(err)
	if f.code == codeInternal {
		c.h.opts.Logger.Warn("a WebSocket's command failed", "user", c.who.Name(), "error", access.Redact(err.Error()))
	}
	return c.out.send(c.ctx, encode(struct {
		ID      uint64      `json:"id"`
		Type    string      `json:"type"`
		Success bool        `json:"success"`
		Error   resultError `json:"error"`
	}{id, "result", false, resultError{f.code, access.Redact(f.message)}}))
}

// subscribe starts what a subscription sends. A nil stream sends nothing.
func (c *conn) subscribe(id uint64, stream stream) {
	ctx, cancel := context.WithCancel(c.ctx)
	s := &subscription{cancel: cancel, done: make(chan struct{})}
	c.subscriptions[id] = s
	if stream == nil {
		close(s.done)
		return
	}
	c.tasks.Go(func() {
		defer close(s.done)
		err := stream(ctx, func(events ...any) error {
			messages := make([][]byte, len(events))
			for i, e := range events {
				messages[i] = encode(map[string]any{"id": id, "type": "event", "event": e})
			}
			return c.out.send(ctx, messages...)
		})
		if err == nil || ctx.Err() != nil {
			return
		}
		c.h.opts.Logger.Debug("a WebSocket's subscription ended", "user", c.who.Name(), "error", err)
		switch {
		case errors.Is(err, errLagging):
			c.end(websocket.StatusTryAgainLater, "events have been removed that were not taken yet")
		case errors.Is(err, eventstore.ErrClosed):
			c.end(websocket.StatusGoingAway, "the server is closing")
		default:
			c.end(websocket.StatusInternalError, "a subscription failed")
		}
	})
}

// unsubscribe ends a subscription. When it returns nothing comes from it any more.
func (c *conn) unsubscribe(id uint64) error {
	s, ok := c.subscriptions[id]
	if !ok {
		return notFound("Subscription not found.")
	}
	s.cancel()
	delete(c.subscriptions, id)
	select {
	case <-s.done:
		return nil
	case <-c.ctx.Done():
		return context.Cause(c.ctx)
	}
}
