package cli

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/statehouse/statehouse/eventstore"
)

// when is a place in the log as a person says it: a position, a time, or a while ago.
type when struct {
	text     string
	position eventstore.Position
	at       time.Time
	ago      time.Duration
}

const whenForms = "write a time (2026-01-31T08:00:00Z, 2026-01-31, \"2026-01-31 08:00\"), a while (2h, \"3d ago\") or a position (@1204)"

// UnmarshalText reads what a person wrote.
func (w *when) UnmarshalText(text []byte) error {
	*w = when{text: strings.TrimSpace(string(text))}
	if digits, ok := strings.CutPrefix(w.text, "@"); ok {
		p, err := strconv.ParseUint(digits, 10, 63)
		if err != nil {
			return fmt.Errorf("%q is no position; %s", w.text, whenForms)
		}
		w.position = eventstore.Position(p)
		return nil
	}
	for _, layout := range [...]string{time.RFC3339Nano, "2006-01-02T15:04:05", "2006-01-02T15:04", time.DateTime, "2006-01-02 15:04", time.DateOnly} {
		if t, err := time.ParseInLocation(layout, w.text, time.Local); err == nil {
			w.at = t
			return nil
		}
	}
	ago, err := parseAgo(strings.TrimSpace(strings.TrimSuffix(w.text, "ago")))
	if err != nil || ago < 0 {
		return fmt.Errorf("%q is no time; %s", w.text, whenForms)
	}
	w.ago = ago
	return nil
}

// parseAgo is time.ParseDuration that knows days and weeks.
func parseAgo(text string) (time.Duration, error) {
	if text == "now" {
		return 0, nil
	}
	var sum time.Duration
	for _, u := range [...]struct {
		unit   string
		length time.Duration
	}{{"w", 7 * 24 * time.Hour}, {"d", 24 * time.Hour}} {
		number, rest, ok := strings.Cut(text, u.unit)
		if !ok {
			continue
		}
		n, err := strconv.ParseUint(number, 10, 16)
		if err != nil {
			return 0, err
		}
		sum += time.Duration(n) * u.length
		if text = rest; text == "" {
			return sum, nil
		}
	}
	d, err := time.ParseDuration(text)
	return sum + d, err
}

// given says that the person wrote anything.
func (w when) given() bool { return w.text != "" }

// isPosition says that it is a position and no time.
func (w when) isPosition() bool { return strings.HasPrefix(w.text, "@") }

// time is the moment that is meant, seen from now. It has no meaning for a position.
func (w when) time(now time.Time) time.Time {
	if w.at.IsZero() {
		return now.Add(-w.ago)
	}
	return w.at
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
