package rpc

import (
	"context"
	"errors"
	"io"
	"net/http"
	"sync"
	"time"
)

// lastWords is how long a client may take for the end of a stream that is not its own doing.
const lastWords = 500 * time.Millisecond

// wire is an answer's way to its client: what the client does not take in time fails, and so does everything after it. A
// client from which nothing is wanted, and to which nothing is written, may take as long as it likes.
type wire struct {
	http.ResponseWriter
	rc      *http.ResponseController
	timeout time.Duration

	mu    sync.Mutex // guards hurry and the setting of deadlines; nothing else is locked under it
	hurry bool       // the stream ends: no deadline moves any more
}

type wireKey struct{}

// wire gives each answer of a handler deadlines.
func (s *Service) wire(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		wr := &wire{ResponseWriter: w, rc: http.NewResponseController(w), timeout: s.opts.WriteTimeout}
		r = r.WithContext(context.WithValue(r.Context(), wireKey{}, wr))
		r.Body = &body{r.Body, wr.rc}
		next.ServeHTTP(wr, r)
	})
}

// wireOf is the wire of a request.
func wireOf(ctx context.Context) *wire { return ctx.Value(wireKey{}).(*wire) }

// hurryWith gives the client a last moment when a context ends, for the write that may be under way, too. What it returns must
// be called before the handler returns.
func (w *wire) hurryWith(ctx context.Context) (stop func()) {
	hurried := make(chan struct{})
	off := context.AfterFunc(ctx, func() {
		defer close(hurried)
		w.mu.Lock()
		defer w.mu.Unlock()
		w.hurry = true
		_ = w.rc.SetWriteDeadline(time.Now().Add(min(lastWords, w.timeout)))
	})
	return func() {
		if !off() {
			<-hurried
		}
	}
}

func (w *wire) deadline(at time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.hurry {
		_ = w.rc.SetWriteDeadline(at) // a writer without deadlines is a test's
	}
}

// Write implements [http.ResponseWriter].
func (w *wire) Write(p []byte) (int, error) {
	w.deadline(time.Now().Add(w.timeout))
	return w.ResponseWriter.Write(p)
}

// Flush implements [http.Flusher]. With HTTP/2 a deadline ends a stream also where nothing is written, so there is none until
// the next write.
func (w *wire) Flush() {
	w.deadline(time.Now().Add(w.timeout))
	_ = w.rc.Flush() // the next write fails, too
	w.deadline(time.Time{})
}

// Unwrap is for [http.ResponseController].
func (w *wire) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// body is a request's body. When all of it has come there is no more time limit on it, which would end the request.
type body struct {
	io.ReadCloser
	rc *http.ResponseController
}

// Read implements [io.Reader].
func (b *body) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if errors.Is(err, io.EOF) {
		_ = b.rc.SetReadDeadline(time.Time{})
	}
	return n, err
}
