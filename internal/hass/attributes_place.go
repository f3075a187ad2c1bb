package hass

import entityv1 "github.com/statehouse/statehouse/gen/statehouse/entity/v1"

// Of where somebody or something is, and what the weather is there: device_tracker, person, weather.

var deviceTrackerAttributes = []attribute[*entityv1.DeviceTracker]{
	{"latitude", func(t *entityv1.DeviceTracker) any { return known(t.Latitude) }},
	{"longitude", func(t *entityv1.DeviceTracker) any { return known(t.Longitude) }},
	{"gps_accuracy", func(t *entityv1.DeviceTracker) any { return known(t.LocationAccuracy) }},
	{"battery_level", func(t *entityv1.DeviceTracker) any { return known(t.BatteryLevel) }},
	{"source_type", func(t *entityv1.DeviceTracker) any { return word(t.GetSourceType()) }},
	{"ip", func(t *entityv1.DeviceTracker) any { return known(t.IpAddress) }},
	{"mac", func(t *entityv1.DeviceTracker) any { return known(t.MacAddress) }},
	{"host_name", func(t *entityv1.DeviceTracker) any { return known(t.HostName) }},
}

var personAttributes = []attribute[*entityv1.Person]{
	{"latitude", func(p *entityv1.Person) any { return known(p.Latitude) }},
	{"longitude", func(p *entityv1.Person) any { return known(p.Longitude) }},
	{"gps_accuracy", func(p *entityv1.Person) any { return known(p.LocationAccuracy) }},
	{"source", func(p *entityv1.Person) any { return known(p.Source) }},
}

var weatherAttributes = []attribute[*entityv1.Weather]{
	{"temperature", func(w *entityv1.Weather) any { return known(w.Temperature) }},
	{"apparent_temperature", func(w *entityv1.Weather) any { return known(w.ApparentTemperature) }},
	{"dew_point", func(w *entityv1.Weather) any { return known(w.DewPoint) }},
	{"humidity", func(w *entityv1.Weather) any { return known(w.Humidity) }},
	{"cloud_coverage", func(w *entityv1.Weather) any { return known(w.CloudCoverage) }},
	{"pressure", func(w *entityv1.Weather) any { return known(w.Pressure) }},
	{"wind_speed", func(w *entityv1.Weather) any { return known(w.WindSpeed) }},
	{"wind_gust_speed", func(w *entityv1.Weather) any { return known(w.WindGustSpeed) }},
	{"wind_bearing", func(w *entityv1.Weather) any { return known(w.WindBearing) }},
	{"visibility", func(w *entityv1.Weather) any { return known(w.Visibility) }},
	{"uv_index", func(w *entityv1.Weather) any { return known(w.UvIndex) }},
	{"ozone", func(w *entityv1.Weather) any { return known(w.Ozone) }},
	// Unset they are the ones that attributes.proto names.
	{"temperature_unit", func(w *entityv1.Weather) any { return unitOr(w.TemperatureUnit, "°C") }},
	{"pressure_unit", func(w *entityv1.Weather) any { return unitOr(w.PressureUnit, "hPa") }},
	{"wind_speed_unit", func(w *entityv1.Weather) any { return unitOr(w.WindSpeedUnit, "km/h") }},
	{"visibility_unit", func(w *entityv1.Weather) any { return unitOr(w.VisibilityUnit, "km") }},
}

func unitOr(unit *string, or string) any {
	if unit != nil {
		return *unit
	}
	return or
}
