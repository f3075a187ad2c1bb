package cli

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/statehouse/statehouse/eventstore"
	"github.com/statehouse/statehouse/internal/api"
)

// when is a moment as a person says it: a position, a time, a while ago, or the oldest one.
type when struct {
	text     string
	oldest   bool
	position eventstore.Position
	// from is the time that is meant, seen from now; nil for a position and the oldest moment. Days and times of day are those of now's zone.
	from func(now time.Time) time.Time
}

const whenForms = `write a time ("2026-01-31 18:00", 2026-01-31, 2026-01-31T18:00:00Z), a day and a time ("yesterday 18:00", ` +
	`"monday 7:30", 18:00), a while ("2h ago", 3d), a position (@1204), or "oldest"`

// UnmarshalText reads what a person wrote.
func (w *when) UnmarshalText(text []byte) error {
	*w = when{text: strings.TrimSpace(string(text))}
	if w.oldest = strings.EqualFold(strings.TrimPrefix(w.text, "@"), "oldest"); w.oldest {
		return nil
	}
	if digits, ok := strings.CutPrefix(w.text, "@"); ok {
		p, err := strconv.ParseUint(strings.ReplaceAll(digits, ",", ""), 10, 63) // as positions are printed
		if err != nil {
			return fmt.Errorf("%q is no position; %s", w.text, whenForms)
		}
		w.position = eventstore.Position(p)
		return nil
	}
	for _, parse := range [...]func(string) (func(time.Time) time.Time, bool){parseTime, parseDay, parseAgo} {
		var ok bool
		if w.from, ok = parse(w.text); ok {
			return nil
		}
	}
	return fmt.Errorf("%q is no time; %s", w.text, whenForms)
}

// parseTime reads a date, with a time of day or without one.
func parseTime(text string) (func(time.Time) time.Time, bool) {
	if t, err := time.Parse(time.RFC3339Nano, text); err == nil {
		return func(time.Time) time.Time { return t }, true
	}
	for _, layout := range [...]string{"2006-01-02T15:04:05", "2006-01-02T15:04", time.DateTime, "2006-01-02 15:04", time.DateOnly} {
		if t, err := time.Parse(layout, text); err == nil {
			if layout == time.DateOnly {
				return func(now time.Time) time.Time { return dayBegin(t, now) }, true
			}
			return func(now time.Time) time.Time { return clockTime(t, now) }, true
		}
	}
	return nil, false
}

// parseDay reads a day by its name, with a time of day or without one, or a time of day alone. A weekday and a time of day
// alone mean the last one that was: when the clocks showed it, which they do twice, or not at all, on a day on which they are
// changed.
func parseDay(text string) (func(time.Time) time.Time, bool) {
	words := strings.Fields(strings.ToLower(text))
	if len(words) == 3 && words[1] == "at" {
		words = []string{words[0], words[2]}
	}
	var clock time.Time
	hasClock := false
	if n := len(words); n > 0 {
		for _, layout := range [...]string{"15:04", "15:04:05"} {
			if t, err := time.Parse(layout, words[n-1]); err == nil {
				clock, hasClock, words = t, true, words[:n-1]
				break
			}
		}
	}
	if len(words) > 1 || len(words) == 0 && !hasClock {
		return nil, false
	}
	// The day that is so many days before now's, at the time of day, in UTC.
	wall := func(now time.Time, back int) time.Time {
		return time.Date(now.Year(), now.Month(), now.Day()-back, clock.Hour(), clock.Minute(), clock.Second(), clock.Nanosecond(), time.UTC)
	}
	named, last := dayBegin, lastDay
	if hasClock {
		named, last = clockTime, lastClockTime
	}
	if len(words) == 0 {
		return func(now time.Time) time.Time { return last(wall(now, 0), now, 1) }, true
	}
	switch words[0] {
	case "now":
		return func(now time.Time) time.Time { return now }, !hasClock
	case "today":
		return func(now time.Time) time.Time { return named(wall(now, 0), now) }, true
	case "yesterday":
		return func(now time.Time) time.Time { return named(wall(now, 1), now) }, true
	}
	for d := time.Sunday; d <= time.Saturday; d++ {
		if name := strings.ToLower(d.String()); words[0] == name || words[0] == name[:3] {
			return func(now time.Time) time.Time { return last(wall(now, int(now.Weekday()-d+7)%7), now, 7) }, true
		}
	}
	return nil, false
}

