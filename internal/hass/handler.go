package hass

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/statehouse/statehouse/internal/access"
	"github.com/statehouse/statehouse/internal/api"
)

// Handler serves the interface. [New] makes one. It may be used by any number of goroutines.
type Handler struct {
	opts     Options
	mux      *http.ServeMux
	doorstep doorstep

	mu   sync.Mutex // guards the rest; nothing else is locked under it
	seen *origins   // of the house that was served last
}

// New makes what serves /api/ and /at/{moment}/api/. Whoever mounts it has checked the Host header and limited the
// request's head, and has put the identity of a bearer token into the request's context; a WebSocket needs none.
func New(opts Options) *Handler {
	opts.setDefaults()
	h := &Handler{opts: opts, mux: http.NewServeMux()}
	byPattern := map[string][]route{}
	for _, r := range routes {
		byPattern[r.pattern] = append(byPattern[r.pattern], r)
	}
	for pattern, methods := range byPattern {
		h.mux.Handle("/api"+pattern, h.endpoint(methods))
		h.mux.Handle("/at/{moment}/api"+pattern, h.endpoint(methods))
	}
	unknown := h.endpoint(nil)
	for _, pattern := range []string{"/", "/api/", "/at/{moment}/api/"} {
		h.mux.Handle(pattern, unknown)
	}
	for _, pattern := range []string{"/api/websocket", "/at/{moment}/api/websocket"} {
		h.mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			at, err := api.ParseAt(r.PathValue("moment"))
			if err == nil {
				err = h.serveWebSocket(w, r, at)
			}
			h.fail(w, r, err)
		})
	}
	return h
}

// ServeHTTP implements http.Handler.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) { h.mux.ServeHTTP(w, r) }

// route is what answers one method of one pattern, which is that behind /api.
type route struct {
	policy
	method, pattern string // GET stands for HEAD too
	serve           func(q *request) error
}

// request is one that may be answered.
type request struct {
	*http.Request
	w    http.ResponseWriter
	h    *Handler
	who  *access.Identity
	view *view
}

// errAnswered says that there is nothing to answer any more.
var errAnswered = errors.New("answered")

// endpoint answers the methods of one pattern; with none of them it is one that is not there.
func (h *Handler) endpoint(methods []route) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.fail(w, r, h.answer(methods, w, r))
	})
}

func (h *Handler) answer(methods []route, w http.ResponseWriter, r *http.Request) error {
	who := access.From(r.Context())
	if err := anybody.check(who); err != nil {
		w.Header().Set("WWW-Authenticate", "Bearer")
		return err
	}
	i := slices.IndexFunc(methods, func(m route) bool {
		return m.method == r.Method || m.method == http.MethodGet && r.Method == http.MethodHead
	})
	switch {
	case len(methods) == 0:
		return notFound("Not Found: docs/home-assistant.md lists what there is of Home Assistant's interface")
	case i < 0:
		var allowed []string
		for _, m := range methods {
			allowed = append(allowed, m.method)
		}
		w.Header().Set("Allow", strings.Join(allowed, ", "))
		return &failure{http.StatusMethodNotAllowed, codeNotSupported, "Method Not Allowed"}
	}
	if err := methods[i].check(who); err != nil {
		return err
	}
	o, err := h.origins()
	if err != nil {
		return err
	}
	at, err := api.ParseAt(r.PathValue("moment"))
	if err != nil {
		return err
	}
	v, err := newView(r.Context(), o, at)
	if err != nil {
		return err
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxMessageBytes)
	return methods[i].serve(&request{r, w, h, who, v})
}

// origins are those of the house that is served, or an error until there is one.
func (h *Handler) origins() (*origins, error) {
	house := h.opts.House()
	if house == nil {
		return nil, &failure{http.StatusServiceUnavailable, codeError, "the log is being read; try again soon"}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.seen == nil || h.seen.house != house {
		h.seen = newOrigins(house)
	}
	return h.seen, nil
}

// fail answers an error, if there is one to be answered.
func (h *Handler) fail(w http.ResponseWriter, r *http.Request, err error) {
	if err == nil || errors.Is(err, errAnswered) {
		return
	}
	if r.Context().Err() != nil {
		if !errors.Is(context.Cause(r.Context()), access.ErrEnded) {
			return // the client has gone
		}
		err = &failure{http.StatusUnauthorized, codeUnauthorized, access.ErrEnded.Error()}
	}
	f := failureOf(err)
	if f.code == codeInternal {
		h.opts.Logger.Warn("a request failed", "method", r.Method, "path", access.Redact(r.URL.Path), "error", access.Redact(err.Error()))
	}
	if f.status == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", "1")
	}
	_ = writeJSON(w, f.status, map[string]string{"message": access.Redact(f.message)})
}

func writeJSON(w http.ResponseWriter, status int, v any) error {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	return e.Encode(v)
}

// checkOrigin fails for a WebSocket that the page of another site opens. A program sends no Origin; a browser's must be of
// the very host that the request is for, which whoever mounts the handler has found to be one of the server's.
func checkOrigin(r *http.Request) error {
	origins := r.Header.Values("Origin")
	if len(origins) == 0 {
		return nil
	}
	u, err := url.Parse(origins[0])
	if len(origins) == 1 && err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != "" &&
		strings.EqualFold(u.Host, r.Host) {
		return nil
	}
	return &failure{http.StatusForbidden, codeUnauthorized, "a page of another origin may not open a WebSocket here"}
}

// parseTime reads a time as clients of Home Assistant write it; without an offset it is in UTC. It is never the zero time, which
// stands for none: who writes that gets what is a nanosecond later, and as much before everything.
func parseTime(text string) (time.Time, bool) {
	for _, t := range [...]string{text, strings.Replace(text, " ", "+", 1)} { // a + that a URL made a space of
		for _, layout := range timeLayouts {
			if at, err := time.Parse(layout, t); err == nil {
				if at.IsZero() {
					at = at.Add(1)
				}
				return at, true
			}
		}
	}
	return time.Time{}, false
}

// timeLayouts are how times are written; seconds may have fractions.
var timeLayouts = func() []string {
	all := []string{time.DateOnly}
	for _, clock := range []string{"T15:04:05", "T15:04", " 15:04:05", " 15:04"} {
		for _, zone := range []string{"", "Z07:00", "Z0700"} {
			all = append(all, time.DateOnly+clock+zone)
		}
	}
	return all
}()
