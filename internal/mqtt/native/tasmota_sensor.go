package native

import (
	"fmt"
	"strconv"
	"strings"

	entityv1 "github.com/statehouse/statehouse/gen/statehouse/entity/v1"
	"github.com/statehouse/statehouse/internal/mqtt/dialect"
)

// Bounds of what a device's sensors say.
const (
	maxSensors     = 200
	maxSensorDepth = 4
	maxPhases      = 16
)

// tasmotaUnits are the keys under which a device says its units, for the classes that have them.
var tasmotaUnits = map[string]struct {
	key   string
	units map[string]string
}{
	"temperature": {"TempUnit", map[string]string{"C": "°C", "F": "°F"}},
	"pressure":    {"PressureUnit", map[string]string{"hPa": "hPa", "mmHg": "mmHg", "inHg": "inHg"}},
	"speed":       {"SpeedUnit", map[string]string{"m/s": "m/s", "km/h": "km/h", "kn": "kn", "mph": "mph", "ft/s": "ft/s", "yd/s": "yd/s"}},
}

// tasmotaIgnored are no sensors: the time, and readers of cards, which say something only when one is held to them.
var tasmotaIgnored = map[string]bool{"Time": true, "PN532": true, "RDM6300": true}

// tasmotaQuantities are what is known of a value by its name. What has a class of tasmotaUnits has the unit that the device says.
var tasmotaQuantities = map[string]reading{
	"Temperature":    measured("", "temperature", ""),
	"DewPoint":       measured("", "temperature", ""),
	"HeatIndex":      measured("", "temperature", ""),
	"Humidity":       measured("", "humidity", "%"),
	"Moisture":       measured("", "moisture", "%"),
	"Pressure":       measured("", "pressure", ""),
	"SeaPressure":    measured("", "pressure", ""),
	"Illuminance":    measured("", "illuminance", "lx"),
	"Ambient":        measured("", "illuminance", "lx"),
	"Power":          measured("", "power", "W"),
	"ActivePower":    measured("", "power", "W"),
	"ApparentPower":  measured("", "apparent_power", "VA"),
	"ReactivePower":  measured("", "reactive_power", "var"),
	"Factor":         measured("", "power_factor", ""),
	"Voltage":        measured("", "voltage", "V"),
	"Current":        measured("", "current", "A"),
	"CurrentNeutral": measured("", "current", "A"),
	"Frequency":      measured("", "frequency", "Hz"),
	"PhaseAngle":     measured("", "", "°"),
	"Total":          {class: "energy", unit: "kWh", kind: total},
	"TotalTariff":    {class: "energy", unit: "kWh", kind: total},
	"Today":          counted("", "energy", "kWh"),
	"Yesterday":      {class: "energy", unit: "kWh"},
	"Energy":         counted("", "energy", "kWh"),
	"ExportActive":   counted("", "energy", "kWh"),
	"ExportTariff":   counted("", "energy", "kWh"),
	"ImportActive":   counted("", "energy", "kWh"),
	"ExportReactive": counted("", "reactive_energy", "kvarh"),
	"ImportReactive": counted("", "reactive_energy", "kvarh"),
	"Battery":        measured("", "battery", "%").diagnosis(),
	"CarbonDioxide":  measured("", "carbon_dioxide", "ppm"),
	"CO2":            measured("", "carbon_dioxide", "ppm"),
	"eCO2":           measured("", "carbon_dioxide", "ppm"),
	"CO":             measured("", "carbon_monoxide", "ppm"),
	"TVOC":           measured("", "volatile_organic_compounds_parts", "ppb"),
	"PM1":            measured("", "pm1", "µg/m³"),
	"PM2.5":          measured("", "pm25", "µg/m³"),
	"PM10":           measured("", "pm10", "µg/m³"),
	"CF1":            measured("", "", "µg/m³"),
	"CF2.5":          measured("", "", "µg/m³"),
	"CF10":           measured("", "", "µg/m³"),
	"PB0.3":          measured("", "", "ppd"),
	"PB0.5":          measured("", "", "ppd"),
	"PB1":            measured("", "", "ppd"),
	"PB2.5":          measured("", "", "ppd"),
	"PB5":            measured("", "", "ppd"),
	"PB10":           measured("", "", "ppd"),
	"Distance":       measured("", "distance", "cm"),
	"Weight":         measured("", "weight", "kg"),
	"CCT":            measured("", "", "K"),
	"Speed":          measured("", "speed", ""),
	"Proximity":      measured("", "", ""),
	"Red":            measured("", "", "R"),
	"Green":          measured("", "", "G"),
	"Blue":           measured("", "", "B"),
	"RSSI":           measured("", "signal_strength", "dBm").diagnosis(),
	"TotalStartTime": reading{}.diagnosis(),
	"Id":             reading{}.diagnosis(),
}

