package dispatch

import (
	"context"
	"time"

	"github.com/statehouse/statehouse"
	"github.com/statehouse/statehouse/eventstore"
	eventv1 "github.com/statehouse/statehouse/gen/statehouse/event/v1"
)

// wake has Run look at the deadlines again.
func (d *Dispatcher) wake() {
	select {
	case d.poke <- struct{}{}:
	default: // it will anyway
	}
}

// retryAfter is how long Run waits when it could not record that a command timed out.
const retryAfter = 5 * time.Second

// Run settles the commands whose deadlines pass, those that have passed already first, until ctx ends.
func (d *Dispatcher) Run(ctx context.Context) {
	for {
		next, err := d.expire(ctx)
		wait := time.Duration(1<<63 - 1)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			d.opts.Logger.Warn("commands that timed out could not be recorded", "error", err, "retry_in", retryAfter)
			wait = retryAfter
		case !next.IsZero():
			wait = max(next.Sub(d.opts.Now()), time.Millisecond)
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-d.poke:
		case <-ctx.Done():
		}
		timer.Stop()
	}
}

// expire settles what is past its deadline, and returns the next deadline, zero where nothing waits.
func (d *Dispatcher) expire(ctx context.Context) (next time.Time, err error) {
	now := d.opts.Now()
	for id, waiting := range d.house.Now().Registry.Pending.All() {
		past := false
		for _, c := range waiting.GetCommands() {
			deadline := time.Unix(0, c.GetDeadline()).UTC()
			switch {
			case !deadline.After(now):
				past = true
			case next.IsZero() || deadline.Before(next):
				next = deadline
			}
		}
		if !past {
			continue
		}
		if err := d.timeOut(ctx, id, now); err != nil {
			return next, err
		}
	}
	return next, nil
}

// timeOut settles the commands to an entity whose deadlines have passed.
func (d *Dispatcher) timeOut(ctx context.Context, id string, now time.Time) error {
	_, err := d.house.Decide(ctx, func(p statehouse.Pending) ([]eventstore.Event, error) {
		var events []eventstore.Event
		for _, c := range p.PendingCommands(id) {
			deadline := time.Unix(0, c.GetDeadline()).UTC()
			if deadline.After(now) {
				continue
			}
			events = append(events, settled(id, c, eventv1.CommandOutcome_COMMAND_OUTCOME_TIMED_OUT, "", deadline,
				eventstore.Position(c.GetPosition())))
		}
		return events, nil
	})
	return err
}
