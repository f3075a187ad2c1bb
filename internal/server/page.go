package server

import (
	"net/http"
	"strconv"
	"strings"

	"github.com/statehouse/statehouse/internal/access"
	"github.com/statehouse/statehouse/internal/web"
)

// pageRoutes are those of the page. It is everybody's, also before there is a house: what it shows it asks for with a token.
func pageRoutes() []route {
	get := func(pattern string) route {
		return route{method: http.MethodGet, pattern: pattern, serve: getPage, public: true}
	}
	return []route{get("/{$}"), get("/assets/{file}"), get("/favicon.svg")}
}

// getPage answers GET / and what the page consists of.
func getPage(w http.ResponseWriter, r *http.Request) error {
	f := web.Lookup(r.URL.Path)
	if f == nil {
		return notFound("there is no %.200q; the page is at /", access.Redact(r.URL.Path))
	}
	h := w.Header()
	h.Set("Content-Security-Policy", web.Policy)
	h.Set("Cache-Control", "no-cache")
	if f.Immutable {
		h.Set("Cache-Control", "public, max-age=31536000, immutable")
	}
	h.Set("Vary", h.Get("Vary")+", Accept-Encoding")
	body, tag, encoding := f.Body(), f.Tag, ""
	if acceptsGzip(r.Header) && f.Gzip() != nil {
		body, tag, encoding = f.Gzip(), tag+"-gzip", "gzip"
	}
	if tagged(w, r, tag, false) {
		return nil
	}
	if encoding != "" {
		h.Set("Content-Encoding", encoding)
	}
	h.Set("Content-Type", f.Type)
	h.Set("Content-Length", strconv.Itoa(len(body)))
	_, _ = w.Write(body) // the client may be gone
	return nil
}

// acceptsGzip reports whether a client says that it takes what is compressed with gzip.
func acceptsGzip(h http.Header) bool {
	accepted := false
	for choice := range strings.SplitSeq(strings.Join(h.Values("Accept-Encoding"), ","), ",") {
		name, params, _ := strings.Cut(choice, ";")
		name = strings.ToLower(strings.TrimSpace(name))
		if name != "gzip" && name != "*" {
			continue
		}
		ok := true
		if key, weight, found := strings.Cut(params, "="); found && strings.EqualFold(strings.TrimSpace(key), "q") {
			q, err := strconv.ParseFloat(strings.TrimSpace(weight), 64)
			ok = err == nil && q > 0
		}
		if name == "gzip" {
			return ok
		}
		accepted = ok // any that is not named
	}
	return accepted
}
