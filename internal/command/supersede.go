package command

import (
	"maps"

	"google.golang.org/protobuf/proto"

	entityv1 "github.com/statehouse/statehouse/gen/statehouse/entity/v1"
)

// slots are fields of which a device follows one at a time, by their domain: a later command about one of them moots an
// earlier one about another.
var slots = map[string]map[string]string{
	"light": {
		argKelvin: "color", argXY: "color", argHS: "color", argRGB: "color", argRGBW: "color", argRGBWW: "color", argWhite: "color",
	},
	"cover": {"state": "position"},
	"valve": {"state": "position"},
	"fan":   {argPercentage: "speed", argPreset: "speed"},
}

// Supersedes says that a later command makes an earlier one to the same entity moot, so that no answer to the earlier one
// is to be waited for: they ask for the same field, of whatever value, or one switches off and the other on. Two commands that
// both switch on and ask for different things beyond that do not: a light takes a brightness and a color. A stop moots the movement
// before it. Two commands that no state answers are never moot: a second press is a second press.
func Supersedes(later Checked, earlier *entityv1.PendingCommand) bool {
	d := domains[later.Domain]
	if d == nil || later.Expected == nil && earlier.GetExpected() == nil {
		return false
	}
	asks := asked(d, later.Action, later.Arguments)
	asked := asked(d, earlier.GetAction(), earlier.GetArguments())
	on, switches := asks["on"]
	was, switched := asked["on"]
	if switches && switched {
		if !proto.Equal(on, was) || len(asked) == 1 {
			return true
		}
		delete(asked, "on")
	}
	for slot := range maps.Keys(asked) {
		if _, ok := asks[slot]; ok {
			return true
		}
	}
	return false
}

// asked are the slots that a command is about, with their values.
func asked(d *domain, name string, arguments []*entityv1.Field) map[string]*entityv1.Value {
	a := d.action(name)
	if a == nil {
		return nil // an action of another version
	}
	all := make(map[string]*entityv1.Value)
	add := func(field string, v *entityv1.Value) {
		if slot, ok := slots[d.name][field]; ok {
			field = slot
		}
		all[field] = v
	}
	for _, f := range a.sets {
		add(f.field, f.value)
	}
	for _, f := range arguments {
		if p := a.param(f.GetName()); p != nil && p.field != "" {
			if p.name != p.field && slots[d.name][p.name] != "" {
				add(p.name, f.GetValue()) // of white, the color too
			}
			add(p.field, f.GetValue())
		}
	}
	switch name {
	case "stop_cover", "stop_valve":
		add(argPosition, nil)
	case "stop_cover_tilt":
		add("tilt_position", nil)
	}
	return all
}
