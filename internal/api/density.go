package api

import (
	"context"
	"fmt"
	"math"
	"time"

	"github.com/statehouse/statehouse"
	"github.com/statehouse/statehouse/eventstore"
)

// MaxParts is the most parts that a density has, and DefaultParts how many where nobody says.
const (
	MaxParts     = 2000
	DefaultParts = 200
)

// Density is how many events were recorded in each of some equal parts of the time between two moments.
type Density struct {
	// From and To are the moments; what is counted is behind From, up to To.
	From, To AsOf
	// Begin and End are the times of the moments: those that they were asked for by, or when their events were recorded. The
	// end of the present is the time of the answer. The beginning of the empty house is when the first event was recorded.
	// They are zero where there is no event up to To and nobody asked for a time.
	Begin, End time.Time
	// Counts are the events of each part, which is behind its beginning and up to its end. Those that the first one has beside
	// that were recorded at the very time at which it begins.
	Counts []uint64
	// Positions are those at the ends of the parts. They do not depend on what is counted.
	Positions []eventstore.Position
}

// DensityQuery says what is counted.
type DensityQuery struct {
	From, To At
	// Parts is from 1 to MaxParts.
	Parts int
	// Entities are those about which events are counted; empty means that all events are.
	Entities []string
	// May is what whoever asks may see; nil means everything.
	May May
	// Now is what the present ends with.
	Now time.Time
}

// NewDensity counts. Where everything is counted it reads no events, and otherwise those between the moments.
func NewDensity(ctx context.Context, h *statehouse.House, q DensityQuery) (Density, error) {
	var d Density
	var err error
	if q.Parts < 1 || q.Parts > MaxParts {
		return d, fmt.Errorf("%w: %d parts; from 1 to %d are possible", eventstore.ErrInvalid, q.Parts, MaxParts)
	}
	if d.From, err = q.From.Resolve(ctx, h); err != nil {
		return d, err
	}
	if d.To, err = q.To.Resolve(ctx, h); err != nil {
		return d, err
	}
	if d.Begin, d.End, err = d.times(ctx, h, q); err != nil {
		return d, err
	}
	switch {
	case d.To.Position < d.From.Position:
		return d, fmt.Errorf("%w: the time ends at position %d, before it begins at %d", eventstore.ErrInvalid, d.To.Position, d.From.Position)
	case d.End.Before(d.Begin):
		return d, fmt.Errorf("%w: the time ends at %s, before it begins at %s", eventstore.ErrInvalid,
			d.End.UTC().Format(time.RFC3339Nano), d.Begin.UTC().Format(time.RFC3339Nano))
	}
	ends, err := partsOf(d.Begin, d.End, q.Parts)
	if err != nil {
		return d, err
	}
	// The last part ends with the moment, whatever else was recorded at that time.
	d.Positions, err = h.Timeline().PositionsAt(ctx, d.From.Position, d.To.Position, ends[:q.Parts-1])
	if err != nil {
		return d, err
	}
	d.Positions = append(d.Positions, d.To.Position)
	if q.May == nil && len(q.Entities) == 0 {
		d.difference()
		return d, nil
	}
	return d, d.count(ctx, h, q)
}

// times are the times of the moments.
func (d *Density) times(ctx context.Context, h *statehouse.House, q DensityQuery) (begin, end time.Time, err error) {
	end = q.To.asked(d.To, q.Now)
	if begin = q.From.asked(d.From, q.Now); !begin.IsZero() {
		if end.IsZero() && d.From.Position == 0 { // the empty house is at any time
			end = begin
		}
		return begin, end, nil
	}
	begin = end
	if d.To.Position > 0 {
		first, err := h.Store().Event(ctx, 1)
		if err != nil {
			return begin, end, err
		}
		begin = first.RecordedAt
	}
	return begin, end, nil
}

// asked is the time of a moment: the one that was asked for, or when its event was recorded, and zero for the empty house.
// The present lasts until now.
func (a At) asked(as AsOf, now time.Time) (t time.Time) {
	if a.kind == atTime {
		return a.time
	}
	if as.RecordedAt != nil {
		t = *as.RecordedAt
	}
	if a.kind == atPresent && now.After(t) {
		t = now
	}
	return t
}

// partsOf are the ends of equal parts of the time between two times.
func partsOf(begin, end time.Time, parts int) ([]time.Time, error) {
	span := end.Sub(begin)
	if span == math.MaxInt64 {
		return nil, fmt.Errorf("%w: the time from %s to %s is too long; %d years are possible", eventstore.ErrInvalid,
			begin.UTC().Format(time.RFC3339), end.UTC().Format(time.RFC3339), span/(366*24*time.Hour))
	}
	n := time.Duration(parts)
	each, rest := span/n, span%n
	ends := make([]time.Time, parts)
	for i := range ends {
		k := time.Duration(i + 1)
		ends[i] = begin.Add(each*k + rest*k/n)
	}
	return ends, nil
}

// difference counts everything.
func (d *Density) difference() {
	d.Counts = make([]uint64, len(d.Positions))
	before := d.From.Position
	for i, at := range d.Positions {
		d.Counts[i], before = uint64(at-before), at
	}
}

// count reads and counts what somebody may see and asks for.
func (d *Density) count(ctx context.Context, h *statehouse.House, q DensityQuery) error {
	d.Counts = make([]uint64, len(d.Positions))
	if d.From.Position == d.To.Position { // to the log, Until 0 means no end
		return nil
	}
	part := 0
	for e, err := range h.Read(ctx, eventstore.Query{After: d.From.Position, Until: d.To.Position, Entities: q.Entities}) {
		if err != nil {
			return err
		}
		for e.Position > d.Positions[part] {
			part++
		}
		if q.May == nil || q.May.Event(e) {
			d.Counts[part]++
		}
	}
	return nil
}
