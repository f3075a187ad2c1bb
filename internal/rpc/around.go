package rpc

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"runtime/debug"

	"connectrpc.com/connect"

	"github.com/statehouse/statehouse/internal/access"
)

// around is what every call goes through: panics and errors become answers, and a stream ends with whoever asked for it.
type around struct{ s *Service }

// WrapUnary implements [connect.Interceptor].
func (a around) WrapUnary(next connect.UnaryFunc) connect.UnaryFunc {
	return func(ctx context.Context, req connect.AnyRequest) (res connect.AnyResponse, err error) {
		defer func() { err = a.s.answer(req.Spec(), recover(), err) }()
		// The request may have come long after its head.
		if err := access.From(ctx).Ended(); err != nil {
			return nil, err
		}
		return next(ctx, req)
	}
}

// WrapStreamingHandler implements [connect.Interceptor].
func (a around) WrapStreamingHandler(next connect.StreamingHandlerFunc) connect.StreamingHandlerFunc {
	return func(ctx context.Context, conn connect.StreamingHandlerConn) (err error) {
		defer func() { err = a.s.answer(conn.Spec(), recover(), err) }()
		if policy[conn.Spec().Procedure].stream {
			opened, end, err := a.s.opts.OpenStream(ctx)
			if err != nil {
				return err
			}
			defer end()
			ctx = opened
		}
		ctx, unbind := access.From(ctx).Bind(ctx)
		defer unbind()
		defer wireOf(ctx).hurryWith(ctx)()
		if err = next(ctx, conn); err != nil && ctx.Err() != nil {
			return context.Cause(ctx)
		}
		return err
	}
}

// WrapStreamingClient implements [connect.Interceptor].
func (around) WrapStreamingClient(next connect.StreamingClientFunc) connect.StreamingClientFunc {
	return next
}

// answer is the answer to what a procedure came to, and logs what somebody should look at.
func (s *Service) answer(spec connect.Spec, panicked any, err error) error {
	if panicked != nil {
		if p, ok := panicked.(error); ok && errors.Is(p, http.ErrAbortHandler) {
			panic(panicked)
		}
		s.opts.Logger.Error("a procedure panicked", "procedure", spec.Procedure, "panic", fmt.Sprint(panicked), "stack", string(debug.Stack()))
		return answerOf(fmt.Errorf("panic: %v", panicked))
	}
	var answered *connect.Error
	if err == nil || errors.As(err, &answered) { // it is an answer already, or that of a client that does not take one
		return err
	}
	if f, known := failureOf(err); !known || f.status == connect.CodeDataLoss || f.status == connect.CodeUnknown {
		s.opts.Logger.Warn("a procedure failed", "procedure", spec.Procedure, "error", access.Redact(err.Error()))
	}
	return answerOf(err)
}
