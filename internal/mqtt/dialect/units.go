package dialect

import (
	"maps"
	"strings"
)

// NormalizeUnit is the one spelling of a unit, that of Home Assistant's constants: "lx" for lux, "°C" for degC. A unit that is
// not known stays as it is, without the blanks around it; numbers are never converted. The device class decides what is
// ambiguous without it: "w" is weeks, and watts of a power.
func NormalizeUnit(unit, deviceClass string) string {
	// Home Assistant's micro is the Greek letter, U+03BC; most keyboards have the sign U+00B5.
	unit = strings.ReplaceAll(strings.TrimSpace(unit), "\u00b5", "\u03bc")
	if own, ok := classSpellings[deviceClass][unit]; ok {
		return own
	}
	if one, ok := unitSpellings[unit]; ok {
		return one
	}
	return unit
}

// celsius are spellings that mean a temperature only where nothing says otherwise: C is the coulomb's, F the farad's.
var celsius = map[string]string{"C": "°C", "F": "°F"}

// classSpellings are the spellings that are those of a unit only within a device class.
var classSpellings = func() map[string]map[string]string {
	temperature := map[string]string{"c": "°C", "f": "°F", "k": "K"}
	maps.Copy(temperature, celsius)
	return map[string]map[string]string{
		"":                  celsius,
		"temperature":       temperature,
		"temperature_delta": temperature,
		"power":             {"w": "W"},
		"voltage":           {"v": "V"},
		"current":           {"a": "A"},
		"duration":          {"H": "h", "S": "s", "D": "d"},
	}
}()

// unitSpellings are the units by their other spellings.
var unitSpellings = func() map[string]string {
	all := make(map[string]string)
	for unit, others := range units {
		for other := range strings.SplitSeq(others, "|") {
			all[other] = unit
		}
	}
	return all
}()

// units have the other spellings of each.
var units = map[string]string{
	"%":  "percent|Percent|pct|%RH|% RH|%rh|% rh|RH%|rH%|％",
	"°":  "deg|degree|degrees|º",
	"°C": "℃|ºC|˚C|°c|degC|deg C|deg_C|celsius|Celsius|degrees C|° C",
	"°F": "℉|ºF|˚F|°f|degF|deg F|deg_F|fahrenheit|Fahrenheit|degrees F|° F",
	"K":  "kelvin|Kelvin|°K",
	"lx": "lux|Lux|LUX|Lx|LX", "lm": "lumen|lumens",
	"W/m²": "W/m2|W/m^2|w/m2|w/m²", "UV index": "UV Index|uv index|UVI|uvi|UV-Index",

	"μs": "us|usec|microseconds", "ms": "msec|msecs|millisecond|milliseconds",
	"s": "sec|Sec|secs|second|seconds|Seconds", "min": "mins|minute|minutes|Minutes|Min",
	"h": "hr|hrs|hour|hours|Hours", "d": "day|days|Days", "w": "week|weeks", "y": "year|years",

	"W": "watt|watts|Watt|Watts", "kW": "kw|KW|Kw", "mW": "milliwatt", "BTU/h": "btu/h|BTU/hr",
	"Wh": "wh|WH", "kWh": "kwh|KWH|KWh|kwH|Kwh|kW·h|kW⋅h", "MWh": "Mwh|MWH",
	"VA": "va|Va", "kVA": "kva|KVA", "var": "VAr|VAR|Var|vAr", "kvar": "kVAr|kVAR|KVAR", "varh": "VArh|VARh", "kvarh": "kVArh|kVARh",
	"V": "volt|volts|Volt|Volts", "mV": "mv|millivolt|millivolts", "kV": "kv", "μV": "uV",
	"A": "amp|amps|Amp|Amps|ampere|amperes", "mA": "ma|milliamp|milliamps",
	"Hz": "hz|HZ|hertz|Hertz", "kHz": "khz|KHz|KHZ", "MHz": "mhz|Mhz|MHZ", "GHz": "ghz|Ghz|GHZ",
	"Ω": "\u2126|ohm|Ohm|ohms|Ohms", // the sign of the ohm is not the letter

	"Pa": "pascal|Pascal", "hPa": "hpa|HPA|hPA|Hpa", "kPa": "kpa|KPA|KPa", "bar": "Bar|BAR", "mbar": "mBar|MBAR|millibar",
	"mmHg": "mmhg|mm Hg", "inHg": "inhg|in Hg", "psi": "PSI|Psi",
	"dB": "db|DB|decibel", "dBA": "dba|dB(A)|db(A)", "dBm": "dbm|DBm|DBM",

	"ppm": "PPM|Ppm", "ppb": "PPB|Ppb",
	"μg/m³": "ug/m3|ug/m³|ug/m^3|μg/m3|μg/m^3|mcg/m3|mcg/m³", "mg/m³": "mg/m3|mg/m^3", "g/m³": "g/m3|g/m^3", "p/m³": "p/m3|#/m3",
	"μg/ft³": "ug/ft3|ug/ft³|μg/ft3", "μS/cm": "uS/cm|us/cm|μs/cm", "mS/cm": "ms/cm",
	"μSv/h": "uSv/h|uSv/hr|μSv/hr",

	"mm": "millimeter|millimeters|millimetre|millimetres", "cm": "centimeter|centimeters|centimetre|centimetres",
	"m": "meter|meters|metre|metres", "km": "kilometer|kilometers|kilometre|kilometres",
	"in": "inch|inches", "ft": "foot|feet", "mi": "mile|miles",
	"m²": "m2|m^2|sqm|㎡", "ft²": "ft2|ft^2|sqft", "m³": "m3|m^3|cbm|㎥|cubic meters", "ft³": "ft3|ft^3|cuft|cu ft",
	"L": "l|ℓ|liter|liters|litre|litres|Liter|Liters", "mL": "ml|milliliter|milliliters", "gal": "gallon|gallons",
	"g": "gram|grams", "kg": "Kg|KG|kilogram|kilograms", "mg": "milligram|milligrams", "μg": "ug|mcg",
	"lb": "lbs|pound|pounds", "oz": "ounce|ounces",

	"m/s": "m/sec|mps|m·s⁻¹", "km/h": "kmh|km/hr|kph|kmph|Km/h|KM/H", "mph": "MPH|mi/h", "kn": "kt|kts|knot|knots",
	"mm/h": "mm/hr|mm/hour", "in/h": "in/hr", "rpm": "RPM|r/min|rev/min|Rpm",
	"L/min": "l/min|lpm|LPM|L/minute", "L/h": "l/h|l/hr|L/hr", "L/s": "l/s", "mL/s": "ml/s",
	"m³/h": "m3/h|m^3/h|m³/hr|m3/hr|cbm/h", "m³/min": "m3/min", "m³/s": "m3/s",
	"ft³/min": "ft3/min|ft³/m|ft3/m|cfm|CFM", "gal/min": "gpm|GPM",

	"bit": "bits|Bit|Bits", "B": "byte|bytes|Byte|Bytes", "kB": "KB", "KiB": "kiB", "bit/s": "bps|bits/s",
	"kbit/s": "kbps|Kbps|kb/s", "Mbit/s": "Mbps|mbps|Mb/s", "Gbit/s": "Gbps|gbps|Gb/s", "B/s": "bytes/s|Bytes/s", "kB/s": "KB/s|kBps",
	"MB/s": "MBps",
}
