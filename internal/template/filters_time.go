package template

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// timeFilters work on times. Most are functions too.
var timeFilters = []*builtin{
	define("as_timestamp", "value default?", func(r *run, a []any) (any, error) {
		if d, ok := a[0].(*datetime); ok {
			return d.unix(r.env.location()), nil
		}
		if s, ok := a[0].(string); ok {
			if d, ok := parseTime(s); ok {
				return d.unix(r.env.location()), nil
			}
		}
		return fallback(r, "as_timestamp", a[0], a[1])
	}),
	define("as_datetime", "value default?", asDatetime),
	define("as_local", "value", func(r *run, a []any) (any, error) {
		d, ok := a[0].(*datetime)
		if u, is := a[0].(*undefined); is {
			return nil, errUndefined(u)
		}
		if !ok {
			return nil, failf("as_local: '%s' is no datetime", typeName(a[0]))
		}
		return &datetime{t: d.aware(r.env.location()).In(r.env.location())}, nil
	}),
	define("timestamp_custom", "value date_format? local? default?", func(r *run, a []any) (any, error) {
		d, ok := timestamp(r, a[0], truth(or(a[2], true)))
		if !ok {
			return fallback(r, "timestamp_custom", a[0], a[3])
		}
		layout, err := argString("timestamp_custom", or(a[1], "%Y-%m-%d %H:%M:%S"))
		if err != nil {
			return nil, err
		}
		return strftime(r, d, layout)
	}),
	define("timestamp_local", "value default?", func(r *run, a []any) (any, error) {
		d, ok := timestamp(r, a[0], true)
		if !ok {
			return fallback(r, "timestamp_local", a[0], a[1])
		}
		return d.iso("T"), nil
	}),
	define("timestamp_utc", "value default?", func(r *run, a []any) (any, error) {
		d, ok := timestamp(r, a[0], false)
		if !ok {
			return fallback(r, "timestamp_utc", a[0], a[1])
		}
		return d.iso("T"), nil
	}),
	define("today_at", "time?", todayAt),
	define("relative_time", "value", func(r *run, a []any) (any, error) { return since(r, a[0], int64(1), false) }),
	define("time_since", "value precision?", func(r *run, a []any) (any, error) { return since(r, a[0], a[1], false) }),
	define("time_until", "value precision?", func(r *run, a []any) (any, error) { return since(r, a[0], a[1], true) }),
}

// timestamp is a number as a time.
func timestamp(r *run, v any, local bool) (*datetime, bool) {
	if !isNumber(v) {
		return nil, false
	}
	seconds, err := toFloat(v)
	if err != nil {
		return nil, false
	}
	d, ok := fromUnix(seconds)
	if ok && local {
		d.t = d.t.In(r.env.location())
	}
	return d, ok
}

func asDatetime(r *run, a []any) (any, error) {
	if _, ok := a[0].(*datetime); ok {
		return a[0], nil
	}
	seconds, ok, err := number(a[0])
	if err != nil {
		return nil, err
	}
	if ok {
		if d, ok := fromUnix(seconds); ok {
			return d, nil
		}
	}
	s, isText := a[0].(string)
	if isText {
		if d, ok := parseTime(s); ok {
			return d, nil
		}
		if a[1] == missing {
			return nil, nil
		}
	}
	return fallback(r, "as_datetime", a[0], a[1])
}

func todayAt(r *run, a []any) (any, error) {
	now := r.env.now()
	fields := [7]int{now.Year(), int(now.Month()), now.Day()}
	s, err := argString("today_at", or(a[0], ""))
	if err != nil {
		return nil, err
	}
	if s != "" {
		parts := strings.Split(clip(s, 20), ":")
		ok := len(parts) == 2 || len(parts) == 3
		for i, part := range parts {
			n, err := strconv.ParseUint(pyStrip(part), 10, 8)
			if ok = ok && err == nil; ok {
				fields[3+i] = int(n)
			}
		}
		if !ok {
			return nil, failf("could not convert str to datetime: '%s'", clip(s, 40))
		}
	}
	t, ok := dateOf(fields, now.Location())
	if !ok {
		return nil, failf("could not convert str to datetime: '%s'", clip(s, 40))
	}
	return &datetime{t: t}, nil
}

// since is how long ago something was, or how long until it is, in words. What is no time, or on the other side of now,
// stays as it is.
func since(r *run, v, digits any, until bool) (any, error) {
	d, ok := v.(*datetime)
	if !ok {
		return v, nil
	}
	precision, err := argInt("precision", or(digits, int64(1)), 1)
	if err != nil {
		return nil, err
	}
	elapsed := r.env.now().Sub(d.aware(r.env.location()))
	if until {
		elapsed = -elapsed
	}
	if elapsed < 0 {
		return v, nil
	}
	return inWords(math.RoundToEven(elapsed.Seconds()), precision), nil
}

// inWords is a number of seconds in units, as many as precision says; the last one is rounded.
func inWords(seconds float64, precision int) string {
	var words []string
	for _, unit := range []struct {
		name    string
		seconds float64
	}{{"year", 365 * 86400}, {"month", 30 * 86400}, {"day", 86400}, {"hour", 3600}, {"minute", 60}, {"second", 1}} {
		if seconds < unit.seconds {
			continue
		}
		n := math.Floor(seconds / unit.seconds)
		last := len(words)+1 == precision
		if last {
			n = math.RoundToEven(seconds / unit.seconds)
		}
		word := fmt.Sprintf("%.0f %ss", n, unit.name)
		if n == 1 {
			word = "1 " + unit.name
		}
		if words = append(words, word); last {
			break
		}
		seconds -= n * unit.seconds
	}
	if len(words) == 0 {
		return "0 seconds"
	}
	return strings.Join(words, " ")
}

// now is the functions now() and utcnow().
func now(name string, utc bool) *builtin {
	return define(name, "", func(r *run, _ []any) (any, error) {
		t := r.env.now()
		if utc {
			t = t.UTC()
		}
		return &datetime{t: t.Truncate(time.Microsecond)}, nil
	})
}

// makeTimedelta is the function timedelta(…).
func makeTimedelta(_ *run, a []any) (any, error) {
	total := 0.0
	for i, unit := range []timedelta{day, second, 1, second / 1000, 60 * second, 3600 * second, 7 * day} {
		if a[i] == missing {
			continue
		}
		if u, ok := a[i].(*undefined); ok {
			return nil, errUndefined(u)
		}
		n, err := toFloat(a[i])
		if err != nil {
			return nil, failf("unsupported type for timedelta component: %s", typeName(a[i]))
		}
		total += n * float64(unit)
	}
	if !(math.Abs(total) < maxDays*float64(day)) {
		return nil, failf("a timedelta of more than %d days", maxDays)
	}
	return timedelta(math.RoundToEven(total)), nil
}
