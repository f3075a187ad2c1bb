// Package linear records what clients do at the same time, and what they are told, and looks for an order of all of it,
// in which nobody's next operation comes before the previous one, that explains every answer: whoever is answered sees
// from then on what was done, and no earlier state.
package linear

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/statehouse/statehouse/internal/faults"
)

// Run implements [faults.Run]. A round is a history over the Go API and one over HTTP.
func Run(ctx context.Context, seed uint64, b faults.Budget) (faults.Report, error) {
	if err := b.Check(); err != nil {
		return faults.Report{}, err
	}
	m := b.NewMeter("pairs of histories")
	for m.More(ctx) {
		dir := filepath.Join(b.Dir, fmt.Sprint(m.Rounds))
		if err := os.Mkdir(dir, 0o700); err != nil {
			return m.Report, err
		}
		for _, record := range []func(context.Context, uint64, string) (map[string]int, error){Store, HTTP} {
			counts, err := record(ctx, seed+uint64(m.Rounds), dir) //nolint:gosec // a seed
			for what, n := range counts {
				m.Count(what, n)
			}
			if ctx.Err() != nil {
				return m.Report, nil
			}
			if err != nil {
				return m.Report, err
			}
		}
		if err := os.RemoveAll(dir); err != nil {
			return m.Report, err
		}
		m.Rounds++
	}
	return m.Report, nil
}

// client thinks of an operation, and then does it, which is what takes time.
type client func() (op any, do func() (answer any, err error))

// record lets clients do so many operations each.
func record(clients, operations int, begin func(id int) client) ([]porcupine.Operation, error) {
	var clock atomic.Int64
	histories, errs := make([][]porcupine.Operation, clients), make([]error, clients)
	var wg sync.WaitGroup
	for id := range clients {
		wg.Go(func() {
			next := begin(id)
			for range operations {
				op, do := next()
				called := clock.Add(1)
				out, err := do()
				if errs[id] = err; err != nil {
					return
				}
				histories[id] = append(histories[id], porcupine.Operation{
					ClientId: id, Input: op, Output: out, Call: called, Return: clock.Add(1),
				})
			}
		})
	}
	wg.Wait()
	var all []porcupine.Operation
	for _, h := range histories {
		all = append(all, h...)
	}
	return all, errors.Join(errs...)
}

// explain fails where no order explains a history.
func explain(history []porcupine.Operation, model porcupine.Model) error {
	result := porcupine.CheckOperationsTimeout(model, history, time.Minute)
	if result == porcupine.Ok {
		return nil
	}
	var b strings.Builder
	for _, o := range history {
		fmt.Fprintf(&b, "\n%d to %d, client %d: %+v: %+v", o.Call, o.Return, o.ClientId, o.Input, o.Output)
	}
	return fmt.Errorf("the history is not linearizable: %v%s", result, &b)
}
