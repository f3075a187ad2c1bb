package dialect

import (
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestNormalizeUnit(t *testing.T) {
	for _, c := range []struct{ unit, class, want string }{
		{"lux", "illuminance", "lx"}, {"Lx", "", "lx"}, {"lx", "", "lx"},
		{"sec", "", "s"}, {"seconds", "duration", "s"}, {"minutes", "duration", "min"}, {"min", "", "min"}, {"h", "", "h"}, {"d", "", "d"},
		{"\u00b5g/m³", "pm25", "\u03bcg/m³"}, {"\u03bcg/m³", "pm25", "\u03bcg/m³"}, {"ug/m3", "", "\u03bcg/m³"}, {"mg/m3", "", "mg/m³"},
		{"\u00b5S/cm", "conductivity", "\u03bcS/cm"}, {"\u00b5things", "", "\u03bcthings"},
		{"C", "temperature", "°C"}, {"C", "", "°C"}, {"C", "energy", "C"}, {"degC", "", "°C"}, {"℃", "", "°C"}, {"°C", "temperature", "°C"},
		{"F", "temperature", "°F"}, {"F", "pressure", "F"}, {"K", "", "K"}, {"k", "temperature", "K"}, {"k", "", "k"},
		{"%", "humidity", "%"}, {"%RH", "humidity", "%"},
		{"W", "", "W"}, {"w", "power", "W"}, {"w", "duration", "w"}, {"w", "", "w"}, {"kw", "", "kW"}, {"kwh", "energy", "kWh"}, {"KWH", "", "kWh"},
		{"mW", "power", "mW"}, {"MW", "power", "MW"}, // never by the letters alone: one is a billion of the other
		{"VAr", "", "var"}, {"VA", "", "VA"}, {"v", "voltage", "V"}, {"v", "", "v"}, {"mV", "", "mV"}, {"ma", "", "mA"},
		{"hpa", "", "hPa"}, {"mbar", "", "mbar"}, {"kPa", "", "kPa"}, {"ppm", "", "ppm"}, {"PPB", "", "ppb"},
		{"m3", "", "m³"}, {"m³", "", "m³"}, {"l", "", "L"}, {"l/min", "", "L/min"}, {"dBm", "", "dBm"}, {"db", "", "dB"},
		{"km/h", "", "km/h"}, {"kph", "", "km/h"}, {"m/s", "", "m/s"}, {"m", "", "m"}, {"RPM", "", "rpm"},
		{"B", "", "B"}, {"KB", "", "kB"}, {"MB", "", "MB"}, {"GiB", "", "GiB"}, {"bits", "", "bit"}, {"bit/s", "", "bit/s"}, {"Mbps", "", "Mbit/s"},
		{"  lqi ", "", "lqi"}, {"", "", ""}, {" \t", "", ""}, {"dB/m", "", "dB/m"},
	} {
		if got := NormalizeUnit(c.unit, c.class); got != c.want {
			t.Errorf("%q of class %q is %q, want %q", c.unit, c.class, got, c.want)
		}
	}
}

// TestUnitSpellings: a spelling is of one unit, and no unit is another spelling of a second.
func TestUnitSpellings(t *testing.T) {
	listed := 0
	for _, others := range units {
		listed += len(strings.Split(others, "|"))
	}
	if listed != len(unitSpellings) {
		t.Errorf("%d spellings, of which %d differ", listed, len(unitSpellings))
	}
	for other, unit := range unitSpellings {
		if _, both := unitSpellings[unit]; both || other == unit || other == "" || strings.TrimSpace(other) != other {
			t.Errorf("%q is a spelling of %q", other, unit)
		}
	}
	for class, spellings := range classSpellings {
		for other, unit := range spellings {
			if general, ok := unitSpellings[other]; ok || NormalizeUnit(unit, class) != unit {
				t.Errorf("class %q: %q is %q, and %q elsewhere", class, other, unit, general)
			}
		}
	}
}

func TestNormalizeUnitTwice(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		class := rapid.SampledFrom([]string{"", "temperature", "power", "duration", "energy"}).Draw(t, "class")
		once := NormalizeUnit(rapid.String().Draw(t, "unit"), class)
		if twice := NormalizeUnit(once, class); twice != once {
			t.Errorf("%q and then %q", once, twice)
		}
	})
}
