package api

import (
	"context"
	"time"

	"github.com/statehouse/statehouse/internal/filter"
	"github.com/statehouse/statehouse/state"
	"github.com/statehouse/statehouse/timeline"
)

// Where chooses states by an expression of package filter. The zero Where chooses all.
type Where struct {
	text   string
	filter *filter.Filter
}

// ParseWhere compiles an expression; an empty one chooses all. Errors are [filter.ErrInvalid].
func ParseWhere(text string) (Where, error) {
	if text == "" {
		return Where{}, nil
	}
	f, err := filter.Compile(text)
	if err != nil {
		return Where{}, err
	}
	return Where{text, f}, nil
}

// All says that everything is chosen.
func (w Where) All() bool { return w.filter == nil }

// String is the expression.
func (w Where) String() string { return w.text }

// Match says whether a state of a moment is chosen. now is what its age is counted to.
func (w Where) Match(ctx context.Context, m timeline.Moment, s state.State, now time.Time) (bool, error) {
	if w.All() {
		return true, nil
	}
	view := newNames(m, s.EntityID)
	return w.filter.Match(ctx, &filter.Subject{
		State: s, Text: state.Text(s.Attributes), Name: view.Name, Area: view.Area, AreaName: view.AreaName, Device: view.Device,
		DeviceName: view.DeviceName, Unit: view.Unit, DeviceClass: view.DeviceClass, Now: now,
	})
}

// Time is when the moment was: now for the present, or else when its last event was recorded, so that what is asked about
// the past is always answered alike.
func (a At) Time(as AsOf, now time.Time) time.Time {
	switch {
	case a == (At{}):
		return now
	case as.RecordedAt == nil:
		return time.Unix(0, 0).UTC()
	}
	return *as.RecordedAt
}

// Named is the time that the moment was named by, false where it was not named by one.
func (a At) Named() (time.Time, bool) { return a.time, a.kind == atTime }
