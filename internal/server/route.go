package server

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/statehouse/statehouse"
	"github.com/statehouse/statehouse/internal/access"
	"github.com/statehouse/statehouse/internal/api"
)

// route is what answers one method of one pattern. An error that it returns is answered from the table of errors.go,
// unless the answer has begun.
type route struct {
	method  string // GET stands for HEAD too
	pattern string
	serve   func(w http.ResponseWriter, r *http.Request) error
	stream  bool // it may take as long as it likes

	// scope is what whoever asks has to be allowed. A route that names none is nobody's.
	scope access.Scope
	// public says that nobody is asked who he is.
	public bool
	// partial says that the route looks by itself which entities it is asked for by whom. All others are for those who may
	// do their scope with everything.
	partial bool
}

// houseHandler is a route's handler that needs the house.
type houseHandler func(h *statehouse.House, w http.ResponseWriter, r *http.Request) error

// routes are the routes of both doors.
func routes(s *Server) []route {
	return slices.Concat(pageRoutes(), readRoutes(s), editRoutes(s), commandRoutes(s), adminRoutes(s))
}

// readRoutes are those that change nothing.
func readRoutes(s *Server) []route {
	get := func(pattern string, f houseHandler) route {
		return route{method: http.MethodGet, pattern: pattern, serve: s.withHouse(f), scope: access.Read, partial: true}
	}
	return []route{
		get("/v1/info", s.getInfo),
		get("/v1/states", s.getStates),
		get("/v1/states/{entity_id}", s.getState),
		get("/v1/registry", s.getRegistry),
		get("/v1/position", s.getPosition),
		get("/v1/diff", s.getDiff),
		get("/v1/why", s.getWhy),
		get("/v1/why/{entity_id}", s.getWhyEntity),
		get("/v1/history/{entity_id}", s.getHistory),
		{method: http.MethodGet, pattern: "/v1/snapshots", serve: s.withHouse(s.getSnapshots), scope: access.Read},
		{method: http.MethodGet, pattern: "/v1/snapshots/{owner}/{position}", serve: s.withHouse(s.getSnapshot), scope: access.Read},
		{method: http.MethodGet, pattern: "/v1/events", serve: s.withHouse(s.getEvents), stream: true, scope: access.Read, partial: true},
		{method: http.MethodGet, pattern: "/v1/changes", serve: s.withHouse(s.getChanges), stream: true, scope: access.Read, partial: true},
		{method: http.MethodGet, pattern: "/healthz", serve: s.getHealthz, public: true},
		{method: http.MethodGet, pattern: "/readyz", serve: s.getReadyz, public: true},
		{method: http.MethodGet, pattern: "/metrics", serve: s.getMetrics, scope: access.Read},
	}
}

// withHouse is a handler that answers 503 until there is a house.
func (s *Server) withHouse(f houseHandler) func(http.ResponseWriter, *http.Request) error {
	return func(w http.ResponseWriter, r *http.Request) error {
		h := s.house.Load()
		if h == nil {
			return errNotReady
		}
		if damage := h.Damage(); damage != nil {
			what := "the log is damaged"
			if access.From(r.Context()).Everywhere(access.Read) {
				what = strings.Join(strings.Fields(damage.Error()), " ")
			}
			w.Header().Set(api.DamageHeader, what)
		}
		return f(h, w, r)
	}
}

// The names of the doors, in logs and metrics.
const (
	doorTCP    = "tcp"
	doorSocket = "socket"
)

// handler is everything behind one door: the routes, and around them what every request goes through.
func (s *Server) handler(routes []route, door string) http.Handler {
	mux := http.NewServeMux()
	byPattern := make(map[string][]route)
	for _, r := range routes {
		byPattern[r.pattern] = append(byPattern[r.pattern], r)
	}
	for pattern, methods := range byPattern {
		mux.Handle(pattern, s.endpoint(pattern, methods))
	}
	s.mount(mux)
	mux.Handle("/", s.endpoint("unknown", anyMethod(unknown)))
	return s.guard(mux, door)
}

