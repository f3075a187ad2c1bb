package cli

import (
	"time"
	_ "time/tzdata" // for systems without time zones, on which TZ would be taken for UTC in silence
)

// shown is when the clocks of a zone showed a date and a time of day, which wall has in UTC: not at all where they were put
// forward over it, then skipped is when; twice where they were put back, in the order in which they did.
func shown(wall time.Time, zone *time.Location) (times []time.Time, skipped time.Time) {
	const farthest = 30 * time.Hour // beyond what any zone is from UTC, or jumps
	for t := wall.Add(-farthest).In(zone); t.Before(wall.Add(farthest)); {
		_, offset := t.Zone()
		begin, end := t.ZoneBounds() // zero where there is none
		reading := wall.Add(-time.Duration(offset) * time.Second).In(zone)
		late := !end.IsZero() && !reading.Before(end)
		if !late && !reading.Before(begin) {
			times = append(times, reading)
		}
		if end.IsZero() {
			break
		}
		if _, next := end.Zone(); late && wall.Add(-time.Duration(next)*time.Second).Before(end) {
			skipped = end
		}
		t = end
	}
	return times, skipped
}

// clockTime is a time of day on a day that was named. Where the clocks showed it twice it is the later time, unless that is
// still to come, and where they never did, the moment in which they were put past it.
func clockTime(wall, now time.Time) time.Time {
	times, skipped := shown(wall, now.Location())
	if len(times) == 0 {
		return skipped
	}
	for i := len(times) - 1; i > 0; i-- {
		if !times[i].After(now) {
			return times[i]
		}
	}
	return times[0]
}

// dayBegin is the first moment of a day, which is not midnight where the clocks are put forward then.
func dayBegin(wall, now time.Time) time.Time {
	times, skipped := shown(wall, now.Location())
	if len(times) == 0 {
		return skipped
	}
	return times[0]
}

// lastClockTime is the last time, not after now, that the clocks showed a time of day on one of the days that are every so
// many days from that of wall. A day on which they were put past it does not count.
func lastClockTime(wall, now time.Time, every int) time.Time {
	// One later, since clocks that are put back over midnight have been in the next day already. More than two in a row do
	// not lack a time of day.
	for back := -1; back <= 3; back++ {
		times, _ := shown(wall.AddDate(0, 0, -back*every), now.Location())
		for i := len(times) - 1; i >= 0; i-- {
			if !times[i].After(now) {
				return times[i]
			}
		}
	}
	return clockTime(wall, now)
}

// lastDay is the beginning of the last of such days.
func lastDay(wall, now time.Time, every int) time.Time {
	for back := 0; ; back++ {
		if t := dayBegin(wall.AddDate(0, 0, -back*every), now); !t.After(now) || back > 1 {
			return t
		}
	}
}
