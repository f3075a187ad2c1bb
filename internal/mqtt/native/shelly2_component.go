package native

import (
	entityv1 "github.com/statehouse/statehouse/gen/statehouse/entity/v1"
	"github.com/statehouse/statehouse/internal/mqtt/dialect"
)

// shelly2Makes says that components of a kind are more than readings.
func shelly2Makes(kind string) bool {
	switch kind {
	case "switch", "boolean", "cover", "input", "light", "rgb", "rgbw", "cct", "thermostat":
		return true
	default:
		return false
	}
}

// addMain adds what the component is besides its readings.
func (c shelly2Part) addMain(v *entityv1.Value) {
	if c.number == "" {
		return
	}
	switch c.kind {
	case "switch":
		c.add(c.component, c.kind, func() entity { return c.onOff("output", "Switch.Set", "on") })
	case "boolean":
		c.add(c.component, c.kind, func() entity { return c.onOff("value", "Boolean.Set", "value") })
	case "cover":
		c.addCover(dialect.Node{Value: v})
	case "input":
		c.addInput(dialect.Node{Value: v}.Get("state").Value)
	case "light", "rgb", "rgbw", "cct":
		c.add(c.component, c.kind, c.light)
	case "thermostat":
		c.add(c.component, c.kind, c.thermostat)
	}
}

// own are the keys of what can be asked of the component over RPC, which works also where its topic for commands is switched off.
func (c shelly2Part) own(more fields) fields {
	return c.common.with(fields{"command_topic": c.id + "/rpc"}).with(more)
}

// call is a call of the component, with its number and the parameters.
func (c shelly2Part) call(method, params string) string {
	p := `"id":` + c.number
	if params != "" {
		p += "," + params
	}
	return call(method, p)
}

// says reads one field where it is said.
func (c shelly2Part) says(name string) []any {
	return c.from(func(path ...any) string { return inJSON(append(path, name)...) })
}

// onOff is a switch: the field that says it, and what sets it.
func (c shelly2Part) onOff(said, method, param string) entity {
	return entity{component: "switch", key: c.key(""), name: c.name(), config: c.own(fields{
		"state_topic": c.says(said), "state_on": "True", "state_off": "False",
		"payload_on": c.call(method, `"`+param+`":true`), "payload_off": c.call(method, `"`+param+`":false`),
	})}
}

// light is a light. What it can do follows from its kind.
func (c shelly2Part) light() entity {
	method := map[string]string{"light": "Light.Set", "rgb": "RGB.Set", "rgbw": "RGBW.Set", "cct": "CCT.Set"}[c.kind]
	on, off, topic := c.call(method, `"on":true`), c.call(method, `"on":false`), c.id+"/rpc"
	config := c.own(fields{
		// A light's words for its state are those of its commands, so that these stand here.
		"state_topic": c.from(func(path ...any) string {
			output := jsonPath(append(path, "output")...)
			return "{% if " + output + " is boolean %}{{ " + quoted(on) + " if " + output + " else " + quoted(off) + " }}{% endif %}"
		}),
		"payload_on": on, "payload_off": off, "brightness_state_topic": c.says("brightness"), "brightness_scale": 100,
		"brightness_command_topic": topic, "brightness_command_template": c.call(method, `"brightness":{{ value }}`),
	})
	rgb := `"rgb":[{{ red }},{{ green }},{{ blue }}]`
	switch c.kind {
	case "rgb":
		config["rgb_state_topic"] = c.from(func(path ...any) string {
			return "{{ " + jsonPath(append(path, "rgb")...) + " | is_defined | join(',') }}"
		})
		config["rgb_command_topic"], config["rgb_command_template"] = topic, c.call(method, rgb)
	case "rgbw": // a notification that says only one of the two says no color
		config["rgbw_state_topic"] = c.from(func(path ...any) string {
			color, white := jsonPath(append(path, "rgb")...), jsonPath(append(path, "white")...)
			return "{{ ((" + color + " | is_defined) + [" + white + " | is_defined]) | join(',') }}"
		})
		config["rgbw_command_topic"], config["rgbw_command_template"] = topic, c.call(method, rgb+`,"white":{{ white }}`)
	case "cct":
		config["color_temp_state_topic"], config["color_temp_kelvin"] = c.says("ct"), true
		config["color_temp_command_topic"], config["color_temp_command_template"] = topic, c.call(method, `"ct":{{ value }}`)
		config["min_kelvin"], config["max_kelvin"] = 2700, 6500
	}
	return entity{component: "light", key: c.key(""), name: c.name(), config: config}
}

