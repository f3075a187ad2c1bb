package template

import (
	"fmt"
	"math"
	"strings"
	"time"
)

// String is str() of a timedelta.
func (d timedelta) String() string {
	days, rest := d.split()
	s := fmt.Sprintf("%d:%02d:%02d", rest/(3600*second), rest/(60*second)%60, rest/second%60)
	if us := rest % second; us != 0 {
		s += fmt.Sprintf(".%06d", us)
	}
	switch days {
	case 0:
		return s
	case 1, -1:
		return fmt.Sprintf("%d day, %s", days, s)
	}
	return fmt.Sprintf("%d days, %s", days, s)
}

// split is the days, rounded down, and what is left.
func (d timedelta) split() (days int64, rest timedelta) {
	days, rest = int64(d/day), d%day
	if rest < 0 {
		days, rest = days-1, rest+day
	}
	return days, rest
}

func (d timedelta) repr() string {
	days, rest := d.split()
	var parts []string
	for _, part := range []struct {
		name string
		n    int64
	}{{"days", days}, {"seconds", int64(rest / second)}, {"microseconds", int64(rest % second)}} {
		if part.n != 0 {
			parts = append(parts, fmt.Sprintf("%s=%d", part.name, part.n))
		}
	}
	if len(parts) == 0 {
		return "datetime.timedelta(0)"
	}
	return "datetime.timedelta(" + strings.Join(parts, ", ") + ")"
}

func (d timedelta) attribute(name string) (any, bool) {
	days, rest := d.split()
	switch name {
	case "days":
		return days, true
	case "seconds":
		return int64(rest / second), true
	case "microseconds":
		return int64(rest % second), true
	}
	return nil, false
}

var timedeltaMethods = methodTable(
	define("total_seconds", "self", func(_ *run, a []any) (any, error) { return float64(a[0].(timedelta)) / 1e6, nil }),
)

// timeArithmetic calculates with times; ok is false where neither is one.
func timeArithmetic(op string, a, b any) (v any, ok bool, err error) {
	switch a := a.(type) {
	case *datetime:
		switch b := b.(type) {
		case *datetime:
			if op != "-" {
				return nil, false, nil
			}
			if a.naive != b.naive {
				return nil, false, failf("can't subtract offset-naive and offset-aware datetimes")
			}
			return timedelta(a.t.Sub(b.t).Microseconds()), true, nil
		case timedelta:
			return shift(op, a, b)
		}
	case timedelta:
		switch b := b.(type) {
		case *datetime:
			if op == "+" {
				return shift(op, b, a)
			}
		case timedelta:
			switch {
			case op == "+":
				return a + b, true, nil
			case op == "-":
				return a - b, true, nil
			case b == 0:
				return nil, false, failf("integer division or modulo by zero")
			case op == "/":
				return float64(a) / float64(b), true, nil
			case op == "//":
				return int64(math.Floor(float64(a) / float64(b))), true, nil
			}
			return nil, false, nil
		}
		return scale(op, a, b)
	}
	if d, isDelta := b.(timedelta); isDelta && op == "*" {
		return scale(op, d, a)
	}
	return nil, false, nil
}

func shift(op string, d *datetime, by timedelta) (any, bool, error) {
	if op == "-" {
		by = -by
	} else if op != "+" {
		return nil, false, nil
	}
	// In whole days and the rest: more than 292 years are too long for a time.Duration.
	days, rest := by.split()
	wall := d.t.AddDate(0, 0, int(days)).Add(time.Duration(rest) * time.Microsecond)
	if wall.Year() < 1 || wall.Year() > 9999 {
		return nil, false, failf("date value out of range")
	}
	return &datetime{wall, d.naive}, true, nil
}

// scale is a timedelta times or by a number.
func scale(op string, d timedelta, by any) (any, bool, error) {
	if !isNumber(by) || op != "*" && op != "/" && op != "//" {
		return nil, false, nil
	}
	factor, err := toFloat(by)
	if err != nil {
		return nil, false, err
	}
	us := float64(d) * factor
	if op != "*" {
		if factor == 0 {
			return nil, false, failf("division by zero")
		}
		us = float64(d) / factor
		if op == "//" {
			us = math.Floor(us)
		}
	}
	if !(math.Abs(us) < float64(maxDays*float64(day))) {
		return nil, false, failf("a timedelta of more than %d days", maxDays)
	}
	return timedelta(math.RoundToEven(us)), true, nil
}
