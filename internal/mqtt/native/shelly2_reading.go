package native

// shelly2Models are models of the second and later generations.
var shelly2Models = map[string]shellyModel{
	"shelly1g3":         {name: "Shelly 1 Gen3", single: "switch input"},
	"shelly1g4":         {name: "Shelly 1 Gen4", single: "switch input"},
	"shelly1minig3":     {name: "Shelly 1 Mini Gen3", single: "switch input"},
	"shelly1minig4":     {name: "Shelly 1 Mini Gen4", single: "switch input"},
	"shelly1pmg3":       {name: "Shelly 1PM Gen3", single: "switch input"},
	"shelly1pmg4":       {name: "Shelly 1PM Gen4", single: "switch input"},
	"shelly1pmminig3":   {name: "Shelly 1PM Mini Gen3", single: "switch input"},
	"shelly1pmminig4":   {name: "Shelly 1PM Mini Gen4", single: "switch input"},
	"shelly2pmg3":       {name: "Shelly 2PM Gen3", single: "cover"},
	"shelly2pmg4":       {name: "Shelly 2PM Gen4", single: "cover"},
	"shelly3em63g3":     {name: "Shelly 3EM-63 Gen3"},
	"shellyblugw":       {name: "Shelly BLU Gateway"},
	"shellyblugwg3":     {name: "Shelly BLU Gateway Gen3"},
	"shellyddimmerg3":   {name: "Shelly DALI Dimmer Gen3", single: "light"},
	"shellydimmerg3":    {name: "Shelly Dimmer Gen3", single: "light"},
	"shelly0110dimg3":   {name: "Shelly Dimmer 0/1-10V PM Gen3", single: "light"},
	"shellyemg3":        {name: "Shelly EM Gen3", single: "switch"},
	"shellyfloodg4":     {name: "Shelly Flood Gen4", sleeps: true},
	"shellyhtg3":        {name: "Shelly H&T Gen3", sleeps: true},
	"shellyi4g3":        {name: "Shelly i4 Gen3"},
	"shellyplugsg3":     {name: "Shelly Plug S Gen3", single: "switch"},
	"shellypmminig3":    {name: "Shelly PM Mini Gen3", single: "pm1"},
	"shellyplus010v":    {name: "Shelly Plus 0-10V Dimmer", single: "light"},
	"shellyplus1":       {name: "Shelly Plus 1", single: "switch input"},
	"shellyplus1mini":   {name: "Shelly Plus 1 Mini", single: "switch input"},
	"shelly1mini":       {name: "Shelly Plus 1 Mini", single: "switch input"},
	"shellyplus1pm":     {name: "Shelly Plus 1PM", single: "switch input"},
	"shelly1pmmini":     {name: "Shelly Plus 1PM Mini", single: "switch input"},
	"shellyplus2pm":     {name: "Shelly Plus 2PM", single: "cover"},
	"shellyplusht":      {name: "Shelly Plus H&T", sleeps: true},
	"shellyplusi4":      {name: "Shelly Plus i4"},
	"shellyplusplugit":  {name: "Shelly Plus Plug IT", single: "switch"},
	"shellyplusplugs":   {name: "Shelly Plus Plug S", single: "switch"},
	"shellyplusplugus":  {name: "Shelly Plus Plug US", single: "switch"},
	"shellyplusrgbwpm":  {name: "Shelly Plus RGBW PM", single: "rgb rgbw"},
	"shellyplussmoke":   {name: "Shelly Plus Smoke", sleeps: true},
	"shellyplusuni":     {name: "Shelly Plus Uni"},
	"shellyplusplugpm":  {name: "Shelly Plus Plug PM", single: "switch"},
	"shellypmmini":      {name: "Shelly Plus PM Mini", single: "pm1"},
	"shellypro1":        {name: "Shelly Pro 1", single: "switch"},
	"shellypro1pm":      {name: "Shelly Pro 1PM", single: "switch"},
	"shellypro2":        {name: "Shelly Pro 2"},
	"shellypro2cover":   {name: "Shelly Pro Dual Cover PM"},
	"shellypro2pm":      {name: "Shelly Pro 2PM", single: "cover"},
	"shellypro3":        {name: "Shelly Pro 3"},
	"shellypro3em":      {name: "Shelly Pro 3EM", single: "switch"},
	"shellypro4pm":      {name: "Shelly Pro 4PM"},
	"shellyprodm1pm":    {name: "Shelly Pro Dimmer 1PM", single: "light"},
	"shellyprodm2pm":    {name: "Shelly Pro Dimmer 2PM"},
	"shellyproem50":     {name: "Shelly Pro EM-50", single: "switch"},
	"shellyprorgbwwpm":  {name: "Shelly Pro RGBWW PM", single: "rgb rgbw"},
	"shellywalldisplay": {name: "Shelly Wall Display", single: "switch"},
}

