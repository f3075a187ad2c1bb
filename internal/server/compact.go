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
	if _, err := before.Resolve(r.Context(), h); err != nil && failureOf(err).code != api.CodeCompacted {
		return err // before the answer begins
	}
	return s.report(w, r, &s.compacting, "a removal of history", func(ctx context.Context, lines *reportLines) error {
		result, err := api.Compact(ctx, h, before, eventstore.CompactOptions{
			Source: sourceOf(r), DryRun: dry,
			Progress: lines.progress(func(p api.Progress) any { return api.CompactLine{Progress: &p} }),
		})
		if err != nil {
			return err
		}
		if result.Events > 0 && !dry {
			s.opts.Logger.Info("history was removed", "up_to", result.Position, "recorded", result.RecordedAt, "events", result.Events,
				"left_behind", result.LeftBehind)
		}
		lines.send(api.CompactLine{Result: &result})
		return nil
	})
}
