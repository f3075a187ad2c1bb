package dispatch

import (
	"context"
	"fmt"
	"time"

	"github.com/statehouse/statehouse/eventstore"
)

// grace is how long after its deadline the outcome of a command is waited for: it is recorded by then, unless the store cannot.
const grace = 10 * time.Second

// await returns when a command is settled, or when its deadline is over for a while.
func (d *Dispatcher) await(ctx context.Context, cmd issued) (Result, error) {
	waiting, stop := context.WithTimeout(ctx, time.Until(cmd.due)+grace)
	defer stop()
	q := eventstore.Query{After: cmd.Command, Kinds: []eventstore.Kind{eventstore.KindCommandSettled}}
	for e, err := range d.house.Subscribe(waiting, q) {
		if waiting.Err() != nil {
			break
		}
		if err != nil {
			return cmd.Result, fmt.Errorf("wait for what becomes of the command at position %d: %w", cmd.Command, err)
		}
		if cmd.settledBy(e) {
			return cmd.Result, nil
		}
	}
	if err := ctx.Err(); err != nil {
		return cmd.Result, fmt.Errorf("wait for what becomes of the command at position %d: %w", cmd.Command, err)
	}
	return cmd.Result, nil
}
