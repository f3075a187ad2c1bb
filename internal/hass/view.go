package hass

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"time"

	"github.com/statehouse/statehouse"
	"github.com/statehouse/statehouse/eventstore"
	"github.com/statehouse/statehouse/internal/api"
	"github.com/statehouse/statehouse/timeline"
)

// view is a house as a client sees it: the present, or a moment for good.
type view struct {
	house   *statehouse.House
	origins *origins
	// frozen is the moment that a client sees for good, nil where it sees the present.
	frozen *timeline.Moment
	// gate holds one while a large answer of a connection is made and sent, so that it has one of them in memory, however many it
	// asks for and however slowly it reads; nil lets everybody through.
	gate chan struct{}
	// asked is when a frozen moment was: the time that the client named it by, or of a position when that was recorded.
	asked time.Time
}

// newView is the house at a moment.
func newView(ctx context.Context, o *origins, at api.At) (*view, error) {
	v := &view{house: o.house, origins: o}
	if at == (api.At{}) {
		return v, nil
	}
	m, as, err := at.Moment(ctx, o.house)
	if err != nil {
		return nil, err
	}
	now := time.Now()
	v.frozen, v.asked = &m, at.Time(as, now)
	if named, ok := at.Named(); ok { // behind the last event before it nothing was different up to then
		v.asked = named
		if named.After(now) {
			v.asked = now
		}
	}
	return v, nil
}

// enter waits until nobody else makes a large answer. leave must be called when it is sent, and may be called again.
func (v *view) enter(ctx context.Context) (leave func(), err error) {
	if v.gate == nil {
		return func() {}, nil
	}
	select {
	case v.gate <- struct{}{}:
		return sync.OnceFunc(func() { <-v.gate }), nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// now is the newest moment that there is for the client.
func (v *view) now() timeline.Moment {
	if v.frozen != nil {
		return *v.frozen
	}
	return v.house.Now()
}

// clock is what time it is for the client.
func (v *view) clock() time.Time {
	if v.frozen != nil {
		return v.asked
	}
	return time.Now()
}

// changeable fails where nothing can be changed.
func (v *view) changeable() error {
	if v.frozen == nil {
		return nil
	}
	return &failure{http.StatusBadRequest, codeNotSupported, "this is the house as it was, in which nothing can be done; use /api/ for the present"}
}

// span is the part of the past that a question is about.
type span struct {
	// start is when it begins: when the question says, or where the history that is left does.
	start time.Time
	// from is the moment just before its beginning, to the one at its end.
	from, to timeline.Moment
	// unknown says that nothing is known of it: it ends before the history that is left begins, or is still to come.
	unknown bool
	// live says that its end is still to come.
	live bool
}

// span are the moments between which a question about the past is.
func (v *view) span(ctx context.Context, start, end time.Time) (s span, err error) {
	clock := v.clock()
	switch {
	case !end.IsZero() && end.Before(start):
		return s, &failure{http.StatusBadRequest, codeEndTime, "the end is before the start"}
	case start.After(clock):
		now := v.now()
		return span{start: start, from: now, to: now, unknown: true}, nil
	case end.IsZero():
		end, s.live = clock, true
	}
	s.live = v.frozen == nil && (s.live || end.After(clock))
	var oldest time.Time
	if s.to, oldest, err = v.before(ctx, end, clock); err != nil {
		return s, err
	}
	s.start, s.unknown = start, !oldest.IsZero()
	if s.from, oldest, err = v.before(ctx, start.Add(-1), clock); err != nil {
		return s, err
	}
	if oldest.After(start) {
		s.start = oldest
	}
	return s, nil
}

// streamed is the span of a stream, which may go on behind it.
func (v *view) streamed(ctx context.Context, start, end time.Time) (span, error) {
	if start.After(v.clock()) {
		return span{}, &failure{http.StatusBadRequest, codeStartTime, "the start is still to come"}
	}
	return v.span(ctx, start, end)
}

// before is the moment at a time, at most the client's newest one, which is that of the clock. Where the history of then has been
// removed it is the oldest moment that is left, and oldest is when that was; else oldest is zero.
func (v *view) before(ctx context.Context, t, clock time.Time) (m timeline.Moment, oldest time.Time, err error) {
	if !t.Before(clock) {
		return v.now(), oldest, nil
	}
	as, err := api.AtTime(t).Resolve(ctx, v.house)
	var removed *eventstore.CompactedError
	if errors.As(err, &removed) {
		as.Position, oldest, err = removed.Base, removed.RecordedAt, nil
	}
	if err != nil {
		return m, oldest, err
	}
	// The newest moment is looked at last: what was recorded up to the time is in it.
	newest := v.now()
	if as.Position >= newest.Position() {
		return newest, oldest, nil
	}
	m, err = v.house.AsOf(ctx, as.Position)
	return m, oldest, err
}
