package check

import (
	"context"
	"fmt"

	"github.com/statehouse/statehouse"
	"github.com/statehouse/statehouse/eventstore"
)

// effort bounds what a check compares: states at positions of the past, and events in reads of parts of the log.
const effort = 5_000

// checkPast compares the past with the fold of events behind another one: at every position of a small log, and at positions that lie equally far
// apart in a larger one.
func checkPast(ctx context.Context, h *statehouse.House, fold *Fold, events []eventstore.Event) error {
	each := 1 + h.Now().State.Entities.Len()
	places := max(effort/each, 3)
	step := eventstore.Position(max(1, (len(events)+places-1)/places))
	for _, e := range events {
		if err := fold.Add(e); err != nil {
			return err
		}
		if fold.Position%step != 0 {
			continue
		}
		m, err := h.AsOf(ctx, fold.Position)
		if err != nil {
			return fmt.Errorf("the past at position %d: %w", fold.Position, err)
		}
		if err := fold.CompareStates(m.State); err != nil {
			return fmt.Errorf("the past at position %d is not the fold of the log: %w", fold.Position, err)
		}
		if err := fold.CompareRegistry(m.Registry); err != nil {
			return fmt.Errorf("the registry at position %d is not the fold of the log: %w", fold.Position, err)
		}
	}
	return nil
}
