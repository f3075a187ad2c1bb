package discovery

import (
	"fmt"
	"strings"

	entityv1 "github.com/statehouse/statehouse/gen/statehouse/entity/v1"
	"github.com/statehouse/statehouse/internal/mqtt/dialect"
)

// deviceTrackerComponent is where a device is: a word, or a place among its JSON attributes.
var deviceTrackerComponent = Component{
	Name: "device_tracker", Domain: "device_tracker",
	Check: func(c Config) error {
		if _, ok := trackerSources[c.Word("source_type", "gps")]; !ok {
			return fmt.Errorf("%w: a source_type %.40q is not known; there are gps, router, bluetooth, bluetooth_le", ErrIncomplete, c.Word("source_type", ""))
		}
		if !listens(c, keyJSONAttributes) {
			return needsAll("device_tracker", "state_topic")(c)
		}
		return validTopics(c)
	},
	Describe: func(c Config, e *entityv1.Entity) {
		if listens(c, "state_topic") {
			addFeature(e, &entityv1.Feature{Name: "location", Readable: true})
		}
		if listens(c, keyJSONAttributes) {
			for _, name := range []string{"latitude", "longitude", "location_accuracy", "battery_level"} {
				addFeature(e, &entityv1.Feature{Name: name, Readable: true})
			}
		}
	},
	Inputs: func(c Config) []Input {
		return inputsOf(
			Input{Sources: c.Sources("state_topic", "value_template"), Set: unlessEmpty(trackerSetter(c))},
			Input{Sources: c.Sources(keyJSONAttributes, "json_attributes_template"), Set: unlessEmpty(trackerPlaceSetter(c))},
		)
	},
	Finish: func(_ Config, a *entityv1.Attributes) { leaveTyped(a) },
}

var trackerSources = map[string]entityv1.TrackerSourceType{
	"gps":          entityv1.TrackerSourceType_TRACKER_SOURCE_TYPE_GPS,
	"router":       entityv1.TrackerSourceType_TRACKER_SOURCE_TYPE_ROUTER,
	"bluetooth":    entityv1.TrackerSourceType_TRACKER_SOURCE_TYPE_BLUETOOTH,
	"bluetooth_le": entityv1.TrackerSourceType_TRACKER_SOURCE_TYPE_BLUETOOTH_LE,
}

// trackerOf is the tracker in a, made where there is none, and how it knows.
func trackerOf(c Config, a *entityv1.Attributes) *entityv1.DeviceTracker {
	if a.GetDeviceTracker() == nil {
		a.Domain = &entityv1.Attributes_DeviceTracker{DeviceTracker: &entityv1.DeviceTracker{}}
	}
	a.GetDeviceTracker().SourceType = trackerSources[c.Word("source_type", "gps")]
	return a.GetDeviceTracker()
}

// Words for where a device is.
const (
	atHome  = "home"
	notHome = "not_home"
)

func trackerSetter(c Config) setter {
	home, away, reset := c.Word("payload_home", atHome), c.Word("payload_not_home", notHome), c.Word("payload_reset", "None")
	return func(a *entityv1.Attributes, s Said) error {
		const longest = 255
		location := s.Text // the name of a zone
		switch {
		case s.Text == home:
			location = atHome
		case s.Text == away:
			location = notHome
		case s.Text == reset || s.Unknown():
			trackerOf(c, a).Location = nil
			return nil
		case len(s.Text) > longest:
			return unfit(s, "the name of a zone")
		}
		trackerOf(c, a).Location = &location
		return nil
	}
}

// trackerPlaceSetter reads the place among the attributes. One that is wrong or half there is not known. The rest of the attributes is
// for the input that all components have.
func trackerPlaceSetter(c Config) setter {
	return func(a *entityv1.Attributes, s Said) error {
		o := s.object()
		if o == nil {
			return unfit(s, "an object with latitude and longitude")
		}
		within := func(key string, low, high float64) *float64 {
			n, ok := dialect.DoubleOf(o.Get(key).Value)
			if !ok || !(n >= low && n <= high) {
				return nil
			}
			return &n
		}
		t := trackerOf(c, a)
		if o.Has("latitude") || o.Has("longitude") {
			t.Latitude, t.Longitude = within("latitude", -90, 90), within("longitude", -180, 180)
			if t.Latitude == nil || t.Longitude == nil {
				t.Latitude, t.Longitude = nil, nil
			}
			t.LocationAccuracy = within("gps_accuracy", 0, 1e8)
		}
		if o.Has("in_zones") {
			t.Location = zoneOf(o.Words("in_zones"))
		}
		if o.Has("battery_level") {
			t.BatteryLevel = within("battery_level", 0, 100)
		}
		return nil
	}
}

// zoneOf is where a device is that is in these zones, nil where one word cannot say it.
func zoneOf(zones []string) *string {
	location := notHome
	for _, z := range zones {
		name := strings.TrimPrefix(z, "zone.")
		if name == atHome {
			return &name // whatever else is around it
		}
		location = name
	}
	if len(zones) > 1 {
		return nil
	}
	return &location
}

// leaveTyped takes from the extra what the typed fields say.
func leaveTyped(a *entityv1.Attributes) {
	t := a.GetDeviceTracker()
	if t == nil {
		return
	}
	for name, field := range map[string]*float64{
		"latitude": t.Latitude, "longitude": t.Longitude, "gps_accuracy": t.LocationAccuracy, "battery_level": t.BatteryLevel,
	} {
		if n, ok := dialect.DoubleOf(dialect.ExtraOf(a, name)); ok && field != nil && n == *field {
			dialect.SetExtra(a, name, nil)
		}
	}
}
