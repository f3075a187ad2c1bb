package rot

import (
	"context"

	"github.com/statehouse/statehouse/internal/faults"
)

// Run flips bits of the house of a seed, in an order that the seed chooses, until the budget is used up or each was
// flipped. It is a [faults.Run].
func Run(ctx context.Context, seed uint64, b faults.Budget) (faults.Report, error) {
	report := b.NewMeter("flips").Report
	if err := b.Check(); err != nil {
		return report, err
	}
	opts := Options{Dir: b.Dir, Seed: seed, Bits: true, Budget: b.Time, Limit: b.Rounds}
	if seed%2 == 0 {
		opts.PageSize = 2048 // that of every house
	}
	done, err := Flip(ctx, opts)
	report.Rounds = done.Flips
	report.Count("refused", done.Refused)
	report.Count("reported", done.Reported)
	report.Count("unchanged", done.Unchanged)
	report.Count("served for reading", done.Served)
	return report, err
}
