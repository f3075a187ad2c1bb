package template

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// datetime is Python's datetime. A naive one has no time zone; its t is the same figures in UTC.
type datetime struct {
	t     time.Time
	naive bool
}

// timedelta is Python's timedelta, in microseconds.
type timedelta int64

const (
	second timedelta = 1e6
	day              = 24 * 3600 * second
	// maxDays is what Python allows, and what fits: 106 million days do.
	maxDays = 100_000_000
)

// iso is isoformat(), with what is between the date and the time.
func (d *datetime) iso(separator string) string {
	layout := "2006-01-02" + separator + "15:04:05"
	if d.t.Nanosecond()/1000 != 0 {
		layout += ".000000"
	}
	s := d.t.Format(layout)
	if d.naive {
		return s
	}
	return s + d.offset(":")
}

// offset is the offset from UTC, as +01:00.
func (d *datetime) offset(colon string) string {
	_, seconds := d.t.Zone()
	sign := '+'
	if seconds < 0 {
		sign, seconds = '-', -seconds
	}
	s := fmt.Sprintf("%c%02d%s%02d", sign, seconds/3600, colon, seconds/60%60)
	if seconds%60 != 0 {
		s += fmt.Sprintf("%s%02d", colon, seconds%60)
	}
	return s
}

func (d *datetime) repr() string {
	s := fmt.Sprintf("datetime.datetime(%d, %d, %d, %d, %d", d.t.Year(), d.t.Month(), d.t.Day(), d.t.Hour(), d.t.Minute())
	if us := d.t.Nanosecond() / 1000; us != 0 {
		s += fmt.Sprintf(", %d, %d", d.t.Second(), us)
	} else if d.t.Second() != 0 {
		s += fmt.Sprintf(", %d", d.t.Second())
	}
	if !d.naive {
		s += ", tzinfo=" + d.t.Location().String()
	}
	return s + ")"
}

func (d *datetime) attribute(name string) (any, bool) {
	switch name {
	case "year":
		return int64(d.t.Year()), true
	case "month":
		return int64(d.t.Month()), true
	case "day":
		return int64(d.t.Day()), true
	case "hour":
		return int64(d.t.Hour()), true
	case "minute":
		return int64(d.t.Minute()), true
	case "second":
		return int64(d.t.Second()), true
	case "microsecond":
		return int64(d.t.Nanosecond() / 1000), true
	}
	return nil, false
}

// unix is timestamp(). A naive time is a local one.
func (d *datetime) unix(local *time.Location) float64 {
	t := d.aware(local)
	return float64(t.Unix()) + float64(t.Nanosecond()/1000)/1e6
}

// aware is the time; a naive one is taken for a local one.
func (d *datetime) aware(local *time.Location) time.Time {
	if !d.naive {
		return d.t
	}
	return time.Date(d.t.Year(), d.t.Month(), d.t.Day(), d.t.Hour(), d.t.Minute(), d.t.Second(), d.t.Nanosecond(), local)
}

var datetimeMethods = methodTable(
	define("strftime", "self format", func(r *run, a []any) (any, error) {
		layout, err := argString("strftime()", a[1])
		if err != nil {
			return nil, err
		}
		return strftime(r, a[0].(*datetime), layout)
	}),
	define("isoformat", "self sep?", func(_ *run, a []any) (any, error) {
		separator, err := argString("isoformat()", or(a[1], "T"))
		if err == nil && len(separator) > 4 {
			err = failf("isoformat() argument 1 must be a unicode character")
		}
		return strings.ReplaceAll(a[0].(*datetime).iso("T"), "T", separator), err
	}),
	define("timestamp", "self", func(r *run, a []any) (any, error) { return a[0].(*datetime).unix(r.env.location()), nil }),
	define("weekday", "self", func(_ *run, a []any) (any, error) { return int64(a[0].(*datetime).t.Weekday()+6) % 7, nil }),
	define("isoweekday", "self", func(_ *run, a []any) (any, error) { return int64(a[0].(*datetime).t.Weekday()+6)%7 + 1, nil }),
	define("replace", "self year? month? day? hour? minute? second? microsecond?", replaceTime),
)

