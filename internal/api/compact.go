package api

import (
	"context"
	"errors"
	"time"

	"github.com/statehouse/statehouse"
	"github.com/statehouse/statehouse/eventstore"
)

// CompactLine is one line of the answer to POST /v1/compact; it has one of its fields. The last line has a result, or an
// error.
type CompactLine struct {
	Progress *Progress    `json:"progress,omitempty"`
	Result   *Compaction  `json:"result,omitempty"`
	Error    *ErrorDetail `json:"error,omitempty"`
}

// Compaction says what was removed of a history, or would be.
type Compaction struct {
	// DryRun says that nothing was removed.
	DryRun bool `json:"dry_run"`
	// Position is that of the oldest moment that is left: the last event that has been removed. RecordedAt is when that
	// was recorded; it is left out, and Position 0, where the history is whole.
	Position   eventstore.Position `json:"position"`
	RecordedAt *time.Time          `json:"recorded_at,omitempty"`
	// Events is the number of events that were removed this time, the last ones up to Position, and Attested the position
	// of the event that says so.
	Events   uint64              `json:"events"`
	Attested eventstore.Position `json:"attested,omitempty"`
	// LeftBehind are the consumers that had not got so far.
	LeftBehind []string `json:"left_behind,omitempty"`
}

// Compact removes the history of a house before a moment, which stays itself: as much of it as can be.
func Compact(ctx context.Context, h *statehouse.House, before At, opts eventstore.CompactOptions) (Compaction, error) {
	var c eventstore.Compaction
	until, err := before.Resolve(ctx, h)
	if err == nil {
		c, err = h.Compact(ctx, until.Position, opts)
	}
	if errors.Is(err, eventstore.ErrCompacted) { // it was removed before
		c = eventstore.Compaction{}
		c.Base, c.RecordedAt = h.Base()
	} else if err != nil {
		return Compaction{}, err
	}
	return NewCompaction(c, opts.DryRun), nil
}

// NewCompaction is what was removed as it goes over the wire.
func NewCompaction(c eventstore.Compaction, dryRun bool) Compaction {
	w := Compaction{DryRun: dryRun, Position: c.Base, Events: c.Events, Attested: c.Attested, LeftBehind: c.LeftBehind}
	if c.Base > 0 {
		w.RecordedAt = &c.RecordedAt
	}
	return w
}
