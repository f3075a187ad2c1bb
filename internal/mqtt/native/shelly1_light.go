package native

import (
	"fmt"
	"strings"

	"github.com/statehouse/statehouse/internal/mqtt/dialect"
	"github.com/statehouse/statehouse/state"
)

// lightParts are what the status of a light says that it has.
type lightParts struct{ brightness, gain, color, white, temp, effect bool }

// partsOf are what an object says.
func partsOf(n dialect.Node) lightParts {
	has := func(name string) bool { _, ok := dialect.DoubleOf(n.Get(name).Value); return ok }
	return lightParts{
		brightness: has("brightness"), gain: has("gain"), color: has("red") && has("green") && has("blue"), white: has("white"),
		temp: has("temp"), effect: has("effect"),
	}
}

// and is what either of two has.
func (p lightParts) and(o lightParts) lightParts {
	return lightParts{
		p.brightness || o.brightness, p.gain || o.gain, p.color || o.color, p.white || o.white, p.temp || o.temp, p.effect || o.effect,
	}
}

// light is a light, if its status says that it has what it was not known to have. The topic that only says on or off announces
// none: it would be one without a brightness.
func (d shelly1Reporting) light(s shelly1Said, payload []byte) ([]entity, error) {
	v, err := state.ValueFromJSON(payload)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errShelly, err)
	}
	if _, ok := dialect.TextOf(v); ok || v.GetStructValue() == nil {
		return nil, fmt.Errorf("%w: the status of a light is no object", errShelly)
	}
	isNew, err := d.known.add(s.component, "light")
	if err != nil {
		return nil, err
	}
	had := d.lights[s.component]
	has := had.and(partsOf(dialect.Node{Value: v}))
	if !isNew && has == had {
		return nil, nil
	}
	if d.lights == nil {
		d.lights = make(map[string]lightParts)
	}
	d.lights[s.component] = has
	return []entity{d.lightEntity(s, has)}, nil
}

func (d shelly1Reporting) lightEntity(s shelly1Said, has lightParts) entity {
	topic := d.base + s.component
	from := func(template string) []any { return sources(source{topic + "/status", template}) }
	config := d.common.with(fields{
		"state_topic":   sources(source{topic: topic}, source{topic + "/status", "{% if value_json.ison is boolean %}{{ 'on' if value_json.ison else 'off' }}{% endif %}"}),
		"command_topic": topic + "/command", "payload_on": "on", "payload_off": "off",
	})
	set := func(name, state, template string) {
		config[name+"_state_topic"] = from(state)
		config[name+"_command_topic"], config[name+"_command_template"] = topic+"/set", template
	}
	switch {
	case has.gain && has.brightness: // which of the two holds depends on the mode
		set("brightness", "{{ value_json.gain if value_json.mode == 'color' else value_json.brightness }}",
			`{"brightness":{{ value }},"gain":{{ value }}}`)
	case has.gain:
		set("brightness", inJSON("gain"), `{"gain":{{ value }}}`)
	case has.brightness:
		set("brightness", inJSON("brightness"), `{"brightness":{{ value }}}`)
	}
	if has.gain || has.brightness {
		config["brightness_scale"] = 100
	}
	rgb := `"red":{{ red }},"green":{{ green }},"blue":{{ blue }}`
	list := func(names ...string) string {
		return "{{ [value_json." + strings.Join(names, ", value_json.") + "] | join(',') }}"
	}
	switch {
	case has.color && has.white && !has.temp:
		set("rgbw", list("red", "green", "blue", "white"), `{"mode":"color",`+rgb+`,"white":{{ white }}}`)
	case has.color:
		set("rgb", list("red", "green", "blue"), `{"mode":"color",`+rgb+`}`)
	}
	if has.temp {
		set("color_temp", inJSON("temp"), `{"mode":"white","temp":{{ value }}}`)
		config["color_temp_kelvin"], config["max_kelvin"], config["min_kelvin"] = true, 6500, 2700
	}
	if has.temp && has.color {
		config["min_kelvin"] = 3000
		config["color_mode_state_topic"] = from("{% if value_json.mode is string %}{{ 'rgb' if value_json.mode == 'color' else 'color_temp' }}{% endif %}")
	}
	if has.effect {
		effects := []string{"off", "Meteor shower", "Gradual change", "Breath", "Flash", "On/off gradual", "Red/green change"}
		if !has.temp {
			effects = []string{"off", "Meteor shower", "Gradual change", "Flash"}
		}
		config["effect_list"] = words(effects...)
		set("effect", "{{ "+quotedList(effects)+"[value_json.effect] }}", `{"effect":{{ `+quotedList(effects)+`.index(value) }}}`)
	}
	return entity{component: "light", key: s.kind + "_" + s.number, name: d.channelOf(s), config: config}
}