// sensors are the values of what the device announces as its sensors.
func (c *tasmotaConfig) sensors(sn *entityv1.Value) []entity {
	w := &tasmotaWalk{tasmotaConfig: c, root: dialect.Node{Value: sn}, keys: map[string]bool{}}
	for _, f := range sn.GetStructValue().GetFields() {
		if f.GetValue().GetStructValue() != nil && !tasmotaIgnored[f.GetName()] && usable(f.GetName()) {
			w.walk(f.GetValue(), []any{f.GetName()}, "")
		}
	}
	return w.found
}

// usable says that a name can stand in a template.
func usable(name string) bool { return name != "" && len(name) <= maxName && plainText(name) }

// tasmotaWalk collects the values of all that is announced.
type tasmotaWalk struct {
	*tasmotaConfig
	root  dialect.Node
	found []entity
	keys  map[string]bool // of found
}

// walk adds what is below a path. Quantity is the name that says what is measured: that of a list stands for all in it, and
// one within a known quantity ("Speed": {"Act": …}) is of that.
func (w *tasmotaWalk) walk(v *entityv1.Value, path []any, quantity string) {
	if len(w.found) >= maxSensors || len(path) > maxSensorDepth {
		return
	}
	switch k := v.GetKind().(type) {
	case *entityv1.Value_StructValue:
		for _, f := range k.StructValue.GetFields() {
			if !usable(f.GetName()) {
				continue
			}
			of := f.GetName()
			if _, ok := tasmotaQuantities[of]; !ok && quantity != "" {
				of = quantity
			}
			w.walk(f.GetValue(), append(path[:len(path):len(path)], f.GetName()), of)
		}
	case *entityv1.Value_ListValue:
		for i, one := range k.ListValue.GetValues()[:min(len(k.ListValue.GetValues()), maxPhases)] {
			w.walk(one, append(path[:len(path):len(path)], i), quantity)
		}
	default:
		w.add(v, path, quantity)
	}
}

// add adds one value.
func (w *tasmotaWalk) add(v *entityv1.Value, path []any, quantity string) {
	steps := make([]string, len(path))
	for i, s := range path {
		steps[i] = fmt.Sprint(s)
	}
	key := "sensor_" + strings.Join(steps, "_")
	if w.keys[key] { // names with an underscore in another place
		return
	}
	w.keys[key] = true
	r := tasmotaQuantities[quantity]
	if _, isText := dialect.TextOf(v); isText { // "Card": "WSW" is no speed
		r = reading{category: r.category}
	}
	_, r.numeric = dialect.DoubleOf(v)
	r.name = strings.Join(steps, " ")
	if u, ok := tasmotaUnits[r.class]; ok {
		unit, known := u.units[w.root.Str(u.key)]
		if !known { // without its unit it is of no class
			r.class = ""
		}
		r.unit = unit
	}
	from := []source{{w.tele + "SENSOR", inJSON(path...)}}
	for _, status := range []int{10, 8} {
		from = append(from, source{w.stat + "STATUS" + strconv.Itoa(status), inJSON(append([]any{"StatusSNS"}, path...)...)})
	}
	w.found = append(w.found, r.entity(key, "", sources(from...), w.common))
}
