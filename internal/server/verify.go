package server

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"sync"
	"time"

	"github.com/statehouse/statehouse"
	"github.com/statehouse/statehouse/eventstore"
	"github.com/statehouse/statehouse/internal/api"
)

// progressEvery is the time between two lines of progress.
const progressEvery = 200 * time.Millisecond

// postVerify answers POST /v1/verify with JSON lines while it verifies everything that is stored: progress, findings, and
// at last the result. It ends with its client. One at a time is enough: it takes a processor and the disk.
func (s *Server) postVerify(_ *statehouse.House, w http.ResponseWriter, r *http.Request) error {
	if p := newParams(r); p.err != nil {
		return p.err
	}
	return s.report(w, r, &s.verifying, "a verification", func(ctx context.Context, lines *reportLines) error {
		result, err := s.opts.Verifier.Verify(ctx, eventstore.InspectOptions{
			Found: func(f eventstore.Finding) {
				finding := api.NewFinding(f)
				lines.send(api.VerifyLine{Finding: &finding})
			},
			Progress: lines.progress(func(p api.Progress) any { return api.VerifyLine{Progress: &p} }),
		})
		if err == nil {
			whole := api.NewVerification(result)
			lines.send(api.VerifyLine{Result: &whole})
		}
		return err
	})
}

// report answers a request for something long, which takes no body, with the lines that work writes. One at a time is
// enough: busy is held meanwhile. An error of work, which is a thing under way to people, is the last line.
func (s *Server) report(w http.ResponseWriter, r *http.Request, busy *sync.Mutex, thing string,
	work func(ctx context.Context, lines *reportLines) error,
) error {
	if r.ContentLength != 0 {
		return invalid("%s takes no body", thing)
	}
	if !busy.TryLock() {
		return &failure{
			status: http.StatusServiceUnavailable, code: api.CodeUnavailable, retryAfter: "5",
			message: thing + " is under way; wait until it has ended",
		}
	}
	defer busy.Unlock()
	st, err := s.openStream(w, r, "application/x-ndjson")
	if err != nil {
		return err
	}
	defer st.close()
	ctx, cancel := context.WithCancel(st.ctx)
	defer cancel()
	lines := reportLines{st: st, cancel: cancel}
	if err := work(ctx, &lines); err != nil && !gone(r) && !lines.failed {
		err := endOf(r, lines.cause(err))
		s.opts.Logger.Warn(thing+" failed", "error", err)
		lines.send(failureOf(err).body())
	}
	return nil
}

// reportLines writes the lines that say how something long goes, and ends it when nobody takes them any more.
type reportLines struct {
	st     *stream
	cancel context.CancelFunc
	told   time.Time // when the last line of progress was
	failed bool
}

// progress sends lines of progress, not too many.
func (l *reportLines) progress(line func(api.Progress) any) func(done, last eventstore.Position) {
	return func(done, last eventstore.Position) {
		if now := time.Now(); now.Sub(l.told) >= progressEvery {
			l.told = now
			l.send(line(api.NewProgress(done, last)))
		}
	}
}

// cause is the error of what ended, which is the server's where that closes.
func (l *reportLines) cause(err error) error {
	if errors.Is(context.Cause(l.st.ctx), errClosing) {
		return errClosing
	}
	return err
}

func (l *reportLines) send(line any) {
	var text bytes.Buffer
	err := appendJSON(&text, line)
	if err == nil {
		_, err = l.st.buf.Write(text.Bytes())
	}
	if err == nil {
		err = l.st.flush()
	}
	if err != nil {
		l.failed = true
		l.cancel()
	}
}
