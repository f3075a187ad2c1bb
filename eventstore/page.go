package eventstore

import (
	"context"
	"errors"
	"fmt"
)

// A page of segments ends after pageRows rows or pageBytes bytes of bodies, whichever comes first, so that nothing
// holds a read transaction open for long.
const (
	pageRows  = 512
	pageBytes = 4 << 20
)

// page is a part of the log as it is stored.
type page struct {
	segments []segment
	// The positions that it has. Both are 0 for the page behind the end of the log.
	first, last Position
}

// segmentsFrom reads the page that begins with the segment that holds a position, and goes on forward, or backward with
// the last segment first. It fails with ErrCorrupt where that segment is missing or cannot be read; one behind it that is or
// cannot just ends the page, so that it costs nothing of what is before it.
func segmentsFrom(ctx context.Context, db querier, from Position, backward bool) (page, error) {
	to := MaxPosition
	if backward {
		to = FromStart
	}
	return segmentsBetween(ctx, db, from, to)
}

// segmentsBetween is segmentsFrom up to the segment that holds the position to, backward if that is before from.
func segmentsBetween(ctx context.Context, db querier, from, to Position) (page, error) {
	p, err := readPage(ctx, db, from, to)
	if err != nil {
		return page{}, fmt.Errorf("read the log from position %d: %w", from, err)
	}
	return p, nil
}

// The segments from the one that holds a position on, forward and backward.
const (
	fromForward  = ` WHERE last_position >= ? ORDER BY last_position LIMIT ?`
	fromBackward = ` WHERE last_position <= (SELECT min(last_position) FROM segments WHERE last_position >= ?)
		ORDER BY last_position DESC LIMIT ?`
)

func readPage(ctx context.Context, db querier, from, to Position) (p page, err error) {
	where, backward := fromForward, to < from
	if backward {
		where = fromBackward
	}
	rows, err := db.QueryContext(ctx, `SELECT `+segmentColumns+` FROM segments`+where, int64(from), pageRows)
	if err != nil {
		return p.upTo(err)
	}
	defer func() { _ = rows.Close() }() // what it could say, Err has said
	for size := 0; size < pageBytes && rows.Next(); {
		s, err := scanSegment(rows)
		if err == nil {
			err = p.add(from, backward, s.first, s.last, s.firstRecorded)
		}
		if err != nil {
			return p.upTo(err)
		}
		p.segments = append(p.segments, s)
		size += len(s.body)
		if p.holds(to) {
			break
		}
	}
	return p.upTo(rows.Err())
}

// upTo is the page as far as it was read when there was an error. Damage is the error of the page that would begin there.
func (p page) upTo(err error) (page, error) {
	err = orCorrupt(err)
	if p.last != 0 && errors.Is(err, ErrCorrupt) {
		return p, nil
	}
	return p, err
}

func (p *page) holds(at Position) bool { return p.first <= at && at <= p.last }

// add notes that the page has the segment with the positions from first to last, and checks that it follows those
// before it, or precedes them, without a gap. The page's first segment must hold the position want.
func (p *page) add(want Position, backward bool, first, last Position, recorded int64) error {
	ok := first <= want && want <= last
	if p.last != 0 {
		if want = p.last + 1; backward {
			want = p.first - 1
		}
		ok = first <= last && (backward && last == want || !backward && first == want)
	}
	switch {
	case ok:
	case first > want:
		return fmt.Errorf("%w: positions %d to %d are missing; the segment behind them was recorded at %s",
			ErrCorrupt, want, first-1, formatNanos(recorded))
	case last < want:
		return fmt.Errorf("%w: positions %d to %d are missing; the segment before them was recorded at %s",
			ErrCorrupt, last+1, want, formatNanos(recorded))
	default:
		return fmt.Errorf("%w: the segment with the positions %d to %d, recorded at %s, overlaps another one",
			ErrCorrupt, first, last, formatNanos(recorded))
	}
	if p.last == 0 || backward {
		p.first = first
	}
	if p.last == 0 || !backward {
		p.last = last
	}
	return nil
}
