package server

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/statehouse/statehouse/internal/access"
	"github.com/statehouse/statehouse/internal/api"
)

// guard is what every request goes through before its route: deadlines, headers, and on TCP the checks of host and
// method.
func (s *Server) guard(next http.Handler, door string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		rc := http.NewResponseController(w)
		now := time.Now()
		// Both deadlines replace what an earlier request of the connection left, and each write moves its own on. With HTTP/2 one
		// ends a request also where nothing is written: there it begins with the first write.
		if r.ProtoMajor < 2 {
			_ = rc.SetWriteDeadline(now.Add(s.opts.WriteTimeout))
		}
		if r.ContentLength != 0 {
			_ = rc.SetReadDeadline(now.Add(s.opts.ReadTimeout))
			if !isRPC(r.URL.Path) {
				r.Body = http.MaxBytesReader(w, r.Body, maxBodyBytes)
			}
		}
		setHeaders(w.Header())
		r = r.WithContext(context.WithValue(r.Context(), doorKey{}, door))
		if err := s.check(w, r, door); err != nil {
			a := s.answer(w)
			s.fail(a, r, err)
			s.metrics.served("refused", a.status, time.Since(now), false)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// setHeaders sets what every answer has. There is no CORS header on purpose: no page of another origin may read
// anything.
func setHeaders(h http.Header) {
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Permissions-Policy", "camera=(), geolocation=(), microphone=()")
	h.Set("Vary", "Authorization")
	h.Set("Cache-Control", "no-store")
}

// methods are those that routes may have; of all others http.ServeMux has ideas of its own.
var methods = []string{http.MethodDelete, http.MethodGet, http.MethodHead, http.MethodPatch, http.MethodPost, http.MethodPut}

// check says what is wrong with a request whatever it asks for.
func (s *Server) check(w http.ResponseWriter, r *http.Request, door string) error {
	reading := r.Method == http.MethodGet || r.Method == http.MethodHead
	if door == doorTCP {
		// A target in absolute form wins over the Host header, and is in r.Host, too.
		if !s.allowedHost(r, r.Host) || r.URL.Host != "" && !s.allowedHost(r, r.URL.Host) {
			return &failure{
				status: http.StatusMisdirectedRequest, code: api.CodeWrongHost,
				message: fmt.Sprintf("the request is for the host %.100q, which is not served here; "+
					"use localhost, or add the name to the allowed hosts of the configuration", r.Host),
			}
		}
	}
	if !slices.Contains(methods, r.Method) {
		w.Header().Set("Allow", strings.Join(methods, ", "))
		return methodNotAllowed(r.Method, strings.Join(methods, ", "))
	}
	if err := s.crossOrigin.Check(r); err != nil {
		return forbidden("the request comes from a page of another origin")
	}
	if reading && r.ContentLength != 0 {
		w.Header().Set("Connection", "close")
		return invalid("a %s request takes no body", r.Method)
	}
	return nil
}

// panicked answers a request whose handler panicked.
func (s *Server) panicked(a *answer, r *http.Request, p any) {
	if err, ok := p.(error); ok && errors.Is(err, http.ErrAbortHandler) {
		panic(p)
	}
	s.metrics.panics.Inc()
	s.opts.Logger.Error("a request's handler panicked", "method", r.Method, "path", access.Redact(r.URL.Path),
		"panic", fmt.Sprint(p), "stack", string(debug.Stack()))
	if a.status != 0 {
		panic(http.ErrAbortHandler)
	}
	_ = writeJSON(a, http.StatusInternalServerError, failureOf(fmt.Errorf("panic: %v", p)).body())
}
