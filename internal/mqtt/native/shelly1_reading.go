package native

import (
	"github.com/statehouse/statehouse/internal/mqtt/dialect"
	"github.com/statehouse/statehouse/state"
)

// shelly1Models are the models of the first generation.
var shelly1Models = map[string]shellyModel{
	"shelly1":            {name: "Shelly 1", single: "relay input"},
	"shelly1l":           {name: "Shelly 1L", single: "relay"},
	"shelly1pm":          {name: "Shelly 1PM", single: "relay input"},
	"shelly2led":         {name: "Shelly 2LED"},
	"shelly4pro":         {name: "Shelly 4Pro"},
	"shellyair":          {name: "Shelly Air", single: "relay input"},
	"shellybulb":         {name: "Shelly Bulb", single: "light color white"},
	"shellybulbduo":      {name: "Shelly Duo", single: "light"},
	"shellybutton1":      {name: "Shelly Button1", single: "input", sleeps: true},
	"shellycolorbulb":    {name: "Shelly Bulb RGBW", single: "light color white"},
	"shellydimmer":       {name: "Shelly Dimmer", single: "light"},
	"shellydimmer2":      {name: "Shelly Dimmer 2", single: "light"},
	"shellydw":           {name: "Shelly Door/Window", sleeps: true},
	"shellydw2":          {name: "Shelly Door/Window 2", sleeps: true},
	"shellyem":           {name: "Shelly EM", single: "relay"},
	"shellyem3":          {name: "Shelly 3EM", single: "relay"},
	"shellyflood":        {name: "Shelly Flood", sleeps: true},
	"shellygas":          {name: "Shelly Gas", single: "valve"},
	"shellyht":           {name: "Shelly H&T", sleeps: true},
	"shellyix3":          {name: "Shelly i3"},
	"shellymotionsensor": {name: "Shelly Motion"},
	"shellymotion2":      {name: "Shelly Motion 2"},
	"shellyplug":         {name: "Shelly Plug", single: "relay"},
	"shellyplug-e":       {name: "Shelly Plug E", single: "relay"},
	"shellyplug-s":       {name: "Shelly Plug S", single: "relay"},
	"shellyplug-u1":      {name: "Shelly Plug US", single: "relay"},
	"shellyrgbw2":        {name: "Shelly RGBW2", single: "color input"},
	"shellysense":        {name: "Shelly Sense"},
	"shellysmoke":        {name: "Shelly Smoke", sleeps: true},
	"shellyswitch":       {name: "Shelly 2", single: "roller"},
	"shellyswitch25":     {name: "Shelly 2.5", single: "roller"},
	"shellytrv":          {name: "Shelly TRV", single: "thermostat"},
	"shellyuni":          {name: "Shelly Uni"},
	"shellyvintage":      {name: "Shelly Vintage", single: "light"},
}

// shelly1Channels are what the components of a device are called, where it has several.
var shelly1Channels = map[string]string{
	"relay": "Relay", "roller": "Roller", "light": "Light", "color": "Light", "white": "White", "input": "Input", "valve": "Valve",
	"ext_temperature": "External temperature", "ext_humidity": "External humidity", "ext_switch": "External switch", "adc": "ADC",
}

// shelly1Reading is a reading of a topic. The template may be empty.
type shelly1Reading struct {
	reading
	template string
}

const (
	// wattHours makes hours of a counter of minutes.
	wattHours = "{{ (value | float / 60) | round(3) }}"
	// yesNo is a word for on or for off, of all that devices write. Others, such as -1 for not known, say nothing.
	yesNo = "{% set said = value | lower %}{% if said in ['true', '1'] %}True{% elif said in ['false', '0'] %}False{% endif %}"
	// unless999 is a temperature or a humidity, which is 999 while no probe answers.
	unless999 = "{{ value if value | float != 999 else None }}"
	// unlessNegative is a value, which is -1 while it is not known.
	unlessNegative = "{{ value if value | float >= 0 else None }}"
)

// yes is a binary sensor.
func yes(name, class string) shelly1Reading {
	return shelly1Reading{reading: flagged(name, class), template: yesNo}
}

// shelly1Readings are what topics say.
var shelly1Readings = shelly1Table()

