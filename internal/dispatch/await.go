package dispatch

import (
	"context"
	"fmt"

	"github.com/statehouse/statehouse/eventstore"
)

// await returns when a command is settled.
func (d *Dispatcher) await(ctx context.Context, cmd issued) (Result, error) {
	q := eventstore.Query{After: cmd.Command, Kinds: []eventstore.Kind{eventstore.KindCommandSettled}}
	for e, err := range d.house.Subscribe(ctx, q) {
		if err != nil {
			return cmd.Result, fmt.Errorf("wait for what becomes of the command at position %d: %w", cmd.Command, err)
		}
		if s := e.Payload.GetCommandSettled(); s.GetCommand() == uint64(cmd.Command) {
			cmd.Settled, cmd.Outcome, cmd.Reason = e.Position, s.GetOutcome(), s.GetReason()
			return cmd.Result, nil
		}
	}
	return cmd.Result, fmt.Errorf("wait for what becomes of the command at position %d: %w", cmd.Command, ctx.Err())
}
