package api

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/statehouse/statehouse"
	"github.com/statehouse/statehouse/eventstore"
	"github.com/statehouse/statehouse/timeline"
)

// At names a moment of a house: by a position, by a time, as the oldest one that is left, or, as the zero At, the present
// one.
type At struct {
	position eventstore.Position
	time     time.Time
	kind     atKind
}

type atKind int

const (
	atPresent atKind = iota
	atPosition
	atTime
	atOldest
)

// AtPosition is the moment when the event at a position had just been recorded; position 0 is the empty house.
func AtPosition(p eventstore.Position) At { return At{position: p, kind: atPosition} }

// AtTime is the moment of the last event that was recorded at a time or before it. A time that no log can hold stands for
// one before or after everything.
func AtTime(t time.Time) At {
	if first := time.Date(1900, 1, 1, 0, 0, 0, 0, time.UTC); t.Before(first) {
		t = first
	}
	if last := time.Date(2300, 1, 1, 0, 0, 0, 0, time.UTC); t.After(last) {
		t = last
	}
	return At{time: t, kind: atTime}
}

// AtOldest is the oldest moment that can be asked for: the empty house, or the one behind the last event that has been
// removed.
func AtOldest() At { return At{kind: atOldest} }

// AtForms says how an At is written.
const AtForms = "write a time (2026-01-31T18:00:00Z, or with an offset: 2026-01-31T18:00:00+01:00), a position (@1204) or " + oldest

// oldest is how AtOldest is written.
const oldest = "oldest"

// ParseAt reads an At: a time as RFC 3339 has it, "@1204" or "1204" for a position, "@oldest" or "oldest" for the oldest
// moment, and nothing for the present.
// An offset whose + a URL made a space of is read as it was meant.
func ParseAt(text string) (At, error) {
	if text == "" {
		return At{}, nil
	}
	if n, err := strconv.ParseUint(strings.TrimPrefix(text, "@"), 10, 63); err == nil {
		return AtPosition(eventstore.Position(n)), nil
	}
	if strings.TrimPrefix(text, "@") == oldest {
		return AtOldest(), nil
	}
	for _, t := range [...]string{text, strings.Replace(text, " ", "+", 1)} {
		if at, err := time.Parse(time.RFC3339Nano, t); err == nil {
			return AtTime(at), nil
		}
	}
	return At{}, fmt.Errorf("%w: %.60q is neither a time nor a position; %s", eventstore.ErrInvalid, text, AtForms)
}

// String is what ParseAt reads.
func (a At) String() string {
	switch a.kind {
	case atPosition:
		return "@" + strconv.FormatUint(uint64(a.position), 10)
	case atTime:
		return a.time.UTC().Format(time.RFC3339Nano)
	case atOldest:
		return oldest
	default:
		return ""
	}
}

// AsOf says which moment an answer is of.
type AsOf struct {
	Position eventstore.Position `json:"position"`
	// RecordedAt is when the event at the position was recorded, left out at position 0.
	RecordedAt *time.Time `json:"recorded_at,omitempty"`
	// Final says that the same question will always be answered with this position, as long as the history there is not
	// removed. The present is not final, nor is a time at or after which nothing was recorded yet, nor the oldest moment.
	Final bool `json:"final"`
}

// Resolve is the position that an At stands for in a house.
func (a At) Resolve(ctx context.Context, h *statehouse.House) (AsOf, error) {
	return a.resolve(ctx, h, h.Now().Position())
}

func (a At) resolve(ctx context.Context, h *statehouse.House, head eventstore.Position) (AsOf, error) {
	as := AsOf{Position: head}
	switch a.kind {
	case atPosition:
		if !h.Store().Reached(a.position) { // which may be behind the present, in a log that is damaged
			return AsOf{}, fmt.Errorf("%w: position %d is still to come: the log ends at %d", eventstore.ErrInvalid, a.position, h.Store().Head())
		}
		as.Position, as.Final = a.position, true
	case atTime:
		var err error
		last := h.Store().Head() // behind it nothing is known of what was recorded when
		if as.Position, err = h.Store().PositionAt(ctx, a.time); err != nil {
			return AsOf{}, err
		}
		as.Final = as.Position < last
	case atOldest:
		as.Position, _ = h.Base()
	}
	recorded, err := recordedAt(ctx, h, as.Position)
	if err != nil {
		return AsOf{}, err
	}
	as.RecordedAt = recorded
	return as, nil
}

// Moment is the moment that an At stands for in a house.
func (a At) Moment(ctx context.Context, h *statehouse.House) (timeline.Moment, AsOf, error) {
	m := h.Now()
	as, err := a.resolve(ctx, h, m.Position())
	if err == nil && as.Position != m.Position() {
		m, err = h.AsOf(ctx, as.Position)
	}
	return m, as, err
}

// recordedAt is when the event at a position was recorded, nil for position 0. Before the base it is
// [eventstore.ErrCompacted].
func recordedAt(ctx context.Context, h *statehouse.House, at eventstore.Position) (*time.Time, error) {
	base, recorded := h.Base()
	switch {
	case at < base:
		return nil, &eventstore.CompactedError{Base: base, RecordedAt: recorded}
	case at == 0:
		return nil, nil
	case at == base: // its event is gone
		return &recorded, nil
	}
	if s := h.Store().Stats(); s.Head == at { // the present is asked for most
		return &s.HeadRecorded, nil
	}
	e, err := h.Store().Event(ctx, at)
	if err != nil {
		return nil, err
	}
	return &e.RecordedAt, nil
}
