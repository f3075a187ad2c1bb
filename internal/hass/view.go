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
	// asked is when a frozen moment was, as the client named it.
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
	v.frozen, v.asked = &m, at.Time(as, time.Now())
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

// before is the moment at a time, at most the client's newest one, and at least the oldest that is left.
func (v *view) before(ctx context.Context, t time.Time) (timeline.Moment, error) {
	newest := v.now()
	at := newest.Position()
	if t.Before(v.clock()) {
		as, err := api.AtTime(t).Resolve(ctx, v.house)
		if errors.Is(err, eventstore.ErrCompacted) {
			as.Position, _ = v.house.Base()
			err = nil
		}
		if err != nil {
			return timeline.Moment{}, err
		}
		at = min(at, as.Position)
	}
	if at == newest.Position() {
		return newest, nil
	}
	return v.house.AsOf(ctx, at)
}
