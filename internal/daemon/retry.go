package daemon

import (
	"context"
	"time"
)

// defaultRetry is how often a store that cannot write is tried again.
const defaultRetry = 5 * time.Second

// retryStore tries a store that cannot write, for want of space most likely, until it can, so that the daemon is ready again
// also where nothing else is recorded: the store itself tries with the next append only. What it tries with is the event
// system{resumed}, which explains the gap in what was recorded. It returns when ctx ends.
func (d *Daemon) retryStore(ctx context.Context, every time.Duration) {
	t := time.NewTicker(every)
	defer t.Stop()
	var since time.Time // when the store was first seen to fail; zero while it works
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
		fault := d.house.Store().Stats().Fault
		if fault != nil && since.IsZero() {
			since = time.Now()
			d.log.Error("the store cannot write; it is tried again", "error", fault, "every", every)
		}
		if fault != nil && d.record(ctx, "resumed", fault.Error()) != nil {
			continue
		}
		if !since.IsZero() {
			d.log.Info("the store can write again", "after", time.Since(since).Round(time.Second))
			since = time.Time{}
		}
	}
}
