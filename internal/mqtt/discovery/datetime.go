package discovery

import (
	"strings"
	"time"

	entityv1 "github.com/statehouse/statehouse/gen/statehouse/entity/v1"
	"github.com/statehouse/statehouse/internal/command"
	"github.com/statehouse/statehouse/internal/mqtt"
)

// dateComponent is a day that can be set.
var dateComponent = Component{
	Name: "date", Domain: "date", Check: needsAll("date", "command_topic"), Describe: describeValue,
	Inputs: func(c Config) []Input {
		return stateInput(c, unlessEmpty(func(a *entityv1.Attributes, s Said) error {
			date := &entityv1.Date{}
			if !s.Unknown() {
				day, ok := parseDay(s.Text)
				if !ok {
					return unfit(s, "a day, as 2026-01-31,")
				}
				date.Value = &day
			}
			a.Domain = &entityv1.Attributes_Date{Date: date}
			return nil
		}))
	},
	Command: func(c Config, cmd command.Checked, _ *entityv1.Attributes) ([]mqtt.Publication, error) {
		day, _ := cmd.String("date")
		return send(c, day, nil)
	},
}

// timeComponent is a time of day that can be set.
var timeComponent = Component{
	Name: "time", Domain: "time", Check: needsAll("time", "command_topic"), Describe: describeValue,
	Inputs: func(c Config) []Input {
		return stateInput(c, unlessEmpty(func(a *entityv1.Attributes, s Said) error {
			of := &entityv1.Time{}
			if !s.Unknown() {
				t, ok := parseTimeOfDay(s.Text)
				if !ok {
					return unfit(s, "a time of day, as 08:00:00,")
				}
				text := t.Format(time.TimeOnly)
				of.Value = &text
			}
			a.Domain = &entityv1.Attributes_Time{Time: of}
			return nil
		}))
	},
	Command: func(c Config, cmd command.Checked, _ *entityv1.Attributes) ([]mqtt.Publication, error) {
		of, _ := cmd.String("time")
		return send(c, of, nil)
	},
}

func parseTimeOfDay(text string) (time.Time, bool) {
	text = strings.TrimSpace(text)
	for _, layout := range []string{time.TimeOnly, "15:04"} {
		if t, err := time.Parse(layout, text); err == nil {
			return t, true
		}
	}
	t, _, ok := parseClock(text)
	return t, ok
}

// datetimeComponent is a moment that can be set. Where it says in which timezone it is written, what it says has no zone.
var datetimeComponent = Component{
	Name: "datetime", Domain: "datetime", Check: needsAll("datetime", "command_topic"), Describe: describeValue,
	Inputs: func(c Config) []Input { return stateInput(c, unlessEmpty(datetimeSetter(c))) },
	Command: func(c Config, cmd command.Checked, _ *entityv1.Attributes) ([]mqtt.Publication, error) {
		ns, _ := cmd.Int("datetime")
		t := time.Unix(0, ns).UTC().Truncate(time.Microsecond) // all that Python's has
		layout := "2006-01-02T15:04:05.000000-07:00"
		if t.Nanosecond() == 0 {
			layout = "2006-01-02T15:04:05-07:00"
		}
		return send(c, t.Format(layout), map[string]any{"value": t})
	},
}

func datetimeSetter(c Config) setter {
	zone := namedZone(c.Str("timezone"))
	return func(a *entityv1.Attributes, s Said) error {
		at := &entityv1.DateTime{}
		if !s.Unknown() {
			t, zoned, ok := parseClock(s.Text)
			if !zoned && zone != nil {
				t = time.Date(t.Year(), t.Month(), t.Day(), t.Hour(), t.Minute(), t.Second(), t.Nanosecond(), zone)
			}
			if !ok || !zoned && zone == nil || !inRange(t) {
				return unfit(s, "a moment with its zone, as 2026-01-31T08:00:00+00:00,")
			}
			ns := t.UnixNano()
			at.Timestamp = &ns
		}
		a.Domain = &entityv1.Attributes_Datetime{Datetime: at}
		return nil
	}
}

// namedZone is a zone by its name, nil for none and for one that is not known.
func namedZone(name string) *time.Location {
	const longest = 64
	if name == "" || name == "Local" || len(name) > longest {
		return nil
	}
	zone, err := time.LoadLocation(name)
	if err != nil {
		return nil
	}
	return zone
}