// units are the lengths that a while is made of.
var units = map[string]time.Duration{
	"ms": time.Millisecond,
	"s":  time.Second, "sec": time.Second, "second": time.Second,
	"m": time.Minute, "min": time.Minute, "minute": time.Minute,
	"h": time.Hour, "hour": time.Hour,
	"d": 24 * time.Hour, "day": 24 * time.Hour,
	"w": 7 * 24 * time.Hour, "week": 7 * 24 * time.Hour,
}

// parseAgo reads how long ago it was, as in 2h, "1h30m ago" and "3 days ago".
func parseAgo(text string) (func(time.Time) time.Time, bool) {
	rest := strings.TrimSpace(strings.TrimSuffix(strings.ToLower(text), "ago"))
	if rest == "" {
		return nil, false
	}
	const longest = 200 * 366 * 24 * time.Hour
	var sum time.Duration
	for rest != "" {
		digits := len(rest) - len(strings.TrimLeft(rest, "0123456789."))
		number, err := strconv.ParseFloat(rest[:digits], 64)
		if err != nil {
			return nil, false
		}
		rest = strings.TrimLeft(rest[digits:], " ")
		letters := len(rest) - len(strings.TrimLeft(rest, "abcdefghijklmnopqrstuvwxyz"))
		unit, ok := units[rest[:letters]]
		if !ok {
			unit, ok = units[strings.TrimSuffix(rest[:letters], "s")]
		}
		if !ok || number*float64(unit) > float64(longest) {
			return nil, false
		}
		if sum += time.Duration(number * float64(unit)); sum > longest {
			return nil, false
		}
		rest = strings.TrimLeft(rest[letters:], " ")
	}
	return func(now time.Time) time.Time { return now.Add(-sum) }, true
}

// given says that the person wrote anything.
func (w when) given() bool { return w.text != "" }

// isPosition says that it is a position and no time.
func (w when) isPosition() bool { return !w.oldest && strings.HasPrefix(w.text, "@") }

// time is the moment that is meant, seen from now. It has no meaning for a position and the oldest moment.
func (w when) time(now time.Time) time.Time { return w.from(now) }

// at is the moment that is meant, seen from now; the present one where nothing was given.
func (w when) at(now time.Time) api.At {
	switch {
	case !w.given():
		return api.At{}
	case w.isPosition():
		return api.AtPosition(w.position)
	case w.oldest:
		return api.AtOldest()
	}
	return api.AtTime(w.time(now))
}

// age says how long ago t was, as a person would.
func age(now, t time.Time) string {
	d := now.Sub(t)
	switch {
	case t.IsZero() || t.Unix() <= 0:
		return "never"
	case d < -time.Minute:
		return "in " + lasting(-d)
	case d < time.Second:
		return "just now"
	case d < 60*24*time.Hour:
		return lasting(d) + " ago"
	default:
		return t.Local().Format(time.DateOnly)
	}
}

// lasting is a duration in its largest unit.
func lasting(d time.Duration) string {
	switch {
	case d < time.Minute:
		return strconv.Itoa(int(d/time.Second)) + "s"
	case d < time.Hour:
		return strconv.Itoa(int(d/time.Minute)) + "m"
	case d < 48*time.Hour:
		return strconv.Itoa(int(d/time.Hour)) + "h"
	default:
		return strconv.Itoa(int(d/(24*time.Hour))) + "d"
	}
}

// count writes a number with a comma between thousands.
func count[N ~int | ~int64 | ~uint64](n N) string {
	s := strconv.FormatInt(int64(n), 10)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// counted is a number and what is counted, in the plural where it is not one.
func counted[N ~int | ~int64 | ~uint64](n N, noun string) string {
	switch {
	case n == 1:
	case strings.HasSuffix(noun, "y"):
		noun = strings.TrimSuffix(noun, "y") + "ies"
	default:
		noun += "s"
	}
	return count(n) + " " + noun
}