func shelly1Table() map[string]shelly1Reading {
	power := shelly1Reading{reading: measured("Power", "power", "W")}
	energy := shelly1Reading{reading: counted("Energy", "energy", "Wh"), template: wattHours}
	tripped := shelly1Reading{reading: reading{name: "Overpower value", class: "power", unit: "W"}.diagnosis().hidden()}
	all := map[string]shelly1Reading{
		"relay/power":              power,
		"relay/energy":             energy,
		"roller/#/stop_reason":     {reading: enum("Stop reason", "normal", "safety_switch", "obstacle", "overpower").diagnosis().hidden()},
		"emeter/#/power":           power,
		"emeter/#/total":           {reading: counted("Energy", "energy", "Wh")},
		"emeter/#/voltage":         {reading: measured("Voltage", "voltage", "V")},
		"emeter/#/current":         {reading: measured("Current", "current", "A")},
		"emeter/#/pf":              {reading: measured("Power factor", "power_factor", "")},
		"temperature":              {reading: measured("Device temperature", "temperature", "°C").diagnosis().hidden()},
		"temperature_status":       {reading: enum("Temperature status", "Normal", "High", "Very High").diagnosis().hidden()},
		"voltage":                  {reading: measured("Voltage", "voltage", "V").hidden()},
		"ext_temperature/#":        {measured("", "temperature", "°C"), unless999},
		"ext_humidity/#":           {measured("", "humidity", "%"), unless999},
		"adc/#":                    {reading: measured("", "voltage", "V")},
		"sensor/temperature":       {measured("Temperature", "temperature", "°C"), unless999},
		"sensor/humidity":          {measured("Humidity", "humidity", "%"), unless999},
		"sensor/battery":           {measured("Battery", "battery", "%").diagnosis(), unlessNegative},
		"sensor/lux":               {measured("Illuminance", "illuminance", "lx"), unlessNegative},
		"sensor/tilt":              {measured("Tilt", "", "°"), unlessNegative},
		"sensor/illumination":      {reading: enum("Illumination", "dark", "twilight", "bright", "unknown").diagnosis()},
		"sensor/concentration":     {measured("Gas concentration", "", "ppm"), unlessNegative},
		"sensor/operation":         {reading: enum("Operation", "unknown", "warmup", "normal", "fault")},
		"sensor/gas":               {reading: enum("Gas detected", "unknown", "none", "mild", "heavy", "test").diagnosis()},
		"sensor/self_test":         {reading: enum("Self test", "unknown", "not_completed", "completed", "running", "pending").diagnosis()},
		"sensor/error":             {reading: reading{name: "Error"}.diagnosis().hidden()},
		"sensor/act_reasons":       {reading{name: "Wake-up reasons"}.diagnosis().hidden(), "{% if value_json is sequence %}{{ value_json | join(', ') }}{% else %}{{ value }}{% endif %}"},
		"sensor/motion":            yes("Motion", "motion"),
		"sensor/vibration":         yes("Vibration", "vibration"),
		"sensor/flood":             yes("Flood", "moisture"),
		"sensor/smoke":             yes("Smoke", "smoke"),
		"sensor/charger":           yes("Charger", "battery_charging"),
		"sensor/state":             {reading: reading{name: "Door", class: "opening", on: "open", off: "close"}},
		"input/#":                  yes("", "power"),
		"ext_switch/#":             yes("", "power"),
		"emeter/#/energy":          {counted("Energy since restart", "energy", "Wh").hidden(), wattHours},
		"emeter/#/total_returned":  {reading: counted("Energy returned", "energy", "Wh")},
		"emeter/#/reactive_power":  {reading: measured("Reactive power", "reactive_power", "var")},
		"emeter/#/returned_energy": {counted("Energy returned since restart", "energy", "Wh").hidden(), wattHours},
	}
	external, problem := yes("External power", "power"), func(name string) shelly1Reading { return yes(name, "problem") }
	external.category = diagnostic
	all["sensor/ext_power"] = external
	for topic, name := range map[string]string{
		"overtemperature": "Overheating", "overload": "Overload", "loaderror": "Load error", "overpower": "Overpowering",
	} {
		r := problem(name)
		r.category = diagnostic
		all[topic] = r
	}
	for _, kind := range []string{"relay", "roller", "light", "color", "white"} {
		all[kind+"/#/power"], all[kind+"/#/energy"], all[kind+"/#/overpower_value"] = power, energy, tripped
	}
	return all
}

// shelly1Makers make the entities that are more than a reading.
var shelly1Makers = map[string]func(d shelly1Reporting, s shelly1Said) entity{
	"relay/#":       shelly1Reporting.relay,
	"roller/#":      shelly1Reporting.roller,
	"input_event/#": shelly1Reporting.inputEvent,
	"longpush/#":    shelly1Reporting.longPush,
	"valve/#":       shelly1Reporting.valve,
}

// relay is a switch. One that went off for too much power says that, instead of off.
func (d shelly1Reporting) relay(s shelly1Said) entity {
	topic := d.base + s.topic
	return entity{component: "switch", key: "relay_" + s.number, name: d.channelOf(s), config: d.common.with(fields{
		"state_topic":   sources(source{topic, "{{ 'off' if value == 'overpower' else value }}"}),
		"command_topic": topic + "/command", "payload_on": "on", "payload_off": "off", "state_on": "on", "state_off": "off",
	})}
}

// roller is a cover. Its words say which way it moves; a position of -1 is that of one that is not calibrated.
func (d shelly1Reporting) roller(s shelly1Said) entity {
	topic := d.base + s.topic
	return entity{component: "cover", key: "roller_" + s.number, name: d.channelOf(s), config: d.common.with(fields{
		"state_topic":   sources(source{topic: topic}),
		"state_opening": "open", "state_closing": "close", "state_stopped": "stop", "state_open": "opened", "state_closed": "closed",
		"position_topic": sources(source{topic + "/pos", unlessNegative}), "command_topic": topic + "/command",
		"payload_open": "open", "payload_close": "close", "payload_stop": "stop", "set_position_topic": topic + "/command/pos",
	})}
}

