package server

import (
	"net/http"
	"net/http/pprof"
	"time"

	"github.com/statehouse/statehouse/internal/access"
)

// longestProfile is how long a profile may take.
const longestProfile = 5 * time.Minute

// profileRoutes are those of net/http/pprof, for the unix socket alone.
func profileRoutes() []route {
	profile := func(pattern string, f http.HandlerFunc) route {
		return route{method: http.MethodGet, pattern: pattern, stream: true, scope: access.Admin, serve: func(w http.ResponseWriter, r *http.Request) error {
			_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(longestProfile))
			w.Header().Del("Content-Security-Policy") // its page has a style of its own
			f(w, r)
			return nil
		}}
	}
	return []route{
		profile("/debug/pprof/", pprof.Index),
		profile("/debug/pprof/cmdline", pprof.Cmdline),
		profile("/debug/pprof/profile", pprof.Profile),
		profile("/debug/pprof/symbol", pprof.Symbol),
		profile("/debug/pprof/trace", pprof.Trace),
	}
}
