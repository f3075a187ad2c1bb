package daemon

import (
	"cmp"
	"context"
	"errors"
	"time"

	"github.com/statehouse/statehouse/eventstore"
)

const (
	// defaultRetainAfter is how long after a start history is removed for the first time.
	defaultRetainAfter = 5 * time.Minute
	// retainEvery is the time from one removal to the next.
	retainEvery = 24 * time.Hour
	// retainAgain is how long after a removal that could not be done the next one begins.
	retainAgain = time.Hour
	// retainRest makes the verification before it take a quarter of one processor: no snapshot is saved meanwhile.
	retainRest = 3
	// retainDoubt is how far the clock may be ahead of the last event at a start. If it is more, either the daemon was away
	// for long or the clock is wrong, which would make everything look old: it has a day to be set right.
	retainDoubt = 24 * time.Hour
)

// retention removes what is too old of the daemon's history, every now and then.
type retention struct {
	d *Daemon
	// keep is how long history is kept, 0 for ever.
	keep time.Duration
	// after is the time from the start to the first removal, every that from one to the next.
	after, every time.Duration
	now          func() time.Time
}

func newRetention(d *Daemon) *retention {
	r := &retention{
		d: d, keep: time.Duration(d.cfg.KeepHistory), after: cmp.Or(d.opts.RetainAfter, defaultRetainAfter), every: retainEvery,
		now: time.Now,
	}
	if at := d.house.Recovered(); at.Position > 0 && -at.ClockBehind > retainDoubt {
		r.after = max(r.after, r.every)
	}
	return r
}

// run removes history until ctx ends.
func (r *retention) run(ctx context.Context) {
	for next := r.after; r.keep > 0; {
		select {
		case <-ctx.Done():
			return
		case <-time.After(next):
		}
		next = r.every
		err := r.turn(ctx)
		if ctx.Err() != nil || errors.Is(err, eventstore.ErrClosed) {
			return
		}
		if err != nil {
			r.d.log.Error("old history was not removed; it is tried again later", "error", err)
			next = min(r.every, retainAgain)
		}
	}
}

// turn removes what is too old now.
func (r *retention) turn(ctx context.Context) error {
	house := r.d.house
	until, err := house.Store().PositionAt(ctx, r.now().Add(-r.keep))
	if errors.Is(err, eventstore.ErrCompacted) { // everything that is so old has been removed
		return nil
	}
	if err != nil {
		return err
	}
	c, err := house.Compact(ctx, until, eventstore.CompactOptions{Source: source, Rest: retainRest})
	if err != nil || c.Events == 0 {
		return err
	}
	r.d.log.Info("old history was removed", "up_to", c.Base, "recorded", c.RecordedAt, "events", c.Events)
	for _, name := range c.LeftBehind {
		r.d.log.Warn("a consumer was left behind: events that it had not got to were removed", "consumer", name, "up_to", c.Base)
	}
	return nil
}
