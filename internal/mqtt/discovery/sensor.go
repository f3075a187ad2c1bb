package discovery

import (
	"slices"
	"strings"

	entityv1 "github.com/statehouse/statehouse/gen/statehouse/entity/v1"
	"github.com/statehouse/statehouse/internal/mqtt/dialect"
)

// sensorComponent is one measured or reported value. Whether it is a number depends on device_class, state_class, unit_of_measurement and
// suggested_display_precision, which its configuration must have kept: without any of them the text 007 is not 7.
var sensorComponent = Component{
	Name: "sensor", Domain: "sensor",
	Check: needsAll("sensor", "state_topic"),
	Describe: func(c Config, e *entityv1.Entity) {
		e.Capabilities.Readable = true
		e.Capabilities.Options = wordsOf(c, "options")
	},
	Inputs: func(c Config) []Input {
		inputs := stateInput(c, sensorSetter(c))
		if c.Str("state_topic") != "" && c.Str("last_reset_value_template") != "" {
			inputs = append(inputs, Input{Sources: c.Sources("state_topic", "last_reset_value_template"), Set: unlessEmpty(setLastReset)})
		}
		return inputs
	},
}

// sensorOf is the sensor in a, made where there is none.
func sensorOf(a *entityv1.Attributes) *entityv1.Sensor {
	if a.GetSensor() == nil {
		a.Domain = &entityv1.Attributes_Sensor{Sensor: &entityv1.Sensor{}}
	}
	return a.GetSensor()
}

func sensorSetter(c Config) setter {
	set := setSensorText
	switch class := c.Str("device_class"); {
	case class == "timestamp":
		set = unlessEmpty(setSensorMoment)
	case class == "date":
		set = unlessEmpty(setSensorDay)
	case class == "enum" || len(wordsOf(c, "options")) > 0:
		set = unlessEmpty(sensorOptionSetter(c))
	case class != "" || c.Str("state_class") != "" || c.Str("unit_of_measurement") != "" || c.Has("suggested_display_precision"):
		set = unlessEmpty(setSensorNumber)
	}
	return func(a *entityv1.Attributes, s Said) error {
		if s.Unknown() {
			sensorOf(a).Value = nil
			return nil
		}
		return set(a, s)
	}
}

func setSensorText(a *entityv1.Attributes, s Said) error {
	sensorOf(a).Value = &entityv1.Sensor_Text{Text: s.Text}
	return nil
}

// setSensorNumber takes what is no number for unknown where the device says just that.
func setSensorNumber(a *entityv1.Attributes, s Said) error {
	n, decimal, ok := exactNumber(s.Text)
	switch {
	case strings.EqualFold(strings.TrimSpace(s.Text), "nan"):
		sensorOf(a).Value = nil
	case !ok:
		return unfit(s, "a number")
	case decimal != "":
		sensorOf(a).Value = &entityv1.Sensor_Decimal{Decimal: decimal}
	default:
		if now, is := a.GetSensor().GetValue().(*entityv1.Sensor_Number); !is || now.Number != n || n == 0 {
			sensorOf(a).Value = &entityv1.Sensor_Number{Number: n}
		}
	}
	return nil
}

func setSensorMoment(a *entityv1.Attributes, s Said) error {
	t, zoned, ok := parseClock(s.Text)
	if !ok || !zoned || !inRange(t) {
		return unfit(s, "a moment with its zone, as 2026-01-31T08:00:00+00:00,")
	}
	sensorOf(a).Value = &entityv1.Sensor_Timestamp{Timestamp: t.UnixNano()}
	return nil
}

func setSensorDay(a *entityv1.Attributes, s Said) error {
	day, ok := parseDay(s.Text)
	if !ok {
		return unfit(s, "a day, as 2026-01-31,")
	}
	sensorOf(a).Value = &entityv1.Sensor_Date{Date: day}
	return nil
}

func sensorOptionSetter(c Config) setter {
	isOption := optionTest(c)
	return func(a *entityv1.Attributes, s Said) error {
		if !isOption(s.Text) {
			return unfit(s, "one of its options")
		}
		return setSensorText(a, s)
	}
}

// optionTest says whether a word is one of the options. Where there are none, or more than are listed, every word is.
func optionTest(c Config) func(word string) bool {
	options := wordsOf(c, "options")
	if len(options) == 0 || len(c.List("options")) > dialect.MaxOptions {
		return func(string) bool { return true }
	}
	return func(word string) bool { return slices.Contains(options, word) }
}

func setLastReset(a *entityv1.Attributes, s Said) error {
	if s.Unknown() {
		sensorOf(a).LastReset = nil
		return nil
	}
	t, _, ok := parseClock(s.Text) // one without a zone is in UTC
	if !ok || !inRange(t) {
		return unfit(s, "a moment, as 2026-01-31T08:00:00+00:00,")
	}
	ns := t.UnixNano()
	sensorOf(a).LastReset = &ns
	return nil
}
