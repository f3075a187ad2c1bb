package timeline_test

import (
	"context"
	"errors"
	"testing"

	"github.com/statehouse/statehouse/internal/check"
)

// A question that is cancelled, wherever it is, says so, and the next one is answered.
func TestCancelledQuestions(t *testing.T) {
	p := newPast(t, 0, 40, 3000) // with a snapshot every 400 events
	p.Timeline().LimitKept(1)
	e, err := p.Store().Event(t.Context(), 1500)
	if err != nil {
		t.Fatal(err)
	}
	for name, ask := range map[string]func(ctx context.Context) error{
		"as of": func(ctx context.Context) error {
			_, err := p.AsOf(ctx, 1500)
			return err
		},
		"as of time": func(ctx context.Context) error {
			_, _, err := p.Timeline().AsOfTime(ctx, e.RecordedAt)
			return err
		},
		"history": func(ctx context.Context) (failed error) {
			for _, err := range p.Timeline().History(ctx, "sensor.s01", 700, 0) {
				failed = errors.Join(failed, err)
			}
			return failed
		},
	} {
		for n, ended := int64(1), true; ended; n++ {
			if _, err := p.AsOf(t.Context(), 2900); err != nil { // so that no other moment is kept
				t.Fatal(err)
			}
			ctx := check.NewCountdown(t.Context(), n)
			err := ask(ctx)
			ended = ctx.Ended()
			ctx.Cancel()
			if err != nil && (!ended || !errors.Is(err, context.Canceled)) {
				t.Errorf("%s, cancelled at %d: %v", name, n, err)
			}
		}
	}
}
