package server

import (
	"context"
	"net/http"

	"github.com/statehouse/statehouse"
	"github.com/statehouse/statehouse/eventstore"
	"github.com/statehouse/statehouse/internal/api"
)

// postCompact answers POST /v1/compact?before=&dry_run= with JSON lines while it removes history: progress, and at last the
// result. It ends with its client. One at a time is enough.
func (s *Server) postCompact(h *statehouse.House, w http.ResponseWriter, r *http.Request) error {
	p := newParams(r, "before", "dry_run")
	if !p.values.Has("before") {
		p.fail("before is missing: say up to which moment history is removed; %s", api.AtForms)
	}
	before, dry := p.at("before"), p.flag("dry_run")
	if p.err != nil {
		return p.err
	}
	if r.ContentLength != 0 {
		return invalid("the removal of history takes no body")
	}
	if _, err := before.Resolve(r.Context(), h); err != nil && failureOf(err).code != api.CodeCompacted {
		return err // before the answer begins
	}
	if !s.compacting.TryLock() {
		return &failure{
			status: http.StatusServiceUnavailable, code: api.CodeUnavailable, retryAfter: "5",
			message: "history is being removed; wait until that has ended",
		}
	}
	defer s.compacting.Unlock()
	st, err := s.openStream(w, r, "application/x-ndjson")
	if err != nil {
		return err
	}
	defer st.close()
	ctx, cancel := context.WithCancel(st.ctx)
	defer cancel()
	lines := reportLines{st: st, cancel: cancel}
	result, err := api.Compact(ctx, h, before, eventstore.CompactOptions{
		Source: editSource, DryRun: dry,
		Progress: lines.progress(func(p api.Progress) any { return api.CompactLine{Progress: &p} }),
	})
	if err == nil && result.Events > 0 && !dry {
		s.opts.Logger.Info("history was removed", "up_to", result.Position, "recorded", result.RecordedAt, "events", result.Events,
			"left_behind", result.LeftBehind)
	}
	switch {
	case r.Context().Err() != nil || lines.failed:
	case err == nil:
		lines.send(api.CompactLine{Result: &result})
	default:
		s.opts.Logger.Warn("history was not removed", "error", lines.cause(err))
		detail := failureOf(lines.cause(err)).body().Error
		lines.send(api.CompactLine{Error: &detail})
	}
	return nil
}
