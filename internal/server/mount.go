package server

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"connectrpc.com/connect"

	"github.com/statehouse/statehouse/internal/access"
	"github.com/statehouse/statehouse/internal/hass"
	"github.com/statehouse/statehouse/internal/rpc"
)

// mount adds the interfaces that have routes of their own, and ask by themselves who may use each.
func (s *Server) mount(mux *http.ServeMux) {
	service := rpc.New(rpc.Options{
		House: s.house.Load, Dispatcher: s.opts.Dispatcher, Verifier: s.opts.Verifier, Version: s.opts.Version, Logger: s.opts.Logger,
		WriteTimeout: s.opts.WriteTimeout, Heartbeat: s.opts.Heartbeat,
		OpenStream: func(ctx context.Context) (context.Context, func(), error) {
			ctx, end, err := s.enterStream(ctx, rpc.ErrClosing)
			switch {
			case errors.Is(err, errClosing):
				err = rpc.ErrClosing
			case err != nil:
				err = rpc.ErrTooManyStreams
			}
			return ctx, end, err
		},
	})
	for prefix, h := range service.Handlers() {
		mux.Handle(prefix, s.identified(prefix, h))
	}
	house := hass.New(hass.Options{
		Closing:    s.closing,
		Dispatcher: func() hass.Dispatcher { return s.opts.Dispatcher() },
		House:      s.house.Load, Auth: countedAuth{s}, Version: s.opts.Version, Logger: s.opts.Logger, WriteTimeout: s.opts.WriteTimeout,
		OpenStream: func(ctx context.Context) (context.Context, func(), error) { return s.enterStream(ctx, errClosing) },
	})
	for _, pattern := range []string{"/api/", "/at/{moment}/api/"} {
		mux.Handle(pattern, s.identified(pattern, house))
	}
}

// isRPC reports whether a path is that of a procedure, which limits its requests by itself.
func isRPC(path string) bool {
	return strings.HasPrefix(path, "/statehouse.v1.") || strings.HasPrefix(path, "/grpc.")
}

// countedAuth counts wrong tokens that come otherwise than with a request.
type countedAuth struct{ s *Server }

func (c countedAuth) Authenticate(remoteAddr, token string) (*access.Identity, error) {
	who, err := c.s.authenticate(remoteAddr, token)
	if err != nil && !errors.Is(err, errNotReady) {
		c.s.metrics.refusedLogins.Inc()
	}
	return who, err
}

// identified is a handler that knows who asks, which may be nobody; a token that is none is answered before it.
func (s *Server) identified(pattern string, h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		began := time.Now()
		a := s.answer(w)
		defer func() {
			// How long it takes is up to who asks, in many of these.
			s.metrics.served(pattern, a.status, time.Since(began), true)
			s.opts.Logger.Debug("request", "method", r.Method, "route", pattern, "path", access.Redact(r.URL.Path),
				"from", access.From(r.Context()).Name(), "status", a.status, "took", time.Since(began))
		}()
		defer func() {
			if p := recover(); p != nil {
				s.panicked(a, r, p)
			}
		}()
		who, err := s.identify(r)
		if err != nil && strings.HasPrefix(pattern, "/grpc.health.") {
			who, err = &access.Identity{}, nil // it is everybody's
		}
		if err != nil {
			s.refuse(a, r, err)
			return
		}
		r, end := bound(a, r.WithContext(access.With(r.Context(), who)), who)
		defer end()
		h.ServeHTTP(a, r)
	})
}

// refuse answers who has a token that is none, in the form of the protocol that he speaks.
func (s *Server) refuse(a *answer, r *http.Request, err error) {
	w := connect.NewErrorWriter()
	if !isRPC(r.URL.Path) || !w.IsSupported(r) {
		s.fail(a, r, err)
		return
	}
	f, status := failureOf(err), connect.CodeUnauthenticated
	switch f.status {
	case http.StatusTooManyRequests:
		status = connect.CodeResourceExhausted
	case http.StatusServiceUnavailable:
		status = connect.CodeUnavailable
	}
	_ = w.Write(a, r, rpc.NewError(status, f.code, f.message)) // the client may be gone
}

// enterStream counts a stream that somebody else sends. Its context ends with why when the server closes.
func (s *Server) enterStream(ctx context.Context, why error) (context.Context, func(), error) {
	if err := s.takeStream(); err != nil {
		return nil, nil, err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	stop := context.AfterFunc(s.closing, func() { cancel(why) })
	return ctx, func() {
		stop()
		cancel(context.Canceled)
		<-s.streams
	}, nil
}

// takeStream takes one of the streams that there may be, which is given back by reading from s.streams.
func (s *Server) takeStream() error {
	if s.closing.Err() != nil {
		return errClosing
	}
	select {
	case s.streams <- struct{}{}:
		return nil
	default:
		return errTooManyStreams
	}
}