// addCover adds a cover, and its slats once they are said: few have any.
func (c shelly2Part) addCover(n dialect.Node) {
	parts := []string{c.kind}
	if n.Num("slat_pos") != nil {
		parts = append(parts, "slat_pos")
	}
	isNew := false
	for _, part := range parts {
		grown, err := c.known.add(c.component, part)
		if err != nil {
			c.err = err
		}
		isNew = isNew || grown
	}
	if isNew {
		c.found = append(c.found, c.cover())
	}
}

// cover has a position, whether it is calibrated or not: most messages do not say so, and it refuses to go to one if it is not.
func (c shelly2Part) cover() entity {
	topic := c.id + "/rpc"
	config := c.own(fields{
		// While it is calibrated it moves, but not to where anybody wants it.
		"state_topic": c.from(func(path ...any) string {
			state := jsonPath(append(path, "state")...)
			return "{{ " + state + " if " + state + " in ['open', 'closed', 'opening', 'closing', 'stopped'] }}"
		}),
		"payload_open": c.call("Cover.Open", ""), "payload_close": c.call("Cover.Close", ""), "payload_stop": c.call("Cover.Stop", ""),
		"position_topic": c.says("current_pos"), "set_position_topic": topic,
		"set_position_template": c.call("Cover.GoToPosition", `"pos":{{ position }}`),
	})
	if c.known[c.component]["slat_pos"] {
		config["tilt_status_topic"], config["tilt_command_topic"] = c.says("slat_pos"), topic
		config["tilt_command_template"] = c.call("Cover.GoToPosition", `"slat_pos":{{ tilt_position }}`)
	}
	return entity{component: "cover", key: c.key(""), name: c.name(), config: config}
}

// addInput adds a switch as a binary sensor, and a push button, whose state is null, as events.
func (c shelly2Part) addInput(said *entityv1.Value) {
	switch said.GetKind().(type) {
	case *entityv1.Value_BoolValue:
		c.add(c.component, "state", func() entity {
			return flagged("", "power").entity(c.key("state"), c.name(), c.says("state"), c.common)
		})
	case *entityv1.Value_NullValue:
		c.add(c.component, "event", c.inputEvent)
	}
}

// shelly2Events are what can be done with a push button.
var shelly2Events = []string{"btn_down", "btn_up", "single_push", "double_push", "triple_push", "long_push"}

// inputEvent is what is done with a push button. A notification may have several events; the last one of the button counts.
func (c shelly2Part) inputEvent() entity {
	said := "{% if value_json.method == 'NotifyEvent' %}{% set all = value_json.params.events | selectattr('component', 'eq', '" + c.component +
		"') | selectattr('event', 'in', " + quotedList(shelly2Events) + ") | list %}{% if all %}{{ {'event_type': all[-1].event} | to_json }}{% endif %}{% endif %}"
	config := c.common.with(fields{"state_topic": sources(source{c.id + "/events/rpc", said}), "event_types": words(shelly2Events...)})
	delete(config, "expire_after") // what happened does not expire
	e := entity{component: "event", key: c.key("event"), name: c.name(), config: config}
	e.class = "button"
	return e
}

// thermostat is that of a wall display.
func (c shelly2Part) thermostat() entity {
	topic := c.id + "/rpc"
	set := func(param string) string {
		return call("Thermostat.SetConfig", `"config":{"id":`+c.number+","+param+"}")
	}
	choice := func(field, yes, no string) []any {
		return c.from(func(path ...any) string {
			said := jsonPath(append(path, field)...)
			return "{% if " + said + " is boolean %}{{ '" + yes + "' if " + said + " else '" + no + "' }}{% endif %}"
		})
	}
	return entity{component: "climate", key: c.key(""), name: c.name(), config: c.common.with(fields{
		"modes": words("off", "heat"), "mode_state_topic": choice("enable", "heat", "off"), "mode_command_topic": topic,
		"mode_command_template": set(`"enable":{{ 'true' if value == 'heat' else 'false' }}`), "action_topic": choice("output", "heating", "idle"),
		"current_temperature_topic": c.says("current_C"), "temperature_state_topic": c.says("target_C"),
		"temperature_command_topic": topic, "temperature_command_template": set(`"target_C":{{ value }}`),
		"temperature_unit": "C", "min_temp": 5, "max_temp": 35, "temp_step": 0.5,
	})}
}

// update says whether there is newer firmware.
func (r *shelly2Reporting) update() entity {
	c := shelly2Part{shelly2Reporting: r, component: "sys", kind: "sys"}
	from := c.from(func(path ...any) string {
		updates := jsonPath(append(path, "available_updates")...)
		return "{% if " + updates + " is defined %}{{ " + updates + ".stable is defined }}{% endif %}"
	})
	e := flagged("Firmware update", "update").diagnosis().entity("update", "", from, r.common)
	e.config = e.config.with(r.fingerprint())
	return e
}
