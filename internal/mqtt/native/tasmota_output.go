package native

import (
	"strconv"
	"strings"
)

// Kinds of a relay.
const (
	relaySwitch  = 1
	relayLight   = 2
	relayShutter = 3
)

// Types of a light.
const (
	lightNone   = 0
	lightDimmer = 1
	lightCT     = 2
	lightRGB    = 3
	lightRGBW   = 4
	lightRGBCW  = 5
)

// outputs are the relays, lights, shutters and the fan.
func (c *tasmotaConfig) outputs() []entity {
	var all []entity
	first, lights, shutters := -1, 0, 0
	for i := 0; i < len(c.relays); i++ {
		switch kind := c.relays[i]; {
		case kind == relaySwitch && c.option("30"), kind == relayLight && c.fan:
			all = append(all, c.light(i, lightNone, 0))
		case kind == relaySwitch:
			all = append(all, c.relay(i))
		case kind == relayLight:
			if first < 0 {
				first = i
			}
			all = append(all, c.light(i, c.typeOfLight(lights), lights))
			lights++
		case kind == relayShutter && i+1 < len(c.relays) && c.relays[i+1] == relayShutter && shutters < maxShutters:
			all = append(all, c.shutter(shutters))
			shutters++
			i++ // a shutter has two relays
		}
	}
	if c.fan {
		all = append(all, c.fanEntity())
	}
	if len(all) == 1 {
		all[0].name = ""
	}
	return all
}

// outputName is the name that the user gave, without the device's own before it.
func (c *tasmotaConfig) outputName(i int, otherwise string) string {
	name := ""
	if i < len(c.names) {
		name = strings.TrimSpace(c.names[i])
	}
	if c.name != "" {
		if name == c.name {
			name = ""
		}
		name = strings.TrimSpace(strings.TrimPrefix(name, c.name+" "))
	}
	return firstText(name, otherwise+" "+strconv.Itoa(i+1))
}

// powerSources are where it is said whether a relay is on. The first may go without its number.
func (c *tasmotaConfig) powerSources(i int) []any {
	path := func(steps ...any) string {
		numbered := jsonPath(append(steps, "POWER"+strconv.Itoa(i+1))...)
		if i > 0 {
			return numbered
		}
		return numbered + " | default(" + jsonPath(append(steps, "POWER")...) + ")"
	}
	said := "{{ " + path() + " }}"
	// With option 4 the same topic has the answer, which is JSON, and the bare word.
	plain := "{% if value_json is mapping %}" + said + "{% else %}{{ value }}{% endif %}"
	all := []source{{c.tele + "STATE", said}}
	all = append(all, c.results(said, "STATE", "DIMMER", "COLOR", "HSBCOLOR", "CT", "WHITE")...)
	all = append(all, source{c.stat + "POWER" + strconv.Itoa(i+1), plain}, source{c.stat + "STATUS11", "{{ " + path("StatusSTS") + " }}"})
	if i == 0 {
		all = append(all, source{c.stat + "POWER", plain})
	}
	return sources(all...)
}

// power are the keys of what can be switched on and off.
func (c *tasmotaConfig) power(i int) fields {
	return c.common.with(fields{
		"state_topic": c.powerSources(i), "command_topic": c.command + "POWER" + strconv.Itoa(i+1),
		"payload_on": c.stateOn, "payload_off": c.stateOff,
	})
}

func (c *tasmotaConfig) relay(i int) entity {
	return entity{
		component: "switch", key: "relay_" + strconv.Itoa(i), name: c.outputName(i, "Switch"),
		config: c.power(i).with(fields{"state_on": c.stateOn, "state_off": c.stateOff}),
	}
}

// typeOfLight is what one of the device's lights can do, by its number among them. Channels that are not linked are a light of
// colors and one that is white; with option 68 each channel is one.
func (c *tasmotaConfig) typeOfLight(nth int) int {
	switch {
	case c.option("68"):
		return lightDimmer
	case c.linked || c.lightType < lightRGBW:
		return c.lightType
	case nth == 0:
		return lightRGB
	case c.lightType == lightRGBW:
		return lightDimmer
	default:
		return lightCT
	}
}

// light is a light: the nth of the device, at relay i.
func (c *tasmotaConfig) light(i, kind, nth int) entity {
	config := c.power(i)
	e := entity{component: "light", key: "light_" + strconv.Itoa(i), name: c.outputName(i, "Light"), config: config}
	if kind < lightDimmer || kind > lightRGBCW {
		return e
	}
	dimmer, dimmerState := "Dimmer", "Dimmer"
	switch split := !c.linked && c.lightType >= lightRGBW; {
	case c.option("68"):
		dimmer = "Channel" + strconv.Itoa(i+1)
		dimmerState = dimmer
	case split:
		dimmer = "Dimmer" + strconv.Itoa(nth+1)
		dimmerState = dimmer
	case c.tuya:
		dimmer = "Dimmer3"
	}
	config["brightness_state_topic"] = c.lightSources(func(p ...any) string { return inJSON(append(p, dimmerState)...) })
	config["brightness_command_topic"], config["brightness_scale"] = c.command+dimmer, 100
	if kind == lightCT || kind == lightRGBCW {
		c.addCT(config)
	}
	if kind >= lightRGB {
		c.addColor(config, kind)
	}
	return e
}

// lightSources are where the device says what its lights do; a template is made of the path to where that is.
func (c *tasmotaConfig) lightSources(template func(path ...any) string) []any {
	all := []source{{c.tele + "STATE", template()}}
	all = append(all, c.results(template(), "STATE", "POWER", "DIMMER", "COLOR", "HSBCOLOR", "CT", "WHITE", "SCHEME", "CHANNEL")...)
	return sources(append(all, source{c.stat + "STATUS11", template("StatusSTS")})...)
}

