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
	lines := verifyLines{st: st, cancel: cancel}
	result, err := s.opts.Verifier.Verify(ctx, eventstore.InspectOptions{
		Found: func(f eventstore.Finding) {
			finding := api.NewFinding(f)
			lines.send(api.VerifyLine{Finding: &finding})
		},
		Progress: func(done, last eventstore.Position) {
			if now := time.Now(); now.Sub(lines.progress) >= progressEvery {
				lines.progress = now
				p := api.NewProgress(done, last)
				lines.send(api.VerifyLine{Progress: &p})
			}
		},
	})
	switch {
	case r.Context().Err() != nil || lines.failed:
	case err == nil:
		whole := api.NewVerification(result)
		lines.send(api.VerifyLine{Result: &whole})
	default:
		if errors.Is(context.Cause(st.ctx), errClosing) {
			err = errClosing
		}
		s.opts.Logger.Warn("a verification failed", "error", err)
		detail := failureOf(err).body().Error
		lines.send(api.VerifyLine{Error: &detail})
	}
	return nil
}

// verifyLines writes the lines of a verification, and ends it when nobody takes them any more.
type verifyLines struct {
	st       *stream
	cancel   context.CancelFunc
	progress time.Time // of the last line of progress
	failed   bool
}

func (l *verifyLines) send(line api.VerifyLine) {
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