// shelly1Pushes are what an input's events are called.
const shelly1Pushes = "{'S': 'single', 'SS': 'double', 'SSS': 'triple', 'L': 'long', 'SL': 'single_long', 'LS': 'long_single'}"

// inputEvent is what is done with a push button. How often is kept beside it: the device repeats its last event now and then.
func (d shelly1Reporting) inputEvent(s shelly1Said) entity {
	said := "{% set type = " + shelly1Pushes + "[value_json.event] %}" +
		"{% if type is defined %}{{ {'event_type': type, 'event_cnt': value_json.event_cnt} | to_json }}{% endif %}"
	return d.event("input_event_"+s.number, d.channelOf(s), source{d.base + s.topic, said},
		"single", "double", "triple", "long", "single_long", "long_single")
}

// longPush says of each push whether it was long.
func (d shelly1Reporting) longPush(s shelly1Said) entity {
	said := "{% set type = {'0': 'short', '1': 'long'}[value] %}{% if type is defined %}{{ {'event_type': type} | to_json }}{% endif %}"
	return d.event("longpush_"+s.number, join(d.channelOf(s), "Push"), source{d.base + s.topic, said}, "short", "long")
}

func (d shelly1Reporting) event(key, name string, from source, types ...string) entity {
	config := d.common.with(fields{"state_topic": sources(from), "event_types": words(types...)})
	delete(config, "expire_after") // what happened does not expire
	e := entity{component: "event", key: key, name: name, config: config}
	e.class = "button"
	return e
}

// valve is that of a gas sensor.
func (d shelly1Reporting) valve(s shelly1Said) entity {
	topic := d.base + s.topic
	e := entity{component: "valve", key: "valve_" + s.number, name: join(d.channelOf(s), "Valve"), config: d.common.with(fields{
		"state_topic": sources(source{topic: topic}), "state_open": "opened", "state_closed": "closed",
		"state_opening": "opening", "state_closing": "closing", "command_topic": topic + "/command",
		"payload_open": "open", "payload_close": "close", "payload_stop": nil,
	})}
	e.class = "gas"
	return e
}

// shelly1Object are readings of objects: of motion sensors, of thermostats, and of any device's info.
var shelly1Object = []struct {
	topic string
	path  []any
	reading
}{
	{"status", []any{"motion"}, flagged("Motion", "motion")},
	{"status", []any{"vibration"}, flagged("Vibration", "vibration")},
	{"status", []any{"lux"}, measured("Illuminance", "illuminance", "lx")},
	{"status", []any{"bat"}, measured("Battery", "battery", "%").diagnosis()},
	{"status", []any{"tmp", "value"}, measured("Temperature", "temperature", "°C")},
	{"info", []any{"bat", "value"}, measured("Battery", "battery", "%").diagnosis()},
	{"info", []any{"wifi_sta", "rssi"}, measured("Signal strength", "signal_strength", "dBm").diagnosis().hidden()},
	{"info", []any{"uptime"}, measured("Uptime", "duration", "s").diagnosis().hidden()},
	{"info", []any{"thermostats", 0, "pos"}, measured("Valve position", "", "%")},
}

// object is what is new in an object.
func (d shelly1Reporting) object(s shelly1Said, payload []byte) ([]entity, error) {
	v, err := state.ValueFromJSON(payload)
	if err != nil {
		return nil, nil // TRVs of some versions say other things there
	}
	var all []entity
	add := func(part string, e func() entity) error {
		isNew, err := d.known.add(s.topic, part)
		if isNew {
			all = append(all, e())
		}
		return err
	}
	for _, o := range shelly1Object {
		if o.topic != s.topic || dialect.IsNull(at(v, o.path)) {
			continue
		}
		key := s.topic + "_" + pathKey(o.path)
		err := add(key, func() entity {
			return o.entity(key, "", sources(source{d.base + s.topic, inJSON(o.path...)}), d.common)
		})
		if err != nil {
			return nil, err
		}
	}
	if s.topic == "info" && !dialect.IsNull(at(v, []any{"thermostats", 0, "target_t", "value"})) {
		err = add("thermostat", d.thermostat)
	}
	return all, err
}

// thermostat is the valve of a radiator.
func (d shelly1Reporting) thermostat() entity {
	info := func(template string) []any { return sources(source{d.base + "info", template}) }
	pos := jsonPath("thermostats", 0, "pos")
	return entity{component: "climate", key: "thermostat_0", config: d.common.with(fields{
		"modes": words("heat"), "mode_state_topic": info("{{ 'heat' if " + pos + " is number }}"), "temperature_unit": "C",
		"action_topic":              info("{% if " + pos + " is number %}{{ 'heating' if " + pos + " > 0 else 'idle' }}{% endif %}"),
		"current_temperature_topic": info(inJSON("thermostats", 0, "tmp", "value")),
		"temperature_state_topic":   info(inJSON("thermostats", 0, "target_t", "value")),
		"temperature_command_topic": d.base + "thermostat/0/command/target_t",
		"min_temp":                  4, "max_temp": 31, "temp_step": 0.5,
	})}
}