// shelly2Channels are what components are called.
var shelly2Channels = map[string]string{
	"switch": "Switch", "light": "Light", "rgb": "RGB light", "rgbw": "RGBW light", "cct": "CCT light", "cover": "Cover", "input": "Input",
	"pm1": "Power meter", "em1": "Energy meter", "em1data": "Energy meter", "thermostat": "Thermostat", "boolean": "Boolean",
	"number": "Number", "text": "Text", "enum": "Enum", "temperature": "", "humidity": "", "illuminance": "", "devicepower": "",
	"smoke": "", "flood": "", "voltmeter": "Voltmeter", "presence": "",
}

// shelly2Numbered are the kinds of which most devices have several, so that the first one has its number, too.
var shelly2Numbered = map[string]bool{
	"switch": true, "light": true, "rgb": true, "rgbw": true, "cct": true, "cover": true, "input": true, "pm1": true, "em1": true,
	"em1data": true, "boolean": true, "number": true, "text": true, "enum": true,
}

// shelly2Reading is a reading of a component.
type shelly2Reading struct {
	path []any
	reading
	// part is its key where the path is that of another reading, too.
	part string
	// sign is the path by which it is known that the component has it, where that is another.
	sign []any
	// template makes one of the component's path and of whether all of the component is said; nil is for the value at the path.
	template func(component, whole string) string
}

// knownBy is the path by which it is known that a component has the reading.
func (r shelly2Reading) knownBy() []any {
	if r.sign != nil {
		return r.sign
	}
	return r.path
}

// key names the reading within its component.
func (r shelly2Reading) key() string {
	if r.part != "" {
		return r.part
	}
	return pathKey(r.path)
}

// shelly2Readings are what components say, by kind.
var shelly2Readings = shelly2Table()

// field is a reading of one field.
func field(name string, r reading) shelly2Reading {
	return shelly2Reading{path: []any{name}, reading: r}
}

