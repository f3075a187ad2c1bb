package rot

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/statehouse/statehouse"
	"github.com/statehouse/statehouse/eventstore"
	"github.com/statehouse/statehouse/internal/check"
)

// tryRepair repairs the damaged house in a directory, and says in what the new one is not what was promised: each event
// is what it was, or its position is said to be lost, and the damage did not spare it; and the damaged files are as they
// were. served says that SQLite can read the damaged one.
func (r *runner) tryRepair(ctx context.Context, dir string, house files, served bool) error {
	to := filepath.Join(dir, "repaired")
	if err := os.RemoveAll(to); err != nil {
		return err
	}
	if err := os.Mkdir(to, 0o700); err != nil {
		return err
	}
	result, err := statehouse.Repair(ctx, filepath.Join(dir, name), filepath.Join(to, name), statehouse.RepairOptions{AcceptLoss: true})
	if err != nil {
		if served {
			return fmt.Errorf("it can be served and not be repaired: %w", err)
		}
		return unchangedFiles(dir, house)
	}
	if err := unchangedFiles(dir, house); err != nil {
		return fmt.Errorf("repaired: %w", err)
	}
	spared, err := r.spared(ctx, dir, house)
	if err != nil {
		return err
	}
	h, err := open(ctx, to, false)
	if err != nil {
		return err
	}
	err = r.compareRepaired(ctx, h, result, spared)
	return errors.Join(err, h.Close())
}

func (r *runner) compareRepaired(ctx context.Context, h *statehouse.House, result eventstore.Salvaged, spared map[eventstore.Position]bool) error {
	if h.Store().UUID() == r.was.facts["uuid"] {
		return errors.New("it is called what the old one was called")
	}
	if err := check.House(ctx, h); err != nil {
		return err
	}
	lost := map[eventstore.Position]bool{}
	for _, f := range result.Lost {
		for at := f.First; at <= f.Last && at <= r.asker.last; at++ {
			if lost[at] = true; spared[at] {
				return fmt.Errorf("position %d is said to be lost, and is not damaged: %q", at, result.Lost)
			}
		}
	}
	saved := uint64(0)
	for e, err := range h.Read(ctx, eventstore.Query{Until: result.Last}) {
		switch same := err == nil && eventText(e) == r.was.events[e.Position]; {
		case err != nil:
			return err
		case same:
			saved++
		case !lost[e.Position] || e.Payload.GetSystem().GetWhat() != "lost":
			return fmt.Errorf("the event at position %d is not what it was, and not said to be lost: %q", e.Position, result.Lost)
		}
	}
	for at := result.Last + 1; at <= r.asker.last; at++ {
		if !lost[at] {
			return fmt.Errorf("position %d is not there, and not said to be lost: %q", at, result.Lost)
		}
	}
	if saved != result.Events {
		return fmt.Errorf("%d events were saved, and it says %d", saved, result.Events)
	}
	cursors, err := h.Store().Cursors(ctx)
	if err != nil {
		return err
	}
	for _, c := range cursors {
		if c.Stored > result.Last {
			return fmt.Errorf("consumer %s would pass over what comes behind position %d: %d", c.Name, result.Last, c.Stored)
		}
	}
	_, err = h.Append(ctx, check.SensorEvent("sensor.a", 1))
	return err
}