// anyMethod is a route for everything that is none: for whoever may do anything at all.
func anyMethod(serve func(http.ResponseWriter, *http.Request) error) []route {
	return []route{{serve: serve, scope: anyScope}}
}

func unknown(_ http.ResponseWriter, r *http.Request) error {
	return notFound("there is no %.200q; there are /v1/info, /v1/states, /v1/states/{entity_id}, /v1/registry, "+
		"/v1/position, /v1/diff, /v1/why, /v1/why/{entity_id}, /v1/history/{entity_id}, /v1/snapshots, "+
		"/v1/events, /v1/changes, /v1/entities/{entity_id}/commands, /healthz, /readyz and /metrics, Home Assistant's interface below /api/, gRPC, and the page at /", access.Redact(r.URL.Path))
}

// endpoint answers the methods of one pattern, and counts, times and logs what it answers.
func (s *Server) endpoint(pattern string, methods []route) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		began := time.Now()
		a := s.answer(w)
		matched := findRoute(methods, r.Method)
		// Deferred first, to be done last: panicked may go on panicking.
		defer func() {
			s.metrics.served(pattern, a.status, time.Since(began), matched != nil && matched.stream)
			s.opts.Logger.Debug("request", "method", r.Method, "route", pattern, "path", access.Redact(r.URL.Path),
				"from", access.From(r.Context()).Name(), "status", a.status, "took", time.Since(began))
		}()
		defer func() {
			if p := recover(); p != nil {
				s.panicked(a, r, p)
			}
		}()
		r, end, err := s.admit(a, r, matched)
		defer end()
		if err != nil {
			s.fail(a, r, err)
			return
		}
		if matched == nil {
			a.Header().Set("Allow", allowed(methods))
			s.fail(a, r, methodNotAllowed(r.Method, allowed(methods)))
			return
		}
		if err := matched.serve(a, r); err != nil {
			s.fail(a, r, err)
		}
	})
}

func findRoute(methods []route, method string) *route {
	for i, m := range methods {
		if m.method == method || m.method == "" || m.method == http.MethodGet && method == http.MethodHead {
			return &methods[i]
		}
	}
	return nil
}

// allowed is the Allow header of a pattern.
func allowed(methods []route) string {
	var names []string
	for _, m := range methods {
		names = append(names, m.method)
		if m.method == http.MethodGet {
			names = append(names, http.MethodHead)
		}
	}
	slices.Sort(names)
	return strings.Join(names, ", ")
}

func methodNotAllowed(method, allow string) error {
	return &failure{
		status: http.StatusMethodNotAllowed, code: api.CodeMethodNotAllowed,
		message: fmt.Sprintf("%.20q is not possible here; possible is %s", method, allow),
	}
}

// fail answers an error, if nothing was answered yet.
func (s *Server) fail(a *answer, r *http.Request, err error) {
	if gone(r) && errors.Is(err, context.Canceled) {
		// The client is gone.
		return
	}
	f := failureOf(err)
	if f.status >= http.StatusInternalServerError && f.code != api.CodeNotReady {
		s.opts.Logger.Warn("a request failed", "method", r.Method, "path", access.Redact(r.URL.Path), "error", access.Redact(err.Error()))
	}
	if a.status != 0 {
		// Half an answer must not look like a whole one: cut the connection.
		panic(http.ErrAbortHandler)
	}
	if f.challenge {
		a.Header().Set("WWW-Authenticate", `Bearer realm="statehouse"`)
	}
	if f.retryAfter != "" {
		a.Header().Set("Retry-After", f.retryAfter)
	}
	a.Header().Del("ETag")
	a.Header().Set("Cache-Control", "no-store")
	_ = writeJSON(a, f.status, f.body())
}
