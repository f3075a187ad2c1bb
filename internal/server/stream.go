package server

import (
	"bufio"
	"context"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/statehouse/statehouse/eventstore"
	"github.com/statehouse/statehouse/internal/api"
)

// lastWords is how long a client may take for the end of a stream when the server closes.
const lastWords = time.Second

// errTooManyStreams is why there is no stream.
var errTooManyStreams error = &failure{
	status: http.StatusServiceUnavailable, code: api.CodeTooManyStreams, retryAfter: "5",
	message: "as many streams are open as may be; close one, or come back later",
}

// stream is an answer that goes on for as long as its client takes what is written. A write that the client does not
// take in time fails, and every one after it.
type stream struct {
	w       http.ResponseWriter
	rc      *http.ResponseController
	buf     *bufio.Writer // in front of what sets the deadline
	timeout time.Duration
	ctx     context.Context // ends with the client, or the server
	end     func()

	at atomic.Uint64 // the position up to which everything was looked at

	mu    sync.Mutex // guards hurry and the setting of deadlines; nothing else is locked under it
	hurry bool       // the server closes: no deadline moves any more
}

// openStream begins a stream, or fails where there are too many. It must be closed.
func (s *Server) openStream(w http.ResponseWriter, r *http.Request, contentType string) (*stream, error) {
	if err := s.takeStream(); err != nil {
		return nil, err
	}
	st := &stream{w: w, rc: http.NewResponseController(w), timeout: s.opts.WriteTimeout}
	st.buf = bufio.NewWriterSize((*deadlineWriter)(st), 16<<10)
	ctx, cancel := context.WithCancelCause(r.Context())
	st.ctx = ctx
	hurried := make(chan struct{})
	stop := context.AfterFunc(s.closing, func() {
		defer close(hurried)
		st.hurryUp()
		cancel(errClosing)
	})
	ended := make(chan struct{})
	// Who is nobody any more does not get the time of a slow reader. One who has gone gets what it likes.
	stopEnd := context.AfterFunc(r.Context(), func() {
		defer close(ended)
		st.hurryUp()
	})
	st.end = func() {
		for _, wait := range []struct {
			stop func() bool
			done chan struct{}
		}{{stop, hurried}, {stopEnd, ended}} {
			if !wait.stop() {
				<-wait.done // it uses the answer, which ends here
			}
		}
		cancel(nil)
		s.open.Delete(st)
		<-s.streams
	}
	if h := s.house.Load(); h != nil {
		st.at.Store(uint64(h.Store().Head()))
	}
	s.open.Store(st, nil)
	h := w.Header()
	h.Set("Content-Type", contentType)
	h.Set("X-Accel-Buffering", "no") // a proxy in between must not wait for more
	w.WriteHeader(http.StatusOK)
	return st, nil
}

// mostBehind is by how many events the slowest open stream is behind the end of the log.
func (s *Server) mostBehind(head eventstore.Position) (most eventstore.Position) {
	s.open.Range(func(st, _ any) bool {
		most = max(most, head-min(head, eventstore.Position(st.(*stream).at.Load())))
		return true
	})
	return most
}

// close ends the stream with what is still to be written.
func (st *stream) close() {
	_ = st.flush()
	st.end()
}

// flush sends what was written.
func (st *stream) flush() error {
	if err := st.buf.Flush(); err != nil {
		return err
	}
	st.extend()
	err := st.rc.Flush()
	// With HTTP/2 a deadline ends a stream also where nothing is written.
	st.deadline(time.Time{})
	return err
}

// extend gives the client time for the next write.
func (st *stream) extend() { st.deadline(time.Now().Add(st.timeout)) }

func (st *stream) deadline(at time.Time) {
	st.mu.Lock()
	defer st.mu.Unlock()
	if !st.hurry {
		_ = st.rc.SetWriteDeadline(at)
	}
}

// hurryUp gives the client a last moment, for the write that may be under way, too.
func (st *stream) hurryUp() {
	st.mu.Lock()
	defer st.mu.Unlock()
	st.hurry = true
	_ = st.rc.SetWriteDeadline(time.Now().Add(min(lastWords, st.timeout)))
}

// deadlineWriter is a stream's way to its client.
type deadlineWriter stream

// Write implements io.Writer.
func (d *deadlineWriter) Write(p []byte) (int, error) {
	(*stream)(d).extend()
	return d.w.Write(p)
}