func replaceTime(_ *run, a []any) (any, error) {
	d := a[0].(*datetime)
	fields := [7]int{d.t.Year(), int(d.t.Month()), d.t.Day(), d.t.Hour(), d.t.Minute(), d.t.Second(), d.t.Nanosecond() / 1000}
	for i := range fields {
		var err error
		if fields[i], err = argInt("replace()", a[i+1], fields[i]); err != nil {
			return nil, err
		}
	}
	t, ok := dateOf(fields, d.t.Location())
	if !ok {
		return nil, failf("replace(): there is no such date")
	}
	return &datetime{t, d.naive}, nil
}

// dateOf is a time from its fields, year to microsecond, if all are in their range.
func dateOf(f [7]int, zone *time.Location) (time.Time, bool) {
	high := [7]int{9999, 12, 31, 23, 59, 59, 999_999}
	for i := range f {
		low := 0
		if i < 3 {
			low = 1
		}
		if f[i] < low || f[i] > high[i] {
			return time.Time{}, false
		}
	}
	t := time.Date(f[0], time.Month(f[1]), f[2], f[3], f[4], f[5], f[6]*1000, zone)
	return t, t.Month() == time.Month(f[1]) || f[2] <= 28 // the 30th of February is in March
}

// fromUnix is the time of a timestamp, if Python has it.
func fromUnix(seconds float64) (*datetime, bool) {
	if !(seconds >= -62135596800 && seconds < 253402300800) {
		return nil, false
	}
	whole := math.Floor(seconds)
	us := math.RoundToEven((seconds - whole) * 1e6)
	return &datetime{t: time.Unix(int64(whole), int64(us)*1000).UTC()}, true
}

// parseTime reads a date with a time, as in ISO 8601, or a date alone.
func parseTime(s string) (*datetime, bool) {
	if len(s) < 10 || len(s) > 40 {
		return nil, false
	}
	date, clock := s[:10], s[10:]
	f := [7]int{}
	for i, part := range strings.Split(date, "-") {
		n, err := strconv.Atoi(part)
		if i > 2 || err != nil || len(part) != map[bool]int{true: 4, false: 2}[i == 0] {
			return nil, false
		}
		f[i] = n
	}
	var zone *time.Location
	if clock != "" {
		if clock[0] != 'T' && clock[0] != ' ' {
			return nil, false
		}
		var ok bool
		if clock, zone, ok = cutZone(clock[1:]); !ok {
			return nil, false
		}
		clock, fraction, _ := strings.Cut(clock, ".")
		parts := strings.Split(clock, ":")
		if len(parts) < 2 || len(parts) > 3 || len(fraction) > 9 {
			return nil, false
		}
		for i, part := range parts {
			n, err := strconv.ParseUint(part, 10, 8)
			if err != nil || len(part) > 2 {
				return nil, false
			}
			f[3+i] = int(n)
		}
		n, err := strconv.ParseUint((fraction + "000000")[:6], 10, 32)
		if err != nil {
			return nil, false
		}
		f[6] = int(n)
	}
	naive := zone == nil
	if naive {
		zone = time.UTC
	}
	t, ok := dateOf(f, zone)
	return &datetime{t, naive}, ok
}

// cutZone takes Z or +01:00 off a time. Without one the zone is nil.
func cutZone(s string) (rest string, zone *time.Location, ok bool) {
	if rest, ok := strings.CutSuffix(s, "Z"); ok {
		return rest, time.UTC, true
	}
	at := strings.LastIndexAny(s, "+-")
	if at < 0 {
		return s, nil, true
	}
	digits := strings.ReplaceAll(s[at+1:], ":", "")
	n, err := strconv.ParseUint((digits + "00")[:min(len(digits)+2, 4)], 10, 16)
	if err != nil || len(digits) != 2 && len(digits) != 4 || n/100 > 23 || n%100 > 59 {
		return "", nil, false
	}
	seconds := int(n/100*3600 + n%100*60)
	if s[at] == '-' {
		seconds = -seconds
	}
	if seconds == 0 {
		return s[:at], time.UTC, true
	}
	return s[:at], time.FixedZone("", seconds), true
}
