package server

import (
	"bytes"
	"encoding/json"
	"net/http"
)

// answer is a response that remembers its status, 0 as long as nothing was answered.
type answer struct {
	http.ResponseWriter
	status int
}

// Unwrap gives http.ResponseController the deadlines and the flushing of what is wrapped.
func (a *answer) Unwrap() http.ResponseWriter { return a.ResponseWriter }

// WriteHeader implements http.ResponseWriter.
func (a *answer) WriteHeader(status int) {
	if a.status == 0 {
		a.status = status
	}
	a.ResponseWriter.WriteHeader(status)
}

// Write implements http.ResponseWriter.
func (a *answer) Write(p []byte) (int, error) {
	if a.status == 0 {
		a.status = http.StatusOK
	}
	return a.ResponseWriter.Write(p)
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
