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
			wait = max(time.Until(next), time.Millisecond)
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

// expire settles what is past its deadline, and returns when the next one is, by the process's own clock; zero where nothing waits. A
// deadline passes by the clock on the wall, or by the process's own if somebody sets that one back.
func (d *Dispatcher) expire(ctx context.Context) (next time.Time, err error) {
	now, steady, registry := d.opts.Now(), time.Now(), d.house.Now().Registry
	waiting := map[eventstore.Position]time.Time{}
	for id, pending := range registry.Pending.All() {
		past := map[uint64]bool{}
		for _, c := range pending.GetCommands() {
			at := eventstore.Position(c.GetPosition())
			left := time.Unix(0, c.GetDeadline()).Sub(now)
			due := d.dues.of(at, steady.Add(min(left, MaxTimeout)))
			waiting[at] = due
			switch left = min(left, due.Sub(steady)); {
			case left <= 0:
				past[c.GetPosition()] = true
			case next.IsZero() || steady.Add(left).Before(next):
				next = steady.Add(left)
			}
		}
		if len(past) == 0 {
			continue
		}
		if err := d.timeOut(ctx, id, past); err != nil {
			return next, err
		}
		next = steady // look again: the entity may have been renamed just before, and its commands wait under the new id
	}
	d.dues.keep(waiting, registry.Position)
	return next, nil
}

// timeOut settles the commands to an entity whose deadlines have passed, by their positions.
func (d *Dispatcher) timeOut(ctx context.Context, id string, past map[uint64]bool) error {
	_, err := d.house.Decide(ctx, func(p statehouse.Pending) ([]eventstore.Event, error) {
		var events []eventstore.Event
		for _, c := range p.PendingCommands(id) {
			if !past[c.GetPosition()] {
				continue
			}
			deadline := time.Unix(0, c.GetDeadline()).UTC()
			events = append(events, settled(id, c, eventv1.CommandOutcome_COMMAND_OUTCOME_TIMED_OUT, "", deadline,
				eventstore.Position(c.GetPosition())))
		}
		return events, nil
	})
	return err
}