func shelly2Table() map[string][]shelly2Reading {
	power := measured("Power", "power", "W")
	apparent, factor := measured("Apparent power", "apparent_power", "VA"), measured("Power factor", "power_factor", "")
	voltage, current := measured("Voltage", "voltage", "V").hidden(), measured("Current", "current", "A").hidden()
	frequency := measured("Frequency", "frequency", "Hz").hidden()
	energy, returned := counted("Energy", "energy", "Wh"), counted("Energy returned", "energy", "Wh")
	counter := func(name string, r reading) shelly2Reading {
		return shelly2Reading{path: []any{name, "total"}, reading: r}
	}
	inside := shelly2Reading{path: []any{"temperature", "tC"}, reading: measured("Temperature", "temperature", "°C").diagnosis().hidden()}
	metered := []shelly2Reading{
		field("apower", power), field("voltage", voltage), field("current", current), field("pf", factor.hidden()), field("freq", frequency),
		counter("aenergy", energy), counter("ret_aenergy", returned), inside,
	}
	metered = append(metered, shelly2Problems("overtemp", "Overheating", "overpower", "Overpowering", "overvoltage", "Overvoltage",
		"undervoltage", "Undervoltage", "overcurrent", "Overcurrent")...)
	meter := func(prefix, phase string, hide func(reading) reading) []shelly2Reading {
		of := func(name string, r reading) shelly2Reading {
			r.name = join(phase, r.name)
			return field(prefix+name, r)
		}
		return []shelly2Reading{
			of("act_power", power), of("aprt_power", apparent), of("pf", factor), of("voltage", voltage), of("current", current),
			of("freq", frequency), of("total_act_energy", hide(energy)), of("total_act_ret_energy", hide(returned)),
		}
	}
	same := func(r reading) reading { return r }
	em := []shelly2Reading{
		field("total_act_power", power), field("total_aprt_power", apparent), field("total_current", current),
		field("total_act", energy), field("total_act_ret", returned), field("n_current", named(current, "Neutral current")),
	}
	for i, phase := range []string{"a_", "b_", "c_"} {
		em = append(em, meter(phase, "Phase "+string(rune('A'+i)), reading.hidden)...)
	}
	battery := []shelly2Reading{
		{path: []any{"battery", "percent"}, reading: measured("Battery", "battery", "%").diagnosis()},
		{path: []any{"battery", "V"}, reading: measured("Battery voltage", "voltage", "V").diagnosis().hidden()},
		{path: []any{"external", "present"}, reading: flagged("External power", "power").diagnosis()},
	}
	all := map[string][]shelly2Reading{
		"em": em, "emdata": em, "em1": meter("", "", same), "em1data": meter("", "", same), "pm1": metered, "devicepower": battery,
		"temperature": {field("tC", measured("Temperature", "temperature", "°C"))},
		"humidity":    {field("rh", measured("Humidity", "humidity", "%"))},
		"illuminance": {field("lux", measured("Illuminance", "illuminance", "lx"))},
		"smoke":       {field("alarm", flagged("Smoke", "smoke"))},
		"flood":       {field("alarm", flagged("Flood", "moisture")), field("mute", flagged("Mute", "").diagnosis())},
		"presence":    {field("num_objects", measured("Detected objects", "", ""))},
		"voltmeter":   {field("voltage", measured("", "voltage", "V"))},
		"input": {
			field("percent", measured("", "", "%")), {path: []any{"counts", "total"}, reading: counted("Pulses", "", "")},
			field("freq", measured("Pulse frequency", "frequency", "Hz")),
		},
		"sys": {
			field("uptime", measured("Uptime", "duration", "s").diagnosis().hidden()),
			field("restart_required", flagged("Restart required", "problem").diagnosis().hidden()),
		},
		"wifi":  {field("rssi", measured("Signal strength", "signal_strength", "dBm").diagnosis().hidden())},
		"cloud": {field("connected", flagged("Cloud", "connectivity").diagnosis().hidden())},
		// Components that the user made say a value and no more.
		"number": {field("value", reading{kind: measurement})}, "text": {field("value", reading{})}, "enum": {field("value", reading{})},
	}
	for _, kind := range []string{"switch", "light", "rgb", "rgbw", "cct", "cover"} {
		all[kind] = metered
	}
	return all
}

// named is a reading by another name.
func named(r reading, name string) reading {
	r.name = name
	return r
}

// shelly2Problems are what may stand in a list of errors, by name and what it is called. The list is there only while there are
// any, so that where all of a component is said it has none without it.
func shelly2Problems(names ...string) []shelly2Reading {
	var all []shelly2Reading
	for i := 0; i+1 < len(names); i += 2 {
		problem := names[i]
		all = append(all, shelly2Reading{
			path: []any{"errors"}, part: problem, sign: []any{"apower"}, reading: flagged(names[i+1], "problem").diagnosis(),
			template: func(component, whole string) string {
				errors := component + ".errors"
				return "{% if " + errors + " is defined or " + whole + " %}{{ '" + problem + "' in (" + errors + " | default([], true)) }}{% endif %}"
			},
		})
	}
	return all
}
