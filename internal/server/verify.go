package server

import (
	"bytes"
	"context"
	"errors"
	"net/http"
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
	if r.ContentLength != 0 {
		return invalid("a verification takes no body")
	}
	if !s.verifying.TryLock() {
		return &failure{
			status: http.StatusServiceUnavailable, code: api.CodeUnavailable, retryAfter: "5",
			message: "a verification is under way; wait until it has ended",
		}
	}
	defer s.verifying.Unlock()
	st, err := s.openStream(w, r, "application/x-ndjson")
	if err != nil {
		return err
	}
	defer st.close()
	ctx, cancel := context.WithCancel(st.ctx)
	defer cancel()
	lines := reportLines{st: st, cancel: cancel}
	result, err := s.opts.Verifier.Verify(ctx, eventstore.InspectOptions{
		Found: func(f eventstore.Finding) {
			finding := api.NewFinding(f)
			lines.send(api.VerifyLine{Finding: &finding})
		},
		Progress: lines.progress(func(p api.Progress) any { return api.VerifyLine{Progress: &p} }),
	})
	switch {
	case r.Context().Err() != nil || lines.failed:
	case err == nil:
		whole := api.NewVerification(result)
		lines.send(api.VerifyLine{Result: &whole})
	default:
		s.opts.Logger.Warn("a verification failed", "error", lines.cause(err))
		detail := failureOf(lines.cause(err)).body().Error
		lines.send(api.VerifyLine{Error: &detail})
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