// addCT adds a color temperature in mired.
func (c *tasmotaConfig) addCT(config fields) {
	config["color_temp_state_topic"] = c.lightSources(func(p ...any) string { return inJSON(append(p, "CT")...) })
	config["color_temp_command_topic"] = c.command + "CT"
	config["min_mireds"], config["max_mireds"] = 153, 500
	if c.option("82") {
		config["min_mireds"], config["max_mireds"] = 200, 380
	}
}

// addColor adds colors, effects, and white or the color temperature beside them. HSBColor does not depend on option 17, as
// Color does.
func (c *tasmotaConfig) addColor(config fields, kind int) {
	config["hs_state_topic"] = c.lightSources(func(p ...any) string {
		return "{{ " + jsonPath(append(p, "HSBColor")...) + ".split(',')[0:2] | join(',') }}"
	})
	config["hs_command_topic"] = c.command + "HSBColor"
	config["hs_command_template"] = "{{ hue | round | int }},{{ sat | round | int }}"
	schemes := []string{"Solid", "Wake up", "Cycle up", "Cycle down", "Random"}
	list := quotedList(schemes)
	config["effect_list"] = words(schemes...)
	config["effect_state_topic"] = c.lightSources(func(p ...any) string {
		return "{{ " + list + "[" + jsonPath(append(p, "Scheme")...) + "] }}"
	})
	config["effect_command_topic"], config["effect_command_template"] = c.command+"Scheme", "{{ "+list+".index(value) }}"
	other := ""
	switch kind {
	case lightRGBW:
		other = "white"
		config["white_command_topic"], config["white_scale"] = c.command+"White", 100
	case lightRGBCW:
		other = "color_temp"
	default:
		return
	}
	config["color_mode_state_topic"] = c.lightSources(func(p ...any) string {
		white := jsonPath(append(p, "White")...)
		return "{% if " + white + " is number %}{{ '" + other + "' if " + white + " > 0 else 'hs' }}{% endif %}"
	})
}

// shutter is the nth shutter.
func (c *tasmotaConfig) shutter(nth int) entity {
	number := strconv.Itoa(nth + 1)
	name, options := "Shutter"+number, 0
	if nth < len(c.shutters) {
		options = c.shutters[nth]
	}
	const inverted = 1
	turned := options&inverted != 0
	from := func(template func(path ...any) string) []any {
		all := []source{{c.tele + "SENSOR", template(name)}}
		all = append(all, c.results(template(name), "SHUTTERPOSITION", "SHUTTEROPEN", "SHUTTERCLOSE", "SHUTTERSTOP")...)
		return sources(append(all, source{c.stat + "STATUS10", template("StatusSNS", name)}, source{c.stat + "STATUS8", template("StatusSNS", name)})...)
	}
	position := func(p ...any) string { return inJSON(append(p, "Position")...) }
	up, set := "1", "{{ position }}"
	if turned {
		position = func(p ...any) string { return "{{ 100 - " + jsonPath(append(p, "Position")...) + " }}" }
		up, set = "-1", "{{ 100 - position }}"
	}
	config := c.common.with(fields{
		"state_topic": from(func(p ...any) string {
			d := jsonPath(append(p, "Direction")...)
			return "{% if " + d + " is number %}{{ 'stopped' if " + d + " == 0 else 'opening' if " + d + " == " + up + " else 'closing' }}{% endif %}"
		}),
		"position_topic": from(position), "set_position_topic": c.command + "ShutterPosition" + number, "set_position_template": set,
		// There is one topic for all three in the configuration, and there are three at the device.
		"command_topic": c.command + "Backlog", "payload_open": "ShutterOpen" + number, "payload_close": "ShutterClose" + number,
		"payload_stop": "ShutterStop" + number,
	})
	if nth < len(c.tilts) {
		c.addTilt(config, number, c.tilts[nth], from)
	}
	return entity{component: "cover", key: "shutter_" + strconv.Itoa(nth), name: "Shutter " + number, config: config}
}

// addTilt adds the slats of a shutter that needs time to turn them: their limits in degrees, and that time.
func (c *tasmotaConfig) addTilt(config fields, number string, tilt []int, from func(func(path ...any) string) []any) {
	if len(tilt) < 3 || tilt[2] <= 0 || tilt[0] >= tilt[1] {
		return
	}
	config["tilt_status_topic"] = from(func(p ...any) string { return inJSON(append(p, "Tilt")...) })
	config["tilt_command_topic"] = c.command + "ShutterTilt" + number
	config["tilt_min"], config["tilt_max"] = tilt[0], tilt[1]
	config["tilt_closed_value"], config["tilt_opened_value"] = tilt[0], tilt[1]
}

// fanEntity is a fan of three speeds.
func (c *tasmotaConfig) fanEntity() entity {
	from := func(template func(path ...any) string) []any {
		all := append([]source{{c.tele + "STATE", template()}}, c.results(template(), "FANSPEED", "STATE")...)
		return sources(append(all, source{c.stat + "STATUS11", template("StatusSTS")})...)
	}
	return entity{component: "fan", key: "fan", name: "Fan", config: c.common.with(fields{
		"state_topic": from(func(p ...any) string {
			speed := jsonPath(append(p, "FanSpeed")...)
			return "{% if " + speed + " is number %}{{ '2' if " + speed + " > 0 else '0' }}{% endif %}"
		}),
		"command_topic": c.command + "FanSpeed", "payload_on": "2", "payload_off": "0",
		"percentage_state_topic":   from(func(p ...any) string { return inJSON(append(p, "FanSpeed")...) }),
		"percentage_command_topic": c.command + "FanSpeed", "speed_range_min": 1, "speed_range_max": 3,
	})}
}
