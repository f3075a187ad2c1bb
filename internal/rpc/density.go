package rpc

import (
	"cmp"
	"context"
	"time"

	statehousev1 "github.com/statehouse/statehouse/gen/statehouse/v1"
	"github.com/statehouse/statehouse/internal/access"
	"github.com/statehouse/statehouse/internal/api"
)

// Density implements TimelineService.
func (s timelineService) Density(ctx context.Context, req *statehousev1.DensityRequest) (*statehousev1.DensityResponse, error) {
	h, err := s.house()
	if err != nil {
		return nil, err
	}
	q, err := parseDensity(ctx, req)
	if err != nil {
		return nil, err
	}
	if q.May != nil || len(q.Entities) > 0 {
		// Who has events read is open for as long as a stream may be.
		opened, end, err := s.opts.OpenStream(ctx)
		if err != nil {
			return nil, err
		}
		defer end()
		ctx = opened
	}
	d, err := api.NewDensity(ctx, h, q)
	if err != nil {
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return nil, err
	}
	w := &statehousev1.DensityResponse{
		From: newAsOf(d.From), To: newAsOf(d.To), Begin: newTime(d.Begin), End: newTime(d.End), Counts: d.Counts,
		Positions: make([]uint64, len(d.Positions)),
	}
	for i, at := range d.Positions {
		w.Positions[i] = uint64(at)
	}
	return w, nil
}

func parseDensity(ctx context.Context, req *statehousev1.DensityRequest) (q api.DensityQuery, err error) {
	if req.GetParts() > api.MaxParts {
		return q, invalid("%d parts are too many; %d are possible", req.GetParts(), api.MaxParts)
	}
	q = api.DensityQuery{
		From: api.AtOldest(), Parts: cmp.Or(int(req.GetParts()), api.DefaultParts), Entities: req.GetEntityIds(), Now: time.Now(),
	}
	if req.GetFrom() != nil {
		if q.From, err = parseAt(req.GetFrom()); err != nil {
			return q, err
		}
	}
	if q.To, err = parseAt(req.GetTo()); err != nil {
		return q, err
	}
	if len(q.Entities) > maxNames {
		return q, invalid("%d entities are too many; %d are possible", len(q.Entities), maxNames)
	}
	for _, id := range q.Entities {
		if err := readable(ctx, id); err != nil {
			return q, err
		}
	}
	if !access.From(ctx).Everywhere(access.Read) {
		q.May = seenBy(ctx)
	}
	return q, nil
}
