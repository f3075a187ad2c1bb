package server

import (
	"bytes"
	"encoding/json"
	"net/http"
	"sync"
	"time"
)

// answer is a response that remembers its status, 0 as long as nothing was answered, and gives its client time for each part of
// it, however large all of it is. Whoever sets a deadline himself, as streams do and the end of a token does, has it kept.
type answer struct {
	http.ResponseWriter
	status  int
	timeout time.Duration

	mu  sync.Mutex // guards set and the setting of deadlines; nothing else is locked under it
	set bool       // somebody has set a deadline
}

// partBytes is how much of an answer a client has to take within the timeout.
const partBytes = 16 << 10

func (s *Server) answer(w http.ResponseWriter) *answer {
	return &answer{ResponseWriter: w, timeout: s.opts.WriteTimeout}
}

// Unwrap gives http.ResponseController the flushing and the read deadline of what is wrapped.
func (a *answer) Unwrap() http.ResponseWriter { return a.ResponseWriter }

// WriteHeader implements http.ResponseWriter.
func (a *answer) WriteHeader(status int) {
	if a.status == 0 {
		a.status = status
	}
	a.ResponseWriter.WriteHeader(status)
}

// Write implements http.ResponseWriter.
func (a *answer) Write(p []byte) (written int, err error) {
	if a.status == 0 {
		a.status = http.StatusOK
	}
	for {
		a.extend()
		n, err := a.ResponseWriter.Write(p[:min(partBytes, len(p))])
		if written, p = written+n, p[n:]; err != nil || len(p) == 0 {
			return written, err
		}
	}
}

func (a *answer) extend() {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.set {
		_ = http.NewResponseController(a.ResponseWriter).SetWriteDeadline(time.Now().Add(a.timeout))
	}
}

// SetWriteDeadline is for http.ResponseController.
func (a *answer) SetWriteDeadline(at time.Time) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.set = true
	return http.NewResponseController(a.ResponseWriter).SetWriteDeadline(at)
}

// appendJSON appends v and a newline. It writes <, > and & as they are: nothing here is put into a page.
func appendJSON(dst *bytes.Buffer, v any) error {
	e := json.NewEncoder(dst)
	e.SetEscapeHTML(false)
	return e.Encode(v)
}

// writeJSON answers with v.
func writeJSON(w http.ResponseWriter, status int, v any) error {
	var body bytes.Buffer
	if err := appendJSON(&body, v); err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	// The client may be gone; there is nobody to tell.
	_, _ = w.Write(body.Bytes())
	return nil
}
